//! One sampling thread: looks at its members at every beat of its interval, publishes, hands on. It decides
//! nothing about who its members are, and ends when its keeper lets go of it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::RwLock;

use super::ring::Memory;
use super::sampler::{Member, Round, Sampler};
use super::stats::Tallies;
use super::threads::{Letter, Message};
use super::{Sink, proc::FileBudget};
use crate::clock::{self, Mono};
use crate::procfs::tree::OwnIds;

/// Who is sampled at one interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    pub(super) members: Vec<Arc<Member>>,
    /// Whether the host is sampled as well.
    pub(super) host: bool,
}

impl Roster {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && !self.host
    }
}

/// What all sampling threads share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) memory: Arc<Memory>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) budget: Arc<FileBudget>,
    pub(super) sink: Arc<Sink>,
}

/// Everything one sampling thread has.
pub(super) struct Pulse {
    pub(super) id: u64,
    pub(super) interval: Duration,
    pub(super) roster: Arc<RwLock<Arc<Roster>>>,
    /// Ends when the keeper lets go.
    pub(super) stop: Receiver<()>,
    pub(super) keeper: Sender<Letter>,
    pub(super) shared: Shared,
}

/// Says that a thread is about to end, also when it panics.
struct LastWord {
    id: u64,
    keeper: Sender<Letter>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        // The keeper never waits for us before it hears this, so it always makes room; without a keeper
        // there is nobody to tell.
        let _ = self.keeper.send(Box::new(Message::Ended(self.id)));
    }
}

impl Pulse {
    /// The thread's body.
    pub(super) fn run(self) {
        let _last_word = LastWord {
            id: self.id,
            keeper: self.keeper.clone(),
        };
        let budget = Arc::clone(&self.shared.budget);
        match Sampler::new(OwnIds::current(), budget) {
            Ok(sampler) => self.beat(sampler),
            Err(error) => log::warn!("sampling cannot begin: {error}"),
        }
    }

    fn beat(&self, mut sampler: Sampler) {
        let mut planned = clock::mono();
        let mut is_failing = false;
        loop {
            let began = clock::mono();
            self.shared.tallies.began(began.since(planned));
            let is_ok = self.look(&mut sampler, is_failing);
            is_failing = !is_ok;
            let ended = clock::mono();
            let (next, skipped) = next_beat(planned, self.interval, ended);
            self.shared.tallies.ended(ended.since(began), skipped);
            planned = next;
            match self.stop.recv_timeout(next.since(ended)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&self, sampler: &mut Sampler, was_failing: bool) -> bool {
        let roster = Arc::clone(&self.roster.read());
        let result = sampler.round(&roster.members);
        let is_ok = result.is_ok();
        let round = result.unwrap_or_else(|error| {
            self.shared.tallies.failed();
            // Once, not at every beat: a machine out of files would fill the log as well.
            if !was_failing {
                log::warn!("the processes cannot be read, no samples are taken: {error}");
            }
            Round::default()
        });
        let host = roster.host.then(|| sampler.host(clock::wall())).flatten();
        self.hand_on(round, host);
        is_ok
    }

    fn hand_on(&self, round: Round, host: Option<crate::model::sample::HostSample>) {
        self.shared.memory.publish(&round.samples, host);
        // After it: who reads the count finds the samples.
        self.shared
            .tallies
            .sampled(round.samples.len(), round.unreadable);
        for member in round.gone {
            // Not heard, it is said again at the next beat.
            let _ = self.keeper.try_send(Box::new(Message::Gone(member)));
        }
        if !round.samples.is_empty() || host.is_some() {
            (self.shared.sink)(round.samples, host);
        }
    }
}

/// The beat after the one `planned`, and how many are left out because they are past already. Beats stand
/// at fixed distances from the first, so a late one does not shift those that follow.
fn next_beat(planned: Mono, interval: Duration, now: Mono) -> (Mono, u64) {
    let step = u64::try_from(interval.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1);
    let late = u64::try_from(now.since(planned).as_nanos()).unwrap_or(u64::MAX);
    let skipped = late / step;
    let ahead = step.saturating_mul(skipped.saturating_add(1));
    (planned + Duration::from_nanos(ahead), skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_do_not_drift_and_missed_ones_are_counted() {
        let at = |millis: u64| Mono::from_nanos(millis * 1_000_000);
        let step = Duration::from_millis(100);
        for (now, next, skipped) in [
            (1_000, 1_100, 0),
            (1_099, 1_100, 0),
            (1_100, 1_200, 1),
            (1_350, 1_400, 3),
            (900, 1_100, 0),
        ] {
            let got = next_beat(at(1_000), step, at(now));
            assert_eq!(got, (at(next), skipped), "at {now}");
        }
    }
}
