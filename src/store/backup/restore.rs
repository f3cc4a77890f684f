//! Putting a copy in the place of the database, and what was there aside. The caller holds the lock of the state
//! directory. Nothing is ever deleted.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::make::Part;
use super::{Backup, BackupError, list, stamp};
use crate::clock;
use crate::store::{FILE, migrate};

/// What a packed file begins with.
const PACKED: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Files that belong to the database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// Makes the copy `from`, packed or not, the database in `state_dir`. Says where what was there is now.
///
/// # Errors
/// The copy is not to be had, damaged, or of another kind; then everything is as it was.
pub fn restore(from: &Path, state_dir: &Path) -> Result<Option<PathBuf>, BackupError> {
    let database = state_dir.join(FILE);
    let part = Part::new(&database, "restored")?;
    unpack(from, &part)?;
    examine(&part.path, from)?;
    File::open(&part.path)
        .and_then(|file| file.sync_all())
        .map_err(BackupError::io(&part.path))?;
    let aside = if database.exists() {
        Some(set_aside(state_dir, "replaced")?)
    } else {
        None
    };
    fs::rename(&part.path, &database).map_err(BackupError::io(&database))?;
    sync(state_dir)?;
    Ok(aside)
}

/// Makes the newest sound copy in `state_dir` its database; which one that was. None where there is none.
///
/// # Errors
/// The file system refused.
pub fn restore_newest(state_dir: &Path) -> Result<Option<Backup>, BackupError> {
    for backup in list(state_dir)? {
        match restore(&backup.path, state_dir) {
            Ok(_) => return Ok(Some(backup)),
            Err(error) => log::warn!("{} is passed over: {error}", backup.path.display()),
        }
    }
    Ok(None)
}

/// Gives the database in `state_dir`, with what belongs to it, a name that says `why` and when.
///
/// # Errors
/// The file system refused.
pub fn set_aside(state_dir: &Path, why: &str) -> Result<PathBuf, BackupError> {
    let name = format!("{FILE}.{why}-{}", stamp(clock::wall()));
    for ending in BESIDE {
        let from = state_dir.join([FILE, ending].concat());
        let to = state_dir.join([&name, ending].concat());
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::io(&from)(error)),
        }
    }
    sync(state_dir)?;
    Ok(state_dir.join(name))
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::io(folder))
}

fn unpack(from: &Path, to: &Part) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(BackupError::io(from))?;
    let mut magic = Vec::new();
    Read::by_ref(&mut source)
        .take(PACKED.len() as u64)
        .read_to_end(&mut magic)
        .and_then(|_| source.rewind())
        .map_err(BackupError::io(from))?;
    let mut target = to.write()?;
    if magic != PACKED {
        let copied = io::copy(&mut source, &mut target);
        return copied.map(drop).map_err(BackupError::io(&to.path));
    }
    zstd::stream::copy_decode(source, target).map_err(|error| match error.raw_os_error() {
        // The disk's word, not that of the decoder.
        Some(_) => BackupError::io(&to.path)(error),
        None => BackupError::Unsound {
            path: from.to_path_buf(),
            what: error.to_string(),
        },
    })
}

/// Looks through all pages of the database `at`, which is told of as `told`.
pub(super) fn examine(at: &Path, told: &Path) -> Result<(), BackupError> {
    let unsound = |error: &dyn std::fmt::Display| BackupError::Unsound {
        path: told.to_path_buf(),
        what: error.to_string(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(at, flags).map_err(BackupError::sqlite(at))?;
    let verdict: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| unsound(&error))?;
    if verdict != "ok" {
        return Err(unsound(&verdict));
    }
    let found = migrate::version(at, &conn).map_err(|error| unsound(&error))?;
    let path = told.to_path_buf();
    match found {
        ..=0 => Err(BackupError::Foreign { path }),
        found if found > migrate::SCHEMA => Err(BackupError::Newer {
            path,
            found,
            known: migrate::SCHEMA,
        }),
        _ => Ok(()),
    }
}
