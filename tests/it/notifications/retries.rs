//! Targets that are down, refuse, ask for time or hang: what is tried again, what is not, and that nobody waits
//! for another.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{attempts, crashes_on_demand, crashes_once, hook};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A port on which nobody listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    listener.local_addr().expect("it is bound").port()
}

/// How often the breaker lets a target that fails be tried, so that no test waits for it.
const EAGER: &str = "breaker = { failures = 100 }";

/// Event ids of the messages about `instance`, in the order in which they came.
fn ids_about(receiver: &Receiver, instance: &str) -> Vec<String> {
    let requests = receiver.received();
    let about = requests
        .iter()
        .filter(|r| r.json()["data"]["instance"] == instance);
    about.map(|r| r.json()["data"]["id"].to_string()).collect()
}

#[test]
fn what_a_target_that_is_down_was_to_hear_it_hears_when_it_is_up() {
    let port = free_port();
    let config = crashes_once("web") + &hook("ops", &format!("http://127.0.0.1:{port}/"), EAGER);
    let mut supervisor = Supervisor::running(&config);
    supervisor.wait_program("web", "its second run", |p| p["restarts"] == 1);
    let view = supervisor.wait_target("ops", "an error", |t| t["last_error"].is_string());
    assert_eq!(view["delivered"], 0, "{view}");
    let receiver = Receiver::on_port(port, |_| Reply::status(204));
    receiver.wait_type("program.recovered", "web");
    supervisor.stop();
    let crash = attempts(&supervisor, "ops", "program.crashed");
    let (last, refused) = crash.split_last().expect("it was tried");
    assert_eq!(last.outcome, "delivered");
    for attempt in refused {
        assert_eq!(
            (attempt.outcome.as_str(), attempt.status),
            ("retry", None),
            "{attempt:?}"
        );
        assert!(
            attempt
                .error
                .as_deref()
                .is_some_and(|e| e.contains("refused")),
            "{attempt:?}"
        );
    }
    let ids = ids_about(&receiver, "web");
    let about_crash = ids.len();
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), about_crash, "each once");
}

#[test]
fn an_incident_is_told_in_its_order_and_another_does_not_wait_for_it() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    // What is first about web is refused until somebody else was heard.
    let receiver = Receiver::scripted(move |request| {
        let json = request.json();
        let is_about = |name: &str| json["data"]["instance"] == name;
        if is_about("web") && json["type"] == "program.crashed" && !well.load(Ordering::SeqCst) {
            return Reply::status(503);
        }
        if is_about("db") && json["type"] == "program.recovered" {
            well.store(true, Ordering::SeqCst);
        }
        Reply::status(204)
    });
    let config =
        crashes_once("web") + &crashes_on_demand("db") + &hook("ops", &receiver.url("/"), EAGER);
    let mut supervisor = Supervisor::running(&config);
    receiver.wait_type("program.crashed", "web");
    supervisor.write("db.go", "");
    receiver.wait_type("program.recovered", "web");
    supervisor.stop();
    let requests = receiver.received();
    let place = |kind: &str, name: &str, last: bool| {
        let is_it = |r: &Received| {
            let json = r.json();
            json["type"] == kind && json["data"]["instance"] == name
        };
        let found = if last {
            requests.iter().rposition(is_it)
        } else {
            requests.iter().position(is_it)
        };
        found.unwrap_or_else(|| panic!("no {kind} of {name}"))
    };
    assert!(place("program.recovered", "db", false) < place("program.crashed", "web", true));
    assert!(is_well.load(Ordering::SeqCst));
    let mut seqs: Vec<u64> = requests[place("program.crashed", "web", true)..]
        .iter()
        .map(Received::json)
        .filter(|json| json["data"]["instance"] == "web")
        .filter_map(|json| json["data"]["incident"]["seq"].as_u64())
        .collect();
    let told = seqs.clone();
    seqs.sort_unstable();
    assert_eq!(told, seqs);
    assert_eq!(told, [1, 2, 3, 4, 5], "crashed to recovered");
}

