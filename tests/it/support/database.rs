//! A look into a supervisor's database, past the supervisor.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// The one value that `sql` gives, such as a count.
pub fn value<T: rusqlite::types::FromSql>(database: &Path, sql: &str) -> Result<T, String> {
    open(database)?
        .query_row(sql, [], |row| row.get(0))
        .map_err(|e| format!("{sql}: {e}"))
}

/// The first column of every row that `sql` gives.
pub fn column<T: rusqlite::types::FromSql>(database: &Path, sql: &str) -> Result<Vec<T>, String> {
    let connection = open(database)?;
    let mut statement = connection.prepare(sql).map_err(|e| e.to_string())?;
    let rows = statement
        .query_map([], |row| row.get(0))
        .map_err(|e| e.to_string())?;
    rows.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn open(database: &Path) -> Result<Connection, String> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|e| format!("{}: {e}", database.display()))
}
