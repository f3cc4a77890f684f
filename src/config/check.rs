//! The document to settings: defaults that depend on other keys, and everything that several keys say
//! together. Reads no TOML.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::fault::{Fault, shown, wrong};
use super::fields::{Block, Document, Fields};
use super::load::{Gathered, known_names};
use super::read::{Reader, Typed};
use super::source::{At, Sources};
use super::{control, depends, heartbeat, programs, targets, via};
use crate::limits;
use crate::model::backup::{BackupSettings, WhenDamaged};
use crate::model::cache::{CacheSettings, Eviction};
use crate::model::event::{EventKind, Severity};
use crate::model::language::Language;
use crate::model::name::matches;
use crate::model::program::ProgramSpec;
use crate::model::route::RouteSpec;
use crate::model::settings::{
    CheckpointSettings, Durability, LogFormat, LogSettings, MaxAge, MetricsSettings,
    NotifySettings, Settings, StoreSettings, SupervisorSettings,
};
use crate::model::target::TargetSpec;
use crate::text;

/// The name of the state directory, beside the main file, when none is configured.
const STATE_DIR: &str = ".jikimi";

/// What came out: settings, unless something is wrong, and what is odd.
pub(super) struct Checked {
    pub(super) settings: Settings,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// Checks the whole document. The settings are worth something only without faults.
pub(super) fn check(path: &Path, env: &Env, gathered: &Gathered) -> Checked {
    let document = &gathered.document;
    let mut reader = Reader::new(env, &gathered.sources);
    let mut odd = Reader::new(env, &gathered.sources);
    let path = env.absolute(path);
    let root = &document.root;
    let metrics = metrics(root);
    let notify = notify(&mut reader, root);
    let inherited = programs::inherited(env, &gathered.secret_variables);
    let targets: Vec<Arc<TargetSpec>> = document
        .targets
        .iter()
        .filter_map(|block| targets::target(&mut reader, block, (&notify, &inherited)))
        .map(Arc::new)
        .collect();
    let surroundings = programs::Surroundings {
        inherited: &inherited,
        metrics_interval: metrics.interval,
    };
    let programs: Vec<Arc<ProgramSpec>> = document
        .programs
        .iter()
        .filter_map(|block| programs::program((&mut reader, &mut odd), block, &surroundings))
        .map(Arc::new)
        .collect();
    depends::check(&mut reader, &document.programs);
    super::fallback::check(&mut reader, &document.targets);
    too_many_instances(&mut reader, &programs, document);
    let routes = document
        .routes
        .iter()
        .map(|block| route((&mut reader, &mut odd), block, document, &programs))
        .collect();
    unused(&mut odd, document);
    let supervisor = supervisor(root, env, &path);
    let control = control::control((&mut reader, &mut odd), root, &supervisor);
    let heartbeat = heartbeat::heartbeat(&mut odd, root);
    let settings = Settings {
        path,
        supervisor,
        programs,
        targets,
        routes,
        notify,
        metrics,
        store: store(root),
        checkpoint: checkpoint(root),
        cache: cache(root),
        control,
        heartbeat,
        maintenance: root.maintenance("maintenance"),
        log: log(root),
    };
    Checked {
        settings,
        faults: reader.faults,
        warnings: odd.faults,
    }
}

/// `supervisor.state_dir`: as written, or [`STATE_DIR`] beside the main file. None when it is wrong.
pub(super) fn state_dir(root: &Fields, main: &Path) -> Option<PathBuf> {
    const KEY: &str = "supervisor.state_dir";
    match root.place(KEY) {
        Some(_) => root.path(KEY).map(|(path, _)| path.to_owned()),
        None => Some(main.parent().unwrap_or(main).join(STATE_DIR)),
    }
}

fn supervisor(root: &Fields, env: &Env, main: &Path) -> SupervisorSettings {
    SupervisorSettings {
        name: root
            .text_written("supervisor.name")
            .unwrap_or_else(|| env.host_name.clone()),
        state_dir: state_dir(root, main).unwrap_or_else(|| main.join(STATE_DIR)),
        shutdown_timeout: root.duration("supervisor.shutdown_timeout"),
    }
}

fn notify(reader: &mut Reader<'_>, root: &Fields) -> NotifySettings {
    NotifySettings {
        workers: root.integer("notify.workers"),
        queue: root.integer("notify.queue"),
        attempt_timeout: root.duration("notify.attempt_timeout"),
        max_age: MaxAge {
            info: root.duration("notify.max_age.info"),
            warning: root.duration("notify.max_age.warning"),
            critical: root.duration("notify.max_age.critical"),
        },
        language: Language::parse(&root.text("notify.language")).unwrap_or_default(),
        template: root.template("notify.template"),
        via: via::of_notify(reader, root),
    }
}

fn metrics(root: &Fields) -> MetricsSettings {
    MetricsSettings {
        interval: root.duration("metrics.interval"),
        retention_raw: root.duration("metrics.retention.raw"),
        retention_chunks: root.duration("metrics.retention.chunks"),
        retention_candles: root.duration("metrics.retention.candles"),
    }
}

fn store(root: &Fields) -> StoreSettings {
    StoreSettings {
        pool: root.integer("store.pool"),
        durability: match root.text("store.durability").as_str() {
            "full" => Durability::Full,
            _ => Durability::Normal,
        },
        backup: BackupSettings {
            every: root.duration("store.backup.every"),
            keep: root.integer("store.backup.keep"),
            when_damaged: match root.text("store.when_damaged").as_str() {
                "restore" => WhenDamaged::Restore,
                _ => WhenDamaged::BeginAnew,
            },
        },
    }
}

fn checkpoint(root: &Fields) -> CheckpointSettings {
    CheckpointSettings {
        interval: root.duration("checkpoint.interval"),
        batch: root.integer("checkpoint.batch"),
    }
}

fn cache(root: &Fields) -> CacheSettings {
    CacheSettings {
        policy: match root.text("cache.policy").as_str() {
            "ttl" => Eviction::Ttl,
            "size" => Eviction::Size,
            _ => Eviction::Lru,
        },
        entries: root.integer("cache.entries"),
        ttl: root.duration("cache.ttl"),
        bytes: super::rotation::size_of(root, "cache.bytes").unwrap_or_default(),
    }
}

fn log(root: &Fields) -> LogSettings {
    LogSettings {
        level: root
            .text("log.level")
            .parse()
            .expect("the table's words are those of the log crate"),
        format: match root.text("log.format").as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        },
    }
}

