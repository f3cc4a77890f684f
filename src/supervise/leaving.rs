//! The order of a reload: whose turn it is to leave or to give way, who goes, and who has to wait for that. Part of the
//! actor.

use super::actor::Actor;
use super::machine::{After, Down, Input, Instance, State};
use super::reload::Standing;
use super::slot::{Obstacle, Slot};
use crate::model::event::{EventKind, Facts};
use crate::model::trigger::Trigger;

impl Actor {
    /// Asks those to end whose turn it is, and lets those go that have. True when that may have made it the turn of
    /// others.
    pub(super) fn go_on_reloading(&mut self) -> bool {
        if self.stop.is_some() {
            return false;
        }
        let mut has_moved = false;
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            has_moved |= match (slot.place.standing, slot.place.due.is_some()) {
                (Standing::Gone, _) | (Standing::Configured, false) => false,
                (Standing::Leaving, _) => self.go_on_leaving(at),
                (Standing::Configured, true) => self.go_on_giving_way(at),
            };
        }
        has_moved
    }

    fn go_on_leaving(&mut self, at: usize) -> bool {
        let slot = &self.slots[at];
        if slot.instance.is_over() {
            self.let_go(at);
            return true;
        }
        let is_asked = match &slot.instance.state {
            State::Stopping(stopping) => stopping.after == After::Stay,
            State::Starting { .. } | State::Running { .. } => self.is_needed_by_leaving(at),
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Backoff { .. } => false,
        };
        if is_asked {
            return false;
        }
        let before = slot.instance.state.clone();
        self.feed(at, Input::Stop);
        // A spawn under way is stopped once it is over.
        self.slots[at].instance.state != before
    }

    /// Whether another one that leaves needs it and is not down.
    fn is_needed_by_leaving(&self, at: usize) -> bool {
        let name = self.slots[at].name.program();
        self.slots.iter().any(|other| {
            other.place.standing == Standing::Leaving
                && other.name.program() != name
                && other.spec.depends_on.contains(name)
        })
    }

    fn let_go(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        slot.place.standing = Standing::Gone;
        // Nobody is to count what it went through.
        slot.instance = Instance::new();
        self.ports.gone(&slot.name);
        self.order.retain(|other| *other != at);
        self.touch(at);
    }

    fn go_on_giving_way(&mut self, at: usize) -> bool {
        let slot = &self.slots[at];
        let input = match &slot.instance.state {
            State::Starting { run, .. } | State::Running { run, .. } => {
                let needed_by = self.graph.needed_by(slot.program).iter();
                let mut others = needed_by.flat_map(|program| &self.of_program[*program]);
                if others.any(|other| is_in_the_way(&self.slots[*other])) {
                    return false;
                }
                slot.place.due.clone().map(|due| Input::Demand(*run, due))
            }
            State::Spawning => return false,
            // It ended by itself meanwhile: what changed may be what it needs.
            State::Backoff { .. } | State::Down(Down::Fatal { .. }) => Some(Input::Start),
            State::Down(Down::Stopped | Down::Exited { .. })
            | State::Waiting
            | State::Clearing { .. }
            | State::Stopping(_) => None,
        };
        self.slots[at].place.due = None;
        if let Some(input) = input {
            self.feed(at, input);
        }
        self.touch(at);
        true
    }

    /// What a slot that came with a reload has to wait for.
    pub(super) fn leaving_obstacle(&self, slot: &Slot) -> Option<Obstacle> {
        if !slot.place.is_new {
            return None;
        }
        let leaving = self
            .slots
            .iter()
            .find(|other| other.place.standing == Standing::Leaving)?;
        Some(Obstacle {
            words: format!("waits for {}, which leaves the configuration", leaving.name),
            is_final: false,
        })
    }
}

impl Slot {
    /// Whether `input` is for it: one that went hears nothing, and nobody starts one that leaves.
    pub(super) fn hears(&self, input: &Input) -> bool {
        match self.place.standing {
            Standing::Configured => true,
            Standing::Leaving => !matches!(
                input,
                Input::Start | Input::Restart | Input::Demand(..) | Input::Ready
            ),
            Standing::Gone => false,
        }
    }

    /// What is told of an end that comes because the slot left the configuration.
    pub(super) fn tell_leaving(&self, kind: EventKind, facts: &mut Facts) {
        let is_end = matches!(
            kind,
            EventKind::ProgramStopping | EventKind::ProgramStopped | EventKind::ProgramKilled
        );
        if is_end && self.place.standing == Standing::Leaving {
            let cause = || "removed from the configuration".to_owned();
            facts.cause.get_or_insert_with(cause);
            facts.trigger = Some(Trigger::Reload);
        }
    }
}

/// Whether it leaves or gives way, and is not down.
fn is_in_the_way(slot: &Slot) -> bool {
    let gives_way = match &slot.instance.state {
        State::Stopping(stopping) => stopping
            .after
            .demand()
            .is_some_and(|demand| demand.trigger == Trigger::Reload),
        State::Spawning | State::Starting { .. } | State::Running { .. } => {
            slot.place.due.is_some()
        }
        State::Down(_) | State::Waiting | State::Clearing { .. } | State::Backoff { .. } => false,
    };
    gives_way || slot.place.standing == Standing::Leaving
}
