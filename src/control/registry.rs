//! The register of running supervisors: a small file each in a folder that only its user can write to, named
//! by the configuration, so that commands find the socket. Owns those files; trusts no folder of others.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits;

/// What a supervisor leaves for commands to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its process.
    pub pid: u32,
    /// Its socket file.
    pub socket: PathBuf,
    /// Where its database is.
    pub state_dir: PathBuf,
    /// Its configuration file, for people.
    #[serde(default)]
    pub config: PathBuf,
}

/// No folder will do. Supervision goes on without an entry.
#[derive(Debug, thiserror::Error)]
#[error("no folder for the register of supervisors: {0}")]
pub struct RegistryError(String);

/// The places where an entry may be, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<PathBuf>);

impl Places {
    /// `$XDG_RUNTIME_DIR/jikimi`, `/run/jikimi`, and a folder of the user's in the temporary folder.
    pub fn of(runtime_dir: Option<&Path>, temporary: &Path) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        // The specification of XDG_RUNTIME_DIR has relative paths ignored.
        let runtime = runtime_dir.filter(|p| p.is_absolute());
        Self(
            runtime
                .map(|p| p.join("jikimi"))
                .into_iter()
                .chain([
                    PathBuf::from("/run/jikimi"),
                    temporary.join(format!("jikimi-{uid}")),
                ])
                .collect(),
        )
    }

    /// Exactly these.
    pub fn exactly(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// Writes `entry` for the configuration `config` (absolute) into the first folder that will do.
    pub fn register(&self, config: &Path, entry: &Entry) -> Result<Registration, RegistryError> {
        let name = file_name(config);
        let mut faults = Vec::new();
        for path in &self.0 {
            let written =
                Folder::make(path).and_then(|folder| folder.write(&name, entry).map(|()| folder));
            match written {
                Ok(folder) => {
                    return Ok(Registration {
                        folder,
                        name,
                        pid: entry.pid,
                    });
                }
                Err(error) => faults.push(format!("{}: {error}", path.display())),
            }
        }
        Err(RegistryError(faults.join("; ")))
    }

    /// The entry for the configuration `config` (absolute), of a supervisor that may be gone.
    pub fn find(&self, config: &Path) -> Vec<Entry> {
        let name = file_name(config);
        let folders = self.0.iter().filter_map(|path| Folder::open(path).ok());
        folders.filter_map(|folder| folder.read(&name)).collect()
    }

    /// Every entry, of supervisors that may be gone; [`limits::REGISTRY_ENTRIES`] at most.
    pub fn all(&self) -> Vec<Entry> {
        let folders = self.0.iter().filter_map(|path| Folder::open(path).ok());
        folders
            .flat_map(|folder| folder.read_all())
            .take(limits::REGISTRY_ENTRIES)
            .collect()
    }
}

/// The name of the entry of the configuration `config`: `<32 hex digits>.json`.
fn file_name(config: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;
    let digest = Sha256::digest(config.as_os_str().as_bytes());
    let mut name = String::with_capacity(37);
    for byte in digest.iter().take(16) {
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".json");
    name
}

