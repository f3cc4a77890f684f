//! Deliveries that are kept up: what some targets forget unless they are told again ([`Provider::stands`]). Pure. The
//! row itself is kept pending, so what is still so after a kill -9 is told again by the same row; the next delivery of
//! its incident takes its place in the transaction that stores it.
//!
//! [`Provider::stands`]: super::providers::Provider::stands

use std::time::Duration;

use crate::clock::Wall;
use crate::limits;
use crate::model::delivery::Verdict;

/// `verdict` for a delivery that is said again after `pause`, if it is.
pub(super) fn keep(verdict: Verdict, pause: Option<Duration>, now: Wall) -> Verdict {
    match (verdict, pause) {
        (Verdict::Delivered { .. }, Some(pause)) => Verdict::Standing {
            due: now + pause,
            expires_at: now + limits::STANDING_AGE,
        },
        // A target that is back has forgotten, and is told as soon as it would have been anyway.
        (Verdict::RetryAt { due, counts: true }, Some(pause)) => Verdict::RetryAt {
            due: due.min(now + pause),
            counts: true,
        },
        (verdict, _) => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn what_was_taken_is_said_again_and_what_failed_no_later_than_that() {
        let taken = || Verdict::Delivered { message: None };
        assert_eq!(keep(taken(), None, NOW), taken());
        let standing = Verdict::Standing {
            due: NOW + MINUTE,
            expires_at: NOW + limits::STANDING_AGE,
        };
        assert_eq!(keep(taken(), Some(MINUTE), NOW), standing);
        let retry = |due, counts| Verdict::RetryAt { due, counts };
        let late = NOW + MINUTE * 15;
        assert_eq!(
            keep(retry(late, true), Some(MINUTE), NOW),
            retry(NOW + MINUTE, true)
        );
        // A wait that the target asked for is kept, and so is every other end.
        assert_eq!(
            keep(retry(late, false), Some(MINUTE), NOW),
            retry(late, false)
        );
        assert_eq!(keep(Verdict::Dead, Some(MINUTE), NOW), Verdict::Dead);
        assert_eq!(keep(Verdict::Expired, Some(MINUTE), NOW), Verdict::Expired);
    }
}
