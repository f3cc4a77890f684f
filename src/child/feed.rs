//! What a short helper reads from its standard input: written as it reads, never waited for. Owns the writing end.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::limits;

/// The rest of it, and where it goes. Dropping it is the end of the input.
pub(super) struct Feed<'a> {
    writer: OwnedFd,
    rest: &'a [u8],
}

impl<'a> Feed<'a> {
    /// The feed and the end that the helper reads from; none when it is to read nothing.
    pub(super) fn of(input: Option<&'a [u8]>) -> io::Result<Option<(Self, OwnedFd)>> {
        let Some(rest) = input else {
            return Ok(None);
        };
        if rest.len() > limits::HELPER_INPUT {
            let what = format!(
                "{} bytes are too many for its standard input, which takes {}",
                rest.len(),
                limits::HELPER_INPUT
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Its own end blocks, as programs expect; the flag belongs to each end apart.
        rustix::io::ioctl_fionbio(&writer, true)?;
        Ok(Some((Self { writer, rest }, reader)))
    }

    /// What to wait for: that it has room, or that nobody reads it any more.
    pub(super) fn poll(&self) -> PollFd<'_> {
        PollFd::new(&self.writer, PollFlags::OUT)
    }

    /// Writes what there is room for. None when all is written or nobody reads any more: a helper that has no use
    /// for it is no fault.
    pub(super) fn go_on(mut self) -> Option<Self> {
        match rustix::io::write(&self.writer, self.rest) {
            Ok(n) => {
                self.rest = &self.rest[n..];
                (!self.rest.is_empty()).then_some(self)
            }
            Err(Errno::AGAIN | Errno::INTR) => Some(self),
            Err(_) => None,
        }
    }
}
