//! The generic webhook: body and headers by the contract for every event that can be provoked.

use serde_json::Value;

use super::contract::{self, HOST};
use super::{crashes_once, hook};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A program for every kind of event that is not a crash and a recovery.
const PROGRAMS: &str = r#"
[program.stubborn]
shell = true
command = 'trap "" TERM; echo up; while :; do sleep 0.1; done'
start_confirm = "50ms"
stop_timeout = "200ms"
[program.short]
shell = true
command = "sleep 0.1"
start_confirm = "50ms"
[program.missing]
command = "./not-there"
[program.killed]
shell = true
command = "sleep 0.1; kill -SEGV $$"
restart = "never"
"#;

fn named(rest: &str) -> String {
    format!("[supervisor]\nname = \"{HOST}\"\n{rest}")
}

fn one<'a>(received: &'a [Received], kind: &str, instance: &str) -> &'a Received {
    let is_it = |r: &&Received| {
        let json = r.json();
        json["type"] == kind && json["data"]["instance"] == instance
    };
    received
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("no {kind} of {instance}"))
}

#[test]
fn every_event_that_happens_reaches_a_webhook_in_the_contracts_form() {
    let (signed, plain) = (Receiver::start(), Receiver::start());
    let secrets = format!(
        "secret = [\"{FIRST}\", \"{SECOND}\"]\nheaders = {{ Authorization = \"Bearer abc\", X-Team = \"night\" }}"
    );
    let config = named(PROGRAMS)
        + &crashes_once("web")
        + &hook("signed", &signed.url("/in?team=1"), &secrets)
        + &hook("plain", &plain.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    for (kind, instance) in [
        ("program.recovered", "web"),
        ("program.exited", "short"),
        ("program.fatal", "missing"),
        ("program.crashed", "killed"),
        ("program.ready", "stubborn"),
    ] {
        signed.wait_type(kind, instance);
    }
    let test = supervisor.cli(&["notify", "test", "signed"]);
    assert!(test.status.success(), "{test:?}");
    assert!(
        supervisor
            .cli(&["stop", "stubborn", "web"])
            .status
            .success()
    );
    signed.wait_type("program.killed", "stubborn");
    assert_eq!(supervisor.stop(), 1, "one was killed, one is fatal");
    let received = signed.received();
    forms(&received, &plain.received());
    let kinds = signed.types();
    for kind in [
        "supervisor.started",
        "program.started",
        "program.ready",
        "program.crashed",
        "program.restarting",
        "program.recovered",
        "program.exited",
        "program.fatal",
        "program.stopping",
        "program.stopped",
        "program.killed",
        "notify.test",
        "supervisor.stopping",
    ] {
        assert!(kinds.iter().any(|k| k == kind), "no {kind} in {kinds:?}");
    }
    facts(&received);
}

/// What every request says beside its body: one target signs and adds headers, the other does not.
fn forms(signed: &[Received], plain: &[Received]) {
    let mut ids: Vec<&str> = signed
        .iter()
        .map(|r| r.headers["webhook-id"].as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        ids.len(),
        signed.len(),
        "every message has an id of its own"
    );
    for request in signed.iter().chain(plain) {
        contract::check(request);
    }
    for request in signed {
        let expected = [FIRST, SECOND].map(|s| contract::signature(s, request));
        assert_eq!(request.headers["webhook-signature"], expected.join(" "));
        assert_eq!(request.headers["authorization"], "Bearer abc");
        assert_eq!(request.headers["x-team"], "night");
        assert_eq!(request.path, "/in?team=1");
    }
    for request in plain {
        assert!(!request.headers.contains_key("webhook-signature"));
        assert_ne!(
            request.json()["type"],
            "notify.test",
            "that was for the other"
        );
    }
}

/// What the facts of each kind say.
fn facts(received: &[Received]) {
    let of = |kind: &str, instance: &str| one(received, kind, instance).json()["data"].clone();
    let crashed = of("program.crashed", "web");
    assert_eq!(crashed["severity"], "warning");
    assert_eq!(crashed["exit"], serde_json::json!({ "code": 3 }));
    assert_eq!(
        crashed["log_tail"],
        serde_json::json!(["the last words of web"])
    );
    assert!(
        crashed["pid"].is_u64() && crashed["run"].is_string(),
        "{crashed}"
    );
    assert_eq!(crashed["next_restart_s"], 0.05);
    assert_eq!(crashed["restarts"], 0);
    assert_eq!(crashed["incident"]["state"], "open");
    assert_eq!(crashed["incident"]["seq"], 1);
    let recovered = of("program.recovered", "web");
    assert_eq!(
        recovered["severity"], "warning",
        "of what it ends: {recovered}"
    );
    assert_eq!(recovered["incident"]["state"], "resolved");
    assert_eq!(recovered["incident"]["id"], crashed["incident"]["id"]);
    let segv = of("program.crashed", "killed");
    assert_eq!(segv["exit"]["signal"], "SIGSEGV");
    assert!(segv["exit"].get("code").is_none(), "{segv}");
    assert_eq!(
        of("program.exited", "short")["exit"],
        serde_json::json!({ "code": 0 })
    );
    let fatal = of("program.fatal", "missing");
    assert_eq!(fatal["severity"], "critical");
    let cause = fatal["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("not-there"), "says what is missing: {fatal}");
    assert_eq!(of("program.killed", "stubborn")["severity"], "warning");
    let stopping = of("program.stopping", "stubborn");
    assert!(stopping["asked_by"].is_string(), "{stopping}");
}

#[test]
fn id_and_body_are_the_same_bytes_on_every_retry_and_time_and_signature_are_the_attempts_own() {
    let mut refusals = 2;
    let receiver = Receiver::scripted(move |request| {
        if request.json()["type"] == "program.crashed" && refusals > 0 {
            refusals -= 1;
            return Reply::status(500);
        }
        Reply::status(204)
    });
    let secret = format!("secret = \"{FIRST}\"");
    let config = named(&crashes_once("web")) + &hook("ops", &receiver.url("/"), &secret);
    let mut supervisor = Supervisor::running(&config);
    receiver.wait_type("program.recovered", "web");
    supervisor.stop();
    let mut tries = receiver.received();
    tries.retain(|r| r.json()["type"] == "program.crashed");
    assert_eq!(tries.len(), 3, "two refusals and a success");
    let time = |r: &Received| -> i64 { r.headers["webhook-timestamp"].parse().expect("seconds") };
    for pair in tries.windows(2) {
        assert_eq!(pair[0].body, pair[1].body);
        assert_eq!(pair[0].headers["webhook-id"], pair[1].headers["webhook-id"]);
        assert!(time(&pair[0]) <= time(&pair[1]));
    }
    assert!(
        time(&tries[0]) < time(&tries[2]),
        "a pause of seconds lies between them"
    );
    for request in &tries {
        contract::check(request);
        assert_eq!(
            request.headers["webhook-signature"],
            contract::signature(FIRST, request)
        );
    }
}

#[test]
fn a_long_output_is_cut_so_that_a_webhook_stays_small() {
    let receiver = Receiver::start();
    let config = named(
        r#"
[program.loud]
shell = true
command = '''
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do head -c 200000 /dev/zero | tr '\0' x; echo; done
printf '\377\376 not UTF-8 \033[2J \000 end\n' >&2
exit 1
'''
restart = "never"
"#,
    ) + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let crash = receiver.wait_type("program.crashed", "loud");
    contract::check(&crash);
    assert!(crash.body.len() < 20_000, "{} bytes", crash.body.len());
    let data = &crash.json()["data"];
    let tail = data["log_tail"].as_array().expect("a list");
    let last = tail.last().and_then(Value::as_str).expect("a line");
    assert!(
        last.contains("not UTF-8") && last.ends_with("end"),
        "{last:?}"
    );
    assert!(
        !last.contains(['\x1b', '\0']),
        "control characters as text: {last:?}"
    );
    assert_eq!(supervisor.stop(), 0);
}
