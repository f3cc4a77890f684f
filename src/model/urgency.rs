//! How urgently the supervisor shall end. It only ever rises.

use std::fmt;

/// How urgently the supervisor shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Everything in order: programs get their grace, buffers are flushed.
    Clean,
    /// Kill at once, then flush what can be flushed quickly.
    Now,
    /// Leave, saying what was left undone.
    Exit,
}

impl Urgency {
    /// Every urgency, rising.
    pub const ALL: [Self; 3] = [Self::Clean, Self::Now, Self::Exit];

    /// The next one up; [`Urgency::Exit`] stays.
    #[must_use]
    pub const fn raised(self) -> Self {
        match self {
            Self::Clean => Self::Now,
            Self::Now | Self::Exit => Self::Exit,
        }
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clean => "clean",
            Self::Now => "now",
            Self::Exit => "exit",
        })
    }
}
