//! Repeats of log records: which are shown, which only counted. Pure: no clock, no I/O.

use std::collections::HashMap;

use crate::clock::Mono;
use crate::limits;

/// Records seen lately, with how often.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: HashMap<String, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Mono,
    count: u32,
}

/// Records that were counted instead of shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// What they said.
    pub text: String,
    /// How many were not shown.
    pub times: u32,
}

/// What to do with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Counts to tell first: of windows that are over.
    pub over: Vec<Repeated>,
    /// Whether the record itself is shown.
    pub is_shown: bool,
}

impl Repeats {
    /// Takes a record that says `text`.
    #[must_use]
    pub fn next(&mut self, text: &str, now: Mono) -> Decision {
        let mut over = self.sweep(now);
        if !self.seen.contains_key(text) && self.seen.len() >= limits::REPEATS_WATCHED {
            over.extend(self.evict());
        }
        let seen = self.seen.entry(text.to_owned()).or_insert(Seen {
            since: now,
            count: 0,
        });
        seen.count = seen.count.saturating_add(1);
        Decision {
            over,
            is_shown: seen.count <= limits::REPEATS_SHOWN,
        }
    }

    /// Gives every count that was not told, and forgets all.
    #[must_use]
    pub fn finish(&mut self) -> Vec<Repeated> {
        let mut all: Vec<Repeated> = self
            .seen
            .drain()
            .filter_map(|(text, seen)| repeated(text, seen))
            .collect();
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all
    }

    fn sweep(&mut self, now: Mono) -> Vec<Repeated> {
        let mut over: Vec<Repeated> = self
            .seen
            .extract_if(|_, seen| now.since(seen.since) >= limits::REPEATS_WINDOW)
            .filter_map(|(text, seen)| repeated(text, seen))
            .collect();
        over.sort_by(|a, b| a.text.cmp(&b.text));
        over
    }

    fn evict(&mut self) -> Option<Repeated> {
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.since)?;
        let text = oldest.0.clone();
        let seen = self.seen.remove(&text)?;
        repeated(text, seen)
    }
}

fn repeated(text: String, seen: Seen) -> Option<Repeated> {
    let times = seen.count.saturating_sub(limits::REPEATS_SHOWN);
    (times > 0).then_some(Repeated { text, times })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_same_record_again_and_again_is_shown_a_few_times_and_then_counted() {
        let mut repeats = Repeats::default();
        let shown = (0..100).filter(|_| repeats.next("full", at(1)).is_shown);
        assert_eq!(shown.count(), limits::REPEATS_SHOWN as usize);
        assert!(repeats.next("another", at(1)).is_shown);
        let later = repeats.next("another", at(1) + limits::REPEATS_WINDOW);
        let told = Repeated {
            text: "full".to_owned(),
            times: 100 - limits::REPEATS_SHOWN,
        };
        assert_eq!(later.over, [told]);
        assert!(repeats.next("full", at(20)).is_shown, "a new window");
    }

    #[test]
    fn a_million_different_records_are_all_shown_in_bounded_memory() {
        let mut repeats = Repeats::default();
        for n in 0..2_000 {
            assert!(repeats.next(&n.to_string(), at(n)).is_shown);
            assert!(repeats.next(&n.to_string(), at(0)).is_shown);
        }
        for n in 0..10_000 {
            assert!(repeats.next(&n.to_string(), at(3_000)).is_shown);
            assert!(repeats.seen.len() <= limits::REPEATS_WATCHED);
        }
    }

    #[test]
    fn what_was_not_told_is_told_at_the_end() {
        let mut repeats = Repeats::default();
        for _ in 0..=limits::REPEATS_SHOWN {
            let _ = repeats.next("once more", at(1));
        }
        assert_eq!(repeats.finish().len(), 1);
        assert_eq!(repeats.finish(), []);
    }
}
