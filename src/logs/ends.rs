//! The main processes of runs as the holder keeps them: a descriptor each, by which the kernel still tells how a
//! process ended when nobody is left who was its parent. Never asks how: that is the next supervisor's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, getrlimit};

use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;

/// One main process.
#[derive(Debug)]
pub struct RunEnd {
    /// Of which run.
    pub run: RunId,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// When that was noticed by the holder; none while nobody but the supervisor watches, or it has not ended.
    pub at: Option<Wall>,
}

/// Those that are kept.
pub(super) struct Ends {
    held: BTreeMap<RunId, RunEnd>,
    /// Readable when one of them has ended that has no time yet; without it they have none.
    queue: Option<OwnedFd>,
    /// Descriptors this process may have.
    most: u64,
}

impl Ends {
    pub(super) fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            queue: epoll::create(epoll::CreateFlags::CLOEXEC).ok(),
            most: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        }
    }

    /// Keeps one, if that leaves enough descriptors to pump `pipes` pipes: output comes first.
    pub(super) fn keep(&mut self, run: RunId, pidfd: OwnedFd, pipes: usize) {
        self.forget(run);
        if let Some(queue) = &self.queue {
            let data = epoll::EventData::new_u64(pidfd_number(&pidfd));
            // Then it has no time.
            let _ = epoll::add(queue, &pidfd, data, epoll::EventFlags::IN);
        }
        let at = None;
        self.held.insert(run, RunEnd { run, pidfd, at });
        self.make_room(pipes);
    }

    /// Lets go of the oldest until `pipes` pipes can be pumped.
    pub(super) fn make_room(&mut self, pipes: usize) {
        let for_pipes = limits::HOLDER_FILES_BASE + limits::HOLDER_FILES_PER_PIPE * pipes as u64;
        let room = self.most.saturating_sub(for_pipes);
        while self.held.len() as u64 > room {
            let Some(run) = self.held.keys().next().copied() else {
                return;
            };
            self.forget(run);
        }
    }

    /// Its supervisor knows how it ended.
    pub(super) fn forget(&mut self, run: RunId) {
        if let Some(end) = self.held.remove(&run) {
            self.unwatch(&end);
        }
    }

    /// Closing is not enough: the supervisor has the same one open.
    fn unwatch(&self, end: &RunEnd) {
        if let Some(queue) = &self.queue {
            // One that ended is watched no more.
            let _ = epoll::delete(queue, &end.pidfd);
        }
    }

    /// To wait on while nobody else watches.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.queue.as_ref().map(|queue| queue.as_fd())
    }

    /// Notes the time of those that have ended since the last look.
    pub(super) fn look(&mut self, now: Wall) {
        let Some(queue) = &self.queue else { return };
        let mut events = Vec::with_capacity(limits::EPOLL_EVENTS);
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        // Interrupted: the next look finds them.
        let _ = epoll::wait(queue, spare, Some(&at_once));
        for event in events {
            let ended = |end: &&mut RunEnd| pidfd_number(&end.pidfd) == event.data.u64();
            if let Some(end) = self.held.values_mut().find(ended) {
                end.at.get_or_insert(now);
                let _ = epoll::delete(queue, &end.pidfd);
            }
        }
    }

    /// All of them, in the order of their runs.
    pub(super) fn all(&self) -> impl Iterator<Item = &RunEnd> {
        self.held.values()
    }
}

/// Told apart by its number: each is open as long as it is held.
fn pidfd_number(pidfd: &OwnedFd) -> u64 {
    use std::os::fd::AsRawFd as _;
    u64::from(pidfd.as_raw_fd().unsigned_abs())
}
