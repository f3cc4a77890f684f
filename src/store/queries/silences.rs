//! Silences, and the deliveries that wait for their ends.

use rusqlite::params;

use super::{json, read_json};
use crate::clock::Wall;
use crate::ids::SilenceId;
use crate::model::hold::{Hold, Move};
use crate::model::silence::Silence;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    UPSERT = seek "store a silence",
        "INSERT INTO silences (id, ended_at, silence) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, silence = excluded.silence";
    ACTIVE = seek "read the silences in force",
        "SELECT silence FROM silences INDEXED BY silences_active WHERE ended_at IS NULL AND id > '' ORDER BY id";
    ONE = seek "read a silence", "SELECT silence FROM silences WHERE id = ?1";
    MOVE = seek "hold a delivery back for something else",
        "UPDATE deliveries SET held = ?2, expires_at = expires_at + (?3 - due), due = ?3
         WHERE id = ?1 AND state = 'pending' AND held IS NOT NULL AND confirmed = 0";
    RELEASE = seek "let go of what a silence held back",
        "UPDATE deliveries SET held = NULL, due = min(due, ?2)
         WHERE held = ?1 AND held IS NOT NULL AND state = 'pending'";
}

/// Stores `silence` as it stands; when it has ended, what it held back may go.
pub(in crate::store) fn put(tx: &Tx<'_>, silence: &Silence) -> Result<(), StoreError> {
    let ended = silence.ended_at.map(Wall::millis);
    tx.execute(
        UPSERT,
        params![silence.id.to_string(), ended, json(silence)],
    )?;
    if let Some(ended) = ended {
        let held = Hold::Silence(silence.id).to_text();
        tx.execute(RELEASE, params![held, ended])?;
    }
    Ok(())
}

/// Holds a delivery back for another silence.
pub(in crate::store) fn move_held(tx: &Tx<'_>, moved: &Move) -> Result<(), StoreError> {
    let held = moved.to.to_text();
    tx.execute(
        MOVE,
        params![moved.row.to_string(), held, moved.due.millis()],
    )?;
    Ok(())
}

/// Those in force, oldest first.
pub(in crate::store) fn active(db: Db<'_>) -> Result<Vec<Silence>, StoreError> {
    db.rows(ACTIVE, [], |row| read_json(&row.get::<_, String>(0)?))
}

/// One, whether or not it has ended.
pub(in crate::store) fn one(db: Db<'_>, id: SilenceId) -> Result<Option<Silence>, StoreError> {
    db.first(ONE, [id.to_string()], |row| {
        read_json(&row.get::<_, String>(0)?)
    })
}
