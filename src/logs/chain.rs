//! The segments of one stream in the order they were written: the rotated ones, some of them compressed, then the one
//! that is being written. Lists and opens them; never changes one.
//!
//! `out.log` is being written. `out.000007.log` is the seventh that was rotated, `out.000007.idx` its index, and
//! `out.000007.2f3a.log.zst` the same compressed: the number in it (hexadecimal) is the inode it had, by which a
//! cursor into it is still understood.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::segments::{Source, stem};
use crate::clock::Wall;
use crate::limits;

/// The end of a compressed segment's name.
const PACKED: &str = ".log.zst";

/// One segment.
#[derive(Debug)]
pub(super) struct Part {
    /// Its number; none: it is being written.
    pub seq: Option<u64>,
    /// The number that it has or will have.
    pub number: u64,
    /// The inode it has, or had before it was compressed.
    pub inode: u64,
    pub path: PathBuf,
    pub index: PathBuf,
    /// Bytes on the disk.
    pub bytes: u64,
    pub is_packed: bool,
    /// When it was written last, as far as its file says.
    pub written_at: Wall,
    /// The one that was being written, open: until it is read it may be rotated, compressed, and its inode used again.
    held: Option<File>,
}

/// What a file's name says, if it is that of a rotated segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotated {
    Plain(u64),
    Packed(u64, u64),
    Index(u64),
}

impl Rotated {
    pub(super) fn parse(stem: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
        if let Some(rest) = rest.strip_suffix(PACKED) {
            let (seq, inode) = rest.split_once('.')?;
            let inode = u64::from_str_radix(inode, 16).ok()?;
            return Some(Self::Packed(number(seq)?, inode));
        }
        let (seq, kind) = rest.split_once('.')?;
        match kind {
            "log" => Some(Self::Plain(number(seq)?)),
            "idx" => Some(Self::Index(number(seq)?)),
            _ => None,
        }
    }

    pub(super) fn seq(self) -> u64 {
        match self {
            Self::Plain(seq) | Self::Packed(seq, _) | Self::Index(seq) => seq,
        }
    }

    pub(super) fn name(self, stem: &str) -> String {
        match self {
            Self::Plain(seq) => format!("{stem}.{seq:06}.log"),
            Self::Packed(seq, inode) => format!("{stem}.{seq:06}.{inode:x}{PACKED}"),
            Self::Index(seq) => format!("{stem}.{seq:06}.idx"),
        }
    }
}

/// Digits only: a name that somebody made by hand (`out.old.log`) is not ours.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The rotated files of `source` with what their names say, in no order; a folder that is not there has none.
pub(super) fn rotated(state_dir: &Path, source: &Source) -> io::Result<Vec<(Rotated, PathBuf)>> {
    let entries = match std::fs::read_dir(source.folder(state_dir)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let said = name
            .to_str()
            .and_then(|name| Rotated::parse(stem(source.stream), name));
        found.extend(said.map(|said| (said, entry.path())));
    }
    Ok(found)
}

/// The segments of `source`, oldest first. Names change while a folder is read: what vanished meanwhile, or is missing
/// in between, is looked for again, a few times.
pub(super) fn list(state_dir: &Path, source: &Source) -> io::Result<Vec<Part>> {
    let mut looks = 1;
    loop {
        let (parts, is_sound) = look(state_dir, source)?;
        if is_sound || looks == limits::LOG_LOOKS {
            return Ok(parts);
        }
        looks += 1;
    }
}

fn look(state_dir: &Path, source: &Source) -> io::Result<(Vec<Part>, bool)> {
    // The one that is written is looked at first: when it is rotated meanwhile, it is seen under both names.
    let written = written(state_dir, source)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut is_sound = true;
    for (said, path) in rotated(state_dir, source)? {
        if matches!(said, Rotated::Index(_)) {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) => parts.push(part(said, path, &metadata, source)),
            // Compressed since it was listed, and perhaps not seen as that, or removed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => is_sound = false,
            Err(e) => return Err(e),
        }
    }
    // Of one that is both, compressed a moment ago, the plain one is taken.
    parts.sort_by_key(|part| (part.number, part.is_packed));
    parts.dedup_by_key(|part| part.number);
    is_sound &= parts
        .windows(2)
        .all(|two| two[1].number == two[0].number + 1);
    let last = parts.last().map_or(0, |part| part.number);
    // The newest of the compressed ones had its inode while what is written now was made: that one it is, then.
    let is_seen = |w: &Part| {
        let is_it = |p: &Part| p.inode == w.inode && (!p.is_packed || p.number == last);
        parts.iter().any(is_it)
    };
    let written = written.filter(|w| !is_seen(w)).map(|written| Part {
        number: last + 1,
        ..written
    });
    parts.extend(written);
    Ok((parts, is_sound))
}

