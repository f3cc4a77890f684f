//! The configuration's files as last read. A file is read again only when its time or size says so, and parsed again
//! only when its content is another. Owns the parsed files and the count of what was done; judges nothing.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::fault::Wrong;
use super::source::{line_starts, read_config};
use super::syntax::{self, Table};
use crate::clock::{self, Wall};
use crate::limits::CONFIG_FILE_SETTLES;

/// A file's text and what it says, as the file of a certain number.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) file: usize,
    pub(super) text: Arc<str>,
    pub(super) line_starts: Arc<[usize]>,
    /// What could be made out in spite of the errors.
    pub(super) table: Table,
    /// By their place, in order.
    pub(super) errors: Vec<(usize, Wrong)>,
}

impl Parsed {
    /// `text`, parsed as file `file`.
    pub(super) fn new(text: &str, file: usize) -> Self {
        let (table, errors) = syntax::parse(text, file);
        Self {
            file,
            line_starts: line_starts(text).into(),
            text: text.into(),
            table,
            errors,
        }
    }

    /// The same as file `file`: another one before it came or went.
    fn as_file(&self, file: usize) -> Self {
        Self {
            file,
            text: Arc::clone(&self.text),
            line_starts: Arc::clone(&self.line_starts),
            table: syntax::renumbered(&self.table, file),
            errors: self.errors.clone(),
        }
    }
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times the configuration was looked at on disk.
    pub scans: u64,
    /// Configuration files whose content was read.
    pub reads: u64,
    /// Configuration files that were parsed.
    pub parses: u64,
}

/// By which a file is taken to be the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Nobody can set it back, as `touch -r` and `cp -p` do with the other.
    changed: (i64, i64),
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// When it was read it had been left alone for long enough for its times to tell the next change.
    is_settled: bool,
    hash: [u8; 32],
    parsed: Arc<Parsed>,
}

/// The files of one configuration.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<PathBuf, Known>,
    pub(super) counts: Counts,
    /// What is taken in place of what is on disk.
    pub(super) overlay: Overlay,
}

/// Texts of files that are not written yet; none: as if the file were gone.
pub(super) type Overlay = BTreeMap<PathBuf, Option<String>>;

impl Files {
    /// The file at `path` as file `file` of its configuration.
    pub(super) fn parsed(&mut self, path: &Path, file: usize) -> Result<Arc<Parsed>, Wrong> {
        if let Some(Some(text)) = self.overlay.get(path) {
            return Ok(Arc::new(Parsed::new(text, file)));
        }
        let seen_at = clock::wall();
        // Before the reading: what is changed during it is noticed the next time.
        let stamp = stamp(path);
        if let Some(known) = self.known.get_mut(path)
            && known.is_settled
            && Some(known.stamp) == stamp
        {
            return Ok(known.as_file(file));
        }
        let text = read_config(path).inspect_err(|_| {
            self.known.remove(path);
        })?;
        self.counts.reads += 1;
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let known = self.known.remove(path).filter(|known| known.hash == hash);
        let parsed = if let Some(mut known) = known {
            known.as_file(file)
        } else {
            self.counts.parses += 1;
            Arc::new(Parsed::new(&text, file))
        };
        if let Some(stamp) = stamp {
            let known = Known {
                stamp,
                is_settled: is_settled(&stamp, seen_at),
                hash,
                parsed: Arc::clone(&parsed),
            };
            self.known.insert(path.to_owned(), known);
        }
        Ok(parsed)
    }

    /// Forgets all but `paths`.
    pub(super) fn keep(&mut self, paths: &[PathBuf]) {
        self.known.retain(|path, _| paths.contains(path));
    }
}

impl Known {
    fn as_file(&mut self, file: usize) -> Arc<Parsed> {
        if self.parsed.file != file {
            self.parsed = Arc::new(self.parsed.as_file(file));
        }
        Arc::clone(&self.parsed)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        inode: (meta.dev(), meta.ino()),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

/// The times of files tick coarsely: a change right after the last one may leave them as they are. git calls such a
/// file racily clean, and looks into it, too.
fn is_settled(stamp: &Stamp, seen_at: Wall) -> bool {
    let age = |(seconds, _): (i64, i64)| {
        let millis = seconds.saturating_mul(1_000);
        seen_at.millis().saturating_sub(millis)
    };
    // A second more: the stamp's fraction is left out.
    let least = i64::try_from(CONFIG_FILE_SETTLES.as_millis()).unwrap_or(i64::MAX);
    age(stamp.modified) > least && age(stamp.changed) > least
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    use super::*;

    struct Place {
        _folder: tempfile::TempDir,
        path: PathBuf,
        files: Files,
    }

    impl Place {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("x.toml");
            std::fs::write(&path, text).expect("a file");
            Self {
                _folder: folder,
                path,
                files: Files::default(),
            }
        }

        /// What was read and parsed for one look, and the keys that were found.
        fn look(&mut self, file: usize) -> ((u64, u64), Vec<String>) {
            let before = self.files.counts;
            let parsed = self.files.parsed(&self.path, file).expect("it is a file");
            assert!(parsed.table.values().all(|entry| entry.at.file == file));
            let after = self.files.counts;
            let done = (after.reads - before.reads, after.parses - before.parses);
            (done, parsed.table.keys().cloned().collect())
        }

        /// Takes the file for one that has been left alone, or not.
        fn settle(&mut self, is_settled: bool) {
            let known = self.files.known.get_mut(&self.path);
            known.expect("it was read").is_settled = is_settled;
        }
    }

    #[test]
    fn a_file_is_parsed_once_and_again_only_when_its_content_changed() {
        let mut place = Place::new("a = 1\n");
        assert_eq!(place.look(0), ((1, 1), vec!["a".to_owned()]));
        assert_eq!(
            place.look(0).0,
            (1, 0),
            "written just now: it is looked into"
        );
        place.settle(true);
        assert_eq!(place.look(0).0, (0, 0));
        assert_eq!(
            place.look(3).0,
            (0, 0),
            "another number is no other content"
        );
        // Touched: read, and found to be the same.
        let file = File::options()
            .write(true)
            .open(&place.path)
            .expect("it is there");
        let later = SystemTime::now() + Duration::from_secs(100);
        let times = FileTimes::new().set_modified(later);
        file.set_times(times).expect("our own file");
        assert_eq!(place.look(0).0, (1, 0));
        std::fs::write(&place.path, "b = 1\nc = 2\n").expect("a file");
        place.settle(true);
        let keys = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(place.look(0), ((1, 1), keys));
    }

    #[test]
    fn a_change_that_the_times_do_not_tell_is_found_while_they_are_fresh() {
        let mut place = Place::new("a = 1\n");
        place.look(0);
        std::fs::write(&place.path, "b = 1\n").expect("a file");
        // As if the clock of the file system had not ticked between.
        let stamp = stamp(&place.path).expect("it is there");
        let known = place.files.known.get_mut(&place.path).expect("it was read");
        known.stamp = stamp;
        assert!(!known.is_settled, "it is younger than a tick may be long");
        assert_eq!(place.look(0), ((1, 1), vec!["b".to_owned()]));
    }

    #[test]
    fn a_file_that_left_or_cannot_be_read_is_forgotten() {
        let mut place = Place::new("a = 1\n");
        place.look(0);
        place.files.keep(&[]);
        assert_eq!(place.look(0).0, (1, 1));
        std::fs::remove_file(&place.path).expect("it is there");
        assert!(place.files.parsed(&place.path, 0).is_err());
        assert!(place.files.known.is_empty());
    }
}
