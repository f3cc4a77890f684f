//! Runs that write nothing for too long: looked at when that may be so, told, ended if they are to be. Part of the
//! actor; what is too long is `machine::silence`'s to say.

use super::actor::Actor;
use super::machine::silence::Silence;
use super::machine::{Input, Notice};
use super::slot::Slot;
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::model::event::EventKind;
use crate::model::log_silence::SilenceAct;
use crate::model::trigger::{Demand, Trigger};
use crate::text;

impl Slot {
    /// When its output is to be looked at next.
    pub(super) fn silence_deadline(&self) -> Option<Mono> {
        let (silence, setting) = self.silence.as_ref().zip(self.spec.silence)?;
        silence.deadline(setting.after)
    }

    /// What is said of a run that has stalled.
    pub(super) fn stall(&self) -> Option<String> {
        self.silence.as_ref().filter(|s| s.is_stalled())?;
        Some(words(self))
    }
}

fn words(slot: &Slot) -> String {
    let after = slot.spec.silence.map(|setting| setting.after);
    format!(
        "it wrote nothing for {}",
        text::duration(after.unwrap_or_default())
    )
}

impl Actor {
    /// Lets the silence of the slot's run begin and end with it.
    pub(super) fn follow_silence(&mut self, slot: usize, notice: &Notice) {
        match notice {
            Notice::Started(run) | Notice::Adopted(run) => {
                self.slots[slot].silence = Some(Silence::new(*run, clock::mono()));
            }
            Notice::Stopping(..) | Notice::Exited(_) | Notice::Crashed(_) => {
                self.slots[slot].silence = None;
            }
            Notice::Ready(_)
            | Notice::Restarting(_)
            | Notice::Fatal(_)
            | Notice::Killed(..)
            | Notice::Stopped(_) => {}
        }
    }

    /// A run may have been silent for too long. Not while everything is being stopped.
    pub(super) fn tick_silence(&mut self, slot: usize, now: Mono) {
        if self.slots[slot]
            .silence_deadline()
            .is_none_or(|at| at > now)
        {
            return;
        }
        let held = &mut self.slots[slot];
        if self.stop.is_some() {
            held.silence = None;
            return;
        }
        // That it is stopped has been told, and says why it is silent.
        let is_explained = held.halted().is_some();
        let Some((silence, setting)) = held.silence.as_mut().zip(held.spec.silence) else {
            return;
        };
        if is_explained && setting.then == SilenceAct::Alert {
            silence.end(Some(now));
            return;
        }
        let run = silence.run();
        if !silence.look(now, self.ports.last_output(run), setting.after) {
            return;
        }
        let (since, cause) = (silence.since(), words(&self.slots[slot]));
        self.touch(slot);
        self.tell_health(slot, EventKind::ProgramStalled, Some(cause.clone()));
        match setting.then {
            SilenceAct::Alert => self.ports.await_output(run, since),
            SilenceAct::Restart => {
                let demand = Demand {
                    trigger: Trigger::LogSilence,
                    cause,
                    is_failure: true,
                };
                self.feed(slot, Input::Demand(run, demand));
            }
        }
    }

    /// A run that had stalled has written something.
    pub(super) fn wrote_again(&mut self, run: RunId) {
        let is_its = |slot: &Slot| slot.silence.as_ref().is_some_and(|s| s.run() == run);
        let Some(slot) = self.slots.iter().position(is_its) else {
            return;
        };
        let last = self.ports.last_output(run).or_else(|| Some(clock::mono()));
        let quiet = self.slots[slot].silence.as_mut().and_then(|s| s.end(last));
        if let Some(quiet) = quiet {
            self.touch(slot);
            if self.slots[slot].halted().is_some() {
                return;
            }
            let cause = format!("it writes again, after {}", text::duration(quiet));
            self.tell_health(slot, EventKind::ProgramHealthy, Some(cause));
        }
    }

    /// Other settings judge a run that is up: one that they find stalled is told anew.
    pub(super) fn judge_silence_anew(&mut self, slot: usize) {
        let silence = self.slots[slot].silence.as_mut();
        if silence.and_then(|silence| silence.end(None)).is_some() {
            let cause = "log_silence was changed".to_owned();
            self.tell_health(slot, EventKind::ProgramHealthy, Some(cause));
        }
    }
}
