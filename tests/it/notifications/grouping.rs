//! Programs that fail together are one message that lists them and lives until all are over, over kills too; a machine
//! gets one request for several events only where its route wants that.

use std::collections::BTreeSet;

use super::{FAST, crashes_on_demand, database};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

/// A Discord that answers as it does, and refuses more fields than it takes.
fn discord() -> Receiver {
    let mut made = 1_000;
    Receiver::scripted(move |request| {
        let body = request.json();
        let fields = body["embeds"][0]["fields"].as_array().map_or(0, Vec::len);
        if fields > 25 {
            return Reply::status(400);
        }
        if request.method == "POST" {
            made += 1;
        }
        let body = format!("{{\"id\": \"{made}\", \"channel_id\": \"5\"}}");
        Reply::Status(200, vec![], body)
    })
}

/// Crashes when it is told to, and stays down until a person starts it.
fn crashes_and_stays_down(name: &str) -> String {
    crashes_on_demand(name) + "restart = \"never\"\n"
}

fn three(wait: &str, receiver: &Receiver) -> String {
    let programs: String = [("db", ""), ("web", "db"), ("api", "web")]
        .iter()
        .map(|(name, needs)| {
            let needs = if needs.is_empty() {
                String::new()
            } else {
                format!("depends_on = [\"{needs}\"]\n")
            };
            crashes_and_stays_down(name) + &needs
        })
        .collect();
    format!(
        "{programs}\n[target.chat]\nkind = \"discord\"\nurl = \"{}\"\n{FAST}\n[[route]]\nprograms = [\"*\"]\ntargets = [\"chat\"]\ngroup_wait = \"{wait}\"\n",
        receiver.url("/api/webhooks/1/tok")
    )
}

fn fail(supervisor: &Supervisor) {
    for name in ["db", "web", "api"] {
        supervisor.wait_phase(name, "running");
    }
    for name in ["api", "web", "db"] {
        supervisor.write(&format!("{name}.go"), "");
    }
}

fn all_crashed(supervisor: &Supervisor) {
    crate::support::wait_for("all to have crashed", || {
        let crashed: BTreeSet<String> = supervisor
            .events()
            .iter()
            .filter(|e| e["type"] == "program.crashed")
            .map(|e| e["instance"].to_string())
            .collect();
        if crashed.len() == 3 {
            Ok(())
        } else {
            Err(format!("{crashed:?}"))
        }
    });
}

fn told(receiver: &Receiver) -> Vec<(String, String)> {
    let all = receiver.received();
    let about = all.iter().filter(|r| r.body.contains("crashed"));
    // Discord's own signs are escaped.
    let plain = |body: &str| body.replace('\\', "");
    about.map(|r| (r.method.clone(), plain(&r.body))).collect()
}

#[test]
fn programs_that_fail_together_are_one_message_with_the_likely_cause_until_all_are_over() {
    let receiver = discord();
    // Long enough for a busy machine; the message goes at its end.
    let mut supervisor = Supervisor::running(&three("10s", &receiver));
    fail(&supervisor);
    all_crashed(&supervisor);
    receiver.wait_for("the message", |r| r.body.contains("crashed"));
    for name in ["api", "db", "web"] {
        let started = supervisor.cli(&["start", name]);
        assert!(started.status.success(), "{started:?}");
    }
    receiver.wait_for("the end of all", |r| {
        r.method == "PATCH" && r.body.contains("recovered\"")
    });
    supervisor.wait_target("chat", "nothing waits", |t| t["pending"] == 0);
    let sent = told(&receiver);
    assert_eq!(supervisor.stop(), 0);
    let (method, first) = &sent[0];
    assert_eq!(method, "POST");
    assert!(first.contains("depend on it"), "{first}");
    for name in [
        "db: crashed",
        "web: crashed",
        "api: crashed",
        "Likely cause",
    ] {
        assert!(first.contains(name), "{name} in {first}");
    }
    let edits = sent[1..].iter().filter(|(method, _)| method != "PATCH");
    assert_eq!(edits.count(), 0, "one message that is edited: {sent:#?}");
    let (_, last) = sent.last().expect("there are some");
    assert_eq!(last.matches("[recovered]").count(), 3, "{last}");
    let ids: Vec<String> = {
        let db = database(&supervisor);
        let mut read = db
            .prepare("SELECT DISTINCT incident FROM messages")
            .expect("our own tables");
        let rows = read
            .query_map([], |row| row.get(0))
            .expect("our own tables");
        rows.collect::<Result<_, _>>().expect("our own tables")
    };
    assert_eq!(ids.len(), 1, "one message is known: {ids:?}");
}

