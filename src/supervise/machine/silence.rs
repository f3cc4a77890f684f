//! How long a run has written nothing, as a pure machine beside that of its health: told the moment and when it last
//! wrote, it says when that is too long. No I/O, no clock, no log.
//!
//! It counts from the run's start, or from when this supervisor took the run over: what was while nobody watched is
//! held against nobody. A stall is believed at the second look: when we ourselves did not run for a while, what
//! the program wrote meanwhile has yet to be read.

use std::time::Duration;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::limits;

/// The silence of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    run: RunId,
    /// It has been silent since then, as far as is known.
    since: Mono,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has not been silent for too long.
    Fine,
    /// It seems so; to be looked at again then.
    Doubted(Mono),
    /// It has, and that was told.
    Stalled,
}

impl Silence {
    /// That of a run which is up since, or taken over, `now`.
    #[must_use]
    pub fn new(run: RunId, now: Mono) -> Self {
        Self {
            run,
            since: now,
            state: State::Fine,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Since when nothing was written, as far as is known.
    #[must_use]
    pub fn since(&self) -> Mono {
        self.since
    }

    /// It is too long, and that was told.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.state == State::Stalled
    }

    /// When [`Silence::look`] is wanted, if `after` is too long.
    #[must_use]
    pub fn deadline(&self, after: Duration) -> Option<Mono> {
        match self.state {
            State::Fine => Some(self.since + after),
            State::Doubted(until) => Some(until),
            State::Stalled => None,
        }
    }

    /// Looks at a run that `last` wrote then; whether it has stalled, which is said once.
    pub fn look(&mut self, now: Mono, last: Option<Mono>, after: Duration) -> bool {
        self.since = self.since.max(last.unwrap_or_default());
        if self.is_stalled() {
            return false;
        }
        if self.since + after > now {
            self.state = State::Fine;
            return false;
        }
        match self.state {
            State::Doubted(until) if until <= now => {
                self.state = State::Stalled;
                true
            }
            State::Doubted(_) => false,
            State::Fine | State::Stalled => {
                self.state = State::Doubted(now + limits::SILENCE_DOUBT);
                false
            }
        }
    }

    /// It writes again, or is judged by other settings: for how long it was silent, if that had been told.
    pub fn end(&mut self, last: Option<Mono>) -> Option<Duration> {
        let before = self.since;
        self.since = self.since.max(last.unwrap_or_default());
        let was_stalled = self.is_stalled();
        self.state = State::Fine;
        was_stalled.then(|| self.since.since(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    /// When it is looked at, when it wrote last, whether it has stalled, and when it is to be looked at next.
    type Step = (u64, Option<u64>, bool, Option<u64>);

    #[test]
    fn what_writes_in_time_is_left_alone_and_a_stall_is_told_once() {
        let tables: &[&[Step]] = &[
            // It never wrote.
            &[
                (10_000, None, false, Some(10_250)),
                (10_250, None, true, None),
                (90_000, None, false, None),
            ],
            // It wrote: one look for each such time, however much it wrote.
            &[
                (10_000, Some(9_000), false, Some(19_000)),
                (19_000, Some(9_000), false, Some(19_250)),
                (19_250, Some(9_000), true, None),
            ],
            // We were not there for an hour; what it wrote is read a moment later.
            &[
                (3_600_000, Some(2_000), false, Some(3_600_250)),
                (3_600_250, Some(3_600_100), false, Some(3_610_100)),
            ],
            // A look that comes early changes nothing.
            &[
                (10_000, None, false, Some(10_250)),
                (10_100, None, false, Some(10_250)),
                (10_250, None, true, None),
            ],
            // What it wrote before it was taken over counts for nothing.
            &[(500, Some(0), false, Some(10_000))],
        ];
        for table in tables {
            let mut silence = Silence::new(RunId::new(), Mono::default());
            for (now, last, has_stalled, next) in *table {
                let stalled = silence.look(at(*now), last.map(at), AFTER);
                assert_eq!(stalled, *has_stalled, "{now} of {table:?}");
                assert_eq!(silence.deadline(AFTER), next.map(at), "{now} of {table:?}");
            }
        }
    }

    #[test]
    fn a_stall_that_was_told_ends_with_the_next_output_and_may_come_again() {
        let mut silence = Silence::new(RunId::new(), at(0));
        assert_eq!(silence.end(Some(at(1_000))), None, "it was not told");
        silence.look(at(11_000), None, AFTER);
        assert!(silence.look(at(11_300), None, AFTER) && silence.is_stalled());
        assert_eq!(silence.end(Some(at(21_000))), Some(Duration::from_secs(20)));
        assert_eq!(silence.deadline(AFTER), Some(at(31_000)));
        silence.look(at(31_000), Some(at(21_000)), AFTER);
        assert!(silence.look(at(31_250), Some(at(21_000)), AFTER));
    }

    #[test]
    fn however_it_is_looked_at_it_stalls_only_after_the_whole_silence() {
        fastrand::seed(5);
        for _ in 0..300 {
            let mut silence = Silence::new(RunId::new(), at(0));
            let (mut now, mut last) = (0, 0);
            for _ in 0..60 {
                now += fastrand::u64(1..8_000);
                if fastrand::u8(0..3) == 0 {
                    last = now - fastrand::u64(0..1_000).min(now - last);
                }
                if silence.look(at(now), Some(at(last)), AFTER) {
                    assert!(now - last >= 10_250, "{now} {last}");
                    silence.end(Some(at(now)));
                    last = now;
                }
                let next = silence.deadline(AFTER).expect("it has not stalled");
                assert!(next > at(now) && next <= at(now) + AFTER, "{now} {next:?}");
            }
        }
    }
}
