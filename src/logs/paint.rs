//! One line of a program as the terminal shows it: name, mark, colours, harmless text. Pure.
//!
//! What passes of a program's own escapes: colours and type (`ESC [ … m`), on a terminal with colours, and they
//! end with the line. Everything that moves the cursor, sets a title or asks the terminal something is shown
//! as text. Without colours the programs' own are removed. After a carriage return (progress bars) only what
//! would be seen last is shown. The files always have the bytes as written.

use std::fmt::Write as _;

use crate::model::log::Stream;
use crate::text::printable;

const RESET: &str = "\x1b[0m";
/// Readable on dark and on light; red is for standard error.
const COLOURS: [&str; 5] = ["\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[33m"];

/// The line of `name` (of `stream`), without a line end: `name | text`, standard error `name ! text`.
pub(super) fn line(name: &str, stream: Stream, text: &[u8], look: Look) -> Vec<u8> {
    let text = clean(last_return(text), look.has_colour);
    let width = look.width;
    let mark = match stream {
        Stream::Stdout => '|',
        Stream::Stderr => '!',
    };
    let mut out = String::with_capacity(text.len() + width + 24);
    if look.has_colour {
        let colour = colour_of(name);
        let marked = match stream {
            Stream::Stdout => colour,
            Stream::Stderr => "\x1b[31m",
        };
        let _ = write!(out, "{colour}{name:width$} {marked}{mark}{RESET} {text}");
        if text.contains('\x1b') {
            out.push_str(RESET);
        }
    } else {
        let _ = write!(out, "{name:width$} {mark} {text}");
    }
    out.into_bytes()
}

/// How lines are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub has_colour: bool,
    /// Names are padded to this.
    pub width: usize,
}

/// Always the same for a program, whatever else runs.
fn colour_of(name: &str) -> &'static str {
    let program = name.split(':').next().unwrap_or(name);
    let sum = program
        .bytes()
        .fold(0_usize, |sum, b| sum.wrapping_mul(31) + usize::from(b));
    COLOURS[sum % COLOURS.len()]
}

/// What would be seen last of a line with carriage returns.
pub(super) fn last_return(text: &[u8]) -> &[u8] {
    let at = text.iter().rposition(|b| *b == b'\r');
    at.map_or(text, |at| &text[at + 1..])
}

/// Untrusted bytes as harmless text; colours and type pass if they are to be kept.
pub(super) fn clean(text: &[u8], keep_colours: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == 0x1b) {
        out.push_str(&printable(&rest[..at]));
        rest = &rest[at..];
        let len = colour_sequence(rest);
        if len == 0 {
            out.push_str(&printable(&rest[..1]));
            rest = &rest[1..];
        } else {
            if keep_colours {
                out.push_str(&String::from_utf8_lossy(&rest[..len]));
            }
            rest = &rest[len..];
        }
    }
    out.push_str(&printable(rest));
    out
}

/// The length of the `ESC [ 0-9;: m` that `bytes` begins with; 0 when it is anything else.
fn colour_sequence(bytes: &[u8]) -> usize {
    let Some(rest) = bytes.strip_prefix(b"\x1b[") else {
        return 0;
    };
    let params = rest
        .iter()
        .take_while(|b| matches!(b, b'0'..=b'9' | b';' | b':'))
        .count();
    if params <= 32 && rest.get(params) == Some(&b'm') {
        params + 3
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], has_colour: bool) -> String {
        let look = Look {
            has_colour,
            width: 5,
        };
        String::from_utf8(line("web", Stream::Stderr, text, look)).expect("it is text")
    }

    #[test]
    fn names_are_padded_and_standard_error_is_marked() {
        assert_eq!(shown(b"hello", false), "web   ! hello");
        let look = Look {
            has_colour: false,
            width: 2,
        };
        assert_eq!(line("web:0", Stream::Stdout, b"", look), b"web:0 | ");
    }

    #[test]
    fn colours_pass_on_a_terminal_and_end_with_the_line_and_nothing_else_passes() {
        assert!(shown(b"\x1b[31;1mred", true).ends_with("\x1b[31;1mred\x1b[0m"));
        assert_eq!(shown(b"\x1b[31;1mred\x1b[m", false), "web   ! red");
        for hostile in [
            &b"\x1b[2J"[..],
            b"\x1b]0;title\x07",
            b"\x1b[6n",
            b"\x1b[?1049h",
            b"\x1b",
            b"\x9b2J",
        ] {
            let shown = shown(hostile, true);
            let text = shown.split_once("! ").or(shown.split_once("!\x1b[0m "));
            let text = text.expect("marked").1;
            assert!(!text.chars().any(char::is_control), "{shown:?}");
        }
        assert_eq!(shown(b" 10%\r 50%\r100%", false), "web   ! 100%");
    }

    #[test]
    fn instances_of_a_program_have_its_colour() {
        assert_eq!(colour_of("web:0"), colour_of("web:1"));
    }
}
