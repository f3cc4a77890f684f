//! Nothing lost and nothing invented, whatever happens to the supervisor.

use std::collections::{BTreeMap, BTreeSet};

use super::{database, hook};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const CRASHERS: usize = 4;

/// Programs that crash for as long as there is no file `enough`, and write a line for every crash.
fn crashers() -> String {
    format!(
        r#"
[program.crasher]
shell = true
command = '''
[ -e enough ] && exec sleep 1000
echo $JIKIMI_INSTANCE >> crashes
exit 7
'''
instances = {CRASHERS}
start_confirm = "20ms"
backoff = {{ initial = "30ms", max = "60ms" }}
restart_limit = {{ count = 1000, within = "1s" }}
recover_after = "100ms"
"#
    )
}

fn ids(supervisor: &Supervisor, sql: &str) -> Vec<String> {
    let db = database(supervisor);
    let mut read = db.prepare(sql).expect("our own tables");
    let rows = read.query_map([], |row| row.get(0));
    rows.and_then(Iterator::collect).expect("our own tables")
}

/// Everything that was routed arrived, with the same bytes each time; nothing else arrived.
fn assert_nothing_lost_or_invented(supervisor: &Supervisor, receiver: &Receiver, kills: usize) {
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    let requests = receiver.received();
    for request in &requests {
        let id = request.headers["webhook-id"].clone();
        let first = bodies.entry(id).or_insert_with(|| request.body.clone());
        assert_eq!(*first, request.body, "the same bytes on every attempt");
    }
    let doubles = requests.len() - bodies.len();
    assert!(
        doubles <= kills,
        "one message was in flight at each kill: {doubles} doubles"
    );
    let routed: BTreeSet<String> =
        ids(supervisor, "SELECT id FROM deliveries WHERE target = 'ops'")
            .into_iter()
            .collect();
    let heard: BTreeSet<String> = bodies.keys().cloned().collect();
    assert_eq!(heard, routed);
    let states = ids(supervisor, "SELECT DISTINCT state FROM deliveries");
    assert_eq!(states, ["delivered"]);
    let events: BTreeSet<String> = ids(supervisor, "SELECT id FROM events")
        .into_iter()
        .collect();
    let told: BTreeSet<String> = requests
        .iter()
        .filter_map(|r| r.json()["data"]["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(told, events, "every event there is was routed here");
    assert_eq!(told.len(), bodies.len(), "one delivery an event");
}

#[test]
fn a_supervisor_killed_again_and_again_loses_and_invents_no_message() {
    const KILLS: usize = 6;
    let receiver = Receiver::start();
    let config = crashers() + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::configured(&config);
    let mut seen = 0;
    for _ in 0..KILLS {
        supervisor.start();
        // A different place in the flow each time.
        seen = receiver.count().max(seen) + fastrand::usize(1..60);
        wait_for("more messages", || {
            let now = receiver.count();
            if now >= seen {
                Ok(())
            } else {
                Err(format!("{now} of {seen}"))
            }
        });
        supervisor.kill();
    }
    supervisor.write("enough", "");
    supervisor.start();
    for n in 0..CRASHERS {
        supervisor.wait_phase(&format!("crasher:{n}"), "running");
    }
    // The end tells everything that is left.
    supervisor.wait_target("ops", "nothing waits", |t| t["pending"] == 0);
    assert_eq!(supervisor.stop(), 0);
    assert_nothing_lost_or_invented(&supervisor, &receiver, KILLS);
    let crashes = receiver.types();
    let told = crashes.iter().filter(|k| *k == "program.crashed").count();
    let real = supervisor.lines("crashes").len();
    assert!(told <= real + KILLS * CRASHERS, "{told} told of {real}");
    assert_eq!(
        crashes
            .iter()
            .filter(|k| *k == "supervisor.recovered")
            .count(),
        KILLS
    );
}

#[test]
fn what_waits_for_a_target_that_is_down_survives_a_kill_and_a_stop() {
    let mut is_up = false;
    let (up, receiver) = {
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&flag);
        let receiver = Receiver::scripted(move |_| {
            is_up |= seen.load(std::sync::atomic::Ordering::SeqCst);
            Reply::status(if is_up { 204 } else { 500 })
        });
        (flag, receiver)
    };
    let config = super::crashes_once("web")
        + &hook("ops", &receiver.url("/"), "breaker = { failures = 100 }");
    let mut supervisor = Supervisor::running(&config);
    supervisor.wait_program("web", "its second run", |p| p["restarts"] == 1);
    wait_for("the recovery to be recorded", || {
        let events = supervisor.events_of("program.recovered", "web");
        if events.is_empty() {
            Err(String::new())
        } else {
            Ok(())
        }
    });
    supervisor.kill();
    supervisor.start();
    assert_eq!(supervisor.stop(), 0);
    let (_, log) = supervisor.output();
    assert!(log.contains("kept for the next start"), "{log}");
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    let before = receiver.count();
    supervisor.start();
    supervisor.wait_target("ops", "nothing waits", |t| t["pending"] == 0);
    assert_eq!(supervisor.stop(), 0);
    let mut taken: Vec<String> = receiver.received()[before..]
        .iter()
        .map(|r| r.headers["webhook-id"].clone())
        .collect();
    taken.sort();
    let mut routed = ids(&supervisor, "SELECT id FROM deliveries");
    routed.sort();
    assert_eq!(taken, routed, "each of them, and once");
}

#[test]
fn a_message_that_was_on_its_way_at_a_kill_is_sent_again_with_the_same_id_and_bytes() {
    let mut is_first = true;
    let receiver = Receiver::scripted(move |request| {
        let is_crash = request.json()["type"] == "program.crashed";
        if is_crash && std::mem::replace(&mut is_first, false) {
            Reply::Hang
        } else {
            Reply::status(204)
        }
    });
    let config = super::crashes_once("web") + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let on_its_way = receiver.wait_type("program.crashed", "web");
    supervisor.kill();
    supervisor.start();
    supervisor.wait_target("ops", "nothing waits", |t| t["pending"] == 0);
    assert_eq!(supervisor.stop(), 0);
    let mut same = receiver.received();
    same.retain(|r| r.headers["webhook-id"] == on_its_way.headers["webhook-id"]);
    assert_eq!(same.len(), 2, "before the kill and after it");
    assert_eq!(same[0].body, same[1].body);
}

#[test]
fn what_became_too_old_is_not_sent_and_is_counted() {
    let receiver = Receiver::scripted(|_| Reply::status(500));
    let ages = "[notify]\nmax_age = { info = \"1s\", warning = \"1h\", critical = \"1h\" }\n";
    let config = super::crashes_once("web")
        + ages
        + &hook("ops", &receiver.url("/"), "breaker = { failures = 100 }");
    let mut supervisor = Supervisor::running(&config);
    // Started and ready at first; restarting, started and ready go on with the incident.
    supervisor.wait_target("ops", "the old are given up", |t| {
        t["failed"].as_u64().is_some_and(|n| n >= 3)
    });
    assert_eq!(supervisor.stop(), 0);
    let left = ids(
        &supervisor,
        "SELECT DISTINCT severity FROM deliveries WHERE state = 'expired'",
    );
    assert_eq!(left, ["info"], "a warning is worth more");
}
