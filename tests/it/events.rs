//! `jikimi events`: what happened, for people and for programs, with a supervisor and without.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::{PATIENCE, wait_for};

const CRASHER: &str = r#"
[program.web]
shell = true
command = '''
[ -e crashed ] && exec sleep 1000
touch crashed
echo "last words" >&2
exit 3
'''
start_confirm = "50ms"
backoff = { initial = "50ms", jitter = 0.0 }
recover_after = "200ms"
"#;

fn recovered(supervisor: &Supervisor) {
    wait_for("web to recover", || {
        let events = supervisor.events();
        if events.iter().any(|e| e["type"] == "program.recovered") {
            Ok(())
        } else {
            Err(format!("{events:?}"))
        }
    });
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e["type"].as_str().expect("text"))
        .collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command whose output is read line by line; killed at the end.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(supervisor: &Supervisor, args: &[&str]) -> Self {
        let mut child = supervisor
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let out = child.stdout.take().expect("it is a pipe");
        Self {
            lines: read_lines(out),
            child,
        }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("one more line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    fn until(&self, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            seen.push(self.next());
            if seen.last().is_some_and(|e| e["type"] == kind) {
                return seen;
            }
        }
    }

    fn ended(&mut self) -> i32 {
        wait_for("the reader to end", || {
            match self.child.try_wait().expect("our own child") {
                Some(status) => status.code().ok_or_else(|| status.to_string()),
                None => Err("it runs".to_owned()),
            }
        })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(out: ChildStdout) -> Receiver<String> {
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if tx.send(line).is_err() {
                return;
            }
        }
    });
    rx
}

#[test]
fn events_are_an_object_a_line_in_the_contracts_shape() {
    let supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let events = supervisor.events();
    for event in &events {
        let mut keys: Vec<&str> = event
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "data", "id", "instance", "program", "run", "severity", "summary", "time", "type"
            ],
            "{event}"
        );
        let time = event["time"].as_str().expect("text");
        assert!(
            time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(),
            "{event}"
        );
        assert!(event["data"].is_object(), "{event}");
    }
    let mut ids: Vec<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
    let told = ids.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(told, ids, "oldest first, each once");
    assert_eq!(events[0]["type"], "supervisor.started");
    assert!(events[0]["program"].is_null());
    let crash = events
        .iter()
        .find(|e| e["type"] == "program.crashed")
        .expect("it crashed");
    assert_eq!(
        (&crash["severity"], &crash["program"], &crash["instance"]),
        (&"warning".into(), &"web".into(), &"web".into())
    );
    assert_eq!(crash["data"]["exit"], serde_json::json!({ "code": 3 }));
    assert_eq!(crash["data"]["log_tail"], serde_json::json!(["last words"]));
    assert!(
        crash["run"].is_string() && crash["data"]["pid"].is_u64(),
        "{crash}"
    );
    let summary = crash["summary"].as_str().expect("text");
    assert!(summary.starts_with("web crashed: exit code 3"), "{summary}");
}

