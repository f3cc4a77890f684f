//! How a cache does: counters that the cache and its library's own thread of work raise. Owns numbers only.

use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;

/// How a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers found.
    pub hits: u64,
    /// Answers that had to be read.
    pub misses: u64,
    /// Answers that left for want of room.
    pub evictions: u64,
    /// Answers that left because of their age.
    pub expired: u64,
    /// Answers held.
    pub entries: u64,
    /// About the bytes they take.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    expired: AtomicU64,
    entered: AtomicU64,
    left: AtomicU64,
    bytes_entered: AtomicU64,
    bytes_left: AtomicU64,
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn hit(&self) {
        one(&self.hits);
    }

    pub(super) fn missed(&self) {
        one(&self.misses);
    }

    pub(super) fn entered(&self, bytes: u32) {
        one(&self.entered);
        self.bytes_entered
            .fetch_add(bytes.into(), Ordering::Relaxed);
    }

    pub(super) fn left(&self, bytes: u32, why: RemovalCause) {
        one(&self.left);
        self.bytes_left.fetch_add(bytes.into(), Ordering::Relaxed);
        match why {
            RemovalCause::Size => one(&self.evictions),
            RemovalCause::Expired => one(&self.expired),
            RemovalCause::Explicit | RemovalCause::Replaced => {}
        }
    }

    pub(super) fn read(&self) -> CacheStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: get(&self.hits),
            misses: get(&self.misses),
            evictions: get(&self.evictions),
            expired: get(&self.expired),
            entries: get(&self.entered).saturating_sub(get(&self.left)),
            bytes: get(&self.bytes_entered).saturating_sub(get(&self.bytes_left)),
        }
    }
}