#[test]
fn a_kill_while_programs_wait_to_be_told_together_loses_none_and_splits_none() {
    let receiver = discord();
    let mut supervisor = Supervisor::running(&three("20s", &receiver));
    fail(&supervisor);
    all_crashed(&supervisor);
    let db = database(&supervisor);
    crate::support::wait_for("all to be stored", || {
        let stored: i64 = db
            .query_row(
                "SELECT count(DISTINCT incident) FROM group_members",
                [],
                |row| row.get(0),
            )
            .map_err(|e| e.to_string())?;
        if stored == 3 {
            Ok(())
        } else {
            Err(format!("{stored}"))
        }
    });
    drop(db);
    assert_eq!(told(&receiver), [], "all wait");
    supervisor.kill();
    supervisor.start();
    receiver.wait_for("the message", |r| r.body.contains("crashed"));
    supervisor.wait_target("chat", "nothing waits", |t| t["pending"] == 0);
    let sent = told(&receiver);
    supervisor.stop();
    assert_eq!(sent[0].0, "POST");
    for name in ["db: crashed", "web: crashed", "api: crashed"] {
        assert!(sent[0].1.contains(name), "{name} in {}", sent[0].1);
    }
    let made = sent.iter().filter(|(method, _)| method == "POST");
    assert_eq!(made.count(), 1, "{sent:#?}");
}

#[test]
fn what_waits_to_be_told_together_is_told_at_a_clean_end() {
    let receiver = discord();
    let mut supervisor = Supervisor::running(&three("5m", &receiver));
    fail(&supervisor);
    all_crashed(&supervisor);
    supervisor.stop();
    let sent = told(&receiver);
    assert!(!sent.is_empty(), "the last pass tells it");
    for name in ["db: crashed", "web: crashed", "api: crashed"] {
        assert!(sent[0].1.contains(name), "{name} in {}", sent[0].1);
    }
}

#[test]
fn a_machine_whose_route_waits_gets_one_request_that_names_every_event() {
    let receiver = Receiver::start();
    let config = crashes_and_stays_down("db")
        + &crashes_and_stays_down("web")
        + &crashes_and_stays_down("api")
        + &format!(
            "\n[target.hook]\nkind = \"webhook\"\nurl = \"{}\"\n{FAST}\n[[route]]\nevents = [\"program.crashed\"]\ntargets = [\"hook\"]\ngroup_wait = \"10s\"\n",
            receiver.url("/")
        );
    let mut supervisor = Supervisor::running(&config);
    fail(&supervisor);
    all_crashed(&supervisor);
    let grouped = receiver.wait_for("the crashes", |r| r.json()["data"]["grouped"].is_u64());
    let crashed: BTreeSet<String> = supervisor
        .events()
        .iter()
        .filter(|e| e["type"] == "program.crashed")
        .filter_map(|e| e["id"].as_str().map(str::to_owned))
        .collect();
    let body = grouped.json();
    let named: BTreeSet<String> = body["data"]["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    // What a machine has been told of it hears the rest of, too.
    assert!(named.is_superset(&crashed), "{named:?} {crashed:?}");
    assert_eq!(body["data"]["grouped"], named.len());
    supervisor.stop();
    let all = receiver.received();
    let requests = all.iter().filter(|r| r.body.contains("program.crashed"));
    assert_eq!(requests.count(), 1, "one request");
}
