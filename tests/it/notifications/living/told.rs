//! `jikimi incidents`: what was wrong, and what everybody was told of it, with a supervisor and without.

use serde_json::{Value, json};

use super::super::{crashes_on_demand, crashes_once, hook};
use super::services::Discord;
use super::{chat, settled};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

fn said(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(supervisor: &Supervisor, args: &[&str]) -> Value {
    let said = said(supervisor, args);
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// The incidents of `program`, newest first.
fn of(supervisor: &Supervisor, program: &str, more: &[&str]) -> Vec<Value> {
    let list = read(supervisor, &[&["incidents", "--json"], more].concat());
    let list = list.as_array().expect("a list").iter();
    list.filter(|i| i["program"] == program).cloned().collect()
}

#[test]
fn an_incident_shows_all_that_each_target_was_told_also_without_a_supervisor() {
    let discord = Discord::start(false);
    let refuses = Receiver::scripted(|_| Reply::status(400));
    let config = crashes_once("web")
        + &chat(&format!(
            "{}\non_resolve = \"edit_and_reply\"",
            discord.target()
        ))
        + &hook("hook", &refuses.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    discord
        .receiver
        .wait_for("its end", |r| r.body.contains("web recovered"));
    settled(&supervisor);
    supervisor.wait_target("hook", "nothing waits", |t| t["pending"] == 0);
    let listed = of(&supervisor, "web", &[]);
    let [incident] = listed.as_slice() else {
        panic!("{listed:#?}");
    };
    for (key, value) in [
        ("instance", json!("web")),
        ("condition", json!("crash")),
        ("state", json!("resolved")),
        ("cause", json!("recovered")),
    ] {
        assert_eq!(incident[key], value, "{key}");
    }
    let targets = json!([
        { "name": "chat", "state": "delivered", "message_id": "1001" },
        { "name": "hook", "state": "dead", "message_id": null },
    ]);
    assert_eq!(incident["targets"], targets);
    assert_eq!(of(&supervisor, "web", &["--open"]), [] as [Value; 0]);
    assert_eq!(
        of(&supervisor, "web", &["--since", "2100-01-01T00:00:00Z"]),
        [] as [Value; 0]
    );
    let id = incident["id"].as_str().expect("an id");
    let detail = read(
        &supervisor,
        &["incidents", "show", &id[..20].to_lowercase(), "--json"],
    );
    let kinds: Vec<&Value> = detail["timeline"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| &e["type"])
        .collect();
    assert_eq!(kinds.first(), Some(&&json!("program.crashed")), "{kinds:?}");
    assert_eq!(
        kinds.last(),
        Some(&&json!("program.recovered")),
        "{kinds:?}"
    );
    let did: Vec<&Value> = tries(&detail, "chat").iter().map(|t| &t["did"]).collect();
    assert_eq!(did.first(), Some(&&json!("created")), "{did:?}");
    assert_eq!(did.last(), Some(&&json!("edited, answered")), "{did:?}");
    assert!(
        tries(&detail, "hook")
            .iter()
            .all(|t| t["status"] == 400 && t["did"].is_null())
    );
    in_words(&supervisor, id);
    supervisor.stop();
    let output = supervisor.cli(&["incidents", "show", id, "--json"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no supervisor answers"));
    let stored: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(stored, detail);
    assert_eq!(of(&supervisor, "web", &[]), listed);
}

fn in_words(supervisor: &Supervisor, id: &str) {
    let shown = said(supervisor, &["incidents", "show", id]);
    for part in [
        format!("incident {id}: crash of web, resolved"),
        "opened by web crashed".to_owned(),
        "what chat was told".to_owned(),
        "message 1001".to_owned(),
        ", created, status 200".to_owned(),
        "what hook was told".to_owned(),
        "status 400".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part} in\n{shown}");
    }
    assert!(said(supervisor, &["incidents"]).contains("hook (dead)"));
}

fn tries<'a>(detail: &'a Value, target: &str) -> Vec<&'a Value> {
    let told = detail["told"].as_array().expect("a list").iter();
    told.filter(|t| t["target"] == target)
        .flat_map(|t| t["tries"].as_array().expect("a list"))
        .collect()
}

#[test]
fn what_had_to_be_told_anew_says_why_and_an_unknown_incident_is_answered_with_a_near_one() {
    let discord = Discord::start(false);
    let config = crashes_on_demand("web") + &chat(&discord.target());
    let config = config.replace("\"300ms\"", "\"3s\"");
    let mut supervisor = Supervisor::running(&config);
    std::fs::write(supervisor.file("web.go"), "").expect("a file");
    discord
        .receiver
        .wait_for("the crash", |r| r.body.contains("web crashed"));
    settled(&supervisor);
    let [open] = &of(&supervisor, "web", &["--open"])[..] else {
        panic!("one incident is open");
    };
    assert_eq!(
        (&open["state"], &open["resolved_at"]),
        (&json!("open"), &Value::Null)
    );
    discord.forget();
    discord.receiver.wait_for("its end", |r| {
        r.method == "POST" && r.body.contains("web recovered")
    });
    settled(&supervisor);
    let id = open["id"].as_str().expect("an id");
    let detail = read(&supervisor, &["incidents", "show", id, "--json"]);
    let last = tries(&detail, "chat").pop().expect("it was told").clone();
    assert_eq!(last["did"], "created", "{last}");
    let why = last["fallback"].as_str().expect("a reason");
    assert!(
        why.contains("could not be changed") && why.contains("10008"),
        "{why}"
    );
    let output = supervisor.cli(&["incidents", "show", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"]);
    let refused = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{refused}");
    assert!(refused.contains("there is no incident"), "{refused}");
    assert_eq!(supervisor.stop(), 0);
}