fn written(state_dir: &Path, source: &Source) -> io::Result<Option<Part>> {
    let path = source.segment(state_dir);
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) => Ok(Some(Part {
            seq: None,
            number: 1,
            inode: metadata.ino(),
            path,
            index: source.index(state_dir),
            bytes: metadata.len(),
            is_packed: false,
            written_at: wall_of(&metadata),
            held: Some(file),
        })),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn part(said: Rotated, path: PathBuf, metadata: &std::fs::Metadata, source: &Source) -> Part {
    let (inode, is_packed) = match said {
        Rotated::Packed(_, inode) => (inode, true),
        Rotated::Plain(_) | Rotated::Index(_) => (metadata.ino(), false),
    };
    let index = Rotated::Index(said.seq()).name(stem(source.stream));
    Part {
        seq: Some(said.seq()),
        number: said.seq(),
        inode,
        index: path.with_file_name(index),
        path,
        bytes: metadata.len(),
        is_packed,
        written_at: wall_of(metadata),
        held: None,
    }
}

fn wall_of(metadata: &std::fs::Metadata) -> Wall {
    let millis = metadata.mtime().saturating_mul(1_000);
    Wall::from_millis(millis.saturating_add(metadata.mtime_nsec() / 1_000_000))
}

/// A segment open for reading from some place on.
pub(super) enum Input {
    Plain(File, u64),
    Packed(Box<dyn Read + Send>),
}

impl Input {
    /// Opens `part`, its first `from` bytes passed over. One that was compressed or rotated since it was listed is
    /// not found, or another one: the caller compares inodes.
    pub(super) fn open(part: &Part, from: u64) -> io::Result<Self> {
        if let Some(held) = &part.held {
            return Ok(Self::Plain(held.try_clone()?, from));
        }
        let file = File::open(&part.path)?;
        if !part.is_packed {
            if file.metadata()?.ino() != part.inode {
                return Err(io::ErrorKind::NotFound.into());
            }
            return Ok(Self::Plain(file, from));
        }
        let mut unpacked = zstd::Decoder::with_buffer(BufReader::new(file))?;
        io::copy(&mut unpacked.by_ref().take(from), &mut io::sink())?;
        Ok(Self::Packed(Box::new(unpacked)))
    }

    /// What follows, as much as fits into `buffer`; 0: nothing more now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = match self {
                Self::Plain(file, at) => file.read_at(buffer, *at).inspect(|n| *at += *n as u64),
                Self::Packed(unpacked) => unpacked.read(buffer),
            };
            match got {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Whether it is shorter than what was read of it: somebody emptied it.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Plain(file, at) => file.metadata().is_ok_and(|m| m.len() < *at),
            Self::Packed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::log::Stream;
    use crate::model::name::InstanceName;

    #[test]
    fn names_say_what_they_are_and_other_files_are_left_alone() {
        for said in [
            Rotated::Plain(7),
            Rotated::Packed(1_234_567, 0xbeef),
            Rotated::Index(0),
        ] {
            assert_eq!(Rotated::parse("out", &said.name("out")), Some(said));
            assert_eq!(Rotated::parse("err", &said.name("out")), None);
        }
        for name in [
            "out.log",
            "out.idx",
            "out.old.log",
            "out.+7.log",
            "out.7.log.gz",
            "out.7.log.zst",
            "output.7.log",
        ] {
            assert_eq!(Rotated::parse("out", name), None, "{name}");
        }
    }

    #[test]
    fn segments_come_in_the_order_of_their_numbers_and_each_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Source {
            instance: InstanceName::single("web"),
            stream: Stream::Stdout,
        };
        let folder = source.folder(dir.path());
        std::fs::create_dir_all(&folder).expect("made");
        for name in [
            "out.log",
            "out.1000000.log",
            "out.000002.log",
            "out.000002.5.log.zst",
            "out.000001.9.log.zst",
            "out.000001.idx",
            "err.000001.log",
            "out.bak.log",
        ] {
            std::fs::write(folder.join(name), "x").expect("written");
        }
        let parts = list(dir.path(), &source).expect("listed");
        let seqs: Vec<_> = parts.iter().map(|p| (p.seq, p.is_packed)).collect();
        let expected = [
            (Some(1), true),
            (Some(2), false),
            (Some(1_000_000), false),
            (None, false),
        ];
        assert_eq!(seqs, expected);
        assert_eq!(parts[0].inode, 9);
    }
}
