//! Deliveries for people: listed, found by the beginning of an id, and cleared away.

use rusqlite::params;

use super::deliveries::{DeliveryView, read};
use super::{json, row_limit};
use crate::ids::DeliveryId;
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::model::event::Event;
use crate::model::incident::Incident;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

// `~` is greater than every character of an id.
statements! {
    LIST = seek "list deliveries",
        "SELECT * FROM deliveries WHERE id > '' AND (?1 IS NULL OR target = ?1)
           AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
         ORDER BY id DESC LIMIT ?3";
    BEGINNING = seek "find deliveries by the beginning of an id",
        "SELECT * FROM deliveries WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT ?2";
    EVENTS = seek "find events by the beginning of an id",
        "SELECT id, at, kind, severity, program, slot, run, facts, incident_state FROM events
         WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT ?2";
    CHOSEN = seek "choose deliveries to remove",
        "SELECT id FROM deliveries WHERE state IN (SELECT value FROM json_each(?1)) AND id < ?2 LIMIT ?3";
    REMOVE = seek "remove deliveries",
        "DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?1))";
    REMOVE_ATTEMPTS = seek "remove the attempts of deliveries",
        "DELETE FROM attempts WHERE delivery IN (SELECT value FROM json_each(?1))";
}

/// The newest `limit` of `target` (none: all) in one of `states` (empty: all), newest first.
pub(in crate::store) fn list(
    db: Db<'_>,
    target: Option<&str>,
    (states, limit): (&[DeliveryState], usize),
) -> Result<Vec<DeliveryView>, StoreError> {
    let names: Vec<&str> = states.iter().map(|s| s.as_str()).collect();
    let names = (!names.is_empty()).then(|| json(&names));
    db.rows(LIST, params![target, names, row_limit(limit)], read)
}

/// The oldest `limit` deliveries whose id begins like this.
pub(in crate::store) fn beginning(
    db: Db<'_>,
    beginning: &str,
    limit: usize,
) -> Result<Vec<DeliveryView>, StoreError> {
    db.rows(BEGINNING, params![beginning, row_limit(limit)], read)
}

/// The oldest `limit` events whose id begins like this, each with its incident as it stood then.
pub(in crate::store) fn events(
    db: Db<'_>,
    beginning: &str,
    limit: usize,
) -> Result<Vec<(Event, Option<Incident>)>, StoreError> {
    db.rows(EVENTS, params![beginning, row_limit(limit)], |row| {
        let state: Option<String> = row.get("incident_state")?;
        let incident = state.map(|s| super::incidents::read_snapshot(&s));
        Ok((super::events::read(row)?, incident.transpose()?))
    })
}

/// Removes a bite of the deliveries in one of `states` that were made before `before`, with their attempts; says how
/// many. None that a worker has.
pub(in crate::store) fn purge(
    tx: &Tx<'_>,
    states: &[DeliveryState],
    before: DeliveryId,
) -> Result<usize, StoreError> {
    let free = states.iter().filter(|s| **s != DeliveryState::Leased);
    let names: Vec<&str> = free.map(|s| s.as_str()).collect();
    let bite = row_limit(limits::RETENTION_BITE);
    let ids: Vec<String> = tx.db().rows(
        CHOSEN,
        params![json(&names), before.to_string(), bite],
        |row| row.get(0),
    )?;
    let ids = json(&ids);
    tx.execute(REMOVE_ATTEMPTS, [&ids])?;
    tx.execute(REMOVE, [&ids])
}
