//! What a program says on its notify socket, read from bytes that may be anything. Pure; knows no socket.

use std::time::Duration;

use crate::limits;
use crate::text;

/// One thing said that something follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It can be used.
    Ready,
    /// It is alive.
    Alive,
    /// It has found that it does not work.
    Failed,
    /// What it is at takes so much longer, from now.
    Extend(Duration),
    /// How it does, in its own words, made fit for a terminal; empty: it says nothing of that any more.
    Status(String),
    /// It ends by itself.
    Stopping,
}

/// The words of one message, in order. Whatever else stands there says nothing to us.
pub(super) fn parse(message: &[u8]) -> impl Iterator<Item = Word> + '_ {
    message.split(|b| *b == b'\n').filter_map(word)
}

const STATUS: &[u8] = b"STATUS=";

fn word(line: &[u8]) -> Option<Word> {
    match line {
        b"READY=1" => Some(Word::Ready),
        b"WATCHDOG=1" => Some(Word::Alive),
        b"WATCHDOG=trigger" => Some(Word::Failed),
        b"STOPPING=1" => Some(Word::Stopping),
        _ if line.starts_with(STATUS) => {
            let status = text::printable(&line[STATUS.len()..]);
            let status = text::cut(status.trim(), limits::NOTIFY_STATUS_CHARS);
            Some(Word::Status(status.into_owned()))
        }
        _ => {
            let text = std::str::from_utf8(line.strip_prefix(b"EXTEND_TIMEOUT_USEC=")?).ok()?;
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let micros = is_number.then(|| text.parse().ok())??;
            Some(Word::Extend(Duration::from_micros(micros)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_says_and_what_says_nothing() {
        let second = Word::Extend(Duration::from_secs(1));
        let status = |text: &str| Word::Status(text.to_owned());
        for (message, expected) in [
            (&b"READY=1"[..], vec![Word::Ready]),
            (b"READY=1\n", vec![Word::Ready]),
            (
                b"STATUS=READY=1\nREADY=1",
                vec![status("READY=1"), Word::Ready],
            ),
            (b"STATUS=", vec![status("")]),
            (b"STATUS= \xff\x1b[2J\t", vec![status("\u{fffd}\\x1b[2J")]),
            (b"STATUS", vec![]),
            (b"STOPPING=1", vec![Word::Stopping]),
            (b"STOPPING=0", vec![]),
            (b"WATCHDOG=1\nREADY=1", vec![Word::Alive, Word::Ready]),
            (b"WATCHDOG=trigger", vec![Word::Failed]),
            (b"EXTEND_TIMEOUT_USEC=1000000", vec![second]),
            (b"EXTEND_TIMEOUT_USEC=", vec![]),
            (b"EXTEND_TIMEOUT_USEC=-1", vec![]),
            (b"EXTEND_TIMEOUT_USEC=+1", vec![]),
            (b"EXTEND_TIMEOUT_USEC=99999999999999999999", vec![]),
            (b"EXTEND_TIMEOUT_USEC=\xff", vec![]),
            (b"", vec![]),
            (b"\n\n\n", vec![]),
            (b"READY=0", vec![]),
            (b"READY=1\0", vec![]),
            (b"READY=1\r\n", vec![]),
            (b" READY=1", vec![]),
            (b"ready=1", vec![]),
            (b"READY=11", vec![]),
            (b"WATCHDOG=2", vec![]),
            (b"BARRIER=1", vec![]),
            (b"FDSTORE=1\nMAINPID=1\nRELOADING=1", vec![]),
            (b"\xff\xfe\0\x1b[2J", vec![]),
        ] {
            assert_eq!(parse(message).collect::<Vec<_>>(), expected, "{message:?}");
        }
    }

    #[test]
    fn a_status_is_one_short_line_however_long_it_was() {
        let long = [b"STATUS=".as_slice(), &[b'x'; 3_000]].concat();
        let Some(Word::Status(status)) = parse(&long).next() else {
            panic!("it is one");
        };
        assert_eq!(status.chars().count(), limits::NOTIFY_STATUS_CHARS);
    }
}
