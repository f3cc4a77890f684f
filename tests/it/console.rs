//! The standard input of programs: what `stop_stdin` and `send` type arrives, whoever does not read delays nothing,
//! and the end of a supervisor is no end of input. What came is judged by what the programs themselves recorded.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use crate::support::supervisor::Supervisor;
use crate::support::{processes, wait_for};

/// Records what it reads, and its signals, in `got`; ends on `stop` alone.
fn reader(keys: &str) -> String {
    format!(
        r#"
[program.web]
shell = true
command = '''
trap 'echo TERM >> got' TERM
echo up >> up
while read -r line; do echo "$line" >> got; [ "$line" = stop ] && exit 0; done
echo END >> got
while :; do sleep 0.02; done
'''
start_confirm = "10ms"
{keys}
"#
    )
}

/// Never reads; ends on TERM, which it records.
fn deaf(keys: &str) -> String {
    format!(
        r#"
[program.web]
shell = true
command = '''
trap 'echo TERM >> got; exit 0' TERM
echo up >> up
while :; do sleep 0.02; done
'''
start_confirm = "10ms"
{keys}
"#
    )
}

fn running(config: &str) -> Supervisor {
    let supervisor = Supervisor::marked(config);
    supervisor.wait_phase("web", "running");
    supervisor.wait_lines("up", 1);
    supervisor
}

