//! `notify test`: a target tried out by hand.

use std::process::Output;

use super::hook;
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

fn said(output: &Output) -> (i32, String, String) {
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
    let (code, out, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("ops has taken the message"), "{out}");
    let test = ops.wait_for("the test", |r| r.json()["type"] == "notify.test");
    assert!(out.contains(&test.headers["webhook-id"]), "{out}");
    let (code, _, err) = said(&supervisor.cli(&["notify", "test", "nihgt-chat"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("night-chat"), "the nearest name: {err}");
    supervisor.stop();
    assert_eq!(
        chat.types(),
        ["supervisor.started", "supervisor.stopping"],
        "no test for the other"
    );
    let (code, _, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
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
    let (code, _, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("404"), "{err}");
    let (code, _, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("410"), "{err}");
    supervisor.wait_target("ops", "dead", |t| t["state"] == "dead");
    // The person has seen to it, and says so by trying it.
    let (code, out, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
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
    let (code, out, err) = said(&supervisor.cli(&["notify", "test", "ops"]));
    assert_eq!(code, 0, "{out}{err}");
}
