//! Segment files: where an instance's output lies, opening it, appending to it. Never decides what is written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use crate::model::log::Stream;
use crate::model::name::InstanceName;

/// The folder of output in the state directory.
pub(super) const LOGS: &str = "logs";

/// Whose output, and which: one segment file at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Whose.
    pub instance: InstanceName,
    /// Which.
    pub stream: Stream,
}

/// `out` or `err`: the beginning of every file name of a stream, rotated ones included.
pub(super) const fn stem(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
    }
}

impl Source {
    pub(super) fn folder(&self, state_dir: &Path) -> PathBuf {
        state_dir.join(LOGS).join(self.instance.to_string())
    }

    /// The segment that is written: `logs/NAME/out.log`.
    #[must_use]
    pub fn segment(&self, state_dir: &Path) -> PathBuf {
        self.folder(state_dir)
            .join(format!("{}.log", stem(self.stream)))
    }

    /// Its index: `logs/NAME/out.idx`.
    #[must_use]
    pub fn index(&self, state_dir: &Path) -> PathBuf {
        self.folder(state_dir)
            .join(format!("{}.idx", stem(self.stream)))
    }

    /// Every source with a segment in `state_dir`, in order. A folder whose name is no instance's is passed over.
    pub(super) fn all(state_dir: &Path) -> io::Result<Vec<Self>> {
        let folders = match std::fs::read_dir(state_dir.join(LOGS)) {
            Ok(folders) => folders,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut found = Vec::new();
        for folder in folders {
            let name = folder?.file_name();
            let Some(Ok(instance)) = name.to_str().map(str::parse::<InstanceName>) else {
                continue;
            };
            for stream in [Stream::Stdout, Stream::Stderr] {
                let source = Self {
                    instance: instance.clone(),
                    stream,
                };
                if source.segment(state_dir).is_file()
                    || super::chain::rotated(state_dir, &source).is_ok_and(|r| !r.is_empty())
                {
                    found.push(source);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Opens a file of ours to write at places we choose, 0600, with its folders 0700.
///
/// Not `O_APPEND`: splice refuses it.
pub(super) fn open_for_writing(path: &Path) -> io::Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
    };
    match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)?;
            }
            open()
        }
        other => other,
    }
}

/// A segment being written, continued at the length it has at that moment: whoever wrote before us, and
/// whoever cut it short, is respected.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: Option<File>,
}

impl Segment {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file and its length; opened again when somebody removed it.
    fn end(&mut self) -> io::Result<(&File, u64)> {
        let held = match &self.file {
            Some(file) => Some(file.metadata()?).filter(|m| m.nlink() > 0),
            None => None,
        };
        let len = if let Some(metadata) = held {
            metadata.len()
        } else {
            let file = open_for_writing(&self.path)?;
            let len = file.metadata()?.len();
            self.file = Some(file);
            len
        };
        Ok((self.file.as_ref().expect("opened above"), len))
    }

    /// The length, made if it is not there.
    pub(super) fn len(&mut self) -> io::Result<u64> {
        self.end().map(|(_, len)| len)
    }

    /// Whether a line ends at `len`, its end.
    pub(super) fn ends_line(&self, len: u64) -> bool {
        let mut byte = [0];
        let file = self.file.as_ref().zip(len.checked_sub(1));
        file.is_none_or(|(file, at)| file.read_exact_at(&mut byte, at).is_ok() && byte == *b"\n")
    }

    /// Gives the file the name `to`; what comes goes into another one.
    pub(super) fn put_aside(&mut self, to: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, to)?;
        self.file = None;
        self.len().map(drop)
    }

    /// Moves what lies in `pipe`, `max` bytes at most, to the end of the file inside the kernel: a process
    /// killed in between has moved each byte or not, never lost or doubled one.
    pub(super) fn splice(&mut self, pipe: impl AsFd, max: usize) -> Spliced {
        let (file, mut at) = match self.end() {
            Ok(end) => end,
            Err(e) => return Spliced::Fault(e),
        };
        loop {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match splice(&pipe, None, file, Some(&mut at), max, flags) {
                Ok(0) => return Spliced::NoWriter,
                Ok(n) => {
                    let len = at;
                    return Spliced::Moved { bytes: n, len };
                }
                Err(Errno::AGAIN) => return Spliced::Empty,
                Err(Errno::INTR) => {}
                Err(e) => return Spliced::Fault(e.into()),
            }
        }
    }

    /// Writes `bytes` at the end; how many fitted, and the length after.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<(usize, u64)> {
        let (file, at) = self.end()?;
        loop {
            match file.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => return Ok((n, at + n as u64)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// What a splice came to.
#[derive(Debug)]
pub(super) enum Spliced {
    /// Bytes moved, and the file's length after it.
    Moved { bytes: usize, len: u64 },
    /// Nothing in the pipe; somebody may still write.
    Empty,
    /// Nothing in the pipe, and nobody has it open for writing: this is its end.
    NoWriter,
    /// The file took nothing. What is in the pipe is still there.
    Fault(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_continued_at_its_length_and_made_again_when_it_was_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Source {
            instance: InstanceName::indexed("web", 0),
            stream: Stream::Stdout,
        };
        let path = source.segment(dir.path());
        assert_eq!(path, dir.path().join("logs/web:0/out.log"));
        let mut segment = Segment::new(path.clone());
        assert_eq!(segment.append(b"one\n").expect("room"), (4, 4));
        assert_eq!(
            std::fs::metadata(&path).expect("it is there").mode() & 0o777,
            0o600
        );
        File::options()
            .write(true)
            .open(&path)
            .and_then(|f| f.set_len(0))
            .expect("cut short");
        assert_eq!(segment.append(b"two\n").expect("room"), (4, 4));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(segment.append(b"three\n").expect("room"), (6, 6));
        assert_eq!(std::fs::read(&path).expect("made again"), b"three\n");
        assert_eq!(Source::all(dir.path()).expect("listed"), [source]);
    }
}
