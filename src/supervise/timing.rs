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

impl Slot {
    /// When there is next something to do about that.
    fn next_of_expiry(&self) -> Option<Mono> {
        let (run, at) = self.expiry()?;
        let line = self.herald.next(&self.spec.timing.max_announce, (run, at));
        Some(line.map_or(at, |line| line.min(at)))
    }
}

impl Actor {
    /// Types what announces the end of a run whose time is over then, if it is time.
    fn count_down_to(&mut self, slot: usize, until: (RunId, Mono), now: Mono) {
        let spec = std::sync::Arc::clone(&self.slots[slot].spec);
        let lines = &spec.timing.max_announce;
        for line in &lines[self.slots[slot].herald.look(lines, until, now)] {
            self.announce(slot, &line.line);
        }
    }

    /// When the first of the runs that are up has lasted as long as it may, or is to be told that it soon will have.
    pub(super) fn next_expiry(&self) -> Option<Mono> {
        if self.stop.is_some() {
            return None;
        }
        self.slots.iter().filter_map(Slot::next_of_expiry).min()
    }

    /// Ends the run of a slot if its time is over. Not while everything is being stopped: what still runs then is
    /// needed by others, and ends with them.
    pub(super) fn expire(&mut self, slot: usize, now: Mono) {
        let Some((run, at)) = self.slots[slot].expiry() else {
            return;
        };
        if self.stop.is_some() {
            return;
        }
        if at > now {
            self.count_down_to(slot, (run, at), now);
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
