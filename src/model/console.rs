//! What a program reads its standard input from: nothing, a pipe, or a terminal, which is its output too.

/// What a program's standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// A pipe of its own, into which people and stops type lines.
    Pipe,
    /// A terminal of its own, which is its output as well.
    Terminal,
}

impl Console {
    /// As it stands in the configuration; none when it asks for nothing.
    #[must_use]
    pub fn key(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Null => None,
            Self::Pipe => Some(("stdin", "pipe")),
            Self::Terminal => Some(("terminal", "true")),
        }
    }
}
