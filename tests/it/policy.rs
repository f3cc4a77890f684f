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

#[test]
fn a_run_that_lasted_as_long_as_it_may_is_ended_and_started_anew() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo $$ >> pids; exec sleep 1d"
        restart = "never"
        start_confirm = "10ms"
        max_runtime = { after = "400ms", jitter = 0.5 }
        "#,
    );
    // Again and again, and never held against the program.
    supervisor.wait_lines("pids", 4);
    let stopped = wait_for("planned ends", || {
        let events = supervisor.events_of("program.stopped", "web");
        (events.len() >= 3)
            .then_some(events)
            .ok_or_else(String::new)
    });
    for event in &stopped {
        assert_eq!(event["data"]["trigger"], "max_runtime", "{event}");
        let lasted = event["data"]["uptime_s"].as_f64().expect("a number");
        assert!(lasted >= 0.2, "{event}");
    }
    assert!(supervisor.events_of("program.crashed", "web").is_empty());
    assert_eq!(supervisor.program("web")["restarts"], 0);
}
