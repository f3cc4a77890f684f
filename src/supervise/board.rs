//! The published snapshot: how everybody else sees the instances. Owns the one lock; readers get an `Arc`.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::clock::{Mono, Wall};
use crate::ids::RunId;
use crate::model::event::Exit;
use crate::model::name::InstanceName;
use crate::model::status::{Desired, Health, PhaseName};
use crate::model::stop::StopProgress;

/// One instance as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// Which.
    pub name: InstanceName,
    /// What people want of it.
    pub desired: Desired,
    /// Where it stands.
    pub phase: PhaseName,
    /// Confirmed as started.
    pub ready: bool,
    /// What probes say.
    pub health: Health,
    /// Its main process.
    pub pid: Option<u32>,
    /// Its run.
    pub run: Option<RunId>,
    /// When that run was spawned.
    pub started_at: Option<Mono>,
    /// Restarts so far.
    pub restarts: u64,
    /// When the next start is due.
    pub retry_at: Option<Mono>,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
    /// Why it is down, or what it waits for, in words.
    pub cause: Option<String>,
    /// The end it was asked for, while it is under way.
    pub stopping: Option<StopProgress>,
    /// Its program's labels.
    pub tags: Arc<[String]>,
    /// When the clock next starts it, or restarts it.
    pub next_start_at: Option<Wall>,
    /// What it says of itself (`STATUS=`), fit for a terminal.
    pub status_text: Option<Arc<str>>,
}

/// All instances at one moment, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Rises with every publication.
    pub seq: u64,
    /// The instances; those that did not change are shared with the snapshot before.
    pub instances: Vec<Arc<InstanceView>>,
}

/// Holds the latest snapshot. One writer publishes, anybody reads; nothing else happens under the lock.
#[derive(Debug, Default)]
pub struct Board {
    latest: RwLock<Arc<Snapshot>>,
}

impl Board {
    /// The latest snapshot.
    #[must_use]
    pub fn read(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.read())
    }

    /// Replaces the snapshot in one swap and returns the one before.
    pub fn publish(&self, next: Snapshot) -> Arc<Snapshot> {
        std::mem::replace(&mut *self.latest.write(), Arc::new(next))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn under_many_readers_every_publication_is_one_swap_that_gives_back_the_one_before() {
        const PUBLICATIONS: u64 = 20_000;
        let (board, is_over) = (Board::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !is_over.load(Ordering::Acquire) {
                        let seen = board.read().seq;
                        assert!(seen >= last, "went back from {last} to {seen}");
                        last = seen;
                    }
                    assert_eq!(board.read().seq, PUBLICATIONS);
                });
            }
            for seq in 1..=PUBLICATIONS {
                let before = board.publish(Snapshot {
                    seq,
                    instances: Vec::new(),
                });
                assert_eq!(before.seq, seq - 1);
            }
            is_over.store(true, Ordering::Release);
        });
    }
}
