//! Programs that end while no supervisor runs, and are reaped by somebody who tells nobody: how they ended is known
//! all the same, for the holder kept them, where the kernel tells it (Linux 6.15 and later).

use serde_json::{Value, json};

use crate::support::database;
use crate::support::processes::{kill, wait_gone, wait_reaped};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Ends as its file says.
const OBEDIENT: &str = r#"
shell = true
command = '''
echo $$ >> "$JIKIMI_PROGRAM.pids"
while :; do
  [ -e "$JIKIMI_PROGRAM.exit" ] && { rm "$JIKIMI_PROGRAM.exit"; exit 7; }
  sleep 0.02
done
'''
start_confirm = "10ms"
backoff = { initial = "1h", max = "1h", jitter = 0.0 }
"#;

/// Whether this kernel keeps the status of the reaped with their descriptors.
fn kernel_tells() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// What is expected of `exit`: on an older kernel nobody knows.
fn as_told(exit: Value) -> Value {
    if kernel_tells() {
        exit
    } else {
        json!({ "unknown": true })
    }
}

/// Waits until the holder keeps `count` processes: they are handed to it behind the start's back.
fn wait_kept(supervisor: &Supervisor, count: usize) -> u32 {
    wait_for("the holder to keep the processes", || {
        let holders = supervisor.holders();
        let [holder] = holders[..] else {
            return Err(format!("holders: {holders:?}"));
        };
        let links: Vec<String> = std::fs::read_dir(format!("/proc/{holder}/fd"))
            .map_err(|error| error.to_string())?
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .map(|link| link.display().to_string())
            .collect();
        let kept = links.iter().filter(|link| link.contains("pidfd")).count();
        (kept == count)
            .then_some(holder)
            .ok_or_else(|| format!("{links:?}"))
    })
}

fn end_of(supervisor: &Supervisor, name: &str) -> Value {
    wait_for(&format!("the end of {name}"), || {
        ["program.crashed", "program.exited", "program.adopted"]
            .iter()
            .find_map(|kind| {
                let events = supervisor.events_of(kind, name);
                events.into_iter().find(|e| !e["data"]["exit"].is_null())
            })
            .ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

fn wait_ready(supervisor: &Supervisor, names: &[&str]) -> Vec<u32> {
    names
        .iter()
        .map(|name| {
            wait_for(&format!("{name} in the database"), || {
                match supervisor.events_of("program.ready", name).len() {
                    0 => Err("no program.ready".to_owned()),
                    _ => Ok(()),
                }
            });
            supervisor.pid_in(name, "running")
        })
        .collect()
}

fn three() -> Supervisor {
    Supervisor::marked(&format!(
        "[program.code]\n{OBEDIENT}\n[program.signal]\n{OBEDIENT}\n[program.kept]\n{OBEDIENT}\n"
    ))
}

/// Ends two of the three with nobody there, and waits until init or whoever has reaped them.
fn end_unseen(supervisor: &Supervisor, pids: &[u32]) {
    supervisor.write("code.exit", "");
    kill(pids[1]);
    for pid in &pids[..2] {
        wait_gone(*pid);
    }
    wait_reaped(&pids[..2]);
}

fn assert_told(supervisor: &Supervisor, pids: &[u32]) {
    let code = end_of(supervisor, "code");
    assert_eq!(code["data"]["exit"], as_told(json!({ "code": 7 })));
    let signal = end_of(supervisor, "signal");
    let killed = signal["data"]["exit"].clone();
    assert_eq!(killed, as_told(json!({ "signal": "SIGKILL" })),);
    assert_eq!(supervisor.pid_in("kept", "running"), pids[2]);
}

#[test]
fn an_end_that_nobody_watched_is_told_with_its_code_or_signal_and_its_time() {
    let mut supervisor = three();
    let pids = wait_ready(&supervisor, &["code", "signal", "kept"]);
    wait_kept(&supervisor, 3);
    supervisor.kill();
    end_unseen(&supervisor, &pids);
    supervisor.start_marked();
    assert_told(&supervisor, &pids);
    if kernel_tells() {
        let crashed = end_of(&supervisor, "code");
        let cause = crashed["data"]["cause"].as_str().unwrap_or_default();
        let ended = cause
            .strip_prefix("ended at ")
            .and_then(|c| c.strip_suffix(", while no supervisor ran"))
            .unwrap_or_else(|| panic!("{crashed:#}"));
        let told = crashed["time"].as_str().expect("a time");
        assert!(ended < told, "{ended} is not before {told}");
        let run = crashed["run"].as_str().expect("a run");
        let sql = format!("SELECT ended_at FROM runs WHERE id = '{run}'");
        let at: i64 = database::value(&supervisor.file(".jikimi/jikimi.db"), &sql).expect("a time");
        let event: i64 = database::value(
            &supervisor.file(".jikimi/jikimi.db"),
            "SELECT max(at) FROM events WHERE kind = 'program.crashed'",
        )
        .expect("a time");
        assert!(at < event, "{at} is not before {event}");
    }
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn ends_are_known_too_when_another_holder_had_to_take_over_and_after_a_second_kill() {
    let mut supervisor = three();
    let pids = wait_ready(&supervisor, &["code", "signal", "kept"]);
    let first = wait_kept(&supervisor, 3);
    kill(first);
    wait_gone(first);
    assert_ne!(wait_kept(&supervisor, 3), first);
    supervisor.kill();
    // This one adopts them, and is killed too.
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("code", "running"), pids[0]);
    wait_kept(&supervisor, 3);
    supervisor.kill();
    end_unseen(&supervisor, &pids);
    supervisor.start_marked();
    assert_told(&supervisor, &pids);
    // What is known needs not be kept.
    wait_kept(&supervisor, 1);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}
