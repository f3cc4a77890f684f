//! What is wrong without a crash: unhealthy, stalled, a broken rule, a target, the storage, the supervisor. Which
//! event opens, continues or ends such an incident. Pure: no clock, no I/O.
//!
//! There is one open incident of each [`Key`]. It ends
//! - with the event that says so (`program.healthy`, `rule.cleared`, `target.restored`, …);
//! - for an instance that was unhealthy or had stalled also when a run of it becomes ready, when it ends well, or
//!   when a person stops it. A crash does not end it: nothing is better;
//! - when what it is about is no longer configured;
//! - when it is of an earlier supervisor and nobody has said it again for [`limits::CONDITION_DOUBT`]: the one that
//!   watched has forgotten it. A target's breaker is remembered, so that is waited for.
//!
//! Where the event that ends it belongs to a crash, or there is none, the event that says so is made here and comes
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::flap::{Flaps, Key, RECOVERED};
use super::incident::{Fold, touch};
use crate::clock::{Mono, Wall};
use crate::ids::IncidentId;
use crate::limits;
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::name::InstanceName;

/// What there is to be wrong.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The instances of the configuration.
    pub instances: BTreeSet<InstanceName>,
    /// Its targets.
    pub targets: BTreeSet<Arc<str>>,
}

/// The open ones.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    known: Known,
    open: BTreeMap<Key, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    incident: Incident,
    doubt: Doubt,
}

/// Whether this supervisor has seen it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It has.
    None,
    /// Not yet; how long it is waited for is not yet known either.
    New,
    /// It must be said again by then.
    Until(Mono),
}

/// Why one ends.
#[derive(Clone, Copy)]
struct End<'a> {
    at: Wall,
    cause: &'a str,
    words: Option<&'a str>,
}

impl Conditions {
    /// Those `open` of the supervisor before.
    #[must_use]
    pub fn new(open: impl IntoIterator<Item = Incident>) -> Self {
        let open = open.into_iter().map(|incident| {
            let doubt = match incident.condition {
                Condition::Target | Condition::Crash => Doubt::None,
                Condition::Unhealthy
                | Condition::Stalled
                | Condition::Rule
                | Condition::Storage
                | Condition::Supervisor => Doubt::New,
            };
            (Key::of(&incident), Open { incident, doubt })
        });
        Self {
            known: Known::default(),
            open: open.collect(),
        }
    }

    /// Takes up a configuration; what it does not name ends with the next tick.
    pub fn configure(&mut self, known: Known) {
        self.known = known;
    }

    /// The open ones, in the order of their keys.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values().map(|o| &o.incident)
    }

    /// When to tick at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.open
            .iter()
            .filter_map(|(key, open)| match open.doubt {
                _ if !self.is_known(key) => Some(Mono::default()),
                Doubt::New => Some(Mono::default()),
                Doubt::Until(at) => Some(at),
                Doubt::None => None,
            })
            .min()
    }

    /// What `fold`, as the crash of its instance has it, means here: the events that come before it, and itself.
    #[must_use]
    pub fn next(&mut self, fold: Fold, flaps: &mut Flaps) -> Vec<Fold> {
        let mut fold = fold;
        if let Some(key) = opens(&fold.event) {
            fold.incident = Some(self.fail(key, &fold.event, flaps));
            return vec![fold];
        }
        let mut made = Vec::new();
        for (key, cause, takes_event) in ends(&fold.event) {
            if !self.open.contains_key(&key) {
                continue;
            }
            if takes_event && fold.incident.is_none() {
                fold.incident = self.resolve(&key, &fold.event, (cause, flaps));
                continue;
            }
            let end = End {
                at: fold.event.time,
                cause,
                words: words(&fold.event),
            };
            made.extend(self.end(&key, end, flaps));
        }
        // Ids rise with time: the earlier ones take the earlier ids.
        for earlier in &mut made {
            std::mem::swap(&mut earlier.event.id, &mut fold.event.id);
        }
        made.push(fold);
        made
    }

    /// Ends what is due.
    #[must_use]
    pub fn tick(&mut self, (wall, now): (Wall, Mono), flaps: &mut Flaps) -> Vec<Fold> {
        let mut over = Vec::new();
        for (key, open) in &mut self.open {
            let is_known = self.known.knows(key);
            match open.doubt {
                _ if !is_known => over.push((key.clone(), "removed", REMOVED)),
                Doubt::New => open.doubt = Doubt::Until(now + limits::CONDITION_DOUBT),
                Doubt::Until(at) if at <= now => over.push((key.clone(), "unknown", FORGOTTEN)),
                Doubt::Until(_) | Doubt::None => {}
            }
        }
        let end = |(key, cause, words): (Key, &'static str, &'static str)| {
            let end = End {
                at: wall,
                cause,
                words: Some(words),
            };
            self.end(&key, end, flaps)
        };
        over.into_iter().filter_map(end).collect()
    }

    fn is_known(&self, key: &Key) -> bool {
        self.known.knows(key)
    }

    fn fail(&mut self, key: Key, event: &Event, flaps: &Flaps) -> Incident {
        if let Some(open) = self.open.get_mut(&key) {
            touch(&mut open.incident, event);
            open.incident.failures = open.incident.failures.saturating_add(1);
            open.doubt = Doubt::None;
            return open.incident.clone();
        }
        let incident = Incident {
            id: IncidentId::new(),
            instance: key.instance.clone(),
            condition: key.condition,
            subject: key.subject.clone(),
            severity: event.severity,
            state: IncidentState::Open,
            opened_at: event.time,
            resolved_at: None,
            events: 1,
            seq: 1,
            failures: 1,
            cycle: flaps.cycle(&key, event.time),
            cause: None,
        };
        let open = Open {
            incident: incident.clone(),
            doubt: Doubt::None,
        };
        self.open.insert(key, open);
        incident
    }

    fn resolve(
        &mut self,
        key: &Key,
        event: &Event,
        (cause, flaps): (&str, &mut Flaps),
    ) -> Option<Incident> {
        let mut incident = self.open.remove(key)?.incident;
        touch(&mut incident, event);
        incident.state = IncidentState::Resolved;
        incident.resolved_at = Some(event.time);
        incident.cause = Some(cause.to_owned());
        flaps.resolved(&incident);
        Some(incident)
    }

    /// Ends it with an event that is made here.
    fn end(&mut self, key: &Key, end: End<'_>, flaps: &mut Flaps) -> Option<Fold> {
        let open = self.open.get(key)?;
        let mut event = Event::new(end_kind(key.condition)?, end.at);
        event.severity = open.incident.severity;
        event.instance.clone_from(&key.instance);
        event.facts.cause = end.words.map(str::to_owned);
        match key.condition {
            Condition::Target => event.facts.target.clone_from(&key.subject),
            Condition::Rule => event.facts.rule.clone_from(&key.subject),
            Condition::Crash
            | Condition::Unhealthy
            | Condition::Stalled
            | Condition::Storage
            | Condition::Supervisor => {}
        }
        let incident = self.resolve(key, &event, (end.cause, flaps));
        Some(Fold { event, incident })
    }
}

