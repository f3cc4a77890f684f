//! Looking through a whole database, beside a supervisor or without one. Changes nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::{Store, migrate};

impl Store {
    /// Reads every page of the database in `dir`, whatever its size: about 3 s a GiB.
    ///
    /// # Errors
    /// There is none, it is damaged, or of another version.
    pub fn verify(dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(super::FILE);
        if !path.exists() {
            return Err(OpenError::Missing { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| OpenError::sqlite(&path, error);
        let conn = Connection::open_with_flags(&path, flags).map_err(failed)?;
        migrate::check_readable(&path, &conn)?;
        let verdict: String = conn
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(failed)?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(OpenError::Damaged {
            path: path.clone(),
            what: verdict,
        })
    }
}
