//! Packs samples once their hour is over: rows become chunks and candles, in one transaction a run, so that a kill
//! at any moment leaves each sample either a row or packed. Owns the thread `history-pack`, which works in small
//! portions and sleeps between hours.

use std::collections::{BTreeMap, HashSet};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};

use super::candle::{Candles, Frame};
use super::chunk;
use super::series::Series;
use crate::clock::{self, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::Sample;
use crate::store::{NewChunk, Packing, Store, StoreError, StoredCandles};
use crate::thread::spawn_named;

/// Who measured what the samplers measure.
pub const SAMPLER: &str = "sampler";

/// The thread that packs.
pub struct Packer {
    /// Dropped, it ends the thread.
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Packer {
    /// Starts it.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let (stop, stopped) = channel::bounded(0);
        let (alive, ended) = channel::bounded::<()>(0);
        let thread = spawn_named("history-pack", move || {
            run(&store, &stopped);
            drop(alive);
        })?;
        Ok(Self {
            stop: Some(stop),
            ended,
            thread: Some(thread),
        })
    }

    /// Ends it, waiting `patience` at most; whether it ended.
    pub fn finish(mut self, patience: Duration) -> bool {
        self.end(patience)
    }

    fn end(&mut self, patience: Duration) -> bool {
        self.stop = None;
        let Some(thread) = self.thread.take() else {
            return true;
        };
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            return false;
        }
        // A panic was caught and logged where it happened.
        let _ = thread.join();
        true
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.end(limits::PACK_END_MAX);
    }
}

fn run(store: &Store, stop: &Receiver<()>) {
    let mut wait = limits::PACK_LAG;
    // Only the end of the sender is ever heard.
    while stop.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let now = clock::wall();
        wait = match turn(store, now) {
            Ok(next) => next.since(now),
            Err(error) => {
                log::debug!("samples stay rows for now: {error}");
                limits::PACK_RETRY
            }
        };
    }
}

/// Packs one portion of what is ready at `now`, and says when to come back.
///
/// # Errors
/// The database does not answer; what was not packed is still there.
pub fn turn(store: &Store, now: Wall) -> Result<Wall, StoreError> {
    let Some(oldest) = store.oldest_sample()? else {
        return Ok(now + limits::PACK_RETRY);
    };
    let starts = Frame::Hour.start(oldest.millis());
    let planned = starts + Frame::Hour.millis() - 1;
    let ready = Wall::from_millis(planned) + limits::PACK_LAG;
    if now < ready {
        return Ok(ready);
    }
    let samples = portion(store.samples_to_pack((starts, planned), limits::PACK_ROWS)?);
    if samples.is_empty() {
        // Rows of runs that nobody knows any more: retention removes them.
        return Ok(now + limits::PACK_RETRY);
    }
    for ((instance, run), rows) in by_run(&samples) {
        for start in (0..rows.len()).step_by(limits::PACK_ROWS_PER_COMMIT) {
            let end = rows.len().min(start + limits::PACK_ROWS_PER_COMMIT);
            let order: Vec<usize> = (start..end).collect();
            let portion = Portion {
                instance: instance.clone(),
                run,
                rows: rows.pick(&order),
                planned,
            };
            store.pack(move |packing| portion.pack(packing))?;
        }
    }
    Ok(now)
}

/// Without the last moment when the reading broke off there: more of it may follow.
fn portion(mut samples: Vec<Sample>) -> Vec<Sample> {
    if samples.len() < limits::PACK_ROWS {
        return samples;
    }
    let last = samples.last().map(|sample| sample.time);
    let whole = samples.partition_point(|sample| Some(sample.time) < last);
    if whole > 0 {
        samples.truncate(whole);
    }
    samples
}

fn by_run(samples: &[Sample]) -> BTreeMap<(InstanceName, RunId), Series> {
    let mut groups: BTreeMap<(InstanceName, RunId), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let key = (sample.instance.clone(), sample.run);
        groups.entry(key).or_default().push(sample);
    }
    let series = |group: Vec<&Sample>| Series::from_samples(group);
    groups.into_iter().map(|(k, g)| (k, series(g))).collect()
}

/// Rows of one run and one hour.
struct Portion {
    instance: InstanceName,
    run: RunId,
    rows: Series,
    planned: i64,
}

impl Portion {
    fn pack(self, packing: &Packing<'_>) -> Result<(), StoreError> {
        let fresh = fresh(packing, &self.instance, &self.rows)?;
        if let (Some(starts), Some(ends)) = (fresh.times.first(), fresh.times.last()) {
            match chunk::encode(&fresh) {
                Ok(data) => packing.put_chunk(&NewChunk {
                    instance: self.instance.clone(),
                    source: SAMPLER.to_owned(),
                    run: Some(self.run),
                    starts: *starts,
                    ends: *ends,
                    planned: self.planned,
                    rows: fresh.len(),
                    data,
                })?,
                // Otherwise they would be in the way of all others for ever.
                Err(error) => log::error!("{} samples are given up: {error}", fresh.len()),
            }
            put_candles(packing, &self.instance, (SAMPLER, &fresh))?;
        }
        packing.remove_samples(self.run, &self.rows.times)
    }
}

/// The rows whose time is in no chunk yet: nothing is stored twice, however late it comes.
fn fresh(
    packing: &Packing<'_>,
    instance: &InstanceName,
    rows: &Series,
) -> Result<Series, StoreError> {
    let (Some(first), Some(last)) = (rows.times.iter().min(), rows.times.iter().max()) else {
        return Ok(rows.clone());
    };
    let mut known = HashSet::new();
    for stored in packing.chunks(instance, (*first, *last))? {
        if stored.source == SAMPLER {
            match chunk::decode(&stored.data, stored.rows) {
                Ok(series) => known.extend(series.times),
                Err(error) => log::warn!("a chunk of {instance} cannot be read: {error}"),
            }
        }
    }
    Ok(rows.filter(|time| !known.contains(&time)))
}

/// Merges `rows` into the candles of every length.
fn put_candles(
    packing: &Packing<'_>,
    instance: &InstanceName,
    (source, rows): (&str, &Series),
) -> Result<(), StoreError> {
    for frame in Frame::ALL {
        let mut candles = Candles::new(frame);
        candles.add(rows);
        for (starts, mut block) in candles.blocks() {
            let stored = packing.candles((instance, frame.seconds()), starts)?;
            for before in stored.iter().filter(|b| b.source == source) {
                match chunk::decode(&before.data, before.rows) {
                    Ok(series) => block.merge(&Candles::from_series(frame, &series)),
                    Err(error) => log::warn!("candles of {instance} cannot be read: {error}"),
                }
            }
            let series = block.to_series();
            match chunk::encode(&series) {
                Ok(data) => {
                    let ends = starts + frame.block_millis() - 1;
                    let block = StoredCandles {
                        source: source.to_owned(),
                        starts,
                        rows: series.len(),
                        data,
                    };
                    packing.put_candles((instance, frame.seconds(), ends), &block)?;
                }
                Err(error) => log::error!("candles of {instance} are given up: {error}"),
            }
        }
    }
    Ok(())
}
