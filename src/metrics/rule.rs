//! Whether rules are broken: samples in, turns out. Pure, told the moment; it acts on nothing.
//!
//! A rule fires when every sample has broken it for as long as it says. It clears when every sample has kept it for
//! as long, with a twentieth of the threshold to spare, so that a figure that hovers at the threshold fires once. One that
//! has fired clears with the end of its run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::restarts::{self, Restarts, Turn};
use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::name::InstanceName;
use crate::model::rule::{Condition, Figure, Rule};
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

/// A run, its rules, and what supervision counts of its instance.
#[derive(Clone, Debug)]
pub struct Ruled {
    /// Which run.
    pub run: RunId,
    /// Restarts of the instance in all.
    pub restarts: u64,
    /// What is asked of it.
    pub rules: Arc<[Rule]>,
}

/// The rules of all runs.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    runs: HashMap<InstanceName, Watched>,
    /// Of instances with rules about that.
    restarts: HashMap<InstanceName, Restarts>,
}

impl Rules {
    /// From now on these are the rules of that run, whatever was before. Gives the turns of what had fired and is no
    /// more, and of rules about restarts.
    pub fn watch(&mut self, instance: InstanceName, of: Ruled, now: Mono) -> Vec<Turned> {
        let mut turned = self.count(&instance, &of, now);
        let Ruled { run, rules, .. } = of;
        let is_same = self
            .runs
            .get(&instance)
            .is_some_and(|watched| watched.run == run && watched.rules == rules);
        if is_same {
            return turned;
        }
        turned.extend(self.end(&instance));
        if !rules.is_empty() {
            let began = Watched {
                run,
                watches: vec![Watch::default(); rules.len()],
                rules,
            };
            self.runs.insert(instance, began);
        }
        turned
    }

    /// Counts the restarts of an instance that has rules about them.
    fn count(&mut self, instance: &InstanceName, of: &Ruled, now: Mono) -> Vec<Turned> {
        let rules = restarts::those_of(&of.rules);
        if rules.is_empty() {
            return self.forget(instance);
        }
        let new = || Restarts::new(of.run, of.restarts);
        let restarts = self.restarts.entry(instance.clone()).or_insert_with(new);
        restarts.begin(of.run, of.restarts, now);
        let mut turns = restarts.configure(rules);
        turns.extend(restarts.look(now));
        told(instance, restarts, turns)
    }

    /// The instance left the configuration, or has no rules about restarts any more.
    pub fn forget(&mut self, instance: &InstanceName) -> Vec<Turned> {
        let Some(mut restarts) = self.restarts.remove(instance) else {
            return Vec::new();
        };
        let turns = restarts.configure(Vec::new());
        told(instance, &restarts, turns)
    }

    /// The run has ended. A late word about an earlier run changes nothing.
    pub fn unwatch(&mut self, instance: &InstanceName, run: RunId) -> Vec<Turned> {
        match self.runs.get(instance) {
            Some(watched) if watched.run == run => self.end(instance),
            Some(_) | None => Vec::new(),
        }
    }

