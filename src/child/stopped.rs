//! Children that were stopped or go on again: by job control or by somebody's hand. Owns no state.

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::limits;
use crate::model::program::Signal;

/// What happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// This signal stopped it.
    Stopped(Signal),
    /// It goes on.
    GoesOn,
}

/// The children that were stopped, or go on, since the last call. Each is told once, and of several things that
/// happened to one the last.
#[must_use]
pub fn pauses() -> Vec<(u32, Pause)> {
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    let mut found = Vec::new();
    while found.len() < limits::PAUSES_AT_ONCE {
        let (pid, pause) = match waitid(Id::All, flags) {
            Ok(WaitStatus::Stopped(pid, signal)) => match Signal::from_number(signal as i32) {
                Some(signal) => (pid, Pause::Stopped(signal)),
                None => continue,
            },
            Ok(WaitStatus::Continued(pid)) => (pid, Pause::GoesOn),
            Err(nix::errno::Errno::EINTR) => continue,
            // Nothing happened, or there are no children.
            Ok(_) | Err(_) => return found,
        };
        found.extend(u32::try_from(pid.as_raw()).ok().map(|pid| (pid, pause)));
    }
    found
}
