//! `sd_notify`: programs that say themselves that they are ready and alive, and what follows.

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that sends each line of the file `say` it finds, once, and goes on.
const SPEAKER: &str = r#"
command = ["python3", "-c", '''
import os, socket, time
a = os.environ["NOTIFY_SOCKET"]
a = "\0" + a[1:] if a[0] == "@" else a
open("address", "w").write(os.environ["NOTIFY_SOCKET"])
open("usec", "w").write(os.environ.get("WATCHDOG_USEC", "none"))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(what):
    try: s.sendto(what, a)
    except OSError: pass
while True:
    if os.path.exists("alive"): say(b"WATCHDOG=1")
    if os.path.exists("flood"):
        for _ in range(2000): say(b"STATUS=" + b"x" * 1000)
    if os.path.exists("ready"): say(b"READY=1")
    if os.path.exists("trigger"):
        os.remove("trigger")
        say(b"WATCHDOG=trigger")
    if os.path.exists("fds"):
        fds = [0] * 50
        import array
        s.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))], 0, a)
    time.sleep(0.02)
''']
start_confirm = "20ms"
backoff = { initial = "20ms", max = "20ms" }
"#;

const PLAIN: &str = "[program.other]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n";

fn speaker(keys: &str) -> String {
    format!("[program.web]\n{SPEAKER}{keys}\n{PLAIN}")
}

fn wait_event(supervisor: &Supervisor, kind: &str) -> Value {
    wait_for(&format!("{kind} of web"), || {
        let events = supervisor.events_of(kind, "web");
        events
            .last()
            .cloned()
            .ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

#[test]
fn a_program_is_ready_when_it_says_so_and_its_socket_goes_with_it() {
    let mut supervisor = Supervisor::running(&speaker("readiness = { notify = true }"));
    supervisor.wait_lines("address", 1);
    let waits = supervisor.wait_phase("web", "running");
    assert_eq!(waits["ready"], false);
    assert_eq!(waits["cause"], "not ready yet");
    assert_eq!(supervisor.wait_lines("usec", 1), ["none"]);
    let socket = std::path::PathBuf::from(supervisor.read("address"));
    assert!(socket.exists(), "{}", socket.display());
    supervisor.write("ready", "");
    let ready = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(ready["health"], "healthy");
    wait_event(&supervisor, "program.ready");
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    assert!(!socket.exists(), "{}", socket.display());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_program_that_is_silent_or_says_that_it_failed_is_restarted_by_its_watchdog() {
    let supervisor = Supervisor::running(&speaker(
        "liveness = { notify = true, interval = \"1s\", failure_threshold = 2 }",
    ));
    supervisor.write("alive", "");
    assert_eq!(supervisor.wait_lines("usec", 1), ["2000000"]);
    let first = supervisor.wait_program("web", "healthy", |view| view["health"] == "healthy");
    supervisor.write("trigger", "");
    let crashed = wait_event(&supervisor, "program.crashed");
    assert_eq!(crashed["run"], first["run"]);
    assert_eq!(crashed["data"]["trigger"], "watchdog");
    let second = supervisor.wait_program("web", "healthy again", |view| {
        view["health"] == "healthy" && view["run"] != first["run"]
    });
    std::fs::remove_file(supervisor.file("alive")).expect("it is there");
    let crashed = wait_for("the second crash", || {
        let all = supervisor.events_of("program.crashed", "web");
        let of_second = all.iter().find(|event| event["run"] == second["run"]);
        of_second.cloned().ok_or_else(|| format!("{all:#?}"))
    });
    assert_eq!(crashed["data"]["trigger"], "watchdog");
    assert_eq!(crashed["data"]["cause"], "no WATCHDOG=1 within 2s");
}

#[test]
fn a_stranger_is_not_heeded_and_a_flood_or_descriptors_harm_nobody() {
    let supervisor = Supervisor::running(&speaker("readiness = { notify = true }"));
    supervisor.wait_lines("address", 1);
    supervisor.wait_phase("web", "running");
    let files = supervisor.status()["supervisor"]["open_files"].clone();
    let stranger = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    let sent = stranger.send_to(b"READY=1", supervisor.read("address"));
    assert!(sent.is_ok(), "{sent:?}");
    wait_for("the word on it", || {
        let (out, err) = supervisor.output();
        let said = format!("{out}{err}");
        let is_said = said.contains("which is not of this run, spoke on its notify socket");
        is_said.then_some(()).ok_or(said)
    });
    assert_eq!(supervisor.program("web")["ready"], false);
    supervisor.write("fds", "");
    supervisor.write("flood", "");
    // Others are served in the midst of it.
    for _ in 0..3 {
        assert!(supervisor.cli(&["restart", "other"]).status.success());
    }
    supervisor.write("ready", "");
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    let after = supervisor.status()["supervisor"]["open_files"].clone();
    let (before, after) = (files.as_u64(), after.as_u64());
    assert!(
        after.zip(before).is_some_and(|(a, b)| a < b + 40),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_run_is_heard_at_the_same_place_after_a_kill_of_the_supervisor() {
    let mut supervisor = Supervisor::marked(&speaker(
        "readiness = { notify = true }\nliveness = { notify = true, interval = \"3s\", failure_threshold = 1 }",
    ));
    supervisor.wait_lines("address", 1);
    let before = supervisor.wait_phase("web", "running");
    wait_event(&supervisor, "program.started");
    supervisor.kill();
    supervisor.start_marked();
    let adopted = supervisor.wait_phase("web", "running");
    assert_eq!(
        (&adopted["pid"], &adopted["ready"]),
        (&before["pid"], &Value::Bool(false))
    );
    supervisor.write("alive", "");
    supervisor.write("ready", "");
    let ready = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(ready["run"], before["run"]);
    wait_event(&supervisor, "program.ready");
    supervisor.kill();
    supervisor.start_marked();
    let again = supervisor.wait_program("web", "ready at once", |view| view["ready"] == true);
    assert_eq!(again["run"], before["run"]);
    std::fs::remove_file(supervisor.file("alive")).expect("it is there");
    let crashed = wait_event(&supervisor, "program.crashed");
    assert_eq!(crashed["run"], before["run"]);
    assert_eq!(crashed["data"]["trigger"], "watchdog");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}
