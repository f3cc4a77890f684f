//! The rules of all runs between those who measure and those who act: samples in, turns to supervision. Owns the one
//! lock; it holds nobody alive.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::probing;
use super::rule_commands::RuleCommands;
use crate::clock;
use crate::ids::RunId;
use crate::metrics::rule::{Rules, Turned};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::rule::Rule;
use crate::model::sample::Sample;
use crate::supervise::turns::{Turn, Turns};

/// Clones share it.
#[derive(Clone)]
pub(super) struct RuleWatch {
    rules: Arc<Mutex<Rules>>,
    turns: Turns,
    commands: RuleCommands,
}

impl RuleWatch {
    /// # Errors
    /// No descriptor is to be had.
    pub fn new(turns: Turns) -> io::Result<Self> {
        Ok(Self {
            rules: Arc::default(),
            turns,
            commands: RuleCommands::new()?,
        })
    }

    /// What the rules of programs run.
    pub fn commands(&self) -> &RuleCommands {
        &self.commands
    }

    /// `spec` says what commands about `run` are given, if its rules have some.
    pub fn surround(&self, instance: &InstanceName, run: RunId, spec: &ProgramSpec) {
        if spec.rules.iter().any(|rule| rule.command.is_some()) {
            let given = probing::surroundings(instance, spec);
            self.commands.know(instance, run, given);
        }
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
        self.commands.forget(instance, run);
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
        for turned in &turned {
            self.commands.heed(turned);
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
