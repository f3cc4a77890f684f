//! Whether anything is left to supervise. Part of the actor.

use super::actor::Actor;
use super::machine::State;
use super::reload::Standing;
use super::slot::Slot;
use crate::model::name::InstanceName;
use crate::model::status::PhaseName;

impl Actor {
    /// Says so when all work is done. To be asked when the round is settled: whatever waits then waits for what is
    /// down, and nothing is up that could change that.
    pub(super) fn tell_if_idle(&self) {
        let is_idle = |slot: &Slot| {
            // The clock will start it: not what a person stopped, nor what was given up.
            let is_awaited = slot.spec.timing.schedule.is_some()
                && slot.place.standing == Standing::Configured
                && !slot.planned.is_held
                && slot.instance.phase() != PhaseName::Fatal;
            let is_down = slot.instance.is_over() || slot.instance.state == State::Waiting;
            is_down && !is_awaited
        };
        if self.stop.is_none() && self.slots.iter().all(is_idle) {
            self.ports.idle(self.failed());
        }
    }

    fn failed(&self) -> Vec<InstanceName> {
        let slots = self.slots.iter();
        slots
            .filter(|slot| slot.instance.phase() == PhaseName::Exited && !slot.has_completed())
            .map(|slot| slot.name.clone())
            .collect()
    }
}
