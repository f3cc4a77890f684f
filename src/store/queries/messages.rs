//! Living messages and places: what each target was told of each incident, and where it has what about a program.

use rusqlite::{Row, named_params, params};

use super::{parse, parse_opt, wall};
use crate::clock::Wall;
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::MessageRef;
use crate::model::living::{Effect, Living, Place};
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    // An older change never takes the place of a newer one.
    TELL = seek "keep a message",
        "INSERT INTO messages (target, incident, message, place, seq, severity, created_at, told_at, digest, settings)
         SELECT target, coalesce((SELECT g.lead FROM group_members AS g
             WHERE g.target = deliveries.target AND g.incident = deliveries.incident), incident), :message, :place, :seq, :severity, :created_at, :told_at, :digest, :settings
         FROM deliveries WHERE id = :delivery AND incident IS NOT NULL
         ON CONFLICT (target, incident) DO UPDATE SET
           message = excluded.message, place = excluded.place, seq = excluded.seq, severity = excluded.severity,
           created_at = excluded.created_at, told_at = excluded.told_at, digest = excluded.digest,
           settings = excluded.settings
         WHERE excluded.seq >= messages.seq";
    FIND = seek "keep a place",
        "INSERT INTO places (target, program, place, settings)
         SELECT target, ?2, ?3, ?4 FROM deliveries WHERE id = ?1
         ON CONFLICT (target, program) DO UPDATE SET place = excluded.place, settings = excluded.settings";
    LOSE = seek "forget a place",
        "DELETE FROM places WHERE program = ?2 AND target = (SELECT target FROM deliveries WHERE id = ?1)";
    INCIDENT_OF = seek "find the incident of a message",
        "SELECT incident FROM messages INDEXED BY messages_by_id
         WHERE target = ?1 AND message = ?2 AND message IS NOT NULL";
    LIVING = seek "read a message",
        "SELECT message AS m_message, place AS m_place, seq AS m_seq, severity AS m_severity,
           created_at AS m_created_at, digest AS m_digest, settings AS m_settings
         FROM messages WHERE target = ?1 AND incident = coalesce(
           (SELECT lead FROM group_members WHERE target = ?1 AND incident = ?2), ?2)";
}

/// Writes what a settled attempt at `delivery` changes.
pub(in crate::store) fn apply(
    tx: &Tx<'_>,
    delivery: DeliveryId,
    effect: &Effect,
    now: Wall,
) -> Result<(), StoreError> {
    let delivery = delivery.to_string();
    if let Some(program) = &effect.lost {
        tx.execute(LOSE, params![delivery, program.as_ref()])?;
    }
    if let Some(place) = &effect.found {
        let Place {
            program,
            id,
            settings,
        } = place;
        tx.execute(FIND, params![delivery, program.as_ref(), id, settings])?;
    }
    if let Some(living) = &effect.living {
        tx.execute(
            TELL,
            named_params! {
                ":delivery": delivery,
                ":message": living.message.as_ref().map(|m| m.id.as_str()),
                ":place": living.message.as_ref().and_then(|m| m.place.as_deref()),
                ":seq": super::int(living.seq),
                ":severity": living.severity.as_str(),
                ":created_at": living.created_at.millis(),
                ":told_at": now.millis(),
                ":digest": living.digest,
                ":settings": living.settings,
            },
        )?;
    }
    Ok(())
}

/// The incident that `message` of `target` is about.
pub(in crate::store) fn incident_of(
    db: Db<'_>,
    target: &str,
    message: &str,
) -> Result<Option<IncidentId>, StoreError> {
    db.first(INCIDENT_OF, [target, message], |row| parse(row, "incident"))
}

/// What `target` was told of `incident`.
pub(in crate::store) fn living(
    db: Db<'_>,
    target: &str,
    incident: IncidentId,
) -> Result<Option<Living>, StoreError> {
    let found = db.first(LIVING, params![target, incident.to_string()], read_living)?;
    Ok(found.flatten())
}

/// The message in the columns `m_…`, which are empty when there is none.
pub(in crate::store) fn read_living(row: &Row<'_>) -> rusqlite::Result<Option<Living>> {
    let Some(seq) = row.get::<_, Option<i64>>("m_seq")? else {
        return Ok(None);
    };
    let place: Option<String> = row.get("m_place")?;
    let id: Option<String> = row.get("m_message")?;
    Ok(Some(Living {
        message: id.map(|id| MessageRef { id, place }),
        seq: u64::try_from(seq).unwrap_or(0),
        severity: parse(row, "m_severity")?,
        created_at: wall(row, "m_created_at")?,
        digest: row.get("m_digest")?,
        settings: row.get("m_settings")?,
    }))
}

/// The place in the columns `p_…`, which are empty when there is none.
pub(in crate::store) fn read_place(row: &Row<'_>) -> rusqlite::Result<Option<Place>> {
    let Some(id) = parse_opt::<String>(row, "p_place")? else {
        return Ok(None);
    };
    Ok(Some(Place {
        program: row.get::<_, String>("p_program")?.into(),
        id,
        settings: row.get("p_settings")?,
    }))
}
