//! All lanes of the dispatcher and the waits of their hosts. No I/O: it says who may be sent to and how targets
//! are shown, and keeps what could not be settled yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::Report;
use super::breaker::{Change, Input};
use super::lane::{Gate, Lane, LaneMemory};
use super::providers::Scope;
use super::retry;
use crate::clock::{Mono, Wall};
use crate::limits;
use crate::model::delivery::{Claim, Outcome, Pick, Settlement};
use crate::model::target::{Audience, TargetSpec, TargetState, TargetView};

/// A lane with what is shown of it.
pub(super) struct Slot {
    pub(super) lane: Lane,
    pub(super) last_activity: Option<Wall>,
    pub(super) last_error: Option<String>,
    /// The outcome that the outbox has not taken, and when it is offered again. The lane stays busy until then, so
    /// there is never more than one.
    pub(super) unsettled: Option<(Settlement, Mono)>,
    /// No longer configured: goes when nothing of it is in flight.
    is_leaving: bool,
}

impl Slot {
    fn new(spec: Arc<TargetSpec>) -> Self {
        Self {
            lane: Lane::new(spec),
            last_activity: None,
            last_error: None,
            unsettled: None,
            is_leaving: false,
        }
    }
}

/// The lanes, in the order of the configuration.
pub(super) struct Lanes {
    pub(super) slots: Vec<Slot>,
    hosts: BTreeMap<String, Mono>,
}

impl Lanes {
    pub(super) fn new(targets: Vec<Arc<TargetSpec>>) -> Self {
        Self {
            slots: targets.into_iter().map(Slot::new).collect(),
            hosts: BTreeMap::new(),
        }
    }

