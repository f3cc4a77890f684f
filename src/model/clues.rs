//! What helps to understand the end of a run: what it used before, and what is different since one that did well.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run used before it ended: its latest samples, oldest first; both lists have the same length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// From the first of them to the last, in seconds.
    pub over_s: f64,
    /// Share of one core in percent.
    pub cpu_percent: Vec<f64>,
    /// Resident memory of the tree.
    pub memory_bytes: Vec<u64>,
}

/// Something that is not as it was in the last run that did well. In JSON `{"config": "environment.PORT"}` or
/// `{"file": "server.jar"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A key of its configuration.
    Config(String),
    /// A file that its command names: its program, or the script that it runs.
    File(String),
}

/// The key or the file.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(name) | Self::File(name) => f.write_str(name),
        }
    }
}
