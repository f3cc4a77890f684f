//! Named pipes of runs: their names, making them, finding the ones left behind. Never reads or writes one.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, mkfifoat, openat, unlinkat};
use rustix::io::Errno;

use super::segments::Source;
use crate::ids::RunId;
use crate::model::log::Stream;
use crate::model::name::InstanceName;

/// The length of a run id as text.
const RUN_CHARS: usize = 26;

/// One pipe: whose output, of which run. Its name in the file system says all of it, so that whoever
/// finds a pipe knows what to do with it, with no other memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId {
    /// The run that writes.
    pub run: RunId,
    /// Whose run.
    pub instance: InstanceName,
    /// Which of its outputs.
    pub stream: Stream,
}

impl PipeId {
    /// Reads a file name such as `01J….web:0.out`. Nothing else than a pipe of ours gives an id.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (run, rest) = name.split_at_checked(RUN_CHARS)?;
        let (instance, stream) = rest.strip_prefix('.')?.rsplit_once('.')?;
        let stream = match stream {
            "out" => Stream::Stdout,
            "err" => Stream::Stderr,
            _ => return None,
        };
        if instance.is_empty() || instance.starts_with('.') || instance.contains('/') {
            return None;
        }
        Some(Self {
            run: run.parse().ok()?,
            instance: instance.parse().ok()?,
            stream,
        })
    }

    /// The pipe that `path` (as `/proc/PID/fd/1` shows it) leads to, if it is one of `state_dir`'s.
    #[must_use]
    pub fn of_path(state_dir: &Path, path: &Path) -> Option<Self> {
        let name = path.strip_prefix(state_dir.join(PIPES)).ok()?.to_str()?;
        // A pipe that was unlinked while open is shown with this end.
        Self::parse(name.strip_suffix(" (deleted)").unwrap_or(name))
    }

    pub(super) fn source(&self) -> Source {
        Source {
            instance: self.instance.clone(),
            stream: self.stream,
        }
    }
}

/// The file name.
impl fmt::Display for PipeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stem = super::segments::stem(self.stream);
        write!(f, "{}.{}.{stem}", self.run, self.instance)
    }
}

/// The folder of pipes in the state directory.
pub(super) const PIPES: &str = "pipes";

/// Our ends of a run's pipes.
#[derive(Debug)]
pub struct RunReaders(pub(super) Vec<(PipeId, OwnedFd)>);

/// What a run's process is given. Its own opens, read-write: a supervisor that dies causes no SIGPIPE.
#[derive(Debug)]
pub struct RunPipes {
    /// Becomes its standard output.
    pub stdout: OwnedFd,
    /// Becomes its standard error.
    pub stderr: OwnedFd,
    /// Where the two pipes are, standard output first.
    pub paths: [PathBuf; 2],
}

/// The folder of pipes, kept open.
#[derive(Clone, Debug)]
pub(super) struct PipeDir {
    /// Opened again when somebody removed it.
    dir: Arc<Mutex<Arc<OwnedFd>>>,
    path: PathBuf,
}

/// Both ends of one pipe as made: the program's, and the pump's.
pub(super) struct Made {
    pub id: PipeId,
    pub writer: OwnedFd,
    pub reader: OwnedFd,
}

impl PipeDir {
    /// Makes the folder (0700) when it is not there.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(PIPES);
        match mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let dir = open_folder(&path)?;
        Ok(Self {
            dir: Arc::new(Mutex::new(Arc::new(dir))),
            path,
        })
    }

    fn dir(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.dir.lock())
    }

    /// The folder was removed: pipes that are open go on without a name, new ones need a place.
    fn renew(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)?;
        let dir = Arc::new(open_folder(&self.path)?);
        log::warn!("{} was removed; made again", self.path.display());
        *self.dir.lock() = dir;
        Ok(())
    }

    pub(super) fn path_of(&self, id: &PipeId) -> PathBuf {
        self.path.join(id.to_string())
    }

    /// Where a pipe of that name is.
    pub(super) fn path_of_name(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes one pipe and opens it for both sides.
    pub(super) fn make(&self, id: PipeId) -> io::Result<Made> {
        let name = id.to_string();
        let writer = self.make_named(&name)?;
        match self.open_reader(&name) {
            Ok(reader) => Ok(Made { id, writer, reader }),
            Err(e) => {
                self.unlink(&id);
                Err(e.into())
            }
        }
    }

    /// Makes a pipe and opens it for a program: read-write.
    pub(super) fn make_named(&self, name: &str) -> io::Result<OwnedFd> {
        match self.make_fifo(name) {
            Err(Errno::NOENT) => {
                self.renew()?;
                self.make_fifo(name)?;
            }
            other => other?,
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        openat(self.dir(), name, flags, Mode::empty()).map_err(|e| {
            self.unlink_name(name);
            e.into()
        })
    }

    fn make_fifo(&self, name: &str) -> rustix::io::Result<()> {
        mkfifoat(self.dir(), name, Mode::RUSR | Mode::WUSR)
    }

    /// Our own open for reading: a program that makes its end non-blocking does not touch ours, and with no
    /// writer left we see it.
    pub(super) fn open_reader(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(self.dir(), name, flags, Mode::empty())
    }

    /// Our own open for writing, which never waits; an error when nobody reads.
    pub(super) fn open_writer(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(self.dir(), name, flags, Mode::empty())
    }

    /// Removes the name; a pipe that is gone already is no fault.
    pub(super) fn unlink(&self, id: &PipeId) {
        self.unlink_name(&id.to_string());
    }

    /// [`PipeDir::unlink`], by the name alone.
    pub(super) fn unlink_name(&self, name: &str) {
        match unlinkat(self.dir(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => log::warn!("cannot remove pipe {name}: {e}"),
        }
    }

    /// The names of all pipes that are there.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        use std::os::unix::fs::FileTypeExt as _;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_fifo() {
                found.extend(entry.file_name().to_str().map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// The pipes that are there, in the order of their runs.
    pub(super) fn list(&self) -> io::Result<Vec<PipeId>> {
        let names = self.names()?;
        let mut found: Vec<PipeId> = names.iter().filter_map(|n| PipeId::parse(n)).collect();
        found.sort();
        Ok(found)
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pipe_says_whose_it_is_and_strangers_are_not_ours() {
        for instance in [
            InstanceName::single("web"),
            InstanceName::indexed("a.b-c_d.out", 12),
        ] {
            let id = PipeId {
                run: RunId::new(),
                instance,
                stream: Stream::Stderr,
            };
            assert_eq!(PipeId::parse(&id.to_string()), Some(id.clone()));
            let path = PathBuf::from(format!("/s/pipes/{id} (deleted)"));
            assert_eq!(PipeId::of_path(Path::new("/s"), &path), Some(id));
            assert_eq!(PipeId::of_path(Path::new("/other"), &path), None);
        }
        let run = RunId::new();
        for bad in [
            "pump.lock".to_owned(),
            "01ARZ".to_owned(),
            format!("{run}.out"),
            format!("{run}..out"),
            format!("{run}.web.in"),
            format!("{run}.a/b.out"),
            format!("{run}.....out"),
            format!("{run}.web:x.out"),
            format!("{run}é.web.out"),
        ] {
            assert_eq!(PipeId::parse(&bad), None, "{bad}");
        }
    }
}
