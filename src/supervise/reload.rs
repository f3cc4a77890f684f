//! A changed set of programs: which slots come, go and stay, and in which order they are brought there. Part of the
//! actor.
//!
//! What leaves is stopped first, dependents before what they need; then what is new is started. A run that is made of
//! something else now gives way once those that need it and give way, too, are down. A slot keeps its number as
//! long as it is there; the number of one that went is used again by one that comes.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam::channel::Sender;

use super::Measured;
use super::actor::Actor;
use super::machine::{Down, Input, State};
use super::order::Graph;
use super::requests::{Asked, result};
use super::slot::Slot;
use crate::clock;
use crate::model::command::{Verb, VerbResult};
use crate::model::fingerprint::restart_keys;
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::reload::because;
use crate::model::status::Desired;
use crate::model::trigger::{Demand, Trigger};

/// The programs from now on.
pub struct Reload {
    /// In the order of the configuration.
    pub programs: Vec<Arc<ProgramSpec>>,
    /// Who asked.
    pub by: String,
    /// Told what became of each instance that was touched, once that is known. Needs room for one answer; dropped
    /// without one when everything is being stopped.
    pub reply: Option<Sender<Vec<VerbResult>>>,
}

/// What reloads want of a slot.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub standing: Standing,
    /// Its run is to give way for this reason, and has not been asked to.
    pub due: Option<Demand>,
    /// It came with a reload, and has not been started: what leaves may hold its port.
    pub is_new: bool,
}

/// Whether a slot is part of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Configured,
    /// It left, and something of it may be alive.
    Leaving,
    /// Nothing: a number for a slot that comes.
    Gone,
}

/// A reload whose asker waits.
pub(super) struct Reloading {
    reply: Sender<Vec<VerbResult>>,
    items: Vec<Item>,
}

struct Item {
    asked: Asked,
    verb: Verb,
    /// Kept as soon as it is known: the slot may go, and its number with it.
    done: Option<VerbResult>,
}

/// What is to follow once all slots have their places.
#[derive(Default)]
struct Changes {
    items: Vec<Item>,
    /// To have another try at once.
    retried: Vec<usize>,
    /// To be started, with what they need.
    started: Vec<usize>,
}

impl Actor {
    /// Takes up `reload`. Nothing of it happens while everything is being stopped.
    pub(super) fn reload(&mut self, reload: Reload) {
        if self.stop.is_some() {
            return;
        }
        let mut changes = Changes::default();
        let mut specs = reload.programs;
        let mut of_program = self.place_configured(&specs, &mut changes);
        self.order = of_program.concat();
        self.place_leaving((&mut specs, &mut of_program), &mut changes);
        self.graph = Graph::new(&specs);
        self.of_program = of_program;
        for item in &changes.items {
            self.slots[item.asked.slot].asked_by = Some(reload.by.clone());
            self.slots[item.asked.slot].was_killed = false;
        }
        for slot in changes.retried {
            self.feed(slot, Input::Start);
        }
        self.start_new(&changes.started);
        if let Some(reply) = reload.reply {
            let items = changes.items;
            self.reloads.push(Reloading { reply, items });
        }
    }

    /// The slots of each configured program.
    fn place_configured(
        &mut self,
        specs: &[Arc<ProgramSpec>],
        changes: &mut Changes,
    ) -> Vec<Vec<usize>> {
        let mut known: HashMap<InstanceName, usize> = HashMap::new();
        // Whether somebody wants any instance of the program up.
        let mut wanted: HashMap<Arc<str>, bool> = HashMap::new();
        for (at, slot) in self.slots.iter().enumerate() {
            match slot.place.standing {
                Standing::Gone => continue,
                Standing::Leaving => {}
                Standing::Configured => {
                    let program = Arc::clone(slot.name.program());
                    *wanted.entry(program).or_default() |= slot.instance.desired == Desired::Up;
                }
            }
            known.insert(slot.name.clone(), at);
        }
        let mut of_program = Vec::new();
        for (program, spec) in specs.iter().enumerate() {
            let is_wanted = wanted.get(&spec.name).copied().unwrap_or(spec.autostart);
            let mut own = Vec::new();
            for name in spec.instance_names() {
                let slot = known.get(&name).copied();
                own.push(match slot {
                    Some(slot) => self.keep(slot, (program, spec), changes),
                    None => self.add(
                        Slot::new(name, program, Arc::clone(spec)),
                        is_wanted,
                        changes,
                    ),
                });
            }
            of_program.push(own);
        }
        of_program
    }

