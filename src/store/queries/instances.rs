//! The state of instances that must survive a kill -9 of the supervisor.

use rusqlite::{Row, named_params, params};

use super::{
    int, json, json_opt, parse, parse_opt, read_word, slot, unsigned, wall, wall_opt, word,
};
use crate::clock::Wall;
use crate::model::name::InstanceName;
use crate::model::record::InstanceState;
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    UPSERT = seek "store an instance's state",
        "INSERT INTO instances (program, slot, desired, phase, restarts, streak, retry_at, run, last_exit, ready, at)
         VALUES (:program, :slot, :desired, :phase, :restarts, :streak, :retry_at, :run, :last_exit, :ready, :at)
         ON CONFLICT (program, slot) DO UPDATE SET desired = excluded.desired, phase = excluded.phase,
           restarts = excluded.restarts, streak = excluded.streak, retry_at = excluded.retry_at,
           run = excluded.run, last_exit = excluded.last_exit, ready = excluded.ready, at = excluded.at";
    EVERY = whole "read the instances' states", "SELECT * FROM instances ORDER BY program, slot";
    FORGET = seek "forget an instance", "DELETE FROM instances WHERE program = ?1 AND slot = ?2";
}

/// Stores `state` in the place of the one before.
pub(in crate::store) fn upsert(tx: &Tx<'_>, state: &InstanceState) -> Result<(), StoreError> {
    tx.execute(
        UPSERT,
        named_params! {
            ":program": state.instance.program().as_ref(),
            ":slot": slot(&state.instance),
            ":desired": word(&state.desired),
            ":phase": state.phase.as_str(),
            ":restarts": int(state.restarts),
            ":streak": state.streak,
            ":retry_at": state.retry_at.map(Wall::millis),
            ":run": state.run.map(|r| r.to_string()),
            ":last_exit": state.last_exit.as_ref().map(json),
            ":ready": state.ready,
            ":at": state.at.millis(),
        },
    )?;
    Ok(())
}

/// All of them, in one statement.
pub(in crate::store) fn every(db: Db<'_>) -> Result<Vec<InstanceState>, StoreError> {
    db.rows(EVERY, [], read)
}

/// Removes an instance that has left the configuration.
pub(in crate::store) fn forget(tx: &Tx<'_>, name: &InstanceName) -> Result<(), StoreError> {
    tx.execute(FORGET, params![name.program().as_ref(), slot(name)])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<InstanceState> {
    Ok(InstanceState {
        instance: super::instance(row)?,
        desired: read_word(row, "desired")?,
        phase: parse(row, "phase")?,
        restarts: unsigned(row, "restarts")?,
        streak: row.get("streak")?,
        retry_at: wall_opt(row, "retry_at")?,
        run: parse_opt(row, "run")?,
        last_exit: json_opt(row, "last_exit")?,
        ready: row.get("ready")?,
        at: wall(row, "at")?,
    })
}
