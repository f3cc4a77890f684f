//! Whether rules are broken: samples in, turns out. Pure, told the moment; it acts on nothing.
//!
//! A rule fires when every sample has broken it for as long as it says. It clears when every sample has kept it for
//! as long, with a twentieth of the threshold to spare, so that a figure that hovers at the threshold fires once. One that
//! has fired clears with the end of its run.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::name::InstanceName;
use crate::model::rule::{Condition, Rule};
use crate::model::sample::Sample;

/// The share of the threshold by which a figure must keep a rule that has fired.
const SPARE: f64 = 0.05;

/// A rule's turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// Whose.
    pub instance: InstanceName,
    /// Of which run.
    pub run: RunId,
    /// Which.
    pub rule: Rule,
    /// Broken, or kept again.
    pub has_fired: bool,
    /// The figure at that moment; none when the run has ended.
    pub value: Option<f64>,
}

/// One rule of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Watch {
    has_fired: bool,
    /// Since when every sample speaks for the other side.
    turning: Option<Mono>,
}

impl Watch {
    /// Takes a sample's figure; whether the rule turned.
    fn take(&mut self, rule: &Rule, value: f64, now: Mono) -> bool {
        let speaks_for_turn = if self.has_fired {
            is_kept(&rule.when, value)
        } else {
            rule.when.holds(value)
        };
        if !speaks_for_turn {
            self.turning = None;
            return false;
        }
        let since = *self.turning.get_or_insert(now);
        if now.since(since) < rule.hold {
            return false;
        }
        *self = Self {
            has_fired: !self.has_fired,
            turning: None,
        };
        true
    }
}

/// Whether the rule is kept, with something to spare.
fn is_kept(when: &Condition, value: f64) -> bool {
    let spare = when.threshold * SPARE;
    let limit = if when.comparison.is_upper() {
        when.threshold - spare
    } else {
        when.threshold + spare
    };
    let on_other_side = if when.comparison.is_upper() {
        value <= limit
    } else {
        value >= limit
    };
    on_other_side && !when.holds(value)
}

/// The rules of one run.
#[derive(Clone, Debug)]
struct Watched {
    run: RunId,
    rules: Arc<[Rule]>,
    watches: Vec<Watch>,
}

impl Watched {
    fn turned(&self, instance: &InstanceName, at: usize, value: Option<f64>) -> Turned {
        Turned {
            instance: instance.clone(),
            run: self.run,
            rule: self.rules[at].clone(),
            has_fired: self.watches[at].has_fired,
            value,
        }
    }
}

/// The rules of all runs.
#[derive(Clone, Debug, Default)]
pub struct Rules(HashMap<InstanceName, Watched>);

impl Rules {
    /// From now on `rules` are those of `run`, whatever was before. Gives the turns of what had fired and is no more.
    pub fn watch(&mut self, instance: InstanceName, run: RunId, rules: Arc<[Rule]>) -> Vec<Turned> {
        let is_same = self
            .0
            .get(&instance)
            .is_some_and(|watched| watched.run == run && watched.rules == rules);
        if is_same {
            return Vec::new();
        }
        let ended = self.end(&instance);
        if !rules.is_empty() {
            let began = Watched {
                run,
                watches: vec![Watch::default(); rules.len()],
                rules,
            };
            self.0.insert(instance, began);
        }
        ended
    }

    /// The run has ended. A late word about an earlier run changes nothing.
    pub fn unwatch(&mut self, instance: &InstanceName, run: RunId) -> Vec<Turned> {
        match self.0.get(instance) {
            Some(watched) if watched.run == run => self.end(instance),
            Some(_) | None => Vec::new(),
        }
    }

    fn end(&mut self, instance: &InstanceName) -> Vec<Turned> {
        let Some(mut watched) = self.0.remove(instance) else {
            return Vec::new();
        };
        let fired: Vec<usize> = (0..watched.watches.len())
            .filter(|at| watched.watches[*at].has_fired)
            .collect();
        watched.watches.fill(Watch::default());
        fired
            .into_iter()
            .map(|at| watched.turned(instance, at, None))
            .collect()
    }