fn all(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a command that worked said.
fn said(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert!(output.status.success(), "{args:?} {}", all(&output));
    all(&output)
}

/// What a command that failed with code 1 said.
fn refused(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert_eq!(output.status.code(), Some(1), "{args:?} {}", all(&output));
    all(&output)
}

fn inputs(supervisor: &Supervisor) -> Vec<PathBuf> {
    let mut found = processes::files(&supervisor.file(".jikimi/pipes"));
    found.retain(|path| path.extension().is_some_and(|end| end == "in"));
    found
}

#[test]
fn a_program_that_ends_on_its_console_line_gets_its_lines_and_no_signal() {
    let keys = r#"
stop_stdin = ["say bye", { wait = "50ms" }, "", "save-all", "stop"]
stop_timeout = "10m"
"#;
    let mut supervisor = running(&reader(keys));
    let found = inputs(&supervisor);
    assert_eq!(found.len(), 1, "{found:?}");
    let mode = found[0].metadata().expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(said(&supervisor, &["stop", "web"]), "web: stopped\n");
    assert_eq!(supervisor.lines("got"), ["say bye", "", "save-all", "stop"]);
    assert_eq!(
        inputs(&supervisor),
        [] as [PathBuf; 0],
        "it goes with its run"
    );
    assert!(supervisor.events_of("program.killed", "web").is_empty());
    // A restart and the end of the supervisor ask the same way.
    said(&supervisor, &["start", "web"]);
    said(&supervisor, &["restart", "web"]);
    supervisor.wait_lines("got", 8);
    supervisor.wait_lines("up", 3);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(supervisor.lines("got").len(), 12);
    supervisor.assert_nothing_left();
}

#[test]
fn a_program_that_heeds_no_line_has_its_time_and_then_gets_its_signal_and_kill() {
    let keys = "stop_stdin = [\"halt\"]\nstop_timeout = \"150ms\"";
    let supervisor = running(&deaf(keys));
    assert_eq!(said(&supervisor, &["stop", "web"]), "web: stopped\n");
    assert_eq!(supervisor.lines("got"), ["TERM"]);

    let supervisor = running(&reader(keys));
    let output = said(&supervisor, &["stop", "web"]);
    assert!(output.contains("killed"), "{output}");
    assert_eq!(
        supervisor.lines("got").first().map(String::as_str),
        Some("halt")
    );
    assert!(supervisor.read("got").contains("TERM"));
    let killed = supervisor.events_of("program.killed", "web");
    let cause = &killed[0]["data"]["cause"];
    assert_eq!(cause, "did not end within 5s of SIGTERM");
}

#[test]
fn what_is_sent_arrives_and_what_cannot_be_is_said() {
    let supervisor = running(
        &(reader("stdin = \"pipe\"")
            + r#"
[program.none]
command = "sleep 1000"
start_confirm = "10ms"

[program.closed]
shell = true
command = "exec <&-; touch closed; exec sleep 1000"
stdin = "pipe"
start_confirm = "10ms"

[program.down]
command = "sleep 1000"
stdin = "pipe"
autostart = false
"#),
    );
    let output = said(&supervisor, &["send", "web", "say  $HOME 'hi'"]);
    assert!(
        output.starts_with("web: a line was typed (pid "),
        "{output}"
    );
    said(&supervisor, &["send", "w*", "--not", "an", "option"]);
    said(&supervisor, &["send", "web", ""]);
    let got = supervisor.wait_lines("got", 3);
    assert_eq!(got, ["say  $HOME 'hi'", "--not an option", ""]);
    wait_for("its closed input", || {
        let is_closed = supervisor.file("closed").exists();
        is_closed.then_some(()).ok_or_else(|| "open".to_owned())
    });
    supervisor.wait_phase("none", "running");
    for (name, words) in [
        (
            "none",
            "none: has no standard input to type into: that takes stdin = \"pipe\"",
        ),
        (
            "closed",
            "closed: has closed its standard input; the line was not typed",
        ),
        ("down", "down: is not running; nothing was typed"),
        ("nobody", "no program is called \"nobody\""),
    ] {
        let output = refused(&supervisor, &["send", name, "hi"]);
        assert!(output.contains(words), "{output}");
    }
    let output = refused(&supervisor, &["send", "web", "two\nlines"]);
    assert!(output.contains("send one line of 4095 bytes"), "{output}");
    // What is typed is nobody else's business.
    let (_, log) = supervisor.output();
    assert!(!log.contains("$HOME"), "{log}");
}

#[test]
fn a_program_that_does_not_read_delays_nothing_and_is_told_of() {
    // Without the shortcut the stop would take ten minutes.
    let keys = "stop_stdin = [\"stop\"]\nstop_timeout = \"10m\"";
    let mut supervisor = running(&deaf(keys));
    let line = "x".repeat(4095);
    let output = wait_for("a full pipe", || {
        let output = supervisor.cli(&["send", "web", &line]);
        match output.status.code() {
            Some(0) => Err("room".to_owned()),
            _ => Ok(all(&output)),
        }
    });
    assert!(
        output.contains("web: does not read its standard input, which is full; the line was not typed (1 such lines in this run)"),
        "{output}"
    );
    let output = refused(&supervisor, &["send", "web", &line]);
    assert!(output.contains("(2 such lines in this run)"), "{output}");
    supervisor.wait_phase("web", "running");
    assert_eq!(said(&supervisor, &["stop", "web"]), "web: stopped\n");
    assert_eq!(supervisor.lines("got"), ["TERM"]);
    supervisor.wait_log("(3 such lines in this run): \"stop\"; its signal comes now");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

const LONG: &str = r#"stop_stdin = ["say bye", { wait = "10m" }, "stop"]"#;

#[test]
fn a_second_signal_among_the_lines_kills_at_once() {
    let mut supervisor = running(&reader(LONG));
    supervisor.signal("INT");
    supervisor.wait_log("waiting for web (\"say bye\" typed ");
    supervisor.wait_log("s ago, \"stop\" in ");
    supervisor.wait_lines("got", 1);
    supervisor.signal("INT");
    assert_eq!(supervisor.wait().code(), Some(1));
    assert_eq!(supervisor.lines("got"), ["say bye"]);
    supervisor.assert_nothing_left();
    let killed = supervisor.events_of("program.killed", "web");
    assert_eq!(
        killed[0]["data"]["cause"],
        "\"say bye\" was typed, and then it was to end at once"
    );
}

#[test]
fn the_shutdown_waits_for_no_lines_that_take_longer_than_itself() {
    let config = reader(LONG);
    let mut supervisor = running(&format!(
        "[supervisor]\nshutdown_timeout = \"300ms\"\n{config}"
    ));
    assert_eq!(supervisor.stop(), 1);
    assert_eq!(supervisor.lines("got"), ["say bye"]);
    supervisor.assert_nothing_left();
}

#[test]
fn a_line_with_a_secret_in_it_is_shown_as_it_was_written() {
    let mut supervisor =
        Supervisor::configured(&reader(r#"stop_stdin = ["login ${CONSOLE_WORD}", "stop"]"#));
    supervisor.spawn_with(&["run"], &[("CONSOLE_WORD", "hunter2")]);
    wait_for("an answer", || supervisor.try_status().map(drop));
    supervisor.wait_phase("web", "running");
    supervisor.wait_lines("up", 1);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(supervisor.lines("got"), ["login hunter2", "stop"]);
    let (out, log) = supervisor.output();
    assert!(log.contains("\"login ${CONSOLE_WORD}\" typed"), "{log}");
    assert!(!(out + &log).contains("hunter2"));
}

#[test]
fn the_end_of_a_supervisor_is_no_end_of_input_and_the_next_one_types_on() {
    let mut supervisor = running(&reader("stdin = \"pipe\""));
    said(&supervisor, &["send", "web", "one"]);
    supervisor.wait_lines("got", 1);
    let pid = supervisor.pid_in("web", "running");
    supervisor.kill();
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("web", "running"), pid, "it went on");
    said(&supervisor, &["send", "web", "two"]);
    supervisor.wait_lines("got", 2);
    assert_eq!(supervisor.lines("got"), ["one", "two"]);
    said(&supervisor, &["send", "web", "stop"]);
    supervisor.wait_phase("web", "exited");
    assert_eq!(
        inputs(&supervisor),
        [] as [PathBuf; 0],
        "it goes with its run"
    );
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_stop_that_was_cut_off_by_the_end_of_its_supervisor_is_begun_again() {
    let mut supervisor = running(&reader(LONG));
    let pid = supervisor.pid_in("web", "running");
    said(&supervisor, &["stop", "--no-wait", "web"]);
    supervisor.wait_lines("got", 1);
    wait_for("its stop in the history", || {
        match supervisor.events_of("program.stopping", "web").len() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    });
    supervisor.kill();
    let config = supervisor
        .read("jikimi.toml")
        .replace("\"10m\"", "\"50ms\"");
    supervisor.write("jikimi.toml", &config);
    supervisor.start_marked();
    supervisor.wait_phase("web", "stopped");
    assert_eq!(supervisor.lines("got"), ["say bye", "say bye", "stop"]);
    processes::wait_gone(pid);
    assert_eq!(supervisor.lines("up").len(), 1, "it is not started again");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}
