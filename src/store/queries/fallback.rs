//! What cannot be told to its target and goes to that one's fallback: a delivery of its own there, once, and from then
//! on the rest of the incident too. The delivery that stands for it stays what it is.

use std::sync::Arc;

use rusqlite::{named_params, params};

use super::{json, parse, parse_opt, wall};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId, IncidentId};
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Severity;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    FORGET = whole "forget the fallbacks", "UPDATE targets SET fallback = NULL WHERE fallback IS NOT NULL";
    SET = seek "keep a fallback",
        "INSERT INTO targets (name, fallback) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET fallback = excluded.fallback";
    // What has not been tried and is not due waits on purpose.
    WAITING = seek "find what waits for a target that cannot be told",
        "SELECT d.id AS delivery FROM json_each(?1) AS t
         CROSS JOIN deliveries AS d INDEXED BY deliveries_pending ON d.target = t.value
         WHERE d.state = 'pending' AND d.passed = 0 AND d.severity <> 'info' AND d.held IS NULL
           AND (d.due <= ?2 OR d.attempts > 0)
         ORDER BY d.id LIMIT ?3";
    EXPIRING = seek "find what expires and has a fallback",
        "SELECT d.id AS delivery FROM deliveries AS d INDEXED BY deliveries_expiring
         CROSS JOIN targets AS t ON t.name = d.target
         WHERE d.state = 'pending' AND d.expires_at <= ?1 AND d.passed = 0 AND d.severity <> 'info'
           AND t.fallback IS NOT NULL";
    READ = seek "read what goes to a fallback",
        "SELECT d.id AS delivery, d.event, d.incident, d.target, d.severity, d.expires_at, t.fallback
         FROM json_each(?1) AS j
         CROSS JOIN deliveries AS d ON d.id = j.value
         CROSS JOIN targets AS t ON t.name = d.target
         WHERE d.passed = 0 AND d.severity <> 'info' AND t.fallback IS NOT NULL ORDER BY d.id";
    PASSED = seek "note what went to a fallback",
        "UPDATE deliveries SET passed = 1 WHERE id = ?1";
    TOLD_OF = seek "see whether an event of an incident goes to a target",
        "SELECT 1 FROM deliveries INDEXED BY deliveries_by_incident
         WHERE incident = ?1 AND event = ?2 AND target = ?3 LIMIT 1";
    TOLD = seek "see whether an event goes to a target",
        "SELECT 1 FROM deliveries INDEXED BY deliveries_apart
         WHERE incident IS NULL AND event = ?1 AND target = ?2 LIMIT 1";
    MARK = seek "say whose a delivery is", "UPDATE deliveries SET instead_of = ?2 WHERE id = ?1";
    FOLLOWED = seek "see whether an incident is told in a target's place",
        "SELECT 1 FROM deliveries INDEXED BY deliveries_instead
         WHERE instead_of = :target AND incident = :incident LIMIT 1";
}

/// Keeps who stands in for whom, in place of what was kept before.
pub(in crate::store) fn keep(
    tx: &Tx<'_>,
    fallbacks: &[(Arc<str>, Arc<str>)],
) -> Result<(), StoreError> {
    tx.execute(FORGET, [])?;
    for (target, fallback) in fallbacks {
        tx.execute(SET, params![target.as_ref(), fallback.as_ref()])?;
    }
    Ok(())
}

/// What waits for `targets` and has not gone to their fallbacks.
pub(in crate::store) fn waiting(
    db: Db<'_>,
    targets: &[Arc<str>],
    now: Wall,
) -> Result<Vec<DeliveryId>, StoreError> {
    let most = super::int(limits::FALLBACK_AT_ONCE);
    let params = params![json(&targets), now.millis(), most];
    db.rows(WAITING, params, |row| parse(row, "delivery"))
}

/// What expires at `now` and has not gone to a fallback.
pub(in crate::store) fn expiring(db: Db<'_>, now: Wall) -> Result<Vec<DeliveryId>, StoreError> {
    db.rows(EXPIRING, [now.millis()], |row| parse(row, "delivery"))
}

struct Row {
    id: DeliveryId,
    event: EventId,
    incident: Option<IncidentId>,
    target: String,
    severity: Severity,
    expires_at: Wall,
    fallback: String,
}

/// Hands those of `ids` that have a fallback to it, due at `now`; says how many went.
pub(in crate::store) fn pass(
    tx: &Tx<'_>,
    ids: &[DeliveryId],
    now: Wall,
) -> Result<usize, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let rows = tx.db().rows(READ, [json(&ids)], |row| {
        Ok(Row {
            id: parse(row, "delivery")?,
            event: parse(row, "event")?,
            incident: parse_opt(row, "incident")?,
            target: row.get("target")?,
            severity: parse(row, "severity")?,
            expires_at: wall(row, "expires_at")?,
            fallback: row.get("fallback")?,
        })
    })?;
    let mut count = 0;
    for row in rows {
        tx.execute(PASSED, [row.id.to_string()])?;
        if !is_told(tx.db(), &row)? {
            stand_in(tx, &row, now)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Whether the fallback hears of the event anyway.
fn is_told(db: Db<'_>, row: &Row) -> Result<bool, StoreError> {
    let event = row.event.to_string();
    let found: Option<()> = match row.incident {
        Some(incident) => {
            let params = params![incident.to_string(), event, row.fallback];
            db.first(TOLD_OF, params, |_| Ok(()))?
        }
        None => db.first(TOLD, params![event, row.fallback], |_| Ok(()))?,
    };
    Ok(found.is_some())
}

fn stand_in(tx: &Tx<'_>, row: &Row, now: Wall) -> Result<(), StoreError> {
    let life = row.expires_at.since(row.id.time());
    let new = NewDelivery {
        id: DeliveryId::new(),
        event: row.event,
        incident: row.incident,
        target: row.fallback.as_str().into(),
        severity: row.severity,
        due: now,
        held: None,
        seat: None,
        expires_at: now + life,
    };
    super::deliveries::insert(tx, &new)?;
    tx.execute(MARK, params![new.id.to_string(), row.target])?;
    Ok(())
}

/// Lets whoever is told of the incident in the target's place hear of `new`, too.
pub(in crate::store) fn follow(tx: &Tx<'_>, new: &NewDelivery) -> Result<(), StoreError> {
    let Some(incident) = new.incident.filter(|_| new.held.is_none()) else {
        return Ok(());
    };
    let params =
        named_params! { ":target": new.target.as_ref(), ":incident": incident.to_string() };
    if tx.db().first(FOLLOWED, params, |_| Ok(()))?.is_some() {
        pass(tx, &[new.id], new.due)?;
    }
    Ok(())
}
