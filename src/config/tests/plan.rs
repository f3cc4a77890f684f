//! Plans of reloads: what two configurations differ in, and the table of keys held to it.

use super::*;
use crate::config::keys::{Availability, Kind, OnChange};
use crate::config::plan::{Seen, applicable, plan};
use crate::config::table::KEYS;
use crate::model::fingerprint::{live_keys, restart_keys};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::reload::{Plan, StepAction};
use crate::model::status::PhaseName;

const RUNNING: Seen = Seen {
    phase: PhaseName::Running,
    is_alive: true,
    is_wanted: true,
};

/// What `text` says, as if it always stood in the same folder.
fn settings(text: &str) -> Settings {
    let place = Place::new(&[("j.toml", text)]);
    let place = place.with(&[
        ("OPS", "https://hooks.test/1"),
        ("OPS2", "https://hooks.test/2"),
    ]);
    let mut settings = place.loaded().settings;
    settings.supervisor.state_dir = "/state".into();
    settings.control.socket = "/state/socket".into();
    settings
}

fn seen(phase: PhaseName) -> Seen {
    Seen {
        phase,
        is_alive: false,
        is_wanted: phase != PhaseName::Stopped,
    }
}

/// The steps as lines.
fn lines(plan: &Plan) -> Vec<String> {
    let line = |s: &crate::model::reload::Step| {
        let keys = s.keys.join(", ");
        format!("{} {} [{keys}] {}", s.action, s.name, s.why)
    };
    plan.steps.iter().map(line).collect()
}

fn planned(old: &str, new: &str, seen: Seen) -> Vec<String> {
    let standing = move |_: &InstanceName| Some(seen);
    lines(&plan(&settings(old), &settings(new), &standing))
}

const WEB: &str = "[program.web]\ncommand = \"serve\"\ndirectory = \"/\"\n";

#[test]
fn a_plan_names_what_changed_by_key_and_never_by_value() {
    let with = |more: &str| format!("{WEB}{more}");
    let because = |keys: &str| format!("restart web [{keys}] configuration changed: {keys}");
    let live = |keys: &str| format!("live web [{keys}] takes effect at once");
    for (old, new, expected) in [
        (with(""), with("# a remark\n"), vec![]),
        (
            with(""),
            WEB.replace("serve", "serve2"),
            vec![because("command")],
        ),
        (with(""), with("shell = true\n"), vec![because("command")]),
        (
            with("environment = { A = \"1\", B = \"1\" }\n"),
            with("environment = { A = \"2\", C = \"hunter2\" }\n"),
            vec![because("environment.A, environment.B, environment.C")],
        ),
        (
            with(""),
            with("stop_timeout = \"3s\"\ntags = [\"x\"]\n"),
            vec![live("stop_timeout, tags")],
        ),
        (
            with(""),
            with("backoff.max = \"9s\"\n"),
            vec![live("backoff.max")],
        ),
        (
            with(""),
            with("instances = 2\n"),
            vec![
                "stop web [] instances: 2, were 1".to_owned(),
                "start web:0 [] instances: 2, were 1".to_owned(),
                "start web:1 [] instances: 2, were 1".to_owned(),
            ],
        ),
        (
            with("instances = 3\n"),
            with("instances = 2\nenvironment = { A = \"1\" }\n"),
            vec![
                "stop web:2 [] instances: 2, were 3".to_owned(),
                "restart web:0 [environment.A] configuration changed: environment.A".to_owned(),
                "restart web:1 [environment.A] configuration changed: environment.A".to_owned(),
            ],
        ),
        (
            with(""),
            "[program.db]\ncommand = \"db\"\n[program.off]\ncommand = \"x\"\nautostart = false\n"
                .to_owned(),
            vec![
                "start db [] it was added to the configuration".to_owned(),
                "add off [] it was added to the configuration".to_owned(),
                "stop web [] it left the configuration".to_owned(),
            ],
        ),
    ] {
        assert_eq!(planned(&old, &new, RUNNING), expected, "{new}");
    }
}

#[test]
fn a_plan_says_what_becomes_of_those_that_do_not_run() {
    let new = WEB.replace("serve", "serve2");
    for (phase, action) in [
        (PhaseName::Stopped, StepAction::NextStart),
        (PhaseName::Exited, StepAction::NextStart),
        (PhaseName::Stopping, StepAction::NextStart),
        (PhaseName::Starting, StepAction::NextStart),
        (PhaseName::Backoff, StepAction::Retry),
        (PhaseName::Fatal, StepAction::Retry),
        (PhaseName::Running, StepAction::Restart),
    ] {
        let standing = move |_: &InstanceName| Some(seen(phase));
        let plan = plan(&settings(WEB), &settings(&new), &standing);
        let actions: Vec<StepAction> = plan.steps.iter().map(|s| s.action).collect();
        assert_eq!(actions, [action], "{phase}");
    }
    let stopped = planned(
        WEB,
        &format!("{WEB}instances = 2\n"),
        seen(PhaseName::Stopped),
    );
    assert_eq!(stopped[0], "remove web [] instances: 2, were 1");
    assert_eq!(stopped[1], "add web:0 [] instances: 2, were 1");
}

