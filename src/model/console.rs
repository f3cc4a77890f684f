//! What a program reads its standard input from.

/// What a program's standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// A pipe of its own, into which people and stops type lines.
    Pipe,
}

impl Console {
    /// As it stands in the configuration; none when it asks for nothing.
    #[must_use]
    pub fn key(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Null => None,
            Self::Pipe => Some(("stdin", "pipe")),
        }
    }
}
