//! A pattern that lines of output are held against: its text, and what it was compiled to. Pure.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits;

/// A regular expression over bytes: output need not be text. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is no pattern, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// It is no regular expression, or one that would need too much memory.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let compiled = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(limits::PATTERN_BYTES)
            .build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError("it is too large".to_owned()),
            other => {
                // What it says before shows the pattern, with an arrow under it.
                let words = other.to_string();
                let last = words.lines().last().unwrap_or_default();
                PatternError(last.trim_start_matches("error: ").to_owned())
            }
        })
    }

    /// Whether it is found anywhere in `line`.
    #[must_use]
    pub fn is_in(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stand_in_the_way_of_nothing() {
        let pattern = Pattern::new("^ready .* 80$").expect("compiles");
        assert!(pattern.is_in(b"ready \xff\xfe\0 80"));
        assert!(!pattern.is_in(b"not ready \xff 80"));
        assert!(
            Pattern::new("준비")
                .expect("compiles")
                .is_in("서버 준비됨".as_bytes())
        );
    }

    #[test]
    fn what_is_no_pattern_is_said_in_one_line() {
        for (text, expected) in [
            ("ready (", "unclosed group"),
            ("[a", "unclosed character class"),
            ("(((a{900}){900}){900})", "it is too large"),
        ] {
            let error = Pattern::new(text).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }
}
