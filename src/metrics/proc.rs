//! What one scan of `/proc` does not say: open files and storage I/O of single processes, by the cheapest
//! way there is. It judges nothing; a process that is gone simply has no figures.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir};
use rustix::io::Result;
use rustix::process::Resource;

use crate::limits;
use crate::procfs;

/// Storage I/O of one process since its start; with that of children it has reaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Bytes written to storage.
    pub write_bytes: u64,
}

/// How many files all sampling threads keep open together.
#[derive(Debug, Default)]
pub struct FileBudget {
    kept: AtomicUsize,
}

impl FileBudget {
    /// Files that are kept open.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// Leaves no room for anybody.
    #[cfg(test)]
    pub(super) fn use_up(&self) {
        self.kept.store(limits::SAMPLE_FILES, Ordering::Relaxed);
    }
}

/// Room for the kept files of one process, given back on drop.
#[derive(Debug)]
struct Room {
    budget: Arc<FileBudget>,
}

impl Room {
    const FILES: usize = 2;

    fn take(budget: &Arc<FileBudget>) -> Option<Self> {
        let limit = rustix::process::getrlimit(Resource::Nofile).current;
        let share = limit.map_or(u64::MAX, |soft| soft / limits::SAMPLE_FILES_SHARE);
        let max = usize::try_from(share)
            .unwrap_or(usize::MAX)
            .min(limits::SAMPLE_FILES);
        let add = |kept| (kept + Self::FILES <= max).then_some(kept + Self::FILES);
        budget
            .kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok()?;
        Some(Self {
            budget: Arc::clone(budget),
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.kept.fetch_sub(Self::FILES, Ordering::Relaxed);
    }
}

/// The files of one main process, open as long as its run is watched. They stay tied to the process: at a
/// reused pid they read as gone.
#[derive(Debug)]
pub struct KeptFiles {
    io: Option<OwnedFd>,
    fds: OwnedFd,
    /// Given back after the files are closed: fields drop in their order.
    _room: Room,
}

/// Reads single processes.
#[derive(Debug)]
pub struct ProcReader {
    proc: OwnedFd,
    /// Since Linux 6.2 the size of `/proc/PID/fd` is the number of open files.
    size_counts_files: bool,
    budget: Arc<FileBudget>,
}

impl ProcReader {
    /// A reader that keeps files open within `budget`.
    pub fn new(budget: Arc<FileBudget>) -> Result<Self> {
        let proc = open_dir(CWD, "/proc")?;
        let own = rustix::fs::statat(&proc, "self/fd", AtFlags::empty())?;
        Ok(Self {
            proc,
            size_counts_files: own.st_size > 0,
            budget,
        })
    }

    /// Opens the files of `pid` to keep; none when the budget is used up or the process is gone or closed
    /// to us, and they are then opened each time.
    #[must_use]
    pub fn keep(&self, pid: u32) -> Option<KeptFiles> {
        let room = Room::take(&self.budget)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = format!("{pid}/fd");
        let fds = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).ok()?;
        Some(KeptFiles {
            io: self.open_io(pid).ok(),
            fds,
            _room: room,
        })
    }

    /// Open files of `pid`. None when it is gone, or closed to us.
    #[must_use]
    pub fn open_files(&self, pid: u32, kept: Option<&KeptFiles>) -> Option<u32> {
        if !self.size_counts_files {
            return self.count_entries(pid).ok();
        }
        let stat = match kept {
            Some(files) => rustix::fs::fstat(&files.fds),
            None => rustix::fs::statat(&self.proc, format!("{pid}/fd"), AtFlags::empty()),
        };
        stat.ok().and_then(|s| u32::try_from(s.st_size).ok())
    }

    /// Storage I/O of `pid`. None when it is gone, or closed to us.
    #[must_use]
    pub fn io(&self, pid: u32, kept: Option<&KeptFiles>) -> Option<Io> {
        let mut text = [0; limits::PROC_IO_BYTES];
        let read = match kept {
            Some(KeptFiles { io: Some(file), .. }) => rustix::io::pread(file, &mut text, 0),
            // It was closed to us when it was opened, and will be each time.
            Some(KeptFiles { io: None, .. }) => return None,
            None => self
                .open_io(pid)
                .and_then(|file| rustix::io::read(file, &mut text)),
        };
        parse_io(text.get(..read.ok()?)?)
    }

    fn open_io(&self, pid: u32) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.proc, format!("{pid}/io"), flags, Mode::empty())
    }

    fn count_entries(&self, pid: u32) -> Result<u32> {
        let dir = open_dir(&self.proc, &format!("{pid}/fd"))?;
        let mut names = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(dir, &mut names);
        let mut count = 0;
        while let Some(entry) = entries.next() {
            count += u32::from(!entry?.file_name().to_bytes().starts_with(b"."));
        }
        Ok(count)
    }
}

