//! What is stored as those read it who look from outside: through the cache, so that looking again costs nothing
//! until something changes. Owns no data.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Cache, Key, Policy, Room};
use crate::control::api::DeliveryLine;
use crate::control::sources::{Account, ConfigurationFacts, EventQuery, SourceError, StoreView};
use crate::control::stats::{CacheLine, PoolLine, Stats, StorageLine};
use crate::ids::{DeliveryId, SilenceId};
use crate::model::event::Event;
use crate::model::name::InstanceName;
use crate::model::silence::Silence;
use crate::model::status::PhaseName;
use crate::store::{Store, Subject};

/// About the bytes of an event with its facts, of an end with its last lines, and of an instance: for the estimate of memory only.
const EVENT_BYTES: usize = 700;
const END_BYTES: usize = 1_500;
const STATE_BYTES: usize = 64;

/// The store behind the cache.
#[derive(Clone)]
pub(super) struct Reading {
    pub store: Store,
    pub cache: Cache,
}

impl Reading {
    /// Versions come from the store: whoever commits an event makes every key of before one that nobody asks for.
    fn key(&self, namespace: &'static str, id: String) -> Key {
        Key {
            namespace,
            version: self.store.version(Subject::Events),
            id,
        }
    }

    /// The figures of this moment.
    pub fn stats(&self, configuration: ConfigurationFacts) -> Stats {
        let bytes = |ending: &str| {
            let mut path = self.store.path().as_os_str().to_owned();
            path.push(ending);
            std::fs::metadata(path).map_or(0, |m| m.len())
        };
        let (health, pool) = (self.store.health(), self.store.pool_state());
        Stats {
            database: self.store.stats(),
            storage: StorageLine {
                database_bytes: bytes(""),
                wal_bytes: bytes("-wal"),
                queued: health.queued,
                dropped: health.dropped,
            },
            pool: PoolLine {
                size: pool.size,
                open: pool.open,
                used: pool.open.saturating_sub(pool.idle),
            },
            cache: cache_line(&self.cache),
            configuration,
        }
    }
}

fn cache_line(cache: &Cache) -> CacheLine {
    let (stats, policy) = (cache.stats(), cache.policy());
    let (max_entries, max_bytes) = most(policy);
    CacheLine {
        policy: policy.as_str().to_owned(),
        entries: stats.entries,
        max_entries,
        bytes: stats.bytes,
        max_bytes,
        hits: stats.hits,
        misses: stats.misses,
        evictions: stats.evictions,
        expired: stats.expired,
        ..CacheLine::default()
    }
    .with_shares()
}

fn most(policy: Policy) -> (Option<u64>, Option<u64>) {
    match policy.room {
        Room::Entries(most) => (Some(most), None),
        Room::Bytes(most) => (None, Some(most)),
    }
}

impl StoreView for Reading {
    fn events(&self, query: &EventQuery) -> Result<Vec<Event>, SourceError> {
        let key = self.key("events", format!("{query:?}"));
        let size = |found: &Vec<Event>| found.len() * EVENT_BYTES;
        let read = || StoreView::events(&self.store, query);
        self.cache
            .get_sized(key, size, read)
            .map(Arc::unwrap_or_clone)
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryLine>, SourceError> {
        StoreView::delivery(&self.store, id)
    }

    fn states(&self) -> Result<Vec<(InstanceName, PhaseName)>, SourceError> {
        // The row of an instance is written with an event, so it changes with those.
        let key = self.key("states", String::new());
        let size = |found: &Vec<(InstanceName, PhaseName)>| found.len() * STATE_BYTES;
        self.cache
            .get_sized(key, size, || self.store.states())
            .map(Arc::unwrap_or_clone)
    }

    fn account(&self, name: &InstanceName, last: usize) -> Result<Account, SourceError> {
        let key = self.key("account", format!("{last} {name}"));
        let size = |found: &Account| found.ends.len() * END_BYTES;
        let read = || self.store.account(name, last);
        self.cache
            .get_sized(key, size, read)
            .map(Arc::unwrap_or_clone)
    }

    fn silence(&self, id: SilenceId) -> Result<Option<Silence>, SourceError> {
        StoreView::silence(&self.store, id)
    }

    fn generation(&self) -> u64 {
        Store::generation(&self.store)
    }

    fn wait_change(&self, seen: u64, timeout: Duration) -> u64 {
        Store::wait_change(&self.store, seen, timeout)
    }
}
