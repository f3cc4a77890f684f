//! Silences: whose events chats are not told of for a while, and the one line that says afterwards what happened.
//! Pure: no clock, no I/O.
//!
//! Chats alone are spared: machines get every event, marked as `silenced`. What is about no program (the storage, a
//! target, the configuration) is never silenced: it says that watching itself is at risk. An incident that is open when
//! the silence ends is told then, once, as it stands; one that opened and resolved within it is only counted here,
//! and all those counts are one line. When nothing happened nothing is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::clock::Wall;
use crate::ids::SilenceId;
use crate::limits;
use crate::model::event::{Event, EventKind};
use crate::model::incident::Incident;
use crate::model::name::InstanceName;
use crate::model::silence::{Silence, Tally};

/// Those in force, in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    active: Vec<Silence>,
}

impl Silences {
    /// Those that an earlier supervisor left.
    #[must_use]
    pub fn new(active: Vec<Silence>) -> Self {
        Self { active }
    }

    /// Those in force.
    #[must_use]
    pub fn active(&self) -> &[Silence] {
        &self.active
    }

    /// Whether there is room for another one.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.active.len() < limits::SILENCES_MAX
    }

    /// Begins one, and gives the event that says so.
    pub fn begin(&mut self, silence: Silence) -> Event {
        let mut event = about(EventKind::SilenceStarted, &silence, silence.since);
        event.facts.asked_by = Some(silence.by.clone());
        event.facts.cause = Some(format!("{} {}", names(&silence), silence.words()));
        self.active.push(silence);
        event
    }

    /// Ends one, and gives it with the event that says so and what happened.
    pub fn end(&mut self, id: SilenceId, at: Wall) -> Option<(Silence, Event)> {
        let position = self.active.iter().position(|s| s.id == id)?;
        let mut silence = self.active.remove(position);
        silence.ended_at = Some(at);
        let mut event = about(EventKind::SilenceEnded, &silence, at);
        event.facts.cause = Some(told(&silence));
        Some((silence, event))
    }

    /// The first that is over at `now`.
    #[must_use]
    pub fn over(&self, now: Wall) -> Option<SilenceId> {
        let over = self.active.iter().filter(|s| s.until <= now);
        over.min_by_key(|s| s.until).map(|s| s.id)
    }

    /// When the next one ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Wall> {
        self.active.iter().map(|s| s.until).min()
    }

    /// The one that lasts longest of those about `instance`.
    #[must_use]
    pub fn of(&self, instance: &InstanceName, tags: &[String]) -> Option<&Silence> {
        let of_it = self.active.iter().filter(|s| s.covers(instance, tags));
        of_it.max_by_key(|s| s.until)
    }

    /// Counts for `target` what it is not told: an incident that is over, or an event of none.
    pub fn count(
        &mut self,
        id: SilenceId,
        target: &str,
        (event, over): (&Event, Option<&Incident>),
    ) {
        let Some(silence) = self.active.iter_mut().find(|s| s.id == id) else {
            return;
        };
        let Some(instance) = event.instance.as_ref().map(ToString::to_string) else {
            return;
        };
        let past = silence.past.entry(target.to_owned()).or_default();
        if past.len() >= limits::SILENCE_TALLIES && !past.contains_key(&instance) {
            return;
        }
        let tally = past.entry(instance).or_default();
        match over {
            Some(incident) => {
                tally.incidents = tally.incidents.saturating_add(1);
                tally.failures = tally.failures.saturating_add(incident.failures);
            }
            None => tally.others = tally.others.saturating_add(1),
        }
    }
}

fn about(kind: EventKind, silence: &Silence, at: Wall) -> Event {
    let mut event = Event::new(kind, at);
    event.facts.silence = Some(silence.id.to_string());
    event
}

fn names(silence: &Silence) -> String {
    silence.programs.join(", ")
}

/// `web (deploy): web: 2 incidents with 5 failures, all over; db: 1 other event`.
fn told(silence: &Silence) -> String {
    let mut line = names(silence);
    if let Some(reason) = &silence.reason {
        let _ = write!(line, " ({reason})");
    }
    let mut all: BTreeMap<&str, Tally> = BTreeMap::new();
    for (instance, tally) in silence.past.values().flatten() {
        // Targets differ in what they hear; the one that hears most knows most.
        let known = all.entry(instance).or_default();
        known.incidents = known.incidents.max(tally.incidents);
        known.failures = known.failures.max(tally.failures);
        known.others = known.others.max(tally.others);
    }
    for (number, (instance, tally)) in all.iter().enumerate() {
        let before = if number == 0 { ": " } else { "; " };
        let _ = write!(line, "{before}{instance} had {}", words(*tally));
    }
    line
}

fn words(tally: Tally) -> String {
    let count = |n: u32, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let incidents = (tally.incidents > 0).then(|| {
        let failures = count(tally.failures, "failure");
        format!("{failures} and recovered")
    });
    let others = (tally.others > 0).then(|| count(tally.others, "other event"));
    let parts: Vec<String> = incidents.into_iter().chain(others).collect();
    parts.join(", ")
}
