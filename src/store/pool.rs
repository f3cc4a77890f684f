//! The reader connections: a pool that takes back only connections outside a transaction. Never writes.

use std::path::Path;
use std::sync::Arc;

use r2d2::{ManageConnection, Pool, PooledConnection};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::stats::Counters;
use super::tx::Db;
use crate::limits;

/// How the pool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// As configured.
    pub size: u32,
    /// Open.
    pub open: u32,
    /// Open and not in use.
    pub idle: u32,
}

/// Makes and judges reader connections.
#[derive(Debug)]
pub(super) struct Readers(SqliteConnectionManager);

impl ManageConnection for Readers {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        self.0.connect()
    }

    fn is_valid(&self, conn: &mut Connection) -> Result<(), rusqlite::Error> {
        self.0.is_valid(conn)
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        // r2d2_sqlite always says no. One left inside a transaction would read the same old snapshot for ever
        // and keep the `-wal` file growing.
        !conn.is_autocommit()
    }
}

/// The pool.
#[derive(Clone, Debug)]
pub(super) struct ReadPool {
    pool: Pool<Readers>,
    counters: Arc<Counters>,
}

impl ReadPool {
    /// A pool of at most `size` readers of the database at `path`. Connections are opened when needed.
    pub(super) fn new(
        path: &Path,
        size: u32,
        counters: Arc<Counters>,
    ) -> Result<Self, r2d2::Error> {
        // Not read-write: the last reader to close would run a wal checkpoint, which is the writer's to do.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manager = SqliteConnectionManager::file(path)
            .with_flags(flags)
            .with_init(|conn| {
                conn.busy_timeout(limits::STORE_READ_WAIT)?;
                conn.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS);
                conn.pragma_update(None, "cache_size", -limits::STORE_READER_CACHE_KIB)?;
                conn.pragma_update(None, "query_only", true)
            });
        let pool = Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(limits::STORE_READ_WAIT)
            .build(Readers(manager))?;
        Ok(Self { pool, counters })
    }

    /// A reader, given back on drop.
    pub(super) fn get(&self) -> Result<Reader, StoreError> {
        let conn = self.pool.get().map_err(StoreError::NoConnection)?;
        Ok(Reader {
            conn,
            counters: Arc::clone(&self.counters),
        })
    }

    pub(super) fn state(&self) -> PoolState {
        let state = self.pool.state();
        PoolState {
            size: self.pool.max_size(),
            open: state.connections,
            idle: state.idle_connections,
        }
    }
}

/// A connection out of the pool.
pub(super) struct Reader {
    conn: PooledConnection<Readers>,
    counters: Arc<Counters>,
}

impl Reader {
    pub(super) fn db(&self) -> Db<'_> {
        Db::new(&self.conn, &self.counters)
    }

    /// The connection itself, to do wrong with.
    #[cfg(test)]
    pub(super) fn raw(&self) -> &Connection {
        &self.conn
    }
}
