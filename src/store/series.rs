//! Packed samples as others use them: what is to be packed, the transaction that packs it, and what is read of a
//! stretch of time, all of one moment. Knows no format.

use std::time::Duration;

use super::error::StoreError;
use super::queries::{chunks, samples};
use super::tx::Tx;
use super::{Store, queries};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::Sample;

/// A chunk as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Who measured.
    pub source: String,
    /// Which run.
    pub run: Option<RunId>,
    /// When its first sample was taken, in milliseconds since the Unix epoch.
    pub starts: i64,
    /// When its last was.
    pub ends: i64,
    /// Where it was to end.
    pub planned: i64,
    /// How many rows it has.
    pub rows: usize,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A chunk to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChunk {
    /// Whose.
    pub instance: InstanceName,
    /// Who measured.
    pub source: String,
    /// Which run.
    pub run: Option<RunId>,
    /// When its first sample was taken; no more than [`limits::CHUNK_SPAN_MAX`] before the last.
    pub starts: i64,
    /// When its last was.
    pub ends: i64,
    /// Where it was to end.
    pub planned: i64,
    /// How many rows it has.
    pub rows: usize,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Candles of a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCandles {
    /// Who measured.
    pub source: String,
    /// Where the stretch starts.
    pub starts: i64,
    /// How many candles there are.
    pub rows: usize,
    /// Their bytes.
    pub data: Vec<u8>,
}

/// What is stored of one instance and a stretch of time, as it was at one moment: no row is in it twice.
#[derive(Clone, Debug, Default)]
pub struct StoredHistory {
    /// Samples that are not packed.
    pub samples: Vec<Sample>,
    /// Those that are, unless candles were asked for.
    pub chunks: Vec<StoredChunk>,
    /// Blocks of candles, if asked for.
    pub candles: Vec<StoredCandles>,
}

/// How long packed samples and candles are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) raw: Duration,
    pub(super) chunks: Duration,
    pub(super) candles: Duration,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            raw: Duration::MAX,
            chunks: Duration::MAX,
            candles: Duration::MAX,
        }
    }
}

/// The transaction in which rows become a chunk and candles: all of it is stored, or nothing is.
pub struct Packing<'t> {
    tx: &'t Tx<'t>,
}

impl Packing<'_> {
    /// The chunks of an instance that reach into the stretch.
    pub fn chunks(
        &self,
        name: &InstanceName,
        stretch: (i64, i64),
    ) -> Result<Vec<StoredChunk>, StoreError> {
        chunks::range(self.tx.db(), name, stretch)
    }

    /// Stores a chunk.
    pub fn put_chunk(&self, chunk: &NewChunk) -> Result<(), StoreError> {
        chunks::insert(self.tx, chunk)
    }

    /// The blocks of candles of `frame` seconds that start at `starts`.
    pub fn candles(
        &self,
        of: (&InstanceName, i64),
        starts: i64,
    ) -> Result<Vec<StoredCandles>, StoreError> {
        chunks::candles(self.tx.db(), of, (starts, starts))
    }

    /// Stores a block of candles of `frame` seconds that ends at `ends`, in place of the one there was.
    pub fn put_candles(
        &self,
        of: (&InstanceName, i64, i64),
        block: &StoredCandles,
    ) -> Result<(), StoreError> {
        chunks::put_candles(self.tx, of, block)
    }

    /// Removes samples of `run`: they are packed.
    pub fn remove_samples(&self, run: RunId, times: &[i64]) -> Result<(), StoreError> {
        chunks::remove_rows(self.tx, run, times)
    }
}

impl Store {
    /// When the oldest sample was taken that is not packed.
    pub fn oldest_sample(&self) -> Result<Option<Wall>, StoreError> {
        self.read(queries::chunks::oldest)
    }

    /// The first `limit` samples of all instances in the stretch that are not packed, in order.
    pub fn samples_to_pack(
        &self,
        stretch: (i64, i64),
        limit: usize,
    ) -> Result<Vec<Sample>, StoreError> {
        self.read(|db| queries::chunks::rows(db, stretch, limit))
    }

    /// Does `work` in one transaction of the writer's, and waits for it.
    ///
    /// # Errors
    /// Nothing was stored, or the answer did not come in time and it may be.
    pub fn pack<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Packing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(move |tx| work(&Packing { tx }))
    }

    /// How many rows the chunks have that reach into the stretch.
    pub fn packed_rows(
        &self,
        name: &InstanceName,
        stretch: (i64, i64),
    ) -> Result<usize, StoreError> {
        self.read(|db| chunks::count(db, name, stretch))
    }

    /// What is stored of an instance and a stretch of time, both ends included: candles of `frame` seconds in
    /// blocks that start at `frame.1` or later, or chunks, and the samples that are in neither.
    pub fn stored_history(
        &self,
        name: &InstanceName,
        (from, to): (i64, i64),
        frame: Option<(i64, i64)>,
    ) -> Result<StoredHistory, StoreError> {
        let reader = self.inner.readers.get()?;
        reader.at_one_moment(|db| {
            let (from_wall, to_wall) = (Wall::from_millis(from), Wall::from_millis(to));
            let mut history = StoredHistory {
                samples: samples::range(db, name, from_wall, to_wall)?,
                ..StoredHistory::default()
            };
            match frame {
                Some((seconds, first)) => {
                    history.candles = chunks::candles(db, (name, seconds), (first, to))?;
                }
                None => history.chunks = chunks::range(db, name, (from, to))?,
            }
            Ok(history)
        })
    }

    /// From now on chunks and candles are kept for so long; candles of a short length no longer than is of use.
    pub fn keep_packed_for(&self, chunks: Duration, candles: Duration) {
        let mut kept = self.inner.shared.kept.lock();
        kept.chunks = chunks;
        kept.candles = candles;
    }
}

/// How long candles of `frame` seconds are kept where candles are kept for `all`.
pub(super) fn candles_kept(frame: i64, all: Duration) -> Duration {
    match frame {
        60 => all.min(limits::CANDLES_MINUTE_KEPT),
        300 => all.min(limits::CANDLES_FIVE_KEPT),
        900 => all.min(limits::CANDLES_QUARTER_KEPT),
        _ => all,
    }
}
