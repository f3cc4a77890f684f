//! The supervisor's side of the holder: taking over from one that pumped, and telling it which pipes there are.
//! Never waits once the supervisor runs; the holder's own process is in `holder`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::epoll;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, socketpair,
};

use super::ends::RunEnd;
use super::lock::PumpLock;
use super::pipes::PipeId;
use super::pump::Pump;
use super::wire::{self, Message, Received};
use crate::clock;
use crate::ids::RunId;
use crate::limits;

/// Where a holder listens for the next supervisor.
pub(super) fn address(state_dir: &Path) -> PathBuf {
    state_dir.join("holder.sock")
}

/// What an earlier supervisor's holder gave.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The holder, which goes on as ours.
    pub link: Option<OwnedFd>,
    /// Pipes, each open for reading.
    pub pipes: Vec<(PipeId, OwnedFd)>,
    /// Terminals, each with the pipe that its output goes to.
    pub masters: Vec<(PipeId, OwnedFd)>,
    /// Main processes.
    pub ends: Vec<RunEnd>,
}

/// The main processes of runs, which the holder is to keep too.
pub(super) type Mains = BTreeMap<RunId, OwnedFd>;

/// Asks the holder, if there is one, to stop pumping and to hand over. None, or one that does not answer in
/// time, gives nothing: the pipes are then found in their folder.
pub(super) fn take_over(state_dir: &Path) -> Taken {
    let socket = match dial(state_dir) {
        Ok(socket) => socket,
        Err(e) => {
            log::debug!("no holder answers: {e}");
            return Taken::default();
        }
    };
    let mut taken = Taken::default();
    match collect(&socket, &mut taken) {
        Ok(()) => Taken {
            link: Some(socket),
            ..taken
        },
        Err(e) => {
            log::warn!("the holder did not hand over ({e}); opening the pipes without it");
            Taken {
                ends: taken.ends,
                ..Taken::default()
            }
        }
    }
}

/// The process at the other end.
pub(super) fn peer(socket: &OwnedFd) -> Option<u32> {
    let peer = rustix::net::sockopt::socket_peercred(socket).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

pub(super) fn dial(state_dir: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(address(state_dir))?)?;
    Ok(socket)
}

fn collect(socket: &OwnedFd, taken: &mut Taken) -> io::Result<()> {
    wire::send(socket, &Message::Takeover, None)?;
    let mut until = clock::mono() + limits::HANDOVER_MAX;
    loop {
        match wire::receive(socket) {
            Received::Message(Message::Hold(id), Some(fd)) => {
                taken.pipes.push((id, fd));
                until = clock::mono() + limits::HANDOVER_MAX;
            }
            Received::Message(Message::Terminal(id), Some(fd)) => taken.masters.push((id, fd)),
            Received::Message(Message::Watch(run, at), pidfd) => {
                // Without one, no descriptor was to be had: how that run ended is then not known.
                let end = pidfd.map(|pidfd| RunEnd { run, pidfd, at });
                taken.ends.extend(end);
                until = clock::mono() + limits::HANDOVER_MAX;
            }
            Received::Message(Message::Complete, _) => return Ok(()),
            Received::Closed => return Err(io::ErrorKind::ConnectionReset.into()),
            Received::Message(..) | Received::Nonsense => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Received::Nothing => {
                let left = until.since(clock::mono());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                wire::wait_readable(&[socket.as_fd()], Some(left));
            }
        }
    }
}

/// The right to pump: at once when nobody has it, else when the one who has lets go, else taken by force
/// from one that does not answer, so that programs do not wait for it.
pub(super) fn take_lock(state_dir: &Path) -> io::Result<PumpLock> {
    let until = clock::mono() + limits::HANDOVER_MAX;
    // Nothing is ever sent: the pair is only there to wait on.
    let (idle, _other) = pair()?;
    loop {
        if let Some(lock) = PumpLock::try_take(state_dir)? {
            return Ok(lock);
        }
        if clock::mono() >= until {
            log::warn!("a holder has the pipes and does not answer; going on without it");
            return PumpLock::overtake(state_dir);
        }
        wire::wait_readable(&[idle.as_fd()], Some(limits::PUMP_LOCK_RETRY));
    }
}