    /// A slot that stays, with what may have changed.
    fn keep(
        &mut self,
        at: usize,
        (program, spec): (usize, &Arc<ProgramSpec>),
        changes: &mut Changes,
    ) -> usize {
        let asked = self.ask(at);
        let slot = &mut self.slots[at];
        let old = std::mem::replace(&mut slot.spec, Arc::clone(spec));
        slot.program = program;
        if slot.place.standing == Standing::Leaving {
            slot.place.standing = Standing::Configured;
            if slot.at_shutdown.take() == Some(Desired::Up) {
                changes.started.push(at);
            }
        }
        if old == *spec {
            return at;
        }
        slot.tags = spec.tags.clone().into();
        slot.shorten_pause(clock::mono());
        let keys = restart_keys(&old, spec);
        if !keys.is_empty() {
            let verb = match &slot.instance.state {
                // A spawn under way is of the program as it was.
                State::Spawning | State::Starting { .. } | State::Running { .. } => {
                    slot.place.due = Some(Demand {
                        trigger: Trigger::Reload,
                        cause: because(&keys),
                        is_failure: false,
                    });
                    Some(Verb::Restart)
                }
                State::Backoff { .. } | State::Down(Down::Fatal { .. }) => {
                    changes.retried.push(at);
                    Some(Verb::Start)
                }
                // What is down stays down, and what is on its way starts as it is configured now.
                State::Down(Down::Stopped | Down::Exited { .. })
                | State::Waiting
                | State::Clearing { .. }
                | State::Stopping(_) => None,
            };
            changes
                .items
                .extend(verb.map(|verb| Item::new(asked, verb)));
        }
        if old.metrics_interval != spec.metrics_interval || old.rules != spec.rules {
            self.measure_anew(at);
        }
        if old.health != spec.health {
            self.attend_anew(at);
        }
        if old.silence != spec.silence {
            self.judge_silence_anew(at);
        }
        self.touch(at);
        at
    }

    fn add(&mut self, mut slot: Slot, is_wanted: bool, changes: &mut Changes) -> usize {
        slot.place.is_new = true;
        let is_free = |slot: &Slot| slot.place.standing == Standing::Gone;
        let at = if let Some(at) = self.slots.iter().position(is_free) {
            self.slots[at] = slot;
            at
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.show_new(at);
        if is_wanted {
            changes.items.push(Item::new(self.ask(at), Verb::Start));
            changes.started.push(at);
        }
        at
    }

    /// Slots that the configuration does not name any more come behind the others, their programs too.
    fn place_leaving(
        &mut self,
        (specs, of_program): (&mut Vec<Arc<ProgramSpec>>, &mut Vec<Vec<usize>>),
        changes: &mut Changes,
    ) {
        let configured = specs.len();
        let mut is_placed = vec![false; self.slots.len()];
        for at in &self.order {
            is_placed[*at] = true;
        }
        for at in (0..self.slots.len()).filter(|at| !is_placed[*at]) {
            match self.slots[at].place.standing {
                Standing::Gone => continue,
                Standing::Leaving => {}
                Standing::Configured => {
                    changes.items.push(Item::new(self.ask(at), Verb::Stop));
                    let slot = &mut self.slots[at];
                    slot.place = Place {
                        standing: Standing::Leaving,
                        ..Place::default()
                    };
                    // Nobody's word on it, should it come back.
                    slot.at_shutdown = Some(slot.instance.desired);
                }
            }
            self.order.push(at);
            let slot = &mut self.slots[at];
            let program = specs.iter().position(|spec| spec.name == slot.spec.name);
            slot.program = program.unwrap_or(specs.len());
            if program.is_none() {
                specs.push(Arc::clone(&slot.spec));
                of_program.push(Vec::new());
            }
            // One instance less of a program that stays is none of its instances.
            if slot.program >= configured {
                of_program[slot.program].push(at);
            }
        }
    }

    /// Starts what came, and what that needs: other new ones, and what never ran. Who stopped one by hand has the
    /// last word.
    fn start_new(&mut self, started: &[usize]) {
        let programs: Vec<usize> = started.iter().map(|at| self.slots[*at].program).collect();
        for program in self.graph.with_needs(&programs) {
            for at in self.of_program[program].clone() {
                let slot = &self.slots[at];
                let is_untouched = slot.instance.state == State::Down(Down::Stopped)
                    && slot.instance.history.last_exit.is_none();
                if started.contains(&at) || (is_untouched && !programs.contains(&program)) {
                    self.feed(at, Input::Start);
                }
            }
        }
    }

    fn measure_anew(&self, at: usize) {
        let slot = &self.slots[at];
        let live = slot.live.as_ref().filter(|live| live.main.is_some());
        if let Some(live) = live {
            self.ports.measure(Measured {
                instance: slot.name.clone(),
                run: live.root.run,
                pid: live.root.pid,
                start_ticks: live.root.start_ticks,
                interval: slot.spec.metrics_interval,
                rules: Arc::clone(&slot.spec.rules),
                spec: Arc::clone(&slot.spec),
                restarts: slot.instance.history.restarts,
            });
        }
    }

    /// Answers those whose reload is done.
    pub(super) fn answer_reloads(&mut self) {
        let slots = &self.slots;
        self.reloads.retain_mut(|reloading| {
            for item in &mut reloading.items {
                let slot = &slots[item.asked.slot];
                // One that leaves is stopped when its turn comes, and nobody starts it any more.
                let is_settled = slot.place.standing != Standing::Leaving;
                if item.done.is_none() && is_settled {
                    item.done = result(item.verb, &item.asked, slot);
                }
            }
            let done = reloading.items.iter().map(|item| item.done.clone());
            let Some(results) = done.collect::<Option<Vec<VerbResult>>>() else {
                return true;
            };
            // The asker may have gone; that is no fault.
            let _ = reloading.reply.try_send(results);
            false
        });
    }
}

impl Item {
    fn new(asked: Asked, verb: Verb) -> Self {
        Self {
            asked,
            verb,
            done: None,
        }
    }
}
