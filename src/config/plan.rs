//! What a reload does: two configurations compared, key by key. Pure; the table of keys says how a change of each
//! takes effect.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::keys::OnChange;
use super::table::KEYS;
use crate::model::control::{Access, ControlSettings};
use crate::model::fingerprint::{live_keys, restart_keys};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::reload::{Plan, Step, StepAction, StepKind, because};
use crate::model::settings::{
    CheckpointSettings, LogSettings, MaxAge, MetricsSettings, NotifySettings, Settings,
    StoreSettings, SupervisorSettings,
};
use crate::model::status::PhaseName;
use crate::model::target::{Part, ProviderSpec, TargetSpec};
use crate::model::via::{Authority, Via};
use crate::model::voice::Voice;
use crate::secret::Secret;

/// Where an instance stands at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its phase.
    pub phase: PhaseName,
    /// Its main process is there.
    pub is_alive: bool,
    /// Somebody wants it up.
    pub is_wanted: bool,
}

/// Finds an instance.
pub type Standing<'a> = &'a dyn Fn(&InstanceName) -> Option<Seen>;

/// What becomes of a supervisor under `old` that is given `new`.
#[must_use]
pub fn plan(old: &Settings, new: &Settings, standing: Standing<'_>) -> Plan {
    let mut plan = Plan::default();
    settings(&mut plan, old, new);
    targets(&mut plan, &old.targets, &new.targets);
    programs(&mut plan, (&old.programs, &new.programs), standing);
    plan
}

/// `new` with what cannot change while the supervisor runs as it is in `old`.
#[must_use]
pub fn applicable(old: &Settings, new: Settings) -> Settings {
    Settings {
        path: old.path.clone(),
        supervisor: SupervisorSettings {
            state_dir: old.supervisor.state_dir.clone(),
            ..new.supervisor
        },
        notify: NotifySettings {
            workers: old.notify.workers,
            queue: old.notify.queue,
            ..new.notify
        },
        store: StoreSettings {
            backup: new.store.backup,
            ..old.store.clone()
        },
        checkpoint: old.checkpoint.clone(),
        cache: old.cache,
        control: ControlSettings {
            access: new.control.access,
            ..old.control.clone()
        },
        log: LogSettings {
            format: old.log.format,
            ..new.log
        },
        ..new
    }
}

/// How a change of `key`, or of the keys in the table `key`, takes effect.
fn on_change(key: &str) -> OnChange {
    let is_it = |path: &str| {
        path.strip_prefix(key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    KEYS.iter()
        .find(|row| is_it(row.path))
        .map_or(OnChange::Live, |row| row.on_change)
}

fn step(action: StepAction, (kind, name): (StepKind, &str), why: &str) -> Step {
    Step {
        action,
        kind,
        name: name.to_owned(),
        keys: Vec::new(),
        why: why.to_owned(),
    }
}

impl Step {
    fn with_keys(self, keys: Vec<String>) -> Self {
        Self { keys, ..self }
    }
}

fn settings(plan: &mut Plan, old: &Settings, new: &Settings) {
    let (before, after) = (root(old), root(new));
    for key in after.keys().filter(|key| before[*key] != after[*key]) {
        let (action, why) = match on_change(key) {
            OnChange::Live | OnChange::Restart => (StepAction::Live, "takes effect at once"),
            OnChange::Fixed => (
                StepAction::NeedsSupervisorRestart,
                "takes effect at the next start of the supervisor",
            ),
        };
        let step = step(action, (StepKind::Setting, key), why);
        plan.steps.push(step.with_keys(vec![(*key).to_owned()]));
    }
}

/// Every key that stands once, and the routes, each with its value. Without `..`: a setting that is added must say its
/// key here.
fn root(settings: &Settings) -> BTreeMap<&'static str, String> {
    let Settings {
        path: _,
        supervisor,
        programs: _,
        targets: _,
        routes,
        notify,
        metrics,
        store,
        checkpoint,
        cache,
        control,
        heartbeat,
        maintenance,
        log,
    } = settings;
    let SupervisorSettings {
        name,
        state_dir,
        shutdown_timeout,
    } = supervisor;
    let MetricsSettings {
        interval,
        retention_raw,
        retention_chunks,
        retention_candles,
    } = metrics;
    let CheckpointSettings {
        interval: checkpoint_interval,
        batch,
    } = checkpoint;
    let LogSettings { level, format } = log;
    let beats = heartbeat.as_ref();
    let values: [(&'static str, &dyn std::fmt::Debug); 21] = [
        ("supervisor.name", name),
        ("supervisor.state_dir", state_dir),
        ("supervisor.shutdown_timeout", shutdown_timeout),
        ("route", routes),
        ("maintenance", maintenance),
        ("metrics.interval", interval),
        ("metrics.retention.raw", retention_raw),
        ("metrics.retention.chunks", retention_chunks),
        ("metrics.retention.candles", retention_candles),
        ("checkpoint.interval", checkpoint_interval),
        ("checkpoint.batch", batch),
        ("cache.policy", &cache.policy),
        ("cache.entries", &cache.entries),
        ("cache.ttl", &cache.ttl),
        ("cache.bytes", &cache.bytes),
        ("heartbeat.url", &beats.map(|h| digest(&h.url))),
        ("heartbeat.interval", &beats.map(|h| h.interval)),
        ("heartbeat.timeout", &beats.map(|h| h.timeout)),
        ("heartbeat.method", &beats.map(|h| h.method)),
        ("log.level", level),
        ("log.format", format),
    ];
    let mut all = shown(&values);
    all.extend(of_notify(notify));
    all.extend(of_store(store));
    all.extend(of_control(control));
    all
}

fn of_store(store: &StoreSettings) -> BTreeMap<&'static str, String> {
    let StoreSettings {
        pool,
        durability,
        backup,
    } = store;
    shown(&[
        ("store.pool", pool),
        ("store.durability", durability),
        ("store.backup.every", &backup.every),
        ("store.backup.keep", &backup.keep),
        ("store.when_damaged", &backup.when_damaged),
    ])
}

fn of_control(control: &ControlSettings) -> BTreeMap<&'static str, String> {
    let ControlSettings {
        socket,
        http,
        access: Access {
            token,
            read_token,
            hosts,
        },
    } = control;
    shown(&[
        ("control.socket", socket),
        ("control.http", http),
        ("control.token", &token.as_ref().map(digest)),
        ("control.read_token", &read_token.as_ref().map(digest)),
        ("control.hosts", hosts),
    ])
}

