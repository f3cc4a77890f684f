//! Who hears of what: routes by program, tag, event and severity, and the whole of an incident for whom was told
//! of its beginning.

use serde_json::Value;

use super::{FAST, crashes_on_demand, crashes_once, hook};
use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;

fn target(name: &str, receiver: &Receiver, route: &str) -> String {
    let url = receiver.url("/");
    format!(
        "\n[target.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\n{FAST}\n[[route]]\n{route}\ntargets = [\"{name}\"]\n"
    )
}

/// `type instance` of everything received, in order.
fn heard(receiver: &Receiver) -> Vec<String> {
    let say = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    receiver
        .received()
        .iter()
        .map(|r| {
            let json = r.json();
            format!("{} {}", say(&json["type"]), say(&json["data"]["instance"]))
        })
        .collect()
}

/// Cannot run until it is repaired.
const BROKEN: &str = r#"
[program.broken]
shell = true
command = "[ -e repaired ] && exec sleep 1000; exit 1"
start_confirm = "50ms"
backoff = { initial = "20ms", jitter = 0.0 }
restart_limit = { count = 1, within = "60s", then = "fatal" }
recover_after = "200ms"
"#;

/// What is told of an incident with one crash to whom was told of its beginning.
fn one_incident(instance: &str) -> [String; 5] {
    ["crashed", "restarting", "started", "ready", "recovered"]
        .map(|kind| format!("program.{kind} {instance}"))
}

#[test]
fn a_message_goes_to_whom_its_route_names_and_an_incident_that_began_is_told_to_its_end() {
    let [all, warned, critical, tagged, named, crashes] = [(); 6].map(|()| Receiver::start());
    let config = crashes_once("web")
        + "tags = [\"game\"]\n"
        + &crashes_once("db")
        + BROKEN
        + &target("every", &all, "min_severity = \"info\"")
        + &target("warned", &warned, "")
        + &target("critical", &critical, "min_severity = \"critical\"")
        + &target("tagged", &tagged, "programs = [\"tag:game\"]")
        + &target("named", &named, "programs = [\"d*\"]")
        + &target("crashes", &crashes, "events = [\"program.crashed\"]");
    let mut supervisor = Supervisor::running(&config);
    for instance in ["web", "db"] {
        all.wait_type("program.recovered", instance);
    }
    critical.wait_type("program.fatal", "broken");
    supervisor.write("repaired", "");
    assert!(supervisor.cli(&["start", "broken"]).status.success());
    let recovered = critical.wait_type("program.recovered", "broken");
    assert_eq!(
        recovered.json()["data"]["severity"],
        "critical",
        "of what it ends"
    );
    // The last pass has sent everything that was routed.
    supervisor.stop();
    assert_eq!(heard(&tagged), one_incident("web"));
    assert_eq!(heard(&named), one_incident("db"));
    let critical = heard(&critical);
    assert_eq!(
        critical.first().map(String::as_str),
        Some("program.fatal broken")
    );
    assert!(
        critical.iter().all(|h| h.ends_with(" broken")),
        "{critical:?}"
    );
    for (who, heard) in [("warned", heard(&warned)), ("crashes", heard(&crashes))] {
        for instance in ["web", "db"] {
            let own: Vec<&String> = heard
                .iter()
                .filter(|h| h.ends_with(&format!(" {instance}")))
                .collect();
            assert_eq!(
                own,
                one_incident(instance).iter().collect::<Vec<_>>(),
                "{who}"
            );
        }
        assert!(
            !heard.iter().any(|h| h.starts_with("supervisor.")),
            "{who}: {heard:?}"
        );
    }
    let everything = heard(&all);
    for told in [
        "supervisor.started -",
        "program.started web",
        "supervisor.stopping -",
    ] {
        assert!(
            everything.iter().any(|h| h == told),
            "{told}: {everything:?}"
        );
    }
}

