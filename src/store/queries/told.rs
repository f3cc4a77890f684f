//! What was told of incidents: found by the beginning of an id, with their events, and what each target was told.

use rusqlite::params;

use super::deliveries::{AttemptView, DeliveryView, read, read_attempt};
use super::{json, parse, row_limit};
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::DeliveryState;
use crate::model::event::Event;
use crate::model::incident::Incident;
use crate::store::error::StoreError;
use crate::store::tx::{Db, statements};

// `~` is greater than every character of an id.
statements! {
    BEGINNING = seek "find incidents by the beginning of an id",
        "SELECT * FROM incidents WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT ?2";
    NEWEST_OPEN = seek "read the newest open incidents",
        "SELECT * FROM incidents INDEXED BY incidents_open WHERE state = 'open' AND id > '' ORDER BY id DESC LIMIT ?1";
    EVENTS = seek "read the events of an incident",
        "SELECT id, at, kind, severity, program, slot, run, facts FROM events INDEXED BY events_by_incident
         WHERE incident = ?1 ORDER BY seq LIMIT ?2";
    DELIVERIES = seek "read what is told of an incident",
        "SELECT * FROM deliveries WHERE incident = ?1 ORDER BY id LIMIT ?2";
    ATTEMPTS = seek "read the attempts of deliveries",
        "SELECT * FROM attempts WHERE delivery IN (SELECT value FROM json_each(?1)) ORDER BY delivery, id LIMIT ?2";
    // The state and the id of the message are those of the row with the greatest id.
    TARGETS = seek "read how targets stand with incidents",
        "SELECT d.incident, d.target, d.state, max(d.id), coalesce(
           (SELECT m.message FROM messages AS m WHERE m.target = d.target AND m.incident = d.incident),
           d.message_id) AS message_id
         FROM deliveries AS d WHERE d.incident IN (SELECT value FROM json_each(?1))
         GROUP BY d.incident, d.target ORDER BY d.incident, d.target LIMIT ?2";
}

/// How one target stands with one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOf {
    /// The incident.
    pub incident: IncidentId,
    /// The target's name.
    pub target: String,
    /// Of the newest delivery.
    pub state: DeliveryState,
    /// The message it has of the incident.
    pub message_id: Option<String>,
}

/// The oldest `limit` incidents whose id begins like this.
pub(in crate::store) fn beginning(
    db: Db<'_>,
    beginning: &str,
    limit: usize,
) -> Result<Vec<Incident>, StoreError> {
    let limit = row_limit(limit);
    db.rows(BEGINNING, params![beginning, limit], super::incidents::read)
}

/// The newest `limit` that are open, newest first.
pub(in crate::store) fn open(db: Db<'_>, limit: usize) -> Result<Vec<Incident>, StoreError> {
    db.rows(NEWEST_OPEN, [row_limit(limit)], super::incidents::read)
}

/// The first `limit` events of an incident, in the order of their commits.
pub(in crate::store) fn events(
    db: Db<'_>,
    incident: IncidentId,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let limit = row_limit(limit);
    db.rows(
        EVENTS,
        params![incident.to_string(), limit],
        super::events::read,
    )
}

/// The first `limit` deliveries of an incident.
pub(in crate::store) fn deliveries(
    db: Db<'_>,
    incident: IncidentId,
    limit: usize,
) -> Result<Vec<DeliveryView>, StoreError> {
    let limit = row_limit(limit);
    db.rows(DELIVERIES, params![incident.to_string(), limit], read)
}

/// The first `limit` attempts at `deliveries`, those of one delivery together and in their order.
pub(in crate::store) fn attempts(
    db: Db<'_>,
    deliveries: &[DeliveryId],
    limit: usize,
) -> Result<Vec<(DeliveryId, AttemptView)>, StoreError> {
    let wanted = params![json(&deliveries), row_limit(limit)];
    db.rows(ATTEMPTS, wanted, |row| {
        Ok((parse(row, "delivery")?, read_attempt(row)?))
    })
}

/// How each target stands with each of `incidents`.
pub(in crate::store) fn targets(
    db: Db<'_>,
    incidents: &[IncidentId],
) -> Result<Vec<TargetOf>, StoreError> {
    let wanted = params![json(&incidents), row_limit(usize::MAX)];
    db.rows(TARGETS, wanted, |row| {
        Ok(TargetOf {
            incident: parse(row, "incident")?,
            target: row.get("target")?,
            state: parse(row, "state")?,
            message_id: row.get("message_id")?,
        })
    })
}
