//! How an instance is seen from outside: what is wanted, where it stands, how it does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What people want of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// It shall run.
    Up,
    /// It shall not.
    Down,
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseName {
    /// Down, as wanted.
    Stopped,
    /// Spawned, not yet confirmed; or waiting for what it depends on.
    Starting,
    /// Up.
    Running,
    /// Waits for its next start.
    Backoff,
    /// Asked to end.
    Stopping,
    /// Ended by itself, and not to be restarted.
    Exited,
    /// Given up until a person starts it.
    Fatal,
}

impl PhaseName {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Stopping,
        Self::Exited,
        Self::Fatal,
    ];

    /// The name in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for PhaseName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or(())
    }
}

/// What probes say of an instance; beside the phase, never inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nobody asked, or no answer yet.
    #[default]
    Unknown,
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy,
}
