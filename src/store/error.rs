//! What can go wrong in the store, and what a fault of the database means for the writer. Never opens,
//! reads or writes anything.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::ids::DeliveryId;

/// A read or a write that did not happen; the caller tries again later.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `SQLite` refused.
    #[error("the database failed to {doing}")]
    Sqlite {
        /// The statement's name.
        doing: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// No reader came free in time, or none could be opened.
    #[error("no database connection is free")]
    NoConnection(#[source] r2d2::Error),
    /// The writer did not answer in time. What was asked may still be done.
    #[error("the database does not answer")]
    TimedOut,
    /// More calls wait than the writer takes on.
    #[error("too many calls wait for the database")]
    Overloaded,
    /// The store has been closed, or its writer has ended.
    #[error("the database is closed")]
    Closed,
    /// Opened for reading.
    #[error("the database was opened for reading only")]
    ReadOnly,
    /// Nobody knows that delivery.
    #[error("there is no delivery {0}")]
    NoSuchDelivery(DeliveryId),
}

impl StoreError {
    /// Whether the database file is damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        self.fault() == Some(Fault::Corrupt)
    }

    /// What it says of the storage; `None` when it says nothing about it.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Sqlite { source, .. } => Some(Fault::of(source)),
            Self::NoConnection(_)
            | Self::TimedOut
            | Self::Overloaded
            | Self::Closed
            | Self::ReadOnly
            | Self::NoSuchDelivery(_) => None,
        }
    }
}

/// The kinds of failure of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another process holds the lock.
    Busy,
    /// No room.
    Full,
    /// The disk or the file fails.
    Io,
    /// The file is damaged.
    Corrupt,
    /// Somebody removed the file.
    Gone,
    /// This one write can never pass.
    Rejected,
}

impl Fault {
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else {
            return Self::Rejected;
        };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt,
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ApiMisuse
            | ErrorCode::ParameterOutOfRange => Self::Rejected,
            // Everything else is about the machine, not about what is written: it may pass.
            _ => Self::Io,
        }
    }

    /// In words, for people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Busy => "the database is locked by another process",
            Self::Full => "the disk is full",
            Self::Io => "the disk fails",
            Self::Corrupt => "the database file is damaged",
            Self::Gone => "the database file was removed",
            Self::Rejected => "a write was refused",
        }
    }
}

/// The database cannot be opened; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged.
    #[error("{} is damaged ({what}): move it aside to begin a new one, or put a backup in its place", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What `SQLite` found.
        what: String,
    },
    /// A later version made it.
    #[error("{} was made by a newer jikimi (schema {found}, this one knows {known}): use that version or another state_dir", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An earlier version made it, and reading alone does not bring it up to date.
    #[error("{} was made by an older jikimi (schema {found}, this one knows {known}): the next `jikimi run` brings it up to date", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// There is nothing to read.
    #[error("there is no database at {}", path.display())]
    Missing {
        /// The file looked for.
        path: PathBuf,
    },
    /// `SQLite` refused.
    #[error("cannot open the database {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// No reader could be opened.
    #[error("cannot read the database {}", path.display())]
    Readers {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: r2d2::Error,
    },
}

impl OpenError {
    /// The right variant for what `SQLite` says about `path`.
    pub(super) fn sqlite(path: &std::path::Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match Fault::of(&source) {
            Fault::Corrupt => Self::Damaged {
                path,
                what: source.to_string(),
            },
            Fault::Busy | Fault::Full | Fault::Io | Fault::Gone | Fault::Rejected => {
                Self::Sqlite { path, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_machine_may_pass_and_faults_of_a_write_do_not() {
        use rusqlite::ffi;
        for (code, fault) in [
            (ffi::SQLITE_BUSY, Fault::Busy),
            (ffi::SQLITE_FULL, Fault::Full),
            (ffi::SQLITE_IOERR, Fault::Io),
            (ffi::SQLITE_READONLY, Fault::Io),
            (ffi::SQLITE_CORRUPT, Fault::Corrupt),
            (ffi::SQLITE_NOTADB, Fault::Corrupt),
            (ffi::SQLITE_CONSTRAINT, Fault::Rejected),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Fault::of(&error), fault, "{code}");
        }
        assert_eq!(
            Fault::of(&rusqlite::Error::QueryReturnedNoRows),
            Fault::Rejected
        );
    }
}
