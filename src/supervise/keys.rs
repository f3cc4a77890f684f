//! Keys pressed at a run's terminal, and how large it is. Neither waits for the program. Part of the actor.

use std::io;

use rustix::termios::{Winsize, isatty, tcsetwinsize};

use super::console::{Console, Untyped};
use super::slot::Slot;
use crate::model::command::VerbResult;

/// Said where there is no terminal.
const NO_TERMINAL: &str =
    "has no terminal of its own: that takes terminal = true in its configuration";
/// Said when it has no room for more keys.
const UNREAD: &str = "does not read its terminal, which is full; keys were lost";
/// Said when nobody has the other side.
const CLOSED: &str = "has closed its terminal; the keys were lost";

impl Slot {
    /// Presses keys at the terminal of what runs. They may be anybody's secret: they are not repeated.
    pub(super) fn press(&mut self, keys: &[u8]) -> VerbResult {
        let pressed = self.terminal().and_then(|console| {
            console.write(keys).map_err(|why| match why {
                Untyped::Full(_) => UNREAD.to_owned(),
                Untyped::Closed => CLOSED.to_owned(),
                Untyped::Down | Untyped::None | Untyped::NoLine | Untyped::System(_) => {
                    why.to_string()
                }
            })
        });
        match pressed {
            Ok(()) => self.answer(true, "keys were pressed"),
            Err(words) => self.answer(false, &words),
        }
    }

    /// Tells the terminal its size, of which the kernel tells the program with a SIGWINCH.
    pub(super) fn set_window(&mut self, rows: u16, columns: u16) -> VerbResult {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let told = self.terminal().and_then(|console| {
            tcsetwinsize(console.to(), size)
                .map_err(|e| format!("its size could not be set: {}", io::Error::from(e)))
        });
        match told {
            Ok(()) => self.answer(true, &format!("{rows} rows, {columns} columns")),
            Err(words) => self.answer(false, &words),
        }
    }

    fn terminal(&mut self) -> Result<&mut Console, String> {
        let up = self.live.as_mut().filter(|live| live.main.is_some());
        let console = &mut up.ok_or("is not running; nothing was pressed")?.console;
        let console = console.as_mut().filter(|console| isatty(console.to()));
        console.ok_or_else(|| NO_TERMINAL.to_owned())
    }
}
