//! `backup` and `restore`: a copy of the database now, which copies there are, and putting one in its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::args::{BackupArgs, RestoreArgs};
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out, chain, complain};
use crate::clock::wall;
use crate::store::FILE;
use crate::store::backup::{self, Backup};
use crate::store::lock::{LockError, StateLock};
use crate::text;

/// `jikimi backup`, beside a supervisor or without one.
pub fn backup(place: &Place, asked: &BackupArgs, out: &mut Out) -> Result<(), Failure> {
    let state_dir = state_dir(place)?;
    let to = asked.to.clone().map_or_else(
        || backup::place(&state_dir, wall()),
        |to| absolute(place, &to),
    );
    let made = backup::back_up(&state_dir.join(FILE), &to, &mut |_: Duration| true)
        .map_err(|error| Failure::Failed(chain(&error)))?;
    if asked.json {
        let took = u64::try_from(made.took.as_millis()).unwrap_or(u64::MAX);
        return out.line(
            &json!({
                "path": made.path,
                "bytes": made.bytes,
                "database_bytes": made.database_bytes,
                "took_ms": took,
            })
            .to_string(),
        );
    }
    out.line(&format!(
        "{}: {} of {}, every page checked",
        made.path.display(),
        text::size(made.bytes),
        text::size(made.database_bytes),
    ))
}

/// `jikimi restore`.
pub fn restore(place: &Place, asked: &RestoreArgs, out: &mut Out) -> Result<(), Failure> {
    let state_dir = state_dir(place)?;
    if asked.list {
        return list(&state_dir, asked.json, out);
    }
    // Held until the end: no supervisor may begin meanwhile.
    let _lock = StateLock::acquire(&state_dir).map_err(|error| match error {
        LockError::Held { .. } => Failure::AlreadyRunning(format!(
            "{}; stop it first (`jikimi shutdown`): nothing was changed",
            chain(&error)
        )),
        LockError::Remote { .. } | LockError::Io { .. } => Failure::Failed(chain(&error)),
    })?;
    let from = match &asked.file {
        Some(file) => named(place, &state_dir, file),
        None => newest(&state_dir)?,
    };
    let aside = backup::restore(&from, &state_dir)
        .map_err(|error| Failure::Failed(format!("{}: nothing was changed", chain(&error))))?;
    out.line(&format!("the database is that of {}", from.display()))?;
    if let Some(aside) = aside {
        out.line(&format!("the one before is kept as {}", aside.display()))?;
    }
    Ok(())
}

fn state_dir(place: &Place) -> Result<PathBuf, Failure> {
    place.find()?.state_dir.ok_or_else(super::stored::nowhere)
}

fn absolute(place: &Place, path: &Path) -> PathBuf {
    place.env.absolute(path)
}

/// A file as it is named, or the name of one of our own.
fn named(place: &Place, state_dir: &Path, file: &Path) -> PathBuf {
    let (given, own) = (
        absolute(place, file),
        state_dir.join(backup::FOLDER).join(file),
    );
    if !given.exists() && own.exists() {
        return own;
    }
    given
}

fn newest(state_dir: &Path) -> Result<PathBuf, Failure> {
    let copies = copies(state_dir)?;
    let newest = copies.into_iter().next().map(|copy| copy.path);
    newest.ok_or_else(|| {
        Failure::Failed(format!(
            "there is no backup in {}",
            state_dir.join(backup::FOLDER).display()
        ))
    })
}

fn copies(state_dir: &Path) -> Result<Vec<Backup>, Failure> {
    backup::list(state_dir).map_err(|error| Failure::Failed(chain(&error)))
}

fn list(state_dir: &Path, is_json: bool, out: &mut Out) -> Result<(), Failure> {
    let copies = copies(state_dir)?;
    if is_json {
        let rows: Vec<_> = copies
            .iter()
            .map(|copy| json!({"path": copy.path, "time": copy.at, "bytes": copy.bytes}))
            .collect();
        return out.line(&serde_json::Value::from(rows).to_string());
    }
    if copies.is_empty() {
        complain(&format!(
            "there is no backup in {}",
            state_dir.join(backup::FOLDER).display()
        ));
    }
    let now = wall();
    for copy in copies {
        let name = copy.path.file_name().unwrap_or_default().to_string_lossy();
        let (at, size) = (when(copy.at, now), text::size(copy.bytes));
        out.line(&format!("{name}  {at}  {size}"))?;
    }
    Ok(())
}
