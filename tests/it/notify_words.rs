//! What programs say of themselves by `sd_notify` besides ready and alive, and where they say it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::os_settings::is_root;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that sends what it finds in the file `say`, once, ends well when `leave` is there, and when it is asked
/// to end wants ten minutes for that.
const SPEAKER: &str = r#"
command = ["python3", "-c", '''
import os, signal, socket, time
a = os.environ["NOTIFY_SOCKET"]
a = "\0" + a[1:] if a[0] == "@" else a
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
say = lambda what: s.sendto(what, a)
signal.signal(signal.SIGTERM, lambda *_: say(b"EXTEND_TIMEOUT_USEC=600000000"))
say(b"READY=1\nSTATUS=" + os.environ["NOTIFY_SOCKET"].encode())
while not os.path.exists("leave"):
    if os.path.exists("say"):
        what = open("say", "rb").read()
        if what:
            os.remove("say")
            say(what)
    time.sleep(0.02)
''']
start_confirm = "20ms"
backoff = { initial = "20ms", max = "20ms" }
readiness = { notify = true }
"#;

/// It, and that it is up and was heard.
fn speaking(keys: &str) -> (Supervisor, Value) {
    let supervisor = Supervisor::running(&format!("[program.web]\n{SPEAKER}{keys}\n"));
    let ready = wait_ready(&supervisor);
    (supervisor, ready)
}

fn wait_ready(supervisor: &Supervisor) -> Value {
    supervisor.wait_program("web", "ready", |view| {
        view["ready"] == true && view["status_text"].is_string()
    })
}

fn wait_event(supervisor: &Supervisor, kind: &str) -> Value {
    wait_for(&format!("{kind} of web"), || {
        let last = supervisor.events_of(kind, "web").pop();
        last.ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

/// The notify sockets that are files of the state directory.
fn files(state_dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state_dir.join("pipes")).expect("the pipes of its runs");
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "notify"))
        .collect()
}

#[test]
fn what_a_program_says_of_itself_is_shown_until_it_says_otherwise() {
    let (supervisor, _) = speaking("");
    let says = |text: &str, shown: &Value| {
        supervisor.write("say", text);
        supervisor.wait_program("web", text, |view| view["status_text"] == *shown);
    };
    says("STATUS=12 players", &"12 players".into());
    let output = supervisor.cli(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\"12 players\""), "{text}");
    // A terminal is not written to by programs.
    says("STATUS=\u{1b}[2Jred", &"\\x1b[2Jred".into());
    says("STATUS=", &Value::Null);
}

#[test]
fn a_program_that_says_that_it_stops_is_not_ready_and_ends_by_itself() {
    let (supervisor, _) = speaking("stop_timeout = \"10m\"");
    supervisor.write("say", "STOPPING=1");
    let view = supervisor.wait_program("web", "leaving", |view| view["ready"] == false);
    assert_eq!(
        (&view["phase"], &view["cause"]),
        (&"running".into(), &"it said that it is stopping".into())
    );
    supervisor.write("leave", "");
    wait_event(&supervisor, "program.exited");
    supervisor.wait_phase("web", "exited");
    assert!(supervisor.events_of("program.crashed", "web").is_empty());
}

#[test]
fn one_that_says_that_it_stops_and_does_not_is_ended_as_a_failure() {
    let (supervisor, before) = speaking("stop_timeout = \"300ms\"\nstop_signal = \"KILL\"");
    supervisor.write("say", "STOPPING=1");
    let crashed = wait_event(&supervisor, "program.crashed");
    assert_eq!(crashed["run"], before["run"]);
    assert_eq!(crashed["data"]["trigger"], "stop_timeout");
    assert_eq!(
        crashed["data"]["cause"],
        "it said that it is stopping, and did not end within 300ms"
    );
    let next = wait_ready(&supervisor);
    assert_ne!(next["run"], before["run"]);
}

#[test]
fn a_stop_waits_for_a_program_that_wants_more_time_and_a_shutdown_does_not() {
    let config = format!(
        "[supervisor]\nshutdown_timeout = \"2s\"\n[program.web]\n{SPEAKER}stop_timeout = \"20s\"\n"
    );
    let mut supervisor = Supervisor::running(&config);
    wait_ready(&supervisor);
    assert!(
        supervisor
            .cli(&["stop", "web", "--no-wait"])
            .status
            .success()
    );
    supervisor.wait_program("web", "more time", |view| {
        let cause = view["cause"].as_str().unwrap_or_default();
        let left = cause.split_once("KILL in ").map(|(_, left)| left);
        let left = left.and_then(|left| left.trim_end_matches('s').parse::<u32>().ok());
        left.is_some_and(|left| left > 60)
    });
    supervisor.write("leave", "");
    supervisor.wait_phase("web", "stopped");
    assert!(supervisor.events_of("program.killed", "web").is_empty());
    std::fs::remove_file(supervisor.file("leave")).expect("it is there");
    assert!(supervisor.cli(&["start", "web"]).status.success());
    wait_ready(&supervisor);
    assert_eq!(supervisor.stop(), 1, "it had to be killed");
}

#[test]
fn a_socket_that_is_a_file_is_nobody_elses() {
    let (supervisor, view) = speaking("");
    let address = view["status_text"].as_str().expect("a text");
    let file = std::fs::metadata(address).expect("a file");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(file.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(files(&supervisor.file(".jikimi")), [PathBuf::from(address)]);
}

#[test]
fn a_program_of_another_user_or_below_a_long_path_is_heard_without_a_file() {
    let user = if is_root() {
        "user = \"nobody\"\ndirectory = \"/\"\n"
    } else {
        ""
    };
    for (long, user) in [(false, user), (true, ""), (true, user)] {
        let mut supervisor = Supervisor::configured("");
        let state = if long {
            // The control socket has just room for its name, the longer one of a run has none.
            let room = 94 - supervisor.path().as_os_str().len();
            "s".repeat(room)
        } else {
            ".jikimi".to_owned()
        };
        let is_file = !long && user.is_empty();
        supervisor.write(
            "jikimi.toml",
            &format!(
                "[supervisor]\nstate_dir = \"{state}\"\n[program.web]\n{SPEAKER}{user}stop_signal = \"KILL\"\n"
            ),
        );
        supervisor.start();
        let view = wait_ready(&supervisor);
        let address = view["status_text"].as_str().expect("a text");
        assert_eq!(address.starts_with("@jikimi/"), !is_file, "{address}");
        assert_eq!(files(&supervisor.file(&state)).is_empty(), !is_file);
        supervisor.stop();
    }
}
