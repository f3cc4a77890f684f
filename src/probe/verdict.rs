//! From single checks to a verdict: so many passes in a row make it healthy, so many failures in a row
//! unhealthy. Pure; reads no clock.

use crate::clock::Mono;
use crate::model::health::Probe;
use crate::model::status::Health;

/// What one check came to: passed, or failed for this reason.
pub type Outcome = Result<(), String>;

/// A verdict that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is from here on.
    pub health: Health,
    /// Why it is unhealthy, in words.
    pub cause: Option<String>,
}

/// The checks of one probe so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    health: Health,
    passes: u32,
    failures: u32,
    has_passed: bool,
    /// When a failure was last counted before the first pass.
    counted_at: Option<Mono>,
}

impl Verdict {
    /// Whether it was ever healthy.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.has_passed
    }

    /// Takes a check that began at `at`; what changed, if anything.
    pub fn take(&mut self, outcome: Outcome, at: Mono, probe: &Probe) -> Option<Change> {
        match outcome {
            Ok(()) => self.passed(probe),
            Err(cause) => self.failed(&cause, at, probe),
        }
    }

    fn passed(&mut self, probe: &Probe) -> Option<Change> {
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        if self.health == Health::Healthy || self.passes < probe.success_threshold {
            return None;
        }
        self.health = Health::Healthy;
        self.has_passed = true;
        Some(Change {
            health: self.health,
            cause: None,
        })
    }

    fn failed(&mut self, cause: &str, at: Mono, probe: &Probe) -> Option<Change> {
        self.passes = 0;
        if !self.has_passed {
            // Until the first pass it is checked more often than configured; that is for a quick start, and
            // must not make the end of patience come sooner.
            if self
                .counted_at
                .is_some_and(|counted| at < counted + probe.interval)
            {
                return None;
            }
            self.counted_at = Some(at);
        }
        self.failures = self.failures.saturating_add(1);
        if self.health == Health::Unhealthy || self.failures < probe.failure_threshold {
            return None;
        }
        self.health = Health::Unhealthy;
        let cause = match self.failures {
            1 => format!("{} failed: {cause}", probe.check),
            times => format!("{} failed {times} times: {cause}", probe.check),
        };
        Some(Change {
            health: self.health,
            cause: Some(cause),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::health::Check;

    fn probe(success_threshold: u32, failure_threshold: u32) -> Probe {
        Probe {
            check: Check::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 80,
            },
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            initial_delay: Duration::ZERO,
            success_threshold,
            failure_threshold,
        }
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    /// The checks as a text, one five seconds after the other: `+` passes, `-` fails; and what each changed.
    fn walk(probe: &Probe, checks: &str) -> String {
        let mut verdict = Verdict::default();
        let mut seconds = 0;
        let changes = checks.chars().map(|check| {
            seconds += 5;
            let outcome = if check == '+' {
                Ok(())
            } else {
                Err("refused".to_owned())
            };
            match verdict.take(outcome, at(seconds), probe) {
                None => '.',
                Some(change) if change.health == Health::Healthy => 'H',
                Some(_) => 'U',
            }
        });
        changes.collect()
    }

    #[test]
    fn so_many_in_a_row_change_the_verdict_and_each_change_is_told_once() {
        for (passes, failures, checks, changes) in [
            (1, 1, "+-+-", "HUHU"),
            (1, 3, "+--+---+", "H.....UH"),
            (1, 3, "---+", "..UH"),
            (2, 1, "+-++", ".U.H"),
            (3, 2, "++-+++--", ".....H.U"),
            (1, 1, "++++----", "H...U..."),
        ] {
            assert_eq!(walk(&probe(passes, failures), checks), changes, "{checks}");
        }
    }

    #[test]
    fn checks_that_come_early_before_the_first_pass_do_not_count_twice() {
        let probe = probe(1, 2);
        let mut verdict = Verdict::default();
        let mut fail = |millis: u64| {
            let at = Mono::from_nanos(millis * 1_000_000);
            verdict.take(Err("refused".to_owned()), at, &probe)
        };
        for millis in [0, 100, 300, 700, 4_999] {
            assert_eq!(fail(millis), None, "{millis}");
        }
        let change = fail(5_000).expect("the second that counts");
        assert_eq!(
            change.cause.as_deref(),
            Some("tcp 127.0.0.1:80 failed 2 times: refused")
        );
        assert_eq!(fail(10_000), None, "told once");
    }
}
