//! How a target is spoken to: the language of its messages, and their text.

use super::language::Language;
use super::template::Template;

/// How messages to a target are worded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Voice {
    /// Of all that is not a name or a program's own words.
    pub language: Language,
    /// A text of one's own instead of the built-in one.
    pub template: Option<Template>,
}

impl Voice {
    /// English, in the built-in words.
    pub const PLAIN: Self = Self {
        language: Language::En,
        template: None,
    };
}
