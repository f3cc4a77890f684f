//! The fixed words of messages, a file a language.

mod en;
mod ko;

use crate::limits;
use crate::model::language::Language;

/// The labels of facts.
pub(super) struct Words {
    pub(super) note: &'static str,
    pub(super) program: &'static str,
    pub(super) target: &'static str,
    pub(super) exit: &'static str,
    pub(super) cause: &'static str,
    pub(super) changed: &'static str,
    pub(super) uptime: &'static str,
    pub(super) restarts: &'static str,
    pub(super) next: &'static str,
    pub(super) memory: &'static str,
    pub(super) cpu: &'static str,
    pub(super) peak: &'static str,
    pub(super) asked_by: &'static str,
    pub(super) count: &'static str,
    pub(super) incident: &'static str,
    /// Why several failed together.
    pub(super) likely: &'static str,
    /// Behind the name of a file that changed.
    pub(super) file: &'static str,
}

// The longest of them.
const _: () = assert!(en::WORDS.changed.len() <= limits::MESSAGE_LABEL);

/// The words of `language`.
pub(super) const fn of(language: Language) -> &'static Words {
    match language {
        Language::En => &en::WORDS,
        Language::Ko => &ko::WORDS,
    }
}