#[test]
fn a_stated_wait_is_kept_in_each_of_its_forms() {
    let date = |in_s: i64| {
        let now = jiff::Timestamp::now();
        let format = |at: jiff::Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        vec![
            ("Date".to_owned(), format(now)),
            (
                "Retry-After".to_owned(),
                format(now + jiff::SignedDuration::from_secs(in_s)),
            ),
        ]
    };
    let seconds = vec![("Retry-After".to_owned(), "2".to_owned())];
    let in_body = r#"{"retry_after": 2.0}"#;
    let forms = [
        ("seconds", 429, seconds.clone(), ""),
        ("a date", 429, date(2), ""),
        ("the body", 429, vec![], in_body),
        ("seconds of a 503", 503, seconds, ""),
    ];
    let mut receivers = Vec::new();
    let mut config = crashes_once("web");
    for (n, (_, status, headers, body)) in forms.iter().enumerate() {
        let (status, headers, body) = (*status, headers.clone(), (*body).to_owned());
        let mut is_asked = false;
        let receiver = Receiver::scripted(move |_| {
            if std::mem::replace(&mut is_asked, true) {
                Reply::status(204)
            } else {
                Reply::Status(status, headers.clone(), body.clone())
            }
        });
        config += &hook(
            &format!("t{n}"),
            &receiver.url("/"),
            "breaker = { failures = 1, cooldown = \"1h\", cooldown_max = \"1h\" }",
        );
        receivers.push(receiver);
    }
    let mut supervisor = Supervisor::running(&config);
    for receiver in &receivers {
        receiver.wait_type("program.recovered", "web");
    }
    supervisor.stop();
    for (n, (form, status, _, _)) in forms.iter().enumerate() {
        let tries = attempts(&supervisor, &format!("t{n}"), "supervisor.started");
        assert_eq!(tries.len(), 2, "{form}: {tries:?}");
        assert_eq!(
            (tries[0].outcome.as_str(), tries[0].status),
            ("retry", Some(i64::from(*status))),
            "{form}"
        );
        let pause = tries[1].started_at - tries[0].started_at;
        assert!(pause >= 2_000, "{form}: waited {pause} ms");
        let first = receivers[n].received()[0].json();
        let second = receivers[n].received()[1].json();
        assert_eq!(first, second, "{form}: the whole target waited");
    }
}

#[test]
fn a_refusal_for_good_is_not_repeated_and_is_counted() {
    let mut is_first = true;
    let receiver = Receiver::scripted(move |_| {
        Reply::status(if std::mem::replace(&mut is_first, false) {
            404
        } else {
            204
        })
    });
    let config = crashes_once("web") + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    receiver.wait_type("program.recovered", "web");
    let view = supervisor.wait_target("ops", "nothing waits", |t| t["pending"] == 0);
    assert_eq!(view["failed"], 1, "{view}");
    // One 404 is about one message.
    supervisor.wait_target("ops", "well", |t| t["state"] == "ready");
    supervisor.stop();
    let tries = attempts(&supervisor, "ops", "supervisor.started");
    let outcomes: Vec<_> = tries
        .iter()
        .map(|a| (a.outcome.as_str(), a.status))
        .collect();
    assert_eq!(outcomes, [("dead", Some(404))]);
}

