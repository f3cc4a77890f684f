//! Programs of one's own as targets: what they are given, what their exit codes mean, and their end when they hang.

use std::path::Path;

use super::{FAST, attempts, crashes_once, database};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A target that runs `script` with the shell, with `more` keys.
fn exec(script: &str, more: &str) -> String {
    format!(
        "\n[target.own]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n{FAST}\n{more}\n\
         [[route]]\nmin_severity = \"info\"\ntargets = [\"own\"]\n"
    )
}

#[test]
fn a_program_is_given_every_event_on_its_standard_input() {
    let script = "cat >> told; echo \" $JIKIMI_EVENT $JIKIMI_DELIVERY\" >> told";
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &exec(script, "")));
    wait_for("the recovery", || {
        let told = supervisor.read("told");
        told.contains("program.recovered").then_some(()).ok_or(told)
    });
    assert_eq!(supervisor.stop(), 0);
    let mut deliveries = std::collections::BTreeSet::new();
    for line in supervisor.lines("told") {
        let (body, rest) = line.rsplit_once("} ").expect("a body and two words");
        let body: serde_json::Value =
            serde_json::from_str(&format!("{body}}}")).expect("the contract's JSON");
        let (kind, delivery) = rest.split_once(' ').expect("two words");
        assert_eq!(body["type"], kind);
        assert!(deliveries.insert(delivery.to_owned()), "{delivery} twice");
    }
}

#[test]
fn what_it_does_not_take_for_now_is_given_again_and_what_it_refuses_is_not() {
    let script = "case $JIKIMI_EVENT in program.started) exit 65;; program.crashed) ;; *) exit 0;; esac\n\
                  [ -e tried ] && { cat > taken; exit 0; }\ntouch tried; exit 75";
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &exec(script, "")));
    wait_for("the crash", || {
        let taken = supervisor.read("taken");
        taken.contains("program.crashed").then_some(()).ok_or(taken)
    });
    wait_for("both attempts", || {
        let crash = attempts(&supervisor, "own", "program.crashed");
        let seen: Vec<_> = crash
            .iter()
            .map(|a| (a.outcome.as_str(), a.status))
            .collect();
        let wanted = [("retry", Some(75)), ("delivered", Some(0))];
        (seen == wanted).then_some(()).ok_or(format!("{crash:?}"))
    });
    for refused in attempts(&supervisor, "own", "program.started") {
        assert_eq!(
            (refused.outcome.as_str(), refused.status),
            ("dead", Some(65))
        );
    }
    supervisor.stop();
}

#[test]
fn one_that_hangs_is_killed_with_what_it_started_and_tried_again() {
    let script = "sleep 1000 & echo $! >> pids; wait";
    let config = crashes_once("web") + &exec(script, "timeout = \"300ms\"");
    let mut supervisor = Supervisor::running(&config);
    wait_for("the second try", || {
        let pids = supervisor.lines("pids");
        (pids.len() >= 2).then_some(()).ok_or(format!("{pids:?}"))
    });
    let first = supervisor.lines("pids")[0].clone();
    wait_for("its end", || {
        let stat = std::fs::read_to_string(Path::new("/proc").join(&first).join("stat"));
        match stat {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    assert_eq!(supervisor.stop(), 0);
    // The one that ran at the end is killed too: nothing of it is left.
    wait_for("no process of it", || {
        let is_alive = |pid: &String| {
            let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let left: Vec<String> = supervisor
            .lines("pids")
            .into_iter()
            .filter(is_alive)
            .collect();
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    });
}

#[test]
fn what_it_prints_is_told_without_its_secrets() {
    let script = "echo \"the key $KEY is wrong\" >&2; exit 1";
    let more = "environment = { KEY = \"S3CRET-of-the-program\" }";
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &exec(script, more)));
    let error = wait_for("a failed attempt", || {
        let tries = attempts(&supervisor, "own", "supervisor.started");
        let error = tries.first().and_then(|a| a.error.clone());
        error.ok_or_else(|| format!("{tries:?}"))
    });
    assert_eq!(error, "exit code 1: the key [redacted] is wrong");
    let kept: Vec<String> = database(&supervisor)
        .prepare("SELECT last_error FROM deliveries WHERE last_error IS NOT NULL")
        .and_then(|mut read| read.query_map([], |row| row.get(0))?.collect())
        .expect("our own tables");
    assert!(
        !kept.is_empty() && kept.iter().all(|e| !e.contains("S3CRET")),
        "{kept:?}"
    );
    let status = supervisor.status().to_string();
    supervisor.stop();
    let (out, err) = supervisor.output();
    for text in [status, out, err] {
        assert!(!text.contains("S3CRET"), "{text}");
    }
}
