//! What a program asks of those it depends on.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked of each, and what becomes of the program when one of them is started anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Of whom more is asked than to have started.
    pub conditions: BTreeMap<Arc<str>, Condition>,
    /// Another run of one of them is followed by another run of the program.
    pub restart_with: bool,
}

impl Needs {
    /// What is asked of `program`.
    #[must_use]
    pub fn of(&self, program: &str) -> Condition {
        self.conditions.get(program).copied().unwrap_or_default()
    }
}

/// How far another program must have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Its start is confirmed, or it has ended well.
    #[default]
    Started,
    /// It is up and ready.
    Healthy,
    /// It has ended well.
    Completed,
}

impl Condition {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Started, Self::Healthy, Self::Completed];

    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
        }
    }
}
