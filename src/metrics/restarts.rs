//! Rules about how often an instance was restarted lately. Pure, told the moment. Unlike the other rules these outlive
//! the runs: a restart is what they are about.

use std::collections::VecDeque;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::limits;
use crate::model::rule::{Figure, Rule};

/// The restarts of one instance, as far as its rules need them.
#[derive(Clone, Debug)]
pub(super) struct Restarts {
    run: RunId,
    /// As supervision counts them.
    total: u64,
    /// When the latest were noticed, oldest first.
    times: VecDeque<Mono>,
    /// Its rules about them, and whether each has fired.
    rules: Vec<(Rule, bool)>,
}

/// A rule that turned, and how.
pub(super) struct Turn {
    pub rule: Rule,
    pub has_fired: bool,
    pub value: Option<f64>,
}

/// The rules of `all` that are about restarts.
pub(super) fn those_of(all: &[Rule]) -> Vec<Rule> {
    let about = |rule: &&Rule| rule.when.figure == Figure::Restarts;
    all.iter().filter(about).cloned().collect()
}

impl Restarts {
    /// Counts from here: `total` were before.
    pub(super) fn new(run: RunId, total: u64) -> Self {
        Self {
            run,
            total,
            times: VecDeque::new(),
            rules: Vec::new(),
        }
    }

    /// The latest run.
    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// A run began, after `total` restarts in all.
    pub(super) fn begin(&mut self, run: RunId, total: u64, now: Mono) {
        self.run = run;
        let more = total
            .saturating_sub(self.total)
            .min(limits::RULE_RESTARTS_KEPT as u64);
        self.total = total;
        self.times.extend((0..more).map(|_| now));
        let surplus = self.times.len().saturating_sub(limits::RULE_RESTARTS_KEPT);
        self.times.drain(..surplus);
    }

    /// These are its rules; gives the turns of what had fired and is no more.
    pub(super) fn configure(&mut self, rules: Vec<Rule>) -> Vec<Turn> {
        let mut old = std::mem::take(&mut self.rules);
        for rule in rules {
            let known = old.iter().position(|(known, _)| *known == rule);
            let has_fired = known.is_some_and(|at| old.swap_remove(at).1);
            self.rules.push((rule, has_fired));
        }
        let fired = old.into_iter().filter(|(_, has_fired)| *has_fired);
        let cleared = |(rule, _)| Turn {
            rule,
            has_fired: false,
            value: None,
        };
        fired.map(cleared).collect()
    }

    /// The rules that turn at `now`.
    pub(super) fn look(&mut self, now: Mono) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (rule, has_fired) in &mut self.rules {
            let recent = self.times.iter().filter(|at| now.since(**at) < rule.hold);
            #[expect(clippy::cast_precision_loss, reason = "a thousand at the most")]
            let value = recent.count() as f64;
            if rule.when.holds(value) != *has_fired {
                *has_fired = !*has_fired;
                turns.push(Turn {
                    rule: rule.clone(),
                    has_fired: *has_fired,
                    value: Some(value),
                });
            }
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::rule::{Comparison, Condition};

    fn rule(threshold: f64, within: u64) -> Rule {
        Rule {
            when: Condition {
                figure: Figure::Restarts,
                comparison: Comparison::Above,
                threshold,
            },
            hold: Duration::from_secs(within),
            alert: true,
            act: None,
            command: None,
        }
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn so_many_restarts_within_the_time_fire_once_and_clear_when_they_are_past() {
        let mut restarts = Restarts::new(RunId::new(), 7);
        assert!(restarts.configure(vec![rule(2.0, 60)]).is_empty());
        let mut turns = Vec::new();
        for (second, total) in [
            (0, 7),
            (10, 8),
            (20, 9),
            (30, 10),
            (31, 10),
            (40, 11),
            (69, 11),
            (80, 11),
            (200, 13),
            (210, 14),
        ] {
            restarts.begin(RunId::new(), total, at(second));
            let looked = restarts.look(at(second));
            turns.extend(
                looked
                    .iter()
                    .map(|turn| (second, turn.has_fired, turn.value)),
            );
        }
        assert_eq!(
            turns,
            [
                (30, true, Some(3.0)),
                (80, false, Some(2.0)),
                (210, true, Some(3.0))
            ]
        );
    }

    #[test]
    fn a_rule_that_goes_is_cleared_and_one_that_stays_says_nothing_twice() {
        let mut restarts = Restarts::new(RunId::new(), 0);
        restarts.configure(vec![rule(0.0, 60), rule(1.0, 60)]);
        restarts.begin(RunId::new(), u64::MAX, at(1));
        assert_eq!(restarts.times.len(), limits::RULE_RESTARTS_KEPT);
        assert_eq!(restarts.look(at(1)).len(), 2);
        let gone = restarts.configure(vec![rule(1.0, 60), rule(5.0, 60)]);
        assert!(gone.len() == 1 && gone[0].rule == rule(0.0, 60) && !gone[0].has_fired);
        let more = restarts.look(at(2));
        assert!(more.len() == 1 && more[0].rule == rule(5.0, 60));
    }
}
