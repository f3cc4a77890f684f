//! Opening a store, for a supervisor or for reading alone: what is checked, and what is taken over from the
//! supervisor before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OpenFlags};

use super::checkpoint::CheckpointBuffer;
use super::error::{Fault, OpenError, StoreError};
use super::health::Judge;
use super::inbox::Inbox;
use super::pool::ReadPool;
use super::retention::Retention;
use super::stats::Counters;
use super::tx::{Db, WriteConn};
use super::writer::{Place, Shared, Wakers, Writer};
use super::{FILE, Inner, Store, StoreOptions, WriterThread, migrate, queries};
use crate::clock::{self, Mono, Wall};
use crate::limits;
use crate::thread::spawn_named;

impl Store {
    /// Opens the database in `dir`, makes it or brings it up to date, and starts the writer. The caller holds
    /// the directory's [`lock::StateLock`]: leases found here belong to a supervisor that is gone.
    ///
    /// # Errors
    /// The file is damaged, newer than this version, or not to be had.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let durability = options.store.durability;
        let conn = migrate::open_writer(&path, durability)?;
        let counters = Arc::new(Counters::default());
        counters.versions.watch(&conn);
        let opening = opening(&path, &conn, &counters)?;
        let now = clock::mono();
        let checkpoint = &options.checkpoint;
        let buffer = CheckpointBuffer::new(checkpoint.interval, checkpoint.batch, now);
        let shared = shared(buffer, &counters, !opening.has_released);
        shared.keep_raw_for(options.retention_raw);
        let readers = readers(&path, options.store.pool, counters)?;
        let writer = Writer {
            conn,
            path: path.clone(),
            durability,
            shared: Arc::clone(&shared),
            wakers: options.wakers.clone(),
            retention: Retention::new(now),
            judge: Judge::default(),
            pause_until: Mono::default(),
            has_news: false,
            place: Place::new(&path, readers.epoch()),
        };
        let thread = start(writer).map_err(|source| OpenError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                shared,
                readers,
                wakers: options.wakers,
                was_clean: opening.was_clean,
                was_left: opening.was_left,
                last_alive: opening.last_alive,
                is_writable: true,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Opens the database in `dir` for reading, beside a supervisor or without one. Nothing is made or changed.
    ///
    /// # Errors
    /// There is none, it is damaged, or of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err(OpenError::Missing { path });
        }
        // Not through the pool: it tries again and again, and says of a damaged file that it timed out.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let first = Connection::open_with_flags(&path, flags)
            .map_err(|error| OpenError::sqlite(&path, error))?;
        migrate::check_readable(&path, &first)?;
        let counters = Arc::new(Counters::default());
        let readers = readers(&path, 1, Arc::clone(&counters))?;
        drop(first);
        let nothing = CheckpointBuffer::new(Duration::MAX, 1, Mono::default());
        let shared = shared(nothing, &counters, false);
        shared.inbox.close();
        let inner = Inner {
            path,
            shared,
            readers,
            wakers: Wakers::default(),
            was_clean: None,
            was_left: false,
            last_alive: None,
            is_writable: false,
            thread: Mutex::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

fn shared(
    checkpoint: CheckpointBuffer,
    counters: &Arc<Counters>,
    has_old_leases: bool,
) -> Arc<Shared> {
    Arc::new(Shared {
        inbox: Inbox::new(checkpoint),
        counters: Arc::clone(counters),
        health: Mutex::default(),
        generation: Mutex::new(1),
        changed: Condvar::new(),
        stranded: Mutex::default(),
        has_old_leases: AtomicBool::new(has_old_leases),
        kept: Mutex::default(),
    })
}

fn readers(path: &Path, size: u32, counters: Arc<Counters>) -> Result<ReadPool, OpenError> {
    ReadPool::new(path, size, counters).map_err(|source| OpenError::Readers {
        path: path.to_path_buf(),
        source,
    })
}

struct Opening {
    was_clean: Option<bool>,
    was_left: bool,
    last_alive: Option<Wall>,
    has_released: bool,
}

/// Learns how the supervisor before ended, and takes over from it.
fn opening(
    path: &Path,
    conn: &rusqlite::Connection,
    counters: &Counters,
) -> Result<Opening, OpenError> {
    let db = Db::new(conn, counters);
    let was_clean = queries::meta::clean(db).map_err(|e| refused(path, e))?;
    let last_alive = queries::meta::last_alive(db).map_err(|e| refused(path, e))?;
    let was_left = queries::meta::left(db).map_err(|e| refused(path, e))?;
    if was_clean == Some(false) {
        migrate::check_pages(path, conn)?;
    }
    let write = WriteConn { conn, counters };
    let taken_over = write.transact(|tx| {
        queries::meta::set_clean(tx, false)?;
        queries::meta::set_left(tx, false)?;
        queries::deliveries::release_all(tx)
    });
    let has_released = match taken_over {
        Ok(_) => true,
        Err(error) if error.fault() == Some(Fault::Corrupt) => {
            return Err(refused(path, error));
        }
        // A full disk at the start: supervise all the same. The first lease makes up for it.
        Err(error) => {
            log::warn!("the database cannot be written yet: {error}");
            false
        }
    };
    Ok(Opening {
        was_clean,
        was_left,
        last_alive,
        has_released,
    })
}

fn refused(path: &Path, error: StoreError) -> OpenError {
    match error {
        StoreError::Sqlite { source, .. } => OpenError::sqlite(path, source),
        other => OpenError::Damaged {
            path: path.to_path_buf(),
            what: other.to_string(),
        },
    }
}

fn start(writer: Writer) -> std::io::Result<WriterThread> {
    let (alive, ended): (Sender<()>, Receiver<()>) = bounded(limits::STORE_REPLY);
    let join = spawn_named("store-writer", move || {
        writer.run();
        drop(alive);
    })?;
    Ok(WriterThread { join, ended })
}
