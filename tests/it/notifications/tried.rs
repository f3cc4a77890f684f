//! `notify test`: a target tried out by hand.

use std::process::Output;

use super::living::services::Discord;
use super::{FAST, hook};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;

fn said_by(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("it exits"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_test_message_goes_to_its_target_alone_and_its_fate_is_told() {
    let (ops, chat) = (Receiver::start(), Receiver::start());
    let config = hook("ops", &ops.url("/"), "") + &hook("night-chat", &chat.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let (code, out, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("ops has taken the message"), "{out}");
    let test = ops.wait_for("the test", |r| r.json()["type"] == "notify.test");
    assert!(out.contains(&test.headers["webhook-id"]), "{out}");
    let (code, _, err) = said_by(&supervisor.cli(&["notify", "test", "nihgt-chat"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("night-chat"), "the nearest name: {err}");
    supervisor.stop();
    assert_eq!(
        chat.types(),
        ["supervisor.started", "supervisor.stopping"],
        "no test for the other"
    );
    let (code, _, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 5, "{err}");
}

#[test]
fn a_test_of_a_target_that_refuses_fails_with_the_reason() {
    let mut refusals = vec![404, 410].into_iter();
    let receiver = Receiver::scripted(move |request| {
        if request.json()["type"] == "notify.test" {
            return Reply::status(refusals.next().unwrap_or(204));
        }
        Reply::status(204)
    });
    let config = hook("ops", &receiver.url("/"), "");
    let supervisor = Supervisor::running(&config);
    let (code, _, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("404"), "{err}");
    let (code, _, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("410"), "{err}");
    supervisor.wait_target("ops", "dead", |t| t["state"] == "dead");
    // The person has seen to it, and says so by trying it.
    let (code, out, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
    supervisor.wait_target("ops", "ready", |t| t["state"] == "ready");
}

#[test]
fn a_test_does_not_wait_for_the_pause_of_a_target_that_failed() {
    let mut is_first = true;
    let receiver = Receiver::scripted(move |_| {
        Reply::status(if std::mem::replace(&mut is_first, false) {
            500
        } else {
            204
        })
    });
    let breaker = "breaker = { failures = 1, cooldown = \"1h\", cooldown_max = \"1h\" }";
    let config = hook("ops", &receiver.url("/"), breaker);
    let supervisor = Supervisor::running(&config);
    supervisor.wait_target("ops", "open", |t| t["state"] == "open");
    let (code, out, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
}

/// The kinds of requests that a test brings, after what came before it.
fn tasks(received: &[Received]) -> Vec<(String, String)> {
    let about = received
        .iter()
        .filter(|r| r.method == "DELETE" || r.body.contains("test of target chat"));
    about
        .map(|r| {
            let path = r.path.split('?').next().unwrap_or_default();
            (
                r.method.clone(),
                path.rsplit('/').next().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

#[test]
fn a_test_makes_a_message_edits_it_and_ends_it_as_the_configuration_says() {
    for (on_resolve, end, said) in [
        ("edit", vec![("PATCH", "1001")], "edited"),
        (
            "edit_and_reply",
            vec![("PATCH", "1001"), ("POST", "tok")],
            "edited, answered",
        ),
        ("new", vec![("POST", "tok")], "created"),
        ("delete", vec![("DELETE", "1001")], "deleted"),
    ] {
        let discord = Discord::start(false);
        let target = discord.target();
        let config = format!("[target.chat]\n{target}\non_resolve = \"{on_resolve}\"\n{FAST}\n");
        let mut supervisor = Supervisor::running(&config);
        let (code, out, err) = said_by(&supervisor.cli(&["notify", "test", "chat"]));
        assert_eq!(code, 0, "{out}{err}");
        let lines: Vec<&str> = out.lines().filter(|l| l.contains("has taken")).collect();
        let [made, changed, ended] = lines.as_slice() else {
            panic!("{out}");
        };
        assert!(
            made.contains(": created, status 200, message 1001"),
            "{out}"
        );
        assert!(changed.contains(": edited, status 200"), "{out}");
        assert!(ended.contains(&format!(": {said}, status 20")), "{out}");
        let mut expected = vec![("POST", "tok"), ("PATCH", "1001")];
        expected.extend(end);
        let sent = tasks(&discord.receiver.received());
        let sent: Vec<(&str, &str)> = sent.iter().map(|(m, p)| (m.as_str(), p.as_str())).collect();
        assert_eq!(sent, expected, "{on_resolve}");
        assert_eq!(supervisor.stop(), 0);
        let output = supervisor.cli(&["incidents", "--json"]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "[]",
            "it is no incident"
        );
    }
}

#[test]
fn a_machine_is_told_that_the_test_began_and_that_it_is_over() {
    let ops = Receiver::start();
    let supervisor = Supervisor::running(&hook("ops", &ops.url("/"), ""));
    let (code, out, err) = said_by(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
    let received = ops.received();
    let tests = received
        .iter()
        .map(Received::json)
        .filter(|body| body["type"] == "notify.test");
    let incidents: Vec<_> = tests.map(|body| body["data"]["incident"].clone()).collect();
    let states: Vec<_> = incidents.iter().map(|i| i["state"].clone()).collect();
    assert_eq!(states, ["open", "open", "resolved"], "{incidents:?}");
    assert!(
        incidents.iter().all(|i| i["id"] == incidents[0]["id"]),
        "{incidents:?}"
    );
}
