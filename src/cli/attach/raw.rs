//! The person's terminal while `attach` hands every key on: its settings, which it gets back however that ends, its
//! size, and what is shown on it. Owns the settings and the thread that waits for signals.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::thread::spawn_named;

/// Rows and columns.
pub(super) type Size = (u16, u16);

/// What asks `attach` to end. As keys they are the program's; these were sent.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The status of one that a second signal ends at once.
const EXIT_STATUS: i32 = 1;

/// What programs switch on, switched off: colours, a hidden cursor, pasting and mice told apart, keys of another kind.
const RESET: &[u8] =
    b"\x1b[0m\x1b[?25h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1l\x1b>";
const ENTER_FULL: &[u8] = b"\x1b[?1049h";
const LEAVE_FULL: &[u8] = b"\x1b[?1049l";

/// Somebody sits at both sides: keys come from a terminal, and what is shown goes to one.
pub(super) fn is_person() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The person's terminal, raw until this is dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    pub(super) fn begin() -> io::Result<Self> {
        let this = Self {
            before: tcgetattr(io::stdin().as_fd())?,
        };
        this.again()?;
        Ok(this)
    }

    /// Raw again: the shell has its own settings while one of its commands is stopped.
    pub(super) fn again(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &raw)?)
    }

    /// Calls `on_look` when its size or state may be another one, and `on_end`, with the terminal as it was, when a
    /// signal asks for the end. A second such signal ends the process, whatever hangs.
    pub(super) fn watch(
        &self,
        on_look: impl Fn() + Send + 'static,
        on_end: impl Fn(i32) + Send + 'static,
    ) -> io::Result<()> {
        let is_over = Arc::new(AtomicBool::new(false));
        for signal in ENDING {
            // In this order: the first one only sets the flag.
            flag::register_conditional_shutdown(signal, EXIT_STATUS, Arc::clone(&is_over))?;
            flag::register(signal, Arc::clone(&is_over))?;
        }
        let mut caught = Signals::new(ENDING.into_iter().chain([SIGWINCH, SIGCONT]))?;
        let before = self.before.clone();
        // It waits for what nobody here can end, so it is not joined: it ends with the process.
        drop(spawn_named("attach-signals", move || {
            for signal in caught.forever() {
                if ENDING.contains(&signal) {
                    give_back(&before);
                    on_end(signal);
                } else {
                    on_look();
                }
            }
        })?);
        Ok(())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        give_back(&self.before);
    }
}

fn give_back(before: &Termios) {
    // A terminal that is gone needs nothing any more.
    let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, before);
}

/// The size of the person's terminal, when it says one.
pub(super) fn size() -> Option<Size> {
    let found = tcgetwinsize(io::stdout().as_fd()).ok()?;
    let size = (found.ws_row, found.ws_col);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// What is on the person's terminal, as far as it must be known.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// A program has the whole screen.
    pub is_full: bool,
    /// The last bytes: what switches may come in pieces.
    last: Vec<u8>,
}

/// Bytes of the longest switch.
const SWITCH: usize = 8;

impl Shown {
    /// `bytes` as they go to a raw terminal. A program's own terminal leaves line feeds alone, so they return here;
    /// one that has the whole screen means a step down with them.
    pub(super) fn convert(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        for byte in bytes {
            if *byte == b'\n' && !self.is_full {
                out.push(b'\r');
            }
            out.push(*byte);
            self.note(*byte);
        }
        out
    }

    fn note(&mut self, byte: u8) {
        if self.last.len() == SWITCH {
            self.last.remove(0);
        }
        self.last.push(byte);
        let Some((on, mode)) = self.last.split_last() else {
            return;
        };
        let modes: [&[u8]; 3] = [b"\x1b[?1049", b"\x1b[?1047", b"\x1b[?47"];
        if matches!(on, b'h' | b'l') && modes.iter().any(|m| mode.ends_with(m)) {
            self.is_full = *on == b'h';
        }
    }

    /// Writes what came.
    pub(super) fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = self.convert(bytes);
        write(&bytes)
    }

    /// What was before this began.
    pub(super) fn begin(&mut self, before: &[u8], recent: &str) -> io::Result<()> {
        // Only whether it has the whole screen counts of it.
        drop(self.convert(before));
        if self.is_full {
            return write(ENTER_FULL);
        }
        let recent = recent.replace('\n', "\r\n");
        write(recent.as_bytes())
    }

    /// The screen as a shell wants it, and the cursor at the beginning of a line.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.is_full {
            write(LEAVE_FULL)?;
        }
        let is_line_begun = !self.is_full && self.last.last().is_some_and(|b| *b != b'\n');
        write(RESET)?;
        if is_line_begun {
            write(b"\r\n")
        } else {
            Ok(())
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_return_except_while_a_program_has_the_whole_screen() {
        let mut shown = Shown::default();
        let mut convert = |text: &[u8]| {
            let bytes = shown.convert(text);
            (String::from_utf8(bytes).expect("text"), shown.is_full)
        };
        let ok = |text: &str, is_full| (text.to_owned(), is_full);
        assert_eq!(convert(b"a\nb"), ok("a\r\nb", false));
        assert_eq!(convert(b"\x1b[?10"), ok("\x1b[?10", false));
        assert_eq!(convert(b"49h\n"), ok("49h\n", true));
        assert_eq!(
            convert(b"\x1b[?25l\x1b[2J\n"),
            ok("\x1b[?25l\x1b[2J\n", true)
        );
        assert_eq!(convert(b"\x1b[?1049l\n"), ok("\x1b[?1049l\r\n", false));
        assert_eq!(convert(b"\x1b[?47h"), ok("\x1b[?47h", true));
    }
}
