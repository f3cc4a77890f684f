//! What was read, kept until it changes. Owns the entries and their counters; knows nothing of what it keeps.
//!
//! A key names its namespace and the version of what was read. Whoever changes something raises its version
//! (the store does, by SQLite's own word), so an old answer is never found again; nobody invalidates by hand,
//! and what is no longer asked for leaves by the bound.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

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

/// How a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers found.
    pub hits: u64,
    /// Answers that had to be read.
    pub misses: u64,
}

/// A bounded cache; clones share it. The least recently used leave first.
#[derive(Clone)]
pub struct Cache {
    entries: moka::sync::Cache<Key, Arc<dyn Any + Send + Sync>>,
    hits: Arc<AtomicU64>,
    misses: Arc<AtomicU64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(limits::CACHE_ENTRIES)
    }
}

impl Cache {
    /// One with room for `entries` answers.
    #[must_use]
    pub fn new(entries: u64) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(entries);
        Self {
            entries: builder
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build(),
            hits: Arc::default(),
            misses: Arc::default(),
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
        // A namespace has one type; another type under the same key is read anew rather than trusted.
        let found = self
            .entries
            .get(&key)
            .and_then(|any| any.downcast::<T>().ok());
        if let Some(value) = found {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(value);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let value = Arc::new(read()?);
        self.entries
            .insert(key, Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
        Ok(value)
    }

    /// How it did so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

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
        let cache = Cache::new(10);
        assert_eq!(read(&cache, key("runs", 1, "web"), "old"), "old");
        assert_eq!(read(&cache, key("runs", 1, "web"), "never read"), "old");
        assert_eq!(read(&cache, key("runs", 2, "web"), "new"), "new");
        assert_eq!(cache.stats(), CacheStats { hits: 1, misses: 2 });
    }

    #[test]
    fn the_same_id_in_two_namespaces_does_not_clash() {
        let cache = Cache::new(10);
        assert_eq!(read(&cache, key("runs", 1, "web"), "a run"), "a run");
        assert_eq!(
            read(&cache, key("incidents", 1, "web"), "an incident"),
            "an incident"
        );
    }

    #[test]
    fn a_failed_read_is_not_kept() {
        let cache = Cache::new(10);
        let failed: Result<Arc<String>, &str> = cache.get(key("runs", 1, "web"), || Err("busy"));
        assert_eq!(failed, Err("busy"));
        assert_eq!(read(&cache, key("runs", 1, "web"), "there"), "there");
    }

    #[test]
    fn it_stays_within_its_bound_while_many_keys_pass_through() {
        let cache = Cache::new(100);
        for n in 0..10_000 {
            read(&cache, key("runs", n, ""), "x");
        }
        cache.entries.run_pending_tasks();
        assert!(
            cache.entries.entry_count() <= 100,
            "{}",
            cache.entries.entry_count()
        );
    }
}
