//! From a terminal into the pipe of its run, inside the kernel: from there on its output is like any other. A
//! process killed in between has moved each byte or not.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PIPE_BUF, SpliceFlags, splice};

use super::{Pump, forget};
use crate::limits;
use crate::logs::pipes::PipeId;

/// What a pipe's bytes come from when its program has a terminal.
pub(super) struct Terminal {
    master: Arc<OwnedFd>,
    to: OwnedFd,
}

/// What one turn came to.
#[derive(Debug, PartialEq, Eq)]
enum Drawn {
    Some(usize),
    /// Nothing there, or no room for it.
    Nothing,
    /// Nobody has the terminal open any more, and it is empty.
    HungUp,
}

impl Pump {
    /// The terminal of a pipe that is being taken on, if it has one; its events are the pipe's.
    pub(super) fn terminal_of(
        &self,
        id: &PipeId,
        reader: &OwnedFd,
        token: u64,
    ) -> Option<Terminal> {
        let master = self.masters.get(id)?;
        // By its descriptor: somebody may have removed the name.
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let to = rustix::fs::open(path, flags, Mode::empty())
            .inspect_err(|e| log::error!("pipe {id} cannot be written: {e}"))
            .ok()?;
        let data = epoll::EventData::new_u64(token);
        if let Err(e) = epoll::add(&self.epoll, &*master, data, epoll::EventFlags::IN) {
            log::error!("cannot watch the terminal of {id}: {e}; its output stays in it");
        }
        Some(Terminal { master, to })
    }

    /// Moves what a pipe's terminal holds into the pipe, as far as there is room.
    pub(super) fn draw(&mut self, token: u64) {
        let Some(pipe) = self.pipes.get_mut(&token) else {
            return;
        };
        let Some(terminal) = &pipe.terminal else {
            return;
        };
        let mut moved = 0;
        while moved < limits::PIPE_BYTES {
            match terminal.draw_once() {
                Drawn::Some(bytes) => moved += bytes,
                Drawn::Nothing => return,
                Drawn::HungUp => {
                    forget(&self.epoll, &terminal.master);
                    self.masters.remove(&pipe.id);
                    // The pipe has its end with it.
                    pipe.terminal = None;
                    return;
                }
            }
        }
    }

    /// The master of a pipe that has one.
    pub(in crate::logs) fn master_of(&self, id: &PipeId) -> Option<Arc<OwnedFd>> {
        self.masters.get(id)
    }
}

impl Terminal {
    /// No more of its events.
    pub(super) fn forget(&self, epoll: &OwnedFd) {
        forget(epoll, &self.master);
    }

    fn draw_once(&self) -> Drawn {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        match splice(
            &self.master,
            None,
            &self.to,
            None,
            limits::PIPE_BYTES,
            flags,
        ) {
            // Kernels that cannot splice from a terminal.
            Err(Errno::INVAL) => copy(&self.master, &self.to),
            moved => drawn(moved),
        }
    }
}

fn drawn(moved: rustix::io::Result<usize>) -> Drawn {
    match moved {
        Ok(0) | Err(Errno::IO) => Drawn::HungUp,
        Ok(bytes) => Drawn::Some(bytes),
        Err(Errno::AGAIN | Errno::INTR) => Drawn::Nothing,
        Err(e) => {
            log::error!("cannot read a terminal: {e}");
            Drawn::HungUp
        }
    }
}

/// No more than what the pipe takes at once: nothing is in our hands when there is no room.
fn copy(master: &OwnedFd, to: &OwnedFd) -> Drawn {
    let mut polled = [PollFd::from_borrowed_fd(to.as_fd(), PollFlags::OUT)];
    if !matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1)) {
        return Drawn::Nothing;
    }
    let mut bytes = [0; PIPE_BUF];
    let read = rustix::io::read(master, &mut bytes[..]);
    if let Ok(read) = read
        && let Err(e) = rustix::io::write(to, &bytes[..read])
    {
        log::error!("output of a terminal was lost: {e}");
    }
    drawn(read)
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    /// What a terminal gives by `draw` and where it ends.
    fn through(draw: impl Fn(&Terminal) -> Drawn) -> (Vec<u8>, usize) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        rustix::io::ioctl_fionbio(&master, true).expect("it need not wait");
        unlockpt(&master).expect("ours");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("its other side");
        let (from, to) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        let terminal = Terminal {
            master: Arc::new(master),
            to,
        };
        assert_eq!(draw(&terminal), Drawn::Nothing);
        let text = [b'x'; 9_000];
        assert_eq!(rustix::io::write(&slave, &text), Ok(text.len()));
        drop(slave);
        let (mut got, mut turns) = (Vec::new(), 0);
        loop {
            match draw(&terminal) {
                Drawn::Some(_) => turns += 1,
                Drawn::Nothing => panic!("it has an end"),
                Drawn::HungUp => break,
            }
            let mut bytes = [0; 16_384];
            let n = rustix::io::read(&from, &mut bytes[..]).expect("what was drawn");
            got.extend_from_slice(&bytes[..n]);
        }
        (got, turns)
    }

    #[test]
    fn all_that_was_written_comes_before_the_end_also_where_the_kernel_cannot_splice() {
        let (spliced, _) = through(Terminal::draw_once);
        let (copied, turns) = through(|terminal| copy(&terminal.master, &terminal.to));
        assert_eq!(spliced, [b'x'; 9_000]);
        assert_eq!(copied, spliced);
        assert!(turns >= 3, "no more than the pipe takes whole: {turns}");
    }
}
