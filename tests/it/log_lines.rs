//! Readiness by a line of output: what programs write of themselves.

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A shell script that is ready when it has written a line.
fn says(name: &str, script: &str, pattern: &str) -> String {
    format!(
        "[program.{name}]\nshell = true\ncommand = '''{script}'''\nstart_confirm = \"20ms\"\n\
         backoff = {{ initial = \"20ms\", max = \"20ms\" }}\nreadiness = {{ log_line = '{pattern}' }}\n"
    )
}

/// Waits for the file `go`.
const WAIT: &str = "while ! test -e go; do sleep 0.02; done";

fn wait_ready(supervisor: &Supervisor, name: &str) -> Value {
    supervisor.wait_program(name, "ready", |view| view["ready"] == true)
}

fn wait_output(supervisor: &Supervisor, file: &str, end: &[u8]) {
    let path = supervisor.file(file);
    wait_for(file, || {
        let bytes = std::fs::read(&path).unwrap_or_default();
        if bytes.ends_with(end) {
            Ok(())
        } else {
            Err(format!("{} bytes", bytes.len()))
        }
    });
}

/// Waits until it was told that the program is ready; how often that was.
fn times_told(supervisor: &Supervisor, name: &str) -> usize {
    wait_for("program.ready", || {
        let events = supervisor.events_of("program.ready", name);
        if events.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(events.len())
        }
    })
}

#[test]
fn a_program_that_says_so_in_its_very_first_line_is_ready_whichever_stream_it_says_it_on() {
    let mut config = says("out", "echo ready; exec sleep 1d", "^ready$");
    config.push_str(&says("err", "echo ready >&2; exec sleep 1d", "^ready$"));
    let mut supervisor = Supervisor::running(&config);
    for name in ["out", "err"] {
        let view = wait_ready(&supervisor, name);
        assert_eq!(view["health"], "healthy");
        assert_eq!(times_told(&supervisor, name), 1);
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_depends_on_it_starts_when_the_line_comes_and_its_half_is_not_enough() {
    let script = format!("echo starting; printf 'rea'; {WAIT}; echo 'dy'; exec sleep 1d");
    let mut config = says("db", &script, "^ready$");
    config.push_str(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\ndepends_on = { db = \"healthy\" }\n",
    );
    let supervisor = Supervisor::running(&config);
    wait_output(&supervisor, ".jikimi/logs/db/out.log", b"rea");
    supervisor.wait_program("web", "waiting", |view| {
        view["cause"] == "waits for db (healthy), which is running"
    });
    assert_eq!(supervisor.program("db")["cause"], "not ready yet");
    supervisor.write("go", "");
    supervisor.wait_phase("web", "running");
    assert_eq!(wait_ready(&supervisor, "db")["restarts"], 0);
    // The line is in the file as it was written.
    wait_output(&supervisor, ".jikimi/logs/db/out.log", b"starting\nready\n");
}

#[test]
fn bytes_that_are_no_text_and_lines_without_an_end_in_sight_hide_nothing() {
    let script = "head -c 300000 /dev/zero; printf '\\n\\377\\376\\033[31m'; head -c 100000 /dev/urandom | tr -d '\\n'; \
                  printf '\\nport \\377\\200 open\\r\\n'; exec sleep 1d";
    let supervisor = Supervisor::running(&says("web", script, "^port .* open$"));
    wait_ready(&supervisor, "web");
}

#[test]
fn a_program_that_never_says_it_has_failed_in_time_and_a_line_of_the_run_before_does_not_count() {
    let script = "test -e said || { touch said; echo ready; exit 1; }; test -e go && echo ready; exec sleep 1d";
    let config = says("web", script, "ready").replace(
        "start_confirm",
        "start_timeout = \"600ms\"\nrestart_limit = { count = 1000 }\nstart_confirm",
    );
    let supervisor = Supervisor::running(&config);
    let crashed = wait_for("a start that took too long", || {
        let events = supervisor.events_of("program.crashed", "web");
        let found = events
            .iter()
            .find(|e| e["data"]["trigger"] == "start_timeout");
        found.cloned().ok_or_else(|| format!("{events:#?}"))
    });
    assert_eq!(crashed["data"]["cause"], "not ready within 600ms");
    supervisor.write("go", "");
    let view = wait_ready(&supervisor, "web");
    assert_ne!(view["run"], crashed["run"]);
}

#[test]
fn a_run_that_outlives_the_supervisor_stays_ready_or_becomes_so_by_what_it_wrote_meanwhile() {
    let mut config = says("old", "echo ready; exec sleep 1d", "ready");
    let script = format!("echo starting; {WAIT}; echo ready; echo over; exec sleep 1d");
    config.push_str(&says("new", &script, "ready"));
    let mut supervisor = Supervisor::running(&config);
    let old = wait_ready(&supervisor, "old");
    assert_eq!(times_told(&supervisor, "old"), 1);
    let new = supervisor.wait_phase("new", "running");
    supervisor.kill();
    supervisor.write("go", "");
    wait_output(&supervisor, ".jikimi/logs/new/out.log", b"over\n");
    // Emptied by hand: what was ready does not have to say it again.
    std::fs::write(supervisor.file(".jikimi/logs/old/out.log"), "").expect("emptied");
    supervisor.start();
    assert_eq!(wait_ready(&supervisor, "new")["run"], new["run"]);
    assert_eq!(wait_ready(&supervisor, "old")["run"], old["run"]);
    assert_eq!(times_told(&supervisor, "new"), 1);
}

#[test]
fn a_reload_that_gives_a_pattern_has_it_held_against_what_was_written_before() {
    let config = says("web", "echo one; echo two; exec sleep 1d", "three");
    let supervisor = Supervisor::running(&config);
    let before = supervisor.wait_phase("web", "running");
    assert_eq!(before["ready"], false);
    supervisor.write("jikimi.toml", &config.replace("three", "^one$"));
    let reload = supervisor.cli(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(wait_ready(&supervisor, "web")["run"], before["run"]);
}
