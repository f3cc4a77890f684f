//! Many at once: a storm of crashes, thousands of deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use super::hook;
use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Threads of the supervisor but those that answer commands, each of which lives for one of our questions.
fn threads(supervisor: &Supervisor) -> BTreeSet<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", supervisor.pid())).expect("it runs");
    let names = tasks.flatten().filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let id = task.file_name().to_string_lossy().into_owned();
        Some(format!("{} {id}", name.trim_end()))
    });
    names.filter(|name| !name.starts_with("control")).collect()
}

/// A named pipe: whoever opens it to read waits until it is opened to write.
fn gate(supervisor: &Supervisor) -> std::path::PathBuf {
    let gate = supervisor.file("gate");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe in our own folder");
    gate
}

#[test]
fn five_hundred_programs_that_crash_at_once_are_all_told_and_cost_no_thread() {
    const PROGRAMS: usize = 500;
    let receiver = Receiver::start();
    // Each waits for the gate to be opened, without a child of its own.
    let config = format!(
        r#"
[program.web]
shell = true
command = "read line < gate; exit 7"
instances = {PROGRAMS}
restart = "never"
start_confirm = "50ms"
[[route]]
events = ["program.crashed"]
targets = ["ops"]
[target.ops]
kind = "webhook"
url = "{}"
{}
"#,
        receiver.url("/"),
        super::FAST
    );
    let mut supervisor = Supervisor::configured(&config);
    let gate = gate(&supervisor);
    supervisor.start();
    wait_for("all to run", || {
        let status = supervisor.status();
        let programs = status["programs"].as_array().expect("a list");
        let ready = programs.iter().filter(|p| p["ready"] == true).count();
        if ready == PROGRAMS {
            Ok(())
        } else {
            Err(format!("{ready}"))
        }
    });
    let before = threads(&supervisor);
    std::fs::OpenOptions::new()
        .write(true)
        .open(&gate)
        .and_then(|mut gate| gate.write_all(b""))
        .expect("somebody reads");
    wait_for("every crash to be told", || {
        assert_eq!(
            threads(&supervisor),
            before,
            "the threads during the storm, and before it"
        );
        let count = receiver.count();
        if count >= PROGRAMS {
            Ok(())
        } else {
            Err(format!("{count}"))
        }
    });
    supervisor.stop();
    let mut instances: Vec<String> = receiver
        .received()
        .iter()
        .map(|r| r.json()["data"]["instance"].to_string())
        .collect();
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), PROGRAMS);
    assert_eq!(receiver.received().len(), PROGRAMS, "each once");
}

#[test]
fn two_thousand_deliveries_all_arrive_and_each_incident_in_its_order() {
    const INSTANCES: usize = 40;
    const RESTARTS: usize = 17;
    let receiver = Receiver::start();
    let config = format!(
        r#"
[notify]
queue = 4096

[program.web]
command = ["false"]
instances = {INSTANCES}
backoff = {{ initial = "10ms", max = "20ms" }}
restart_limit = {{ count = {RESTARTS}, within = "10m", then = "fatal" }}
"#
    ) + &hook("ops", &receiver.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    // Step by step, so that a slow machine is no fault as long as it gets on.
    for wanted in (100..=2_000).step_by(100) {
        wait_for(&format!("{wanted} messages"), || {
            let count = receiver.count();
            if count >= wanted {
                return Ok(());
            }
            Err(format!("{count}; {}", supervisor.target("ops")))
        });
    }
    wait_for("all to be given up", || {
        let status = supervisor.status();
        let programs = status["programs"].as_array().expect("a list");
        let fatal = programs.iter().filter(|p| p["phase"] == "fatal").count();
        if fatal == INSTANCES {
            Ok(())
        } else {
            Err(format!("{fatal}"))
        }
    });
    supervisor.wait_target("ops", "nothing waits", |t| t["pending"] == 0);
    assert_eq!(supervisor.stop(), 1, "all of them are fatal");
    let requests = receiver.received();
    assert!(requests.len() >= 2_000, "{}", requests.len());
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in &requests {
        let json = request.json();
        let incident = &json["data"]["incident"];
        if let (Some(id), Some(seq)) = (incident["id"].as_str(), incident["seq"].as_u64()) {
            seqs.entry(id.to_owned()).or_default().push(seq);
        }
    }
    assert_eq!(seqs.len(), INSTANCES, "one incident an instance");
    for (incident, told) in &seqs {
        let expected: Vec<u64> = (1..=told.len() as u64).collect();
        assert_eq!(*told, expected, "{incident}");
        // Crashed, restarting and started for each restart; the last crash, and given up.
        assert!(told.len() >= 3 * RESTARTS + 2, "{incident}: {}", told.len());
    }
    let kinds = receiver.types();
    let crashes = kinds.iter().filter(|k| *k == "program.crashed").count();
    assert_eq!(crashes, INSTANCES * (RESTARTS + 1));
}
