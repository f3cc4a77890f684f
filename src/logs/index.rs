//! The index beside a segment: when how much of it had been written, and by which run. An aid that may lag
//! or be missing; never needed to read the segment itself.
//!
//! Format: entries of [`ENTRY`] bytes, appended. Little endian: time in milliseconds since the epoch (i64),
//! length of the segment at that time (u64), kind (u8: 1 start, 2 while it ran, 3 end), five zero bytes, the
//! run's id as 26 characters. A torn last entry is not read and is overwritten.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::segments::open_for_writing;
use crate::clock::{Mono, Wall};
use crate::ids::RunId;
use crate::limits;

/// Bytes of one entry.
pub(super) const ENTRY: usize = 48;
const ENTRY_U64: u64 = ENTRY as u64;

/// Why an entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The run's pipe was opened: its bytes are at `offset` and after it.
    Start,
    /// The bytes before `offset` had been written by then, the last of them by the run.
    Running,
    /// The run's pipe ended: its bytes are before `offset`.
    End,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub time: Wall,
    /// The segment's length then.
    pub offset: u64,
    /// Why.
    pub mark: Mark,
    /// Which run.
    pub run: RunId,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..8].copy_from_slice(&self.time.millis().to_le_bytes());
        out[8..16].copy_from_slice(&self.offset.to_le_bytes());
        out[16] = match self.mark {
            Mark::Start => 1,
            Mark::Running => 2,
            Mark::End => 3,
        };
        out[22..].copy_from_slice(self.run.to_string().as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |from: usize| <[u8; 8]>::try_from(bytes.get(from..from + 8)?).ok();
        let mark = match bytes.get(16)? {
            1 => Mark::Start,
            2 => Mark::Running,
            3 => Mark::End,
            _ => return None,
        };
        Some(Self {
            time: Wall::from_millis(i64::from_le_bytes(number(0)?)),
            offset: u64::from_le_bytes(number(8)?),
            mark,
            run: std::str::from_utf8(bytes.get(22..ENTRY)?)
                .ok()?
                .parse()
                .ok()?,
        })
    }
}

/// Whether enough time or bytes have passed for another entry.
fn is_due(last: Option<(Mono, u64)>, offset: u64, now: Mono) -> bool {
    last.is_none_or(|(at, before)| {
        now.since(at) >= limits::INDEX_EVERY
            || offset.saturating_sub(before) >= limits::INDEX_BYTES
            || offset < before
    })
}

/// The writing side, of the pump alone.
#[derive(Debug)]
pub(super) struct IndexWriter {
    path: PathBuf,
    file: Option<File>,
    last: Option<(Mono, u64)>,
    /// The newest growth that was not yet time for an entry: it is noted before the next one, so that a line has not
    /// the time of another one that came long after.
    pending: Option<Entry>,
    is_failing: bool,
}

impl IndexWriter {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            last: None,
            pending: None,
            is_failing: false,
        }
    }

    /// Notes that the segment grew, if it is time to.
    pub(super) fn grew(&mut self, entry: &Entry, now: Mono) {
        if is_due(self.last, entry.offset, now) {
            self.note(entry, now);
        } else {
            self.pending = Some(*entry);
        }
    }

    /// Gives the file the name `to`, complete; what comes goes into another one.
    pub(super) fn put_aside(&mut self, to: &Path) -> io::Result<()> {
        if let Some(pending) = self.pending.take() {
            // Then the last lines have the time of the file.
            let _ = self.append(&pending);
        }
        self.file = None;
        self.last = None;
        match std::fs::rename(&self.path, to) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes an entry. A fault is said once: output matters more than its index.
    pub(super) fn note(&mut self, entry: &Entry, now: Mono) {
        self.last = Some((now, entry.offset));
        let pending = self.pending.take();
        let pending = pending.filter(|before| before.offset < entry.offset);
        let appended = pending.map_or(Ok(()), |before| self.append(&before));
        match appended.and_then(|()| self.append(entry)) {
            Ok(()) => self.is_failing = false,
            Err(e) => {
                self.file = None;
                if !self.is_failing {
                    log::warn!("cannot write {}: {e}", self.path.display());
                }
                self.is_failing = true;
            }
        }
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open_for_writing(&self.path)?);
        }
        let file = self.file.as_ref().expect("opened above");
        let len = file.metadata()?.len();
        file.write_all_at(&entry.encode(), len - len % ENTRY_U64)
    }
}

/// The reading side.
#[derive(Debug)]
pub struct Index {
    file: File,
    entries: u64,
}

