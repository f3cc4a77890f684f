//! What programs are to each other: how far one has come for those that wait for it, and who is started anew after
//! whom. Part of the actor.

use super::actor::Actor;
use super::machine::health::Vitals;
use super::machine::{Input, State};
use super::slot::Slot;
use crate::clock;
use crate::model::needs::Condition;
use crate::model::status::PhaseName;
use crate::model::trigger::{Demand, Trigger};

impl Slot {
    /// Whether it has come as far as is asked of it.
    pub fn has_come_to(&self, asked: Condition) -> bool {
        match asked {
            Condition::Started => self.has_started(),
            Condition::Healthy => {
                self.instance.phase() == PhaseName::Running
                    && self.vitals().is_none_or(Vitals::is_ready)
            }
            Condition::Completed => self.has_completed(),
        }
    }
}

impl Actor {
    /// When the pause of one whose end nobody saw is over, what it needs may be on its way back too: then it comes
    /// after that. It waits for nothing that is down for good, as after any other end.
    pub(super) fn await_needs_again(&mut self, slot: usize) {
        let State::Backoff {
            left: None,
            retry_at,
            ..
        } = self.slots[slot].instance.state
        else {
            return;
        };
        if retry_at > clock::mono() || !std::mem::take(&mut self.slots[slot].ended_unseen) {
            return;
        }
        let needs = &self.slots[slot].spec.needs;
        let mut unmet = self
            .graph
            .needs(self.slots[slot].program)
            .iter()
            .flat_map(|program| &self.of_program[*program])
            .map(|at| &self.slots[*at])
            .filter(|other| !other.has_come_to(needs.of(other.name.program())))
            .peekable();
        let is_to_wait = unmet.peek().is_some()
            && unmet.all(|other| !matches!(other.instance.state, State::Down(_)));
        if is_to_wait {
            self.slots[slot].instance.state = State::Waiting;
            self.touch(slot);
        }
    }

    /// Has those give way that are to be started anew with what was started in this round. They end now, and start
    /// when what they need has come as far as they ask: in the order of their dependencies, because the start of
    /// each is followed by that of those that need it.
    pub(super) fn restart_dependents(&mut self) {
        let mut renewed = std::mem::take(&mut self.renewed);
        if self.stop.is_some() {
            return;
        }
        for slot in renewed.drain(..) {
            let name = self.slots[slot].name.clone();
            let programs = self.graph.needed_by(self.slots[slot].program);
            let dependents: Vec<usize> = programs
                .iter()
                .flat_map(|program| self.of_program[*program].iter().copied())
                .filter(|at| self.slots[*at].spec.needs.restart_with)
                .collect();
            for at in dependents {
                let run = match &self.slots[at].instance.state {
                    State::Starting { run, .. } | State::Running { run, .. } => *run,
                    State::Down(_)
                    | State::Waiting
                    | State::Clearing { .. }
                    | State::Spawning
                    | State::Backoff { .. }
                    | State::Stopping(_) => continue,
                };
                let demand = Demand {
                    trigger: Trigger::Dependency,
                    cause: format!("{name}, which it needs, was started anew"),
                    is_failure: false,
                };
                self.feed(at, Input::Demand(run, demand));
            }
        }
    }
}