fn open_dir(at: impl AsFd, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

fn parse_io(text: &[u8]) -> Option<Io> {
    let value = |name: &[u8]| -> Option<u64> {
        let line = text
            .split(|b| *b == b'\n')
            .find_map(|l| l.strip_prefix(name))?;
        std::str::from_utf8(line).ok()?.trim().parse().ok()
    };
    Some(Io {
        read_bytes: value(b"read_bytes:")?,
        write_bytes: value(b"write_bytes:")?,
    })
}

/// The constants of this machine that figures are computed with.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Units of processor time per second.
    pub ticks_per_second: u64,
    /// Bytes of a page.
    pub page_size: u64,
}

impl Machine {
    /// Those of the machine we run on.
    #[must_use]
    pub fn current() -> Self {
        Self {
            ticks_per_second: procfs::clock_ticks_per_second(),
            page_size: procfs::page_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn reader() -> ProcReader {
        ProcReader::new(Arc::new(FileBudget::default())).expect("/proc is there")
    }

    #[test]
    fn open_files_are_counted_alike_by_size_by_kept_file_and_by_listing() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .expect("sleep is everywhere");
        // Its loader opens and closes libraries; until it sleeps the number moves.
        let deadline = crate::clock::mono() + std::time::Duration::from_secs(20);
        let asleep =
            || procfs::read_stat(child.id()).is_ok_and(|s| s.is_some_and(|s| s.state == b'S'));
        while !asleep() && crate::clock::mono() < deadline {
            std::thread::yield_now();
        }
        let mut reader = reader();
        let kept = reader.keep(child.id()).expect("there is room");
        let by_size = reader.open_files(child.id(), None);
        let by_kept = reader.open_files(child.id(), Some(&kept));
        reader.size_counts_files = false;
        let by_listing = reader.open_files(child.id(), None);
        child.kill().expect("our child");
        child.wait().expect("our child");
        assert!(by_listing.is_some_and(|n| n >= 3), "{by_listing:?}");
        assert_eq!((by_size, by_kept), (by_listing, by_listing));
        assert_eq!(reader.open_files(child.id(), None), None, "it is gone");
        assert_eq!(reader.io(child.id(), Some(&kept)), None, "it is gone");
        assert_eq!(reader.budget.kept(), 2);
        drop(kept);
        assert_eq!(reader.budget.kept(), 0);
    }

    #[test]
    fn bytes_that_went_to_storage_are_seen_through_a_kept_file() {
        let reader = reader();
        let me = std::process::id();
        let kept = reader.keep(me).expect("there is room");
        let before = reader
            .io(me, Some(&kept))
            .expect("we may look at ourselves");
        // In the target directory, for a temporary one may be in memory.
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).expect("writable");
        file.write_all(&vec![7; 1 << 20])
            .expect("room for a megabyte");
        file.sync_all().expect("a disk");
        let after = reader
            .io(me, Some(&kept))
            .expect("we may look at ourselves");
        assert!(after.write_bytes >= before.write_bytes + (1 << 20));
    }

    #[test]
    fn torn_text_of_io_is_no_figure() {
        let text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n\
            cancelled_write_bytes: 7\n";
        let io = parse_io(text).expect("text as the kernel writes it");
        assert_eq!((io.read_bytes, io.write_bytes), (5, 6));
        assert_eq!(parse_io(&text[..40]), None);
        assert_eq!(parse_io(b"read_bytes: x\nwrite_bytes: 1\n"), None);
    }
}
