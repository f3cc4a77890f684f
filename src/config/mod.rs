//! Files and environment to checked settings. Owns the table of keys; never starts or opens anything, and
//! reads only the configuration, what it includes, and the files its secrets and variables are in. What is written is
//! a file of it as a whole, when a command asks for that (`definition`, `versions`).
//!
//! The way of a value: `source` and `syntax` (text to a tree that knows its places), `walk` (the tree against the table of
//! keys), `read`, `lists` and `secrets` (one value to its type), `check`, `programs`, `targets` and `depends`
//! (values together, to [`Settings`]). serde is not used: it stops at the first error, and a person wants all.
//!
//! - Relative paths are relative to the folder of the file they stand in. Where `supervisor.state_dir` is
//!   not written, it is `.jikimi` in the folder of the main file.
//! - `${NAME}` and `${NAME:-default}` work in every text value; `$${` is a plain `${`. [`env::EXE_VARIABLE`] is
//!   always there. In a command that is split, variables are filled in after the splitting.
//! - A program, a target, and every other key may stand once in all files together; routes add up.

mod accounts;
mod announce;
mod chats;
mod check;
mod control;
pub mod definition;
mod depends;
pub mod env;
mod env_file;
pub mod example;
mod fallback;
pub mod fault;
mod fields;
mod files;
mod heartbeat;
pub mod import;
pub mod keys;
mod lists;
mod load;
mod machines;
mod maintenance;
mod os;
pub mod plan;
mod policy;
mod probes;
mod programs;
mod read;
mod rotation;
mod rule;
mod rule_command;
mod secrets;
mod silence;
mod source;
mod stops;
mod syntax;
pub mod table;
mod targets;
mod template;
#[cfg(test)]
mod tests;
mod timing;
pub mod versions;
mod via;
mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use env::{EXE_VARIABLE, Env};
pub use example::{example, key_table_markdown};
pub use fault::{Fault, Faults};
pub use files::Counts;
pub use load::{NotFound, candidates, find};

use crate::model::settings::Settings;

/// A configuration without faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What is odd about it, in the order of the files.
    pub warnings: Vec<Fault>,
    /// The files it was read from, absolute, the main one first. `env_file`s and secrets are not among them.
    pub files: Vec<PathBuf>,
    /// The environment variables that targets take their secrets from. No program inherits them.
    pub secret_variables: BTreeSet<String>,
}

/// The configuration at one path, to be read as often as somebody asks; what did not change is not parsed again.
/// Between two loads nothing here touches the disk.
#[derive(Debug)]
pub struct Definitions {
    path: PathBuf,
    env: Env,
    files: files::Files,
}

impl Definitions {
    /// The configuration at `path`, which faults name as it is given here. Nothing is read yet.
    #[must_use]
    pub fn new(path: PathBuf, env: Env) -> Self {
        let files = files::Files::default();
        Self { path, env, files }
    }

    /// Reads what changed since the last time.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(&mut self) -> Result<Loaded, Faults> {
        let (path, env) = (self.path.as_path(), &self.env);
        let mut gathered = load::gather(path, env, &mut self.files);
        let mut faults = std::mem::take(&mut gathered.faults);
        if gathered.sources.paths().is_empty() {
            return Err(Faults::new(faults));
        }
        let mut checked = check::check(path, env, &gathered);
        faults.append(&mut checked.faults);
        if !faults.is_empty() {
            return Err(Faults::new(faults));
        }
        checked.warnings.sort();
        checked.warnings.dedup();
        Ok(Loaded {
            settings: checked.settings,
            warnings: checked.warnings,
            files: gathered.sources.paths(),
            secret_variables: gathered.secret_variables,
        })
    }

    /// What was done on disk so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.files.counts
    }
}

/// Reads the configuration at `path` once.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path, env: &Env) -> Result<Loaded, Faults> {
    Definitions::new(path.to_owned(), env.clone()).load()
}

/// The state directory that the configuration at `path` means, if the file is there and is TOML, whatever
/// else is wrong with it.
#[must_use]
pub fn state_dir_hint(path: &Path, env: &Env) -> Option<PathBuf> {
    let gathered = load::gather(path, env, &mut files::Files::default());
    if !gathered.main_parses {
        return None;
    }
    check::state_dir(&gathered.document.root, &env.absolute(path))
}
