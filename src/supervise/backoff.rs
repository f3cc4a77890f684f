//! The pause before the next start. Pure: the random number comes from the caller.

use std::time::Duration;

use crate::model::program::BackoffPolicy;

/// The pause after `streak` restarts in a row: `initial * factor^streak`, spread by `jitter` to either side,
/// never above `max`. `random` is uniform in 0..1; 0.5 gives the middle.
#[must_use]
pub fn pause(policy: &BackoffPolicy, streak: u32, random: f64) -> Duration {
    let exponent = i32::try_from(streak).unwrap_or(i32::MAX);
    let plain = policy.initial.as_secs_f64() * policy.factor.powi(exponent);
    let capped = plain.min(policy.max.as_secs_f64());
    let spread = capped * (1.0 + policy.jitter * (2.0 * random - 1.0));
    Duration::try_from_secs_f64(spread)
        .unwrap_or(policy.max)
        .min(policy.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        initial: Duration::from_millis(500),
        max: Duration::from_mins(1),
        factor: 2.0,
        jitter: 0.2,
        reset_after: Duration::from_mins(1),
    };

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        let middle: Vec<u128> = (0..9).map(|n| pause(&POLICY, n, 0.5).as_millis()).collect();
        assert_eq!(
            middle,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(pause(&POLICY, u32::MAX, 0.5), POLICY.max);
    }

    #[test]
    fn jitter_spreads_to_either_side_and_never_passes_the_cap() {
        assert_eq!(pause(&POLICY, 0, 0.0), Duration::from_millis(400));
        assert_eq!(pause(&POLICY, 0, 1.0), Duration::from_millis(600));
        assert_eq!(pause(&POLICY, 20, 1.0), POLICY.max);
        assert_eq!(pause(&POLICY, 20, 0.0), Duration::from_secs(48));
    }

    #[test]
    fn a_zero_pause_stays_zero() {
        let zero = BackoffPolicy {
            initial: Duration::ZERO,
            ..POLICY
        };
        assert_eq!(pause(&zero, 1_000, 1.0), Duration::ZERO);
    }
}
