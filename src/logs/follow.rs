//! Following the output of one instance in its files, from outside of the supervisor. Only reads; what it gives is
//! harmless to a terminal. Files that are cut short, replaced or not there yet are gone on with.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use super::index::Index;
use super::lines::split;
use super::paint::{clean, last_return};
use super::segments::{LOGS, Source};
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Stream;
use crate::model::name::InstanceName;
use crate::text::size;

/// The output of one instance, from a moment on.
pub struct Follower {
    streams: [Followed; 2],
    has_colour: bool,
}

/// A line of it, without its end.
pub type Line = (Stream, String);

struct Followed {
    stream: Stream,
    segment: PathBuf,
    file: Option<File>,
    offset: u64,
    /// There is an unfinished line since then.
    partial: Option<Mono>,
}

impl Follower {
    /// Begins at the ends of the files of `instance`, and gives the last `count` lines there are, only those of
    /// `run` if there is one. Standard error has half of the places at the most.
    pub fn open(
        state_dir: &Path,
        instance: &InstanceName,
        run: Option<RunId>,
        (count, has_colour): (usize, bool),
    ) -> io::Result<(Self, Vec<Line>)> {
        let open = |stream| {
            let source = Source {
                instance: instance.clone(),
                stream,
            };
            let index = run.and_then(|run| {
                let index = Index::open(&source.index(state_dir)).ok()?;
                Some(index.span(run).0)
            });
            let segment = source.segment(state_dir);
            Followed::open((stream, segment), index.unwrap_or(0), has_colour)
        };
        let (out, mut lines) = open(Stream::Stdout)?;
        let (err, mut errors) = open(Stream::Stderr)?;
        keep_last(&mut errors, count / 2);
        keep_last(&mut lines, count - errors.len());
        lines.append(&mut errors);
        let streams = [out, err];
        Ok((
            Self {
                streams,
                has_colour,
            },
            lines,
        ))
    }

    /// What came since, and whether there is more at once. A line without an end is given when it has been there for
    /// a while: it is a prompt.
    pub fn read(&mut self) -> io::Result<(Vec<Line>, bool)> {
        let (mut lines, mut is_more) = (Vec::new(), false);
        for followed in &mut self.streams {
            is_more |= followed.read(self.has_colour, &mut lines)?;
        }
        Ok((lines, is_more))
    }
}

fn keep_last(lines: &mut Vec<Line>, count: usize) {
    lines.drain(..lines.len().saturating_sub(count));
}

impl Followed {
    fn open(
        (stream, segment): (Stream, PathBuf),
        start: u64,
        has_colour: bool,
    ) -> io::Result<(Self, Vec<Line>)> {
        let mut this = Self {
            stream,
            segment,
            file: None,
            offset: 0,
            partial: None,
        };
        let mut lines = Vec::new();
        let Some(len) = this.reopen()? else {
            return Ok((this, lines));
        };
        let start = start.min(len);
        this.offset = len.saturating_sub(limits::TAIL_BYTES).max(start);
        let is_cut = this.offset > start;
        while this.read_held(has_colour, &mut lines)? {}
        if is_cut && !lines.is_empty() {
            // It begins somewhere in a line.
            lines.remove(0);
        }
        Ok((this, lines))
    }

