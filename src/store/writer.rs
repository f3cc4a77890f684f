//! The writer: one thread, the one connection that writes. Takes what is due from the inbox, commits it in
//! groups, puts back what failed, and wakes who waits for commits. Nothing it does can end it but a close.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::Sender;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::checkpoint::Batch;
use super::error::{Fault, StoreError};
use super::health::{Judge, StoreHealth};
use super::inbox::{Inbox, Job, Outlook, Tick, Work};
use super::retention::Retention;
use super::series::Kept;
use super::stats::Counters;
use super::tx::{Tx, WriteConn};
use super::{migrate, queries};
use crate::clock::{self, Mono};
use crate::ids::DeliveryId;
use crate::model::log::LogBatch;
use crate::model::record::Record;
use crate::model::settings::Durability;
use crate::model::write::Write;

/// What the writer and the handles share.
pub(super) struct Shared {
    pub(super) inbox: Inbox,
    pub(super) counters: Arc<Counters>,
    pub(super) health: Mutex<StoreHealth>,
    /// Rises with every commit of records.
    pub(super) generation: Mutex<u64>,
    pub(super) changed: Condvar,
    /// Leases whose caller had gone; the next lease puts them back first.
    pub(super) stranded: Mutex<Vec<DeliveryId>>,
    /// Leases of the supervisor before are still to be put back.
    pub(super) has_old_leases: AtomicBool,
    /// `metrics.retention`.
    pub(super) kept: Mutex<Kept>,
}

impl Shared {
    pub(super) fn keep_raw_for(&self, kept: Duration) {
        self.kept.lock().raw = kept;
    }

    /// The health with the figures of this moment.
    pub(super) fn health(&self) -> StoreHealth {
        let degraded = self.health.lock().degraded.clone();
        let c = &self.counters;
        let dropped = [
            &c.dropped_records,
            &c.dropped_samples,
            &c.dropped_logs,
            &c.dropped_checkpoints,
        ];
        StoreHealth {
            degraded,
            queued: u64::try_from(self.inbox.lock().len()).unwrap_or(u64::MAX),
            dropped: dropped.iter().map(|c| c.get()).sum(),
        }
    }
}

/// Who is told of what.
#[derive(Clone, Debug, Default)]
pub struct Wakers {
    /// Woken when deliveries have been committed: a channel with room for one.
    pub deliveries: Option<Sender<()>>,
    /// Told when the storage begins to fail, fails otherwise, or is well again.
    pub health: Option<Sender<StoreHealth>>,
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    pub(super) shared: Arc<Shared>,
    pub(super) wakers: Wakers,
    pub(super) retention: Retention,
    pub(super) judge: Judge,
    pub(super) pause_until: Mono,
    /// A change of health that could not be told yet.
    pub(super) has_news: bool,
    pub(super) place: Place,
}

/// Which file the database is: SQLite goes on writing into one that was removed, where nobody will ever read.
pub(super) struct Place {
    file: Option<(u64, u64)>,
    /// What is written would be lost.
    is_gone: bool,
    /// Rises with each new file, so that readers of the one before are put away.
    epoch: Arc<AtomicU64>,
}

