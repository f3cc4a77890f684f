//! How often each subject of the database has changed: what caches key their entries with. Owns the numbers.
//!
//! SQLite itself says which tables a transaction touches (its update hook), so whoever writes a new statement
//! cannot forget to invalidate what was read before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;

/// What is read together and changes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Events.
    Events,
    /// Incidents.
    Incidents,
    /// Deliveries and their counts.
    Deliveries,
}

impl Subject {
    /// Every subject.
    pub const ALL: [Self; 3] = [Self::Events, Self::Incidents, Self::Deliveries];

    /// The table whose rows tell of a change, and the namespace of cached reads. A table without rowids does
    /// not do: SQLite's hook is silent on those.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Incidents => "incidents",
            Self::Deliveries => "deliveries",
        }
    }
}

/// The numbers, one a subject.
#[derive(Debug, Default)]
pub(super) struct Versions {
    touched: [AtomicBool; Subject::ALL.len()],
    numbers: [AtomicU64; Subject::ALL.len()],
}

impl Versions {
    /// The number of `subject` now; it rises right after a commit that changed it.
    pub(super) fn of(&self, subject: Subject) -> u64 {
        self.numbers[subject as usize].load(Ordering::Acquire)
    }

    /// Has `conn` tell which tables it changes.
    pub(super) fn watch(self: &Arc<Self>, conn: &Connection) {
        let versions = Arc::clone(self);
        let hooked = conn.update_hook(Some(move |_action, _database: &str, table: &str, _row| {
            for subject in Subject::ALL {
                if subject.as_str() == table {
                    versions.touched[subject as usize].store(true, Ordering::Relaxed);
                }
            }
        }));
        if let Err(error) = hooked {
            log::error!("caches will not hear of changes: {error}");
        }
    }

    /// After a commit: readers see the change from here on, so what was read before is old. After a rollback
    /// nothing is said, and the mark left behind costs one needless read.
    pub(super) fn publish(&self) {
        for (touched, number) in self.touched.iter().zip(&self.numbers) {
            if touched.swap(false, Ordering::Relaxed) {
                number.fetch_add(1, Ordering::Release);
            }
        }
    }
}
