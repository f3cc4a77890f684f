//! The circuit breaker of one target: pure. Failures in a row open it; after a pause one attempt probes; its
//! success closes it, its failure doubles the pause. A target that says it is gone is left alone until a person
//! changes something.
//!
//! ```text
//!            failures in a row            pause over, an attempt begins
//!   Closed ───────────────────▶ Open ◀──────────────────────▶ HalfOpen
//!     ▲                           ▲            it fails           │
//!     └───────────────────────────┼───────────────────────────────┘ it succeeds
//!   any ── gone ──▶ Dead ── changed ──▶ Closed
//! ```

use std::time::Duration;

use crate::clock::Mono;
use crate::model::target::BreakerPolicy;

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Messages go.
    Closed {
        /// Failures in a row so far.
        failures: u32,
    },
    /// Nothing goes until then.
    Open {
        /// The end of the pause.
        until: Mono,
        /// Its length, from which the next one follows.
        cooldown: Duration,
    },
    /// One attempt is on its way to find out.
    HalfOpen {
        /// The length of the pause before it.
        cooldown: Duration,
    },
    /// The target is gone.
    Dead,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An attempt begins.
    Began,
    /// The target answered as a target that lives.
    Succeeded,
    /// It did not.
    Failed,
    /// It asked for a wait: neither.
    Held,
    /// It says it is gone.
    Gone,
    /// A person changed its configuration.
    Changed,
    /// A person wants it tried at once.
    Nudged,
}

/// What others are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was well, and is left alone from here on.
    Opened,
    /// It is well again.
    Closed,
    /// It is given up.
    Died,
}

/// The next state. Total: every state answers every input.
#[must_use]
pub fn next(
    state: Breaker,
    input: Input,
    now: Mono,
    policy: &BreakerPolicy,
) -> (Breaker, Option<Change>) {
    use Breaker::{Closed, Dead, HalfOpen, Open};
    match (state, input) {
        (Closed { failures }, Input::Failed) if failures.saturating_add(1) < policy.failures => (
            Closed {
                failures: failures + 1,
            },
            None,
        ),
        (Closed { .. }, Input::Failed) => {
            (open(now, policy.cooldown, policy), Some(Change::Opened))
        }
        (Closed { .. }, Input::Succeeded | Input::Changed) => (Closed { failures: 0 }, None),
        // Leased before it opened and sent after; or the pause is over.
        (Open { cooldown, .. }, Input::Began | Input::Nudged) => (HalfOpen { cooldown }, None),
        // While half open, the hold keeps the next attempt back; that one probes.
        (Open { .. }, Input::Failed | Input::Held)
        | (Closed { .. } | HalfOpen { .. }, Input::Began | Input::Held | Input::Nudged) => {
            (state, None)
        }
        (HalfOpen { cooldown }, Input::Failed) => {
            (open(now, cooldown.saturating_mul(2), policy), None)
        }
        (Open { .. } | HalfOpen { .. }, Input::Succeeded | Input::Changed) => {
            (Closed { failures: 0 }, Some(Change::Closed))
        }
        (Closed { .. } | Open { .. } | HalfOpen { .. }, Input::Gone) => (Dead, Some(Change::Died)),
        // A nudge is a person's doubt that it is gone.
        (Dead, Input::Changed | Input::Succeeded) => (Closed { failures: 0 }, Some(Change::Closed)),
        (Dead, Input::Nudged) => (
            HalfOpen {
                cooldown: policy.cooldown,
            },
            None,
        ),
        (Dead, Input::Began | Input::Failed | Input::Held | Input::Gone) => (Dead, None),
    }
}

