//! Retention: deletes what is old in bites while the writer is idle, and gives the room back in small steps.

use rusqlite::Connection;

use super::error::StoreError;
use super::queries;
use super::series::Kept;
use super::tx::{Sql, WriteConn};
use crate::clock::{Mono, Wall};
use crate::limits;

const VACUUM: Sql = Sql::seek(
    "give room back to the file system",
    "PRAGMA incremental_vacuum",
);
const FREE_PAGES: Sql = Sql::seek("count free pages", "PRAGMA freelist_count");

/// When the next bite is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    next: Mono,
}

impl Retention {
    /// The first look is a while after `now`, when starting is over.
    pub(super) fn new(now: Mono) -> Self {
        Self {
            next: now + limits::STORE_SAMPLES_WAIT,
        }
    }

    pub(super) fn due(self) -> Mono {
        self.next
    }

    /// Takes one bite; what is older than `kept` goes. Comes back soon while there is more, else after a pause.
    pub(super) fn bite(
        &mut self,
        conn: &WriteConn<'_>,
        (now, wall): (Mono, Wall),
        kept: Kept,
    ) -> Result<usize, StoreError> {
        self.next = now + limits::RETENTION_PAUSE;
        let deleted = conn.transact(|tx| queries::retention::bite(tx, wall, kept))?;
        conn.counters.expired_rows.add(deleted);
        let freed = vacuum(conn.conn)?;
        if deleted > 0 || freed {
            self.next = now;
        }
        Ok(deleted)
    }
}

/// Frees up to a step's pages; whether more are left.
fn vacuum(conn: &Connection) -> Result<bool, StoreError> {
    let free = || -> rusqlite::Result<u32> { conn.query_row(FREE_PAGES.text, [], |r| r.get(0)) };
    let before = free().map_err(|e| FREE_PAGES.failed(e))?;
    if before <= limits::RETENTION_PAGES {
        // A few free pages are soon used again.
        return Ok(false);
    }
    let mut statement = conn
        .prepare_cached(VACUUM.text)
        .map_err(|e| VACUUM.failed(e))?;
    let mut rows = statement.query([]).map_err(|e| VACUUM.failed(e))?;
    // It frees one page a step; leaving off early ends it there.
    for _ in 0..limits::RETENTION_PAGES {
        if rows.next().map_err(|e| VACUUM.failed(e))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
