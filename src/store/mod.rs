//! The store: the only room with SQL. SQLite in WAL mode; one writer thread that commits in groups, readers
//! from a pool.
//!
//! - `inbox`: what waits for the writer, bounded. `writer`: the thread. `buffer`, `checkpoint`, `health`:
//!   what is due, what goes back, what a failure means, all pure.
//! - `tx`: statements and the transaction guard. `queries`: the statements by subject. `migrate`: the schema.
//! - `pool`: readers. `retention`: what is old goes. [`lock`]: the state directory.
//!
//! Architecture invariants: SQL text is constant; nobody who hands something over waits for the disk; what
//! was committed is woken for afterwards, never before.

mod buffer;
mod checkpoint;
mod error;
mod health;
mod inbox;
pub mod lock;
mod migrate;
mod outbox;
mod pool;
mod queries;
mod reads;
mod retention;
mod stats;
mod tx;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::{Condvar, Mutex};

use self::checkpoint::CheckpointBuffer;
use self::health::Judge;
use self::inbox::{Inbox, Tick};
use self::pool::ReadPool;
use self::retention::Retention;
use self::stats::Counters;
use self::tx::{Db, Tx, WriteConn};
use self::writer::{Shared, Writer};
use crate::clock::{self, Mono, Wall};
use crate::limits;
use crate::model::log::LogBatch;
use crate::model::sample::{HostSample, Sample};
use crate::model::settings::{CheckpointSettings, StoreSettings};
use crate::thread::spawn_named;

pub use self::error::{OpenError, StoreError};
pub use self::health::{Degraded, StoreHealth};
pub use self::inbox::Write;
pub use self::pool::PoolState;
pub use self::queries::deliveries::{AttemptView, DeliveryFilter, DeliveryView};
pub use self::queries::events::EventFilter;
pub use self::queries::incidents::IncidentFilter;
pub use self::queries::runs::StoredRun;
pub use self::stats::StoreStats;
pub use self::writer::Wakers;

/// The database's name in the state directory.
pub const FILE: &str = "jikimi.db";

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `[store]`.
    pub store: StoreSettings,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointSettings,
    /// `metrics.retention.raw`.
    pub retention_raw: Duration,
    /// Who is told of what.
    pub wakers: Wakers,
}

/// A handle; clones share the database. The last one to go closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    shared: Arc<Shared>,
    readers: ReadPool,
    wakers: Wakers,
    was_clean: Option<bool>,
    last_alive: Option<Wall>,
    is_writable: bool,
    thread: Mutex<Option<WriterThread>>,
}

struct WriterThread {
    join: JoinHandle<()>,
    /// Disconnects when the thread has ended.
    ended: Receiver<()>,
}

