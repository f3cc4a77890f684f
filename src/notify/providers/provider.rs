//! What every provider is asked, and what it answers with. Data and one trait; nothing here sends.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Wall;
use crate::fetch::{Method, Response};
use crate::model::delivery::{Leased, MessageRef, Outcome};
use crate::model::voice::Voice;
use crate::notify::render::{Message, own};
use crate::secret::Secret;

/// One kind of target: how a message looks to it, and what its answer means. Pure.
pub trait Provider {
    /// The request of one attempt: does [`Context::task`] with what is told. A provider is never given a task that
    /// its abilities do not have.
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest;

    /// What the answer to that request means.
    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement;

    /// Where it is: the host of this address has its limits in common with other targets.
    fn address(&self) -> Secret;

    /// What can be done with a message there.
    fn abilities(&self) -> Abilities;

    /// When what is told here must be told again, though the target took it; none: never.
    fn stands(&self, _leased: &Leased) -> Option<Duration> {
        None
    }
}

/// What can be done with a message once it is there. The default is nothing.
#[expect(
    clippy::struct_excessive_bools,
    reason = "five facts that have nothing to do with one another"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Changed in place: [`Task::Edit`].
    pub edits: bool,
    /// Taken away: [`Task::Delete`].
    pub deletes: bool,
    /// Answered to: [`Task::Create`] with `reply_to`.
    pub replies: bool,
    /// Put into a topic or thread: [`Task::Create`] with `place`, [`Task::Open`].
    pub places: bool,
    /// Sent twice without being shown twice: a message told again after a crash is no double.
    pub keyed: bool,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// It is sent. Its outcome has the message's reference, if the provider gives one.
    Create {
        /// The topic or thread it goes to; none is the chat itself.
        place: Option<&'a str>,
        /// The message it answers.
        reply_to: Option<&'a MessageRef>,
    },
    /// It takes the place of this one. Its outcome has no reference, or the one that counts from then on.
    Edit(&'a MessageRef),
    /// This one is taken away. One that is gone already is delivered.
    Delete(&'a MessageRef),
    /// A topic or thread of this name is made. Its outcome's reference has the place as its `place`.
    Open {
        /// What it is for: a program.
        name: &'a str,
    },
}

impl Task<'_> {
    /// A message of its own in the chat itself.
    pub const CREATE: Self = Self::Create {
        place: None,
        reply_to: None,
    };
}

/// What is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The event with its incident.
    pub leased: &'a Leased,
    /// What is to be said besides, in a few words of our own.
    pub note: Option<&'a str>,
    /// How it is worded.
    pub voice: &'a Voice,
}

impl<'a> Told<'a> {
    /// The event alone, in plain English.
    #[must_use]
    pub const fn of(leased: &'a Leased) -> Self {
        Self {
            leased,
            note: None,
            voice: &Voice::PLAIN,
        }
    }

    /// The same in words of `voice`.
    #[must_use]
    pub const fn in_voice(self, voice: &'a Voice) -> Self {
        Self { voice, ..self }
    }

    /// The message for people.
    pub(in crate::notify) fn message(&self, context: &Context<'_>) -> Message {
        let mut message = Message::of(self.leased, context.host, self.voice);
        if let Some(text) = own::text(self.leased, context.host, self.voice) {
            message.say(&text);
        }
        if let Some(note) = self.note {
            message.note(note, self.voice);
        }
        message
    }
}

/// A request as data.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// What is asked to be done there.
    pub method: Method,
    /// Where to.
    pub url: Secret,
    /// Names and values.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: String,
    /// Whether the body must be the same bytes on every attempt.
    pub is_frozen: bool,
}

impl HttpRequest {
    /// A body of JSON that is posted.
    #[must_use]
    pub fn post(url: Secret, headers: Vec<(String, Secret)>, body: &Value) -> Self {
        Self {
            method: Method::Post,
            url,
            headers,
            body: body.to_string(),
            is_frozen: false,
        }
    }
}

/// How elaborate a message is. One refused for its form is sent again one step plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Everything the provider can show.
    Rich,
    /// Text only.
    Plain,
    /// One line.
    Line,
}

impl Tier {
    /// The next plainer one.
    #[must_use]
    pub const fn plainer(self) -> Option<Self> {
        match self {
            Self::Rich => Some(Self::Plain),
            Self::Plain => Some(Self::Line),
            Self::Line => None,
        }
    }
}

/// What a request is made from, besides the delivery and the target.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The supervisor's name.
    pub host: &'a str,
    /// The moment of the attempt.
    pub now: Wall,
    /// How elaborate.
    pub tier: Tier,
    /// The chat's id since it moved (Telegram), instead of the configured one.
    pub moved_to: Option<&'a str>,
    /// What is done with the message.
    pub task: Task<'a>,
}

/// Who has to wait when a target asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This target.
    Target,
    /// Every target at the same host.
    Host,
}

/// What could be tried at once instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The same, plainer: the form was refused.
    Plainer,
    /// The same, to the chat's new id.
    MovedTo(String),
    /// A message of its own: the one to be edited is gone, or too old for it.
    Afresh,
    /// The same outside the place: that is gone.
    WithoutPlace,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// For the delivery, if nothing else is tried.
    pub outcome: Outcome,
    /// Whom a stated wait concerns.
    pub scope: Scope,
    /// What to try instead, in the same attempt.
    pub instead: Option<Instead>,
    /// The message went, but the next one must wait this long (used-up rate).
    pub pause: Option<Duration>,
}

impl From<Outcome> for Judgement {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            scope: Scope::Target,
            instead: None,
            pause: None,
        }
    }
}
