//! What the supervisor knows of itself: its figures, and what is wrong with it. Owns the list of issues.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::clock::{self, Mono, Wall};
use crate::config::Counts;
use crate::control::prometheus::Measures;
use crate::control::sources::{ConfigurationFacts, SupervisorFacts};
use crate::metrics::Metrics;
use crate::procfs;
use crate::store::Store;

/// What is wrong, by what it concerns; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Issues(Arc<RwLock<BTreeMap<&'static str, String>>>);

impl Issues {
    /// Sets or clears what is wrong with `part`; true when that is news.
    pub fn set(&self, part: &'static str, wrong: Option<String>) -> bool {
        let mut issues = self.0.write();
        match wrong {
            Some(text) => issues.insert(part, text).is_none(),
            None => issues.remove(part).is_some(),
        }
    }

    fn list(&self) -> Vec<String> {
        self.0
            .read()
            .iter()
            .map(|(part, text)| format!("{part}: {text}"))
            .collect()
    }
}

/// What a reload changes.
#[derive(Debug)]
struct Known {
    name: String,
    configuration: ConfigurationFacts,
}

/// Who it is; clones share what changes of it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    known: Arc<RwLock<Known>>,
    pub config: PathBuf,
    pub started_at: Wall,
    pub started: Mono,
}

impl Identity {
    pub fn new(name: &str, config: PathBuf) -> Self {
        let known = Known {
            name: name.to_owned(),
            configuration: ConfigurationFacts {
                version: 1,
                loaded_at: clock::wall(),
                scans: 0,
                parses: 0,
            },
        };
        Self {
            known: Arc::new(RwLock::new(known)),
            config,
            started_at: clock::wall(),
            started: clock::mono(),
        }
    }

    /// The configuration was looked at on disk.
    pub fn scanned(&self, counts: Counts) {
        let configuration = &mut self.known.write().configuration;
        configuration.scans = counts.scans;
        configuration.parses = counts.parses;
    }

    /// Another configuration counts.
    pub fn reloaded(&self, name: &str) {
        let now = clock::wall();
        let mut known = self.known.write();
        name.clone_into(&mut known.name);
        known.configuration.version += 1;
        known.configuration.loaded_at = now;
    }

    /// The configuration in memory.
    pub fn configuration(&self) -> ConfigurationFacts {
        self.known.read().configuration
    }

    /// The facts at this moment.
    pub fn facts(&self, issues: &Issues, store: &Store) -> SupervisorFacts {
        let own = procfs::read_stat(std::process::id()).ok().flatten();
        let mut list = issues.list();
        if let Some(degraded) = store.health().degraded {
            list.push(format!(
                "storage: {} (since {})",
                degraded.what, degraded.since
            ));
        }
        let (name, configuration) = {
            let known = self.known.read();
            (known.name.clone(), known.configuration)
        };
        SupervisorFacts {
            name,
            configuration,
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_at: self.started_at,
            started: self.started,
            config: self.config.clone(),
            threads: own.map_or(0, |stat| u64::from(stat.threads)),
            rss_bytes: own.map_or(0, |stat| stat.rss_pages * procfs::page_size()),
            open_files: std::fs::read_dir("/proc/self/fd")
                .map_or(0, |entries| entries.count() as u64),
            http: None,
            issues: list,
        }
    }
}

/// What `/metrics` shows beside `status`.
pub(super) fn measures(store: &Store, metrics: &Arc<Metrics>) -> impl Fn() -> Measures + use<> {
    let (store, metrics) = (store.clone(), Arc::clone(metrics));
    move || {
        let host = metrics.host();
        Measures {
            store: store.stats(),
            queued: store.health().queued,
            database_bytes: database_bytes(store.path()),
            host: (host.time != Wall::default()).then_some(host),
        }
    }
}

/// The database with its write-ahead log.
fn database_bytes(file: &Path) -> u64 {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    size(file) + size(Path::new(&log))
}