/// What a flush wrote, and what it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Records committed since the flush began.
    pub records: u64,
    /// Samples committed since the flush began.
    pub samples: u64,
    /// Log records committed since the flush began.
    pub logs: u64,
    /// Checkpoint values committed since the flush began.
    pub checkpoints: u64,
    /// Still waiting.
    pub remaining: usize,
}

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
        let opening = opening(&path, &conn, &counters)?;
        let now = clock::mono();
        let checkpoint = &options.checkpoint;
        let buffer = CheckpointBuffer::new(checkpoint.interval, checkpoint.batch, now);
        let shared = Arc::new(Shared {
            inbox: Inbox::new(buffer),
            counters: Arc::clone(&counters),
            health: Mutex::default(),
            generation: Mutex::new(1),
            changed: Condvar::new(),
            stranded: Mutex::default(),
            has_old_leases: AtomicBool::new(!opening.has_released),
        });
        let readers = readers(&path, options.store.pool, counters)?;
        let writer = Writer {
            conn,
            path: path.clone(),
            durability,
            shared: Arc::clone(&shared),
            wakers: options.wakers.clone(),
            retention: Retention::new(options.retention_raw, now),
            judge: Judge::default(),
            pause_until: Mono::default(),
            has_news: false,
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
        let counters = Arc::new(Counters::default());
        let readers = readers(&path, 1, Arc::clone(&counters))?;
        let opened = readers.probe().map_err(|source| OpenError::Readers {
            path: path.clone(),
            source,
        })?;
        migrate::check_readable(&path, &opened)?;
        drop(opened);
        let shared = Arc::new(Shared {
            inbox: Inbox::new(CheckpointBuffer::new(Duration::MAX, 1, Mono::default())),
            counters,
            health: Mutex::default(),
            generation: Mutex::new(1),
            changed: Condvar::new(),
            stranded: Mutex::default(),
            has_old_leases: AtomicBool::new(false),
        });
        shared.inbox.close();
        let inner = Inner {
            path,
            shared,
            readers,
            wakers: Wakers::default(),
            was_clean: None,
            last_alive: None,
            is_writable: false,
            thread: Mutex::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Hands over an event with all that belongs to it. Never waits: it is committed as soon as the database
    /// takes it, in the order of these calls, and kept in memory until then (bounded).
    pub fn record(&self, write: Write) {
        let shared = &self.inner.shared;
        shared.inbox.record(&shared.counters, write);
    }

    /// Hands over the samples of one tick. Never waits; written behind, the oldest dropped when too many wait.
    pub fn samples(&self, samples: Vec<Sample>, host: Option<HostSample>) {
        let shared = &self.inner.shared;
        let tick = Tick { samples, host };
        if tick.rows() > 0 {
            shared.inbox.samples(&shared.counters, tick);
        }
    }

    /// Hands over log records with the cursors that go with them; both are committed in one transaction. Never
    /// waits; written at 50 records or after 5 s, the oldest dropped when too many wait.
    pub fn logs(&self, batch: LogBatch) {
        let shared = &self.inner.shared;
        if !batch.records.is_empty() || !batch.cursors.is_empty() {
            shared.inbox.logs(&shared.counters, batch);
        }
    }

    /// Hands over a value for the next checkpoint; the newest of a key wins. Never waits.
    pub fn checkpoint_put(&self, key: impl Into<String>, value: impl Into<String>) {
        let shared = &self.inner.shared;
        let entry = (key.into(), value.into());
        shared.inbox.checkpoint(&shared.counters, entry);
    }

    /// How the storage does.
    pub fn health(&self) -> StoreHealth {
        self.inner.shared.health()
    }

    /// What was done and what it cost.
    pub fn stats(&self) -> StoreStats {
        self.inner.shared.counters.read()
    }

    /// How the pool of readers stands.
    pub fn pool_state(&self) -> PoolState {
        self.inner.readers.state()
    }

    /// A number that rises with every commit of events.
    pub fn generation(&self) -> u64 {
        *self.inner.shared.generation.lock()
    }

    /// Waits until events have been committed after `seen` (see [`Store::generation`]), or for `timeout`.
    /// Answers the generation then.
    pub fn wait_change(&self, seen: u64, timeout: Duration) -> u64 {
        let shared = &self.inner.shared;
        let until = clock::mono() + timeout;
        let mut generation = shared.generation.lock();
        while *generation <= seen {
            let left = until.since(clock::mono());
            if left.is_zero() {
                break;
            }
            shared.changed.wait_for(&mut generation, left);
        }
        *generation
    }

    /// Whether the last supervisor ended cleanly; `None` when there was none.
    pub fn was_clean(&self) -> Option<bool> {
        self.inner.was_clean
    }

    /// The last moment at which the supervisor before is known to have lived.
    pub fn last_alive(&self) -> Option<Wall> {
        self.inner.last_alive
    }

    /// Leaves word for the next start. Waits for the commit.
    ///
    /// # Errors
    /// It was not committed in time.
    pub fn mark_clean(&self, is_clean: bool) -> Result<(), StoreError> {
        let now = clock::wall();
        self.call(move |tx| {
            queries::meta::set_alive(tx, now)?;
            queries::meta::set_clean(tx, is_clean)
        })
    }

    /// Writes everything that waits, for at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> Flushed {
        let shared = &self.inner.shared;
        let before = shared.counters.read();
        let remaining = shared.inbox.flush(clock::mono() + timeout);
        let after = shared.counters.read();
        Flushed {
            records: after.records - before.records,
            samples: after.samples - before.samples,
            logs: after.log_records - before.log_records,
            checkpoints: after.checkpoint_values - before.checkpoint_values,
            remaining,
        }
    }

    /// Flushes, folds the `-wal` file in and ends the writer, all within about `timeout`. Nothing can be
    /// handed over afterwards; reading still works. A second call does nothing.
    pub fn close(&self, timeout: Duration) -> Flushed {
        self.inner.close(self.flush(timeout), timeout)
    }

    /// Reads from the pool.
    fn read<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let reader = self.inner.readers.get()?;
        read(reader.db())
    }

    /// Has the writer do `work` in a transaction of its own, and waits for the commit.
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = bounded(limits::STORE_REPLY);
        self.submit(move |conn| {
            let result = conn.transact(work);
            let fault = result.as_ref().err().map(StoreError::fault);
            answered(reply.send(result).is_ok());
            fault.map_or(Ok(()), Err)
        })?;
        wait(&answer)
    }

    fn submit(
        &self,
        job: impl FnOnce(&WriteConn<'_>) -> Result<(), Option<error::Fault>> + Send + 'static,
    ) -> Result<(), StoreError> {
        if !self.inner.is_writable {
            return Err(StoreError::ReadOnly);
        }
        self.inner.shared.inbox.job(Box::new(job))
    }
}

