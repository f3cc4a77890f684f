//! Taking over a process that an earlier supervisor spawned, and the kernel's word on how it ended. Owns no
//! state.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::ioctl::{self, Opcode, Updater, opcode};

use super::spawn::Child;
use super::{REGISTER, watch};
use crate::limits;
use crate::model::event::Exit;
use crate::model::program::Signal;
use crate::procfs;

/// Takes over process `pid`, if it is still the one that started at `start_ticks` and has not ended. It may be a
/// child of ours all the same: a supervisor that was replaced by another version keeps its pid.
///
/// # Errors
/// No descriptor is to be had.
pub fn adopt(pid: u32, start_ticks: u64) -> io::Result<Option<Child>> {
    let Some(process) = watch(pid, start_ticks)? else {
        return Ok(None);
    };
    let stat = procfs::read_stat(pid)?.filter(|stat| !stat.is_zombie());
    let Some(stat) = stat else {
        return Ok(None);
    };
    let is_ours = stat.ppid == std::process::id();
    if is_ours {
        REGISTER.lock().insert(pid);
    }
    Ok(Some(Child {
        pid,
        pidfd: process.pidfd,
        start_ticks,
        is_ours,
    }))
}

/// How the process ended that was `pid` and started at `start_ticks`, if it waits to be reaped by its parent and
/// the kernel lets us see: the last trace of a run that nobody watched.
#[must_use]
pub fn last_word(pid: u32, start_ticks: u64) -> Option<Exit> {
    match trace(pid, start_ticks) {
        Trace::Zombie(exit) => exit,
        Trace::Alive | Trace::Gone => None,
    }
}

/// As [`last_word`], of a process that somebody kept a descriptor of: then the kernel tells even after it was
/// reaped (since 6.15).
#[must_use]
pub fn last_word_of(pid: u32, start_ticks: u64, pidfd: &OwnedFd) -> Option<Exit> {
    end_by(pidfd, pid, start_ticks).filter(|exit| *exit != Exit::Unknown)
}

/// How somebody else's child ended, once it has.
pub(super) fn end_of(child: &Child) -> Option<Exit> {
    end_by(&child.pidfd, child.pid, child.start_ticks)
}

fn end_by(pidfd: &OwnedFd, pid: u32, start_ticks: u64) -> Option<Exit> {
    if !is_over(pidfd) {
        return None;
    }
    // Between a look at the zombie and a look at what is kept of the reaped, its parent may reap it.
    for _ in 0..limits::ADOPTED_EXIT_LOOKS {
        match trace(pid, start_ticks) {
            Trace::Zombie(Some(exit)) => return Some(exit),
            // A zombie that we have no right to look into; or it was reaped before we asked for the right.
            Trace::Zombie(None) | Trace::Alive | Trace::Gone => {
                if let Some(status) = kept_status(pidfd) {
                    return Some(exit_of_status(status));
                }
            }
        }
    }
    Some(Exit::Unknown)
}

fn is_over(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut fds, Some(&now)), Ok(1..))
}

/// What `/proc` shows of a process.
enum Trace {
    Alive,
    /// Ended and not reaped; none when we have no right to know how.
    Zombie(Option<Exit>),
    Gone,
}

fn trace(pid: u32, start_ticks: u64) -> Trace {
    let Ok(Some(stat)) = procfs::read_stat(pid) else {
        return Trace::Gone;
    };
    if stat.start_ticks != start_ticks {
        return Trace::Gone;
    }
    if !stat.is_zombie() {
        return Trace::Alive;
    }
    // Without the right to look into the process the kernel shows 0, which must not pass for success.
    let status = stat
        .exit_code
        .filter(|status| *status != 0 || procfs::may_inspect(pid));
    Trace::Zombie(status.map(exit_of_status))
}

fn exit_of_status(status: i32) -> Exit {
    let signal = Signal::from_number(status & 0x7f);
    match signal {
        None => Exit::Code((status >> 8) & 0xff),
        Some(signal) => Exit::Signal {
            signal,
            core: status & 0x80 != 0,
            oom: false,
        },
    }
}

/// `struct pidfd_info` of `linux/pidfd.h`, in its first size: later kernels fill what they are given.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xff, 11);
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The wait status that the kernel keeps with an open descriptor after the process was reaped (since 6.15).
fn kept_status(pidfd: impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the number says this structure's size, and the kernel writes no more than that.
    #[expect(unsafe_code, reason = "rustix has no call for this request")]
    let answer = unsafe {
        ioctl::ioctl(
            pidfd,
            Updater::<'_, { PIDFD_GET_INFO }, PidfdInfo>::new(&mut info),
        )
    };
    (answer.is_ok() && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_wait_status_is_read_as_the_kernel_writes_it() {
        let signal = |name, core| Exit::Signal {
            signal: Signal::parse(name).expect("a signal"),
            core,
            oom: false,
        };
        for (status, exit) in [
            (0, Exit::Code(0)),
            (0x2a00, Exit::Code(42)),
            (9, signal("KILL", false)),
            (0x8b, signal("SEGV", true)),
        ] {
            assert_eq!(exit_of_status(status), exit, "{status:#x}");
        }
    }

    /// A process that is not our child: its parent has gone, and tells how it may end by a line on its input.
    #[test]
    fn the_end_of_a_strangers_child_is_read_where_the_kernel_tells() {
        let mut parent = Command::new("/bin/sh")
            .args([
                "-c",
                "exec 3<&0; sh -c 'read line; exit 7' <&3 & echo $!; read line; wait; exit 0",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut pid = String::new();
        let mut out = parent.stdout.take().expect("it is piped");
        let mut byte = [0];
        while out.read(&mut byte).expect("a pid") == 1 && byte[0] != b'\n' {
            pid.push(char::from(byte[0]));
        }
        let pid: u32 = pid.parse().expect("a pid");
        let start = procfs::read_stat(pid)
            .expect("proc")
            .expect("alive")
            .start_ticks;
        assert!(adopt(pid, start + 1).expect("a descriptor").is_none());
        let child = adopt(pid, start)
            .expect("a descriptor")
            .expect("it is alive");
        assert!(!child.is_ours);
        assert_eq!(end_of(&child), None, "it runs");
        // Both read the one pipe; its end is the end of both.
        drop(parent.stdin.take());
        let mut fds = [PollFd::new(&child.pidfd, PollFlags::IN)];
        poll(&mut fds, None).expect("it ends");
        let seen = end_of(&child);
        parent.wait().expect("our child");
        // Now it has been reaped: what is left is what the kernel keeps, from 6.15 on.
        let kept = kept_status(&child.pidfd).map(exit_of_status);
        assert!(
            seen == Some(Exit::Code(7)) || (seen == Some(Exit::Unknown) && kept.is_none()),
            "{seen:?}, {kept:?}"
        );
        assert!(matches!(kept, None | Some(Exit::Code(7))), "kept: {kept:?}");
        assert_eq!(last_word(pid, start), None, "no trace is left");
    }
}
