//! Counters of the store: what it did and what it cost. Owns numbers only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::versions::Versions;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// What the store has done since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
