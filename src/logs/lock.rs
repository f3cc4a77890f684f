//! `pipes/pump.lock`: the process that holds it is the one that pumps. The kernel frees it with the process.
//! A holder that does not answer can be overtaken: the new lock file takes the old one's name, and the old
//! owner, which looks before every round, stops. Never decides who should pump.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::pipes::PIPES;

/// The right to pump, while it lives.
#[derive(Debug)]
pub(super) struct PumpLock {
    file: File,
    path: PathBuf,
}

fn path_in(state_dir: &Path) -> PathBuf {
    state_dir.join(PIPES).join("pump.lock")
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

impl PumpLock {
    /// Takes the lock if it is free; `None`: another process pumps.
    pub(super) fn try_take(state_dir: &Path) -> io::Result<Option<Self>> {
        let path = path_in(state_dir);
        let file = open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let lock = Self { file, path };
                // Overtaken between open and flock: the name leads elsewhere.
                Ok(lock.is_held().then_some(lock))
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes it from a process that does not answer.
    pub(super) fn overtake(state_dir: &Path) -> io::Result<Self> {
        let path = path_in(state_dir);
        let fresh = path.with_extension(format!("lock.{}", std::process::id()));
        let file = open(&fresh)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::rename(&fresh, &path)?;
        Ok(Self { file, path })
    }

    /// Whether the name still leads to this lock: not when it was overtaken or the state directory removed.
    pub(super) fn is_held(&self) -> bool {
        match (self.file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(ours), Ok(named)) => ours.ino() == named.ino() && ours.dev() == named.dev(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_lock_until_it_is_freed_or_overtaken() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join(PIPES)).expect("made");
        let take = || PumpLock::try_take(dir.path()).expect("the folder is there");
        let first = take().expect("free");
        assert!(take().is_none(), "two had it");
        drop(first);
        let second = take().expect("freed");
        let third = PumpLock::overtake(dir.path()).expect("overtaken");
        assert!(!second.is_held() && third.is_held());
        drop(second);
        assert!(take().is_none(), "the one that overtook lost it");
    }
}
