//! Carries out what [`super::living`] has decided for one delivery to a chat, with the fall-backs that a target's
//! answers ask for: what cannot be edited any more is sent anew, what has no place any more goes to the chat itself.

use std::sync::Arc;

use super::attempt::{Attempt, Report};
use super::living::{self, Move, Plan, Situation};
use super::providers::{self, Instead, Task, Tier, Told};
use super::render::Message;
use crate::clock;
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::living::{Effect, Living, Place, Thread};
use crate::text;

/// One delivery on its way.
pub(super) struct Telling<'a> {
    attempt: Attempt<'a>,
    report: Report,
    notes: Vec<&'static str>,
    settings: String,
    /// The message as it stands.
    message: Option<MessageRef>,
    /// Where a new one goes.
    place: Option<String>,
    has_opened: bool,
}

/// Whether to go on with the next move.
type GoOn = bool;

impl<'a> Telling<'a> {
    /// With what is known of earlier ones.
    pub(super) fn new(attempt: Attempt<'a>) -> Self {
        let settings = providers::fingerprint(&attempt.spec.provider);
        let known = &attempt.leased.known;
        let message = known.living.as_ref().and_then(|l| l.message.clone());
        let place = match &attempt.spec.chat.thread {
            Thread::None => None,
            Thread::Fixed(id) => Some(id.clone()),
            Thread::PerProgram => known
                .place
                .as_ref()
                .filter(|p| p.settings == settings)
                .map(|p| p.id.clone()),
        };
        Self {
            attempt,
            report: Report::unsent("not sent"),
            notes: Vec::new(),
            settings,
            message,
            place,
            has_opened: false,
        }
    }

    /// Does all of it.
    pub(super) fn carry_out(mut self) -> Report {
        let spec = self.attempt.spec;
        let (leased, host) = (self.attempt.leased, self.attempt.host);
        let digest = living::digest(&Message::of(leased, host, &spec.voice));
        let plan = living::plan(&Situation {
            leased: self.attempt.leased,
            abilities: providers::of(&spec.provider).abilities(),
            policy: &spec.chat,
            settings: &self.settings,
            digest: &digest,
        });
        let (moves, notes) = match plan {
            Plan::Tell { moves, notes } => (moves, notes),
            Plan::Nothing(why) => {
                self.report.skipped = Some(why);
                self.report.outcome = Outcome::Delivered {
                    message: self.message,
                };
                return self.report;
            }
        };
        self.notes = notes;
        let shown = self.message.clone();
        for step in moves {
            if !self.make(step) {
                return self.report;
            }
        }
        self.report.effect.dropped = self.attempt.leased.known.dropped;
        self.keep(digest);
        self.report.outcome = Outcome::Delivered {
            message: self.message.or(shown),
        };
        self.report
    }

    fn make(&mut self, step: Move) -> GoOn {
        match step {
            Move::Open => self.open(),
            Move::Create => self.create(),
            Move::Edit => self.edit(),
            Move::Answer => self.answer(),
            Move::Delete => self.delete(),
        }
    }

    /// Sends one task, from `tier` on.
    fn send(&mut self, task: Task<'_>, tier: Tier) -> Option<Instead> {
        let asides = super::attempt::asides(self.attempt.leased);
        let notes = asides.iter().map(String::as_str);
        let note: Vec<&str> = notes.chain(self.notes.iter().copied()).collect();
        let note = note.join("; ");
        let told = Told {
            leased: self.attempt.leased,
            note: (!note.is_empty()).then_some(&note),
            voice: &self.attempt.spec.voice,
        };
        self.attempt.perform(&told, (task, tier), &mut self.report)
    }

    fn is_delivered(&self) -> bool {
        matches!(self.report.outcome, Outcome::Delivered { .. })
    }

    /// What the last task made.
    fn made(&self) -> Option<MessageRef> {
        match &self.report.outcome {
            Outcome::Delivered { message } => message.clone(),
            Outcome::Retryable { .. } | Outcome::Permanent { .. } => None,
        }
    }

    fn program(&self) -> Arc<str> {
        let program = self.attempt.leased.event.program();
        program.cloned().unwrap_or_else(|| Arc::from(""))
    }

