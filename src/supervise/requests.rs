//! What people and the configuration ask: starting in order, verbs and their answers, stopping everything.
//! Part of the actor.

use crossbeam::channel::Sender;

use super::StopReport;
use super::actor::Actor;
use super::machine::{After, Down, Input, State};
use super::reload::Standing;
use super::slot::{Obstacle, Slot};
use crate::ids::RunId;
use crate::model::command::{Verb, VerbReply, VerbRequest, VerbResult};
use crate::model::event::Exit;
use crate::model::name::{self, UnknownName};
use crate::model::needs::Condition;
use crate::model::status::{Desired, Health, PhaseName};

/// A request whose asker waits.
pub(super) struct Pending {
    verb: Verb,
    asked: Vec<Asked>,
    reply: Sender<VerbReply>,
}

/// One instance of a request, as it was when asked.
pub(super) struct Asked {
    pub slot: usize,
    run_before: Option<RunId>,
    was: PhaseName,
}

/// A stop of everything.
pub(super) struct StopUnderWay {
    reply: Option<Sender<StopReport>>,
    report: StopReport,
    /// Not yet down.
    waiting: Vec<usize>,
}

impl Actor {
    /// Starts every program that starts by itself, with what those need.
    pub(super) fn autostart(&mut self) {
        self.resume();
        let programs = 0..self.of_program.len();
        let wanted: Vec<usize> = programs
            .filter(|p| {
                self.of_program[*p]
                    .iter()
                    .any(|slot| self.slots[*slot].is_wanted_at_start())
            })
            .collect();
        for program in self.graph.with_needs(&wanted) {
            for slot in self.of_program[program].clone() {
                if self.slots[slot].may_start_itself() {
                    self.feed(slot, Input::Start);
                }
            }
        }
    }

    pub(super) fn verb(&mut self, request: VerbRequest) {
        let chosen = match self.chosen(&request.patterns) {
            Ok(chosen) => chosen,
            Err(unknown) => return answer(&request.reply, Err(unknown)),
        };
        if self.stop.is_some() && request.verb != Verb::Stop {
            let refuse =
                |slot: &usize| self.slots[*slot].answer(false, "the supervisor is stopping");
            return answer(&request.reply, Ok(chosen.iter().map(refuse).collect()));
        }
        let asked = chosen.iter().map(|slot| self.ask(*slot)).collect();
        self.perform(request.verb, &chosen, &request.by);
        if request.wait {
            self.pending.push(Pending {
                verb: request.verb,
                asked,
                reply: request.reply,
            });
        } else {
            self.settle();
            let begun = chosen
                .iter()
                .map(|slot| self.slots[*slot].answer(true, "begun"))
                .collect();
            answer(&request.reply, Ok(begun));
        }
    }

    /// The slots that `patterns` mean.
    pub(super) fn chosen(&self, patterns: &[String]) -> Result<Vec<usize>, UnknownName> {
        // What leaves the configuration obeys it alone.
        let is_configured =
            |slot: &&usize| self.slots[**slot].place.standing == Standing::Configured;
        let slots: Vec<usize> = self.order.iter().filter(is_configured).copied().collect();
        let known: Vec<_> = slots
            .iter()
            .map(|slot| &self.slots[*slot])
            .map(|slot| (slot.name.clone(), slot.tags.to_vec()))
            .collect();
        let names = name::select(patterns, &known)?;
        Ok(slots
            .into_iter()
            .filter(|slot| names.contains(&self.slots[*slot].name))
            .collect())
    }

    pub(super) fn ask(&self, slot: usize) -> Asked {
        let instance = &self.slots[slot].instance;
        Asked {
            slot,
            run_before: instance.run(),
            was: instance.phase(),
        }
    }

    fn perform(&mut self, verb: Verb, chosen: &[usize], by: &str) {
        let input = match verb {
            Verb::Stop => Input::Stop,
            Verb::Start => Input::Start,
            Verb::Restart => Input::Restart,
        };
        if verb != Verb::Stop {
            self.start_needs(chosen, by);
        }
        for slot in chosen {
            self.slots[*slot].asked_by = Some(by.to_owned());
            self.slots[*slot].was_killed = false;
            self.slots[*slot].planned.is_held = verb == Verb::Stop;
            self.feed(*slot, input.clone());
        }
    }

    /// What the chosen instances need is started, when it is down.
    pub(super) fn start_needs(&mut self, chosen: &[usize], by: &str) {
        let programs: Vec<usize> = chosen
            .iter()
            .map(|slot| self.slots[*slot].program)
            .collect();
        for program in self.graph.with_needs(&programs) {
            for slot in self.of_program[program].clone() {
                let is_down = matches!(self.slots[slot].instance.state, State::Down(_));
                if !programs.contains(&program) && is_down && !self.slots[slot].has_completed() {
                    self.slots[slot].asked_by = Some(by.to_owned());
                    self.feed(slot, Input::Start);
                }
            }
        }
    }

