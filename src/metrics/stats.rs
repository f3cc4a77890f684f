//! What sampling says of itself: counts and durations. It judges none of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The state of sampling at one moment. Counts are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sampling threads that are wanted, one an interval in use.
    pub threads: u64,
    /// Sampling threads that were let go of and have not been joined yet.
    pub threads_ending: u64,
    /// Sampling threads ever started.
    pub threads_started: u64,
    /// Sampling threads joined and removed.
    pub threads_reaped: u64,
    /// Sampling threads that ended though they had members, or could not be started; they are tried again.
    pub threads_failed: u64,
    /// Runs that are watched.
    pub members: u64,
    /// Looks at all members of an interval.
    pub rounds: u64,
    /// Looks that failed as a whole.
    pub rounds_failed: u64,
    /// Looks left out because the one before took too long.
    pub rounds_skipped: u64,
    /// Samples taken.
    pub samples: u64,
    /// Processes that were alive and could not be read in full: closed to us, or gone in that moment.
    pub unreadable: u64,
    /// Messages to sampling that found no room.
    pub messages_dropped: u64,
    /// How late the last look began.
    pub lag_last: Duration,
    /// How late the latest of all looks began.
    pub lag_max: Duration,
    /// How long the last look took.
    pub round_last: Duration,
    /// How long the longest look took.
    pub round_max: Duration,
    /// Files kept open.
    pub files_kept: usize,
    /// Instances with samples in memory.
    pub rings: usize,
    /// Runs with a peak in memory.
    pub peaks: usize,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) threads: AtomicU64,
    pub(super) threads_ending: AtomicU64,
    pub(super) threads_started: AtomicU64,
    pub(super) threads_reaped: AtomicU64,
    pub(super) threads_failed: AtomicU64,
    pub(super) members: AtomicU64,
    pub(super) messages_dropped: AtomicU64,
    rounds: AtomicU64,
    rounds_failed: AtomicU64,
    rounds_skipped: AtomicU64,
    samples: AtomicU64,
    unreadable: AtomicU64,
    lag_last: AtomicU64,
    lag_max: AtomicU64,
    round_last: AtomicU64,
    round_max: AtomicU64,
}

impl Tallies {
    pub(super) fn began(&self, lag: Duration) {
        let nanos = nanos(lag);
        self.lag_last.store(nanos, Relaxed);
        self.lag_max.fetch_max(nanos, Relaxed);
    }

    pub(super) fn ended(&self, took: Duration, skipped: u64) {
        let nanos = nanos(took);
        self.rounds.fetch_add(1, Relaxed);
        self.rounds_skipped.fetch_add(skipped, Relaxed);
        self.round_last.store(nanos, Relaxed);
        self.round_max.fetch_max(nanos, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.rounds_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn sampled(&self, samples: usize, unreadable: u64) {
        self.samples.fetch_add(samples as u64, Relaxed);
        self.unreadable.fetch_add(unreadable, Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        Stats {
            threads: self.threads.load(Relaxed),
            threads_ending: self.threads_ending.load(Relaxed),
            threads_started: self.threads_started.load(Relaxed),
            threads_reaped: self.threads_reaped.load(Relaxed),
            threads_failed: self.threads_failed.load(Relaxed),
            members: self.members.load(Relaxed),
            rounds: self.rounds.load(Relaxed),
            rounds_failed: self.rounds_failed.load(Relaxed),
            rounds_skipped: self.rounds_skipped.load(Relaxed),
            samples: self.samples.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
            messages_dropped: self.messages_dropped.load(Relaxed),
            lag_last: Duration::from_nanos(self.lag_last.load(Relaxed)),
            lag_max: Duration::from_nanos(self.lag_max.load(Relaxed)),
            round_last: Duration::from_nanos(self.round_last.load(Relaxed)),
            round_max: Duration::from_nanos(self.round_max.load(Relaxed)),
            ..Stats::default()
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
