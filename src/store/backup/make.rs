//! Making a copy: the pages of one moment by SQLite's own backup, step by step, then a look through them, then the
//! packed file under its name. Until then there is only a `.part`, which nobody takes for a copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup as Copying, StepResult};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::restore::examine;
use super::{BackupError, GoOn, Made};
use crate::clock;
use crate::limits;

/// Copies the database at `database` to `to`, which must not be there. The folder of `to` is made if need be.
///
/// # Errors
/// It could not be read or written, it is damaged, or `go_on` said no. There is no `to` then.
pub fn back_up(database: &Path, to: &Path, go_on: GoOn<'_>) -> Result<Made, BackupError> {
    let began = clock::mono();
    let folder = to.parent().unwrap_or(Path::new("."));
    let make = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    make.map_err(BackupError::io(folder))?;
    let (pages, packed) = (Part::new(to, "pages")?, Part::new(to, "part")?);
    copy(database, &pages.path, go_on)?;
    // Before it counts: a copy of damage must not push out the good one before it.
    examine(&pages.path, database)?;
    let database_bytes = pack(&pages.path, &packed, go_on)?;
    if to.exists() {
        return Err(BackupError::io(to)(io::ErrorKind::AlreadyExists.into()));
    }
    fs::rename(&packed.path, to).map_err(BackupError::io(to))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::io(folder))?;
    let bytes = fs::metadata(to).map_err(BackupError::io(to))?.len();
    Ok(Made {
        path: to.to_path_buf(),
        bytes,
        database_bytes,
        took: clock::mono().since(began),
    })
}

/// A file on the way, for its owner alone; gone when this is dropped.
pub(super) struct Part {
    pub(super) path: PathBuf,
}

impl Part {
    pub(super) fn new(beside: &Path, ending: &str) -> Result<Self, BackupError> {
        let mut name = beside.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.{ending}", std::process::id()));
        let path = beside.with_file_name(name);
        // Of a process with our pid that was killed in the middle of this.
        let _ = fs::remove_file(&path);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        opened.map_err(BackupError::io(&path))?;
        Ok(Self { path })
    }

    pub(super) fn write(&self) -> Result<File, BackupError> {
        let opened = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&self.path);
        opened.map_err(BackupError::io(&self.path))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed to its name, it is not here any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// The pages as they are at this moment, however much is written meanwhile.
fn copy(database: &Path, to: &Path, go_on: GoOn<'_>) -> Result<(), BackupError> {
    let fail = BackupError::sqlite;
    if !database.exists() {
        return Err(BackupError::io(database)(io::ErrorKind::NotFound.into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(database, flags).map_err(fail(database))?;
    source
        .busy_timeout(limits::STORE_READ_WAIT)
        .map_err(fail(database))?;
    // Inside a transaction that reads, the copy is of one moment and never begins anew, as it would with each commit.
    let moment = Transaction::new_unchecked(&source, TransactionBehavior::Deferred)
        .map_err(fail(database))?;
    moment
        .pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))
        .map_err(fail(database))?;
    let mut target = Connection::open(to).map_err(fail(to))?;
    {
        let copying = Copying::new(&moment, &mut target).map_err(fail(database))?;
        while copying.step(limits::BACKUP_PAGES).map_err(fail(database))? != StepResult::Done {
            if !go_on(limits::BACKUP_PAUSE) {
                return Err(BackupError::Stopped);
            }
        }
    }
    // One file, and no `-wal` beside it that would have to be copied along.
    target
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(fail(database))
}

/// Packs the file at `from`; answers how large that is.
fn pack(from: &Path, to: &Part, go_on: GoOn<'_>) -> Result<u64, BackupError> {
    let failed = |source| BackupError::io(&to.path)(source);
    let mut source = File::open(from).map_err(BackupError::io(from))?;
    let mut target = zstd::Encoder::new(to.write()?, limits::BACKUP_LEVEL).map_err(failed)?;
    target.include_checksum(true).map_err(failed)?;
    let mut chunk = vec![0; limits::BACKUP_CHUNK];
    let mut total = 0;
    loop {
        let read = source.read(&mut chunk).map_err(BackupError::io(from))?;
        if read == 0 {
            break;
        }
        target.write_all(&chunk[..read]).map_err(failed)?;
        total += u64::try_from(read).unwrap_or(0);
        if !go_on(limits::BACKUP_PAUSE) {
            return Err(BackupError::Stopped);
        }
    }
    let file = target.finish().map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(total)
}
