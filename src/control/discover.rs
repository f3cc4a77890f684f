//! Which supervisor a command means. The order of the contract: the socket that was named; the entry of the
//! configuration that would be read; the state folder that configuration names; the only entry there is.

use std::path::PathBuf;

use super::client::Client;
use super::registry::{Entry, Places};

/// What is known before anything is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `--socket` or `JIKIMI_SOCKET`.
    pub socket: Option<PathBuf>,
    /// The configurations that would be read, absolute, in order; they need not exist.
    pub configs: Vec<PathBuf>,
    /// `--config` was given: no other configuration's supervisor is meant.
    pub is_explicit: bool,
    /// The `state_dir` of the configuration, if it parses.
    pub state_dir: Option<PathBuf>,
}

/// A supervisor that may be running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How to ask it.
    pub client: Client,
    /// Where its database is, when that is known.
    pub state_dir: Option<PathBuf>,
}

/// Why none is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// None runs.
    #[error("no supervisor is running here; `jikimi run` starts one")]
    None,
    /// Several run, and nothing says which is meant.
    #[error("several supervisors run; say which one with --config: {0}")]
    Several(String),
}

/// The supervisor that `hints` mean. Where the register or the configuration leads to one, it is returned though
/// it may not answer, because its state folder can be read all the same.
pub fn discover(hints: &Hints, places: &Places) -> Result<Found, NotFound> {
    if let Some(socket) = &hints.socket {
        return Ok(Found {
            client: Client::new(socket),
            state_dir: hints.state_dir.clone(),
        });
    }
    let by_config = hints.configs.iter().flat_map(|config| places.find(config));
    if let Some(found) = first_alive(by_config) {
        return Ok(found);
    }
    if let Some(state_dir) = &hints.state_dir {
        return Ok(Found {
            client: Client::new(state_dir.join(SOCKET)),
            state_dir: Some(state_dir.clone()),
        });
    }
    if hints.is_explicit {
        return Err(NotFound::None);
    }
    the_only(places.all())
}

/// The socket file in a state folder.
pub const SOCKET: &str = "jikimi.sock";

fn first_alive(entries: impl Iterator<Item = Entry>) -> Option<Found> {
    entries.map(Found::from).find(|f| f.client.is_alive())
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            client: Client::new(entry.socket),
            state_dir: Some(entry.state_dir),
        }
    }
}

fn the_only(entries: Vec<Entry>) -> Result<Found, NotFound> {
    let mut alive: Vec<Entry> = Vec::new();
    for entry in entries {
        let known = alive.iter().any(|e| e.socket == entry.socket);
        if !known && Client::new(&entry.socket).is_alive() {
            alive.push(entry);
        }
    }
    if alive.len() > 1 {
        let configs: Vec<String> = alive
            .iter()
            .map(|e| e.config.display().to_string())
            .collect();
        return Err(NotFound::Several(configs.join(", ")));
    }
    alive.pop().map(Found::from).ok_or(NotFound::None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;
    use crate::control::registry::Registration;

    struct Stage {
        root: tempfile::TempDir,
        places: Places,
    }

    struct Running {
        _listener: UnixListener,
        _registration: Registration,
    }

    impl Stage {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary folder");
            let places = Places::exactly(vec![root.path().join("run")]);
            Self { root, places }
        }

        fn socket(&self, name: &str) -> PathBuf {
            self.root.path().join(format!("{name}.sock"))
        }

        fn config(&self, name: &str) -> PathBuf {
            self.root.path().join(format!("{name}.toml"))
        }

        fn entry(&self, name: &str) -> Entry {
            Entry {
                pid: 1,
                socket: self.socket(name),
                state_dir: self.root.path().join(name),
                config: self.config(name),
            }
        }

        fn run(&self, name: &str) -> Running {
            Running {
                _listener: UnixListener::bind(self.socket(name)).expect("a fresh socket"),
                _registration: self
                    .places
                    .register(&self.config(name), &self.entry(name))
                    .expect("a usable folder"),
            }
        }

        fn found(&self, hints: &Hints) -> Result<PathBuf, NotFound> {
            discover(hints, &self.places).map(|f| f.client.socket().to_path_buf())
        }
    }

    fn hints(config: &Path) -> Hints {
        Hints {
            configs: vec![config.to_path_buf()],
            ..Hints::default()
        }
    }

    #[test]
    fn a_named_socket_comes_before_everything() {
        let stage = Stage::new();
        let _a = stage.run("a");
        let named = Hints {
            socket: Some("/named.sock".into()),
            state_dir: Some("/state".into()),
            ..hints(&stage.config("a"))
        };
        assert_eq!(stage.found(&named), Ok("/named.sock".into()));
    }

    #[test]
    fn the_entry_of_a_configuration_that_is_gone_comes_before_its_state_folder() {
        let stage = Stage::new();
        let _a = stage.run("a");
        let _b = stage.run("b");
        let asked = Hints {
            state_dir: Some("/state".into()),
            ..hints(&stage.config("b"))
        };
        assert_eq!(stage.found(&asked), Ok(stage.socket("b")));
    }

    #[test]
    fn a_stale_entry_gives_way_to_the_state_folder() {
        let stage = Stage::new();
        let _stale = stage
            .places
            .register(&stage.config("a"), &stage.entry("a"))
            .expect("a usable folder");
        let asked = Hints {
            state_dir: Some("/state".into()),
            ..hints(&stage.config("a"))
        };
        assert_eq!(stage.found(&asked), Ok("/state/jikimi.sock".into()));
    }

    #[test]
    fn the_only_supervisor_is_meant_when_nothing_else_is_known_but_never_one_of_two() {
        let stage = Stage::new();
        let nothing = Hints::default();
        assert_eq!(stage.found(&nothing), Err(NotFound::None));
        let _a = stage.run("a");
        assert_eq!(stage.found(&nothing), Ok(stage.socket("a")));
        let explicit = Hints {
            is_explicit: true,
            ..hints(&stage.config("other"))
        };
        assert_eq!(stage.found(&explicit), Err(NotFound::None));
        let _b = stage.run("b");
        assert!(matches!(stage.found(&nothing), Err(NotFound::Several(_))));
    }
}