    /// Takes a sample; the rules that turned with it.
    pub fn take(&mut self, sample: &Sample, now: Mono) -> Vec<Turned> {
        let watched = self.0.get_mut(&sample.instance);
        let Some(watched) = watched.filter(|watched| watched.run == sample.run) else {
            return Vec::new();
        };
        let mut turned = Vec::new();
        for at in 0..watched.watches.len() {
            let rule = &watched.rules[at];
            let value = rule.when.figure.of(&sample.figures);
            if watched.watches[at].take(rule, value, now) {
                turned.push(watched.turned(&sample.instance, at, Some(value)));
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Wall;
    use crate::model::rule::{Comparison, Figure};
    use crate::model::sample::Figures;

    fn rule(comparison: Comparison, threshold: f64, hold: u64) -> Rule {
        Rule {
            when: Condition {
                figure: Figure::Threads,
                comparison,
                threshold,
            },
            hold: Duration::from_secs(hold),
            alert: true,
            act: None,
            command: None,
        }
    }

    /// A rule, figures one a second, and its turns.
    type Case = (Rule, &'static [u32], &'static [(u64, bool)]);

    /// The turns that these figures, one a second, make of `rule`: the second, and whether it fired.
    fn turns(rule: &Rule, values: &[u32]) -> Vec<(u64, bool)> {
        let mut watch = Watch::default();
        let mut turns = Vec::new();
        for (second, value) in (0..).zip(values) {
            let now = Mono::default() + Duration::from_secs(second);
            if watch.take(rule, f64::from(*value), now) {
                turns.push((second, watch.has_fired));
            }
        }
        turns
    }

    #[test]
    fn a_rule_fires_and_clears_when_it_was_broken_and_kept_for_as_long_as_it_says() {
        use Comparison::{Above, AtLeast, AtMost, Below};
        let cases: &[Case] = &[
            (
                rule(Above, 100.0, 0),
                &[100, 101, 101, 95, 101],
                &[(1, true), (3, false), (4, true)],
            ),
            (rule(AtLeast, 100.0, 0), &[99, 100], &[(1, true)]),
            (
                rule(Below, 100.0, 0),
                &[100, 99, 104, 105],
                &[(1, true), (3, false)],
            ),
            (rule(AtMost, 100.0, 0), &[101, 100], &[(1, true)]),
            // One sample on the right side begins the time anew.
            (
                rule(Above, 100.0, 2),
                &[101, 101, 100, 101, 101, 101],
                &[(5, true)],
            ),
            // What hovers at the threshold fires once, and a time of quiet that is broken counts anew.
            (
                rule(Above, 100.0, 2),
                &[101, 101, 101, 99, 101, 96, 101, 95, 95, 96, 95, 95, 95],
                &[(2, true), (12, false)],
            ),
            (rule(Above, 0.0, 0), &[1, 0], &[(0, true), (1, false)]),
        ];
        for (rule, values, expected) in cases {
            assert_eq!(turns(rule, values), *expected, "{} {values:?}", rule.when);
        }
    }

    #[test]
    fn whatever_the_figures_turns_alternate_and_lie_as_far_apart_as_the_rule_says() {
        fastrand::seed(3);
        for _ in 0..300 {
            let hold = fastrand::u64(0..5);
            let rule = rule(Comparison::Above, 10.0, hold);
            let values: Vec<u32> = (0..200).map(|_| fastrand::u32(8..13)).collect();
            let turns = turns(&rule, &values);
            let mut expects_fire = true;
            let mut last = None;
            for (second, has_fired) in turns {
                assert_eq!(has_fired, expects_fire);
                let far = last.is_none_or(|last| second - last > hold);
                assert!(far, "{second} after {last:?}, {hold}");
                let from = usize::try_from(second - hold).expect("small");
                let to = usize::try_from(second).expect("small");
                let all = values[from..=to]
                    .iter()
                    .all(|v| if has_fired { *v > 10 } else { *v < 10 });
                assert!(all, "{values:?}");
                (expects_fire, last) = (!has_fired, Some(second));
            }
        }
    }

    #[test]
    fn a_run_that_ends_clears_what_had_fired_and_another_run_begins_anew() {
        let mut rules = Rules::default();
        let web = InstanceName::single("web");
        let (run, next) = (RunId::new(), RunId::new());
        let both: Arc<[Rule]> = [
            rule(Comparison::Above, 10.0, 0),
            rule(Comparison::Above, 20.0, 0),
        ]
        .into();
        let sample = |run, threads| Sample {
            instance: web.clone(),
            run,
            time: Wall::default(),
            figures: Figures {
                threads,
                ..Figures::default()
            },
        };
        let now = Mono::default();
        assert!(rules.watch(web.clone(), run, Arc::clone(&both)).is_empty());
        assert_eq!(rules.take(&sample(run, 15), now).len(), 1);
        assert!(rules.take(&sample(next, 25), now).is_empty(), "no such run");
        // Said again, as a reload does, it changes nothing.
        assert!(rules.watch(web.clone(), run, Arc::clone(&both)).is_empty());
        assert!(rules.unwatch(&web, next).is_empty());
        let cleared = rules.unwatch(&web, run);
        assert_eq!(cleared.len(), 1);
        assert!(!cleared[0].has_fired && cleared[0].value.is_none());
        rules.watch(web.clone(), next, both);
        assert!(
            rules.take(&sample(run, 25), now).is_empty(),
            "a late sample"
        );
        assert_eq!(rules.take(&sample(next, 25), now).len(), 2);
    }
}