fn open(now: Mono, cooldown: Duration, policy: &BreakerPolicy) -> Breaker {
    let cooldown = cooldown.min(policy.cooldown_max.max(policy.cooldown));
    Breaker::Open {
        until: now + cooldown,
        cooldown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        cooldown: Duration::from_secs(30),
        cooldown_max: Duration::from_secs(100),
    };
    const ALL: [Input; 7] = [
        Input::Began,
        Input::Succeeded,
        Input::Failed,
        Input::Held,
        Input::Gone,
        Input::Changed,
        Input::Nudged,
    ];

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn run(inputs: &[Input]) -> (Breaker, Vec<Change>) {
        let mut state = Breaker::default();
        let mut changes = Vec::new();
        for input in inputs {
            let (to, change) = next(state, *input, at(100), &POLICY);
            state = to;
            changes.extend(change);
        }
        (state, changes)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        use Input::{Failed, Succeeded};
        assert_eq!(run(&[Failed, Failed]).0, Breaker::Closed { failures: 2 });
        assert_eq!(
            run(&[Failed, Failed, Succeeded, Failed, Failed]).0,
            Breaker::Closed { failures: 2 }
        );
        let (state, changes) = run(&[Failed, Failed, Failed]);
        assert_eq!(changes, [Change::Opened]);
        assert_eq!(
            state,
            Breaker::Open {
                until: at(130),
                cooldown: Duration::from_secs(30)
            }
        );
    }

    #[test]
    fn a_wait_the_target_asks_for_is_no_failure() {
        use Input::{Failed, Held};
        let (state, changes) = run(&[Failed, Failed, Held, Held, Held, Held]);
        assert_eq!(state, Breaker::Closed { failures: 2 });
        assert!(changes.is_empty());
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_its_most_and_tells_nobody_again() {
        use Input::{Began, Failed};
        let mut inputs = vec![Failed, Failed, Failed];
        let mut pauses = Vec::new();
        for _ in 0..4 {
            if let Breaker::Open { cooldown, .. } = run(&inputs).0 {
                pauses.push(cooldown.as_secs());
            }
            inputs.extend([Began, Failed]);
        }
        assert_eq!(pauses, [30, 60, 100, 100]);
        assert_eq!(run(&inputs).1, [Change::Opened]);
    }

    #[test]
    fn a_passed_probe_closes_it_by_itself() {
        use Input::{Began, Failed, Succeeded};
        let (state, changes) = run(&[Failed, Failed, Failed, Began, Succeeded]);
        assert_eq!(state, Breaker::Closed { failures: 0 });
        assert_eq!(changes, [Change::Opened, Change::Closed]);
    }

    #[test]
    fn a_target_that_is_gone_stays_dead_until_a_person_acts() {
        use Input::{Began, Changed, Failed, Gone, Held, Nudged, Succeeded};
        for input in [Began, Failed, Held, Gone] {
            assert_eq!(run(&[Gone, input]).0, Breaker::Dead, "{input:?}");
        }
        assert_eq!(run(&[Gone, Changed]).0, Breaker::Closed { failures: 0 });
        let (state, changes) = run(&[Gone, Nudged, Succeeded]);
        assert_eq!(state, Breaker::Closed { failures: 0 });
        assert_eq!(changes, [Change::Died, Change::Closed]);
    }

    /// Every history of five inputs: what is told alternates between bad and good news, a pause is never
    /// longer than its most, and a change of configuration always makes it well.
    #[test]
    fn every_short_history_tells_bad_and_good_news_in_turn() {
        for code in 0..7_usize.pow(5) {
            let history: Vec<Input> = (0..5_u32).map(|i| ALL[code / 7_usize.pow(i) % 7]).collect();
            let (state, changes) = run(&history);
            let mut well = true;
            for change in &changes {
                match change {
                    Change::Opened => assert!(std::mem::replace(&mut well, false), "{history:?}"),
                    Change::Died => well = false,
                    Change::Closed => assert!(!std::mem::replace(&mut well, true), "{history:?}"),
                }
            }
            assert_eq!(well, matches!(state, Breaker::Closed { .. }), "{history:?}");
            if let Breaker::Open { cooldown, .. } = state {
                assert!(cooldown <= POLICY.cooldown_max, "{history:?}");
            }
            let (revived, _) = next(state, Input::Changed, at(100), &POLICY);
            assert_eq!(revived, Breaker::Closed { failures: 0 });
        }
    }
}
