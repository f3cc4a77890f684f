//! The files of `config/` and the README's table against the table of keys, and every row of it.

use std::fs;
use std::path::Path;

use super::{Place, faults_of};
use crate::config::keys::{self, Availability, Kind};
use crate::config::table::{KEYS, TARGET_KINDS};
use crate::config::{example, key_table_markdown, load};
use crate::model::program::LimitAction;

/// The example with its keys in use.
pub(super) fn uncommented(example: &str) -> String {
    // Nobody but root can become another user.
    let is_roots = |line: &str| {
        let keys = ["user = ", "group = ", "supplementary_groups = "];
        keys.iter().any(|key| line.starts_with(key))
    };
    let is_root = rustix::process::geteuid().is_root();
    let used = |line: &str| match line.strip_prefix('#') {
        Some(rest) if is_roots(rest) && !is_root => line.to_owned(),
        // A target of Slack's is a webhook or a bot.
        Some(rest) if rest.contains("SLACK_WEBHOOK_URL") => line.to_owned(),
        Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest.to_owned(),
        _ => line.to_owned(),
    };
    example.lines().map(used).collect::<Vec<_>>().join("\n")
}

pub(super) fn example_place(text: &str) -> Place {
    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    Place::new(&[("j.toml", text), (".env", "A=1\n"), ("ca.pem", pem)]).with(&[
        (
            "DISCORD_WEBHOOK_URL",
            "https://discord.com/api/webhooks/1/S3CRETa",
        ),
        (
            "SLACK_WEBHOOK_URL",
            "https://hooks.slack.com/services/S3CRETb",
        ),
        ("SLACK_TOKEN", "xoxb-S3CRETe"),
        ("TELEGRAM_TOKEN", "123:S3CRETc"),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("WEBHOOK_TOKEN", "S3CRETd"),
        ("JIKIMI_TOKEN", "S3CRETp-0123456789"),
        ("JIKIMI_READ_TOKEN", "S3CRETq-0123456789"),
        ("HEARTBEAT_URL", "https://hc-ping.com/S3CRETz"),
        ("NTFY_TOPIC", "S3CRETe"),
        ("NTFY_TOKEN", "tk_S3CRETf"),
        ("MATTERMOST_WEBHOOK_URL", "https://chat.test/hooks/S3CRETg"),
        (
            "GOOGLE_CHAT_WEBHOOK_URL",
            "https://chat.googleapis.com/v1/spaces/A/messages?key=S3CRETh&token=S3CRETi",
        ),
        (
            "TEAMS_WORKFLOW_URL",
            "https://x.logic.azure.com/workflows/w/triggers/manual/paths/invoke?sig=S3CRETj",
        ),
        ("MATRIX_TOKEN", "syt_S3CRETk"),
        ("GOTIFY_TOKEN", "A.S3CRETl"),
        ("GOTIFY_CLIENT_TOKEN", "C.S3CRETm"),
        ("PUSHOVER_TOKEN", "S3CRETnnnnnnnnnnnnnnnnnnnnnnnn"),
        ("PUSHOVER_USER", "S3CRETuuuuuuuuuuuuuuuuuuuuuuuu"),
        ("PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789S3CRET"),
        ("TELL_API_KEY", "S3CRETp"),
        ("ALERTMANAGER_TOKEN", "S3CRETo"),
    ])
}

#[test]
fn the_example_file_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml");
    if std::env::var_os("JIKIMI_WRITE_EXAMPLE").is_some() {
        fs::write(&path, example()).expect("the example can be written");
    }
    let there = fs::read_to_string(&path).expect("config/example.toml");
    assert!(
        there == example(),
        "config/example.toml is not what the table of keys says; JIKIMI_WRITE_EXAMPLE=1 writes it"
    );
}