/// A folder that is open, a real folder, ours, and written to by nobody else. Everything in it is reached from
/// the descriptor, so exchanging the path afterwards gains nothing.
struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    fn make(path: &Path) -> io::Result<Self> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Self::open(path),
            Err(error) => Err(error.into()),
        }
    }

    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        check_owner(&fd)?;
        Ok(Self {
            fd,
            path: path.to_path_buf(),
        })
    }

    /// Written beside and renamed, so that a reader sees a whole entry or none.
    fn write(&self, name: &str, entry: &Entry) -> io::Result<()> {
        let beside = format!(".{name}.{}", entry.pid);
        // Of a supervisor with our pid that was killed in the middle of this.
        let _ = rustix::fs::unlinkat(&self.fd, &beside, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = rustix::fs::openat(&self.fd, &beside, flags, mode)?;
        let mut bytes = serde_json::to_vec(entry)?;
        bytes.push(b'\n');
        File::from(fd).write_all(&bytes)?;
        rustix::fs::renameat(&self.fd, &beside, &self.fd, name)?;
        Ok(())
    }

    /// Nothing when there is none, or when it is not what we would have written.
    fn read(&self, name: &str) -> Option<Entry> {
        // NONBLOCK: opening a FIFO that somebody put there would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).ok()?;
        check_owner(&fd).ok()?;
        let stat = rustix::fs::fstat(&fd).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(limits::REGISTRY_ENTRY_BYTES).unwrap_or(u64::MAX);
        File::from(fd).take(most).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn read_all(&self) -> Vec<Entry> {
        let Ok(names) = rustix::fs::Dir::read_from(&self.fd) else {
            return Vec::new();
        };
        names
            .flatten()
            .filter_map(|item| item.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| {
                let stem = name.strip_suffix(".json");
                stem.is_some_and(|s| !s.starts_with('.'))
            })
            .filter_map(|name| self.read(&name))
            .take(limits::REGISTRY_ENTRIES)
            .collect()
    }
}

/// Ours (or root's), and nobody else may write to it.
fn check_owner(fd: impl AsFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(fd)?;
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own && stat.st_uid != 0 {
        return Err(io::Error::other("it belongs to another user"));
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err(io::Error::other("others may write to it"));
    }
    Ok(())
}

/// Our entry. Removed when dropped; what a kill -9 leaves is ignored, because nobody answers at its socket.
pub struct Registration {
    folder: Folder,
    name: String,
    pid: u32,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A later supervisor of the same configuration may have put its entry here.
        if self
            .folder
            .read(&self.name)
            .is_some_and(|e| e.pid == self.pid)
            && let Err(error) = rustix::fs::unlinkat(&self.folder.fd, &self.name, AtFlags::empty())
        {
            log::warn!(
                "the entry in {} could not be removed: {error}",
                self.folder.path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn entry(pid: u32) -> Entry {
        Entry {
            pid,
            socket: "/state/jikimi.sock".into(),
            state_dir: "/state".into(),
            config: "/etc/jikimi.toml".into(),
        }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn an_entry_is_found_by_its_configuration_and_gone_at_the_end() {
        let root = folder();
        let places = Places::exactly(vec![
            root.path().join("none/at/all"),
            root.path().join("run"),
        ]);
        let config = Path::new("/srv/a.toml");
        let registration = places.register(config, &entry(7)).expect("a usable folder");
        assert_eq!(places.find(config), [entry(7)]);
        assert_eq!(places.find(Path::new("/srv/b.toml")), []);
        assert_eq!(places.all(), [entry(7)]);
        let file = root.path().join("run").join(file_name(config));
        let mode = file.metadata().expect("the entry").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(registration);
        assert_eq!(places.find(config), []);
    }

    #[test]
    fn a_later_supervisors_entry_outlives_the_end_of_an_earlier_one() {
        let root = folder();
        let places = Places::exactly(vec![root.path().join("run")]);
        let config = Path::new("/srv/a.toml");
        let first = places.register(config, &entry(7)).expect("a usable folder");
        let _second = places.register(config, &entry(8)).expect("a usable folder");
        drop(first);
        assert_eq!(places.find(config), [entry(8)]);
    }

    #[test]
    fn a_hostile_folder_is_passed_over() {
        let root = folder();
        let real = root.path().join("real");
        let open = root.path().join("open");
        let link = root.path().join("link");
        let good = root.path().join("good");
        for path in [&real, &open] {
            std::fs::create_dir(path).expect("a fresh folder");
        }
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("our folder");
        symlink(&real, &link).expect("a fresh name");
        let places = Places::exactly(vec![link, open.clone(), good.clone()]);
        let config = Path::new("/srv/a.toml");
        let planted = serde_json::to_vec(&entry(666)).expect("plain data");
        std::fs::write(real.join(file_name(config)), &planted).expect("our folder");
        std::fs::write(open.join(file_name(config)), &planted).expect("our folder");
        assert_eq!(places.find(config), [], "planted entries are not read");
        let _kept = places.register(config, &entry(7)).expect("the good folder");
        assert!(good.join(file_name(config)).exists());
        assert_eq!(places.find(config), [entry(7)]);
    }

    #[test]
    fn links_pipes_and_nonsense_in_the_folder_are_no_entries() {
        let root = folder();
        let places = Places::exactly(vec![root.path().join("run")]);
        let _kept = places
            .register(Path::new("/srv/a.toml"), &entry(7))
            .expect("a usable folder");
        let run = root.path().join("run");
        let elsewhere = root.path().join("elsewhere.json");
        std::fs::write(
            &elsewhere,
            serde_json::to_vec(&entry(666)).expect("plain data"),
        )
        .expect("our folder");
        symlink(&elsewhere, run.join("link.json")).expect("a fresh name");
        std::fs::write(run.join("nonsense.json"), "{").expect("our folder");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            run.join("pipe.json"),
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .expect("a fresh name");
        assert_eq!(places.all(), [entry(7)]);
    }
}
