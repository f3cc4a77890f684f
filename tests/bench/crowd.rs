//! 500 programs killed at once: how long until all run again, a real supervisor against a bare loop.

use std::collections::HashSet;

use crate::children::{Bare, Ears, kill, supervised};
use crate::measure::{median, rest, status};
use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;

const PROGRAMS: usize = 500;
const ROUNDS: usize = 3;

pub fn run() {
    let bare = {
        let ears = Ears::open();
        let bare = Bare::start(&ears, "crowd", PROGRAMS);
        let (times, last) = rounds(&ears, || ());
        bare.end(last);
        median(&times)
    };
    let ears = Ears::open();
    let hook = Receiver::start();
    let mut supervisor =
        Supervisor::configured(&supervised(&ears, "crowd", PROGRAMS, &hook.url("/")));
    supervisor.spawn(&["run"]);
    let pid = supervisor.pid();
    let mut threads = 0;
    let (times, _) = rounds(&ears, || threads = threads.max(status(pid, "Threads")));
    let ours = median(&times);
    println!(
        "  {PROGRAMS} programs killed at once until all {PROGRAMS} run again, median of {ROUNDS}: bare loop {:.0} ms, \
         jikimi {:.0} ms: {:.2}x; at most {threads} threads meanwhile",
        bare / 1e6,
        ours / 1e6,
        ours / bare,
    );
    supervisor.stop();
}

/// Times in nanoseconds, and one that runs at the end.
fn rounds(ears: &Ears, mut look: impl FnMut()) -> (Vec<f64>, u32) {
    let (mut alive, _) = all(ears, &HashSet::new());
    let times = (0..ROUNDS)
        .map(|_| {
            rest(std::time::Duration::from_secs(1));
            let first = alive.iter().map(|pid| kill(*pid)).min().expect("some");
            look();
            let (new, last) = all(ears, &alive);
            alive = new;
            look();
            (last - first) as f64
        })
        .collect();
    (times, *alive.iter().next().expect("some"))
}

/// All programs that run, once there are as many as there should be beside those `before`, and when the last
/// one began.
fn all(ears: &Ears, before: &HashSet<u32>) -> (HashSet<u32>, u64) {
    let (mut pids, mut last) = (HashSet::new(), 0);
    while pids.len() < PROGRAMS {
        let word = ears.hear_of("crowd", "runs");
        if !before.contains(&word.pid) {
            pids.insert(word.pid);
            last = last.max(word.at);
        }
    }
    (pids, last)
}
