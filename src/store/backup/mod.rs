//! Copies of the database while it is used: made from one moment of it, checked, packed and named. Also which
//! there are, and which of them stay. Never writes to the database itself and never holds up its writer.

mod make;
mod restore;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Fault;
use crate::clock::Wall;

pub use self::make::back_up;
pub use self::restore::{restore, restore_newest, set_aside};

/// The folder of the copies in the state directory.
pub const FOLDER: &str = "backups";

const BEGINNING: &str = "jikimi-";
const ENDING: &str = ".db.zst";

/// Why there is no copy, or why it does not become the database. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `SQLite` refused.
    #[error("cannot read {}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// What was copied is damaged.
    #[error("{} is damaged ({what})", path.display())]
    Unsound {
        /// The database or the copy.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// It is sound, and none of ours.
    #[error("{} is no database of jikimi", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A later version made it.
    #[error("{} was made by a newer jikimi (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Somebody wanted it to stop.
    #[error("it was stopped")]
    Stopped,
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match Fault::of(&source) {
            Fault::Corrupt => Self::Unsound {
                path,
                what: source.to_string(),
            },
            Fault::Busy | Fault::Full | Fault::Io | Fault::Gone | Fault::Rejected => {
                Self::Sqlite { path, source }
            }
        }
    }
}

/// A copy that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// Of when it is.
    pub at: Wall,
    /// Its size.
    pub bytes: u64,
}

/// A copy that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The size of the database.
    pub database_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Asked between two steps with how long they should lie apart: waits for that, and says whether to go on.
pub type GoOn<'a> = &'a mut dyn FnMut(Duration) -> bool;

/// Where a copy of the database in `state_dir` goes that is made at `now`.
#[must_use]
pub fn place(state_dir: &Path, now: Wall) -> PathBuf {
    let name = [BEGINNING, &stamp(now), ENDING].concat();
    state_dir.join(FOLDER).join(name)
}

/// `20260131T080000.123Z`: sorts by time and is a file's name everywhere.
fn stamp(time: Wall) -> String {
    time.to_string().replace(['-', ':'], "")
}

fn time_of(name: &str) -> Option<Wall> {
    let stamp = name.strip_prefix(BEGINNING)?.strip_suffix(ENDING)?;
    let part = |range: std::ops::Range<usize>| stamp.get(range);
    let (year, month, rest) = (part(0..4)?, part(4..6)?, part(6..11)?);
    let (minute, seconds) = (part(11..13)?, stamp.get(13..)?);
    Wall::parse(&format!("{year}-{month}-{rest}:{minute}:{seconds}"))
}

/// The copies in `state_dir`, newest first. Files of other names are none.
///
/// # Errors
/// There is a folder and it cannot be read.
pub fn list(state_dir: &Path) -> Result<Vec<Backup>, BackupError> {
    let folder = state_dir.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BackupError::io(&folder)(error)),
    };
    let mut found: Vec<Backup> = entries.flatten().filter_map(|e| of(&e)).collect();
    found.sort_by(|a, b| b.path.cmp(&a.path));
    Ok(found)
}

fn of(entry: &fs::DirEntry) -> Option<Backup> {
    let at = time_of(entry.file_name().to_str()?)?;
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    Some(Backup {
        path: entry.path(),
        at,
        bytes: metadata.len(),
    })
}

/// Removes all but the newest `keep` copies; says how many went.
///
/// # Errors
/// One cannot be removed.
pub fn keep_newest(state_dir: &Path, keep: usize) -> Result<usize, BackupError> {
    let mut gone = 0;
    for backup in list(state_dir)?.iter().skip(keep) {
        fs::remove_file(&backup.path).map_err(BackupError::io(&backup.path))?;
        gone += 1;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_says_of_when_it_is_and_other_names_are_none() {
        let time = Wall::from_millis(1_700_000_000_123);
        let place = place(Path::new("/state"), time);
        assert_eq!(
            place,
            Path::new("/state/backups/jikimi-20231114T221320.123Z.db.zst")
        );
        let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        assert_eq!(name(&place).as_deref().and_then(time_of), Some(time));
        for other in [
            "jikimi-20231114T221320.123Z.db.zst.part",
            "jikimi-.db.zst",
            "jikimi-2023ä1114T2213.db.zst",
            "jikimi.db",
            "notes.txt",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_newest_stay_and_what_is_no_copy_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(list(dir.path()).expect("no folder is no copy"), []);
        fs::create_dir(dir.path().join(FOLDER)).expect("a folder");
        for n in [3, 1, 2] {
            let place = place(dir.path(), Wall::from_millis(n * 1_000_000_000));
            fs::write(place, "x").expect("written");
        }
        let own = dir.path().join(FOLDER).join("my-own.db.zst");
        fs::write(&own, "x").expect("written");
        assert_eq!(keep_newest(dir.path(), 2).expect("removed"), 1);
        let left = list(dir.path()).expect("read");
        let left: Vec<i64> = left.iter().map(|b| b.at.millis()).collect();
        assert_eq!(left, [3_000_000_000, 2_000_000_000]);
        assert!(own.exists());
        assert_eq!(keep_newest(dir.path(), 5).expect("nothing to do"), 0);
    }
}
