//! The end of orphans that belong to no run any more: daemons that left their parent, group and session and
//! wrote over their environment. Only the end of the supervisor tells whose they are: its own.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::end::{Watched, is_registered, orphans, reap_orphans, signal_process, watch};
use super::replace::was_supervisor;
use crate::clock::{Mono, mono};
use crate::limits;
use crate::model::program::Signal;
use crate::procfs;

/// Whether this process had children before it was a supervisor, as after a script's `exec`. They, and what they
/// leave to us, are nobody's run.
static HAS_STRANGERS: AtomicBool = AtomicBool::new(false);

pub(super) fn note_strangers() {
    // What a supervisor that became this one had is ours.
    let has_children = !was_supervisor() && orphans().map_or(true, |children| !children.is_empty());
    HAS_STRANGERS.store(has_children, Ordering::SeqCst);
}

pub(super) fn has_strangers() -> bool {
    HAS_STRANGERS.load(Ordering::SeqCst)
}

/// Asks every orphan of ours to end, and kills after `grace` what has not. Returns how many there were. Call it
/// when no run is left, and after the thread that reaps has ended.
pub fn end_orphans(grace: Duration) -> usize {
    if has_strangers() {
        return 0;
    }
    let kill_at = mono() + grace;
    let last = kill_at + limits::ORPHANS_KILLED;
    let mut asked = HashSet::new();
    loop {
        reap_orphans();
        let left = watch_all();
        let now = mono();
        if left.is_empty() || now >= last {
            let pids: HashSet<u32> = asked.iter().map(|(pid, _)| *pid).collect();
            return pids.len();
        }
        // Whoever ends leaves its children to us: they come up in the next round.
        let (signal, until) = if now < kill_at {
            (Signal::TERM, kill_at)
        } else {
            (Signal::KILL, last)
        };
        for process in &left {
            if asked.insert((process.pid, signal))
                && let Err(error) = signal_process(&process.pidfd, signal)
            {
                log::warn!("pid {} cannot be signalled: {error}", process.pid);
            }
        }
        wait_for_one(&left, until);
    }
}

fn watch_all() -> Vec<Watched> {
    let pids = orphans().unwrap_or_default();
    pids.into_iter()
        .filter(|pid| !is_registered(*pid))
        .filter_map(|pid| procfs::read_stat(pid).ok().flatten())
        .filter(|stat| !stat.is_zombie())
        .filter_map(|stat| watch(stat.pid, stat.start_ticks).ok().flatten())
        .collect()
}

/// Until one of them has ended, or the time is over.
fn wait_for_one(processes: &[Watched], until: Mono) {
    let mut fds: Vec<PollFd<'_>> = processes
        .iter()
        .map(|process| PollFd::new(&process.pidfd, PollFlags::IN))
        .collect();
    let left = Timespec::try_from(until.since(mono())).ok();
    // Interrupted or not: the caller looks again.
    let _ = poll(&mut fds, left.as_ref());
}
