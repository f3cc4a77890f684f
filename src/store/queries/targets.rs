//! What is known of each target beyond single deliveries: its counts, what its provider remembers, and of its host.

use std::collections::HashMap;

use rusqlite::params;

use super::{json, unsigned};
use crate::model::delivery::DeliveryCounts;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    COUNTS = whole "count the deliveries", "SELECT name, pending, delivered, failed, dropped FROM targets";
    UNKNOWN = whole "find targets no longer configured",
        "SELECT name FROM targets
         WHERE pending > 0 AND name NOT IN (SELECT value FROM json_each(?1))";
    REMEMBER = seek "remember a target's state",
        "INSERT INTO targets (name, memory) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET memory = excluded.memory";
    MEMORIES = whole "read the targets' states",
        "SELECT name, memory FROM targets WHERE memory IS NOT NULL";
    REMEMBER_HOST = seek "remember a host's state",
        "INSERT INTO hosts (name, memory) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET memory = excluded.memory";
    FORGET_HOST = seek "forget a host's state", "DELETE FROM hosts WHERE name = ?1";
    HOST_MEMORIES = whole "read the hosts' states", "SELECT name, memory FROM hosts";
}

/// The counts of every target there was ever a delivery for.
pub(in crate::store) fn counts(db: Db<'_>) -> Result<HashMap<String, DeliveryCounts>, StoreError> {
    let rows = db.rows(COUNTS, [], |row| {
        let counts = DeliveryCounts {
            pending: unsigned(row, "pending")?,
            delivered: unsigned(row, "delivered")?,
            failed: unsigned(row, "failed")?,
            dropped: unsigned(row, "dropped")?,
        };
        Ok((row.get("name")?, counts))
    })?;
    Ok(rows.into_iter().collect())
}

/// Targets with waiting deliveries that are not among `known`.
pub(in crate::store) fn unknown(
    db: Db<'_>,
    known: &[std::sync::Arc<str>],
) -> Result<Vec<String>, StoreError> {
    db.rows(UNKNOWN, [json(&known)], |row| row.get(0))
}

/// Keeps `memory` for the next start.
pub(in crate::store) fn remember(tx: &Tx<'_>, name: &str, memory: &str) -> Result<(), StoreError> {
    tx.execute(REMEMBER, params![name, memory])?;
    Ok(())
}

/// What was kept, by target.
pub(in crate::store) fn memories(db: Db<'_>) -> Result<HashMap<String, String>, StoreError> {
    let rows = db.rows(MEMORIES, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// Keeps `memory` of a host for the next start, or nothing.
pub(in crate::store) fn remember_host(
    tx: &Tx<'_>,
    name: &str,
    memory: Option<&str>,
) -> Result<(), StoreError> {
    match memory {
        Some(memory) => tx.execute(REMEMBER_HOST, params![name, memory])?,
        None => tx.execute(FORGET_HOST, [name])?,
    };
    Ok(())
}

/// What was kept, by host.
pub(in crate::store) fn host_memories(db: Db<'_>) -> Result<HashMap<String, String>, StoreError> {
    let rows = db.rows(HOST_MEMORIES, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}
