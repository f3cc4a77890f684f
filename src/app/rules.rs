//! The rules of all runs between those who measure and those who act: samples in, turns to supervision. Owns the one
//! lock; it holds nobody alive.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock;
use crate::ids::RunId;
use crate::metrics::rule::{Rules, Turned};
use crate::model::name::InstanceName;
use crate::model::rule::Rule;
use crate::model::sample::Sample;
use crate::supervise::turns::{Turn, Turns};

/// Clones share it.
#[derive(Clone)]
pub(super) struct RuleWatch {
    rules: Arc<Mutex<Rules>>,
    turns: Turns,
}

impl RuleWatch {
    pub fn new(turns: Turns) -> Self {
        let rules = Arc::default();
        Self { rules, turns }
    }

    /// Where what turned goes.
    pub fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// `rules` are those of `run` from now on.
    pub fn watch(&self, instance: InstanceName, run: RunId, rules: Arc<[Rule]>) {
        let turned = self.rules.lock().watch(instance, run, rules);
        self.hand_on(turned);
    }

    /// The run has ended.
    pub fn unwatch(&self, instance: &InstanceName, run: RunId) {
        let turned = self.rules.lock().unwatch(instance, run);
        self.hand_on(turned);
    }

    /// Looks at what was measured.
    pub fn look(&self, samples: &[Sample]) {
        let now = clock::mono();
        let mut turned = Vec::new();
        let mut rules = self.rules.lock();
        for sample in samples {
            turned.extend(rules.take(sample, now));
        }
        drop(rules);
        self.hand_on(turned);
    }

    fn hand_on(&self, turned: Vec<Turned>) {
        if turned.is_empty() {
            return;
        }
        self.turns.put(turned.into_iter().map(|turned| {
            let Turned {
                instance,
                run,
                rule,
                has_fired,
                value,
            } = turned;
            Turn {
                instance,
                run,
                rule,
                has_fired,
                value,
            }
        }));
    }
}
