//! Where output goes, and how a command fails: the sentence and the exit code. Every write may meet a closed
//! pipe, which ends the command quietly.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use crate::control::client::ClientError;
use crate::control::discover::NotFound;
use crate::text;

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub enum Failure {
    /// 0: nobody reads the output any more, so the command is done.
    Closed,
    /// 1: it did not work; the sentence says why.
    Failed(String),
    /// 1: it did not work, and what was printed says why.
    Said,
    /// 2: the command makes no sense.
    Usage(String),
    /// 3: faults of the configuration.
    Config(String),
    /// 4: another supervisor has the state directory.
    AlreadyRunning(String),
    /// 5: none runs.
    NotRunning(String),
}

impl Failure {
    /// Says it and gives the exit code.
    pub fn report(self) -> ExitCode {
        let code = self.code();
        match self {
            Self::Closed | Self::Said => {}
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Config(text)
            | Self::AlreadyRunning(text)
            | Self::NotRunning(text) => {
                complain(&text);
            }
        }
        ExitCode::from(code)
    }

    fn code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Failed(_) | Self::Said => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 3,
            Self::AlreadyRunning(_) => 4,
            Self::NotRunning(_) => 5,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = chain(&error);
        match &error {
            // That the file is not there, or that nobody listens, is what "no supervisor answers" says.
            ClientError::NotRunning { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Self::NotRunning(error.to_string())
                }
                _ => Self::NotRunning(text),
            },
            ClientError::NotYours { .. }
            | ClientError::Refused { .. }
            | ClientError::Lost(_)
            | ClientError::TimedOut
            | ClientError::Strange(_) => Self::Failed(text),
        }
    }
}

impl From<NotFound> for Failure {
    fn from(error: NotFound) -> Self {
        let text = error.to_string();
        match error {
            NotFound::None => Self::NotRunning(text),
            NotFound::Several(_) => Self::Usage(text),
        }
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A sentence on standard error, one `jikimi:` a line. That standard error is closed is no fault.
pub fn complain(sentence: &str) {
    let mut stderr = io::stderr().lock();
    for line in sentence.lines() {
        let _ = writeln!(stderr, "jikimi: {}", text::printable(line.as_bytes()));
    }
}

/// Lines on standard error as they are: faults begin with their file, for editors to find.
pub fn complain_plainly(lines: &str) {
    let mut stderr = io::stderr().lock();
    for line in lines.lines() {
        let _ = writeln!(stderr, "{}", text::printable(line.as_bytes()));
    }
}

/// Standard output and what it can show.
pub struct Out {
    to: Box<dyn Write + Send>,
    /// Colours, and lines cut to the terminal's width.
    pub style: Style,
}

/// What the reader can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Escape codes for colours are wanted.
    pub colour: bool,
    /// Columns of the terminal; none: no terminal, nothing is cut.
    pub width: Option<usize>,
}

impl Out {
    /// Standard output.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let style = if stdout.is_terminal() {
            Style {
                colour: wants_colour(),
                width: terminal_width(),
            }
        } else {
            Style::default()
        };
        Self {
            to: Box::new(stdout),
            style,
        }
    }

    /// A buffer that a test reads.
    #[cfg(test)]
    pub fn memory() -> (Memory, Self) {
        let memory = Memory::default();
        let out = Self {
            to: Box::new(Shared(std::sync::Arc::clone(&memory))),
            style: Style::default(),
        };
        (memory, out)
    }

    /// Writes `text` and a line's end, and hands it on at once.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.to.write_all(format!("{text}\n").as_bytes())?;
        Ok(self.to.flush()?)
    }

    /// Writes bytes as they are, and hands them on.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes)?;
        Ok(self.to.flush()?)
    }
}

/// What was written, for a test to read.
#[cfg(test)]
pub type Memory = std::sync::Arc<parking_lot::Mutex<Vec<u8>>>;

#[cfg(test)]
struct Shared(Memory);

#[cfg(test)]
impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// <https://no-color.org>: set and not empty means none.
fn wants_colour() -> bool {
    let none = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|v| v == "dumb");
    !none && !dumb
}

fn terminal_width() -> Option<usize> {
    width_of(io::stdout())
}

/// Columns of the terminal that standard error is; none when it is none.
pub fn stderr_width() -> Option<usize> {
    width_of(io::stderr())
}

/// Rows of the terminal that standard output is; none when it is none.
pub fn screen_rows() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    (size.ws_row > 0).then_some(usize::from(size.ws_row))
}

fn width_of(fd: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    // A serial line says 0 columns.
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.code(), 0);
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.code(), 1);
    }

    #[test]
    fn a_supervisor_that_does_not_run_is_five() {
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        let socket = "/s".into();
        let failure = Failure::from(ClientError::NotRunning { socket, source });
        assert_eq!(failure.code(), 5);
        assert_eq!(Failure::from(NotFound::None).code(), 5);
    }
}
