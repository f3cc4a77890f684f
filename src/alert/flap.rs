//! Flapping: which incidents come one soon after the other. Pure: no clock, no I/O. Their ids stay their own, for
//! each is an incident of its own; they are only counted, so that a chat is not told of every one.

use std::collections::BTreeMap;

use crate::clock::Wall;
use crate::limits;
use crate::model::incident::{Condition, Incident};
use crate::model::name::InstanceName;

/// What an incident is about: there is one open of each at the most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The instance, when it is about one.
    pub instance: Option<InstanceName>,
    /// What is wrong.
    pub condition: Condition,
    /// The rule or the target.
    pub subject: Option<String>,
}

impl Key {
    /// That of `incident`.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        Self {
            instance: incident.instance.clone(),
            condition: incident.condition,
            subject: incident.subject.clone(),
        }
    }
}

/// The cause of an incident that ended by itself.
pub const RECOVERED: &str = "recovered";

/// What recovered lately.
#[derive(Clone, Debug, Default)]
pub struct Flaps {
    past: BTreeMap<Key, (Wall, u32)>,
}

impl Flaps {
    /// Takes note of an end. One by a person's hand begins anew: what comes after it is no flapping.
    pub fn resolved(&mut self, incident: &Incident) {
        let key = Key::of(incident);
        match incident.resolved_at {
            Some(at) if incident.cause.as_deref() == Some(RECOVERED) => {
                self.forget_before(at);
                self.past.insert(key, (at, incident.cycle));
            }
            Some(_) | None => {
                self.past.remove(&key);
            }
        }
    }

    /// The number of the incident of `key` that opens at `at`: 1, or one more than that of the one before when that
    /// one recovered shortly before.
    #[must_use]
    pub fn cycle(&self, key: &Key, at: Wall) -> u32 {
        match self.past.get(key) {
            Some((resolved, cycle)) if at.since(*resolved) <= limits::FLAP_WINDOW => {
                cycle.saturating_add(1)
            }
            Some(_) | None => 1,
        }
    }

    fn forget_before(&mut self, now: Wall) {
        self.past
            .retain(|_, (at, _)| now.since(*at) <= limits::FLAP_WINDOW);
    }
}