    /// Stops everything that is up, dependents before what they need.
    pub(super) fn stop_all(&mut self, by: &str, reply: Sender<StopReport>) {
        if let Some(stop) = self.stop.as_mut() {
            stop.reply = Some(reply);
            return;
        }
        let is_fatal = |slot: &&Slot| slot.instance.phase() == PhaseName::Fatal;
        let fatal = self
            .slots
            .iter()
            .filter(is_fatal)
            .map(|slot| slot.name.clone())
            .collect();
        let waiting: Vec<usize> = (0..self.slots.len())
            .filter(|slot| !self.slots[*slot].instance.is_over())
            .collect();
        for slot in &waiting {
            self.slots[*slot].asked_by = Some(by.to_owned());
            self.slots[*slot].was_killed = false;
            let instance = &self.slots[*slot].instance;
            // What ended or was given up, and left something behind, is not wanted again.
            self.slots[*slot].at_shutdown = Some(match instance.state {
                State::Down(_) => Desired::Down,
                State::Waiting
                | State::Clearing { .. }
                | State::Spawning
                | State::Starting { .. }
                | State::Running { .. }
                | State::Backoff { .. }
                | State::Stopping(_) => instance.desired,
            });
        }
        let stopped = waiting
            .iter()
            .map(|slot| self.slots[*slot].name.clone())
            .collect();
        let report = StopReport {
            stopped,
            fatal,
            ..StopReport::default()
        };
        self.stop = Some(StopUnderWay {
            reply: Some(reply),
            report,
            waiting,
        });
        self.go_on_stopping();
    }

    /// Everything that is still up is told to stop and killed, whatever the order.
    pub(super) fn kill_all(&mut self) {
        for slot in 0..self.slots.len() {
            if !self.slots[slot].instance.is_over() {
                self.feed(slot, Input::Stop);
                self.feed(slot, Input::Kill);
            }
        }
    }

    /// After every round: those that wait for others, the stop of everything, answers that are due.
    pub(super) fn settle(&mut self) {
        loop {
            self.restart_dependents();
            while self.go_on_reloading() {}
            while self.release_waiting() {}
            // What was released may have been started.
            if self.renewed.is_empty() {
                break;
            }
        }
        self.go_on_stopping();
        // Before the answers: who asks has a right to find the events, and everything as it is told.
        self.hand_over();
        self.publish();
        self.answer_reloads();
        self.tell_if_idle();
        let slots = &self.slots;
        self.pending.retain(|pending| {
            let results: Option<Vec<VerbResult>> = pending
                .asked
                .iter()
                .map(|asked| result(pending.verb, asked, &slots[asked.slot]))
                .collect();
            match results {
                Some(results) => {
                    answer(&pending.reply, Ok(results));
                    false
                }
                None => true,
            }
        });
    }

    /// Starts those whose needs have been met. True when one was: that may have met the needs of another.
    fn release_waiting(&mut self) -> bool {
        let mut released = false;
        for slot in 0..self.slots.len() {
            if self.slots[slot].instance.state != State::Waiting {
                continue;
            }
            let obstacle = self.obstacle(slot);
            let is_free = obstacle.is_none();
            if obstacle != self.slots[slot].waits_for {
                self.slots[slot].waits_for = obstacle;
                self.touch(slot);
            }
            if is_free {
                self.slots[slot].place.is_new = false;
                self.feed(slot, Input::Ready);
                released = true;
            }
        }
        released
    }

    /// The first thing a slot has to wait for, if any.
    fn obstacle(&self, slot: usize) -> Option<Obstacle> {
        let others = self.graph.needs(self.slots[slot].program).iter();
        let others = others
            .flat_map(|program| &self.of_program[*program])
            .map(|at| &self.slots[*at]);
        let needs = &self.slots[slot].spec.needs;
        let asked = others.map(|other| (other, needs.of(other.name.program())));
        asked
            .filter(|(other, asked)| !other.has_come_to(*asked) || other.place.due.is_some())
            .map(|(other, asked)| Obstacle::of(other, asked))
            .next()
            .or_else(|| self.leaving_obstacle(&self.slots[slot]))
    }

