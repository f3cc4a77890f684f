//! Runs: how each is recognised after a crash of the supervisor, and how it ended.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rusqlite::{Row, named_params, params};

use super::{int, json, json_opt, parse, slot, unsigned, wall, wall_opt};
use crate::clock::Wall;
use crate::model::event::Exit;
use crate::model::record::{RunChange, RunStart};
use crate::store::error::StoreError;
use crate::store::tx::{Db, Tx, statements};

statements! {
    INSERT = seek "store a run",
        "INSERT INTO runs (id, program, slot, pid, start_ticks, boot_id, started_at, command, pipes, made_of)
         VALUES (:id, :program, :slot, :pid, :start_ticks, :boot_id, :started_at, :command, :pipes, :made_of)
         ON CONFLICT (id) DO NOTHING";
    END = seek "store a run's end", "UPDATE runs SET ended_at = ?2, exit = ?3 WHERE id = ?1";
    UNFINISHED = seek "read the unfinished runs",
        "SELECT * FROM runs WHERE ended_at IS NULL AND id > '' ORDER BY id";
    LAST = whole "read the last runs",
        "SELECT r.* FROM instances AS i CROSS JOIN runs AS r ON r.id =
           (SELECT max(l.id) FROM runs AS l WHERE l.program = i.program AND l.slot = i.slot)
         ORDER BY i.program, i.slot";
    LASTING = whole "read the last runs of some length",
        "SELECT r.* FROM instances AS i CROSS JOIN runs AS r ON r.id =
           (SELECT max(l.id) FROM runs AS l WHERE l.program = i.program AND l.slot = i.slot
            AND l.ended_at - l.started_at >= ?1)
         ORDER BY i.program, i.slot";
}

/// A run as the database knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// How it began.
    pub start: RunStart,
    /// When and how it ended, if that was seen.
    pub ended: Option<(Wall, Exit)>,
}

/// Stores that a run began or ended.
pub(in crate::store) fn change(tx: &Tx<'_>, change: &RunChange) -> Result<(), StoreError> {
    match change {
        RunChange::Started(start) => tx.execute(
            INSERT,
            named_params! {
                ":id": start.run.to_string(),
                ":program": start.instance.program().as_ref(),
                ":slot": slot(&start.instance),
                ":pid": start.pid,
                ":start_ticks": int(start.start_ticks),
                ":boot_id": start.boot_id,
                ":started_at": start.at.millis(),
                ":command": start.command,
                ":pipes": join(&start.pipes),
                ":made_of": start.made_of.as_ref().map(json),
            },
        )?,
        RunChange::Ended { run, at, exit } => {
            tx.execute(END, params![run.to_string(), at.millis(), json(exit)])?
        }
    };
    Ok(())
}

/// Runs whose end nobody has seen, oldest first.
pub(in crate::store) fn unfinished(db: Db<'_>) -> Result<Vec<StoredRun>, StoreError> {
    db.rows(UNFINISHED, [], read)
}

/// The last run of each known instance.
pub(in crate::store) fn last(db: Db<'_>) -> Result<Vec<StoredRun>, StoreError> {
    db.rows(LAST, [], read)
}

/// The last run of each known instance that ended after it had lasted `millis`.
pub(in crate::store) fn lasting(db: Db<'_>, millis: i64) -> Result<Vec<StoredRun>, StoreError> {
    db.rows(LASTING, params![millis], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let pipes: Vec<u8> = row.get("pipes")?;
    let start = RunStart {
        run: parse(row, "id")?,
        instance: super::instance(row)?,
        pid: row.get("pid")?,
        start_ticks: unsigned(row, "start_ticks")?,
        boot_id: row.get("boot_id")?,
        at: wall(row, "started_at")?,
        command: row.get("command")?,
        pipes: split(&pipes),
        made_of: json_opt(row, "made_of")?,
    };
    let ended_at = wall_opt(row, "ended_at")?;
    let exit: Option<Exit> = json_opt(row, "exit")?;
    Ok(StoredRun {
        start,
        ended: ended_at.map(|at| (at, exit.unwrap_or(Exit::Unknown))),
    })
}

// Paths are bytes without a zero in them, so a zero ends each.
fn join(paths: &[PathBuf]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
    }
    bytes
}

fn split(bytes: &[u8]) -> Vec<PathBuf> {
    bytes
        .split_inclusive(|b| *b == 0)
        .map(|part| part.strip_suffix(&[0]).unwrap_or(part))
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}
