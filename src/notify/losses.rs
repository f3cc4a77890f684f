//! Deliveries that were dropped because too many waited for a target: what of that is news. Pure. What tells of it would
//! be dropped for the same reason, or drop something else, so it is told once in a while and not each time.

use std::collections::BTreeMap;

use crate::clock::Mono;
use crate::limits;

/// What is known of each target.
#[derive(Debug, Default)]
pub(super) struct Losses {
    known: BTreeMap<String, Known>,
    is_begun: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    count: u64,
    told_at: Option<Mono>,
}

impl Losses {
    /// The counts as they are; returns the targets of which more is to be told, with how many that is. The first ones
    /// are of earlier runs and no news.
    pub(super) fn learn(&mut self, counts: &[(String, u64)], now: Mono) -> Vec<(String, u64)> {
        let mut news = Vec::new();
        for (target, count) in counts {
            let known = self.known.entry(target.clone()).or_default();
            if !self.is_begun {
                known.count = *count;
            }
            let lost = count.saturating_sub(known.count);
            let is_time = known
                .told_at
                .is_none_or(|at| now.since(at) >= limits::DROPPED_TOLD_EVERY);
            if lost > 0 && is_time {
                *known = Known {
                    count: *count,
                    told_at: Some(now),
                };
                news.push((target.clone(), lost));
            }
        }
        self.is_begun = true;
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_dropped_is_told_at_once_and_then_once_in_a_while() {
        let mut losses = Losses::default();
        let at = |s: u64| Mono::from_nanos(1_000_000_000_000) + Duration::from_secs(s);
        let of = |n: u64| vec![("ops".to_owned(), n)];
        assert_eq!(losses.learn(&of(7), at(0)), [], "of an earlier run");
        assert_eq!(losses.learn(&of(8), at(1)), of(1));
        assert_eq!(losses.learn(&of(30), at(2)), []);
        let later = limits::DROPPED_TOLD_EVERY.as_secs();
        assert_eq!(losses.learn(&of(31), at(1 + later)), of(23));
        assert_eq!(losses.learn(&of(31), at(9 * later)), []);
    }
}
