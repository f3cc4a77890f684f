//! When a delivery is tried again: pure. The schedule is for people, to whom minutes matter; a stated wait is
//! no attempt; what would come too late is expired.

use std::time::Duration;

use crate::clock::Wall;
use crate::limits;
use crate::model::delivery::{Outcome, Verdict};

/// The pauses after the first, second, … counted attempt; the last one repeats.
const SCHEDULE: [Duration; 10] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(10),
    Duration::from_mins(15),
];

/// How far a pause may be moved either way, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;

/// The pause after an attempt, when `attempts` counted ones came before it. `random` is uniform in 0..1.
#[must_use]
pub fn pause(attempts: u32, random: f64) -> Duration {
    let step = usize::try_from(attempts).unwrap_or(usize::MAX);
    let base = SCHEDULE[step.min(SCHEDULE.len() - 1)];
    base.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0))
}

/// A wait a target asked for, within what is sensible: never so short that the answer is asked for again at
/// once, never so long that a slip of the target's silences it for days.
#[must_use]
pub fn stated(wait: Duration) -> Duration {
    wait.clamp(limits::HOLD_MIN, limits::HOLD_MAX)
}

/// What is decided on: the row's past and its end.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Counted attempts before this one.
    pub attempts: u32,
    /// Past this it is given up.
    pub expires_at: Wall,
}

/// How a delivery goes on after `outcome`.
#[must_use]
pub fn verdict(outcome: &Outcome, row: Row, now: Wall, random: f64) -> Verdict {
    match outcome {
        Outcome::Delivered { message } => Verdict::Delivered {
            message: message.clone(),
        },
        Outcome::Permanent { .. } => Verdict::Dead,
        Outcome::Retryable { after, .. } => {
            let wait = after.map_or_else(|| pause(row.attempts, random), stated);
            let due = now + wait;
            if due >= row.expires_at {
                return Verdict::Expired;
            }
            Verdict::RetryAt {
                due,
                counts: after.is_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delivery::MessageRef;

    const NOW: Wall = Wall::from_millis(1_700_000_000_000);

    fn row(attempts: u32, life: Duration) -> Row {
        Row {
            attempts,
            expires_at: NOW + life,
        }
    }

    fn failed(after: Option<Duration>) -> Outcome {
        Outcome::Retryable {
            reason: "x".to_owned(),
            after,
        }
    }

    #[test]
    fn pauses_grow_to_a_quarter_of_an_hour_and_stay_there() {
        let seconds: Vec<u64> = (0..12).map(|n| pause(n, 0.5).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 5, 15, 30, 60, 120, 300, 600, 900, 900, 900]);
        assert_eq!(pause(u32::MAX, 0.5), Duration::from_mins(15));
    }

    #[test]
    fn jitter_moves_a_pause_by_a_fifth_at_most() {
        for attempts in 0..12 {
            let middle = pause(attempts, 0.5);
            for step in 0..=10 {
                let moved = pause(attempts, f64::from(step) / 10.0);
                assert!(moved >= middle.mul_f64(0.799) && moved <= middle.mul_f64(1.201));
            }
        }
        assert_eq!(pause(0, 0.0), Duration::from_millis(800));
        assert_eq!(pause(0, 1.0), Duration::from_millis(1_200));
    }

    #[test]
    fn a_stated_wait_is_kept_and_does_not_count_as_an_attempt() {
        let wait = Duration::from_millis(64_570);
        assert_eq!(
            verdict(
                &failed(Some(wait)),
                row(3, Duration::from_hours(1)),
                NOW,
                0.9
            ),
            Verdict::RetryAt {
                due: NOW + wait,
                counts: false
            }
        );
        assert_eq!(
            verdict(&failed(None), row(3, Duration::from_hours(1)), NOW, 0.5),
            Verdict::RetryAt {
                due: NOW + Duration::from_secs(15),
                counts: true
            }
        );
    }

    #[test]
    fn a_stated_wait_of_nothing_does_not_make_a_busy_loop_and_one_of_years_ends() {
        assert_eq!(stated(Duration::ZERO), limits::HOLD_MIN);
        assert_eq!(stated(Duration::from_secs(u64::MAX / 2)), limits::HOLD_MAX);
    }

    #[test]
    fn what_would_come_too_late_is_expired() {
        let short = row(9, Duration::from_mins(1));
        assert_eq!(verdict(&failed(None), short, NOW, 0.5), Verdict::Expired);
        assert_eq!(
            verdict(&failed(Some(Duration::from_mins(1))), short, NOW, 0.5),
            Verdict::Expired
        );
    }

    #[test]
    fn what_was_taken_or_refused_is_settled() {
        let life = row(0, Duration::from_hours(1));
        let taken = Outcome::Delivered {
            message: Some(MessageRef::new("7")),
        };
        assert_eq!(
            verdict(&taken, life, NOW, 0.5),
            Verdict::Delivered {
                message: Some(MessageRef::new("7"))
            }
        );
        let refused = Outcome::Permanent {
            reason: "x".to_owned(),
            target_gone: false,
        };
        assert_eq!(verdict(&refused, life, NOW, 0.5), Verdict::Dead);
    }
}
