//! Which supervisor a command talks to, and which configuration it would read. Needs neither to be valid.

use std::path::{Path, PathBuf};

use super::output::Failure;
use crate::config::{self, Env};
use crate::control::client::Client;
use crate::control::discover::{Found, Hints, NotFound, discover};
use crate::control::registry::Places;

/// What the person said about which supervisor is meant.
pub struct Place {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// The surroundings.
    pub env: Env,
    socket: Option<PathBuf>,
}

impl Place {
    /// From `--config` and `--socket`.
    pub fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        let env = Env::capture();
        let socket = socket.or_else(|| {
            let named = env.get("JIKIMI_SOCKET").filter(|v| !v.is_empty());
            named.map(PathBuf::from)
        });
        Self {
            config,
            env,
            socket,
        }
    }

    /// The configuration to read.
    pub fn find_config(&self) -> Result<PathBuf, Failure> {
        config::find(self.config.as_deref(), &self.env).map_err(|e| Failure::Config(e.to_string()))
    }

    /// The supervisor that is meant; it need not answer.
    pub fn find(&self) -> Result<Found, NotFound> {
        let runtime = self.env.get("XDG_RUNTIME_DIR").map(Path::new);
        let places = Places::of(runtime, &std::env::temp_dir());
        discover(&self.hints(), &places)
    }

    /// The supervisor that is meant, to be asked.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(self.find()?.client)
    }

    fn hints(&self) -> Hints {
        let mut configs = Vec::new();
        let mut state_dir = None;
        for candidate in config::candidates(self.config.as_deref(), &self.env) {
            let path = self.env.absolute(&candidate);
            let is_there = path.is_file();
            if is_there {
                state_dir = config::state_dir_hint(&path, &self.env);
            }
            configs.push(path);
            // Those after it would not be read.
            if is_there {
                break;
            }
        }
        Hints {
            socket: self.socket.clone(),
            configs,
            is_explicit: self.config.is_some(),
            state_dir,
        }
    }
}
