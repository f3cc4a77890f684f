//! Events: stored with the incident as it stood, read forward from a known one or backward from the newest.

use std::sync::Arc;

use rusqlite::{Row, named_params, params};

use super::{json, parse, parse_opt, read_json, row_limit, slot, wall};
use crate::clock::Wall;
use crate::ids::EventId;
use crate::model::event::{Event, EventKind};
use crate::model::incident::Incident;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    INSERT = seek "store an event",
        "INSERT INTO events (id, at, kind, severity, program, slot, run, facts, incident, incident_state)
         VALUES (:id, :at, :kind, :severity, :program, :slot, :run, :facts, :incident, :incident_state)
         ON CONFLICT (id) DO NOTHING";
    FORWARD = seek "read events",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE seq > ?1 AND at >= ?2
           AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))
         ORDER BY seq LIMIT ?4";
    BACKWARD = seek "read the newest events",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE seq > ?1 AND at >= ?2
           AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))
         ORDER BY seq DESC LIMIT ?4";
    FORWARD_OF = seek "read events of programs",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE program IN (SELECT value FROM json_each(?5)) AND seq > ?1 AND at >= ?2
           AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))
         ORDER BY seq LIMIT ?4";
    BACKWARD_OF = seek "read the newest events of programs",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events
         WHERE program IN (SELECT value FROM json_each(?5)) AND seq > ?1 AND at >= ?2
           AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))
         ORDER BY seq DESC LIMIT ?4";
    SEQ_OF = seek "find an event", "SELECT seq FROM events WHERE id = ?1";
    SEQ_BEFORE = seek "find the event before one that is gone",
        "SELECT seq FROM events WHERE id < ?1 ORDER BY id DESC LIMIT 1";
    // `+ 0`: a bare min(seq) is answered by walking the events from the first one on.
    SEQ_SINCE = seek "find the first event since", "SELECT min(seq + 0) FROM events WHERE at >= ?1";
    NEWEST = seek "find the newest event", "SELECT id FROM events WHERE seq > 0 ORDER BY seq DESC LIMIT 1";
}

/// Which events to read. The default is all of them, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those committed after this one.
    pub after: Option<EventId>,
    /// Those that happened then or later.
    pub since: Option<Wall>,
    /// Those of these kinds; empty: all.
    pub kinds: Vec<EventKind>,
    /// Those of these programs; empty: all, and those of none.
    pub programs: Vec<Arc<str>>,
    /// At most so many, and never more than [`crate::limits::STORE_READ_ROWS`].
    pub limit: Option<usize>,
    /// Of what matches take the last ones; the answer is in the order of commits either way.
    pub is_newest: bool,
}

/// Stores `event` with the incident it belongs to, as that stands after it.
pub(in crate::store) fn insert(
    tx: &Tx<'_>,
    event: &Event,
    incident: Option<&Incident>,
) -> Result<(), StoreError> {
    tx.execute(
        INSERT,
        named_params! {
            ":id": event.id.to_string(),
            ":at": event.time.millis(),
            ":kind": event.kind.as_str(),
            ":severity": event.severity.as_str(),
            ":program": event.program().map(AsRef::as_ref),
            ":slot": event.instance.as_ref().map(slot),
            ":run": event.run.map(|r| r.to_string()),
            ":facts": json(&event.facts),
            ":incident": incident.map(|i| i.id.to_string()),
            ":incident_state": incident.map(super::incidents::snapshot),
        },
    )?;
    Ok(())
}

/// The events that match, in the order of their commits.
pub(in crate::store) fn list(db: Db<'_>, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
    let Some(after) = start(db, filter)? else {
        return Ok(Vec::new());
    };
    let since = filter.since.map_or(i64::MIN, Wall::millis);
    let kinds: Vec<&str> = filter.kinds.iter().map(|k| k.as_str()).collect();
    let kinds = (!kinds.is_empty()).then(|| json(&kinds));
    let limit = row_limit(filter.limit.unwrap_or(usize::MAX));
    let mut found = if filter.programs.is_empty() {
        let sql = if filter.is_newest { BACKWARD } else { FORWARD };
        db.rows(sql, params![after, since, kinds, limit], read)?
    } else {
        let programs = json(&filter.programs);
        let sql = if filter.is_newest {
            BACKWARD_OF
        } else {
            FORWARD_OF
        };
        db.rows(sql, params![after, since, kinds, limit, programs], read)?
    };
    if filter.is_newest {
        found.reverse();
    }
    Ok(found)
}

/// The place in the order of commits after which to read; `None` when nothing can match.
fn start(db: Db<'_>, filter: &EventFilter) -> Result<Option<i64>, StoreError> {
    let after = match filter.after {
        None => 0,
        Some(id) => match db.first(SEQ_OF, [id.to_string()], |r| r.get(0))? {
            Some(seq) => seq,
            None => db
                .first(SEQ_BEFORE, [id.to_string()], |r| r.get(0))?
                .unwrap_or(0),
        },
    };
    let Some(since) = filter.since else {
        return Ok(Some(after));
    };
    let first = db
        .first(SEQ_SINCE, [since.millis()], |r| r.get::<_, Option<i64>>(0))?
        .flatten();
    Ok(first.map(|seq| after.max(seq - 1)))
}

/// The event committed last.
pub(in crate::store) fn newest(db: Db<'_>) -> Result<Option<EventId>, StoreError> {
    db.first(NEWEST, [], |row| parse(row, "id"))
}

/// Reads the event columns of a row.
pub(in crate::store) fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let program: Option<String> = row.get("program")?;
    Ok(Event {
        id: parse(row, "id")?,
        time: wall(row, "at")?,
        kind: parse(row, "kind")?,
        severity: parse(row, "severity")?,
        instance: program.map(|_| super::instance(row)).transpose()?,
        run: parse_opt(row, "run")?,
        facts: read_json(&row.get::<_, String>("facts")?)?,
    })
}
