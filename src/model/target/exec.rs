//! `kind = "exec"`.

use std::path::PathBuf;

use super::settings::{Audience, Part, Settings};
use crate::model::program::Environment;
use crate::secret::Secret;

/// A program of one's own, which is given each event on its standard input.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    /// The argument vector; never empty.
    pub command: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// What it inherits, and its own variables, whose values are secrets.
    pub environment: Environment,
}

impl Settings for Exec {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn audience(&self) -> Audience {
        Audience::Machine
    }

    fn parts(&self) -> Vec<Part> {
        let words = self.command.iter();
        let mut parts: Vec<Part> = words.map(|w| Part::plain("command", w)).collect();
        for (name, value) in &self.environment.own {
            parts.push(Part::plain("environment", name.to_string_lossy()));
            let value = Secret::new(value.to_string_lossy());
            parts.push(Part::secret("environment", &value));
        }
        parts
    }
}
