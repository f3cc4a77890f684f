//! Counters of the store: what it did and what it cost. Owns numbers only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::versions::Versions;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// What the store has done since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct StoreStats { $($(#[$doc])* pub $name: u64,)* }

        /// The live form of [`StoreStats`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
            /// How often each subject changed.
            pub(super) versions: Arc<Versions>,
        }

        impl Counters {
            pub(super) fn read(&self) -> StoreStats {
                StoreStats { $($name: self.$name.get(),)* }
            }
        }
    };
}

impl Counters {
    /// A checkpoint of so many values passed, within so many microseconds.
    pub(super) fn checkpointed(&self, values: usize, micros: usize) {
        self.checkpoints.one();
        self.checkpoint_micros.add(micros);
        self.checkpoint_last_values.set(values);
        self.checkpoint_last_micros.set(micros);
        self.checkpoint_most_micros.most(micros);
    }
}

/// One number that rises.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn one(&self) {
        self.add(1);
    }

    /// For numbers that are the last of their kind.
    pub(super) fn set(&self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0.store(value, Ordering::Relaxed);
    }

    /// For numbers that are the largest of their kind.
    pub(super) fn most(&self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Statements run to read.
    statements_read;
    /// Statements run to write, those of rolled back transactions included.
    statements_written;
    /// Transactions committed.
    transactions;
    /// Transactions rolled back.
    rollbacks;
    /// Writes handed over by the journal and committed.
    records;
    /// Transactions they took.
    record_transactions;
    /// Log records committed.
    log_records;
    /// Transactions they took.
    log_transactions;
    /// Samples committed, the host's included.
    samples;
    /// Transactions they took.
    sample_transactions;
    /// Checkpoint values committed.
    checkpoint_values;
    /// Transactions they took.
    checkpoint_transactions;
    /// Checkpoints that failed and were put back.
    checkpoint_failures;
    /// Microseconds spent in checkpoints that passed.
    checkpoint_micros;
    /// Checkpoints that passed, each of one or several transactions.
    checkpoints;
    /// Values in the last one.
    checkpoint_last_values;
    /// Microseconds it took.
    checkpoint_last_micros;
    /// Microseconds of the slowest one.
    checkpoint_most_micros;
    /// Readers taken from the pool.
    pool_gets;
    /// Times none came free in time.
    pool_timeouts;
    /// Writes that failed and were put back.
    retries;
    /// Writes that can never pass and were given up.
    rejected;
    /// Records dropped because too many waited.
    dropped_records;
    /// Samples dropped because too many waited.
    dropped_samples;
    /// Log records dropped because too many waited.
    dropped_logs;
    /// Checkpoint values dropped because too many waited.
    dropped_checkpoints;
    /// Rows that could not be read back and were passed over.
    unreadable_rows;
    /// Rows that retention deleted.
    expired_rows;
    /// Panics of the writer that were caught.
    panics;
}
