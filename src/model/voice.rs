//! How a target is spoken to: the language of its messages.

use super::language::Language;

/// How messages to a target are worded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Voice {
    /// Of all that is not a name or a program's own words.
    pub language: Language,
}

impl Voice {
    /// English, in the built-in words.
    pub const PLAIN: Self = Self {
        language: Language::En,
    };
}