    fn end(&mut self, instance: &InstanceName) -> Vec<Turned> {
        let Some(mut watched) = self.runs.remove(instance) else {
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

    /// Takes a sample, and how long the run had written nothing then; the rules that turned with it.
    pub fn take(&mut self, sample: &Sample, silence: Option<Duration>, now: Mono) -> Vec<Turned> {
        let watched = self.runs.get_mut(&sample.instance);
        let Some(watched) = watched.filter(|watched| watched.run == sample.run) else {
            return Vec::new();
        };
        let mut turned = Vec::new();
        if let Some(restarts) = self.restarts.get_mut(&sample.instance) {
            let turns = restarts.look(now);
            turned.extend(told(&sample.instance, restarts, turns));
        }
        for at in 0..watched.watches.len() {
            let rule = &watched.rules[at];
            let figure = rule.when.figure;
            let silence = silence.filter(|_| figure == Figure::LogSilence);
            let measured = figure.of(&sample.figures);
            let Some(value) = measured.or(silence.map(|silence| silence.as_secs_f64())) else {
                continue;
            };
            if watched.watches[at].take(rule, value, now) {
                turned.push(watched.turned(&sample.instance, at, Some(value)));
            }
        }
        turned
    }
}

fn told(instance: &InstanceName, of: &Restarts, turns: Vec<Turn>) -> Vec<Turned> {
    let told = |turn: Turn| Turned {
        instance: instance.clone(),
        run: of.run(),
        rule: turn.rule,
        has_fired: turn.has_fired,
        value: turn.value,
    };
    turns.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::clock::Wall;
    use crate::model::rule::Comparison;
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

    fn ruled(run: RunId, rules: &Arc<[Rule]>) -> Ruled {
        Ruled {
            run,
            restarts: 0,
            rules: Arc::clone(rules),
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
        assert!(rules.watch(web.clone(), ruled(run, &both), now).is_empty());
        assert_eq!(rules.take(&sample(run, 15), None, now).len(), 1);
        assert!(
            rules.take(&sample(next, 25), None, now).is_empty(),
            "no such run"
        );
        // Said again, as a reload does, it changes nothing.
        assert!(rules.watch(web.clone(), ruled(run, &both), now).is_empty());
        assert!(rules.unwatch(&web, next).is_empty());
        let cleared = rules.unwatch(&web, run);
        assert_eq!(cleared.len(), 1);
        assert!(!cleared[0].has_fired && cleared[0].value.is_none());
        rules.watch(web.clone(), ruled(next, &both), now);
        assert!(
            rules.take(&sample(run, 25), None, now).is_empty(),
            "a late sample"
        );
        assert_eq!(rules.take(&sample(next, 25), None, now).len(), 2);
    }

    #[test]
    fn a_silence_breaks_its_rule_and_restarts_outlive_the_runs_they_are_about() {
        let mut rules = Rules::default();
        let web = InstanceName::single("web");
        let of = |figure, threshold, hold| Rule {
            when: Condition {
                figure,
                comparison: Comparison::Above,
                threshold,
            },
            ..rule(Comparison::Above, 0.0, hold)
        };
        let both: Arc<[Rule]> = [
            of(Figure::LogSilence, 60.0, 0),
            of(Figure::Restarts, 1.0, 600),
        ]
        .into();
        let at = |seconds| Mono::default() + Duration::from_secs(seconds);
        let sample = |run| Sample {
            instance: web.clone(),
            run,
            time: Wall::default(),
            figures: Figures::default(),
        };
        let (mut fired, mut latest) = (Vec::new(), RunId::new());
        for (restarts, second) in [(5, 0), (6, 10), (7, 20), (8, 30)] {
            latest = RunId::new();
            let of_run = Ruled {
                restarts,
                ..ruled(latest, &both)
            };
            let turned = rules.watch(web.clone(), of_run, at(second));
            fired.extend(turned.into_iter().map(|turned| (second, turned.has_fired)));
            assert!(rules.take(&sample(latest), None, at(second)).is_empty());
            if restarts < 8 {
                assert!(
                    rules.unwatch(&web, latest).is_empty(),
                    "it is not over with the run"
                );
            }
        }
        assert_eq!(fired, [(20, true)]);
        let quiet = |seconds| Some(Duration::from_secs(seconds));
        assert!(rules.take(&sample(latest), quiet(60), at(90)).is_empty());
        let stalled = rules.take(&sample(latest), quiet(61), at(91));
        assert!(stalled.len() == 1 && stalled[0].has_fired);
        let wrote = rules.take(&sample(latest), quiet(1), at(95));
        assert!(wrote.len() == 1 && !wrote[0].has_fired);
        let past = rules.take(&sample(latest), quiet(1), at(700));
        assert!(past.len() == 1 && !past[0].has_fired && past[0].value == Some(0.0));
    }
}
