//! What the clock asks of the slots: runs that have lasted as long as they may. Part of the actor.

use super::actor::Actor;
use super::machine::{Input, State};
use super::slot::Slot;
use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::trigger::{Demand, Trigger};
use crate::text;

impl Slot {
    /// The run that is up and may not last for ever, and when its time is over.
    pub fn expiry(&self) -> Option<(RunId, Mono)> {
        let max = self.spec.timing.max_runtime?;
        match self.instance.state {
            State::Starting { run, since } | State::Running { run, since } => {
                Some((run, since + max.of(run)))
            }
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Backoff { .. }
            | State::Stopping(_) => None,
        }
    }
}

impl Actor {
    /// When the first of the runs that are up has lasted as long as it may.
    pub(super) fn next_expiry(&self) -> Option<Mono> {
        if self.stop.is_some() {
            return None;
        }
        let expiries = self.slots.iter().filter_map(Slot::expiry);
        expiries.map(|(_, at)| at).min()
    }

    /// Ends the run of a slot if its time is over. Not while everything is being stopped: what still runs then is
    /// needed by others, and ends with them.
    pub(super) fn expire(&mut self, slot: usize, now: Mono) {
        let Some((run, at)) = self.slots[slot].expiry() else {
            return;
        };
        if at > now || self.stop.is_some() {
            return;
        }
        let max = self.slots[slot].spec.timing.max_runtime;
        let lasted = max.map_or_else(String::new, |max| text::duration(max.of(run)));
        let demand = Demand {
            trigger: Trigger::MaxRuntime,
            cause: format!("it had run for {lasted}, as long as max_runtime lets it"),
            // One that has a schedule is to end by itself, and in time.
            is_failure: self.slots[slot].spec.timing.schedule.is_some(),
        };
        self.feed(slot, Input::Demand(run, demand));
    }
}
