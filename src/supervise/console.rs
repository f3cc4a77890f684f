//! Typing into a run's standard input: one line at a time, whole or not at all, never waiting. Owns our end of it
//! and the count of what was not taken.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::termios::LocalModes;

use super::actor::Actor;
use super::slot::{Live, Slot};
use super::{Output, halted};
use crate::ids::RunId;
use crate::limits;
use crate::model;
use crate::model::stop::ConsoleLine;

/// Our end of a run's standard input.
pub(super) struct Console {
    to: OwnedFd,
    /// Lines that were not taken, since the run began.
    untaken: u64,
}

/// Why a line was not typed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untyped {
    /// Nothing runs.
    #[error("is not running; nothing was typed")]
    Down,
    /// It was not given one, or it could not be reached again.
    #[error(
        "has no standard input to type into: that takes stdin = \"pipe\" or terminal = true in its configuration"
    )]
    None,
    /// It is full.
    #[error(
        "does not read its standard input, which is full; the line was not typed ({0} such lines in this run)"
    )]
    Full(u64),
    /// It does not have it open any more.
    #[error("has closed its standard input; the line was not typed")]
    Closed,
    /// It has a line break in it or is too long.
    #[error("takes one line of {} bytes at the most", limits::CONSOLE_LINE_BYTES)]
    NoLine,
    /// The system did not do it.
    #[error("could not be typed to: {0}")]
    System(String),
}

impl Console {
    pub fn new(to: OwnedFd) -> Self {
        Self { to, untaken: 0 }
    }

    /// Where it is written to.
    pub(super) fn to(&self) -> &OwnedFd {
        &self.to
    }

    /// Types `line` and its end. The kernel takes so little whole or not at all.
    fn write_line(&mut self, line: &str) -> Result<(), Untyped> {
        if line.len() > limits::CONSOLE_LINE_BYTES || line.contains(['\n', '\0']) {
            return Err(Untyped::NoLine);
        }
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(end_of_line(&self.to));
        self.write(&bytes)
    }

    /// Writes `bytes`; a terminal may take a part of them, which is told as if it had taken nothing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Untyped> {
        loop {
            return match rustix::io::write(&self.to, bytes) {
                Ok(taken) if taken == bytes.len() => Ok(()),
                Err(Errno::INTR) => continue,
                Ok(_) | Err(Errno::AGAIN) => {
                    self.untaken += 1;
                    Err(Untyped::Full(self.untaken))
                }
                Err(Errno::PIPE | Errno::IO) => Err(Untyped::Closed),
                Err(error) => Err(Untyped::System(io::Error::from(error).to_string())),
            };
        }
    }
}

/// What the key at the end of a line gives: a program that reads its terminal key by key takes the key's own code.
fn end_of_line(to: &OwnedFd) -> u8 {
    match rustix::termios::tcgetattr(to) {
        Ok(modes) if !modes.local_modes.contains(LocalModes::ICANON) => b'\r',
        Ok(_) | Err(_) => b'\n',
    }
}

impl Slot {
    /// Types a line into the standard input of what runs.
    pub(super) fn write_line(&mut self, line: &str) -> Result<(), Untyped> {
        let up = self.live.as_mut().filter(|live| live.main.is_some());
        let console = &mut up.ok_or(Untyped::Down)?.console;
        let console = console.as_mut().ok_or(Untyped::None)?;
        console.write_line(line)
    }
}

impl Actor {
    /// Makes the pipes of a run: those of its output, and both ends of its standard input, if it has one.
    pub(super) fn open_pipes(
        &self,
        slot: usize,
        run: RunId,
    ) -> io::Result<(Output, Option<OwnedFd>, Option<Console>)> {
        let Slot { name, spec, .. } = &self.slots[slot];
        if spec.console == model::console::Console::Terminal {
            let made = self.ports.open_terminal(name, run);
            let made = made.inspect_err(|_| self.pipes_unused(slot, run))?;
            return Ok((
                made.output,
                Some(made.stdin),
                Some(Console::new(made.writer)),
            ));
        }
        let mut output = self.ports.open_output(name, run)?;
        let input = self.ports.open_input(name, run, spec.console);
        let Some(input) = input.inspect_err(|_| self.pipes_unused(slot, run))? else {
            return Ok((output, None, None));
        };
        output.paths.push(input.path);
        let console = Console::new(input.writer);
        Ok((output, Some(input.stdin), Some(console)))
    }

    /// Our end again, of a run that outlived an earlier supervisor.
    pub(super) fn reopen_input(&self, slot: usize, run: RunId) -> Option<Console> {
        let name = &self.slots[slot].name;
        self.ports.reopen_input(name, run).map(Console::new)
    }

    /// The run was not to be: nothing of its pipes is wanted.
    pub(super) fn pipes_unused(&self, slot: usize, run: RunId) {
        self.ports.output_unused(run);
        self.ports.input_over(&self.slots[slot].name, run);
    }

    /// The run is over.
    pub(super) fn close_input(&self, slot: usize, live: &Live) {
        if live.console.is_some() {
            self.ports.input_over(&self.slots[slot].name, live.root.run);
        }
    }

    /// Types a line that announces a planned restart. One that is not taken delays nothing.
    pub(super) fn announce(&mut self, slot: usize, line: &ConsoleLine) {
        let slot = &mut self.slots[slot];
        match slot.write_line(&line.text) {
            Ok(()) => log::info!("{}: {line} typed, before a planned restart", slot.name),
            Err(why) => log::warn!("{} {why}: {line}, before a planned restart", slot.name),
        }
    }

    /// Types a line of a stop; whether that could be. A program that does not read is told apart, never waited
    /// for.
    pub(super) fn type_line(&mut self, slot: usize, run: RunId, line: &ConsoleLine) -> bool {
        let slot = &mut self.slots[slot];
        let Some(up) = slot.live.as_ref().filter(|up| up.root.run == run) else {
            return false;
        };
        if up.halt.is_some() {
            halted::wake(up);
        }
        match slot.write_line(&line.text) {
            Ok(()) => {
                log::info!("{}: {line} typed", slot.name);
                true
            }
            Err(why) => {
                log::warn!("{} {why}: {line}; its signal comes now", slot.name);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    #[test]
    fn a_line_is_typed_whole_or_counted_and_nothing_waits() {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK).expect("a pipe");
        let mut console = Console::new(write);
        assert_eq!(console.write_line("stop"), Ok(()));
        assert_eq!(console.write_line(""), Ok(()));
        let mut bytes = [0; 16];
        assert_eq!(rustix::io::read(&read, &mut bytes), Ok(6));
        assert_eq!(&bytes[..6], b"stop\n\n");
        let longest = "x".repeat(limits::CONSOLE_LINE_BYTES);
        for bad in [format!("{longest}x"), "a\nb".to_owned(), "\0".to_owned()] {
            assert_eq!(console.write_line(&bad), Err(Untyped::NoLine));
        }
        while console.write_line(&longest).is_ok() {}
        assert_eq!(console.write_line(&longest), Err(Untyped::Full(2)));
        drop(read);
        assert_eq!(console.write_line("stop"), Err(Untyped::Closed));
    }
}