#[test]
fn targets_routes_and_settings_take_effect_at_once_or_it_is_said_that_they_do_not() {
    let target =
        "[target.ops]\nkind = \"webhook\"\nurl = \"${OPS}\"\n[[route]]\ntargets = [\"ops\"]\n";
    let changed = target.replace("${OPS}", "${OPS2}");
    assert_eq!(
        planned(target, &changed, RUNNING),
        ["live ops [url] takes effect with the next attempt"]
    );
    let kind = target.replace("webhook", "discord");
    assert_eq!(
        planned(target, &kind, RUNNING),
        ["live ops [kind, rate] takes effect with the next attempt"]
    );
    assert_eq!(
        planned(target, "", RUNNING),
        [
            "live route [route] takes effect at once",
            "remove ops [] it left the configuration; what waits for it is given up"
        ]
    );
    assert_eq!(
        planned(
            "",
            "store.pool = 2\nlog.level = \"debug\"\nlog.format = \"json\"\n",
            RUNNING
        ),
        [
            "needs a restart of the supervisor log.format [log.format] takes effect at the next start of the supervisor",
            "live log.level [log.level] takes effect at once",
            "needs a restart of the supervisor store.pool [store.pool] takes effect at the next start of the supervisor",
        ]
    );
}

#[test]
fn what_cannot_change_stays_and_is_told_again() {
    let old = settings("");
    let place = Place::new(&[(
        "j.toml",
        "supervisor.state_dir = \"elsewhere\"\nstore.pool = 2\nnotify.workers = 1\ncheckpoint.batch = 3\nlog.format = \"json\"\nlog.level = \"debug\"\n",
    )]);
    let new = place.loaded().settings;
    let applied = applicable(&old, new.clone());
    assert_eq!(applied.supervisor.state_dir, old.supervisor.state_dir);
    assert_eq!(applied.control, old.control);
    assert_eq!(applied.log.level, new.log.level);
    let fixed = |plan: &Plan| {
        let steps = plan.steps.iter();
        steps
            .filter(|s| s.action == StepAction::NeedsSupervisorRestart)
            .map(|s| s.name.clone())
            .collect::<Vec<_>>()
    };
    let standing = |_: &InstanceName| None;
    let (first, again) = (plan(&old, &new, &standing), plan(&applied, &new, &standing));
    let keys = [
        "checkpoint.batch",
        "control.socket",
        "log.format",
        "notify.workers",
        "store.pool",
        "supervisor.state_dir",
    ];
    assert_eq!(fixed(&first), keys);
    assert_eq!(lines(&again).len(), keys.len());
    assert_eq!(fixed(&again), keys);
}

/// A value of each type, one of which is another than the default of any key.
const VALUES: &[&str] = &[
    "true",
    "false",
    "3",
    "7",
    "7.5",
    "0.5",
    "\"7s\"",
    "[\"db\"]",
    "\"USR1\"",
    "[3]",
    "[\"USR1\"]",
    "{ A = \"b\" }",
    "\"20MiB\"",
    "\"sub\"",
];

/// `key` written with the first of these values that makes another program of it.
fn with_another_value(name: &str, examples: &[String]) -> Option<(ProgramSpec, ProgramSpec)> {
    const DB: &str = "[program.db]\ncommand = \"true\"\n";
    let place = Place::new(&[(".env", "LEVEL=1\n")]);
    // What is typed needs something to be typed into; that itself is another key's affair.
    let stdin = match name {
        "stop_stdin" | "restart_at" | "max_runtime" => "stdin = \"pipe\"\n",
        _ => "",
    };
    let command = |value: &str| format!("[program.web]\ncommand = {value}\n{stdin}");
    let load = |text: &str| {
        place.write("j.toml", text.as_bytes());
        let settings = place.load().ok()?.settings;
        let mut programs = settings.programs.iter();
        programs
            .find(|p| &*p.name == "web")
            .map(|p| ProgramSpec::clone(p))
    };
    // A probe's keys want a probe.
    let beside = match name.split_once('.') {
        Some(("readiness" | "liveness", "http" | "tcp" | "exec" | "log_line" | "notify"))
        | None => String::new(),
        Some((probe @ ("readiness" | "liveness"), _)) => {
            format!("{probe}.tcp = \"127.0.0.1:1\"\n")
        }
        Some(_) => String::new(),
    };
    let plain = load(&format!("{}{beside}{DB}", command("\"true\"")))?;
    let values = examples
        .iter()
        .map(String::as_str)
        .chain(VALUES.iter().copied());
    for value in values {
        let text = match name {
            "command" => format!("{}{DB}", command(value)),
            _ => format!("{}{beside}{name} = {value}\n{DB}", command("\"true\"")),
        };
        if let Some(other) = load(&text).filter(|other| *other != plain) {
            return Some((plain, other));
        }
    }
    None
}

#[test]
fn the_table_says_of_every_key_of_a_program_what_a_change_of_it_does() {
    for key in KEYS {
        let Some(name) = key.path.strip_prefix("program.*.") else {
            continue;
        };
        let words = match key.kind {
            Kind::Choice { now, .. } => now,
            _ => &[],
        };
        if key.availability == Availability::Later || words.len() == 1 {
            continue;
        }
        let mut examples: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
        examples.push(key.example.to_owned());
        let Some((old, new)) = with_another_value(name, &examples) else {
            panic!("give this test a value for {}", key.path);
        };
        let (restart, live) = (restart_keys(&old, &new), live_keys(&old, &new));
        let does = match (restart.is_empty(), live.is_empty()) {
            (false, _) => OnChange::Restart,
            (true, false) => OnChange::Live,
            (true, true) => panic!("a change of {} is not noticed", key.path),
        };
        assert_eq!(does, key.on_change, "{}: {restart:?} {live:?}", key.path);
    }
}

#[test]
fn every_key_that_stands_once_is_compared() {
    let known = crate::config::plan::root_keys(&settings(""));
    for key in KEYS.iter().filter(|k| k.availability == Availability::Now) {
        let section = key.path.split('.').next().unwrap_or_default();
        if !["program", "target", "route", "include"].contains(&section) {
            assert!(known.contains(&key.path), "{} is not compared", key.path);
        }
    }
}