impl Index {
    /// Opens the index at `path`, as long as it is at this moment.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let entries = file.metadata()?.len() / ENTRY_U64;
        Ok(Self { file, entries })
    }

    /// Entry `at`, counted from zero; none when there is none or it is damaged.
    #[must_use]
    pub fn get(&self, at: u64) -> Option<Entry> {
        if at >= self.entries {
            return None;
        }
        let mut bytes = [0; ENTRY];
        self.file.read_exact_at(&mut bytes, at * ENTRY_U64).ok()?;
        Entry::decode(&bytes)
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> u64 {
        self.entries
    }

    /// Takes in what was written since it was opened.
    pub(super) fn look_again(&mut self) {
        if let Ok(metadata) = self.file.metadata() {
            self.entries = metadata.len() / ENTRY_U64;
        }
    }

    /// Every entry that is not damaged with its number, in their order.
    pub(super) fn each(&self, mut take: impl FnMut(u64, &Entry)) -> io::Result<()> {
        let mut block = vec![0; limits::INDEX_BLOCK * ENTRY];
        let mut at = 0;
        while at < self.entries {
            let count = (self.entries - at).min(limits::INDEX_BLOCK as u64);
            let bytes = &mut block[..usize::try_from(count * ENTRY_U64).unwrap_or(0)];
            self.file.read_exact_at(bytes, at * ENTRY_U64)?;
            for (n, bytes) in (at..).zip(bytes.chunks_exact(ENTRY)) {
                if let Some(entry) = Entry::decode(bytes) {
                    take(n, &entry);
                }
            }
            at += count;
        }
        Ok(())
    }

    /// The newest entry.
    #[must_use]
    pub fn last(&self) -> Option<Entry> {
        self.get(self.entries.checked_sub(1)?)
    }

    /// The first entry written when the byte before `offset` was there: the nearest known moment for it, and
    /// the run. None when the index does not reach so far yet.
    #[must_use]
    pub fn locate(&self, offset: u64) -> Option<Entry> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.get(middle)?;
            // A start says nothing of the bytes before it: they are another run's.
            if entry.offset < offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.get(low)
    }

    /// The bytes `run` can have written: from its start to the next run's start (`None`: to the end). Looks
    /// back a bounded way; a start that is farther gives 0.
    #[must_use]
    pub fn span(&self, run: RunId) -> (u64, Option<u64>) {
        let look = limits::INDEX_LOOK_BACK_BYTES / ENTRY_U64;
        let mut end = None;
        for at in (self.entries.saturating_sub(look)..self.entries).rev() {
            let Some(entry) = self.get(at) else { continue };
            if entry.mark == Mark::Start {
                if entry.run == run {
                    return (entry.offset, end);
                }
                end = Some(entry.offset);
            }
        }
        (0, end)
    }

    /// Where the bytes of `run` begin, as far as is known: where its start was noted, or else, when the disk took
    /// nothing then, behind the end of the run before, or at the first that is known of it. None when it is not
    /// known at all.
    #[must_use]
    pub(super) fn beginning(&self, run: RunId) -> Option<u64> {
        let look = limits::INDEX_LOOK_BACK_BYTES / ENTRY_U64;
        let mut first = None;
        for at in (self.entries.saturating_sub(look)..self.entries).rev() {
            let Some(entry) = self.get(at) else { continue };
            if entry.run != run {
                continue;
            }
            if entry.mark == Mark::Start {
                return Some(entry.offset);
            }
            first = Some((at, entry.offset));
        }
        let (at, offset) = first?;
        let before = at.checked_sub(1).and_then(|at| self.get(at));
        Some(before.map_or(offset, |before| match before.mark {
            Mark::End => before.offset,
            Mark::Start | Mark::Running => offset,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::time::Duration;

    fn entry(time: i64, offset: u64, mark: Mark, run: RunId) -> Entry {
        Entry {
            time: Wall::from_millis(time),
            offset,
            mark,
            run,
        }
    }

    #[test]
    fn entries_read_back_and_a_torn_one_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.idx");
        let (first, second) = (RunId::new(), RunId::new());
        let now = Mono::from_nanos(0);
        let mut writer = IndexWriter::new(path.clone());
        writer.note(&entry(10, 0, Mark::Start, first), now);
        writer.note(&entry(20, 100, Mark::Running, first), now);
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut f| f.write_all(&[7; 20]))
            .expect("torn");
        assert_eq!(
            Index::open(&path).expect("opens").last().map(|e| e.offset),
            Some(100)
        );
        writer.note(&entry(30, 150, Mark::End, first), now);
        writer.note(&entry(40, 150, Mark::Start, second), now);
        let index = Index::open(&path).expect("opens");
        assert_eq!(index.last(), Some(entry(40, 150, Mark::Start, second)));
        assert_eq!(index.locate(1).map(|e| e.time.millis()), Some(20));
        assert_eq!(index.locate(150).map(|e| e.run), Some(first));
        assert_eq!(index.locate(151), None);
        assert_eq!(index.span(first), (0, Some(150)));
        assert_eq!(index.span(second), (150, None));
        assert_eq!(index.beginning(first), Some(0));
        assert_eq!(index.beginning(second), Some(150));
        assert_eq!(index.beginning(RunId::new()), None);
    }

    #[test]
    fn a_run_whose_start_was_not_noted_begins_behind_the_end_before_it() {
        let (run, other) = (RunId::new(), RunId::new());
        for (before, expected) in [(Mark::End, 100), (Mark::Running, 180)] {
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join("out.idx");
            let mut writer = IndexWriter::new(path.clone());
            let now = Mono::from_nanos(0);
            writer.note(&entry(10, 100, before, other), now);
            writer.note(&entry(20, 180, Mark::Running, run), now);
            writer.note(&entry(30, 300, Mark::Running, run), now);
            let index = Index::open(&path).expect("opens");
            assert_eq!(index.beginning(run), Some(expected));
        }
    }

    #[test]
    fn an_entry_comes_after_a_second_or_64_kib_or_when_the_file_was_cut() {
        let start = Mono::from_nanos(0);
        let later = start + Duration::from_secs(1);
        assert!(is_due(None, 1, start));
        assert!(!is_due(Some((start, 0)), 100, start));
        assert!(is_due(Some((start, 0)), 100, later));
        assert!(is_due(Some((start, 0)), limits::INDEX_BYTES, start));
        assert!(is_due(Some((start, 50)), 10, start));
    }
}