/// A socket each for supervisor and holder.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// The holder as the pump knows it.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    token: u64,
    queue: VecDeque<Message>,
    is_full: bool,
}

/// The holder is gone or does not read.
#[derive(Debug)]
pub(super) struct Lost;

impl Link {
    /// Takes `socket` on, watched in the pump's queue of events as `token`.
    pub(super) fn new(socket: OwnedFd, pump: &Pump, token: u64) -> io::Result<Self> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(pump.epoll(), &socket, data, epoll::EventFlags::IN)?;
        Ok(Self {
            socket,
            token,
            queue: VecDeque::new(),
            is_full: false,
        })
    }

    /// Has it keep a pipe, and the terminal that its bytes come from: that first, for a pipe alone would be over.
    pub(super) fn hold(&mut self, pump: &Pump, id: PipeId) {
        if pump.master_of(&id).is_some() {
            self.push(Message::Terminal(id.clone()));
        }
        self.push(Message::Hold(id));
    }

    /// Queues a message; [`Link::flush`] sends it.
    pub(super) fn push(&mut self, message: Message) {
        self.queue.push_back(message);
    }

    /// Sends what the holder has room for.
    pub(super) fn flush(&mut self, pump: &Pump, mains: &Mains) -> Result<(), Lost> {
        let mut is_full = false;
        while let Some(message) = self.queue.front() {
            let master;
            let fd: Option<BorrowedFd<'_>> = match message {
                Message::Terminal(id) => {
                    master = pump.master_of(id);
                    let Some(fd) = &master else {
                        // It hung up before the holder had room for it.
                        self.queue.pop_front();
                        continue;
                    };
                    Some(fd.as_fd())
                }
                Message::Hold(id) => {
                    let Some(fd) = pump.reader_of(id) else {
                        // It ended before the holder had room for it.
                        self.queue.pop_front();
                        continue;
                    };
                    Some(fd)
                }
                Message::Watch(run, _) => {
                    let Some(pidfd) = mains.get(run) else {
                        self.queue.pop_front();
                        continue;
                    };
                    Some(pidfd.as_fd())
                }
                Message::Drop(_)
                | Message::Forget(_)
                | Message::Bye
                | Message::Takeover
                | Message::Complete => None,
            };
            match wire::send(&self.socket, message, fd) {
                Ok(()) => {
                    self.queue.pop_front();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    is_full = true;
                    break;
                }
                Err(_) => return Err(Lost),
            }
        }
        if self.queue.len() > limits::HOLDER_QUEUE {
            return Err(Lost);
        }
        self.watch_room(pump, is_full)
    }

    fn watch_room(&mut self, pump: &Pump, is_full: bool) -> Result<(), Lost> {
        if is_full == self.is_full {
            return Ok(());
        }
        self.is_full = is_full;
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, is_full);
        let data = epoll::EventData::new_u64(self.token);
        epoll::modify(pump.epoll(), &self.socket, data, flags).map_err(|_| Lost)
    }

    /// The holder has nothing to say to a running supervisor: what can be read is its end.
    pub(super) fn check(&self) -> Result<(), Lost> {
        loop {
            match wire::receive(&self.socket) {
                Received::Nothing => return Ok(()),
                Received::Closed => return Err(Lost),
                Received::Message(..) | Received::Nonsense => {}
            }
        }
    }

    /// A clean end: the holder is told, and ends.
    pub(super) fn bye(mut self, pump: &Pump, mains: &Mains) {
        if self.flush(pump, mains).is_ok()
            && let Err(e) =
                wire::send_patiently(&self.socket, &Message::Bye, None, limits::PUMP_LOCK_RETRY)
        {
            log::warn!("the holder did not hear that this is the end: {e}");
        }
        self.detach(pump);
    }

    /// Forgets the holder.
    pub(super) fn detach(self, pump: &Pump) {
        // Before the socket is closed, as for every descriptor in a queue of events.
        if let Err(e) = epoll::delete(pump.epoll(), &self.socket) {
            log::debug!("the holder was not watched: {e}");
        }
    }
}