    /// Asks those to end whom nobody needs any more, and at once all that would start a run: what was to be
    /// restarted, what waits, what crashed while its dependents take their time.
    pub(super) fn go_on_stopping(&mut self) {
        let Some(mut stop) = self.stop.take() else {
            return;
        };
        stop.waiting
            .retain(|slot| !self.slots[*slot].instance.is_over());
        let mut is_up = vec![false; self.of_program.len()];
        for slot in &stop.waiting {
            is_up[self.slots[*slot].program] = true;
        }
        for slot in stop.waiting.clone() {
            let mut needed_by = self.graph.needed_by(self.slots[slot].program).iter();
            let may_go_on = match &self.slots[slot].instance.state {
                State::Stopping(stopping) => stopping.after == After::Stay,
                State::Starting { .. } | State::Running { .. } => {
                    needed_by.any(|program| is_up[*program])
                }
                State::Down(_)
                | State::Waiting
                | State::Clearing { .. }
                | State::Spawning
                | State::Backoff { .. } => false,
            };
            if !may_go_on {
                self.feed(slot, Input::Stop);
            }
        }
        // What had nothing alive is down at once.
        stop.waiting
            .retain(|slot| !self.slots[*slot].instance.is_over());
        if stop.waiting.is_empty() {
            let was_killed = |slot: &&Slot| slot.was_killed && slot.at_shutdown.is_some();
            stop.report.killed = self
                .slots
                .iter()
                .filter(was_killed)
                .map(|slot| slot.name.clone())
                .collect();
            self.hand_over();
            if let Some(reply) = stop.reply.take() {
                let _ = reply.try_send(stop.report.clone());
            }
        }
        self.stop = Some(stop);
    }
}

impl Obstacle {
    fn of(other: &Slot, asked: Condition) -> Self {
        let phase = other.instance.phase();
        let is_final = match phase {
            PhaseName::Stopped | PhaseName::Exited | PhaseName::Fatal => true,
            // To be started again, or not.
            PhaseName::Stopping => other.instance.desired == Desired::Down,
            PhaseName::Starting | PhaseName::Running | PhaseName::Backoff => false,
        };
        Self {
            words: match asked {
                Condition::Started => format!("waits for {} ({phase})", other.name),
                Condition::Healthy | Condition::Completed => {
                    format!(
                        "waits for {} ({}), which is {phase}",
                        other.name,
                        asked.as_str()
                    )
                }
            },
            is_final,
        }
    }
}

/// The asker may have gone; that is no fault.
fn answer(reply: &Sender<VerbReply>, results: VerbReply) {
    let _ = reply.try_send(results);
}

pub(super) fn result(verb: Verb, asked: &Asked, slot: &Slot) -> Option<VerbResult> {
    match verb {
        Verb::Stop => stopped(asked, slot),
        Verb::Start | Verb::Restart => started(verb, asked, slot),
    }
}

fn stopped(asked: &Asked, slot: &Slot) -> Option<VerbResult> {
    if !slot.instance.is_over() {
        // Somebody else wants it up again: this request will not be fulfilled.
        let is_lost = matches!(
            &slot.instance.state,
            State::Starting { .. } | State::Running { .. }
        );
        return is_lost.then(|| slot.answer(false, "was started again"));
    }
    let message = match asked.was {
        PhaseName::Stopped => "was already stopped",
        PhaseName::Exited | PhaseName::Fatal => "was down already; stays down",
        PhaseName::Starting | PhaseName::Running | PhaseName::Backoff | PhaseName::Stopping => {
            if slot.was_killed {
                "killed: it did not stop in time"
            } else {
                "stopped"
            }
        }
    };
    Some(slot.answer(true, message))
}

fn started(verb: Verb, asked: &Asked, slot: &Slot) -> Option<VerbResult> {
    match &slot.instance.state {
        State::Running { run, .. } if Some(*run) == asked.run_before => match verb {
            Verb::Start => Some(slot.answer(true, "was already running")),
            Verb::Restart | Verb::Stop => None,
        },
        State::Running { .. } if slot.vitals().is_some_and(|vitals| !vitals.was_ready()) => {
            let vitals = slot.vitals()?;
            // It may yet become ready, but not in the time that its probe allows.
            let is_late = vitals.health() == Health::Unhealthy;
            is_late.then(|| slot.answer(false, &vitals.cause().unwrap_or_default()))
        }
        State::Running { .. } if verb == Verb::Restart => Some(slot.answer(true, "restarted")),
        State::Running { .. } => Some(slot.answer(true, "started")),
        State::Down(Down::Fatal { cause, .. }) => Some(slot.answer(false, cause)),
        State::Down(Down::Exited { .. }) => Some(slot.answer(slot.has_completed(), &ended(slot))),
        State::Down(Down::Stopped) => Some(slot.answer(false, "was stopped again")),
        State::Backoff { .. } => {
            Some(slot.answer(false, &format!("{}; will be tried again", ended(slot))))
        }
        State::Waiting => {
            let obstacle = slot
                .waits_for
                .as_ref()
                .filter(|obstacle| obstacle.is_final)?;
            Some(slot.answer(false, &obstacle.words))
        }
        State::Clearing { .. } | State::Spawning | State::Starting { .. } | State::Stopping(_) => {
            None
        }
    }
}

fn ended(slot: &Slot) -> String {
    let exit: Option<&Exit> = slot.instance.history.last_exit.as_ref();
    exit.map_or_else(
        || "could not be started".to_owned(),
        |exit| format!("ended with {exit}"),
    )
}