const REMOVED: &str = "removed from the configuration";
const FORGOTTEN: &str = "not seen again since the supervisor started";

impl Known {
    fn knows(&self, key: &Key) -> bool {
        let instance = key.instance.as_ref();
        let subject = key.subject.as_deref().unwrap_or_default();
        instance.is_none_or(|name| self.instances.contains(name))
            && (key.condition != Condition::Target || self.targets.contains(subject))
    }
}

fn key(event: &Event, condition: Condition) -> Key {
    let subject = match condition {
        Condition::Rule => event.facts.rule.clone(),
        Condition::Target => event.facts.target.clone(),
        Condition::Crash
        | Condition::Unhealthy
        | Condition::Stalled
        | Condition::Storage
        | Condition::Supervisor => None,
    };
    Key {
        instance: event.instance.clone(),
        condition,
        subject,
    }
}

/// What `event` says is wrong. A rule that alerts nobody (its event is only information) opens nothing.
fn opens(event: &Event) -> Option<Key> {
    let condition = match event.kind {
        EventKind::ProgramUnhealthy => Condition::Unhealthy,
        EventKind::ProgramStalled => Condition::Stalled,
        EventKind::RuleFired if event.severity > Severity::Info => Condition::Rule,
        EventKind::TargetFailing => Condition::Target,
        EventKind::StorageDegraded => Condition::Storage,
        EventKind::SupervisorDegraded => Condition::Supervisor,
        _ => return None,
    };
    Some(key(event, condition))
}

/// What `event` ends, why, and whether it says so itself.
fn ends(event: &Event) -> Vec<(Key, &'static str, bool)> {
    let (conditions, cause, says_so): (&[Condition], _, _) = match event.kind {
        EventKind::ProgramHealthy => (OF_A_RUN, RECOVERED, true),
        EventKind::ProgramReady => (OF_A_RUN, RECOVERED, false),
        EventKind::ProgramExited => (OF_A_RUN, "ended", true),
        EventKind::ProgramStopped if event.facts.trigger.is_none() => (OF_A_RUN, "stopped", true),
        EventKind::RuleCleared => (&[Condition::Rule], RECOVERED, true),
        EventKind::TargetRestored => (&[Condition::Target], RECOVERED, true),
        EventKind::StorageRestored => (&[Condition::Storage], RECOVERED, true),
        EventKind::SupervisorRestored => (&[Condition::Supervisor], RECOVERED, true),
        _ => return Vec::new(),
    };
    let keys = conditions.iter().map(|c| (key(event, *c), cause, says_so));
    keys.collect()
}

const OF_A_RUN: &[Condition] = &[Condition::Unhealthy, Condition::Stalled];

/// Why it ends, in words, where the event that is made does not say it by its name.
fn words(event: &Event) -> Option<&'static str> {
    match event.kind {
        EventKind::ProgramExited => Some("it has ended"),
        EventKind::ProgramStopped => Some("it was stopped"),
        _ => None,
    }
}

/// The event that says that `condition` is over; a crash has its own rules.
const fn end_kind(condition: Condition) -> Option<EventKind> {
    match condition {
        Condition::Crash => None,
        Condition::Unhealthy | Condition::Stalled => Some(EventKind::ProgramHealthy),
        Condition::Rule => Some(EventKind::RuleCleared),
        Condition::Target => Some(EventKind::TargetRestored),
        Condition::Storage => Some(EventKind::StorageRestored),
        Condition::Supervisor => Some(EventKind::SupervisorRestored),
    }
}