#[test]
fn events_can_be_limited_by_number_time_and_type() {
    let supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let all = supervisor.events();
    let ask = |args: &[&str]| {
        let output = supervisor.cli(&[&["events", "--json"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", errors(&output));
        lines(&output)
    };
    assert_eq!(ask(&["-n", "2"]), all[all.len() - 2..]);
    assert_eq!(ask(&["-n", "0"]), [] as [Value; 0]);
    assert_eq!(ask(&["-n", "100000"]), all);
    assert_eq!(
        kinds(&ask(&[
            "--type",
            "program.crashed",
            "--type",
            "supervisor.*"
        ])),
        ["supervisor.started", "program.crashed"]
    );
    assert_eq!(
        kinds(&ask(&["--type", "program.*", "-n", "1"])),
        ["program.recovered"]
    );
    assert_eq!(ask(&["--since", "1h"]), all);
    let crash = all
        .iter()
        .position(|e| e["type"] == "program.crashed")
        .expect("it crashed");
    let since = all[crash]["time"].as_str().expect("text");
    let from = all
        .iter()
        .position(|e| e["time"] == since)
        .expect("the same");
    assert_eq!(ask(&["--since", since]), all[from..]);
    let bad = supervisor.cli(&["events", "--type", "program.crashd"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(
        errors(&bad).contains("program.crashed"),
        "the nearest: {}",
        errors(&bad)
    );
    let bad = supervisor.cli(&["events", "--since", "yesterday"]);
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn events_follow_what_happens_until_the_supervisor_ends() {
    let mut supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let mut following = Following::start(&supervisor, &["events", "--json", "-f", "-n", "1"]);
    assert_eq!(following.next()["type"], "program.recovered");
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    let seen = following.until("program.stopped");
    assert_eq!(kinds(&seen), ["program.stopping", "program.stopped"]);
    assert!(supervisor.cli(&["start", "web"]).status.success());
    following.until("program.ready");
    supervisor.stop();
    let last = following.until("program.stopped");
    assert!(kinds(&last).contains(&"supervisor.stopping"), "{last:?}");
    assert_eq!(following.ended(), 0);
}

#[test]
fn a_follower_may_choose_and_ends_when_nobody_reads_it() {
    let supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let mut following = Following::start(
        &supervisor,
        &[
            "events",
            "--json",
            "-f",
            "-n",
            "0",
            "--type",
            "program.stopped",
        ],
    );
    // What happens before it follows is not its business, and when that begins only its first line says.
    let line = wait_for("a line of the follower", || {
        for verb in ["stop", "start"] {
            assert!(supervisor.cli(&[verb, "web"]).status.success());
        }
        following.lines.try_recv().map_err(|e| e.to_string())
    });
    assert!(line.contains("\"program.stopped\""), "{line}");
    // As `| head -1` does: nobody reads the next line.
    let (_, nothing) = channel();
    following.lines = nothing;
    wait_for("the reader to end", || {
        for verb in ["start", "stop"] {
            let output = supervisor.cli(&[verb, "web"]);
            assert!(output.status.success(), "{}", errors(&output));
        }
        match following.child.try_wait().expect("our own child") {
            Some(status) => Ok(status),
            None => Err("it runs".to_owned()),
        }
    });
    assert_eq!(following.ended(), 0, "a closed pipe is no failure");
}

#[test]
fn events_are_read_from_the_state_folder_when_no_supervisor_runs() {
    let mut supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let live = supervisor.events();
    supervisor.stop();
    let output = supervisor.cli(&["events", "--json"]);
    assert!(output.status.success(), "{}", errors(&output));
    let stored = lines(&output);
    assert_eq!(stored[..live.len()], live[..]);
    assert!(kinds(&stored).contains(&"supervisor.stopping"));
    assert!(
        errors(&output).contains("no supervisor answers"),
        "{}",
        errors(&output)
    );
    let last = supervisor.cli(&["events", "--json", "-n", "1", "--type", "program.crashed"]);
    assert_eq!(kinds(&lines(&last)), ["program.crashed"]);
    let follow = supervisor.cli(&["events", "--json", "-f"]);
    assert_eq!(follow.status.code(), Some(5), "{}", errors(&follow));
    assert_eq!(lines(&follow), stored, "what there is, is shown");
}

#[test]
fn events_of_a_supervisor_that_was_killed_are_there() {
    let mut supervisor = Supervisor::running(CRASHER);
    recovered(&supervisor);
    let live = supervisor.events();
    supervisor.kill();
    let output = supervisor.cli(&["events", "--json"]);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(lines(&output)[..live.len()], live[..]);
    supervisor.start();
    let events = supervisor.events();
    assert_eq!(events[..live.len()], live[..]);
    assert!(kinds(&events).contains(&"supervisor.recovered"));
    supervisor.stop();
}

#[test]
fn without_a_supervisor_and_without_a_state_folder_there_is_a_sentence() {
    let supervisor = Supervisor::configured(CRASHER);
    let output = supervisor.cli(&["events", "--json"]);
    assert_eq!(output.status.code(), Some(5), "{}", errors(&output));
    assert!(output.stdout.is_empty());
    assert!(
        !supervisor.file(".jikimi").exists(),
        "reading makes nothing"
    );
}
