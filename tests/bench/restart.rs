//! From the kill of a program to the first act of its replacement: a real supervisor against a bare loop.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::children::{Bare, Ears, kill, supervised};
use crate::measure::{median, percentile, rest};
use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const KILLS: usize = 200;
/// Between two kills: what follows a crash (the record, the webhook) is over by then.
const PAUSE: Duration = Duration::from_millis(25);

pub fn run() {
    let ears = Ears::open();
    let hook = Receiver::start();
    let bare = Bare::start(&ears, "bare", 1);
    let mut bare_pid = ears.hear_of("bare", "runs").pid;
    let mut supervisor = Supervisor::configured(&supervised(&ears, "jikimi", 1, &hook.url("/")));
    supervisor.spawn(&["run"]);
    let mut pid = ears.hear_of("jikimi", "runs").pid;
    let (mut floors, mut starts, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..KILLS {
        rest(PAUSE);
        let killed = kill(bare_pid);
        // The loop speaks of the spawn, the child of its start, in either order.
        let (mut spawned, mut runs) = (None, None);
        while spawned.is_none() || runs.is_none() {
            let word = ears.hear();
            if word.what == "spawned" {
                spawned = Some(word.at);
            } else {
                (runs, bare_pid) = (Some(word.at), word.pid);
            }
        }
        let (spawned, runs) = (spawned.expect("heard"), runs.expect("heard"));
        floors.push(runs - killed);
        starts.push(runs.saturating_sub(spawned));
        rest(PAUSE);
        let killed = kill(pid);
        let word = ears.hear_of("jikimi", "runs");
        pid = word.pid;
        ours.push(word.at - killed);
    }
    print(&floors, &starts, &ours);
    println!("  {}", forks(supervisor.pid(), pid, &ears));
    supervisor.stop();
    bare.end(bare_pid);
}

fn print(floors: &[u64], starts: &[u64], ours: &[u64]) {
    let (floor, start, our) = (median(floors), median(starts), median(ours));
    let at = |ns: u64| ns as f64 / 1_000.0;
    println!(
        "  kill -9 to the first act of the replacement, median of {KILLS}, in turns: bare loop {:.0} us, \
         jikimi (routes, logs, 1 s samples on) {:.0} us: {:.2}x; 95th percentile {:.0} and {:.0} us: {:.2}x",
        at(floor),
        at(our),
        our as f64 / floor as f64,
        at(percentile(floors, 95)),
        at(percentile(ours, 95)),
        percentile(ours, 95) as f64 / percentile(floors, 95) as f64,
    );
    let (bare, rest) = (floor.saturating_sub(start), our.saturating_sub(start));
    println!(
        "  without the program's own start, which takes {:.0} us in both: noticing the end and spawning {:.0} us \
         bare, {:.0} us jikimi: {:.2}x",
        at(start),
        at(bare),
        at(rest),
        rest as f64 / bare as f64,
    );
}

/// How the supervisor makes processes, as strace sees it.
fn forks(supervisor: u32, pid: u32, ears: &Ears) -> String {
    const WATCHED: usize = 10;
    let calls = tempfile::NamedTempFile::new().expect("a temporary file");
    let strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o"])
        .arg(calls.path())
        .args(["-p", &supervisor.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut strace) = strace else {
        return "whether std forks was not looked at: strace is not here".to_owned();
    };
    let is_traced = || {
        let text = std::fs::read_to_string(format!("/proc/{supervisor}/status"));
        text.unwrap_or_default()
            .lines()
            .any(|line| line.starts_with("TracerPid:") && line.trim_end() != "TracerPid:\t0")
    };
    let ended = wait_for("strace to attach", || match strace.try_wait() {
        Ok(Some(status)) => Ok(Some(status)),
        _ if is_traced() => Ok(None),
        _ => Err("not attached".to_owned()),
    });
    if ended.is_some() {
        return "whether std forks was not looked at: strace is not allowed".to_owned();
    }
    let mut pid = pid;
    for _ in 0..WATCHED {
        kill(pid);
        pid = ears.hear_of("jikimi", "runs").pid;
    }
    // By TERM it lets go of what it watches; by KILL it would take it along.
    let tracer = rustix::process::Pid::from_child(&strace);
    let _ = rustix::process::kill_process(tracer, rustix::process::Signal::TERM);
    let _ = strace.wait();
    let text = std::fs::read_to_string(calls.path()).expect("strace wrote it");
    let made: Vec<&str> = text
        .lines()
        .filter(|line| (line.contains("clone") || line.contains("fork(")) && line.contains('('))
        .filter(|line| !line.contains("CLONE_THREAD"))
        .collect();
    let forked = made
        .iter()
        .filter(|line| !line.contains("CLONE_VFORK"))
        .count();
    format!(
        "{WATCHED} more kills under strace: {} processes made, {forked} of them by a fork that copies the \
         supervisor's memory",
        made.len()
    )
}
