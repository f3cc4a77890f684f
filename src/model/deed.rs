//! What an attempt did at its target, in words for people.

/// What was done with the message of an incident, and what had to be done instead of what was meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// `created`, `edited`, `edited, answered`, …; or why there was nothing to do.
    pub did: Option<String>,
    /// Why it was not done as it was meant to be; never holds a secret.
    pub fallback: Option<String>,
}
