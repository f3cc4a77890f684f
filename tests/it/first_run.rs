//! The first run: what a person gets who clones the repository and types one command, with nothing prepared.

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// The repository's `config`, copied into a directory of its own.
fn clone() -> Supervisor {
    let place = Supervisor::configured("");
    std::fs::remove_file(place.file("jikimi.toml")).expect("a clone has none at its top");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("config"),
        &place.file("config"),
    );
    place
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("our own folder");
    for entry in std::fs::read_dir(from).expect("it is in the repository") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("our own folder");
        }
    }
}

fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("bound").port().to_string()
}

const DEMO: [&str; 6] = [
    "inbox", "crasher", "chatty", "memory", "worker:0", "worker:1",
];

#[test]
fn the_first_run_shows_the_whole_path_and_ends_cleanly() {
    let mut place = clone();
    place.spawn_with(&["run"], &[("JIKIMI_INBOX_PORT", &free_port())]);
    wait_for("the supervisor to answer", || place.try_status().map(drop));
    for name in DEMO {
        place.wait_program(name, "up at least once", |view| {
            matches!(view["phase"].as_str(), Some("running" | "backoff"))
        });
    }
    // A notification has gone all the way: event, delivery, HTTP, and what the inbox printed of it.
    let inbox = ".jikimi/logs/inbox/out.log";
    wait_for("the inbox to print a notification", || {
        let text = place.read(inbox);
        let is_there = text.lines().any(|l| l.contains("worker:1 started as pid"));
        is_there.then_some(()).ok_or(text)
    });
    for name in DEMO {
        let view = place.program(name);
        assert_ne!(view["phase"], "fatal", "{view}");
        assert_eq!(view["desired"], "up", "{view}");
    }
    let target = place.status()["targets"][0].clone();
    assert_eq!(target["name"], "inbox", "{target}");
    assert!(target["delivered"].as_u64() > Some(0), "{target}");
    assert_eq!(target["failed"], 0, "{target}");
    // Programs' lines are on the terminal, each with its name.
    wait_for("chatty on the terminal", || {
        let (out, _) = place.output();
        let is_there = out
            .lines()
            .any(|l| l.contains("chatty") && l.ends_with("and all is well"));
        is_there.then_some(()).ok_or(out)
    });
    let pids: Vec<Value> = DEMO
        .iter()
        .map(|name| place.program(name)["pid"].clone())
        .collect();
    assert_eq!(place.stop(), 0, "{}", place.output().1);
    for pid in pids.iter().filter(|pid| !pid.is_null()) {
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is left"
        );
    }
    // The inbox is a program like the others: what it could not take any more waits for its next run.
    place.spawn_with(&["run"], &[("JIKIMI_INBOX_PORT", &free_port())]);
    wait_for("the supervisor to answer", || place.try_status().map(drop));
    wait_for("the word that the supervisor stopped", || {
        let text = place.read(inbox);
        let is_there = text.lines().any(|l| l.contains("supervisor.stopping"));
        is_there.then_some(()).ok_or(text)
    });
    assert_eq!(place.stop(), 0, "{}", place.output().1);
}

#[test]
fn a_program_of_ones_own_is_one_file_in_programs_d() {
    let mut place = clone();
    place.write(
        "config/programs.d/mine.toml",
        "[program.mine]\ncommand = [\"sh\", \"-c\", \"echo mine; exec sleep 1000\"]\n",
    );
    place.spawn_with(&["run"], &[("JIKIMI_INBOX_PORT", &free_port())]);
    wait_for("the supervisor to answer", || place.try_status().map(drop));
    place.wait_phase("mine", "running");
    wait_for("its line", || {
        let text = place.read(".jikimi/logs/mine/out.log");
        (text == "mine\n").then_some(()).ok_or(text)
    });
    assert_eq!(place.stop(), 0, "{}", place.output().1);
}
