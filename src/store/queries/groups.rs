//! What is told together: which incidents share a message, and which events share a delivery.

use rusqlite::{Row, params};

use super::{json, parse, parse_opt, read_json};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId, IncidentId};
use crate::limits;
use crate::model::delivery::{Leased, NewDelivery};
use crate::model::group::{Member, Seat};
use crate::model::hold::Hold;
use crate::model::incident::{Incident, IncidentState};
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    SIT = seek "store what shares a message",
        "INSERT INTO group_members (target, incident, lead, event, needs) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (target, incident) DO NOTHING";
    // Not one that has been tried: its body must stay the same.
    JOIN = seek "store what shares a delivery",
        "INSERT INTO grouped_events (delivery, event)
         SELECT id, ?2 FROM deliveries
         WHERE id = ?1 AND state = 'pending' AND attempts = 0 AND doubtful = 0 AND body IS NULL
         ON CONFLICT (delivery, event) DO NOTHING";
    KEEP = seek "name what a delivery said before",
        "INSERT INTO grouped_events (delivery, event) SELECT id, event FROM deliveries WHERE id = ?1
         ON CONFLICT (delivery, event) DO NOTHING";
    WORSEN = seek "let a delivery say something worse",
        "UPDATE deliveries SET event = ?2, severity = ?3, expires_at = max(expires_at, ?4) WHERE id = ?1";
    EVENTS = seek "read what shares deliveries",
        "SELECT g.delivery, g.event FROM json_each(?1) AS t
         CROSS JOIN grouped_events AS g ON g.delivery = t.value ORDER BY g.delivery, g.event";
    // Of the same message: all that wait and are due.
    TOGETHER = seek "find what shares a message and can be told together",
        "SELECT h.id AS head, d.id AS delivery, d.attempts, d.doubtful
         FROM json_each(?1) AS t
         CROSS JOIN deliveries AS h ON h.id = t.value
         CROSS JOIN group_members AS g ON g.target = h.target AND g.incident = h.incident
         CROSS JOIN group_members AS o INDEXED BY group_members_by_lead ON o.target = g.target AND o.lead = g.lead
         CROSS JOIN deliveries AS d INDEXED BY deliveries_open ON d.target = o.target AND d.incident = o.incident
         WHERE d.state IN ('pending', 'leased') AND d.state = 'pending' AND d.due <= ?2
         ORDER BY h.id, d.id LIMIT ?3";
    MEMBERS = seek "read what shares a message",
        "SELECT d.id AS delivery, o.incident AS member, o.lead, o.needs, i.state AS member_state, i.severity AS member_severity,
           i.condition, i.subject, i.opened_at, i.resolved_at, i.events, i.seq AS changes, i.failures, i.cycle, i.cause,
           i.program, i.slot, e.id AS id, e.at, e.kind, e.severity, e.run, e.facts
         FROM json_each(?1) AS t
         CROSS JOIN deliveries AS d ON d.id = t.value
         CROSS JOIN group_members AS g ON g.target = d.target AND g.incident = d.incident
         CROSS JOIN group_members AS o INDEXED BY group_members_by_lead ON o.target = g.target AND o.lead = g.lead
         CROSS JOIN incidents AS i ON i.id = o.incident
         LEFT JOIN events AS e ON e.id = o.event
         ORDER BY d.id, i.state, o.incident LIMIT ?2";
    RELEASE = seek "let go of what waits for others",
        "UPDATE deliveries SET due = min(due, ?2) WHERE held = ?1 AND held IS NOT NULL AND state = 'pending'";
    FORGET = seek "forget what shared messages",
        "DELETE FROM group_members WHERE event IN (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)";
    FORGET_EVENTS = seek "forget what shared deliveries",
        "DELETE FROM grouped_events WHERE event IN (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)";
}

/// Gives `new` its place among others; whether it is to be stored as a delivery of its own.
pub(super) fn seat(tx: &Tx<'_>, new: &NewDelivery) -> Result<bool, StoreError> {
    match (&new.seat, new.incident) {
        (Some(Seat::Beside { lead, needs }), Some(incident)) => {
            tx.execute(
                SIT,
                params![
                    new.target.as_ref(),
                    incident.to_string(),
                    lead.to_string(),
                    new.event.to_string(),
                    json(needs)
                ],
            )?;
            Ok(true)
        }
        (Some(Seat::In { row, is_worse }), _) => Ok(!join(tx, new, (*row, *is_worse))?),
        (Some(Seat::Beside { .. }), None) | (None, _) => Ok(true),
    }
}

/// Whether `row` tells `new`.
fn join(
    tx: &Tx<'_>,
    new: &NewDelivery,
    (row, is_worse): (DeliveryId, bool),
) -> Result<bool, StoreError> {
    let (row, event) = (row.to_string(), new.event.to_string());
    if tx.execute(JOIN, [&row, &event])? == 0 {
        return Ok(false);
    }
    tx.execute(KEEP, [&row])?;
    if is_worse {
        let expires_at = new.expires_at.millis();
        tx.execute(
            WORSEN,
            params![row, event, new.severity.as_str(), expires_at],
        )?;
    }
    Ok(true)
}