    /// Opens what has the name now, from its beginning; its length, if it is there.
    fn reopen(&mut self) -> io::Result<Option<u64>> {
        match File::open(&self.segment) {
            Ok(file) => {
                let len = file.metadata()?.len();
                self.file = Some(file);
                self.offset = 0;
                Ok(Some(len))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn read(&mut self, has_colour: bool, lines: &mut Vec<Line>) -> io::Result<bool> {
        // Whether another file has its name is asked first: what comes into the old one after that is seen next time.
        let is_replaced = self.is_replaced();
        if self.read_held(has_colour, lines)? {
            return Ok(true);
        }
        if !is_replaced {
            return Ok(false);
        }
        self.give_partial(has_colour, lines)?;
        self.reopen()?;
        self.read_held(has_colour, lines)
    }

    fn is_replaced(&self) -> bool {
        let Ok(named) = self.segment.metadata() else {
            return false;
        };
        let held = self.file.as_ref().and_then(|f| f.metadata().ok());
        held.is_none_or(|held| (held.dev(), held.ino()) != (named.dev(), named.ino()))
    }

    /// A piece of the file that is open; whether there is more of it.
    fn read_held(&mut self, has_colour: bool, lines: &mut Vec<Line>) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let len = file.metadata()?.len();
        if len < self.offset {
            // Cut short.
            self.offset = 0;
        }
        if len - self.offset > limits::PRINT_BEHIND_BYTES {
            let skipped = len - limits::TAIL_BYTES - self.offset;
            lines.push((self.stream, format!("[{} not shown]", size(skipped))));
            self.offset += skipped;
        }
        let bytes = self.bytes(len)?;
        let now = clock::mono();
        let is_due = self
            .partial
            .is_some_and(|since| now.since(since) >= limits::ATTACH_PARTIAL);
        let pieces = split(&bytes, is_due);
        for piece in &pieces {
            let text = clean(last_return(&bytes[piece.text.clone()]), has_colour);
            lines.push((self.stream, text));
        }
        let used = pieces.last().map_or(0, |piece| piece.next);
        self.offset += used as u64;
        self.partial = if used == bytes.len() {
            None
        } else if used == 0 {
            self.partial.or(Some(now))
        } else {
            Some(now)
        };
        Ok(used > 0 && self.offset < len)
    }

    fn give_partial(&mut self, has_colour: bool, lines: &mut Vec<Line>) -> io::Result<()> {
        if let Some(file) = &self.file {
            let bytes = self.bytes(file.metadata()?.len())?;
            if !bytes.is_empty() {
                lines.push((self.stream, clean(last_return(&bytes), has_colour)));
            }
        }
        self.partial = None;
        Ok(())
    }

    /// What follows, up to `len` and as much as is looked at once.
    fn bytes(&self, len: u64) -> io::Result<Vec<u8>> {
        let want = len.saturating_sub(self.offset).min(limits::TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(want).unwrap_or(0)];
        let mut got = 0;
        while let Some(file) = &self.file
            && got < bytes.len()
        {
            match file.read_at(&mut bytes[got..], self.offset + got as u64) {
                // Cut short meanwhile.
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// Tells when something changed in the files of an instance. Kernels before 6.5 tell nothing of what is spliced,
/// and network file systems nothing at all: who waits looks by himself now and then, too.
pub struct Growth(OwnedFd);

impl Growth {
    /// Watches the files of `instance`, whose folder must be there.
    pub fn watch(state_dir: &Path, instance: &InstanceName) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC)?;
        let folder = state_dir.join(LOGS).join(instance.to_string());
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&fd, folder, flags)?;
        Ok(Self(fd))
    }

    /// Watches the files of many; a folder that is not there is passed over.
    pub fn watch_all(state_dir: &Path, instances: &[InstanceName]) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        for instance in instances {
            let folder = state_dir.join(LOGS).join(instance.to_string());
            // Then it is looked at now and then.
            let _ = inotify::add_watch(&fd, folder, flags);
        }
        Ok(Self(fd))
    }

    /// Waits for the next change.
    pub fn wait(&self) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); limits::INOTIFY_BYTES];
        let mut reader = Reader::new(&self.0, &mut room);
        reader.next()?;
        while !reader.is_buffer_empty() {
            reader.next()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stage {
        dir: tempfile::TempDir,
        name: InstanceName,
    }

    impl Stage {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let name = InstanceName::single("web");
            std::fs::create_dir_all(dir.path().join(LOGS).join("web")).expect("made");
            Self { dir, name }
        }

        fn path(&self, file: &str) -> PathBuf {
            self.dir.path().join(LOGS).join("web").join(file)
        }

        fn append(&self, file: &str, text: &str) {
            let mut options = File::options();
            let file = options.create(true).append(true).open(self.path(file));
            let mut file = file.expect("opened");
            io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        }

        fn open(&self, count: usize) -> (Follower, Vec<String>) {
            let opened = Follower::open(self.dir.path(), &self.name, None, (count, false));
            let (follower, lines) = opened.expect("readable");
            (follower, texts(lines))
        }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|(_, text)| text).collect()
    }

    fn read(follower: &mut Follower) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let (lines, is_more) = follower.read().expect("readable");
            all.extend(texts(lines));
            if !is_more {
                return all;
            }
        }
    }

    #[test]
    fn the_last_lines_come_first_and_then_what_comes() {
        let stage = Stage::new();
        stage.append("out.log", "1\n2\n3\nunfin");
        stage.append("err.log", "e1\ne2\ne3\n");
        let (mut follower, backlog) = stage.open(4);
        assert_eq!(backlog, ["2", "3", "e2", "e3"]);
        assert_eq!(read(&mut follower), [""; 0]);
        stage.append("out.log", "ished\n\x1b[2Jx\x1b[31mred\n");
        assert_eq!(read(&mut follower), ["unfinished", "\\x1b[2Jxred"]);
    }

    #[test]
    fn files_that_are_made_cut_or_replaced_are_gone_on_with() {
        let stage = Stage::new();
        let (mut follower, backlog) = stage.open(20);
        assert_eq!(backlog, [""; 0]);
        stage.append("out.log", "a long first line\n");
        assert_eq!(read(&mut follower), ["a long first line"]);
        std::fs::write(stage.path("out.log"), "cut\n").expect("written");
        assert_eq!(read(&mut follower), ["cut"]);
        stage.append("out.log", "last\nwords");
        std::fs::rename(stage.path("out.log"), stage.path("out.1.log")).expect("renamed");
        stage.append("out.log", "new\n");
        assert_eq!(read(&mut follower), ["last", "words", "new"]);
    }

    #[test]
    fn what_is_too_far_behind_is_skipped_and_said() {
        let stage = Stage::new();
        stage.append("out.log", "1\n");
        let (mut follower, _) = stage.open(20);
        let line = "x".repeat(1023) + "\n";
        stage.append("out.log", &line.repeat(1025));
        let (mut lines, is_more) = follower.read().expect("readable");
        assert!(!is_more, "64 KiB are one look");
        assert_eq!(lines.remove(0).1, "[961.0 KiB not shown]");
        assert_eq!(lines.len(), 64);
    }
}
