//! What one instance went through: the events of it alone, the ends of its runs without their details, and what
//! became of the supervisor meanwhile.

use rusqlite::{Row, params};

use super::{json, parse, row_limit, slot, wall};
use crate::clock::Wall;
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::store::error::StoreError;
use crate::store::tx::{Db, statements};

statements! {
    EVENTS = seek "read the events of an instance",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE program = ?1 AND slot = ?2 AND kind IN (SELECT value FROM json_each(?3))
         ORDER BY seq DESC LIMIT ?4";
    ENDS = seek "read the ends of an instance",
        "SELECT at, kind, facts ->> '$.uptime_s' AS uptime_s FROM events
         WHERE program = ?1 AND slot = ?2 AND kind IN (SELECT value FROM json_each(?3))
         ORDER BY seq DESC LIMIT ?4";
    SUPERVISOR = seek "read the supervisor's own events",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE program IS NULL AND kind IN (SELECT value FROM json_each(?1))
         ORDER BY seq DESC LIMIT ?2";
}

/// The end of a run, as far as series of them need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredEnd {
    /// When it was recorded.
    pub at: Wall,
    /// [`EventKind::ProgramCrashed`], [`EventKind::ProgramExited`] or [`EventKind::ProgramStopped`].
    pub kind: EventKind,
    /// How long the run had lasted, in seconds, where that is known.
    pub uptime_s: Option<f64>,
}

const KINDS: [EventKind; 3] = [
    EventKind::ProgramCrashed,
    EventKind::ProgramExited,
    EventKind::ProgramStopped,
];

/// The newest events of `name` that are of `kinds`, in the order of their commits.
pub(in crate::store) fn events(
    db: Db<'_>,
    name: &InstanceName,
    kinds: &[EventKind],
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let wanted = params![name.program(), slot(name), words(kinds), row_limit(limit)];
    let mut found = db.rows(EVENTS, wanted, super::events::read)?;
    found.reverse();
    Ok(found)
}

/// The newest events about no program that are of `kinds`, newest first.
pub(in crate::store) fn of_supervisor(
    db: Db<'_>,
    kinds: &[EventKind],
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let wanted = params![words(kinds), row_limit(limit)];
    db.rows(SUPERVISOR, wanted, super::events::read)
}

/// The newest ends of runs of `name`, newest first.
pub(in crate::store) fn list(
    db: Db<'_>,
    name: &InstanceName,
    limit: usize,
) -> Result<Vec<StoredEnd>, StoreError> {
    let wanted = params![name.program(), slot(name), words(&KINDS), row_limit(limit)];
    db.rows(ENDS, wanted, read)
}

fn words(kinds: &[EventKind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    json(&words)
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredEnd> {
    Ok(StoredEnd {
        at: wall(row, "at")?,
        kind: parse(row, "kind")?,
        uptime_s: row.get("uptime_s")?,
    })
}