fn of_notify(notify: &NotifySettings) -> BTreeMap<&'static str, String> {
    let NotifySettings {
        workers,
        queue,
        attempt_timeout,
        max_age: MaxAge {
            info,
            warning,
            critical,
        },
        language,
        template,
        via: Via {
            allow_private,
            proxy,
            authority,
        },
    } = notify;
    shown(&[
        ("notify.workers", workers),
        ("notify.queue", queue),
        ("notify.attempt_timeout", attempt_timeout),
        ("notify.max_age.info", info),
        ("notify.max_age.warning", warning),
        ("notify.max_age.critical", critical),
        ("notify.language", language),
        ("notify.template", template),
        ("notify.proxy", &proxy.as_ref().map(digest)),
        ("notify.ca_file", &authority.as_ref().map(Authority::pem)),
        ("notify.allow_private", allow_private),
    ])
}

/// Each key with its value in a form for comparing.
fn shown(values: &[(&'static str, &dyn std::fmt::Debug)]) -> BTreeMap<&'static str, String> {
    let values = values.iter();
    values
        .map(|(key, value)| (*key, format!("{value:?}")))
        .collect()
}

/// What tells one secret from another without showing either.
fn digest(secret: &Secret) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret.expose()).to_vec()
}

#[cfg(test)]
pub(super) fn root_keys(settings: &Settings) -> Vec<&'static str> {
    root(settings).into_keys().collect()
}

fn targets(plan: &mut Plan, old: &[Arc<TargetSpec>], new: &[Arc<TargetSpec>]) {
    for target in new {
        let of = (StepKind::Target, &*target.name);
        match old.iter().find(|o| o.name == target.name) {
            None => {
                let step = step(StepAction::Add, of, "it was added to the configuration");
                plan.steps.push(step);
            }
            Some(before) if before != target => {
                let why = "takes effect with the next attempt";
                let keys = target_keys(before, target);
                plan.steps
                    .push(step(StepAction::Live, of, why).with_keys(keys));
            }
            Some(_) => {}
        }
    }
    for target in old.iter().filter(|o| !new.iter().any(|n| n.name == o.name)) {
        let why = "it left the configuration; what waits for it is given up";
        let of = (StepKind::Target, &*target.name);
        plan.steps.push(step(StepAction::Remove, of, why));
    }
}

/// The keys in which two targets differ.
fn target_keys(old: &TargetSpec, new: &TargetSpec) -> Vec<String> {
    let TargetSpec {
        name: _,
        provider,
        timeout,
        breaker,
        rate,
        voice: Voice { language, template },
        via,
        chat,
        fallback,
    } = old;
    let mut keys = provider_keys(provider, &new.provider);
    for (is_changed, key) in [
        (*timeout != new.timeout, "timeout"),
        (*breaker != new.breaker, "breaker"),
        (*rate != new.rate, "rate"),
        (*language != new.voice.language, "language"),
        (*template != new.voice.template, "template"),
        (via.proxy != new.via.proxy, "proxy"),
        (via.authority != new.via.authority, "ca_file"),
        (via.allow_private != new.via.allow_private, "allow_private"),
        (chat.on_resolve != new.chat.on_resolve, "on_resolve"),
        (chat.thread != new.chat.thread, "thread"),
        (*fallback != new.fallback, "fallback"),
    ] {
        if is_changed {
            keys.push(key);
        }
    }
    keys.into_iter().map(str::to_owned).collect()
}

