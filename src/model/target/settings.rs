//! What the settings of every kind of target have in common: their kind, whom they speak to, and all their values
//! as text, from which comparing, fingerprints and redaction follow.

use crate::secret::Secret;

/// Whom a target speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A program: hears every event of what it was told.
    Machine,
    /// People: hear what is news to them.
    Chat,
    /// A service that keeps the state of incidents itself, and is told how they stand.
    State,
}

/// One value of a provider's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The key of `[target.NAME]` it comes from.
    pub key: &'static str,
    /// Its text.
    pub text: Secret,
    /// Whether the text must never be shown.
    pub is_secret: bool,
}

impl Part {
    /// A value that anybody may see.
    #[must_use]
    pub fn plain(key: &'static str, text: impl Into<String>) -> Self {
        Self {
            key,
            text: Secret::new(text),
            is_secret: false,
        }
    }

    /// A value that nobody may see. An address is one: most have a key in them.
    #[must_use]
    pub fn secret(key: &'static str, text: &Secret) -> Self {
        Self {
            key,
            text: text.clone(),
            is_secret: true,
        }
    }
}

/// The settings of one kind of target.
pub trait Settings {
    /// The `kind` key's value.
    fn kind(&self) -> &'static str;

    /// Whom it speaks to.
    fn audience(&self) -> Audience;

    /// Every setting there is, in an order that stays: a change of any makes it another target.
    fn parts(&self) -> Vec<Part>;
}
