//! What the supervisor did and what it cost, as `GET /api/v1/stats` and `stats --json` tell it. Wire types; owns
//! nothing.

use serde::{Deserialize, Serialize};

use super::sources::ConfigurationFacts;
use crate::store::StoreStats;

/// Everything that is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Reads, writes, transactions, checkpoints.
    pub database: StoreStats,
    /// The files, and what waits to be written.
    pub storage: StorageLine,
    /// The connections that read.
    pub pool: PoolLine,
    /// What was read and is kept.
    pub cache: CacheLine,
    /// What it took to get the configuration into memory.
    pub configuration: ConfigurationFacts,
}

/// The database as files and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageLine {
    /// The database file.
    pub database_bytes: u64,
    /// Its `-wal` file.
    pub wal_bytes: u64,
    /// Records, samples, log records and values that wait.
    pub queued: u64,
    /// Those lost because too many waited.
    pub dropped: u64,
}

/// The pool of readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLine {
    /// As configured.
    pub size: u32,
    /// Open.
    pub open: u32,
    /// Open and in use.
    pub used: u32,
}

/// The cache of what was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheLine {
    /// `lru`, `ttl` or `size`.
    pub policy: String,
    /// Answers held.
    pub entries: u64,
    /// As many as it may hold, unless it is bounded by bytes.
    pub max_entries: Option<u64>,
    /// About the memory they take.
    pub bytes: u64,
    /// As much as they may take, unless it is bounded by number.
    pub max_bytes: Option<u64>,
    /// The share of its room that is in use.
    pub use_percent: f64,
    /// Answers found.
    pub hits: u64,
    /// Answers that had to be read.
    pub misses: u64,
    /// The share that was found.
    pub hit_percent: f64,
    /// Answers that left for want of room.
    pub evictions: u64,
    /// Answers that left because of their age.
    pub expired: u64,
}

impl CacheLine {
    /// With the shares worked out.
    #[must_use]
    pub fn with_shares(mut self) -> Self {
        self.hit_percent = percent(self.hits, self.hits + self.misses);
        self.use_percent = match (self.max_bytes, self.max_entries) {
            (Some(most), _) => percent(self.bytes, most),
            (None, Some(most)) => percent(self.entries, most),
            (None, None) => 0.0,
        };
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        (part as f64 * 1_000.0 / whole as f64).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_bounds_the_cache_and_nothing_is_no_fault() {
        let line = CacheLine {
            entries: 25,
            max_entries: Some(100),
            hits: 2,
            misses: 1,
            ..CacheLine::default()
        };
        let told = line.with_shares();
        assert!((told.use_percent - 25.0).abs() < 0.01);
        assert!((told.hit_percent - 66.7).abs() < 0.01);
        let none = CacheLine::default().with_shares();
        assert!(none.use_percent.abs() < 0.01 && none.hit_percent.abs() < 0.01);
    }
}