#[cfg(test)]
impl Store {
    /// Does wrong things on the write connection, and waits until they are done.
    fn on_writer(&self, work: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
        let (done, wait) = bounded::<()>(limits::STORE_REPLY);
        self.submit(move |conn| {
            work(conn.conn);
            drop(done);
            Ok(())
        })
        .expect("the writer takes it");
        assert_eq!(
            wait.recv_timeout(Duration::from_secs(20)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}

/// A caller that has gone is told by its time-out; what it asked for is done all the same.
fn answered(was_heard: bool) {
    if !was_heard {
        log::debug!("a caller of the store did not wait for its answer");
    }
}

fn wait<T>(answer: &Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    match answer.recv_timeout(limits::STORE_REPLY_WAIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(StoreError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(StoreError::Closed),
    }
}

impl Inner {
    fn close(&self, mut flushed: Flushed, timeout: Duration) -> Flushed {
        let Some(thread) = self.thread.lock().take() else {
            return flushed;
        };
        self.shared.inbox.close();
        match thread.ended.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if thread.join.join().is_err() {
                    log::error!("the store writer ended by a panic");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                log::error!("the store writer does not end: the disk hangs");
            }
        }
        flushed.remaining = self.shared.inbox.lock().len();
        flushed
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.thread.lock().is_some() {
            self.shared
                .inbox
                .flush(clock::mono() + limits::STORE_DROP_WAIT);
            self.close(Flushed::default(), limits::STORE_DROP_WAIT);
        }
    }
}

fn readers(path: &Path, size: u32, counters: Arc<Counters>) -> Result<ReadPool, OpenError> {
    ReadPool::new(path, size, counters).map_err(|source| OpenError::Readers {
        path: path.to_path_buf(),
        source,
    })
}

struct Opening {
    was_clean: Option<bool>,
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
    if was_clean == Some(false) {
        migrate::check_pages(path, conn)?;
    }
    let write = WriteConn { conn, counters };
    let taken_over = write.transact(|tx| {
        queries::meta::set_clean(tx, false)?;
        queries::deliveries::release_all(tx)
    });
    let has_released = match taken_over {
        Ok(_) => true,
        Err(error) if error.fault() == Some(error::Fault::Corrupt) => {
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
