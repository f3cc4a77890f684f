//! `[cache]`: what of the history that was read is kept in memory.

use std::time::Duration;

/// How it is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// What leaves first.
    pub policy: Eviction,
    /// Answers at the most, unless bytes are bounded.
    pub entries: u64,
    /// What is older leaves, where age counts.
    pub ttl: Duration,
    /// About the bytes at the most, where they count.
    pub bytes: u64,
}

/// What leaves a cache first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The least recently used, by number.
    Lru,
    /// What is too old, and beyond the number the least recently used.
    Ttl,
    /// The least recently used, by size.
    Size,
}