/// The rows that share a message with one of `heads` and are due at `now`: head, row, attempts, doubt.
pub(super) fn together(
    tx: &Tx<'_>,
    heads: &[DeliveryId],
    now: Wall,
) -> Result<Vec<(DeliveryId, DeliveryId, u32, bool)>, StoreError> {
    let limit = super::int(limits::OUTBOX_TOGETHER);
    tx.db().rows(
        TOGETHER,
        params![json(&heads), now.millis(), limit],
        |row| {
            Ok((
                parse(row, "head")?,
                parse(row, "delivery")?,
                row.get("attempts")?,
                row.get("doubtful")?,
            ))
        },
    )
}

/// Adds to what was leased with what it is told: to people the incidents of its message, to machines its events.
pub(super) fn complete(db: Db<'_>, leased: &mut [Leased]) -> Result<(), StoreError> {
    let ids: Vec<DeliveryId> = leased.iter().map(|l| l.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let events = db.rows(EVENTS, [json(&ids)], |row| {
        Ok((parse(row, "delivery")?, parse(row, "event")?))
    })?;
    let events: Vec<(DeliveryId, EventId)> = events;
    let limit = super::int(limits::STORE_READ_ROWS);
    let members = db.rows(MEMBERS, params![json(&ids), limit], |row| {
        let (id, lead): (DeliveryId, IncidentId) = (parse(row, "delivery")?, parse(row, "lead")?);
        Ok((id, lead, member(row)?))
    })?;
    for delivery in leased {
        let of_it = events.iter().filter(|(id, _)| *id == delivery.id);
        delivery.known.events = of_it.map(|(_, event)| *event).collect();
        let of_it: Vec<_> = members.iter().filter(|m| m.0 == delivery.id).collect();
        // One alone is told as itself.
        if let [(_, lead, _), _, ..] = of_it[..] {
            delivery.known.members = of_it.iter().map(|m| m.2.clone()).collect();
            delivery.incident = whole(*lead, &delivery.known.members);
        }
    }
    Ok(())
}

/// The incident that all `members` are together.
fn whole(lead: IncidentId, members: &[Member]) -> Option<Incident> {
    let first = members
        .iter()
        .map(|m| &m.incident)
        .min_by_key(|i| i.opened_at)?;
    let is_open = members
        .iter()
        .any(|m| m.incident.state == IncidentState::Open);
    let all = || members.iter().map(|m| &m.incident);
    Some(Incident {
        id: lead,
        instance: None,
        severity: all().map(|i| i.severity).max()?,
        state: if is_open {
            IncidentState::Open
        } else {
            IncidentState::Resolved
        },
        resolved_at: all()
            .filter_map(|i| i.resolved_at)
            .max()
            .filter(|_| !is_open),
        events: all().map(|i| i.events).sum(),
        // Every change of one of them is a change of the whole.
        seq: all().map(|i| i.seq).sum(),
        failures: all().fold(0, |sum, i| i.failures.saturating_add(sum)),
        cause: None,
        ..first.clone()
    })
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let has_event = parse_opt::<EventId>(row, "id")?.is_some();
    let state: String = row.get("member_state")?;
    Ok(Member {
        incident: Incident {
            id: parse(row, "member")?,
            instance: super::instance_opt(row)?,
            condition: parse(row, "condition")?,
            subject: row.get("subject")?,
            severity: parse(row, "member_severity")?,
            state: if state == IncidentState::Open.as_str() {
                IncidentState::Open
            } else {
                IncidentState::Resolved
            },
            opened_at: super::wall(row, "opened_at")?,
            resolved_at: super::wall_opt(row, "resolved_at")?,
            events: super::unsigned(row, "events")?,
            seq: super::unsigned(row, "changes")?,
            failures: row.get("failures")?,
            cycle: row.get("cycle")?,
            cause: row.get("cause")?,
        },
        event: if has_event {
            Some(super::events::read(row)?)
        } else {
            None
        },
        needs: read_json(&row.get::<_, String>("needs")?)?,
    })
}

/// Lets what waits for others go at `now`.
pub(in crate::store) fn release(tx: &Tx<'_>, now: Wall) -> Result<usize, StoreError> {
    tx.execute(RELEASE, params![Hold::Group.to_text(), now.millis()])
}

/// Forgets what events before `before` began; a bite of it, before the events themselves go.
pub(super) fn forget(tx: &Tx<'_>, before: i64, bite: i64) -> Result<usize, StoreError> {
    let members = tx.execute(FORGET, params![before, bite])?;
    Ok(members + tx.execute(FORGET_EVENTS, params![before, bite])?)
}