    pub(super) fn of(&mut self, target: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| *s.lane.spec.name == *target)
    }

    /// Forgets waits that are over and lanes that have left.
    pub(super) fn tidy(&mut self, now: Mono) {
        self.hosts.retain(|_, until| *until > now);
        self.slots.retain(|s| !s.is_leaving || s.lane.is_busy());
    }

    fn gate(&self, slot: &Slot, now: Mono) -> Gate {
        slot.lane.gate(now, self.host_until(slot))
    }

    fn state(&self, slot: &Slot, now: Mono) -> TargetState {
        slot.lane.state(now, self.host_until(slot))
    }

    fn host_until(&self, slot: &Slot) -> Mono {
        self.hosts.get(&slot.lane.host).copied().unwrap_or_default()
    }

    /// Claims for the first `room` targets that may be sent to: people are told the newest of an incident.
    pub(super) fn claims(&self, now: Mono, room: usize) -> Vec<Claim> {
        let claim = |slot: &Slot| {
            let pick = slot.lane.pick(now, self.host_until(slot))?;
            Some(claim(slot, pick))
        };
        let staying = self.slots.iter().filter(|s| !s.is_leaving);
        staying.filter_map(claim).take(room).collect()
    }

    /// Claims for the targets that may be sent to, or whose rate or stated wait ends before `deadline`. An open breaker
    /// is not one of these waits.
    pub(super) fn claims_before(&self, deadline: Mono, now: Mono) -> Vec<Claim> {
        let will_open = |slot: &Slot| match self.gate(slot, now) {
            Gate::Free => !slot.is_leaving,
            Gate::Reserved(at) | Gate::Until(at) => {
                at < deadline && self.state(slot, now) == TargetState::Waiting
            }
            Gate::Busy | Gate::Never => false,
        };
        let soon = self.slots.iter().filter(|slot| will_open(slot));
        soon.map(|slot| claim(slot, Pick::Oldest)).collect()
    }

    /// When gates open and outcomes are offered again.
    pub(super) fn next_times(&self, now: Mono) -> impl Iterator<Item = Mono> {
        self.slots.iter().filter_map(move |slot| {
            let offered = slot.unsettled.as_ref().map(|(_, at)| *at);
            match self.gate(slot, now) {
                Gate::Reserved(at) | Gate::Until(at) => Some(at),
                Gate::Busy => offered,
                Gate::Free | Gate::Never => None,
            }
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight() == 0
    }

    pub(super) fn in_flight(&self) -> usize {
        self.slots.iter().filter(|s| s.lane.is_busy()).count()
    }

    /// Moves the lane of `target` by what came of an attempt. Returns what others are to be told, and the lane's
    /// memory when it changed.
    pub(super) fn learn(
        &mut self,
        target: &str,
        report: &Report,
        (now, wall): (Mono, Wall),
    ) -> (Option<Change>, Option<LaneMemory>) {
        let Some(slot) = self.of(target) else {
            return (None, None);
        };
        let before = slot.lane.memory(now, wall);
        slot.lane.spend_more(report.requests.saturating_sub(1), now);
        if let Some(chat) = report.moved_to.clone() {
            slot.lane.move_to(chat);
        }
        let change = slot.lane.feed(report.breaker_input(), now);
        let held = hold(&mut slot.lane, report, now);
        let after = slot.lane.memory(now, wall);
        let host = slot.lane.host.clone();
        if let Some(until) = held {
            let host = self.hosts.entry(host).or_default();
            *host = until.max(*host);
        }
        (change, (after != before).then_some(after))
    }

    /// Takes up a changed configuration; returns the targets that changed, and what others are to be told of them.
    pub(super) fn configure(
        &mut self,
        targets: Vec<Arc<TargetSpec>>,
        now: Mono,
    ) -> Vec<(Arc<str>, Option<Change>)> {
        let mut old = std::mem::take(&mut self.slots);
        let mut changed = Vec::new();
        for spec in targets {
            let mut slot = match old.iter().position(|s| s.lane.spec.name == spec.name) {
                Some(at) => old.swap_remove(at),
                None => Slot::new(Arc::clone(&spec)),
            };
            slot.is_leaving = false;
            if slot.lane.spec != spec {
                let change = slot.lane.change(Arc::clone(&spec), now);
                changed.push((Arc::clone(&spec.name), change));
            }
            self.slots.push(slot);
        }
        for mut slot in old {
            slot.is_leaving = true;
            self.slots.push(slot);
        }
        changed
    }

    /// Lets `target`, or all, be tried at once. Nobody is told of that: what comes of the attempt is told.
    pub(super) fn nudge(&mut self, target: Option<&str>, now: Mono) {
        for slot in &mut self.slots {
            if target.is_none_or(|t| *slot.lane.spec.name == *t) {
                let _ = slot.lane.feed(Input::Nudged, now);
                self.hosts.remove(&slot.lane.host);
            }
        }
    }

    /// How the targets are shown.
    pub(super) fn views(&self, now: Mono) -> Vec<TargetView> {
        self.slots
            .iter()
            .filter(|s| !s.is_leaving)
            .map(|slot| TargetView {
                name: slot.lane.spec.name.to_string(),
                kind: slot.lane.spec.provider.kind().to_owned(),
                state: self.state(slot, now),
                pending: 0,
                delivered: 0,
                failed: 0,
                last_activity: slot.last_activity,
                last_error: slot.last_error.clone(),
            })
            .collect()
    }
}

fn claim(slot: &Slot, pick: Pick) -> Claim {
    let spec = &slot.lane.spec;
    Claim {
        target: Arc::clone(&spec.name),
        newest: spec.provider.audience() == Audience::Chat,
        pick,
    }
}

/// Holds the lane for what the target asked; returns until when its whole host is held instead.
fn hold(lane: &mut Lane, report: &Report, now: Mono) -> Option<Mono> {
    if let Some(pause) = report.pause {
        lane.hold(now + pause.min(limits::HOLD_MAX));
    }
    let Outcome::Retryable {
        after: Some(wait), ..
    } = report.outcome
    else {
        return None;
    };
    let until = now + retry::stated(wait);
    match report.scope {
        Scope::Target => {
            lane.hold(until);
            None
        }
        Scope::Host => Some(until),
    }
}
