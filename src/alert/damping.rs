//! Damping: how often a chat hears of one and the same trouble. Pure: no clock, no I/O. Machines are never damped.
//!
//! A chat is told of the 1st, 2nd, 5th and 12th failure of an incident, and else when nothing was said for a while
//! ([`limits::DAMPED_QUICKLY`], after some time [`limits::DAMPED_SLOWLY`]); of everything that makes it worse; and of
//! its end, if it heard of the beginning. The routine of an open incident (restarting, started, ready) is not news,
//! unless a route asks for it, and then only until the second failure.
//!
//! Of incidents that come one soon after the other (see `flap`) the 1st, 2nd, 5th and 12th are told in the same way.
//! One between those is held back for [`limits::FLAP_HOLD`]: it is told when it lasts that long, fails again or gets
//! worse, and when it recovers before that, nothing is told at all.
//!
//! What a person asked for is no news to people: a failure by a signal that somebody sent by hand is held back in
//! the same way, and a program that was killed because it did not stop in time is
//! told to a chat only when a route names that event. The same goes for an end of something that is not open.

use crate::clock::Wall;
use crate::limits;
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::{Incident, IncidentState};
use crate::model::write::Told;

/// What the routes say about an event and a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// None leads from one to the other.
    No,
    /// One does.
    Yes,
    /// One does, and it names this kind of event, without a wildcard.
    ByName,
}

/// One event for one chat, with what the chat knows.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The incident it belongs to, as it stands after it.
    pub incident: Option<&'a Incident>,
    /// What the routes say.
    pub wanted: Wanted,
    /// What the chat was told of this incident.
    pub told: Option<&'a Told>,
    /// What it was told of those that came shortly before, this one included.
    pub before: Option<&'a Told>,
}

/// What the chat hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is told.
    Tell,
    /// It is told at that time, if the incident is open then.
    Hold(Wall),
    /// Not this; what is held back of the incident stays.
    Nothing,
    /// Not this, and nothing of the incident any more: it is over, and was not told.
    Drop,
}

/// The word on `case`.
#[must_use]
pub fn word(case: &Case<'_>) -> Word {
    match case.incident {
        None => tell_if(is_news_alone(case)),
        Some(incident) if incident.state == IncidentState::Resolved => match case.told {
            Some(_) => Word::Tell,
            None if case.wanted == Wanted::ByName => Word::Tell,
            None => Word::Drop,
        },
        Some(incident) => match case.told {
            Some(told) => tell_if(is_news(case, incident, told)),
            None if case.wanted == Wanted::No => Word::Nothing,
            None => begin(case, incident),
        },
    }
}

fn tell_if(is_told: bool) -> Word {
    if is_told { Word::Tell } else { Word::Nothing }
}

/// An event of no incident.
fn is_news_alone(case: &Case<'_>) -> bool {
    let is_asked_for = match case.event.kind {
        EventKind::ProgramKilled => case.event.facts.trigger.is_none(),
        EventKind::ProgramHealthy
        | EventKind::ProgramRecovered
        | EventKind::RuleCleared
        | EventKind::TargetRestored
        | EventKind::StorageRestored
        | EventKind::SupervisorRestored => true,
        _ => false,
    };
    if is_asked_for {
        case.wanted == Wanted::ByName
    } else {
        case.wanted != Wanted::No
    }
}

/// The first word about an incident.
fn begin(case: &Case<'_>, incident: &Incident) -> Word {
    let is_rare = is_milestone(incident.cycle) || is_overdue(case.before, case.event.time);
    let is_damped = !is_rare || case.event.facts.asked_by.is_some();
    let is_short = incident.failures <= 1 && incident.severity < Severity::Critical;
    if !is_damped || !is_short {
        Word::Tell
    } else if case.event.severity == Severity::Info {
        Word::Nothing
    } else {
        Word::Hold(incident.opened_at + limits::FLAP_HOLD)
    }
}

/// Another word about an incident that was told.
fn is_news(case: &Case<'_>, incident: &Incident, told: &Told) -> bool {
    let event = case.event;
    let is_worse = incident.severity > told.severity || event.kind == EventKind::ProgramFatal;
    if event.severity == Severity::Info {
        return is_worse || (case.wanted != Wanted::No && incident.failures <= 1);
    }
    let is_failure = counts(event.kind) && is_milestone(incident.failures);
    is_worse || is_failure || is_overdue(Some(told), event.time)
}

/// Whether an event of this kind is one more failure of its incident.
#[must_use]
pub const fn counts(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ProgramCrashed
            | EventKind::ProgramUnhealthy
            | EventKind::ProgramStalled
            | EventKind::RuleFired
            | EventKind::TargetFailing
            | EventKind::StorageDegraded
            | EventKind::SupervisorDegraded
    )
}

fn is_milestone(count: u32) -> bool {
    limits::DAMPED_COUNTS.contains(&count)
}

/// Whether nothing was said for so long that a word is due.
fn is_overdue(told: Option<&Told>, now: Wall) -> bool {
    let Some(told) = told else {
        return true;
    };
    let pause = if told.times < limits::DAMPED_TIMES {
        limits::DAMPED_QUICKLY
    } else {
        limits::DAMPED_SLOWLY
    };
    now.since(told.at) >= pause
}
