//! Living messages: what a target has been told of an incident, where messages about a program go there, and what
//! the configuration wants of both.

use std::sync::Arc;

use super::delivery::MessageRef;
use super::event::Severity;
use super::group::Member;
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId};

/// What becomes of the message when its incident ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnResolve {
    /// It is edited, which makes no sound.
    #[default]
    Edit,
    /// It is edited, and a short answer to it says so aloud.
    EditAndReply,
    /// It stays, and another one is sent.
    New,
    /// It is taken away.
    Delete,
}

impl OnResolve {
    /// The words of the configuration.
    pub const WORDS: &'static [&'static str] = &["edit", "edit_and_reply", "new", "delete"];

    /// The one that `word` means; the usual one for any other.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "edit_and_reply" => Self::EditAndReply,
            "new" => Self::New,
            "delete" => Self::Delete,
            _ => Self::Edit,
        }
    }
}

/// Where in the chat messages go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Thread {
    /// Into the chat itself.
    #[default]
    None,
    /// Into a topic or thread for each program, made when it is first needed.
    PerProgram,
    /// Into this one.
    Fixed(String),
}

/// How a target's chat is spoken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatPolicy {
    /// At the end of an incident.
    pub on_resolve: OnResolve,
    /// Where.
    pub thread: Thread,
}

/// What a target was told of an incident last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// The message, if the target gave it an id and it is still there.
    pub message: Option<MessageRef>,
    /// The incident's number of changes then; what is older is stale.
    pub seq: u64,
    /// The incident's severity then.
    pub severity: Severity,
    /// When the message was made.
    pub created_at: Wall,
    /// Of what it said.
    pub digest: String,
    /// Fingerprint of the provider's settings: a message of other ones is not found any more. Empty when it was
    /// told by a version that kept no messages.
    pub settings: String,
}

/// The topic or thread of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The program; empty for what is about none.
    pub program: Arc<str>,
    /// As the provider calls it.
    pub id: String,
    /// Fingerprint of the provider's settings.
    pub settings: String,
}

/// What a leased delivery comes with from earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// What its target was told of its incident.
    pub living: Option<Living>,
    /// The place its target has for its program.
    pub place: Option<Place>,
    /// An attempt at it ended in the dark: it may have been told.
    pub is_doubtful: bool,
    /// Older deliveries of the same incident and target, which are told with it and settled with it.
    pub with: Vec<DeliveryId>,
    /// The incidents that share its message, those that are open first; none when it is about one alone.
    pub members: Vec<Member>,
    /// The events that a machine is told of by it, when there are several.
    pub events: Vec<EventId>,
    /// The target that could not be told, when this one stands in for it.
    pub instead_of: Option<String>,
    /// Deliveries that were dropped because too many waited, and of which the target has not been told.
    pub dropped: u64,
}

/// What a settled attempt changes in that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// What the target has been told of the incident.
    pub living: Option<Living>,
    /// A place that was made.
    pub found: Option<Place>,
    /// The program whose place is gone.
    pub lost: Option<Arc<str>>,
    /// Dropped deliveries of which it has been told.
    pub dropped: u64,
}