fn provider_keys(old: &ProviderSpec, new: &ProviderSpec) -> Vec<&'static str> {
    if old.kind() != new.kind() {
        return vec!["kind"];
    }
    let (old, new) = (old.parts(), new.parts());
    let mut keys: Vec<&'static str> = Vec::new();
    for part in old.iter().chain(&new) {
        let texts = |of: &[Part]| -> Vec<Secret> {
            let same = of.iter().filter(|p| p.key == part.key);
            same.map(|p| p.text.clone()).collect()
        };
        if !keys.contains(&part.key) && texts(&old) != texts(&new) {
            keys.push(part.key);
        }
    }
    keys
}

type Programs<'a> = (&'a [Arc<ProgramSpec>], &'a [Arc<ProgramSpec>]);

fn programs(plan: &mut Plan, (old, new): Programs<'_>, standing: Standing<'_>) {
    let before: HashMap<&str, &ProgramSpec> = old.iter().map(|p| (&*p.name, &**p)).collect();
    for program in new {
        match before.get(&*program.name) {
            None => {
                for name in program.instance_names() {
                    plan.steps.push(added(
                        &name,
                        program.autostart,
                        "it was added to the configuration",
                    ));
                }
            }
            Some(old) => changed(plan, (old, program), standing),
        }
    }
    let after: BTreeSet<&str> = new.iter().map(|p| &*p.name).collect();
    for program in old.iter().filter(|p| !after.contains(&*p.name)) {
        for name in program.instance_names() {
            plan.steps
                .push(removed(&name, standing, "it left the configuration"));
        }
    }
}

fn added(name: &InstanceName, is_started: bool, why: &str) -> Step {
    let action = if is_started {
        StepAction::Start
    } else {
        StepAction::Add
    };
    step(action, (StepKind::Program, &name.to_string()), why)
}

fn removed(name: &InstanceName, standing: Standing<'_>, why: &str) -> Step {
    let action = match standing(name) {
        Some(seen) if !is_down(seen.phase) => StepAction::Stop,
        Some(_) | None => StepAction::Remove,
    };
    step(action, (StepKind::Program, &name.to_string()), why)
}

const fn is_down(phase: PhaseName) -> bool {
    match phase {
        PhaseName::Stopped | PhaseName::Exited | PhaseName::Fatal => true,
        PhaseName::Starting | PhaseName::Running | PhaseName::Backoff | PhaseName::Stopping => {
            false
        }
    }
}

/// A program that is in both.
fn changed(plan: &mut Plan, (old, new): (&ProgramSpec, &ProgramSpec), standing: Standing<'_>) {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (
        old.instance_names().collect(),
        new.instance_names().collect(),
    );
    let why = format!("instances: {}, were {}", new.instances, old.instances);
    let is_wanted = |name| standing(name).is_some_and(|seen| seen.is_wanted);
    let is_started = before.iter().any(is_wanted);
    for name in before.difference(&after) {
        plan.steps.push(removed(name, standing, &why));
    }
    for name in after.difference(&before) {
        plan.steps.push(added(name, is_started, &why));
    }
    let restart = restart_keys(old, new);
    let mut live = live_keys(old, new);
    live.retain(|key| key != "instances");
    for name in after.intersection(&before) {
        if restart.is_empty() {
            plan.unchanged += usize::from(live.is_empty());
            continue;
        }
        let (action, why) = touched(standing(name), &restart);
        let step = step(action, (StepKind::Program, &name.to_string()), &why);
        plan.steps.push(step.with_keys(restart.clone()));
    }
    if !live.is_empty() {
        let of = (StepKind::Program, &*new.name);
        plan.steps
            .push(step(StepAction::Live, of, "takes effect at once").with_keys(live));
    }
}

/// What becomes of an instance whose run is made of something else now.
fn touched(seen: Option<Seen>, keys: &[String]) -> (StepAction, String) {
    let later = |why: &str| (StepAction::NextStart, why.to_owned());
    let Some(seen) = seen else {
        return later("takes effect when it is started");
    };
    match seen.phase {
        PhaseName::Running => (StepAction::Restart, because(keys)),
        PhaseName::Starting if seen.is_alive => (StepAction::Restart, because(keys)),
        PhaseName::Starting => later("it is about to be started"),
        PhaseName::Backoff | PhaseName::Fatal => (StepAction::Retry, because(keys)),
        PhaseName::Stopped | PhaseName::Exited | PhaseName::Stopping => {
            later("it is down, and takes effect when it is started")
        }
    }
}
