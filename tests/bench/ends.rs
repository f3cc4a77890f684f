//! The two ends of a supervisor with 500 programs: all of them stopped, against a bare loop; and all of them adopted
//! after a kill -9, against starting them.

use std::collections::HashSet;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::footprint::{configuration, running};
use crate::measure::{median, rest, time};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const PROGRAMS: usize = 500;
const ROUNDS: usize = 3;

pub fn run() {
    stop();
    adopt();
}

fn stop() {
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        let mut children: Vec<Child> = (0..PROGRAMS).map(|_| sleeper()).collect();
        rest(std::time::Duration::from_secs(1));
        bare.push(time(|| end(&mut children)).as_secs_f64() * 1e3);
        let mut supervisor = started();
        rest(std::time::Duration::from_secs(1));
        let took = time(|| {
            supervisor.signal("TERM");
            assert!(supervisor.wait().success(), "a clean end");
        });
        ours.push(took.as_secs_f64() * 1e3);
    }
    let (bare, ours) = (median(&bare), median(&ours));
    println!(
        "  {PROGRAMS} programs from TERM to the last one reaped, median of {ROUNDS}: bare loop {bare:.0} ms, jikimi until \
         its process has ended, everything stored, {ours:.0} ms: {:.1}x",
        ours / bare,
    );
}

fn sleeper() -> Child {
    Command::new("/bin/sleep")
        .arg("3600")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("sleep is everywhere")
}

fn end(children: &mut [Child]) {
    for child in &*children {
        let pid = i32::try_from(child.id()).expect("a pid");
        kill_process(Pid::from_raw(pid).expect("a pid"), Signal::TERM).expect("our child");
    }
    for child in children {
        child.wait().expect("our child");
    }
}

fn adopt() {
    let (mut fresh, mut adopted) = (Vec::new(), Vec::new());
    let mut supervisor = Supervisor::configured(&configuration(PROGRAMS, "5s"));
    for _ in 0..ROUNDS {
        let mut pids = HashSet::new();
        fresh.push(
            time(|| {
                supervisor.spawn(&["run"]);
                pids = up(&supervisor);
            })
            .as_secs_f64()
                * 1e3,
        );
        // What a start leaves to write is written by then.
        rest(std::time::Duration::from_secs(8));
        supervisor.kill();
        let mut same = HashSet::new();
        adopted.push(
            time(|| {
                supervisor.spawn(&["run"]);
                same = up(&supervisor);
            })
            .as_secs_f64()
                * 1e3,
        );
        assert_eq!(pids, same, "every program goes on");
        supervisor.stop();
    }
    let (fresh, adopted) = (median(&fresh), median(&adopted));
    println!(
        "  {PROGRAMS} programs until `status` shows all of them up, median of {ROUNDS}: started {fresh:.0} ms, adopted \
         after a kill -9 {adopted:.0} ms: {:.2}x",
        adopted / fresh,
    );
}

fn started() -> Supervisor {
    let supervisor = Supervisor::running(&configuration(PROGRAMS, "5s"));
    up(&supervisor);
    supervisor
}

fn up(supervisor: &Supervisor) -> HashSet<u32> {
    let pids = wait_for("all programs to run", || running(supervisor, PROGRAMS));
    pids.into_iter().collect()
}
