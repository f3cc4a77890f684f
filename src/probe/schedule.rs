//! When which check is due, and whether there is room for it. Pure: every method takes `now`.
//!
//! A check that is under way is never begun a second time, so checks never pile up: the next one is due an
//! interval after the begin of the last, or at its end if that is later. Checks are of three lanes. What was
//! answered quickly the last time may use every worker; what was not, or has never been checked, leaves some
//! free: however many targets hang, those that answer are checked in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Mono;
use crate::limits;

/// How a check is likely to go, judged by the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// It has never been checked.
    Fresh,
    /// It was answered at once.
    Quick,
    /// It took its time.
    Slow,
}

/// How often something is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the begin of one check to that of the next.
    pub interval: Duration,
    /// Before the first.
    pub initial_delay: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pace: Pace,
    lane: Lane,
    state: State,
    /// Checks that failed while it has never passed: they follow more quickly.
    eager: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    DueAt(Mono),
    UnderWaySince(Mono),
}

/// Everything that is checked, by an id that is used once.
#[derive(Debug)]
pub struct Schedule<I> {
    entries: BTreeMap<I, Entry>,
    due: BTreeSet<(Mono, I)>,
    busy: Busy,
}

/// Workers in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Busy {
    all: usize,
    unproven: usize,
    slow: usize,
}

impl Busy {
    fn has_room(self, lane: Lane) -> bool {
        let unproven = self.unproven < limits::PROBE_WORKERS_UNPROVEN;
        self.all < limits::PROBE_WORKERS
            && match lane {
                Lane::Quick => true,
                Lane::Fresh => unproven,
                Lane::Slow => unproven && self.slow < limits::PROBE_WORKERS_SLOW,
            }
    }

    fn change(&mut self, lane: Lane, by: impl Fn(&mut usize)) {
        by(&mut self.all);
        if lane != Lane::Quick {
            by(&mut self.unproven);
        }
        if lane == Lane::Slow {
            by(&mut self.slow);
        }
    }
}

impl<I: Copy + Ord> Default for Schedule<I> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            busy: Busy::default(),
        }
    }
}

impl<I: Copy + Ord> Schedule<I> {
    /// Checks `id` from now on; what it was before is forgotten.
    pub fn add(&mut self, id: I, pace: Pace, now: Mono) {
        self.remove(id);
        let at = now + pace.initial_delay;
        let entry = Entry {
            pace,
            lane: Lane::Fresh,
            state: State::DueAt(at),
            eager: Some(0),
        };
        self.entries.insert(id, entry);
        self.due.insert((at, id));
    }

    /// Checks it no more. A check that is under way keeps its worker: say so with [`Schedule::worker_free`].
    pub fn remove(&mut self, id: I) -> Option<Lane> {
        let entry = self.entries.remove(&id)?;
        match entry.state {
            State::DueAt(at) => {
                self.due.remove(&(at, id));
                None
            }
            State::UnderWaySince(_) => Some(entry.lane),
        }
    }

