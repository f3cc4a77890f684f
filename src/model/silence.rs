//! Silences: programs whose events people do not want to be told of for a while, and what happened meanwhile.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name;
use super::name::InstanceName;
use crate::clock::Wall;
use crate::ids::SilenceId;

/// One silence. Also its form in JSON and in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its identity for life.
    pub id: SilenceId,
    /// Names, globs, `tag:x`, `all`.
    pub programs: Vec<String>,
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// Who asked.
    pub by: String,
    /// When it began.
    pub since: Wall,
    /// When it ends by itself.
    pub until: Wall,
    /// When it ended.
    pub ended_at: Option<Wall>,
    /// What happened in it and is over, by target and instance.
    #[serde(default)]
    pub past: BTreeMap<String, BTreeMap<String, Tally>>,
}

/// What a target was not told of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Incidents that opened and resolved.
    pub incidents: u32,
    /// Failures of those.
    pub failures: u32,
    /// Events of no incident.
    pub others: u32,
}

impl Silence {
    /// Whether it is about this instance.
    #[must_use]
    pub fn covers(&self, instance: &InstanceName, tags: &[String]) -> bool {
        let mut patterns = self.programs.iter();
        patterns.any(|pattern| name::matches(pattern, instance, tags))
    }

    /// `until 22:30:00Z: deploy`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("until {}: {reason}", self.until),
            None => format!("until {}", self.until),
        }
    }
}
