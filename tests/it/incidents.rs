//! Incidents as people hear of them: a crash loop counts instead of repeating, what a person asked for is no
//! alarm, an end never comes without its beginning.

use serde_json::Value;

use crate::notifications::{FAST, crashes_on_demand, hook};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

/// A chat that takes everything and gives each message an id.
fn chat() -> Receiver {
    Receiver::scripted(|_| {
        Reply::Status(200, vec![], r#"{"id":"1184","channel_id":"7"}"#.to_owned())
    })
}

/// The chat as a target with a route.
fn to_chat(receiver: &Receiver) -> String {
    let url = receiver.url("/api/webhooks/12/token-of-a-channel");
    format!(
        "\n[target.chat]\nkind = \"discord\"\nurl = \"{url}\"\n{FAST}\n[[route]]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n"
    )
}

/// How many requests of `receiver` say `words`.
fn said(receiver: &Receiver, words: &str) -> usize {
    let all = receiver.received();
    all.iter().filter(|r| r.body.contains(words)).count()
}

/// How many events of this type the machine was told.
fn told(receiver: &Receiver, kind: &str) -> usize {
    receiver.types().iter().filter(|t| *t == kind).count()
}

#[test]
fn a_crash_loop_is_told_to_a_chat_now_and_then_and_to_a_machine_every_time() {
    let (chat, machine) = (chat(), Receiver::start());
    let config = r#"
[program.web]
shell = true
command = "exit 3"
backoff = { initial = "150ms", max = "150ms", jitter = 0.0 }
restart_limit = { count = 6, within = "60s", then = "fatal" }
"#
    .to_owned()
        + &to_chat(&chat)
        + &hook("machine", &machine.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    machine.wait_type("program.fatal", "web");
    chat.wait_for("that it was given up", |r| r.body.contains("was given up"));
    supervisor.stop();
    assert_eq!(told(&machine, "program.crashed"), 7);
    assert_eq!(said(&chat, "web crashed"), 3, "the 1st, 2nd and 5th");
    assert_eq!(said(&chat, "was given up"), 2, "edited, and answered aloud");
    let incidents: Vec<Value> = machine
        .received()
        .iter()
        .map(|r| r.json()["data"]["incident"]["id"].clone())
        .filter(|id| !id.is_null())
        .collect();
    assert!(incidents.windows(2).all(|w| w[0] == w[1]), "one incident");
}

#[test]
fn what_a_person_stops_kills_restarts_or_signals_alarms_nobody() {
    let (chat, machine) = (chat(), Receiver::start());
    let config = r#"
[program.stubborn]
shell = true
command = "trap '' TERM; while :; do sleep 0.05; done"
stop_timeout = "100ms"
[program.odd]
shell = true
command = "trap 'exit 143' TERM; trap 'exit 9' USR1; while :; do sleep 0.05; done"
[program.last]
shell = true
command = "while [ ! -e go ]; do sleep 0.05; done; exit 4"
restart = "never"
"#
    .to_owned()
        + &to_chat(&chat)
        + &hook("machine", &machine.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    for verb in [
        &["stop", "stubborn"][..],
        &["start", "stubborn"],
        &["restart", "stubborn", "odd"],
        &["stop", "odd"],
        &["start", "odd"],
    ] {
        assert!(supervisor.cli(verb).status.success(), "{verb:?}");
    }
    machine.wait_type("program.killed", "stubborn");
    assert!(supervisor.cli(&["signal", "odd", "KILL"]).status.success());
    let killed = machine.wait_type("program.crashed", "odd").json();
    assert!(
        killed["data"]["summary"]
            .to_string()
            .contains("asked by SIGKILL by"),
        "{killed}"
    );
    // What comes after in the chat shows that nothing came before.
    supervisor.write("go", "");
    chat.wait_for("the crash", |r| r.body.contains("last crashed"));
    supervisor.stop();
    assert!(told(&machine, "program.killed") >= 2);
    for name in ["stubborn", "odd"] {
        assert_eq!(said(&chat, name), 0, "{:?}", chat.received());
    }
}

#[test]
fn an_unhealthy_program_is_one_incident_that_ends_when_it_is_healthy() {
    let (chat, machine) = (chat(), Receiver::start());
    let config = r#"
[program.web]
command = ["sleep", "1000"]
[program.web.readiness]
exec = ["test", "!", "-e", "sick"]
interval = "100ms"
failure_threshold = 2
"#
    .to_owned()
        + &to_chat(&chat)
        + &hook("machine", &machine.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    machine.wait_type("program.ready", "web");
    supervisor.write("sick", "");
    let opened = machine.wait_type("program.unhealthy", "web").json();
    chat.wait_for("the beginning", |r| r.body.contains("web is unhealthy"));
    std::fs::remove_file(supervisor.file("sick")).expect("our own file");
    let resolved = machine.wait_type("program.healthy", "web").json();
    chat.wait_for("the end", |r| r.body.contains("web is healthy again"));
    supervisor.stop();
    let (opened, resolved) = (&opened["data"]["incident"], &resolved["data"]["incident"]);
    assert_eq!(opened["state"], "open");
    assert_eq!(resolved["state"], "resolved");
    assert_eq!(opened["id"], resolved["id"]);
}

#[test]
fn an_unhealthy_program_that_the_supervisor_did_not_survive_ends_with_the_next_word_of_it() {
    let machine = Receiver::start();
    let config = r#"
[program.web]
command = ["sleep", "1000"]
[program.web.readiness]
exec = ["test", "!", "-e", "sick"]
interval = "100ms"
failure_threshold = 2
"#
    .to_owned()
        + &hook("machine", &machine.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    machine.wait_type("program.ready", "web");
    supervisor.write("sick", "");
    let opened = machine.wait_type("program.unhealthy", "web").json();
    supervisor.kill();
    std::fs::remove_file(supervisor.file("sick")).expect("our own file");
    supervisor.start();
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    let stopped = machine.wait_type("program.stopped", "web").json();
    assert_eq!(
        stopped["data"]["incident"]["id"],
        opened["data"]["incident"]["id"]
    );
    assert_eq!(stopped["data"]["incident"]["state"], "resolved");
    supervisor.stop();
}

#[test]
fn a_failing_target_is_one_incident_for_the_others() {
    let machine = Receiver::start();
    let broken = Receiver::scripted(|_| Reply::status(500));
    let config = crashes_on_demand("web")
        + &hook(
            "broken",
            &broken.url("/"),
            "breaker = { failures = 1, cooldown = \"1h\", cooldown_max = \"1h\" }",
        )
        + &hook("machine", &machine.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let failing = machine.wait_for("that it fails", |r| r.body.contains("target.failing"));
    assert_eq!(failing.json()["data"]["incident"]["state"], "open");
    supervisor.stop();
}
