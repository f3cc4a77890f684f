//! What a program says on its notify socket, read from bytes that may be anything. Pure; knows no socket.

use std::time::Duration;

/// One thing said that something follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It can be used.
    Ready,
    /// It is alive.
    Alive,
    /// It has found that it does not work.
    Failed,
    /// Its start takes so much longer, from now.
    Extend(Duration),
}

/// The words of one message, in order. Whatever else stands there says nothing to us.
pub(super) fn parse(message: &[u8]) -> impl Iterator<Item = Word> + '_ {
    message.split(|b| *b == b'\n').filter_map(word)
}

fn word(line: &[u8]) -> Option<Word> {
    match line {
        b"READY=1" => Some(Word::Ready),
        b"WATCHDOG=1" => Some(Word::Alive),
        b"WATCHDOG=trigger" => Some(Word::Failed),
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
        for (message, expected) in [
            (&b"READY=1"[..], vec![Word::Ready]),
            (b"READY=1\n", vec![Word::Ready]),
            (b"STATUS=READY=1\nREADY=1", vec![Word::Ready]),
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
            (b"STOPPING=1\nFDSTORE=1\nMAINPID=1", vec![]),
            (b"\xff\xfe\0\x1b[2J", vec![]),
        ] {
            assert_eq!(parse(message).collect::<Vec<_>>(), expected, "{message:?}");
        }
    }
}