fn too_many_instances(reader: &mut Reader<'_>, programs: &[Arc<ProgramSpec>], document: &Document) {
    let mut total = 0;
    for program in programs {
        total += usize::from(program.instances);
        if total > limits::INSTANCES_MAX {
            let block = document.programs.iter().find(|b| *b.name == *program.name);
            let at = block.map_or(Sources::start(), |b| b.at);
            let what = format!(
                "with it there are more than {} instances",
                limits::INSTANCES_MAX
            );
            reader.fault(
                at,
                "program",
                wrong(what, "run fewer, or a second supervisor"),
            );
            return;
        }
    }
}

fn route(
    (reader, odd): (&mut Reader<'_>, &mut Reader<'_>),
    block: &Block,
    document: &Document,
    programs: &[Arc<ProgramSpec>],
) -> RouteSpec {
    let mut targets: Vec<Arc<str>> = Vec::new();
    for word in block.fields.words("route.targets") {
        let names = document.targets.iter().map(|b| b.name.as_str());
        if names.clone().any(|n| n == word.text) {
            if !targets.iter().any(|t| **t == *word.text) {
                targets.push(word.text.as_str().into());
            }
        } else if !reader.sources.is_broken() {
            let what = format!("no target is called {}", shown(&word.raw));
            reader.fault(
                word.at,
                "route.targets",
                wrong(what, known_names(&word.raw, names)),
            );
        }
    }
    let mut events = Vec::new();
    for word in block.fields.words("route.events") {
        event_pattern(reader, word.at, (&word.raw, &word.text));
        events.push(word.text.clone());
    }
    let mut patterns = Vec::new();
    for word in block.fields.words("route.programs") {
        program_pattern(odd, word.at, (&word.raw, &word.text), programs);
        patterns.push(word.text.clone());
    }
    RouteSpec {
        programs: patterns,
        events,
        min_severity: match block.fields.text("route.min_severity").as_str() {
            "info" => Severity::Info,
            "critical" => Severity::Critical,
            _ => Severity::Warning,
        },
        targets,
        group_wait: match block.fields.written("route.group_wait") {
            Some(Typed::Duration(wait)) => Some(*wait),
            _ => None,
        },
    }
}

fn event_pattern(reader: &mut Reader<'_>, at: At, (raw, pattern): (&str, &str)) {
    let names = EventKind::ALL.iter().map(|k| k.as_str());
    let glob = wildmatch::WildMatch::new(pattern);
    if !names.clone().any(|n| glob.matches(n)) {
        let right = super::fault::did_you_mean(raw, names).unwrap_or_else(|| {
            "a name or glob of events, as \"program.crashed\" or \"program.*\"".to_owned()
        });
        let what = format!("no event is called {}", shown(raw));
        reader.fault(at, "route.events", wrong(what, right));
    }
}

/// Odd, not wrong: the program may be about to come, or to come back.
fn program_pattern(
    odd: &mut Reader<'_>,
    at: At,
    (raw, pattern): (&str, &str),
    programs: &[Arc<ProgramSpec>],
) {
    let chosen = |p: &Arc<ProgramSpec>| p.instance_names().any(|n| matches(pattern, &n, &p.tags));
    if !programs.iter().any(chosen) {
        let what = format!("it chooses no program: {}", shown(raw));
        let right = if pattern.starts_with("tag:") {
            "give a program that tag".to_owned()
        } else {
            known_names(raw, programs.iter().map(|p| &*p.name))
        };
        odd.fault(at, "route.programs", wrong(what, right));
    }
}

/// Warns of what leads nowhere.
fn unused(odd: &mut Reader<'_>, document: &Document) {
    if document.programs.is_empty() {
        let w = wrong(
            "there are no programs",
            "for example [program.web] with a command",
        );
        odd.fault(Sources::start(), "program", w);
    }
    let routed: BTreeSet<&str> = document
        .routes
        .iter()
        .flat_map(|b| b.fields.words("route.targets"))
        .map(|w| w.text.as_str())
        .collect();
    for block in &document.targets {
        if !routed.contains(block.name.as_str()) {
            let right = format!(
                "a [[route]] with targets = [{}]",
                text::printable(format!("{:?}", block.name).as_bytes())
            );
            odd.fault(block.at, &block.shown, wrong("no route leads to it", right));
        }
    }
}