    /// A place that cannot be made is no reason not to tell it.
    fn open(&mut self) -> GoOn {
        self.has_opened = true;
        let program = self.program();
        let name = if program.is_empty() {
            self.attempt.host
        } else {
            &program
        };
        let name = text::cut(name, limits::PLACE_NAME).into_owned();
        let instead = self.send(Task::Open { name: &name }, Tier::Rich);
        if let Some(id) = self.made().and_then(|m| m.place) {
            self.report.effect.found = Some(Place {
                program,
                id: id.clone(),
                settings: self.settings.clone(),
            });
            self.report.effect.lost = None;
            self.report.did.push("made a thread");
            self.place = Some(id);
            return true;
        }
        if instead == Some(Instead::WithoutPlace) {
            self.do_without_place();
            return true;
        }
        self.is_delivered()
    }

    fn do_without_place(&mut self) {
        self.report.placeless = self.report.error().map(str::to_owned);
        if self.place.take().is_some() && self.attempt.spec.chat.thread == Thread::PerProgram {
            self.report.effect.lost = Some(self.program());
        }
        if !self.notes.contains(&living::PLACELESS) {
            self.notes.push(living::PLACELESS);
        }
    }

    fn create(&mut self) -> GoOn {
        if self.create_in_place() == Some(Instead::WithoutPlace) {
            self.do_without_place();
            self.create_in_place();
        }
        if self.needs_place() && self.open() && self.place.is_some() {
            self.notes.retain(|note| *note != living::PLACELESS);
            self.create_in_place();
        }
        if self.is_delivered() {
            self.message = self.made();
            self.report.is_new = true;
            self.report.did.push("created");
        }
        self.is_delivered()
    }

    /// Some chats have nothing but threads: what they refuse outside of one goes into one that is made for it.
    fn needs_place(&self) -> bool {
        let is_refused = matches!(
            self.report.outcome,
            Outcome::Permanent {
                target_gone: false,
                ..
            }
        );
        let spec = self.attempt.spec;
        is_refused
            && self.place.is_none()
            && !self.has_opened
            && spec.chat.thread == Thread::PerProgram
            && providers::of(&spec.provider).abilities().places
    }

    fn create_in_place(&mut self) -> Option<Instead> {
        let place = self.place.clone();
        let task = Task::Create {
            place: place.as_deref(),
            reply_to: None,
        };
        self.send(task, Tier::Rich)
    }

    fn edit(&mut self) -> GoOn {
        let Some(message) = self.message.clone() else {
            return self.create();
        };
        if self.send(Task::Edit(&message), Tier::Rich) == Some(Instead::Afresh) {
            self.report.afresh = self.report.error().map(str::to_owned);
            return self.create();
        }
        if self.is_delivered() {
            self.report.did.push("edited");
        }
        self.message = self.made().or(Some(message));
        self.is_delivered()
    }

    /// A message that had to be sent anew has been heard.
    fn answer(&mut self) -> GoOn {
        if self.report.is_new {
            return true;
        }
        let abilities = providers::of(&self.attempt.spec.provider).abilities();
        let message = self.message.clone().filter(|_| abilities.replies);
        let place = self.place.clone();
        let task = Task::Create {
            place: place.as_deref(),
            reply_to: message.as_ref(),
        };
        if self.send(task, Tier::Line) == Some(Instead::WithoutPlace) {
            self.do_without_place();
            self.send(Task::CREATE, Tier::Line);
        }
        if self.is_delivered() {
            self.report.did.push("answered");
        }
        self.is_delivered()
    }

    /// What is too old to be taken away says that it is over.
    fn delete(&mut self) -> GoOn {
        let Some(message) = self.message.clone() else {
            return true;
        };
        if self.send(Task::Delete(&message), Tier::Rich) == Some(Instead::Afresh) {
            self.report.afresh = self.report.error().map(str::to_owned);
            return self.edit();
        }
        if self.is_delivered() {
            self.report.did.push("deleted");
            self.message = None;
        }
        self.is_delivered()
    }

    fn keep(&mut self, digest: String) {
        let Some(incident) = &self.attempt.leased.incident else {
            return;
        };
        let before = self.attempt.leased.known.living.as_ref();
        let created_at = before
            .filter(|_| !self.report.is_new)
            .map_or_else(clock::wall, |living| living.created_at);
        self.report.effect = Effect {
            living: Some(Living {
                message: self.message.clone(),
                seq: incident.seq,
                severity: incident.severity,
                created_at,
                digest,
                settings: self.settings.clone(),
            }),
            ..std::mem::take(&mut self.report.effect)
        };
    }
}
