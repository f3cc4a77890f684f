//! What was read, kept until it changes. Owns the entries and their counters; knows nothing of what it keeps.
//!
//! A key names its namespace and the version of what was read. Whoever changes something raises its version
//! (the store does, by SQLite's own word), so an old answer is never found again; nobody invalidates by hand,
//! and what is no longer asked for leaves by the bound.

mod policy;
mod tally;

use std::any::Any;
use std::sync::Arc;

use moka::policy::EvictionPolicy;

use self::tally::Tally;

pub use self::policy::{Policy, Room};
pub use self::tally::CacheStats;

/// What an answer is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What kind of question; the same id in two namespaces is two keys.
    pub namespace: &'static str,
    /// Of what the answer was read from, taken before reading.
    pub version: u64,
    /// Which one; empty where there is only one.
    pub id: String,
}

/// An answer, and about the bytes it takes with its key.
#[derive(Clone)]
struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    bytes: u32,
}

/// A bounded cache; clones share it. The least recently used leave first.
#[derive(Clone)]
pub struct Cache {
    entries: moka::sync::Cache<Key, Entry>,
    tally: Arc<Tally>,
    policy: Policy,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(Policy::LRU)
    }
}

impl Cache {
    /// An empty one under `policy`.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let tally = Arc::new(Tally::default());
        let told = Arc::clone(&tally);
        let mut builder = moka::sync::Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_: Arc<Key>, entry: Entry, why| told.left(entry.bytes, why));
        builder = match policy.room {
            Room::Entries(most) => builder.max_capacity(most),
            Room::Bytes(most) => builder
                .max_capacity(most)
                .weigher(|_, entry: &Entry| entry.bytes),
        };
        if let Some(ttl) = policy.ttl {
            builder = builder.time_to_live(ttl);
        }
        Self {
            entries: builder.build(),
            tally,
            policy,
        }
    }

    /// The answer under `key`, read by `read` if it is not there. A failed read is not kept.
    ///
    /// # Errors
    /// `read` failed.
    pub fn get<T, E>(&self, key: Key, read: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        self.get_sized(key, |_| size_of::<T>(), read)
    }

    /// Like [`Cache::get`], for an answer of which `size` tells about the bytes it takes.
    ///
    /// # Errors
    /// `read` failed.
    pub fn get_sized<T, E>(
        &self,
        key: Key,
        size: impl FnOnce(&T) -> usize,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        // A namespace has one type; another type under the same key is read anew rather than trusted.
        let found = self
            .entries
            .get(&key)
            .and_then(|entry| entry.value.downcast::<T>().ok());
        if let Some(value) = found {
            self.tally.hit();
            return Ok(value);
        }
        self.tally.missed();
        let value = Arc::new(read()?);
        let own = size_of::<(Key, Entry)>() + key.id.len();
        let bytes = u32::try_from(own + size(&value)).unwrap_or(u32::MAX);
        self.tally.entered(bytes);
        let entry = Entry {
            value: Arc::clone(&value) as Arc<dyn Any + Send + Sync>,
            bytes,
        };
        self.entries.insert(key, entry);
        Ok(value)
    }

    /// What it may hold.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// How it did so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        // The library puts off what is due until somebody comes by.
        self.entries.run_pending_tasks();
        self.tally.read()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn small(entries: u64) -> Cache {
        Cache::new(Policy {
            room: Room::Entries(entries),
            ttl: None,
        })
    }

    fn key(namespace: &'static str, version: u64, id: &str) -> Key {
        Key {
            namespace,
            version,
            id: id.to_owned(),
        }
    }

    fn read(cache: &Cache, key: Key, value: &str) -> String {
        let value = value.to_owned();
        cache
            .get(key, || Ok::<_, Infallible>(value))
            .map_or_else(|never| match never {}, |v| v.to_string())
    }

    #[test]
    fn after_a_change_the_next_read_is_fresh() {
        let cache = small(10);
        assert_eq!(read(&cache, key("runs", 1, "web"), "old"), "old");
        assert_eq!(read(&cache, key("runs", 1, "web"), "never read"), "old");
        assert_eq!(read(&cache, key("runs", 2, "web"), "new"), "new");
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries), (1, 2, 2));
    }

    #[test]
    fn the_same_id_in_two_namespaces_does_not_clash() {
        let cache = small(10);
        assert_eq!(read(&cache, key("runs", 1, "web"), "a run"), "a run");
        assert_eq!(
            read(&cache, key("incidents", 1, "web"), "an incident"),
            "an incident"
        );
    }

    #[test]
    fn a_failed_read_is_not_kept() {
        let cache = small(10);
        let failed: Result<Arc<String>, &str> = cache.get(key("runs", 1, "web"), || Err("busy"));
        assert_eq!(failed, Err("busy"));
        assert_eq!(read(&cache, key("runs", 1, "web"), "there"), "there");
    }

    #[test]
    fn it_stays_within_its_bound_while_many_keys_pass_through() {
        let cache = small(100);
        for n in 0..10_000 {
            read(&cache, key("runs", n, ""), "x");
        }
        let stats = cache.stats();
        assert!(stats.entries <= 100, "{stats:?}");
        assert_eq!(stats.entries + stats.evictions, 10_000);
        assert!(stats.bytes <= 100 * 1_000, "{stats:?}");
    }

    #[test]
    fn the_least_recently_used_leaves_first() {
        let cache = small(2);
        read(&cache, key("runs", 1, "a"), "a");
        read(&cache, key("runs", 1, "b"), "b");
        let _ = cache.stats();
        read(&cache, key("runs", 1, "a"), "never read");
        let _ = cache.stats();
        read(&cache, key("runs", 1, "c"), "c");
        let _ = cache.stats();
        assert_eq!(read(&cache, key("runs", 1, "a"), "read anew"), "a");
        assert_eq!(read(&cache, key("runs", 1, "b"), "read anew"), "read anew");
    }

    #[test]
    fn by_size_large_answers_leave_room_for_fewer() {
        let cache = Cache::new(Policy {
            room: Room::Bytes(100_000),
            ttl: None,
        });
        for n in 0..1_000 {
            let answer = cache.get_sized(key("pages", n, ""), String::len, || {
                Ok::<_, Infallible>("x".repeat(10_000))
            });
            assert!(answer.is_ok());
        }
        let stats = cache.stats();
        assert!(stats.bytes <= 100_000, "{stats:?}");
        assert!(stats.entries <= 9, "{stats:?}");
        assert_eq!(cache.policy().as_str(), "size");
    }

    #[test]
    fn by_age_an_answer_is_read_anew() {
        let cache = Cache::new(Policy {
            ttl: Some(std::time::Duration::from_nanos(1)),
            ..Policy::LRU
        });
        read(&cache, key("runs", 1, "web"), "old");
        assert_eq!(read(&cache, key("runs", 1, "web"), "new"), "new");
        assert_eq!(cache.stats().hits, 0);
        assert_eq!(cache.policy().as_str(), "ttl");
    }
}
