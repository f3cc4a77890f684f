//! Probes that a reload changes while their programs run, and definitions that are read often.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::support::supervisor::Supervisor;

/// A program that looks for `file`, as `aspect` says.
fn looking(aspect: &str, file: &str) -> String {
    format!(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n\
         backoff = {{ initial = \"20ms\", max = \"20ms\" }}\n\
         [program.web.{aspect}]\nexec = [\"test\", \"-e\", \"{file}\"]\ninterval = \"100ms\"\nfailure_threshold = 2\n"
    )
}

fn reload(supervisor: &Supervisor, config: &str) {
    supervisor.write("jikimi.toml", config);
    let reloaded = supervisor.cli(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    let said = String::from_utf8_lossy(&reloaded.stdout);
    assert!(said.contains("live        web"), "{said}");
}

#[test]
fn a_readiness_that_a_reload_changes_is_judged_anew_and_the_program_runs_on() {
    let supervisor = Supervisor::configured(&looking("readiness", "old"));
    supervisor.write("old", "");
    let mut supervisor = supervisor;
    supervisor.start();
    let before = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    reload(&supervisor, &looking("readiness", "new"));
    let lost = supervisor.wait_program("web", "not ready", |view| view["ready"] == false);
    assert_eq!(lost["pid"], before["pid"]);
    supervisor.write("new", "");
    let back = supervisor.wait_program("web", "ready again", |view| view["ready"] == true);
    assert_eq!(
        (&back["pid"], &back["restarts"]),
        (&before["pid"], &Value::from(0))
    );
    // Without a probe nothing is asked, and what runs is ready.
    std::fs::remove_file(supervisor.file("new")).expect("it was there");
    supervisor.wait_program("web", "not ready", |view| view["ready"] == false);
    let none = looking("readiness", "new");
    let (none, _) = none
        .split_once("[program.web.readiness]")
        .expect("it is there");
    reload(&supervisor, none);
    let plain = supervisor.wait_program("web", "ready without", |view| view["ready"] == true);
    assert_eq!(plain["pid"], before["pid"]);
}

#[test]
fn a_liveness_that_comes_by_a_reload_ends_the_run_that_fails_it() {
    let mut supervisor = Supervisor::configured(&looking("liveness", "old"));
    supervisor.write("old", "");
    supervisor.start();
    let before = supervisor.wait_program("web", "healthy", |view| view["health"] == "healthy");
    reload(&supervisor, &looking("liveness", "missing"));
    supervisor.wait_program("web", "restarted", |view| {
        view["restarts"] != 0 && view["run"] != before["run"]
    });
    let crashed = supervisor.events_of("program.crashed", "web");
    assert_eq!(crashed[0]["run"], before["run"], "{crashed:?}");
}

/// The status, asked as any client would.
fn ask(supervisor: &Supervisor) -> Value {
    let mut stream =
        UnixStream::connect(supervisor.file(".jikimi/jikimi.sock")).expect("it answers");
    stream
        .write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn ten_thousand_reads_of_the_definitions_scan_the_disk_once() {
    let mut supervisor = Supervisor::configured("include = [\"programs.d/*.toml\"]\n");
    supervisor.write(
        "programs.d/web.toml",
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nautostart = false\n",
    );
    supervisor.start();
    for _ in 1..10_000 {
        ask(&supervisor);
    }
    let status = ask(&supervisor);
    let facts = &status["supervisor"]["configuration"];
    assert_eq!(
        (&facts["scans"], &facts["parses"]),
        (&Value::from(1), &Value::from(2))
    );
}
