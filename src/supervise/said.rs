//! What a program says of itself besides that it is ready and alive: how it does in its own words, that it ends by
//! itself, that it takes longer. Part of the actor; heard on its notify socket.

use std::sync::Arc;
use std::time::Duration;

use super::actor::Actor;
use super::machine::{Input, State};
use super::slot::Slot;
use crate::clock::{self, Mono};
use crate::limits;
use crate::model::trigger::{Demand, Trigger};
use crate::text;

/// What one run has said.
#[derive(Default)]
pub(super) struct Said {
    /// Fit for a terminal.
    status: Option<Arc<str>>,
    /// It ends by itself.
    leaving: Option<Leaving>,
}

struct Leaving {
    /// Then it must have ended; none once that has passed.
    by: Option<Mono>,
    /// How long it was given.
    within: Duration,
}

impl Said {
    /// When [`Actor::tick_leaving`] is wanted.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.leaving.as_ref()?.by
    }

    fn extend(&mut self, until: Mono) {
        let Some(leaving) = self.leaving.as_mut() else {
            return;
        };
        if let Some(by) = leaving.by.as_mut().filter(|by| **by < until) {
            leaving.within += until.since(*by);
            *by = until;
        }
    }
}

impl Slot {
    fn said(&self) -> Option<&Said> {
        self.live
            .as_ref()?
            .notify
            .as_ref()
            .map(|notify| &notify.said)
    }

    fn said_mut(&mut self) -> Option<&mut Said> {
        self.live
            .as_mut()?
            .notify
            .as_mut()
            .map(|notify| &mut notify.said)
    }

    /// What it last said of itself.
    pub(super) fn status_text(&self) -> Option<Arc<str>> {
        self.said()?.status.clone()
    }

    /// That what is up said that it ends by itself, in words.
    pub(super) fn leaves(&self) -> Option<String> {
        let is_leaving = self.said().is_some_and(|said| said.leaving.is_some());
        is_leaving.then(|| "it said that it is stopping".to_owned())
    }
}

impl Actor {
    /// It said how it does; nothing takes that back.
    pub(super) fn heard_status(&mut self, slot: usize, status: &str) {
        let status = Some(status).filter(|status| !status.is_empty());
        let Some(said) = self.slots[slot].said_mut() else {
            return;
        };
        if said.status.as_deref() != status {
            said.status = status.map(Arc::from);
            self.touch(slot);
        }
    }

    /// It said that it ends by itself. How it ends is judged as ever; until then nobody asks how it does, and it has
    /// the time that a stop would give it.
    pub(super) fn heard_stopping(&mut self, slot: usize) {
        let (State::Starting { run, .. } | State::Running { run, .. }) =
            self.slots[slot].instance.state
        else {
            return;
        };
        let within = self.slots[slot].spec.stop_timeout;
        let Some(said) = self.slots[slot]
            .said_mut()
            .filter(|said| said.leaving.is_none())
        else {
            return;
        };
        said.leaving = Some(Leaving {
            by: Some(clock::mono() + within),
            within,
        });
        log::info!("{} said that it is stopping", self.slots[slot].name);
        self.await_alive_no_more(slot);
        self.slots[slot].silence = None;
        self.attend_no_more(slot, run);
        self.touch(slot);
    }

    /// It said that what it is at takes so much longer, from now: its start, its end, or the stop asked of it.
    pub(super) fn heard_extend(&mut self, slot: usize, by: Duration) {
        let until = clock::mono() + by.min(limits::NOTIFY_EXTEND_MAX);
        let held = &mut self.slots[slot];
        if let Some(vitals) = held.vitals.as_mut() {
            vitals.extend(until);
        }
        if let Some(said) = held.said_mut() {
            said.extend(until);
        }
        if let State::Stopping(stopping) = &mut held.instance.state {
            stopping.sequence.extend(until);
            self.touch(slot);
        }
    }

    /// What said that it ends may have had its time. While everything is being stopped that comes to its turn.
    pub(super) fn tick_leaving(&mut self, slot: usize, now: Mono) {
        let leaving = self.slots[slot]
            .said_mut()
            .and_then(|said| said.leaving.as_mut());
        let Some(leaving) = leaving.filter(|leaving| leaving.by.is_some_and(|by| by <= now)) else {
            return;
        };
        leaving.by = None;
        let within = text::duration(leaving.within);
        let (State::Starting { run, .. } | State::Running { run, .. }) =
            self.slots[slot].instance.state
        else {
            return;
        };
        if self.stop.is_none() {
            let demand = Demand {
                trigger: Trigger::StopTimeout,
                cause: format!("it said that it is stopping, and did not end within {within}"),
                is_failure: true,
            };
            self.feed(slot, Input::Demand(run, demand));
        }
    }
}