#[test]
fn the_example_lists_exactly_the_keys_of_this_version_and_loads_either_way() {
    let plain = example_place(&example()).loaded();
    assert!(plain.settings.programs.is_empty() && plain.settings.targets.is_empty());
    let used = example_place(&uncommented(&example())).loaded();
    // One more for each thing that a probe can check besides the first.
    assert_eq!(used.settings.programs.len(), 6);
    assert_eq!(used.settings.targets.len(), TARGET_KINDS.len());

    let lists = |key: &keys::Key| {
        let tail = key
            .path
            .splitn(3, '.')
            .filter(|p| *p != "*")
            .collect::<Vec<_>>()
            .join(".");
        let name = tail.split_once('.').map_or(tail.as_str(), |(_, name)| name);
        let line = format!("#{name} = {}", key.example);
        example().lines().any(|l| l == line)
    };
    for key in KEYS.iter().filter(|k| k.path != "target.*.kind") {
        assert_eq!(
            lists(key),
            key.availability == Availability::Now,
            "{}",
            key.path
        );
    }
}

#[test]
fn the_readme_table_has_a_row_for_every_key() {
    let table = key_table_markdown();
    for key in KEYS {
        let row = table.lines().any(|l| {
            l.starts_with(&format!("| `{}`", key.for_people()))
                && l.ends_with(&format!("| {} |", key.doc))
        });
        assert_eq!(row, key.availability == Availability::Now, "{}", key.path);
    }
}

/// A file that uses `key` with `value`, and the name faults give it.
fn using(key: &keys::Key, value: &str) -> (String, String) {
    let tail = key.path.rsplit("*.").next().unwrap_or(key.path);
    match key.path.split('.').next() {
        Some("program") => (
            format!("[program.x]\n{tail} = {value}\n"),
            format!("program.x.{tail}"),
        ),
        Some("target") => {
            let kind = key.of.first().unwrap_or(&"webhook");
            let kind = if tail == "kind" {
                String::new()
            } else {
                format!("kind = \"{kind}\"\n")
            };
            (
                format!("[target.x]\n{kind}{tail} = {value}\n"),
                format!("target.x.{tail}"),
            )
        }
        Some("route") => {
            let tail = tail.trim_start_matches("route.");
            (
                format!("[[route]]\n{tail} = {value}\n"),
                key.path.to_owned(),
            )
        }
        _ => (format!("{} = {value}\n", key.path), key.path.to_owned()),
    }
}

#[test]
fn every_key_refuses_a_value_of_another_type_and_every_later_key_is_refused() {
    for key in KEYS {
        let (text, name) = using(key, "1979-05-27");
        let faults = faults_of(&text);
        let what = match (key.availability, key.kind) {
            (Availability::Later, _) => "not available in this version",
            (Availability::Now, _) => "a date cannot stand here",
        };
        // A target of a later kind is refused as such.
        let refused = faults.iter().any(|f| {
            (f.contains(&format!(": {name}: ")) && f.contains(what))
                || (f.contains("target.x.kind") && f.contains("is not available in this version"))
        });
        assert!(refused, "{text}: {faults:#?}");
        if key.availability == Availability::Now && key.kind != Kind::Unread {
            let (text, name) = using(key, key.example);
            let place = example_place(&text);
            let complaints = match place.load() {
                Ok(_) => String::new(),
                Err(faults) => faults.to_string(),
            };
            let own = complaints
                .lines()
                .find(|l| l.contains(&format!(": {name}: ")));
            let by_itself = own.is_none_or(|l| {
                l.contains("is called \"ops\"")
                    || l.contains("is called \"db\"")
                    || l.contains("is called \"pushover\"")
                    || l.contains("which cannot become")
                    || l.contains("nobody it goes to")
            });
            assert!(by_itself, "{text}: {own:?}");
        }
    }
}

#[test]
fn the_default_configuration_loads_and_nothing_in_it_gives_up() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/jikimi.toml");
    let place = Place::new(&[]);
    let loaded = load(&path, &place.env).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(loaded.warnings, []);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(loaded.settings.supervisor.state_dir, root.join(".jikimi"));
    assert!(loaded.settings.programs.len() >= 5);
    for program in &loaded.settings.programs {
        assert!(
            matches!(program.restart_limit.then, LimitAction::Cooldown(_)),
            "{}",
            program.name
        );
    }
    assert_eq!(loaded.settings.programs[0].command[0], "/usr/bin/jikimi");
}
