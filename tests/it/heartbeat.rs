//! The heartbeat: somebody outside is given signs of life, so that silence says something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn config(url: &str, more: &str) -> String {
    format!(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\n[heartbeat]\nurl = \"{url}\"\ninterval = \"1s\"\n{more}\n"
    )
}

fn issues(of: &Supervisor) -> Vec<String> {
    let status = of.status();
    let issues = status["supervisor"]["issues"].as_array().cloned();
    let texts = issues.unwrap_or_default().into_iter();
    texts
        .filter_map(|i| i.as_str().map(str::to_owned))
        .collect()
}

fn wait_issue(of: &Supervisor, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
    wait_for(what, || {
        let issues = issues(of);
        if is_so(&issues) {
            Ok(issues)
        } else {
            Err(format!("{issues:?}"))
        }
    })
}

fn has_thread(of: &Supervisor) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", of.pid())).expect("it runs");
    tasks.flatten().any(|task| {
        std::fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|name| name.trim() == "heartbeat")
    })
}

#[test]
fn signs_of_life_come_at_the_interval_and_say_how_many_programs_are_up() {
    let receiver = Receiver::start();
    let url = receiver.url("/ping/of-this-box");
    let supervisor = Supervisor::running(&config(&url, "method = \"post\""));
    receiver.wait_for("a sign of life that knows of the program", |r| {
        r.method == "POST"
            && r.path == "/ping/of-this-box"
            && r.body == "1 of 1 programs that are to be up are up"
    });
    let before = receiver.count();
    wait_for("another two", || {
        let count = receiver.count();
        if count >= before + 2 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    });
    assert_eq!(issues(&supervisor), Vec::<String>::new());
}

#[test]
fn a_sign_of_life_that_is_not_taken_is_an_issue_until_one_is_and_the_address_is_never_shown() {
    let status = Arc::new(AtomicU16::new(503));
    let answer = Arc::clone(&status);
    let receiver = Receiver::scripted(move |_| Reply::status(answer.load(Ordering::SeqCst)));
    let url = receiver.url("/ping/PLANTED-SECRET-OF-THE-BEAT");
    let supervisor = Supervisor::running(&config(&url, ""));
    let said = wait_issue(&supervisor, "the issue", |issues| !issues.is_empty());
    assert_eq!(said, ["heartbeat: it was refused with status 503"]);
    assert_eq!(receiver.received()[0].method, "GET");
    status.store(200, Ordering::SeqCst);
    wait_issue(&supervisor, "the end of the issue", <[String]>::is_empty);
    let (out, log) = supervisor.output();
    assert!(log.contains("heartbeat: it was refused"), "{log}");
    assert!(log.contains("heartbeat: it is taken again"), "{log}");
    for text in [out, log, supervisor.status().to_string()] {
        assert!(!text.contains("PLANTED-SECRET"), "{text}");
    }
}

#[test]
fn a_reload_sends_it_elsewhere_and_takes_it_away() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let supervisor = Supervisor::running(&config(&first.url("/a"), ""));
    first.wait_for("the first sign of life", |r| r.path == "/a");
    supervisor.write("jikimi.toml", &config(&second.url("/b"), ""));
    let plan = supervisor.cli(&["reload", "--plan"]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("heartbeat.url"), "{plan}");
    assert!(supervisor.cli(&["reload"]).status.success());
    second.wait_for("a sign of life at the new place", |r| r.path == "/b");
    assert!(has_thread(&supervisor));
    supervisor.write(
        "jikimi.toml",
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\n",
    );
    assert!(supervisor.cli(&["reload"]).status.success());
    wait_for("the thread to end", || {
        if has_thread(&supervisor) {
            Err("it is there".to_owned())
        } else {
            Ok(())
        }
    });
}

#[test]
fn whoever_takes_it_and_never_answers_delays_no_end() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let mut supervisor = Supervisor::running(&config(&receiver.url("/"), "timeout = \"2m\""));
    receiver.wait_for("the request that hangs", |_| true);
    // Well within the two minutes of the request, or the helper gives up.
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_heartbeat_without_an_address_is_a_warning_that_says_so() {
    let supervisor = Supervisor::configured(
        "[program.web]\ncommand = [\"true\"]\n[heartbeat]\ninterval = \"5s\"\n",
    );
    let output = supervisor.cli(&["check"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("jikimi.toml:4:12: heartbeat.interval: there is a heartbeat, and nobody it goes to: give heartbeat.url"),
        "{said}"
    );
}
