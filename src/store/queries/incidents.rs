//! Incidents as they stand, and the snapshot of one that is kept with each of its events.

use rusqlite::{Row, named_params, params};
use serde::{Deserialize, Serialize};

use super::{int, json, parse, read_json, row_limit, slot, unreadable, unsigned, wall, wall_opt};
use crate::clock::Wall;
use crate::ids::IncidentId;
use crate::model::event::Severity;
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::name::InstanceName;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    UPSERT = seek "store an incident",
        "INSERT INTO incidents (id, program, slot, condition, subject, severity, state, opened_at, resolved_at,
           events, seq, failures, cycle, cause)
         VALUES (:id, :program, :slot, :condition, :subject, :severity, :state, :opened_at, :resolved_at,
           :events, :seq, :failures, :cycle, :cause)
         ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, state = excluded.state,
           resolved_at = excluded.resolved_at, events = excluded.events, seq = excluded.seq,
           failures = excluded.failures, cause = excluded.cause
         WHERE excluded.seq >= incidents.seq";
    OPEN = seek "read the open incidents",
        "SELECT * FROM incidents WHERE state = 'open' AND id > '' ORDER BY id";
    RESOLVED_SINCE = seek "read what resolved lately",
        "SELECT * FROM incidents WHERE state = 'resolved' AND resolved_at >= ?1 ORDER BY resolved_at DESC LIMIT ?2";
    NEWEST = seek "read incidents",
        "SELECT * FROM incidents WHERE id > '' AND opened_at >= ?1 ORDER BY id DESC LIMIT ?2";
    NEWEST_OF = seek "read incidents of programs",
        "SELECT * FROM incidents WHERE program IN (SELECT value FROM json_each(?3)) AND opened_at >= ?1
         ORDER BY id DESC LIMIT ?2";
}

/// Which incidents to read. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Those opened then or later.
    pub since: Option<Wall>,
    /// Those of these programs; empty: all.
    pub programs: Vec<std::sync::Arc<str>>,
    /// The newest so many, and never more than [`crate::limits::STORE_READ_ROWS`].
    pub limit: Option<usize>,
}

/// The stored form of an incident beside an event.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    id: IncidentId,
    program: Option<std::sync::Arc<str>>,
    slot: Option<u16>,
    condition: Condition,
    #[serde(default)]
    subject: Option<String>,
    severity: Severity,
    state: IncidentState,
    opened_at: i64,
    resolved_at: Option<i64>,
    events: u64,
    seq: u64,
    failures: u32,
    #[serde(default = "first")]
    cycle: u32,
    cause: Option<String>,
}

/// What was stored before incidents were seen to flap.
fn first() -> u32 {
    1
}

pub(super) fn snapshot(incident: &Incident) -> String {
    json(&Snapshot {
        id: incident.id,
        program: incident
            .instance
            .as_ref()
            .map(|i| std::sync::Arc::clone(i.program())),
        slot: incident.instance.as_ref().and_then(InstanceName::index),
        condition: incident.condition,
        subject: incident.subject.clone(),
        severity: incident.severity,
        state: incident.state,
        opened_at: incident.opened_at.millis(),
        resolved_at: incident.resolved_at.map(Wall::millis),
        events: incident.events,
        seq: incident.seq,
        failures: incident.failures,
        cycle: incident.cycle,
        cause: incident.cause.clone(),
    })
}

pub(super) fn read_snapshot(text: &str) -> rusqlite::Result<Incident> {
    let stored: Snapshot = read_json(text)?;
    Ok(Incident {
        id: stored.id,
        instance: stored.program.map(|program| match stored.slot {
            None => InstanceName::single(program),
            Some(index) => InstanceName::indexed(program, index),
        }),
        condition: stored.condition,
        subject: stored.subject,
        severity: stored.severity,
        state: stored.state,
        opened_at: Wall::from_millis(stored.opened_at),
        resolved_at: stored.resolved_at.map(Wall::from_millis),
        events: stored.events,
        seq: stored.seq,
        failures: stored.failures,
        cycle: stored.cycle,
        cause: stored.cause,
    })
}

/// Stores `incident` as it stands; an older state of it does not replace a newer one.
pub(in crate::store) fn upsert(tx: &Tx<'_>, incident: &Incident) -> Result<(), StoreError> {
    tx.execute(
        UPSERT,
        named_params! {
            ":id": incident.id.to_string(),
            ":program": incident.instance.as_ref().map(|i| i.program().as_ref()),
            ":slot": incident.instance.as_ref().map(slot),
            ":condition": incident.condition.as_str(),
            ":subject": incident.subject,
            ":severity": incident.severity.as_str(),
            ":state": incident.state.as_str(),
            ":opened_at": incident.opened_at.millis(),
            ":resolved_at": incident.resolved_at.map(Wall::millis),
            ":events": int(incident.events),
            ":seq": int(incident.seq),
            ":failures": incident.failures,
            ":cycle": incident.cycle,
            ":cause": incident.cause,
        },
    )?;
    Ok(())
}

/// The open ones, oldest first.
pub(in crate::store) fn open(db: Db<'_>) -> Result<Vec<Incident>, StoreError> {
    db.rows(OPEN, [], read)
}

/// Those that resolved at `since` or later, the latest first.
pub(in crate::store) fn resolved_since(
    db: Db<'_>,
    since: Wall,
) -> Result<Vec<Incident>, StoreError> {
    db.rows(
        RESOLVED_SINCE,
        params![since.millis(), row_limit(usize::MAX)],
        read,
    )
}

/// The newest that match, newest first.
pub(in crate::store) fn list(
    db: Db<'_>,
    filter: &IncidentFilter,
) -> Result<Vec<Incident>, StoreError> {
    let since = filter.since.map_or(i64::MIN, Wall::millis);
    let limit = row_limit(filter.limit.unwrap_or(usize::MAX));
    if filter.programs.is_empty() {
        db.rows(NEWEST, params![since, limit], read)
    } else {
        db.rows(
            NEWEST_OF,
            params![since, limit, json(&filter.programs)],
            read,
        )
    }
}

/// Reads a whole row.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let state: String = row.get("state")?;
    Ok(Incident {
        id: parse(row, "id")?,
        instance: super::instance_opt(row)?,
        condition: parse(row, "condition")?,
        subject: row.get("subject")?,
        severity: parse(row, "severity")?,
        state: match state.as_str() {
            "open" => IncidentState::Open,
            "resolved" => IncidentState::Resolved,
            _ => {
                return Err(unreadable(
                    rusqlite::types::Type::Text,
                    super::Unknown(state),
                ));
            }
        },
        opened_at: wall(row, "opened_at")?,
        resolved_at: wall_opt(row, "resolved_at")?,
        events: unsigned(row, "events")?,
        seq: unsigned(row, "seq")?,
        failures: row.get("failures")?,
        cycle: row.get("cycle")?,
        cause: row.get("cause")?,
    })
}
