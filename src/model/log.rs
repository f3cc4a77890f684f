//! Log records: lines of programs that are kept in the database, and the cursors that say how far was read.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::InstanceName;
use crate::clock::Wall;
use crate::ids::RunId;

/// Which of a program's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How bad a line says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Finest.
    Trace,
    /// For its developers.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// It cannot go on.
    Fatal,
}

impl Level {
    /// The name in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl Level {
    /// The level of that name.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        const ALL: [Level; 6] = [
            Level::Trace,
            Level::Debug,
            Level::Info,
            Level::Warn,
            Level::Error,
            Level::Fatal,
        ];
        ALL.into_iter().find(|level| level.as_str() == text)
    }
}

/// One line worth keeping in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was read, to the nearest known moment.
    pub time: Wall,
    /// Who wrote it.
    pub instance: InstanceName,
    /// In which run, if known.
    pub run: Option<RunId>,
    /// Where.
    pub stream: Stream,
    /// How bad it says it is.
    pub level: Level,
    /// The bytes as written, without the line's end.
    pub line: Vec<u8>,
}

/// How far a segment file has been read for records. Moved in the transaction that stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// Whose output.
    pub instance: InstanceName,
    /// Which.
    pub stream: Stream,
    /// The segment's inode: a rotated file is another one.
    pub inode: u64,
    /// Bytes read, always the end of a line.
    pub offset: u64,
}

/// Records and the cursors that go with them, for one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// In the order they were read.
    pub records: Vec<LogRecord>,
    /// One a file that was read.
    pub cursors: Vec<LogCursor>,
}
