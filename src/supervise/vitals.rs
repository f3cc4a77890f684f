//! The health of the slots: signs in, probes, events and demands out. Part of the actor; decides nothing.

use std::sync::Arc;

use super::actor::Actor;
use super::machine::health::{Reaction, Sign, Vitals};
use super::machine::{Input, Notice, State};
use super::signs;
use super::tell::{self, Moment};
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::model::event::EventKind;
use crate::model::health::Aspect;
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;

/// A run of which a probe is to be asked from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// Whose run.
    pub instance: InstanceName,
    /// Which run.
    pub run: RunId,
    /// Which of its probes.
    pub aspect: Aspect,
    /// Its program, which has such a probe.
    pub spec: Arc<ProgramSpec>,
}

impl Actor {
    /// Lets the health of the slot's run follow what happens to it. Gives back what is to be told: that a start
    /// is confirmed does not say yet that the run is ready.
    pub(super) fn attend(&mut self, slot: usize, notice: Notice) -> Option<Notice> {
        self.follow_silence(slot, &notice);
        match &notice {
            Notice::Started(run) => {
                let settings = &self.slots[slot].spec.health;
                let (vitals, reactions) = Vitals::new(*run, settings, clock::mono());
                self.slots[slot].vitals = Some(vitals);
                self.renewed.push(slot);
                self.react(slot, reactions);
            }
            Notice::Adopted(run) => {
                let was_ready = self.slots[slot].was_ready == Some(*run);
                // Whoever began the run has told that it is ready, if it was.
                self.attend_running(slot, *run, was_ready);
            }
            Notice::Ready(_) => return self.confirmed(slot).then_some(notice),
            Notice::Stopping(run, _) => self.attend_no_more(slot, *run),
            Notice::Exited(ended) | Notice::Crashed(ended) => {
                if let Some(run) = ended.run {
                    self.attend_no_more(slot, run);
                }
            }
            Notice::Restarting(_) | Notice::Fatal(_) | Notice::Killed(..) | Notice::Stopped(_) => {}
        }
        Some(notice)
    }

    /// Begins in the midst of a run; whether it is ready.
    fn attend_running(&mut self, slot: usize, run: RunId, was_ready: bool) -> bool {
        let settings = &self.slots[slot].spec.health;
        let (vitals, reactions) = Vitals::adopted((run, was_ready), settings, clock::mono());
        self.slots[slot].vitals = Some(vitals);
        self.react(slot, reactions);
        matches!(self.slots[slot].instance.state, State::Running { .. }) && self.confirmed(slot)
    }

    /// A run is up while what its health is judged by changes: it is judged by that from here on.
    pub(super) fn attend_anew(&mut self, slot: usize) {
        let Some(vitals) = self.slots[slot].vitals() else {
            return;
        };
        let (run, was_ready) = (vitals.run(), vitals.was_ready());
        self.ports.unprobe(run);
        if self.attend_running(slot, run, was_ready) && !was_ready {
            self.tell_health(slot, EventKind::ProgramReady, None);
        }
    }

    /// The run's start is confirmed; whether it is ready with that.
    fn confirmed(&mut self, slot: usize) -> bool {
        let mut reactions = self.take_sign(slot, Sign::Confirmed);
        let is_ready = reactions.contains(&Reaction::Ready);
        // Told by the notice itself, in its place.
        reactions.retain(|reaction| *reaction != Reaction::Ready);
        self.react(slot, reactions);
        is_ready
    }

    pub(super) fn attend_no_more(&mut self, slot: usize, run: RunId) {
        self.take_sign(slot, Sign::Over);
        let health = &self.slots[slot].spec.health;
        if health.has_readiness() || health.liveness.is_some() {
            self.ports.unprobe(run);
        }
    }

    fn take_sign(&mut self, slot: usize, sign: Sign) -> Vec<Reaction> {
        let slot = &mut self.slots[slot];
        let settings = &slot.spec.health;
        slot.vitals
            .as_mut()
            .map_or_else(Vec::new, |vitals| vitals.take(sign, settings))
    }

    /// Lets the health of a slot's run hear of the time.
    pub(super) fn tick_vitals(&mut self, slot: usize, now: Mono) {
        let is_due = |vitals: &Vitals| vitals.deadline().is_some_and(|at| at <= now);
        if self.slots[slot].vitals().is_some_and(is_due) {
            let reactions = self.take_sign(slot, Sign::Tick(now));
            self.react(slot, reactions);
        }
    }

    /// Takes out what others learned.
    pub(super) fn take_signs(&mut self) {
        for ((run, aspect), sign) in self.signs.take() {
            let has_it = |vitals: &Vitals| vitals.run() == run;
            // One that is late is about a run that nobody asks about any more.
            let slot = self
                .slots
                .iter()
                .position(|slot| slot.vitals.as_ref().is_some_and(has_it));
            let Some(slot) = slot else {
                continue;
            };
            let signs::Sign::Verdict { health, cause } = sign;
            let sign = Sign::Verdict {
                aspect,
                health,
                cause,
            };
            let reactions = self.take_sign(slot, sign);
            self.react(slot, reactions);
            self.touch(slot);
        }
        for run in self.signs.take_wrote() {
            self.wrote_again(run);
        }
    }

    /// Takes a sign of what the program itself said.
    pub(super) fn judge(&mut self, slot: usize, sign: Sign) {
        let reactions = self.take_sign(slot, sign);
        self.react(slot, reactions);
        self.touch(slot);
    }

    fn react(&mut self, slot: usize, reactions: Vec<Reaction>) {
        let Some(run) = self.slots[slot].vitals.as_ref().map(Vitals::run) else {
            return;
        };
        for reaction in reactions {
            match reaction {
                Reaction::Ready => self.tell_health(slot, EventKind::ProgramReady, None),
                Reaction::Healthy => self.tell_health(slot, EventKind::ProgramHealthy, None),
                Reaction::Unhealthy(cause) => {
                    self.tell_health(slot, EventKind::ProgramUnhealthy, Some(cause));
                }
                Reaction::Probe(aspect) => self.probe(slot, run, aspect),
                Reaction::Demand(demand) => self.feed(slot, Input::Demand(run, demand)),
            }
        }
    }

    pub(super) fn tell_health(&mut self, slot: usize, kind: EventKind, cause: Option<String>) {
        let record = tell::health(&self.slots[slot], kind, cause, Moment::now());
        self.told.push(record);
    }

    fn probe(&mut self, slot: usize, run: RunId, aspect: Aspect) {
        let health = &self.slots[slot].spec.health;
        if health.is_notified(aspect) {
            // Nobody asks: it says so itself.
            let first = health.watchdog().zip(health.probe(aspect));
            if let (Aspect::Liveness, Some((within, probe))) = (aspect, first) {
                self.await_alive(slot, within + probe.initial_delay);
            }
            return;
        }
        let slot = &self.slots[slot];
        self.ports.probe(Probed {
            instance: slot.name.clone(),
            run,
            aspect,
            spec: Arc::clone(&slot.spec),
        });
    }
}
