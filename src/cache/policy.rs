//! What leaves a cache first, as a choice. Plain data.

use std::time::Duration;

use crate::limits;

/// What a cache may hold, and what leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is bounded.
    pub room: Room,
    /// What is older leaves, however often it is asked for.
    pub ttl: Option<Duration>,
}

/// What a cache is bounded by; the least recently used leave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many answers.
    Entries(u64),
    /// About so many bytes.
    Bytes(u64),
}

impl Policy {
    /// As many answers as [`limits::CACHE_ENTRIES`].
    pub const LRU: Self = Self {
        room: Room::Entries(limits::CACHE_ENTRIES),
        ttl: None,
    };

    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.room, self.ttl) {
            (_, Some(_)) => "ttl",
            (Room::Entries(_), None) => "lru",
            (Room::Bytes(_), None) => "size",
        }
    }
}
