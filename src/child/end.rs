//! Ending: signals, exit statuses, orphans. Owns no state but the register's entries.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open,
    pidfd_send_signal, test_kill_process_group, waitid,
};

use super::REGISTER;
use super::spawn::{Child, pid_of};
use crate::model::event::Exit;
use crate::model::program::Signal;
use crate::procfs;

/// Children that were killed at birth, because nothing could wait for them; reaped with the orphans.
static ABANDONED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A process that need not be our child, held so that a signal to it can reach no other.
#[derive(Debug)]
pub struct Watched {
    /// Its pid.
    pub pid: u32,
    /// Becomes readable when it ends.
    pub pidfd: OwnedFd,
}

/// Takes hold of process `pid`, if it is still the one that started at `start_ticks`. None when it is gone.
///
/// # Errors
/// No descriptor is to be had.
pub fn watch(pid: u32, start_ticks: u64) -> io::Result<Option<Watched>> {
    let Some(raw) = pid_of(pid) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // After the open: from here the descriptor and the pid mean the same process or a dead one.
    match procfs::read_stat(pid)? {
        Some(stat) if stat.start_ticks == start_ticks => Ok(Some(Watched { pid, pidfd })),
        Some(_) | None => Ok(None),
    }
}

/// Signals one process; one that has ended is no fault.
///
/// # Errors
/// It is not ours to signal.
pub fn signal_process(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    done_or_gone(pidfd_send_signal(pidfd, raw(signal)))
}

/// Signals the process group of `child`, which has not been reaped; a group that is gone is no fault.
///
/// # Errors
/// No process of it is ours to signal.
pub fn signal_group(pid: u32, signal: Signal) -> io::Result<()> {
    let Some(group) = pid_of(pid) else {
        return Ok(());
    };
    done_or_gone(kill_process_group(group, raw(signal)))
}

/// Whether anything is left in the process group `pid`.
#[must_use]
pub fn group_exists(pid: u32) -> bool {
    pid_of(pid).is_some_and(|group| !matches!(test_kill_process_group(group), Err(Errno::SRCH)))
}

/// How the process ended, once it has: then its pid is free. A child of ours is reaped; of another's child it is
/// what the kernel tells.
///
/// # Errors
/// It was to be our child and is not.
pub fn reap(child: &Child) -> io::Result<Option<Exit>> {
    if !child.is_ours {
        return Ok(super::adopt::end_of(child));
    }
    let id = WaitId::PidFd(child.pidfd.as_fd());
    let Some(status) = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)? else {
        return Ok(None);
    };
    REGISTER.lock().remove(&child.pid);
    Ok(Some(exit_of(&status)))
}

/// Reaps the zombies among our children that nobody here waits for: orphans that came to us when their
/// parent ended. Returns how many. Call it on the thread that spawns: a child of another thread could be
/// taken for an orphan before it is registered.
pub fn reap_orphans() -> usize {
    // `waitid` on all children returns a registered zombie again and again, so each is asked by its pid.
    let orphans = orphans().unwrap_or_else(|_| scanned_children());
    let abandoned = std::mem::take(&mut *ABANDONED.lock());
    let abandoned = abandoned.into_iter().filter(|pid| !reap_pid(*pid));
    ABANDONED.lock().extend(abandoned.collect::<Vec<_>>());
    orphans
        .into_iter()
        .filter(|pid| !is_registered(*pid))
        .filter(|pid| reap_pid(*pid))
        .count()
}

/// The children of this process that it did not spawn: the kernel hands orphans to the first living thread of
/// a subreaper, which is the main one, and the main one spawns nothing itself but the holder.
///
/// # Errors
/// The kernel was built without the list.
pub fn orphans() -> io::Result<Vec<u32>> {
    procfs::children_of_thread(std::process::id())
}

fn scanned_children() -> Vec<u32> {
    // A helper that another thread has just forked is in the register when this is to be had.
    let _registered = super::helper::SPAWNING.write();
    let own = std::process::id();
    let scan = procfs::scan().unwrap_or_default();
    scan.into_iter()
        .filter(|stat| stat.ppid == own)
        .map(|stat| stat.pid)
        .collect()
}

fn reap_pid(pid: u32) -> bool {
    let Some(raw) = pid_of(pid) else { return false };
    matches!(
        waitid(
            WaitId::Pid(raw),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG
        ),
        Ok(Some(_))
    )
}

/// Kills a child that cannot be waited for; the sweep for orphans reaps it.
pub fn abandon(child: &Child) {
    abandon_pid(child.pid);
}

pub(super) fn abandon_pid(pid: u32) {
    let _ = signal_group(pid, Signal::KILL);
    REGISTER.lock().remove(&pid);
    ABANDONED.lock().push(pid);
}

/// Whether `pid` is a child that somebody here waits for.
#[must_use]
pub fn is_registered(pid: u32) -> bool {
    REGISTER.lock().contains(&pid)
}

fn done_or_gone(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    if let Some(code) = status.exit_status() {
        return Exit::Code(code);
    }
    match status.terminating_signal().and_then(Signal::from_number) {
        Some(signal) => Exit::Signal {
            signal,
            core: status.dumped(),
            oom: false,
        },
        None => Exit::Unknown,
    }
}

fn raw(signal: Signal) -> rustix::process::Signal {
    let number = signal.number();
    // SAFETY: `Signal` holds 1 to 64, all of which Linux has; the real-time ones have no name in rustix, and
    // the two that the C library keeps for itself are only dangerous to handle, not to send.
    #[expect(
        unsafe_code,
        reason = "rustix has no safe way to send a real-time signal"
    )]
    rustix::process::Signal::from_named_raw(number)
        .unwrap_or_else(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}