#[test]
fn two_routes_to_one_target_make_one_delivery_an_event() {
    let receiver = Receiver::start();
    let config = crashes_once("web")
        + &hook("ops", &receiver.url("/"), "")
        + "[[route]]\ntargets = [\"ops\", \"ops\"]\n[[route]]\nprograms = [\"web\"]\ntargets = [\"ops\"]\n";
    let mut supervisor = Supervisor::running(&config);
    receiver.wait_type("program.recovered", "web");
    supervisor.stop();
    let mut events: Vec<String> = receiver
        .received()
        .iter()
        .map(|r| r.json()["data"]["id"].to_string())
        .collect();
    let count = events.len();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), count, "{:?}", heard(&receiver));
}

#[test]
fn a_program_that_crashes_again_before_it_recovered_is_the_same_incident() {
    let receiver = Receiver::start();
    let config = r#"
[program.web]
shell = true
command = '''
echo x >> runs
[ $(wc -l < runs) -le 2 ] && exit 3
exec sleep 1000
'''
start_confirm = "50ms"
backoff = { initial = "20ms", jitter = 0.0 }
recover_after = "200ms"
"#
    .to_owned()
        + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let recovered = receiver.wait_type("program.recovered", "web");
    let id = recovered.json()["data"]["incident"]["id"].clone();
    supervisor.stop();
    let mut seqs = Vec::new();
    for request in receiver.received() {
        let incident = &request.json()["data"]["incident"];
        if !incident.is_null() {
            assert_eq!(incident["id"], id, "{}", request.body);
            seqs.push(incident["seq"].as_u64().expect("a number"));
        }
    }
    let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
    assert_eq!(seqs, expected, "in order, none left out");
    let kinds = receiver.types();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(
        (count("program.crashed"), count("program.recovered")),
        (2, 1)
    );
}

#[test]
fn a_stop_by_hand_ends_the_incident_for_those_who_were_told() {
    let (told, other) = (Receiver::start(), Receiver::start());
    let config = r#"
[program.web]
shell = true
command = "exit 3"
backoff = { initial = "1h", max = "1h" }
"#
    .to_owned()
        + &target("told", &told, "events = [\"program.crashed\"]")
        + &target(
            "other",
            &other,
            "events = [\"supervisor.*\"]\nmin_severity = \"info\"",
        );
    let mut supervisor = Supervisor::running(&config);
    told.wait_type("program.crashed", "web");
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    let stopped = told.wait_type("program.stopped", "web");
    assert_eq!(stopped.json()["data"]["incident"]["state"], "resolved");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(
        heard(&other),
        ["supervisor.started -", "supervisor.stopping -"]
    );
    assert!(
        !told.types().contains(&"program.recovered".to_owned()),
        "nothing was seen to run again"
    );
}

#[test]
fn what_is_wrong_with_a_target_is_told_to_another_and_never_to_itself() {
    let down = Receiver::scripted({
        let mut refusals = 2;
        move |_| {
            refusals -= i32::from(refusals > 0);
            crate::support::receiver::Reply::status(if refusals > 0 { 500 } else { 204 })
        }
    });
    let ops = Receiver::start();
    let breaker = "breaker = { failures = 1, cooldown = \"300ms\" }";
    let config = crashes_on_demand("web")
        + &hook("down", &down.url("/"), breaker)
        + &hook("ops", &ops.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let failing = ops.wait_for("word that it fails", |r| {
        r.json()["type"] == "target.failing"
    });
    assert_eq!(failing.json()["data"]["target"], "down");
    assert_eq!(failing.json()["data"]["severity"], "warning");
    let restored = ops.wait_for("word that it is well", |r| {
        r.json()["type"] == "target.restored"
    });
    assert_eq!(restored.json()["data"]["target"], "down");
    assert_eq!(restored.json()["data"]["severity"], "warning");
    supervisor.write("web.go", "");
    down.wait_type("program.recovered", "web");
    supervisor.stop();
    let own = down.types();
    assert!(!own.iter().any(|k| k.starts_with("target.")), "{own:?}");
}
