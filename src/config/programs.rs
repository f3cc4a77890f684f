//! One `[program.NAME]` to its specification: its command, its environment, its policies.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::env::Env;
use super::fault::wrong;
use super::fields::{Block, Fields};
use super::read::{Reader, Typed};
use super::source::read_text;
use super::{env_file, lists, os, policy, probes, rotation, silence, stops, timing};
use crate::limits;
use crate::model::needs::Needs;
use crate::model::program::{
    BackoffPolicy, Environment, LimitAction, ProgramSpec, RestartLimit, RestartPolicy, Variables,
};
use crate::text;

const COMMAND: &str = "program.*.command";
const ENV_FILE: &str = "program.*.env_file";

/// What a program gets from outside its table.
pub(super) struct Surroundings<'a> {
    /// What programs inherit: [`inherited`].
    pub(super) inherited: &'a Arc<Variables>,
    /// `metrics.interval`.
    pub(super) metrics_interval: Duration,
}

/// The specification, if its command could be read.
pub(super) fn program(
    (reader, odd): (&mut Reader<'_>, &mut Reader<'_>),
    block: &Block,
    around: &Surroundings<'_>,
) -> Option<ProgramSpec> {
    let fields = &block.fields;
    let mut environment = environment(reader, block, around);
    let os = os::settings(reader, block, &mut environment);
    let backoff = backoff(reader, block);
    let restart_limit = restart_limit(odd, block);
    let timing = timing::timing(reader, block);
    let health = probes::health((reader, odd), block);
    let console = stops::console(reader, block);
    let command = command(reader, block)?;
    let folder = reader.sources.folder(block.at);
    Some(ProgramSpec {
        name: block.name.as_str().into(),
        command,
        directory: fields.path_or("program.*.directory", || folder.to_owned()),
        environment,
        instances: fields.integer("program.*.instances"),
        autostart: fields.switch_or("program.*.autostart", timing.schedule.is_none()),
        restart: match fields.text("program.*.restart").as_str() {
            "always" => RestartPolicy::Always,
            "never" => RestartPolicy::Never,
            _ => RestartPolicy::OnFailure,
        },
        success_exit_codes: fields.exit_codes("program.*.success_exit_codes"),
        ends: policy::ends(fields),
        start_confirm: fields.duration("program.*.start_confirm"),
        console,
        stop: stops::plan(fields),
        stop_timeout: fields.duration("program.*.stop_timeout"),
        needs: needs(fields),
        depends_on: names(fields, "program.*.depends_on")
            .into_iter()
            .map(Into::into)
            .collect(),
        backoff,
        restart_limit,
        recover_after: fields.duration("program.*.recover_after"),
        tags: names(fields, "program.*.tags"),
        metrics_interval: fields.duration_or("program.*.metrics.interval", around.metrics_interval),
        timing,
        rules: fields.rules("program.*.rule").into(),
        os,
        health,
        silence: silence::of(fields),
        rotation: rotation::of(fields),
    })
}

/// What is asked of those it depends on.
fn needs(fields: &Fields) -> Needs {
    let conditions = match fields.written("program.*.depends_on") {
        Some(Typed::Depends(words, conditions)) => {
            let names = words.iter().map(|word| word.text.as_str().into());
            names.zip(conditions.iter().copied()).collect()
        }
        _ => std::collections::BTreeMap::new(),
    };
    Needs {
        conditions,
        restart_with: fields.switch("program.*.restart_with"),
    }
}

/// The texts of a list, each once.
fn names(fields: &Fields, path: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for word in fields.words(path) {
        if !names.contains(&word.text) {
            names.push(word.text.clone());
        }
    }
    names
}

fn command(reader: &mut Reader<'_>, block: &Block) -> Option<Vec<String>> {
    let full = format!("{}.command", block.shown);
    let at = block.fields.place(COMMAND)?;
    let shell = block.fields.switch("program.*.shell");
    match (block.fields.written(COMMAND)?, shell) {
        (Typed::CommandLine(raw), false) => lists::split(reader, at, &full, raw),
        (Typed::CommandLine(raw), true) => {
            let line = reader.fill_in(at, &full, raw)?.text;
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), line])
        }
        (Typed::Words(words), false) => Some(words.iter().map(|w| w.text.clone()).collect()),
        _ => {
            let w = wrong(
                "with shell = true it cannot be a list",
                "write the command as one text",
            );
            reader.fault(at, &full, w);
            None
        }
    }
}

