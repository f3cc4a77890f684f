//! How the storage does: judged from the outcome of each write, pure. Also says how long to pause after one
//! that failed.

use std::time::Duration;

use super::error::Fault;
use crate::clock::{Mono, Wall};
use crate::limits;

/// How the storage does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// What is wrong, if something is.
    pub degraded: Option<Degraded>,
    /// Records, samples, log records and checkpoint values that wait to be written.
    pub queued: u64,
    /// Those of them dropped since the store was opened, because too many waited.
    pub dropped: u64,
}

/// The storage fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// What is wrong, in words: `the disk is full`.
    pub what: &'static str,
    /// Since when.
    pub since: Wall,
}

/// The judgement.
#[derive(Debug, Default)]
pub(super) struct Judge {
    failing_since: Option<Mono>,
    pause: Duration,
    degraded: Option<Degraded>,
}

impl Judge {
    pub(super) fn degraded(&self) -> Option<&Degraded> {
        self.degraded.as_ref()
    }

    /// A write failed: the pause before the next, and whether the verdict changed with it.
    pub(super) fn failed(&mut self, fault: Fault, (now, wall): (Mono, Wall)) -> (Duration, bool) {
        let since = *self.failing_since.get_or_insert(now);
        self.pause = (self.pause * 2).clamp(limits::STORE_RETRY_FIRST, limits::STORE_RETRY_MAX);
        let is_fault = match fault {
            Fault::Busy => now.since(since) >= limits::STORE_BUSY_GRACE,
            Fault::Full | Fault::Io | Fault::Corrupt | Fault::Gone => true,
            // Says something of the write, nothing of the storage.
            Fault::Rejected => false,
        };
        if !is_fault
            || self
                .degraded
                .as_ref()
                .is_some_and(|d| d.what == fault.text())
        {
            return (self.pause, false);
        }
        let since = self.degraded.as_ref().map_or(wall, |d| d.since);
        self.degraded = Some(Degraded {
            what: fault.text(),
            since,
        });
        (self.pause, true)
    }

    /// A write passed: whether the verdict changed with it.
    pub(super) fn passed(&mut self) -> bool {
        self.failing_since = None;
        self.pause = Duration::ZERO;
        self.degraded.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> (Mono, Wall) {
        let time = Duration::from_secs(1) * seconds;
        (Mono::default() + time, Wall::default() + time)
    }

    #[test]
    fn a_full_disk_degrades_at_once_and_one_write_restores() {
        let mut judge = Judge::default();
        assert!(judge.failed(Fault::Full, at(1)).1);
        assert!(!judge.failed(Fault::Full, at(2)).1, "told once");
        assert!(judge.failed(Fault::Io, at(3)).1, "another cause is news");
        assert_eq!(judge.degraded().map(|d| d.since), Some(at(1).1));
        assert!(judge.passed());
        assert!(!judge.passed());
        assert_eq!(judge.degraded(), None);
    }

    #[test]
    fn a_lock_held_for_a_moment_is_no_fault() {
        let mut judge = Judge::default();
        assert!(!judge.failed(Fault::Busy, at(1)).1);
        assert!(!judge.failed(Fault::Busy, at(5)).1);
        assert!(judge.failed(Fault::Busy, at(6)).1);
        assert!(!judge.failed(Fault::Rejected, at(7)).1);
    }

    #[test]
    fn pauses_grow_to_two_seconds_and_begin_anew() {
        let mut judge = Judge::default();
        let pauses: Vec<u128> = (0..8)
            .map(|n| judge.failed(Fault::Full, at(n)).0.as_millis())
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        judge.passed();
        assert_eq!(judge.failed(Fault::Full, at(9)).0.as_millis(), 50);
    }
}
