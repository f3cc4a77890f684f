//! Bytes to lines: where they end, and what becomes of very long ones. Pure.

use std::ops::Range;

use crate::limits;

/// A line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its bytes, without the line's end (a carriage return before it included in the end).
    pub text: Range<usize>,
    /// Where the next piece begins.
    pub next: usize,
    /// The line goes on in the next piece, for it is longer than [`limits::LOG_LINE_BYTES`].
    pub goes_on: bool,
}

/// Cuts `bytes` into lines. What follows the last line end is left alone, unless it is as long as a piece or
/// nothing more will come (`is_final`).
pub(super) fn split(bytes: &[u8], is_final: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let window = &rest[..rest.len().min(limits::LOG_LINE_BYTES + 1)];
        let piece = match window.iter().position(|b| *b == b'\n') {
            Some(len) => Piece {
                text: at..at + trimmed(&rest[..len]),
                next: at + len + 1,
                goes_on: false,
            },
            None if rest.len() > limits::LOG_LINE_BYTES => Piece {
                text: at..at + limits::LOG_LINE_BYTES,
                next: at + limits::LOG_LINE_BYTES,
                goes_on: true,
            },
            None if is_final => Piece {
                text: at..at + trimmed(rest),
                next: bytes.len(),
                goes_on: false,
            },
            None => break,
        };
        at = piece.next;
        pieces.push(piece);
    }
    pieces
}

fn trimmed(line: &[u8]) -> usize {
    line.len() - line.iter().rev().take_while(|b| **b == b'\r').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], is_final: bool) -> Vec<(&[u8], bool)> {
        split(bytes, is_final)
            .into_iter()
            .map(|p| (&bytes[p.text], p.goes_on))
            .collect()
    }

    #[test]
    fn an_unfinished_line_waits_unless_nothing_more_comes() {
        let bytes = b"one\r\n\ntwo\nthr";
        let whole: [(&[u8], bool); 3] = [(b"one", false), (b"", false), (b"two", false)];
        assert_eq!(texts(bytes, false), whole);
        assert_eq!(texts(bytes, true)[3], (&b"thr"[..], false));
        assert_eq!(split(bytes, true)[3].next, bytes.len());
        assert!(split(b"", true).is_empty());
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_no_byte_is_missing() {
        let max = limits::LOG_LINE_BYTES;
        for len in [max - 1, max, max + 1, 2 * max, 3 * max + 7] {
            let mut bytes = vec![b'x'; len];
            bytes.push(b'\n');
            let pieces = split(&bytes, false);
            assert_eq!(pieces.iter().map(|p| p.text.len()).sum::<usize>(), len);
            assert_eq!(pieces.last().map(|p| p.next), Some(bytes.len()));
            let marks = pieces.iter().map(|p| p.goes_on).collect::<Vec<_>>();
            assert!(!marks[marks.len() - 1] && marks[..marks.len() - 1].iter().all(|m| *m));
        }
        assert_eq!(split(&vec![b'x'; max], false), []);
        assert_eq!(split(&vec![b'x'; max + 1], false).len(), 1);
    }
}
