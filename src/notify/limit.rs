//! How fast a target may be sent to: a token bucket, pure. Kept as one point in time (the generic cell rate
//! algorithm), so nothing is refilled by a timer.

use std::time::Duration;

use crate::clock::Mono;
use crate::model::target::RatePolicy;

/// The bucket of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When the bucket would be full again.
    full_at: Mono,
}

impl Bucket {
    /// When the next message may go; `now` or earlier means at once.
    #[must_use]
    pub fn next_at(self, policy: RatePolicy) -> Mono {
        let room = interval(policy) * policy.burst.max(1).saturating_sub(1);
        Mono::from_nanos(0) + self.full_at.since(Mono::from_nanos(0)).saturating_sub(room)
    }

    /// The bucket after a message sent at `now`.
    #[must_use]
    pub fn spend(self, now: Mono, policy: RatePolicy) -> Self {
        Self {
            full_at: self.full_at.max(now) + interval(policy),
        }
    }
}

fn interval(policy: RatePolicy) -> Duration {
    Duration::from_mins(1) / policy.per_minute.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RatePolicy = RatePolicy {
        burst: 3,
        per_minute: 30,
    };

    #[test]
    fn a_burst_goes_at_once_and_then_one_message_an_interval() {
        let start = Mono::from_nanos(1_000_000_000_000);
        let mut bucket = Bucket::default();
        let mut now = start;
        let mut sent = Vec::new();
        for _ in 0..6 {
            now = now.max(bucket.next_at(POLICY));
            sent.push(now.since(start).as_secs());
            bucket = bucket.spend(now, POLICY);
        }
        assert_eq!(sent, [0, 0, 0, 2, 4, 6]);
    }

    #[test]
    fn a_pause_fills_the_bucket_to_its_burst_and_no_further() {
        let mut bucket = Bucket::default();
        let mut now = Mono::from_nanos(1_000_000_000_000);
        bucket = bucket.spend(now, POLICY);
        now = now + Duration::from_hours(5);
        for _ in 0..3 {
            assert!(bucket.next_at(POLICY) <= now);
            bucket = bucket.spend(now, POLICY);
        }
        assert!(bucket.next_at(POLICY) > now);
    }

    #[test]
    fn no_minute_has_more_than_its_share_and_one_burst() {
        for (burst, per_minute) in [(1, 1), (1, 600), (5, 30), (20, 1)] {
            let policy = RatePolicy { burst, per_minute };
            let start = Mono::from_nanos(7_000_000_000_000);
            let (mut bucket, mut now, mut count) = (Bucket::default(), start, 0);
            while now.since(start) < Duration::from_mins(1) {
                bucket = bucket.spend(now, policy);
                count += 1;
                now = now.max(bucket.next_at(policy));
            }
            assert!(count <= burst + per_minute, "{policy:?}: {count}");
            assert!(count >= per_minute, "{policy:?}: {count}");
        }
    }
}