impl Place {
    pub(super) fn new(path: &Path, epoch: Arc<AtomicU64>) -> Self {
        Self {
            file: file_at(path),
            is_gone: false,
            epoch,
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Writer {
    /// Works until the inbox is closed.
    pub(super) fn run(mut self) {
        loop {
            let outlook = Outlook {
                pause_until: self.pause_until,
                is_failing: self.pause_until > Mono::default(),
                retention: self.retention.due(),
            };
            let work = self.shared.clone().inbox.next(outlook);
            self.look_for_the_file();
            match work {
                Work::Job(job) => self.job(job),
                Work::Writes(writes) => self.writes(writes),
                Work::Logs(batches) => self.logs(batches),
                Work::Samples(ticks) => self.samples(ticks),
                Work::Checkpoint(batches) => self.checkpoint(batches),
                Work::Retention => self.retain(),
                Work::End => break,
            }
        }
        // The `-wal` file is folded in, so that the one file can be copied. A reader may be in the way.
        let folded = self
            .conn
            .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        if let Err(error) = folded {
            log::debug!("the -wal file stays: {error}");
        }
    }

    /// Begins a new file when the database was removed: what happens from now on is kept again.
    fn look_for_the_file(&mut self) {
        if file_at(&self.path) == self.place.file {
            return;
        }
        self.place.is_gone = true;
        self.failed(Fault::Gone, "it is not where it was");
        match self.begin_anew() {
            Ok(()) => {
                self.place.is_gone = false;
                self.place.file = file_at(&self.path);
                self.place.epoch.fetch_add(1, Ordering::Release);
                log::error!("{} was removed; a new one is begun", self.path.display());
            }
            Err(error) => log::warn!("no new database yet: {error}"),
        }
    }

    fn begin_anew(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        // The connection before is closed after this one is open; SQLite sees that its file has moved, and
        // leaves the new one's `-wal` alone.
        self.conn = migrate::open_writer(&self.path, self.durability)?;
        let conn = WriteConn {
            conn: &self.conn,
            counters: &self.shared.counters,
        };
        Ok(conn.transact(|tx| queries::meta::set_clean(tx, false))?)
    }

    /// Runs `work` on the connection and judges the storage by it. A panic is caught: it ends the work, not
    /// the thread.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&WriteConn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, Fault> {
        if self.place.is_gone {
            return Err(Fault::Gone);
        }
        let conn = WriteConn {
            conn: &self.conn,
            counters: &self.shared.counters,
        };
        match catch_unwind(AssertUnwindSafe(|| work(&conn))) {
            Ok(Ok(value)) => {
                self.passed();
                Ok(value)
            }
            Ok(Err(error)) => {
                let fault = error.fault().unwrap_or(Fault::Rejected);
                self.failed(fault, &described(&error));
                Err(fault)
            }
            Err(_) => {
                self.shared.counters.panics.one();
                log::error!(
                    "the store writer panicked (a bug of ours); what it wrote is tried again one by one"
                );
                self.reopen();
                Err(Fault::Rejected)
            }
        }
    }

    fn passed(&mut self) {
        self.pause_until = Mono::default();
        let is_news = self.judge.passed();
        if is_news {
            log::info!("the storage is well again");
        }
        self.tell(is_news);
    }

    fn failed(&mut self, fault: Fault, error: &str) {
        if !self.conn.is_autocommit() {
            self.reopen();
        }
        if fault == Fault::Rejected {
            log::warn!("a write was refused: {error}");
            return;
        }
        let now = clock::mono();
        let (pause, is_news) = self.judge.failed(fault, (now, clock::wall()));
        self.pause_until = now + pause;
        if is_news {
            log::warn!("storage degraded: {}: {error}", fault.text());
        }
        self.tell(is_news);
    }

    /// Publishes the health and tells it where it has changed; a full channel is tried again next time.
    fn tell(&mut self, is_news: bool) {
        self.has_news |= is_news;
        if !self.has_news {
            return;
        }
        self.shared.health.lock().degraded = self.judge.degraded().cloned();
        let Some(channel) = &self.wakers.health else {
            self.has_news = false;
            return;
        };
        self.has_news = channel
            .try_send(self.shared.health())
            .is_err_and(|e| e.is_full());
    }

    /// A connection left in an unknown state is replaced; if that fails the old one goes on failing.
    fn reopen(&mut self) {
        match migrate::connect_writer(&self.path, self.durability) {
            Ok(conn) => {
                self.shared.counters.versions.watch(&conn);
                self.conn = conn;
            }
            Err(error) => log::error!("cannot reopen the database: {error}"),
        }
    }

    fn job(&mut self, job: Job) {
        let mut outcome = Ok(());
        // A fault of the machine counts; a call that was merely wrong says nothing of the storage.
        let ran = self.attempt_quietly(|conn| outcome = job(conn));
        if !ran {
            return;
        }
        match outcome {
            Ok(()) => {
                if self.shared.inbox.lock().len() == 0 && !self.place.is_gone {
                    self.passed();
                }
            }
            Err(None | Some(Fault::Rejected)) => {}
            Err(Some(fault)) => self.failed(fault, "a call"),
        }
    }

    /// Whether `work` ran to its end.
    fn attempt_quietly(&mut self, work: impl FnOnce(&WriteConn<'_>)) -> bool {
        let conn = WriteConn {
            conn: &self.conn,
            counters: &self.shared.counters,
        };
        let ran = catch_unwind(AssertUnwindSafe(|| work(&conn))).is_ok();
        if !ran {
            self.shared.counters.panics.one();
            self.reopen();
        }
        ran
    }

    /// Commits records in one transaction; when one of them can never pass, each in its own, without that one.
    fn writes(&mut self, writes: VecDeque<Write>) {
        let mut todo = VecDeque::from([writes]);
        while let Some(group) = todo.pop_front() {
            match self.attempt(|conn| conn.transact(|tx| group.iter().try_for_each(|w| put(tx, w))))
            {
                Ok(()) => self.committed(&group),
                Err(Fault::Rejected) if group.len() > 1 => {
                    todo.extend(group.into_iter().map(|w| VecDeque::from([w])));
                }
                Err(Fault::Rejected) => {
                    self.shared.counters.rejected.one();
                    for write in &group {
                        log::error!(
                            "an event can never be stored and is given up: {:?}",
                            write.record.event.kind
                        );
                    }
                }
                Err(Fault::Busy | Fault::Full | Fault::Io | Fault::Corrupt | Fault::Gone) => {
                    self.shared.counters.retries.one();
                    todo.push_front(group);
                    let rest = todo.into_iter().flatten().collect();
                    let shared = &self.shared;
                    shared
                        .inbox
                        .done(|back| back.writes(&shared.counters, rest));
                    return;
                }
            }
        }
        self.shared.inbox.done(|_| ());
    }

    fn committed(&self, writes: &VecDeque<Write>) {
        let counters = &self.shared.counters;
        counters.records.add(writes.len());
        counters.record_transactions.one();
        *self.shared.generation.lock() += 1;
        self.shared.changed.notify_all();
        if writes
            .iter()
            .any(|w| !(w.deliveries.is_empty() && w.withdrawn.is_empty() && w.silences.is_empty()))
        {
            wake(&self.wakers);
        }
    }

    fn logs(&mut self, batches: Vec<LogBatch>) {
        let rows = batches.iter().map(|b| b.records.len()).sum();
        let outcome = self.attempt(|conn| {
            conn.transact(|tx| {
                batches
                    .iter()
                    .try_for_each(|b| queries::logs::insert(tx, b))
            })
        });
        let counters = &self.shared.counters;
        let mut back = Vec::new();
        match outcome {
            Ok(()) => {
                counters.log_records.add(rows);
                counters.log_transactions.one();
            }
            Err(Fault::Rejected) => counters.rejected.add(rows),
            Err(Fault::Busy | Fault::Full | Fault::Io | Fault::Corrupt | Fault::Gone) => {
                counters.retries.one();
                back = batches;
            }
        }
        self.shared.inbox.done(|q| q.logs(counters, back));
    }

    fn samples(&mut self, ticks: Vec<Tick>) {
        let rows = ticks.iter().map(Tick::rows).sum();
        let outcome = self.attempt(|conn| {
            conn.transact(|tx| {
                ticks.iter().try_for_each(|tick| {
                    queries::samples::insert(tx, &tick.samples)?;
                    queries::samples::insert_host(tx, tick.host.as_slice())
                })
            })
        });
        let counters = &self.shared.counters;
        let mut back = Vec::new();
        match outcome {
            Ok(()) => {
                counters.samples.add(rows);
                counters.sample_transactions.one();
            }
            Err(Fault::Rejected) => counters.rejected.add(rows),
            Err(Fault::Busy | Fault::Full | Fault::Io | Fault::Corrupt | Fault::Gone) => {
                counters.retries.one();
                back = ticks;
            }
        }
        self.shared.inbox.done(|q| q.samples(counters, back));
    }

    /// Writes batch by batch, each its own transaction; the first also says that the supervisor lives.
    fn checkpoint(&mut self, mut batches: VecDeque<Batch>) {
        let shared = Arc::clone(&self.shared);
        let counters = &shared.counters;
        let began = clock::mono();
        let values: usize = batches.iter().map(Vec::len).sum();
        let alive = clock::wall();
        loop {
            let batch = batches.front().map_or(&[][..], Vec::as_slice);
            let outcome = self.attempt(|conn| {
                conn.transact(|tx| {
                    queries::meta::set_alive(tx, alive)?;
                    queries::meta::put_checkpoint(tx, batch)
                })
            });
            match outcome {
                Ok(()) => {
                    counters.checkpoint_transactions.one();
                    counters.checkpoint_values.add(batch.len());
                }
                Err(Fault::Rejected) => counters.rejected.add(batch.len()),
                Err(Fault::Busy | Fault::Full | Fault::Io | Fault::Corrupt | Fault::Gone) => {
                    counters.checkpoint_failures.one();
                    break;
                }
            }
            batches.pop_front();
            if batches.is_empty() {
                let took = clock::mono().since(began).as_micros();
                counters.checkpointed(values, usize::try_from(took).unwrap_or(usize::MAX));
                break;
            }
        }
        shared.inbox.done(|back| back.checkpoint(counters, batches));
    }

    fn retain(&mut self) {
        let now = (clock::mono(), clock::wall());
        let mut retention = self.retention;
        let kept = *self.shared.kept.lock();
        let outcome = self.attempt(|conn| retention.bite(conn, now, kept));
        // Also after a failure: what could not be deleted is old for the next bite too.
        self.retention = retention;
        if let Err(fault) = outcome {
            log::debug!("old rows stay for now: {}", fault.text());
        }
        self.shared.inbox.done(|_| ());
    }
}

/// The error with its source, for the log.
fn described(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Wakes the dispatcher; when it has not looked since the last time, it is awake already.
pub(super) fn wake(wakers: &Wakers) {
    if let Some(channel) = &wakers.deliveries
        && let Err(error) = channel.try_send(())
        && error.is_disconnected()
    {
        log::debug!("nobody sends deliveries any more");
    }
}

/// One event with all that belongs to it.
fn put(tx: &Tx<'_>, write: &Write) -> Result<(), StoreError> {
    put_record(tx, &write.record, write)?;
    // That of a trial is made up.
    let is_real = write.record.event.facts.trial.is_none();
    if let Some(incident) = write.incident.as_ref().filter(|_| is_real) {
        queries::incidents::upsert(tx, incident)?;
    }
    for withdrawal in &write.withdrawn {
        queries::deliveries::withdraw(tx, withdrawal)?;
    }
    for moved in &write.moved {
        queries::silences::move_held(tx, moved)?;
    }
    for silence in &write.silences {
        queries::silences::put(tx, silence)?;
    }
    for delivery in &write.deliveries {
        queries::deliveries::insert(tx, delivery)?;
    }
    Ok(())
}

fn put_record(tx: &Tx<'_>, record: &Record, write: &Write) -> Result<(), StoreError> {
    queries::events::insert(tx, &record.event, write.incident.as_ref())?;
    if let Some(change) = &record.run {
        queries::runs::change(tx, change)?;
    }
    if let Some(state) = &record.state {
        queries::instances::upsert(tx, state)?;
    }
    Ok(())
}
