//! Messages between supervisor and holder, over a local socket that keeps messages apart. Each is a tag and
//! the name of a pipe or of a run, with at most one descriptor. Never interprets them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::pipes::PipeId;
use crate::clock::{self, Wall};
use crate::ids::RunId;
use crate::limits;

/// The version of this protocol, said with a takeover.
const VERSION: u8 = 1;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Supervisor to holder and back: keep this pipe open (a descriptor comes with it).
    Hold(PipeId),
    /// Supervisor to holder and back, before [`Message::Hold`]: keep this terminal open, whose output goes to that
    /// pipe (its master comes with it).
    Terminal(PipeId),
    /// Supervisor to holder: that pipe has ended.
    Drop(PipeId),
    /// Supervisor to holder and back: keep this main process (a descriptor comes with it). On the way back with
    /// the time of its end, if it ended while nobody else watched.
    Watch(RunId, Option<Wall>),
    /// Supervisor to holder: how that run ended is known.
    Forget(RunId),
    /// Supervisor to holder: a clean end.
    Bye,
    /// New supervisor to holder: stop pumping, hand over.
    Takeover,
    /// Holder to new supervisor: that was all.
    Complete,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let named = |tag: u8, id: &PipeId| {
            let mut bytes = vec![tag];
            bytes.extend_from_slice(id.to_string().as_bytes());
            bytes
        };
        match self {
            Self::Hold(id) => named(b'H', id),
            Self::Terminal(id) => named(b'M', id),
            Self::Drop(id) => named(b'D', id),
            Self::Watch(run, at) => {
                let at = at.map_or_else(String::new, |at| at.millis().to_string());
                format!("W{run}.{at}").into_bytes()
            }
            Self::Forget(run) => format!("F{run}").into_bytes(),
            Self::Bye => vec![b'B'],
            Self::Takeover => vec![b'T', VERSION],
            Self::Complete => vec![b'C'],
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let id = || PipeId::parse(std::str::from_utf8(rest).ok()?);
        match (tag, rest) {
            (b'H', _) => id().map(Self::Hold),
            (b'M', _) => id().map(Self::Terminal),
            (b'D', _) => id().map(Self::Drop),
            (b'W', _) => watched(rest),
            (b'F', _) => Some(Self::Forget(std::str::from_utf8(rest).ok()?.parse().ok()?)),
            (b'B', []) => Some(Self::Bye),
            (b'T', [VERSION]) => Some(Self::Takeover),
            (b'C', []) => Some(Self::Complete),
            _ => None,
        }
    }
}

fn watched(text: &[u8]) -> Option<Message> {
    let (run, at) = std::str::from_utf8(text).ok()?.split_once('.')?;
    let at = match at {
        "" => None,
        millis => Some(Wall::from_millis(millis.parse().ok()?)),
    };
    Some(Message::Watch(run.parse().ok()?, at))
}

/// Sends, and waits until there is room, `max` at most.
pub(super) fn send_patiently(
    socket: impl AsFd,
    message: &Message,
    fd: Option<BorrowedFd<'_>>,
    max: Duration,
) -> io::Result<()> {
    let until = clock::mono() + max;
    loop {
        match send(&socket, message, fd) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let left = until.since(clock::mono());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// What came in.
#[derive(Debug)]
pub(super) enum Received {
    /// A message, and the descriptor that came with it.
    Message(Message, Option<OwnedFd>),
    /// Nothing now.
    Nothing,
    /// Something that is no message of ours.
    Nonsense,
    /// The other side is gone.
    Closed,
}

/// Sends without waiting.
///
/// # Errors
/// `WouldBlock` when the other side does not read; any other means that it is gone.
pub(super) fn send(
    socket: impl AsFd,
    message: &Message,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = message.encode();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        match sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // Too many descriptors on their way: the same as a full socket.
            Err(Errno::TOOMANYREFS | Errno::NOBUFS) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Takes one message without waiting.
pub(super) fn receive(socket: impl AsFd) -> Received {
    let mut bytes = [0; limits::HOLDER_MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        ) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Received::Nothing,
            Err(_) => return Received::Closed,
            Ok(got) => break got.bytes,
        }
    };
    if got == 0 {
        return Received::Closed;
    }
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            fd = fds.into_iter().next();
        }
    }
    match bytes.get(..got).and_then(Message::decode) {
        Some(message) => Received::Message(message, fd),
        None => Received::Nonsense,
    }
}

/// Waits until one of `fds` has something to read or is gone; which. Empty after `timeout`.
pub(super) fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.iter().map(|p| !p.revents().is_empty()).collect(),
        // A signal: the caller looks again.
        Err(_) => vec![false; fds.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;
    use crate::model::log::Stream;
    use crate::model::name::InstanceName;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn messages_and_descriptors_arrive_whole_and_nonsense_is_told_apart() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a pair");
        let id = PipeId {
            run: RunId::new(),
            instance: InstanceName::indexed("w".repeat(64), u16::MAX),
            stream: Stream::Stdout,
        };
        assert!(matches!(receive(&theirs), Received::Nothing));
        let file = std::fs::File::open("/dev/null").expect("always there");
        let sent = [
            Message::Terminal(id.clone()),
            Message::Hold(id.clone()),
            Message::Drop(id),
            Message::Watch(RunId::new(), None),
            Message::Watch(RunId::new(), Some(Wall::from_millis(1_700_000_000_123))),
            Message::Forget(RunId::new()),
            Message::Takeover,
            Message::Complete,
            Message::Bye,
        ];
        for message in &sent {
            let has_fd = |m: &Message| matches!(m, Message::Hold(_) | Message::Terminal(_));
            let fd = has_fd(message).then(|| file.as_fd());
            send(&ours, message, fd).expect("room");
        }
        for message in &sent {
            let Received::Message(got, fd) = receive(&theirs) else {
                panic!("{message:?} did not come");
            };
            assert_eq!(got, *message);
            let has_fd = matches!(got, Message::Hold(_) | Message::Terminal(_));
            assert_eq!(fd.is_some(), has_fd);
        }
        rustix::net::send(&ours, b"Hello", SendFlags::empty()).expect("room");
        assert!(matches!(receive(&theirs), Received::Nonsense));
        drop(ours);
        assert!(matches!(receive(&theirs), Received::Closed));
    }
}
