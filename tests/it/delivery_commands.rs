//! `jikimi deliveries`, `targets` and `notify render`: with a supervisor and without, and what they must not do.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const NEVER: &str = "00000000000000000000000000";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn told(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn read(supervisor: &Supervisor, args: &[&str]) -> Value {
    let told = told(supervisor, args);
    serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// Fails with `code` and a sentence that has all of `parts`.
fn refused(output: &Output, (code, parts): (i32, &[&str])) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

/// Answers every request with the status that is set.
fn receiver(status: u16) -> (Receiver, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(status));
    let set = Arc::clone(&answer);
    let receiver = Receiver::scripted(move |_| Reply::status(answer.load(Ordering::SeqCst)));
    (receiver, set)
}

/// A webhook `hook` that gets everything, and a program that stays up.
fn config(receiver: &Receiver) -> String {
    format!(
        "[program.web]\ncommand = [\"sleep\", \"1000\"]\nstart_confirm = \"50ms\"\n\
         [target.hook]\nkind = \"webhook\"\nurl = \"{}\"\n",
        receiver.url("/secret-path")
    )
}

const ROUTE: &str = "[[route]]\nmin_severity = \"info\"\ntargets = [\"hook\"]\n";

fn states(supervisor: &Supervisor) -> Vec<String> {
    let list = read(supervisor, &["deliveries", "--json"]);
    let lines = list.as_array().expect("a list").iter();
    lines
        .map(|line| line["state"].as_str().expect("a word").to_owned())
        .collect()
}

