//! Single values: the checkpoint, and what the next start must know of this one.

use std::collections::HashMap;

use rusqlite::params;

use crate::clock::Wall;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    PUT_CHECKPOINT = seek "write a checkpoint",
        "INSERT INTO checkpoint (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    CHECKPOINT = whole "read the checkpoint", "SELECT key, value FROM checkpoint";
    PUT = seek "store a mark",
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    GET = seek "read a mark", "SELECT value FROM meta WHERE key = ?1";
}

const CLEAN: &str = "clean";
const LEFT: &str = "left";
const LAST_ALIVE: &str = "last_alive";

/// Stores a batch of checkpoint values.
pub(in crate::store) fn put_checkpoint(
    tx: &Tx<'_>,
    values: &[(String, String)],
) -> Result<(), StoreError> {
    for (key, value) in values {
        tx.execute(PUT_CHECKPOINT, params![key, value])?;
    }
    Ok(())
}

/// Every checkpoint value.
pub(in crate::store) fn checkpoint(db: Db<'_>) -> Result<HashMap<String, String>, StoreError> {
    let rows = db.rows(CHECKPOINT, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

pub(in crate::store) fn set_clean(tx: &Tx<'_>, is_clean: bool) -> Result<(), StoreError> {
    tx.execute(PUT, params![CLEAN, i64::from(is_clean)])?;
    Ok(())
}

/// Whether the last supervisor ended cleanly; `None` when there was none.
pub(in crate::store) fn clean(db: Db<'_>) -> Result<Option<bool>, StoreError> {
    db.first(GET, [CLEAN], |row| Ok(row.get::<_, i64>(0)? != 0))
}

pub(in crate::store) fn set_left(tx: &Tx<'_>, is_left: bool) -> Result<(), StoreError> {
    tx.execute(PUT, params![LEFT, i64::from(is_left)])?;
    Ok(())
}

/// Whether the last supervisor left its programs running on purpose.
pub(in crate::store) fn left(db: Db<'_>) -> Result<bool, StoreError> {
    let mark = db.first(GET, [LEFT], |row| Ok(row.get::<_, i64>(0)? != 0))?;
    Ok(mark.unwrap_or(false))
}

pub(in crate::store) fn set_alive(tx: &Tx<'_>, at: Wall) -> Result<(), StoreError> {
    tx.execute(PUT, params![LAST_ALIVE, at.millis()])?;
    Ok(())
}

/// The last moment at which a supervisor is known to have lived.
pub(in crate::store) fn last_alive(db: Db<'_>) -> Result<Option<Wall>, StoreError> {
    db.first(GET, [LAST_ALIVE], |row| row.get(0).map(Wall::from_millis))
}
