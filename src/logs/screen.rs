//! Following what a terminal of a program shows, byte by byte as it was written, from outside of the supervisor. Only
//! reads. What comes is for the terminal of a person who asked for it: nothing in it is made harmless. What was
//! before is: a question in it was answered long ago.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::index::Index;
use super::paint::{clean, last_return};
use super::segments::Source;
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Stream;
use crate::model::name::InstanceName;

/// The bytes of one run's output, from a moment on.
pub struct Screen {
    segment: PathBuf,
    file: Option<File>,
    offset: u64,
}

impl Screen {
    /// Begins at the end of what there is, and gives what was written last of `run`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(
        state_dir: &Path,
        instance: &InstanceName,
        run: RunId,
    ) -> io::Result<(Self, Vec<u8>)> {
        let source = Source {
            instance: instance.clone(),
            stream: Stream::Stdout,
        };
        let index = Index::open(&source.index(state_dir)).ok();
        let begin = index.map_or(0, |index| index.span(run).0);
        let mut this = Self {
            segment: source.segment(state_dir),
            file: None,
            offset: 0,
        };
        this.reopen()?;
        let len = this.len()?;
        this.offset = len.saturating_sub(limits::TAIL_BYTES).max(begin.min(len));
        let mut before = Vec::new();
        while this.offset < len {
            let bytes = this.read_held(len)?;
            if bytes.is_empty() {
                break;
            }
            before.extend_from_slice(&bytes);
        }
        Ok((this, before))
    }

    /// What came since, as far as it goes in one piece; empty when nothing did. What is too far behind is skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        // Asked first: what comes into the old one after that is seen next time.
        let is_replaced = self.is_replaced();
        let bytes = self.read_on()?;
        if !bytes.is_empty() || !is_replaced {
            return Ok(bytes);
        }
        self.reopen()?;
        self.read_on()
    }

    fn reopen(&mut self) -> io::Result<()> {
        match File::open(&self.segment) {
            Ok(file) => {
                self.file = Some(file);
                self.offset = 0;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn len(&self) -> io::Result<u64> {
        let file = self.file.as_ref();
        file.map_or(Ok(0), |file| Ok(file.metadata()?.len()))
    }

    fn is_replaced(&self) -> bool {
        let Ok(named) = self.segment.metadata() else {
            return false;
        };
        let held = self.file.as_ref().and_then(|f| f.metadata().ok());
        held.is_none_or(|held| (held.dev(), held.ino()) != (named.dev(), named.ino()))
    }

    fn read_on(&mut self) -> io::Result<Vec<u8>> {
        let len = self.len()?;
        if len < self.offset {
            // Cut short.
            self.offset = 0;
        }
        if len - self.offset > limits::PRINT_BEHIND_BYTES {
            self.offset = len - limits::TAIL_BYTES;
        }
        self.read_held(len)
    }

    fn read_held(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let want = len.saturating_sub(self.offset).min(limits::TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(want).unwrap_or(0)];
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let read = loop {
            match file.read_at(&mut bytes, self.offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        bytes.truncate(read);
        self.offset += read as u64;
        Ok(bytes)
    }
}

/// The last lines of what was shown before as harmless text, colours kept; the last one, a prompt perhaps, without its
/// end.
#[must_use]
pub fn recent(before: &[u8]) -> String {
    let lines: Vec<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let first = lines.len().saturating_sub(limits::ATTACH_BACKLOG + 1);
    let lines = lines[first..].iter().map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        clean(&without_moves(last_return(line)), true)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Without the `ESC [ …` that are no colours: modes and moves of a line that is edited.
fn without_moves(line: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::with_capacity(line.len()), line);
    while let Some(at) = rest.windows(2).position(|two| two == b"\x1b[") {
        kept.extend_from_slice(&rest[..at]);
        let sequence = &rest[at..];
        let end = sequence[2..].iter().position(|b| (0x40..=0x7e).contains(b));
        let end = end.map_or(sequence.len(), |end| end + 3);
        if sequence[..end].ends_with(b"m") {
            kept.extend_from_slice(&sequence[..end]);
        }
        rest = &sequence[end..];
    }
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_as_they_are_and_files_that_are_cut_or_replaced_are_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let web = InstanceName::single("web");
        let run = RunId::new();
        let logs = folder.path().join("logs/web");
        let path = logs.join("out.log");
        let opened = Screen::open(folder.path(), &web, run);
        let (mut screen, before) = opened.expect("nothing yet");
        assert_eq!(before, b"");
        let mut read = || screen.read().expect("readable");
        assert_eq!(read(), b"");
        std::fs::create_dir_all(&logs).expect("our own folder");
        std::fs::write(&path, b"\x1b[2Jname? ").expect("our own file");
        assert_eq!(read(), b"\x1b[2Jname? ");
        assert_eq!(read(), b"");
        std::fs::write(&path, b"cut\xff").expect("our own file");
        assert_eq!(read(), b"cut\xff");
        std::fs::rename(&path, logs.join("old")).expect("our own file");
        std::fs::write(&path, b"new").expect("our own file");
        assert_eq!(read(), b"new");
        let far = usize::try_from(limits::PRINT_BEHIND_BYTES + limits::TAIL_BYTES);
        std::fs::write(&path, vec![b'x'; far.expect("it fits")]).expect("our own file");
        assert_eq!(read().len() as u64, limits::TAIL_BYTES);
        assert_eq!(read(), b"");
        let opened = Screen::open(folder.path(), &web, run);
        let (mut late, before) = opened.expect("a file");
        assert_eq!(before.len() as u64, limits::TAIL_BYTES);
        assert_eq!(late.read().expect("a file"), b"");
    }

    #[test]
    fn what_was_before_moves_nothing_and_asks_nothing() {
        for (before, shown) in [
            (&b""[..], ""),
            (b"one\r\ntwo", "one\ntwo"),
            (b"10%\r20%\n$ ", "20%\n$ "),
            (
                b"\x1b[?2004h\x1b[32m$\x1b[m \x1b[6n\x1b[K",
                "\x1b[32m$\x1b[m ",
            ),
            (b"\x1b]0;title\x07x", "\\x1b]0;title\\x07x"),
            (b"cut\x1b[1;", "cut"),
        ] {
            assert_eq!(recent(before), shown);
        }
        let many = "x\n".repeat(100);
        let shown = recent(many.as_bytes());
        assert_eq!(shown, "x\n".repeat(limits::ATTACH_BACKLOG));
    }
}
