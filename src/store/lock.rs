//! The state directory and the lock that keeps two supervisors off it. Knows nothing of what is in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crossbeam::channel::never;

use crate::clock;
use crate::limits;
use crate::procfs;

/// File systems of other machines: a lock or a shared memory file there may not hold between two of them.
/// Numbers from `linux/magic.h` and the file systems' own sources.
const REMOTE: [(u32, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x7375_7245, "Coda"),
    (0x0BD0_0BD0, "Lustre"),
];

/// The state directory is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another supervisor has it.
    #[error("{} is in use by the supervisor with pid {}", dir.display(), shown(*pid))]
    Held {
        /// Who, if it has said so already.
        pid: Option<u32>,
        /// Which.
        dir: PathBuf,
    },
    /// It is on another machine.
    #[error("{} is on a network file system ({kind}), where a database is not safe: set supervisor.state_dir to a directory on a local disk", dir.display())]
    Remote {
        /// Which.
        dir: PathBuf,
        /// What kind.
        kind: &'static str,
    },
    /// The file system refused.
    #[error("cannot use {} as state directory", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn shown(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |p| p.to_string())
}

/// The right to use a state directory, for as long as it lives. The kernel takes it back from a process that
/// ends in whatever way.
#[derive(Debug)]
pub struct StateLock {
    dir: PathBuf,
    file: File,
}

impl StateLock {
    /// Creates `dir` (0700) if need be and locks it.
    ///
    /// # Errors
    /// Another process holds it, it is on a network file system, or the file system refuses.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LockError::Io { path, source }
        };
        create(dir).map_err(io(dir))?;
        refuse_remote(dir)?;
        let path = dir.join("jikimi.lock");
        // std opens close-on-exec: no program inherits the lock.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        if let Err(error) = lock(&mut file) {
            return Err(match error {
                TryLockError::WouldBlock => LockError::Held {
                    pid: holder(&mut file),
                    dir: dir.to_path_buf(),
                },
                TryLockError::Error(source) => io(&path)(source),
            });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io(&path))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            file,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // The file stays: removing it would let two processes lock two files of the same name.
        // Unlocked by name: a child between fork and exec holds a copy of the descriptor for a moment.
        if let Err(error) = self.file.set_len(0).and_then(|()| self.file.unlock()) {
            log::warn!("cannot release the lock file: {error}");
        }
    }
}

/// Locks `file`. A supervisor that was killed in the midst of a spawn leaves a child that holds a copy of the
/// descriptor until its exec: while the one that is named there is dead, that is waited for.
fn lock(file: &mut File) -> Result<(), TryLockError> {
    let deadline = clock::mono() + limits::STORE_LOCK_WAIT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock)
                if !holder(file).is_some_and(is_alive)
                    && !deadline.since(clock::mono()).is_zero() =>
            {
                let _ = never::<()>().recv_timeout(limits::STORE_LOCK_LOOK);
            }
            result => return result,
        }
    }
}

fn is_alive(pid: u32) -> bool {
    // What cannot be read is there.
    procfs::read_stat(pid).map_or(true, |stat| {
        stat.is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'))
    })
}

fn create(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }
}

fn refuse_remote(dir: &Path) -> Result<(), LockError> {
    let stat = rustix::fs::statfs(dir).map_err(|errno| LockError::Io {
        path: dir.to_path_buf(),
        source: errno.into(),
    })?;
    match remote_kind(i128::from(stat.f_type)) {
        None => Ok(()),
        Some(kind) => Err(LockError::Remote {
            dir: dir.to_path_buf(),
            kind,
        }),
    }
}

/// The name of a network file system by its magic number, whose sign differs between machines.
fn remote_kind(magic: i128) -> Option<&'static str> {
    let low = u32::try_from(magic & 0xFFFF_FFFF).ok()?;
    REMOTE
        .iter()
        .find(|(number, _)| *number == low)
        .map(|(_, kind)| *kind)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path)
            .expect("it exists")
            .permissions()
            .mode()
            & 0o777
    }

    #[test]
    fn a_second_supervisor_is_told_which_pid_holds_the_directory() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = temp.path().join("deep/state");
        let first = StateLock::acquire(&dir).expect("free");
        assert_eq!(first.dir(), dir);
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("jikimi.lock")), 0o600);
        match StateLock::acquire(&dir) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("not held: {other:?}"),
        }
        drop(first);
        StateLock::acquire(&dir).expect("free again");
    }

    #[test]
    fn a_lock_that_a_dead_supervisor_left_to_a_child_is_waited_for() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let mut dead = std::process::Command::new("true")
            .spawn()
            .expect("true is everywhere");
        dead.wait().expect("it ends");
        let lock = StateLock::acquire(temp.path()).expect("free");
        std::fs::write(temp.path().join("jikimi.lock"), format!("{}\n", dead.id()))
            .expect("our own file");
        let (tell, told) = crossbeam::channel::bounded(2);
        let dir = temp.path().to_path_buf();
        let waiting = crate::thread::spawn_named("test-lock", move || {
            tell.send(Ok(())).expect("somebody listens");
            let got = StateLock::acquire(&dir).map(drop);
            tell.send(got).expect("somebody listens");
        });
        told.recv().expect("it begins").expect("no result yet");
        drop(lock);
        told.recv().expect("it ends").expect("freed in time");
        waiting
            .expect("a thread for a test")
            .join()
            .expect("no panic");
        let named = StateLock::acquire(temp.path()).expect("free");
        let text = std::fs::read_to_string(temp.path().join("jikimi.lock")).expect("ours");
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(named);
    }

    #[test]
    fn programs_do_not_inherit_the_lock() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let lock = StateLock::acquire(temp.path()).expect("free");
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cat is everywhere");
        let open: Vec<PathBuf> = std::fs::read_dir(format!("/proc/{}/fd", child.id()))
            .expect("it runs")
            .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
            .collect();
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        let path = lock.dir().join("jikimi.lock");
        assert!(path.exists() && !open.is_empty());
        assert!(!open.contains(&path), "{open:?}");
    }

    #[test]
    fn network_file_systems_are_known_whatever_the_sign_of_their_number() {
        assert_eq!(remote_kind(0x6969), Some("NFS"));
        assert_eq!(
            remote_kind(i128::from(0xFF53_4D42_u32.cast_signed())),
            Some("CIFS")
        );
        assert_eq!(remote_kind(0xFF53_4D42), Some("CIFS"));
        assert_eq!(remote_kind(0xEF53), None, "ext4 is local");
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_a_fault() {
        let temp = tempfile::NamedTempFile::new().expect("a temporary file");
        assert!(matches!(
            StateLock::acquire(temp.path()),
            Err(LockError::Io { .. })
        ));
    }
}