fn backoff(reader: &mut Reader<'_>, block: &Block) -> BackoffPolicy {
    const INITIAL: &str = "program.*.backoff.initial";
    const MAX: &str = "program.*.backoff.max";
    let fields = &block.fields;
    let policy = BackoffPolicy {
        initial: fields.duration(INITIAL),
        max: fields.duration(MAX),
        factor: fields.number("program.*.backoff.factor"),
        jitter: fields.number("program.*.backoff.jitter"),
        reset_after: fields.duration("program.*.backoff.reset_after"),
    };
    if policy.initial > policy.max {
        let at = fields
            .place(INITIAL)
            .or(fields.place(MAX))
            .unwrap_or(block.at);
        let (initial, max) = (text::duration(policy.initial), text::duration(policy.max));
        let what = format!("initial ({initial}) is longer than max ({max})");
        let full = format!("{}.backoff", block.shown);
        reader.fault(at, &full, wrong(what, "lower initial, or raise max"));
    }
    policy
}

fn restart_limit(odd: &mut Reader<'_>, block: &Block) -> RestartLimit {
    const COOLDOWN: &str = "program.*.restart_limit.cooldown";
    let fields = &block.fields;
    let then = match fields.text("program.*.restart_limit.then").as_str() {
        "fatal" => LimitAction::Fatal,
        _ => LimitAction::Cooldown(fields.duration(COOLDOWN)),
    };
    if let (LimitAction::Fatal, Some(at)) = (then, fields.place(COOLDOWN)) {
        let full = format!("{}.restart_limit.cooldown", block.shown);
        let w = wrong(
            "it has no effect with then = \"fatal\"",
            "leave it out, or then = \"cooldown\"",
        );
        odd.fault(at, &full, w);
    }
    RestartLimit {
        count: fields.integer("program.*.restart_limit.count"),
        within: fields.duration("program.*.restart_limit.within"),
        then,
    }
}

/// What is inherited, then `env_file`, then `environment`; the later wins.
fn environment(reader: &mut Reader<'_>, block: &Block, around: &Surroundings<'_>) -> Environment {
    let fields = &block.fields;
    let mut environment = Environment::default();
    if !fields.switch("program.*.environment_clear") {
        environment.inherited = Arc::clone(around.inherited);
    }
    let mut add = |pairs: &[(String, String)]| {
        for (name, value) in pairs {
            let own = &mut environment.own;
            own.insert(OsString::from(name), OsString::from(value));
        }
    };
    add(&from_file(reader, block));
    if let Some(Typed::Pairs(pairs)) = fields.written("program.*.environment") {
        add(pairs);
    }
    environment
}

/// What programs inherit of our own environment, but for what only targets are to know.
pub(super) fn inherited(env: &Env, secret_variables: &BTreeSet<String>) -> Arc<Variables> {
    let variables = env.variables.iter();
    let inherited = variables.filter(|(name, _)| is_inherited(name, secret_variables));
    Arc::new(inherited.map(|(n, v)| (n.clone(), v.clone())).collect())
}

/// Variables that speak to us, to our own supervisor or of our secrets are not for programs.
fn is_inherited(name: &OsStr, secret_variables: &BTreeSet<String>) -> bool {
    const OURS: [&[u8]; 4] = [
        b"NOTIFY_SOCKET",
        b"WATCHDOG_USEC",
        b"WATCHDOG_PID",
        b"MAINPID",
    ];
    let bytes = name.as_bytes();
    !(OURS.contains(&bytes)
        || bytes.starts_with(b"LISTEN_")
        || bytes.starts_with(b"JIKIMI_")
        || name.to_str().is_some_and(|n| secret_variables.contains(n)))
}

fn from_file(reader: &mut Reader<'_>, block: &Block) -> Vec<(String, String)> {
    let (Some((path, shown)), Some(at)) =
        (block.fields.path(ENV_FILE), block.fields.place(ENV_FILE))
    else {
        return Vec::new();
    };
    let full = format!("{}.env_file", block.shown);
    let text = match read_text(path, limits::CONFIG_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(wrong) => {
            reader.fault(at, &full, wrong);
            return Vec::new();
        }
    };
    let (pairs, faults) = env_file::parse(&text, &shown.display().to_string(), &full);
    reader.faults.extend(faults);
    pairs
}
