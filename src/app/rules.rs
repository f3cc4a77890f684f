//! The rules of all runs between those who measure and those who act: samples in, turns to supervision. Owns the one
//! lock; it holds nobody alive.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::probing;
use super::rule_commands::RuleCommands;
use crate::clock;
use crate::ids::RunId;
use crate::logs::Logs;
use crate::metrics::rule::{Ruled, Rules, Turned};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::sample::Sample;
use crate::supervise::turns::{Turn, Turns};

/// Clones share it.
#[derive(Clone)]
pub(super) struct RuleWatch {
    rules: Arc<Mutex<Rules>>,
    turns: Turns,
    commands: RuleCommands,
    /// Knows when each run last wrote.
    logs: Logs,
}

impl RuleWatch {
    /// # Errors
    /// No descriptor is to be had.
    pub fn new(turns: Turns, logs: Logs) -> io::Result<Self> {
        Ok(Self {
            rules: Arc::default(),
            turns,
            commands: RuleCommands::new()?,
            logs,
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

    /// These are the rules of that run from now on.
    pub fn watch(&self, instance: InstanceName, of: Ruled) {
        let turned = self.rules.lock().watch(instance, of, clock::mono());
        self.hand_on(turned);
    }

    /// The instance left the configuration.
    pub fn forget(&self, instance: &InstanceName) {
        let turned = self.rules.lock().forget(instance);
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
        let silence = |sample: &Sample| self.logs.last_output(sample.run).map(|at| now.since(at));
        let silences: Vec<_> = samples.iter().map(silence).collect();
        let mut turned = Vec::new();
        let mut rules = self.rules.lock();
        for (sample, silence) in samples.iter().zip(silences) {
            turned.extend(rules.take(sample, silence, now));
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