#[test]
fn a_refused_delivery_is_listed_shown_and_tried_again_and_stays_to_be_read_without_a_supervisor() {
    let (receiver, answer) = receiver(400);
    let mut supervisor = Supervisor::running(&config(&receiver));
    refused(
        &supervisor.cli(&["notify", "test", "hook"]),
        (1, &["status 400"]),
    );
    let list = read(&supervisor, &["deliveries", "list", "--json"]);
    let [line] = list.as_array().expect("a list").as_slice() else {
        panic!("{list}");
    };
    assert_eq!(
        (&line["state"], &line["target"], &line["attempts"]),
        (&json!("dead"), &json!("hook"), &json!(1))
    );
    let id = line["id"].as_str().expect("an id");
    let table = told(
        &supervisor,
        &["deliveries", "--state", "dead", "--target", "hook"],
    );
    assert!(
        table.contains(id) && table.contains("status 400"),
        "{table}"
    );
    let beginning = id[..20].to_lowercase();
    let shown = told(&supervisor, &["deliveries", "show", &beginning]);
    for part in [
        &format!("delivery {id} to hook: dead"),
        "notify.test",
        "dead after ",
        ", status 400",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    answer.store(204, Ordering::SeqCst);
    let said = told(&supervisor, &["deliveries", "retry", &beginning]);
    assert_eq!(said, "1 delivery is tried again now\n");
    wait_for("the second attempt", || {
        match states(&supervisor).as_slice() {
            [state] if state == "delivered" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    refused(
        &supervisor.cli(&["deliveries", "retry", id]),
        (1, &["has been delivered"]),
    );
    let answered = read(&supervisor, &["deliveries", "show", id, "--json"]);
    let outcomes: Vec<&Value> = answered["tries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| &t["outcome"])
        .collect();
    assert_eq!(outcomes, ["dead", "delivered"]);
    assert_eq!(answered["told"]["type"], "notify.test");
    supervisor.stop();
    let output = supervisor.cli(&["deliveries", "show", &beginning, "--json"]);
    assert!(text(&output.stderr).contains("no supervisor answers"));
    let stored: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(stored, answered);
    assert!(told(&supervisor, &["deliveries"]).contains(id));
    for verb in [
        &["deliveries", "retry", "all"][..],
        &["deliveries", "purge"],
    ] {
        refused(&supervisor.cli(verb), (5, &[]));
    }
}

#[test]
fn what_there_is_not_is_answered_with_what_may_be_meant() {
    let (receiver, _) = receiver(204);
    let mut supervisor = Supervisor::running(&config(&receiver));
    refused(
        &supervisor.cli(&["deliveries", "show", NEVER]),
        (1, &["there is none at all"]),
    );
    assert_eq!(
        told(&supervisor, &["deliveries", "--target", "hook"]),
        "there are no such deliveries\n",
        "one that is configured is known before it has had any"
    );
    told(&supervisor, &["notify", "test", "hook"]);
    let list = read(&supervisor, &["deliveries", "--json"]);
    let newest = list[0]["id"].as_str().expect("an id").to_owned();
    let wrong: &[(&[&str], &[&str])] = &[
        (
            &["deliveries", "show", NEVER],
            &["there is no delivery", "the newest is", &newest],
        ),
        (&["deliveries", "retry", NEVER], &["there is no delivery"]),
        (
            &["deliveries", "show", "0"],
            &["means more than one delivery", &newest],
        ),
        (
            &["deliveries", "--target", "hokk"],
            &["did you mean \"hook\"?"],
        ),
        (&["targets", "enable", "hokk"], &["did you mean \"hook\"?"]),
        (
            &["notify", "render", "program.crashed", "hokk"],
            &["did you mean \"hook\"?"],
        ),
        (
            &["notify", "render", "program.crahsed", "hook"],
            &["did you mean \"program.crashed\"?"],
        ),
        (
            &["notify", "render", NEVER, "hook"],
            &["there is no event", "the newest is"],
        ),
    ];
    for (args, parts) in wrong {
        refused(&supervisor.cli(args), (1, parts));
    }
    supervisor.stop();
    for (args, parts) in wrong
        .iter()
        .filter(|(args, _)| args[1] == "show" || args[1] == "--target")
    {
        refused(&supervisor.cli(args), (1, parts));
    }
}

#[test]
fn a_target_that_was_given_up_is_tried_again_when_a_person_says_so() {
    let (receiver, answer) = receiver(410);
    let supervisor = Supervisor::running(&(config(&receiver) + ROUTE));
    supervisor.wait_target("hook", "dead", |t| t["state"] == "dead");
    supervisor.wait_phase("web", "running");
    let view = supervisor.wait_target("hook", "waiting messages", |t| {
        t["pending"].as_u64().is_some_and(|n| n > 0)
    });
    assert_eq!(view["state"], "dead");
    let shown = told(&supervisor, &["targets"]);
    for part in [
        "dead",
        "status 410",
        "`jikimi targets enable hook` tries it",
        "notify-0  ",
        ", last active ",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    answer.store(204, Ordering::SeqCst);
    told(&supervisor, &["targets", "enable", "hook"]);
    supervisor.wait_target("hook", "all delivered", |t| {
        t["state"] == "ready" && t["pending"] == 0 && t["delivered"].as_u64() > Some(0)
    });
    let targets = read(&supervisor, &["targets", "--json"]);
    assert_eq!(targets, supervisor.status()["targets"], "as in the status");
}

#[test]
fn what_is_over_is_cleared_away_and_what_waits_only_when_that_is_said() {
    let (receiver, _) = receiver(410);
    let supervisor = Supervisor::running(&(config(&receiver) + ROUTE));
    supervisor.wait_phase("web", "running");
    let kept = wait_for("one refused and some that wait", || {
        let mut states = states(&supervisor);
        states.sort();
        match states.split_first() {
            Some((first, rest)) if first == "dead" && rest.len() >= 2 => Ok(rest.to_vec()),
            _ => Err(format!("{states:?}")),
        }
    });
    assert!(kept.iter().all(|s| s == "pending"), "{kept:?}");
    refused(
        &supervisor.cli(&["deliveries", "purge", "--state", "pending"]),
        (2, &["--all"]),
    );
    let purge = |more: &[&str]| told(&supervisor, &[&["deliveries", "purge"], more].concat());
    assert_eq!(purge(&["--older", "1h"]), "there was nothing to remove\n");
    assert_eq!(
        purge(&["--state", "expired"]),
        "there was nothing to remove\n"
    );
    assert_eq!(purge(&[]), "1 delivery is removed\n");
    assert!(states(&supervisor).iter().all(|s| s == "pending"));
    let removed = purge(&["--all"]);
    assert!(removed.ends_with("deliveries are removed\n"), "{removed}");
    supervisor.wait_target("hook", "nothing waiting", |t| t["pending"] == 0);
    assert!(states(&supervisor).is_empty());
}

const CHATS: &str = r#"
[program.web]
command = ["sleep", "1000"]

[target.chat]
kind = "discord"
url = "https://discord.com/api/webhooks/123456789012345678/KEYKEYKEY-KEYKEYKEY"

[target.phone]
kind = "telegram"
token = "123456789:KEYKEYKEY_KEYKEYKEY_KEYKEYKEY_KEYK"
chat_id = "-1001234567890"
"#;

#[test]
fn a_request_is_shown_without_a_supervisor_in_every_form_and_without_a_secret() {
    let supervisor = Supervisor::configured(CHATS);
    let render = |event: &str, target: &str, more: &[&str]| {
        told(
            &supervisor,
            &[&["notify", "render", event, target], more].concat(),
        )
    };
    for target in ["chat", "phone"] {
        let forms: Vec<String> = [&[][..], &["--plain"], &["--line"]]
            .iter()
            .map(|form| render("program.crashed", target, form))
            .collect();
        for form in &forms {
            assert!(form.starts_with("POST https://"), "{form}");
            assert!(form.contains("content-type: application/json"), "{form}");
            assert!(
                form.contains("[redacted]") && !form.contains("KEY"),
                "{form}"
            );
            assert!(
                form.contains("web") && form.contains("exit code 1"),
                "{form}"
            );
        }
        assert!(
            forms[0] != forms[1] && forms[1].len() > forms[2].len(),
            "{forms:?}"
        );
        let one = read(
            &supervisor,
            &["notify", "render", "rule.fired", target, "--json"],
        );
        assert_eq!(one["method"], "POST");
        let body = one["body"].as_str().expect("text");
        let body: Value = serde_json::from_str(body).expect("what is sent is JSON");
        assert!(body.is_object());
    }
    assert!(
        !supervisor.file(".jikimi").exists(),
        "reading makes nothing"
    );
    let both = supervisor.cli(&["notify", "render", "a.b", "chat", "--plain", "--line"]);
    assert_eq!(both.status.code(), Some(2));
    refused(
        &supervisor.cli(&["notify", "render", "01AR", "chat"]),
        (1, &["no type of event"]),
    );
}

#[test]
fn a_stored_event_is_shown_as_it_was_sent() {
    let (receiver, _) = receiver(204);
    let supervisor = Supervisor::running(&(config(&receiver) + ROUTE));
    supervisor.wait_phase("web", "running");
    let sent = receiver.wait_type("program.started", "web").json();
    let event = supervisor.events_of("program.started", "web").remove(0);
    let id = event["id"].as_str().expect("an id");
    let before = receiver.count();
    let shown = read(
        &supervisor,
        &["notify", "render", &id[..20], "hook", "--json"],
    );
    let body: Value = serde_json::from_str(shown["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["data"], sent["data"]);
    assert_eq!(body["type"], sent["type"]);
    let url = shown["url"].as_str().expect("text");
    assert_eq!(url, receiver.url("/[redacted]"));
    let about_it = |r: &crate::support::receiver::Received| r.json()["data"] == sent["data"];
    assert!(receiver.count() >= before);
    assert_eq!(
        receiver.received().iter().filter(|r| about_it(r)).count(),
        1,
        "showing sends nothing"
    );
}

const LIVING: &str = r#"
[target.chat]
kind = "discord"
url = "https://discord.com/api/webhooks/123456789012345678/KEYKEYKEY-KEYKEYKEY"
on_resolve = "edit_and_reply"

[target.gone]
kind = "discord"
url = "https://discord.com/api/webhooks/123456789012345678/KEYKEYKEY-KEYKEYKEY"
on_resolve = "delete"

[target.own]
kind = "exec"
command = ["/bin/cat", "-u"]
environment = { API_KEY = "KEYKEYKEY" }
"#;

/// Method and last part of the address of each request that is shown, and its body.
fn shown(supervisor: &Supervisor, args: &[&str]) -> Vec<(String, String, Value)> {
    let args = [&["notify", "render"], args, &["--json"]].concat();
    let said = told(supervisor, &args);
    assert!(!said.contains("KEY"), "{said}");
    let part = |line: &str| {
        let one: Value = serde_json::from_str(line).expect("an object a line");
        let text = |key: &str| one[key].as_str().expect("text").to_owned();
        let url = text("url");
        let path = url.split('?').next().unwrap_or_default();
        let end = path.rsplit('/').next().unwrap_or_default().to_owned();
        let body = serde_json::from_str(&text("body")).unwrap_or_default();
        (text("method"), end, body)
    };
    said.lines().map(part).collect()
}

#[test]
fn edits_and_ends_are_shown_as_they_are_sent_and_what_a_program_would_read() {
    let supervisor = Supervisor::configured(LIVING);
    let crash = |target: &str, more: &[&str]| {
        let shown = shown(&supervisor, &[&["program.crashed", target], more].concat());
        let methods = shown
            .iter()
            .map(|(method, end, _)| (method.clone(), end.clone()));
        (methods.collect::<Vec<_>>(), shown)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let (created, edited) = (pair("POST", "[redacted]"), pair("PATCH", "1001"));
    assert_eq!(crash("chat", &[]).0, std::slice::from_ref(&created));
    assert_eq!(
        crash("chat", &["--update"]).0,
        std::slice::from_ref(&edited)
    );
    let (over, requests) = crash("chat", &["--resolved"]);
    assert_eq!(over, [edited, created]);
    assert!(
        requests
            .iter()
            .all(|(.., body)| body.to_string().contains("web recovered"))
    );
    assert_eq!(crash("gone", &["--resolved"]).0, [pair("DELETE", "1001")]);
    let (_, own) = crash("own", &["--resolved"]);
    let [(method, _, body)] = own.as_slice() else {
        panic!("{own:?}");
    };
    assert_eq!(method, "RUN");
    assert_eq!(body["type"], "program.recovered");
    assert_eq!(body["data"]["incident"]["state"], "resolved");
    refused(
        &supervisor.cli(&["notify", "render", "program.started", "chat", "--resolved"]),
        (1, &["belongs to no incident"]),
    );
}
