//! Incidents: an interval in which something is wrong with an instance, opened by its first failure.

use serde::{Deserialize, Serialize};

use super::event::Severity;
use super::name::InstanceName;
use crate::clock::Wall;
use crate::ids::IncidentId;

/// One incident as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its identity for life.
    pub id: IncidentId,
    /// The instance it is about.
    pub instance: InstanceName,
    /// What is wrong: `crash`.
    pub condition: Condition,
    /// The highest severity it has had.
    pub severity: Severity,
    /// Open, or how it ended.
    pub state: IncidentState,
    /// When it opened.
    pub opened_at: Wall,
    /// When it resolved.
    pub resolved_at: Option<Wall>,
    /// Events that belong to it so far.
    pub events: u64,
    /// Rises by one with every change; an edit with a lower one is stale.
    pub seq: u64,
    /// Failures so far, which lengthen the wait for recovery.
    pub failures: u32,
    /// Why it resolved: `recovered`, `stopped`, `removed`.
    pub cause: Option<String>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The program fails: crashes, cannot be spawned, is fatal.
    Crash,
}

impl Condition {
    /// The name in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
        }
    }
}

impl std::str::FromStr for Condition {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "crash" => Ok(Self::Crash),
            _ => Err(()),
        }
    }
}

/// Whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Something is still wrong.
    Open,
    /// It is over.
    Resolved,
}

impl IncidentState {
    /// `open` or `resolved`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}
