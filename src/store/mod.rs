//! The store: the only room with SQL. `SQLite` in WAL mode; one writer thread that commits in groups, readers
//! from a pool.
//!
//! - `inbox`: what waits for the writer, bounded (`write`: the critical part). `writer`: the thread. `buffer`, `checkpoint`, `health`:
//!   what is due, what goes back, what a failure means, all pure.
//! - `tx`: statements and the transaction guard. `queries`: the statements by subject. `migrate`: the schema.
//! - `pool`: readers. `retention`: what is old goes. [`lock`]: the state directory. [`backup`]: copies of it all.
//!
//! Architecture invariants: SQL text is constant; nobody who hands something over waits for the disk; what
//! was committed is woken for afterwards, never before.

pub mod backup;
mod buffer;
mod checkpoint;
mod desk;
mod error;
mod health;
mod inbox;
pub mod lock;
mod migrate;
mod open;
mod outbox;
mod pool;
mod queries;
mod reads;
mod retention;
mod series;
mod stats;
mod told;
mod tx;
mod verify;
mod versions;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::Mutex;

use self::inbox::Tick;
use self::pool::ReadPool;
use self::tx::{Db, Tx, WriteConn};
use self::writer::Shared;
use crate::clock::{self, Wall};
use crate::limits;
use crate::model::log::LogBatch;
use crate::model::sample::{HostSample, Sample};
use crate::model::settings::{CheckpointSettings, StoreSettings};
use crate::model::write::Write;

pub use self::error::{OpenError, StoreError};
pub use self::health::{Degraded, StoreHealth};
pub use self::pool::PoolState;
pub use self::queries::deliveries::{AttemptView, DeliveryFilter, DeliveryView};
pub use self::queries::ends::StoredEnd;
pub use self::queries::events::EventFilter;
pub use self::queries::incidents::IncidentFilter;
pub use self::queries::runs::StoredRun;
pub use self::queries::told::TargetOf;
pub use self::series::{NewChunk, Packing, StoredCandles, StoredChunk, StoredHistory};
pub use self::stats::StoreStats;
pub use self::versions::Subject;
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
    was_left: bool,
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

    /// Whether the last supervisor left its programs running on purpose.
    pub fn was_left(&self) -> bool {
        self.inner.was_left
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

    /// Leaves word for the next start that the programs go on. Waits for the commit.
    ///
    /// # Errors
    /// It was not committed in time; the next start then takes them for survivors of a kill.
    pub fn mark_left(&self) -> Result<(), StoreError> {
        let now = clock::wall();
        self.call(move |tx| {
            queries::meta::set_alive(tx, now)?;
            queries::meta::set_left(tx, true)
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

    /// From now on raw samples are kept for so long.
    pub fn keep_raw_for(&self, kept: Duration) {
        self.inner.shared.keep_raw_for(kept);
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
