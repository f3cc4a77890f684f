//! Lines of a segment to those worth keeping in the database. Pure.

use super::level::detect;
use super::lines::split;
use crate::model::log::Level;

/// Lines at this level and above are kept. One that states none counts as information, on standard error too:
/// many programs write everything there.
const KEEP: Level = Level::Warn;

/// Where in a line reading stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Within {
    /// At its beginning.
    #[default]
    Nothing,
    /// In the middle of one longer than a piece: what its beginning said.
    Line(Option<Level>),
}

/// A line worth keeping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub line: Vec<u8>,
    pub level: Level,
    /// Bytes of the chunk up to its end.
    pub end: usize,
}

/// What a chunk came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Derived {
    pub found: Vec<Found>,
    pub used: usize,
    pub within: Within,
}

/// The lines of `bytes` worth keeping. `is_final`: an unfinished last line is all there will be of it.
pub(super) fn derive(bytes: &[u8], within: Within, is_final: bool) -> Derived {
    let mut derived = Derived {
        within,
        ..Derived::default()
    };
    for piece in split(bytes, is_final) {
        let text = &bytes[piece.text.clone()];
        let (level, is_rest) = match derived.within {
            Within::Nothing => (detect(text), false),
            Within::Line(level) => (level, true),
        };
        if let Some(level) = level.filter(|l| *l >= KEEP) {
            let mut line = Vec::with_capacity(text.len() + 8);
            if is_rest {
                line.extend_from_slice("[…] ".as_bytes());
            }
            line.extend_from_slice(text);
            if piece.goes_on {
                line.extend_from_slice(" […]".as_bytes());
            }
            derived.found.push(Found {
                line,
                level,
                end: piece.next,
            });
        }
        derived.within = if piece.goes_on {
            Within::Line(level)
        } else {
            Within::Nothing
        };
        derived.used = piece.next;
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn a_very_long_line_is_kept_in_marked_pieces_wherever_reading_stops() {
        let bytes = format!("ERROR {}\nok\n", "x".repeat(limits::LOG_LINE_BYTES)).into_bytes();
        let whole = derive(&bytes, Within::Nothing, false);
        assert_eq!(whole.found.len(), 2);
        assert!(whole.found[0].line.ends_with(" […]".as_bytes()));
        assert!(whole.found[1].line.starts_with("[…] xx".as_bytes()));
        assert_eq!((whole.used, whole.within), (bytes.len(), Within::Nothing));

        let first = derive(&bytes[..bytes.len() - 8], Within::Nothing, false);
        let second = derive(&bytes[first.used..], first.within, false);
        let both: Vec<_> = first.found.iter().chain(&second.found).collect();
        assert_eq!(both.len(), 2);
        assert_eq!(both[1].line, whole.found[1].line);
    }
}