    /// The next check to begin at `now`, if one is due and a worker is free for it. It is under way from here on,
    /// in this lane.
    pub fn begin(&mut self, now: Mono) -> Option<(I, Lane)> {
        let room = |id: &I| {
            let entry = self.entries.get(id)?;
            self.busy.has_room(entry.lane).then_some(entry.lane)
        };
        let mut due = self.due.iter().take_while(|(at, _)| *at <= now);
        let (at, id, lane) = due.find_map(|(at, id)| Some((*at, *id, room(id)?)))?;
        self.due.remove(&(at, id));
        self.busy.change(lane, |n| *n += 1);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.state = State::UnderWaySince(now);
        }
        Some((id, lane))
    }

    /// A check that was begun in `lane` has left its worker, whatever became of its entry.
    pub fn worker_free(&mut self, lane: Lane) {
        self.busy.change(lane, |n| *n = n.saturating_sub(1));
    }

    /// The check of `id` is over: when it began. None when it is not wanted any more.
    pub fn end(&mut self, id: I, has_passed: bool, now: Mono) -> Option<Mono> {
        let entry = self.entries.get_mut(&id)?;
        let State::UnderWaySince(began) = entry.state else {
            return None;
        };
        let took = now.since(began);
        entry.lane = if took < limits::PROBE_QUICK {
            Lane::Quick
        } else {
            Lane::Slow
        };
        if has_passed {
            entry.eager = None;
        }
        let pause = match &mut entry.eager {
            None => entry.pace.interval,
            Some(failures) => {
                let eager = limits::PROBE_EAGER.saturating_mul(1_u32 << (*failures).min(16));
                *failures = failures.saturating_add(1);
                eager.min(entry.pace.interval)
            }
        };
        let at = (began + pause).max(now);
        entry.state = State::DueAt(at);
        self.due.insert((at, id));
        Some(began)
    }

    /// When the next check becomes due after `now`; what is due already waits for a worker.
    pub fn next_due(&self, now: Mono) -> Option<Mono> {
        // Ids have no greatest one to begin a range behind; there are few that are due and wait.
        self.due.iter().map(|(at, _)| *at).find(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        interval: Duration::from_secs(5),
        initial_delay: Duration::ZERO,
    };

    fn ms(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_first_check_comes_after_the_delay_and_the_next_an_interval_after_its_begin() {
        let mut schedule = Schedule::default();
        let pace = Pace {
            initial_delay: Duration::from_secs(2),
            ..PACE
        };
        schedule.add(1, pace, ms(0));
        assert_eq!(schedule.begin(ms(1_999)), None);
        assert_eq!(schedule.next_due(ms(0)), Some(ms(2_000)));
        assert_eq!(schedule.begin(ms(2_000)), Some((1, Lane::Fresh)));
        assert_eq!(schedule.begin(ms(60_000)), None, "it is under way");
        assert_eq!(schedule.end(1, true, ms(2_100)), Some(ms(2_000)));
        schedule.worker_free(Lane::Fresh);
        assert_eq!(schedule.next_due(ms(2_100)), Some(ms(7_000)));
        assert_eq!(schedule.begin(ms(7_000)), Some((1, Lane::Quick)));
    }

    #[test]
    fn a_check_that_takes_longer_than_its_interval_is_followed_by_one_and_not_by_those_it_missed() {
        let mut schedule = Schedule::default();
        schedule.add(1, PACE, ms(0));
        let (id, lane) = schedule.begin(ms(0)).expect("due");
        assert_eq!(schedule.end(id, true, ms(17_000)), Some(ms(0)));
        schedule.worker_free(lane);
        assert_eq!(schedule.begin(ms(17_000)), Some((1, Lane::Slow)));
        assert_eq!(schedule.begin(ms(17_000)), None);
    }

    #[test]
    fn until_the_first_pass_checks_follow_quickly_but_ever_more_slowly() {
        let mut schedule = Schedule::default();
        schedule.add(1, PACE, ms(0));
        let (mut now, mut pauses) = (ms(0), Vec::new());
        for _ in 0..9 {
            let (id, lane) = schedule.begin(now).expect("due");
            schedule.end(id, false, now);
            schedule.worker_free(lane);
            let next = schedule.next_due(now).expect("there is another");
            pauses.push(next.since(now).as_millis());
            now = next;
        }
        assert_eq!(
            pauses,
            [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]
        );
        let (id, lane) = schedule.begin(now).expect("due");
        schedule.end(id, true, now);
        schedule.worker_free(lane);
        let (_, lane) = schedule.begin(now + PACE.interval).expect("due");
        schedule.end(1, false, now + PACE.interval);
        schedule.worker_free(lane);
        assert_eq!(
            schedule.next_due(now + PACE.interval),
            Some(now + PACE.interval * 2),
            "once it has passed, no failure makes it hasty again"
        );
    }

    /// Begins what there is room for, and ends it `took` later.
    fn round(schedule: &mut Schedule<u32>, now: Mono, took: Duration) -> Vec<u32> {
        let begun: Vec<(u32, Lane)> = std::iter::from_fn(|| schedule.begin(now)).collect();
        for (id, lane) in &begun {
            schedule.end(*id, true, now + took);
            schedule.worker_free(*lane);
        }
        begun.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn those_that_hang_leave_workers_for_those_that_answer() {
        let mut schedule = Schedule::default();
        schedule.add(0, PACE, ms(0));
        assert_eq!(round(&mut schedule, ms(0), Duration::from_millis(1)), [0]);
        for id in 1..=20 {
            schedule.add(id, PACE, ms(0));
        }
        // Nobody knows yet that they hang.
        let fresh: Vec<_> = std::iter::from_fn(|| schedule.begin(ms(4_000))).collect();
        assert_eq!(fresh.len(), limits::PROBE_WORKERS_UNPROVEN);
        assert_eq!(
            schedule.begin(ms(5_000)),
            Some((0, Lane::Quick)),
            "it is due later than fourteen others and does not wait for them"
        );
        schedule.end(0, true, ms(5_001));
        schedule.worker_free(Lane::Quick);
        for (id, lane) in fresh {
            schedule.end(id, false, ms(6_000));
            schedule.worker_free(lane);
        }
        // From here on they are known to be slow.
        for id in 1..=20 {
            schedule.remove(id);
        }
        let mut slow = Schedule::default();
        for id in 0..20 {
            slow.add(id, PACE, ms(0));
        }
        let mut seen = Vec::new();
        while seen.len() < 20 {
            seen.extend(round(&mut slow, ms(0), Duration::from_secs(2)));
        }
        let later = ms(100_000);
        let begun: Vec<_> = std::iter::from_fn(|| slow.begin(later)).collect();
        assert_eq!(begun.len(), limits::PROBE_WORKERS_SLOW);
        slow.add(99, PACE, later);
        assert!(slow.begin(later).is_some_and(|(id, _)| id == 99));
    }

    #[test]
    fn what_was_removed_under_way_frees_its_worker_and_comes_to_nothing() {
        let mut schedule = Schedule::default();
        for id in 0..20 {
            schedule.add(id, PACE, ms(0));
        }
        let begun: Vec<_> = std::iter::from_fn(|| schedule.begin(ms(0))).collect();
        let (id, lane) = begun[0];
        assert_eq!(schedule.remove(id), Some(lane));
        assert_eq!(schedule.begin(ms(0)), None, "its worker is not free yet");
        assert_eq!(schedule.end(id, true, ms(1)), None);
        schedule.worker_free(lane);
        assert!(schedule.begin(ms(1)).is_some());
    }
}
