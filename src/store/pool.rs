//! The reader connections: a pool that takes back only connections outside a transaction. Never writes.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use r2d2::{ManageConnection, Pool, PooledConnection};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;

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
pub(super) struct Readers {
    manager: SqliteConnectionManager,
    /// See [`ReadPool::epoch`].
    epoch: Arc<AtomicU64>,
}

/// A connection, and the file it reads.
#[derive(Debug)]
pub(super) struct Opened {
    conn: Connection,
    epoch: u64,
}

impl Deref for Opened {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl ManageConnection for Readers {
    type Connection = Opened;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Opened, rusqlite::Error> {
        // Before the open: a file that is replaced in between is only opened once more.
        let epoch = self.epoch.load(Ordering::Acquire);
        let conn = self.manager.connect()?;
        Ok(Opened { conn, epoch })
    }

    fn is_valid(&self, opened: &mut Opened) -> Result<(), rusqlite::Error> {
        self.manager.is_valid(&mut opened.conn)
    }

    fn has_broken(&self, opened: &mut Opened) -> bool {
        // r2d2_sqlite always says no. One left inside a transaction would read the same old snapshot for ever
        // and keep the `-wal` file growing.
        !opened.conn.is_autocommit() || opened.epoch != self.epoch.load(Ordering::Acquire)
    }
}

/// The pool.
#[derive(Clone, Debug)]
pub(super) struct ReadPool {
    pool: Pool<Readers>,
    counters: Arc<Counters>,
    epoch: Arc<AtomicU64>,
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
        let epoch = Arc::<AtomicU64>::default();
        // One thread to open and close connections, not the pool's usual three: few are opened at once.
        let opener = ScheduledThreadPool::builder()
            .num_threads(limits::STORE_OPENERS)
            .thread_name_pattern("store-pool-{}")
            .build();
        let pool = Pool::builder()
            .thread_pool(Arc::new(opener))
            .max_size(size.max(1))
            .min_idle(Some(0))
            .idle_timeout(Some(limits::STORE_READER_IDLE))
            .test_on_check_out(false)
            .connection_timeout(limits::STORE_READ_WAIT)
            .build(Readers {
                manager,
                epoch: Arc::clone(&epoch),
            })?;
        Ok(Self {
            pool,
            counters,
            epoch,
        })
    }

    /// Rises when another file takes the database's place: readers of the one before are put away.
    pub(super) fn epoch(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.epoch)
    }

    /// A reader, given back on drop.
    pub(super) fn get(&self) -> Result<Reader, StoreError> {
        let get = || {
            self.counters.pool_gets.one();
            self.pool.get().map_err(|error| {
                self.counters.pool_timeouts.one();
                StoreError::NoConnection(error)
            })
        };
        let mut conn = get()?;
        while conn.epoch != self.epoch.load(Ordering::Acquire) {
            // Given back, it is put away.
            drop(conn);
            conn = get()?;
        }
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

    /// Everything that `read` reads is of one moment, whatever is committed meanwhile.
    pub(super) fn at_one_moment<T>(
        &self,
        read: impl FnOnce(Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Rolled back on drop, also when the reading fails.
        let moment = rusqlite::Transaction::new_unchecked(
            &self.conn,
            rusqlite::TransactionBehavior::Deferred,
        )
        .map_err(|e| super::tx::Sql::seek("begin to read", "").failed(e))?;
        read(Db::new(&moment, &self.counters))
    }

    /// The connection itself, to do wrong with.
    #[cfg(test)]
    pub(super) fn raw(&self) -> &Connection {
        &self.conn
    }
}
