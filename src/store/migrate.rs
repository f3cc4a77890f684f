//! The schema and its versions: brings a database up to date, or refuses it. Each version is one
//! transaction, so a fault leaves the version before.

use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::OpenError;
use crate::limits;
use crate::model::settings::Durability;

/// The versions, first to last; each text ends with the number it leads to.
const MIGRATIONS: [&str; 17] = [
    concat!(include_str!("schema_1.sql"), "PRAGMA user_version = 1;"),
    concat!(include_str!("schema_2.sql"), "PRAGMA user_version = 2;"),
    concat!(include_str!("schema_3.sql"), "PRAGMA user_version = 3;"),
    concat!(include_str!("schema_4.sql"), "PRAGMA user_version = 4;"),
    concat!(include_str!("schema_5.sql"), "PRAGMA user_version = 5;"),
    concat!(include_str!("schema_6.sql"), "PRAGMA user_version = 6;"),
    concat!(include_str!("schema_7.sql"), "PRAGMA user_version = 7;"),
    concat!(include_str!("schema_8.sql"), "PRAGMA user_version = 8;"),
    concat!(include_str!("schema_9.sql"), "PRAGMA user_version = 9;"),
    concat!(include_str!("schema_10.sql"), "PRAGMA user_version = 10;"),
    concat!(include_str!("schema_11.sql"), "PRAGMA user_version = 11;"),
    concat!(include_str!("schema_12.sql"), "PRAGMA user_version = 12;"),
    concat!(include_str!("schema_13.sql"), "PRAGMA user_version = 13;"),
    concat!(include_str!("schema_14.sql"), "PRAGMA user_version = 14;"),
    concat!(include_str!("schema_15.sql"), "PRAGMA user_version = 15;"),
    concat!(include_str!("schema_16.sql"), "PRAGMA user_version = 16;"),
    concat!(include_str!("schema_17.sql"), "PRAGMA user_version = 17;"),
];

/// The schema this version makes and reads.
pub(super) const SCHEMA: i64 = 17;

const _: () = assert!(MIGRATIONS.len() == 17, "SCHEMA counts the migrations");

/// Opens the one connection that writes, the database made and brought up to date.
///
/// # Errors
/// The file is damaged, newer, or not to be had.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    prepare_file(path).map_err(|source| OpenError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let conn = connect_writer(path, durability)?;
    let found = version(path, &conn)?;
    if found > SCHEMA {
        return Err(OpenError::Newer {
            path: path.to_path_buf(),
            found,
            known: SCHEMA,
        });
    }
    upgrade(&conn, found).map_err(|e| OpenError::sqlite(path, e))?;
    Ok(conn)
}

/// The write connection alone, for a database that is known to be ours.
pub(super) fn connect_writer(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let fail = |e| OpenError::sqlite(path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(fail)?;
    conn.busy_timeout(limits::STORE_BUSY_WAIT).map_err(fail)?;
    // A newer file is not touched, not even its journal mode.
    if version(path, &conn)? <= SCHEMA {
        configure(&conn, durability).map_err(fail)?;
    }
    Ok(conn)
}

fn configure(conn: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // Before the first table and before WAL: both write the header page, after which it has no effect.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = match durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update_and_check(None, "journal_size_limit", limits::STORE_WAL_BYTES, |_| {
        Ok(())
    })?;
    conn.pragma_update(None, "cache_size", -limits::STORE_WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS);
    Ok(())
}

/// Refuses a database that reading alone cannot serve.
pub(super) fn check_readable(path: &Path, conn: &Connection) -> Result<(), OpenError> {
    let found = version(path, conn)?;
    let path = path.to_path_buf();
    match found.cmp(&SCHEMA) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(OpenError::Newer {
            path,
            found,
            known: SCHEMA,
        }),
        std::cmp::Ordering::Less => Err(OpenError::Older {
            path,
            found,
            known: SCHEMA,
        }),
    }
}

/// Looks through the pages of a database of moderate size (see [`limits::STORE_CHECK_BYTES`]).
pub(super) fn check_pages(path: &Path, conn: &Connection) -> Result<(), OpenError> {
    let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
    if bytes > limits::STORE_CHECK_BYTES {
        return Ok(());
    }
    let verdict: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| OpenError::sqlite(path, e))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: path.to_path_buf(),
        what: verdict,
    })
}

pub(super) fn version(path: &Path, conn: &Connection) -> Result<i64, OpenError> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|e| OpenError::sqlite(path, e))
}

fn upgrade(conn: &Connection, found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        tx.execute_batch(migration)?;
        tx.commit()?;
    }
    Ok(())
}

/// Makes the file with the right mode before `SQLite` does with the umask's; `-wal` and `-shm` take it over.
fn prepare_file(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
