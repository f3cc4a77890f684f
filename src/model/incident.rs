//! Incidents: an interval in which something is wrong, opened by the first event that says so.

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
    /// The instance it is about; none for what is wrong with a target, the storage or the supervisor.
    pub instance: Option<InstanceName>,
    /// What is wrong: `crash`, `unhealthy`, …
    pub condition: Condition,
    /// Which rule is broken or which target fails.
    pub subject: Option<String>,
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
    /// 1, or one more than that of the incident of the same kind that recovered shortly before: above 1 it flaps.
    pub cycle: u32,
    /// Why it resolved: `recovered`, `stopped`, `removed`.
    pub cause: Option<String>,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Condition { $($(#[$doc])* $name,)* }

        impl Condition {
            /// The name in the database and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl std::str::FromStr for Condition {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(()),
                }
            }
        }
    };
}

conditions! {
    /// The program fails: crashes, cannot be spawned, is fatal.
    Crash = "crash";
    /// A probe fails.
    Unhealthy = "unhealthy";
    /// It runs and does nothing.
    Stalled = "stalled";
    /// A rule is broken.
    Rule = "rule";
    /// A target takes no messages.
    Target = "target";
    /// The database or the log disk fails.
    Storage = "storage";
    /// The supervisor itself is short of something.
    Supervisor = "supervisor";
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
