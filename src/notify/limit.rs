//! How fast a target may be sent to: a token bucket, pure. Kept as one point in time (the generic cell rate
//! algorithm), so nothing is refilled by a timer.

use std::time::Duration;

use crate::clock::Mono;
use crate::limits;
use crate::model::target::RatePolicy;

/// The bucket of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When the bucket would be full again.
    full_at: Mono,
}

impl Bucket {
    /// When the next message may go; `now` or earlier means at once. It leaves what is [`reserved`].
    #[must_use]
    pub fn next_at(self, policy: RatePolicy) -> Mono {
        self.leaving(reserved(policy), policy)
    }

    /// When the next critical message may go: it may take the last token.
    #[must_use]
    pub fn next_critical_at(self, policy: RatePolicy) -> Mono {
        self.leaving(0, policy)
    }

    /// When there is a token more than `rest`.
    fn leaving(self, rest: u32, policy: RatePolicy) -> Mono {
        let room = interval(policy) * policy.burst.max(1).saturating_sub(1 + rest);
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

/// The tokens of a full bucket that only critical messages may take, so that a storm of others leaves them room. A
/// bucket this small has none to spare: there critical ones go first.
#[must_use]
pub fn reserved(policy: RatePolicy) -> u32 {
    match policy.burst {
        0..=2 => 0,
        burst => (burst / limits::RESERVED_SHARE).max(1),
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

    fn start() -> Mono {
        Mono::from_nanos(1_000_000_000_000)
    }

    /// The seconds at which `count` messages go, one after the other, as soon as `next` lets them.
    fn seconds(count: u32, next: impl Fn(Bucket) -> Mono) -> Vec<u64> {
        let (mut bucket, mut now) = (Bucket::default(), start());
        let mut sent = Vec::new();
        for _ in 0..count {
            now = now.max(next(bucket));
            sent.push(now.since(start()).as_secs());
            bucket = bucket.spend(now, POLICY);
        }
        sent
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_message_an_interval() {
        assert_eq!(
            seconds(6, |b| b.next_critical_at(POLICY)),
            [0, 0, 0, 2, 4, 6]
        );
        assert_eq!(
            seconds(6, |b| b.next_at(POLICY)),
            [0, 0, 2, 4, 6, 8],
            "one of three is reserved"
        );
    }

    #[test]
    fn a_pause_fills_the_bucket_to_its_burst_and_no_further() {
        let mut bucket = Bucket::default().spend(start(), POLICY);
        let now = start() + Duration::from_hours(5);
        for _ in 0..3 {
            assert!(bucket.next_critical_at(POLICY) <= now);
            bucket = bucket.spend(now, POLICY);
        }
        assert!(bucket.next_critical_at(POLICY) > now);
    }

    #[test]
    fn no_minute_has_more_than_its_share_and_one_burst() {
        for (burst, per_minute) in [(1, 1), (1, 600), (5, 30), (20, 1)] {
            let policy = RatePolicy { burst, per_minute };
            let (mut bucket, mut now, mut count) = (Bucket::default(), start(), 0);
            while now.since(start()) < Duration::from_mins(1) {
                bucket = bucket.spend(now, policy);
                count += 1;
                now = now.max(bucket.next_critical_at(policy));
            }
            assert!(count <= burst + per_minute, "{policy:?}: {count}");
            assert!(count >= per_minute, "{policy:?}: {count}");
        }
    }

    #[test]
    fn however_long_others_storm_the_reserved_tokens_are_there() {
        for burst in 1..=60 {
            let policy = RatePolicy {
                burst,
                per_minute: 30,
            };
            let kept = reserved(policy);
            assert!(kept < burst, "others may go at all: {policy:?}");
            assert_eq!(kept == 0, burst <= 2, "{policy:?}");
            let (mut bucket, mut now) = (Bucket::default(), start());
            for _ in 0..500 {
                now = now.max(bucket.next_at(policy));
                bucket = bucket.spend(now, policy);
                let mut left = bucket;
                for taken in 0..kept {
                    assert!(left.next_critical_at(policy) <= now, "{policy:?} {taken}");
                    left = left.spend(now, policy);
                }
            }
        }
    }

    #[test]
    fn what_critical_messages_took_is_filled_before_others_go_again() {
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket = bucket.spend(start(), POLICY);
        }
        let at = |seconds| start() + Duration::from_secs(seconds);
        assert_eq!(bucket.next_critical_at(POLICY), at(2));
        assert_eq!(bucket.next_at(POLICY), at(4));
    }
}
