//! When a program is started again, and when it is not: ends that forbid it.

use serde_json::{Value, json};

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// The only event of `kind` about `instance`, once it is there.
fn one_event(supervisor: &Supervisor, kind: &str, instance: &str) -> Value {
    wait_for(&format!("{kind} of {instance}"), || {
        let mut events = supervisor.events_of(kind, instance);
        match events.pop() {
            Some(event) if events.is_empty() => Ok(event),
            other => Err(format!("{other:?} {events:?}")),
        }
    })
}

#[test]
fn an_end_by_a_signal_that_is_called_a_success_is_no_failure() {
    let supervisor = Supervisor::running(
        r#"
        [program.job]
        shell = true
        command = "kill -USR1 $$"
        success_signals = ["USR1"]
        "#,
    );
    let view = supervisor.wait_phase("job", "exited");
    assert_eq!(view["last_exit"], json!({ "signal": "SIGUSR1" }));
    one_event(&supervisor, "program.exited", "job");
    assert!(supervisor.events_of("program.crashed", "job").is_empty());
}

#[test]
fn a_code_that_forbids_a_restart_leaves_the_program_down_and_says_why() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo run >> runs; exit 78"
        restart = "always"
        no_restart_exit_codes = [78]

        [program.worker]
        shell = true
        command = "kill -KILL $$"
        no_restart_signals = ["KILL"]
        "#,
    );
    for (name, key) in [
        ("web", "no_restart_exit_codes"),
        ("worker", "no_restart_signals"),
    ] {
        supervisor.wait_phase(name, "exited");
        let crashed = one_event(&supervisor, "program.crashed", name);
        let cause = format!("not restarted, by {key}");
        assert_eq!(crashed["data"]["cause"], cause.as_str(), "{crashed}");
        let summary = crashed["summary"].as_str().expect("a text");
        assert!(summary.contains(&cause), "{summary}");
        assert!(supervisor.events_of("program.restarting", name).is_empty());
    }
    assert_eq!(supervisor.lines("runs"), ["run"]);
    // A person may start it all the same.
    supervisor.cli(&["start", "web"]);
    supervisor.wait_lines("runs", 2);
}
