//! All lanes of the dispatcher and their hosts. No I/O: it says who may be sent to and how targets
//! are shown, and keeps what could not be settled yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Report;
use super::breaker::{Change, Input};
use super::host::{Host, HostMemory};
use super::lane::{Gate, Lane, LaneMemory, Trouble};
use super::providers::Scope;
use super::retry;
use crate::clock::{Mono, Wall};
use crate::limits;
use crate::model::delivery::{Bound, Claim, Outcome, Pick, Settlement};
use crate::model::target::{Audience, TargetDetail, TargetSpec, TargetState, TargetView};

/// A lane with what is shown of it.
pub(super) struct Slot {
    pub(super) lane: Lane,
    pub(super) last_activity: Option<Wall>,
    pub(super) last_error: Option<String>,
    /// The outcome that the outbox has not taken, and when it is offered again. The lane stays busy until then, so
    /// there is never more than one.
    pub(super) unsettled: Option<(Settlement, Mono)>,
    /// How others have been told that it fares.
    told: Trouble,
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
            told: Trouble::None,
            is_leaving: false,
        }
    }
}

/// The lanes, in the order of the configuration.
pub(super) struct Lanes {
    pub(super) slots: Vec<Slot>,
    hosts: BTreeMap<String, Host>,
}

/// What is to be kept after something was learnt.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// Of the target's lane.
    pub(super) lane: Option<LaneMemory>,
    /// Of its host.
    pub(super) host: Option<(String, HostMemory)>,
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
        self.hosts.retain(|_, host| !host.is_plain(now));
        self.slots.retain(|s| !s.is_leaving || s.lane.is_busy());
    }

    fn gate(&self, slot: &Slot, now: Mono) -> Gate {
        let gate = slot.lane.gate(now, self.host_until(slot));
        if matches!(gate, Gate::Free | Gate::Reserved(_)) && self.is_probed(slot) {
            return Gate::Busy;
        }
        gate
    }

    fn state(&self, slot: &Slot, now: Mono) -> TargetState {
        let host = self.host(slot).and_then(|host| host.open_until(now));
        match slot.lane.state(now, self.host_until(slot)) {
            TargetState::Waiting if host.is_some() => TargetState::Open,
            state => state,
        }
    }

    fn host(&self, slot: &Slot) -> Option<&Host> {
        self.hosts.get(&slot.lane.host)
    }

    fn host_until(&self, slot: &Slot) -> Mono {
        self.host(slot).map(Host::closed_until).unwrap_or_default()
    }

    fn is_host_lost(&self, slot: &Slot) -> bool {
        self.host(slot).is_some_and(Host::is_lost)
    }

    /// Whether somebody is finding out if the host is back.
    fn is_probed(&self, slot: &Slot) -> bool {
        let host = &slot.lane.host;
        let is_at_it = |s: &Slot| s.lane.host == *host && s.lane.is_busy();
        self.is_host_lost(slot) && self.slots.iter().any(is_at_it)
    }

    /// Claims for the first `room` targets that may be sent to: people are told the newest of an incident.
    pub(super) fn claims(&self, now: Mono, room: usize) -> Vec<Claim> {
        let claim = |slot: &Slot| {
            let pick = slot.lane.pick(self.gate(slot, now))?;
            let alone = self.is_host_lost(slot).then(|| slot.lane.host.clone());
            Some(Claim {
                alone,
                ..claim(slot, pick)
            })
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

    /// A message for `target` is handed to a worker.
    pub(super) fn begin(&mut self, target: &str, now: Mono) {
        let Some(slot) = self.of(target) else {
            return;
        };
        slot.lane.begin(now);
        let (host, spec) = (slot.lane.host.clone(), Arc::clone(&slot.lane.spec));
        if let Some(host) = self.hosts.get_mut(&host) {
            host.begin(now, &spec.breaker);
        }
    }

    /// Moves the lane of `target` and its host by what came of an attempt.
    pub(super) fn learn(
        &mut self,
        target: &str,
        report: &Report,
        (now, wall): (Mono, Wall),
    ) -> Learnt {
        let Some(slot) = self.of(target) else {
            return Learnt::default();
        };
        let before = slot.lane.memory(now, wall);
        slot.lane.spend_more(report.requests.saturating_sub(1), now);
        if let Some(chat) = report.moved_to.clone() {
            slot.lane.move_to(chat);
        }
        slot.lane.feed(report.breaker_input(), now);
        let held = hold(&mut slot.lane, report, now);
        let after = slot.lane.memory(now, wall);
        let (name, spec) = (slot.lane.host.clone(), Arc::clone(&slot.lane.spec));
        let host = self.hosts.entry(name.clone()).or_default();
        let host_before = host.memory(now, wall);
        host.learn(report.reach, now, &spec.breaker);
        if let Some(until) = held {
            host.hold(until);
        }
        let host = host.memory(now, wall);
        Learnt {
            lane: (after != before).then_some(after),
            host: (host != host_before).then_some((name, host)),
        }
    }

    /// What others have not been told yet of how targets fare. A host out of reach is told of each of its targets.
    pub(super) fn news(&mut self, now: Wall) -> Vec<(Arc<str>, Change)> {
        let mut news = Vec::new();
        for at in 0..self.slots.len() {
            let fares = self.trouble(&self.slots[at]);
            let slot = &mut self.slots[at];
            slot.lane.failing_since = match fares {
                Trouble::None => None,
                Trouble::Failing | Trouble::Dead => slot.lane.failing_since.or(Some(now)),
            };
            let change = match (std::mem::replace(&mut slot.told, fares), fares) {
                (Trouble::None, Trouble::Failing) => Change::Opened,
                (Trouble::None | Trouble::Failing, Trouble::Dead) => Change::Died,
                (Trouble::Failing | Trouble::Dead, Trouble::None) => Change::Closed,
                (Trouble::None, Trouble::None)
                | (Trouble::Failing | Trouble::Dead, Trouble::Failing)
                | (Trouble::Dead, Trouble::Dead) => continue,
            };
            if !slot.is_leaving {
                news.push((Arc::clone(&slot.lane.spec.name), change));
            }
        }
        news
    }

    fn trouble(&self, slot: &Slot) -> Trouble {
        match slot.lane.trouble() {
            Trouble::None if self.is_host_lost(slot) => Trouble::Failing,
            trouble => trouble,
        }
    }

    /// Targets whose fallback is told in their place by now, and when that is so of the next one.
    pub(super) fn to_pass_on(&self, now: Wall) -> (Vec<Arc<str>>, Option<Duration>) {
        let (mut passing, mut next) = (Vec::new(), None);
        for slot in self.slots.iter().filter(|s| !s.is_leaving) {
            let spec = &slot.lane.spec;
            let (Some(fallback), Some(since)) = (&spec.fallback, slot.lane.failing_since) else {
                continue;
            };
            let left = (since + fallback.after).since(now);
            if left.is_zero() || slot.lane.trouble() == Trouble::Dead {
                passing.push(Arc::clone(&spec.name));
            } else {
                next = Some(next.map_or(left, |n: Duration| n.min(left)));
            }
        }
        (passing, next)
    }

    /// How much may wait for each.
    pub(super) fn bounds(&self, queue: usize) -> Vec<(Arc<str>, Bound)> {
        let bound = |slot: &Slot| Bound {
            queue,
            merges: slot.lane.spec.provider.audience() == Audience::Chat,
        };
        let staying = self.slots.iter().filter(|s| !s.is_leaving);
        staying
            .map(|s| (Arc::clone(&s.lane.spec.name), bound(s)))
            .collect()
    }

    /// Who stands in for whom.
    pub(super) fn fallbacks(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let staying = self.slots.iter().filter(|s| !s.is_leaving);
        staying
            .filter_map(|s| {
                let spec = &s.lane.spec;
                let fallback = spec.fallback.as_ref()?;
                Some((Arc::clone(&spec.name), Arc::clone(&fallback.to)))
            })
            .collect()
    }

    /// Takes up what was kept of lanes and hosts. How they fare was told then.
    pub(super) fn recall(
        &mut self,
        lanes: &[(String, LaneMemory)],
        hosts: &[(String, HostMemory)],
        (now, wall): (Mono, Wall),
    ) {
        for (target, memory) in lanes {
            if let Some(slot) = self.of(target) {
                slot.lane.recall(memory, now, wall);
            }
        }
        for (host, memory) in hosts {
            if self.slots.iter().any(|s| s.lane.host == *host) {
                self.hosts
                    .insert(host.clone(), Host::recall(memory, now, wall));
            }
        }
        let _ = self.news(wall);
    }

    /// Takes up a changed configuration; returns the targets that changed.
    pub(super) fn configure(&mut self, targets: Vec<Arc<TargetSpec>>, now: Mono) -> Vec<Arc<str>> {
        let mut old = std::mem::take(&mut self.slots);
        let mut changed = Vec::new();
        for spec in targets {
            let mut slot = match old.iter().position(|s| s.lane.spec.name == spec.name) {
                Some(at) => old.swap_remove(at),
                None => Slot::new(Arc::clone(&spec)),
            };
            slot.is_leaving = false;
            if slot.lane.spec != spec {
                slot.lane.change(Arc::clone(&spec), now);
                changed.push(Arc::clone(&spec.name));
                if let Some(host) = self.hosts.get_mut(&slot.lane.host) {
                    host.nudge(now, &spec.breaker);
                }
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
                slot.lane.feed(Input::Nudged, now);
                if let Some(host) = self.hosts.get_mut(&slot.lane.host) {
                    host.nudge(now, &slot.lane.spec.breaker);
                }
            }
        }
    }

    /// How the targets are shown.
    pub(super) fn views(&self, now: Mono, wall: Wall) -> Vec<TargetView> {
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
                detail: self.detail(slot, (now, wall)),
            })
            .collect()
    }

    fn detail(&self, slot: &Slot, (now, wall): (Mono, Wall)) -> TargetDetail {
        let host = self.host(slot).and_then(|host| host.open_until(now));
        let open_until = slot.lane.open_until(now).max(host);
        TargetDetail {
            open_until: open_until.map(|until| wall + until.since(now)),
            unreachable: host.map(|_| slot.lane.host.clone()),
            dropped: 0,
        }
    }
}

fn claim(slot: &Slot, pick: Pick) -> Claim {
    let spec = &slot.lane.spec;
    Claim {
        target: Arc::clone(&spec.name),
        newest: spec.provider.audience() == Audience::Chat,
        pick,
        alone: None,
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

#[cfg(test)]
mod tests;
