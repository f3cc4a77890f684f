//! What the clock does to a program: how long a run may last, when it is restarted, when it is started. Pure.

use std::time::Duration;

use super::calendar::Calendar;
use super::stop::ConsoleLine;
use crate::ids::RunId;

/// What of a program depends on time alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// How long a run may last.
    pub max_runtime: Option<MaxRuntime>,
    /// What is typed before that, the longest before it first.
    pub max_announce: Vec<Announcement>,
    /// When what runs is ended and started anew.
    pub restart_at: Option<Calendar>,
    /// What is typed before that, the longest before it first.
    pub announce: Vec<Announcement>,
    /// When it is started; between, it is down.
    pub schedule: Option<Calendar>,
}

impl Timing {
    /// Whether the wall clock asks anything of it.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.restart_at.is_some() || self.schedule.is_some()
    }
}

/// A line that is typed into a program's standard input before a planned restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// How long before it.
    pub before: Duration,
    /// What is typed.
    pub line: ConsoleLine,
}

/// A run that has lasted so long is ended, and the program started anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxRuntime {
    /// No run lasts longer.
    pub after: Duration,
    /// 0 to 1: the share of `after` by which it may come earlier.
    pub jitter: f64,
}

impl MaxRuntime {
    /// How long `run` may last: drawn from the run's own id, so that whoever asks again, another supervisor too,
    /// gets the same answer, while instances that were started together get different ones.
    #[must_use]
    pub fn of(&self, run: RunId) -> Duration {
        self.after.mul_f64(1.0 - self.jitter * run.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_never_lasts_longer_and_those_begun_together_end_apart() {
        let hour = Duration::from_hours(1);
        let plain = MaxRuntime {
            after: hour,
            jitter: 0.0,
        };
        let spread = MaxRuntime {
            jitter: 0.5,
            ..plain
        };
        let runs: Vec<RunId> = (0..200).map(|_| RunId::new()).collect();
        let lasts: Vec<Duration> = runs.iter().map(|run| spread.of(*run)).collect();
        assert!(runs.iter().all(|run| plain.of(*run) == hour));
        assert!(lasts.iter().all(|last| (hour / 2..=hour).contains(last)));
        // Two hundred of one moment fill the span: each fifth of it has some.
        for fifth in 0..5 {
            let from = hour / 2 + hour / 10 * fifth;
            let here = from..from + hour / 10;
            assert!(lasts.iter().any(|last| here.contains(last)), "{here:?}");
        }
        let again: Vec<Duration> = runs.iter().map(|run| spread.of(*run)).collect();
        assert_eq!(lasts, again);
    }
}