#[test]
fn a_target_that_says_it_is_gone_is_left_alone() {
    let gone = Receiver::scripted(|_| Reply::status(410));
    let ops = Receiver::start();
    let config = crashes_on_demand("web")
        + &hook("gone", &gone.url("/"), "")
        + &hook("ops", &ops.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    supervisor.wait_target("gone", "dead", |t| t["state"] == "dead");
    supervisor.write("web.go", "");
    ops.wait_type("program.recovered", "web");
    let view = supervisor.target("gone");
    assert_eq!(view["failed"], 1, "{view}");
    supervisor.stop();
    assert_eq!(gone.received().len(), 1);
}

#[test]
fn a_target_that_never_answers_and_one_that_answers_for_ever_hold_up_nobody() {
    let (silent, endless, ops) = (
        Receiver::scripted(|_| Reply::Hang),
        Receiver::scripted(|_| Reply::Trickle),
        Receiver::start(),
    );
    // One worker: it must come back from both.
    let config = crashes_once("web")
        + "[notify]\nworkers = 1\nattempt_timeout = \"1s\"\n"
        + &hook("silent", &silent.url("/"), EAGER)
        + &hook("endless", &endless.url("/"), EAGER)
        + &hook("ops", &ops.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    ops.wait_type("program.recovered", "web");
    for target in ["silent", "endless"] {
        let attempt = wait_for("an attempt that ran out of time", || {
            let mut attempts = attempts(&supervisor, target, "supervisor.started");
            attempts.pop().ok_or_else(|| target.to_owned())
        });
        assert_eq!(attempt.outcome, "retry", "{attempt:?}");
        assert!(
            attempt.error.as_deref().is_some_and(|e| e.contains("time")),
            "{attempt:?}"
        );
    }
    // Neither holds up the end.
    assert_eq!(supervisor.stop(), 0, "{}", supervisor.output().1);
}

#[test]
fn a_target_gets_its_messages_while_another_is_being_waited_for() {
    let (silent, ops) = (Receiver::scripted(|_| Reply::Hang), Receiver::start());
    let config = crashes_once("web")
        + "[notify]\nattempt_timeout = \"2m\"\n"
        + &hook("silent", &silent.url("/"), "")
        + &hook("ops", &ops.url("/"), "");
    let supervisor = Supervisor::running(&config);
    ops.wait_type("program.recovered", "web");
    let view = supervisor.target("silent");
    assert_eq!(view["state"], "busy", "{view}");
    assert_eq!(silent.received().len(), 1, "one message at a time");
}

#[test]
fn targets_are_told_in_parallel() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let receivers: Vec<Receiver> = (0..4)
        .map(|_| {
            let arrived = Arc::clone(&arrived);
            let mut is_first = true;
            Receiver::scripted(move |_| {
                if std::mem::replace(&mut is_first, false) {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let start = Instant::now();
                    // Answered only when all four are here at once.
                    while arrived.load(Ordering::SeqCst) < 4 {
                        if start.elapsed() > Duration::from_secs(20) {
                            return Reply::status(404);
                        }
                        std::thread::yield_now();
                    }
                }
                Reply::status(204)
            })
        })
        .collect();
    let mut config = crashes_once("web") + "[notify]\nattempt_timeout = \"2m\"\n";
    for (n, receiver) in receivers.iter().enumerate() {
        config += &hook(&format!("t{n}"), &receiver.url("/"), "");
    }
    let mut supervisor = Supervisor::running(&config);
    for (n, receiver) in receivers.iter().enumerate() {
        receiver.wait_type("program.recovered", "web");
        let view = supervisor.target(&format!("t{n}"));
        assert_eq!(view["failed"], 0, "{view}");
    }
    supervisor.stop();
}

#[test]
fn a_connection_that_ends_without_an_answer_is_tried_again() {
    let mut is_first = true;
    let receiver = Receiver::scripted(move |_| {
        if std::mem::replace(&mut is_first, false) {
            Reply::Close
        } else {
            Reply::status(204)
        }
    });
    let config = crashes_once("web") + &hook("ops", &receiver.url("/"), EAGER);
    let mut supervisor = Supervisor::running(&config);
    supervisor.wait_target("ops", "nothing waits", |t| {
        t["pending"] == 0 && t["delivered"].as_u64().is_some_and(|n| n > 0)
    });
    supervisor.stop();
    let tries = attempts(&supervisor, "ops", "supervisor.started");
    let outcomes: Vec<_> = tries
        .iter()
        .map(|a| (a.outcome.as_str(), a.status))
        .collect();
    assert_eq!(outcomes, [("retry", None), ("delivered", Some(204))]);
}
