//! The terminal: the one way to standard output and standard error while the supervisor runs. Owns the
//! threads `terminal` (programs' output) and `terminal-log` (our log), and the logger. A terminal that is
//! stopped (Ctrl-S), slow, full or gone never delays anybody else.
//!
//! The streams have a thread each, so that a pager that holds standard output does not hold the log. The
//! descriptors are shared with the user's shell, so they are never made non-blocking: the two threads
//! block, and nobody waits for them but a flush, for a time.

pub mod logger;
pub mod repeat;
mod stream;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

pub use logger::{has_colour, install, set_level};
pub use stream::Stats;
use stream::Stream;

use crate::clock;

/// A handle to both streams; clones share them.
#[derive(Clone, Debug)]
pub struct Terminal {
    out: Stream,
    log: Stream,
}

impl Terminal {
    /// Starts the two threads on this process's standard output and standard error.
    ///
    /// # Errors
    /// A descriptor is closed, or the system has no room for the threads.
    pub fn start() -> io::Result<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        let log = io::stderr().as_fd().try_clone_to_owned()?;
        Self::start_on(out, log)
    }

    /// Starts the two threads on `out` and `log`.
    ///
    /// # Errors
    /// The system has no room for the threads.
    pub fn start_on(out: OwnedFd, log: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            out: Stream::start("terminal", out)?,
            log: Stream::start("terminal-log", log)?,
        })
    }

    /// Shows one line on standard output; the line's end is added. Never blocks: what does not fit is
    /// counted, and the count shown where the lines are missing. The bytes are shown as they are: making
    /// them harmless is the caller's.
    pub fn line(&self, line: impl Into<Vec<u8>>) {
        self.out.line(line.into());
    }

    /// As [`Terminal::line`], but a line for which there is no room is the caller's to offer again: false.
    #[must_use]
    pub fn offer(&self, line: impl Into<Vec<u8>>) -> bool {
        self.out.offer(line.into())
    }

    /// Waits until what was offered so far is shown, for at most `within`.
    pub fn wait_for_room(&self, within: Duration) {
        // Whether there is room shows with the next offer.
        let _ = self.out.flush(clock::mono() + within);
    }

    /// Shows one line on standard error, as [`Terminal::line`] does on standard output.
    pub fn log_line(&self, line: impl Into<Vec<u8>>) {
        self.log.line(line.into());
    }

    /// Figures of standard output and of standard error.
    #[must_use]
    pub fn stats(&self) -> (Stats, Stats) {
        (self.out.stats(), self.log.stats())
    }

    /// Waits until all lines given so far are written, for at most `within`. Whether they were, or never
    /// will be because the terminal is gone.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        log::logger().flush();
        let now = clock::mono();
        // Both, whatever the first says, and a log that hangs leaves half of the time.
        let log = self.log.flush(now + within / 2);
        self.out.flush(now + within) && log
    }
}
