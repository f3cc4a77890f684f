//! How programs are asked to end: signals in a sequence, haste in the middle of it, and signals by hand. What came
//! is judged by what the programs themselves recorded.

use serde_json::json;

use crate::support::screen::{Screen, at_terminal};
use crate::support::supervisor::Supervisor;

/// Records the signals it gets in `got`, and ends on none of them but the last of `ends`.
fn recorder(keys: &str, ends: &str) -> String {
    format!(
        r#"
[program.web]
shell = true
command = '''
for s in HUP INT QUIT USR1 TERM; do trap "echo $s >> got" $s; done
trap 'echo {ends} >> got; exit 0' {ends}
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

/// Standard output of a command that worked.
fn said(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn signals_come_in_their_order_and_the_one_it_heeds_is_the_last() {
    let keys = r#"stop_signal = ["INT", { wait = "50ms" }, "QUIT", { wait = "50ms" }, "USR1", { wait = "10m" }, "TERM"]"#;
    let mut supervisor = running(&recorder(keys, "USR1"));
    assert_eq!(said(&supervisor, &["stop", "web"]), "web: stopped\n");
    assert_eq!(supervisor.lines("got"), ["INT", "QUIT", "USR1"]);
    assert!(supervisor.events_of("program.killed", "web").is_empty());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn after_the_last_signal_comes_kill_and_the_reason_names_that_signal() {
    let keys = "stop_signal = [\"INT\", { wait = \"50ms\" }, \"TERM\"]\nstop_timeout = \"100ms\"";
    let mut supervisor = running(&recorder(keys, "USR1"));
    let output = said(&supervisor, &["stop", "web"]);
    assert!(
        output.contains("killed: it did not stop in time"),
        "{output}"
    );
    assert_eq!(supervisor.lines("got"), ["INT", "TERM"]);
    let killed = supervisor.events_of("program.killed", "web");
    assert_eq!(
        killed[0]["data"]["cause"],
        "did not end within 100ms of SIGTERM"
    );
    assert_eq!(supervisor.stop(), 0);
}

const LONG: &str = r#"stop_signal = ["INT", { wait = "10m" }, "TERM"]
stop_timeout = "10m""#;

#[test]
fn who_stops_a_program_at_a_terminal_sees_how_far_it_is() {
    let mut screen = Screen::open();
    let supervisor = running(&recorder(LONG, "USR1"));
    let mut stop = at_terminal(&screen, &supervisor.command(&["stop", "web"]));
    let mut stop = stop.spawn().expect("setsid is there");
    screen.wait("waiting for web (INT ");
    screen.wait("s ago, TERM in ");
    let view = supervisor.program("web");
    let cause = view["cause"].as_str().unwrap_or_default().to_owned();
    assert!(
        cause.starts_with("INT ") && cause.contains("TERM in"),
        "{view}"
    );
    assert_eq!(view["phase"], "stopping");
    said(&supervisor, &["signal", "web", "USR1"]);
    screen.wait(": stopped");
    assert!(stop.wait().expect("our own child").success());
}

#[test]
fn a_second_signal_in_the_middle_of_a_sequence_kills_at_once() {
    let mut supervisor = running(&recorder(LONG, "USR1"));
    supervisor.signal("INT");
    supervisor.wait_log("waiting for web (INT ");
    supervisor.wait_lines("got", 1);
    supervisor.signal("INT");
    assert_eq!(supervisor.wait().code(), Some(1));
    assert_eq!(supervisor.lines("got"), ["INT"], "nothing came between");
    supervisor.assert_nothing_left();
    let killed = supervisor.events_of("program.killed", "web");
    let cause = killed[0]["data"]["cause"].as_str().unwrap_or_default();
    assert_eq!(
        cause, "SIGINT was sent, and then it was to end at once",
        "{killed:?}"
    );
}

#[test]
fn the_shutdown_waits_for_no_sequence_that_is_longer_than_itself() {
    let config = recorder(LONG, "USR1");
    let mut supervisor = running(&format!(
        "[supervisor]\nshutdown_timeout = \"300ms\"\n{config}"
    ));
    assert_eq!(supervisor.stop(), 1);
    supervisor.assert_nothing_left();
    assert_eq!(supervisor.lines("got"), ["INT"]);
}

#[test]
fn what_is_left_of_a_run_goes_through_the_signals_too() {
    // The main process ends on INT; what it left heeds TERM alone.
    let supervisor = running(
        r#"
[program.web]
shell = true
command = '''
( trap '' INT; trap 'echo left TERM >> got; exit 0' TERM; echo up >> up; while :; do sleep 0.02; done ) &
trap 'echo INT >> got; exit 0' INT
while :; do sleep 0.02; done
'''
start_confirm = "10ms"
stop_signal = ["INT", { wait = "100ms" }, "TERM"]
stop_timeout = "10m"
"#,
    );
    assert_eq!(said(&supervisor, &["stop", "web"]), "web: stopped\n");
    assert_eq!(supervisor.lines("got"), ["INT", "left TERM"]);
}

#[test]
fn a_signal_by_hand_reaches_the_main_process_and_says_so() {
    let supervisor = running(
        r#"
[program.web]
shell = true
command = '''
( trap 'echo child >> got' HUP USR1; while :; do sleep 0.02; done ) &
for s in HUP USR1; do trap "echo $s >> got" $s; done
echo up >> up
while :; do sleep 0.02; done
'''
start_confirm = "10ms"

[program.down]
command = "sleep 1000"
autostart = false
"#,
    );
    let output = said(&supervisor, &["signal", "web", "HUP"]);
    let pid = supervisor.program("web")["pid"].clone();
    assert_eq!(output, format!("web: SIGHUP sent (pid {pid})\n"));
    supervisor.wait_lines("got", 1);
    said(&supervisor, &["signal", "w*", "web", "SIGUSR1"]);
    supervisor.wait_lines("got", 2);
    assert_eq!(
        supervisor.lines("got"),
        ["HUP", "USR1"],
        "once, and to no child"
    );
    for (args, code, words) in [
        (
            ["signal", "down", "HUP"],
            1,
            "down: is not running; no signal was sent",
        ),
        (
            ["signal", "web", "HPU"],
            1,
            "\"HPU\" is no signal; did you mean \"HUP\"?",
        ),
        (["signal", "wbe", "HUP"], 1, "no program is called \"wbe\""),
    ] {
        let output = supervisor.cli(&args);
        let all = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{args:?} {all}");
        assert!(all.contains(words), "{args:?} {all}");
    }
    // A signal changes nothing of what is wanted: a program that ends by it is restarted.
    said(&supervisor, &["signal", "web", "KILL"]);
    let crashed = supervisor.wait_program("web", "another run", |view| {
        view["restarts"] == 1 && view["phase"] == "running"
    });
    assert_eq!(crashed["last_exit"], json!({ "signal": "SIGKILL" }));
}
