//! What is done with the message of an incident at one target when one more event of it comes up: sent, edited,
//! answered, taken away, or nothing. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;

use super::providers::Abilities;
use super::render::Message;
use crate::model::delivery::Leased;
use crate::model::event::Severity;
use crate::model::incident::{Incident, IncidentState};
use crate::model::living::{ChatPolicy, Living, OnResolve, Thread};

/// What is decided on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// The event, its incident, and what is known from earlier ones.
    pub(super) leased: &'a Leased,
    /// What can be done with messages there.
    pub(super) abilities: Abilities,
    /// What the configuration wants.
    pub(super) policy: &'a ChatPolicy,
    /// Fingerprint of the provider's settings.
    pub(super) settings: &'a str,
    /// Of what would be said.
    pub(super) digest: &'a str,
}

/// One thing to do. They are done in order, and the first that fails ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// A place for the program is made.
    Open,
    /// The message is sent.
    Create,
    /// The message is edited.
    Edit,
    /// One line answers the message, so that it is heard.
    Answer,
    /// The message is taken away.
    Delete,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// These, with notes in the message.
    Tell {
        /// In this order.
        moves: Vec<Move>,
        /// In a few words each.
        notes: Vec<&'static str>,
    },
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Said when an earlier attempt ended without our knowing what came of it.
pub(super) const DOUBTFUL: &str = "may be told twice: an earlier attempt ended without an answer";
/// Said when an incident is over before anything of it could be told.
pub(super) const UNTOLD: &str = "that it had failed was not told before";
/// Said when a topic or thread is gone, or cannot be made.
pub(super) const PLACELESS: &str = "this belongs into a thread that is not there";

/// What to do.
pub(super) fn plan(of: &Situation<'_>) -> Plan {
    let Some(incident) = &of.leased.incident else {
        return create(of, Vec::new());
    };
    let is_over = incident.state == IncidentState::Resolved;
    let Some(living) = told(of) else {
        if is_over && of.policy.on_resolve == OnResolve::Delete && of.abilities.deletes {
            return Plan::Nothing("it was over before it could be told");
        }
        // Where it may have been told, that is what is said.
        let is_untold = is_over && (!of.leased.known.is_doubtful || of.abilities.keyed);
        let notes = if is_untold { vec![UNTOLD] } else { Vec::new() };
        return create(of, notes);
    };
    // Told by a version that kept no numbers: nothing of it is stale.
    if living.seq >= incident.seq && !living.settings.is_empty() {
        return Plan::Nothing("something newer was told");
    }
    if living.message.is_none() {
        return create(of, Vec::new());
    }
    continued(of, incident, living)
}

/// What the target was told, under its present settings or by a version that did not keep them.
fn told<'a>(of: &Situation<'a>) -> Option<&'a Living> {
    let living = of.leased.known.living.as_ref()?;
    (living.settings.is_empty() || living.settings == of.settings).then_some(living)
}

/// There is a message.
fn continued(of: &Situation<'_>, incident: &Incident, living: &Living) -> Plan {
    let edited = if of.abilities.edits {
        Move::Edit
    } else {
        Move::Create
    };
    let is_over = incident.state == IncidentState::Resolved;
    let is_worse = incident.severity > living.severity && incident.severity == Severity::Critical;
    let moves = match (is_over, of.policy.on_resolve) {
        (true, OnResolve::New) => return create(of, Vec::new()),
        (true, OnResolve::Delete) if of.abilities.deletes => vec![Move::Delete],
        (true, OnResolve::EditAndReply) if of.abilities.edits => vec![Move::Edit, Move::Answer],
        // An edit makes no sound, and this is to be heard.
        (false, _) if is_worse && of.abilities.edits => vec![Move::Edit, Move::Answer],
        (true | false, _) => vec![edited],
    };
    if moves == [Move::Create] {
        return create(of, Vec::new());
    }
    if moves == [Move::Edit] && living.digest == of.digest {
        return Plan::Nothing("it says so already");
    }
    Plan::Tell {
        moves,
        notes: Vec::new(),
    }
}

/// A message of its own, in its place.
fn create(of: &Situation<'_>, mut notes: Vec<&'static str>) -> Plan {
    if of.leased.known.is_doubtful && !of.abilities.keyed {
        notes.push(DOUBTFUL);
    }
    let is_placed = of
        .leased
        .known
        .place
        .as_ref()
        .is_some_and(|p| p.settings == of.settings);
    let wants_place = of.policy.thread == Thread::PerProgram
        && of.abilities.places
        && of.leased.event.program().is_some();
    let moves = if wants_place && !is_placed {
        vec![Move::Open, Move::Create]
    } else {
        vec![Move::Create]
    };
    Plan::Tell { moves, notes }
}

/// Tells what two messages say apart; which event says it does not count.
pub(super) fn digest(message: &Message) -> String {
    let mut hash = sha2::Sha256::new();
    let mut add = |text: &str| {
        hash.update(text);
        hash.update([0]);
    };
    add(message.mood.sign());
    add(&message.title);
    for (label, value) in &message.facts {
        add(label);
        add(value);
    }
    for line in &message.tail {
        add(line);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests;
