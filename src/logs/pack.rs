//! The thread "log-pack": compresses files of output that were put aside, and removes what is more than the rules
//! keep, oldest first. Never touches a file that is being written.
//!
//! A compressed file is written under a name that nobody reads, synced, and then named: a process killed in between
//! leaves the plain one. Removing follows only then.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crossbeam::channel::Receiver;

use super::chain::{self, Part, Rotated};
use super::keeping::Keeping;
use super::segments::{Source, open_for_writing, stem};
use crate::limits;
use crate::model::log::Stream;

/// See the file's head.
pub(super) struct Packer {
    state_dir: PathBuf,
    keeping: Keeping,
    /// Streams with a file that was put aside; it ends with the pump.
    turned: Receiver<Source>,
}

impl Packer {
    pub(super) fn new(state_dir: &Path, keeping: Keeping, turned: Receiver<Source>) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            keeping,
            turned,
        }
    }

    pub(super) fn run(self) {
        // What was put aside while nobody was here.
        self.look_after_all();
        while let Ok(source) = self.turned.recv() {
            self.look_after(&source);
            if self.turned.is_full() {
                // What did not fit into it is among them.
                self.look_after_all();
            }
        }
    }

    fn look_after_all(&self) {
        for source in Source::all(&self.state_dir).unwrap_or_default() {
            self.look_after(&source);
        }
    }

    fn look_after(&self, source: &Source) {
        if let Err(e) = self.tidy(source) {
            log::warn!("{}: its older output stays as it is: {e}", source.instance);
        }
    }

    fn tidy(&self, source: &Source) -> io::Result<()> {
        // Of a program that was removed everything stays.
        if !self.keeping.knows(source.instance.program()) {
            return Ok(());
        }
        trim(&self.state_dir, source, &self.keeping)?;
        let rule = self.keeping.rule(source.instance.program());
        for part in chain::list(&self.state_dir, source)? {
            let Some(seq) = part.seq.filter(|_| !part.is_packed) else {
                continue;
            };
            if rule.is_packed {
                pack(&part, seq, source.stream)?;
            }
        }
        Ok(())
    }
}

/// Removes what is more than the rule keeps.
pub(super) fn trim(state_dir: &Path, source: &Source, keeping: &Keeping) -> io::Result<()> {
    let rule = keeping.rule(source.instance.program());
    let mut older: Vec<Part> = chain::list(state_dir, source)?;
    older.retain(|part| part.seq.is_some());
    let excess = older.len().saturating_sub(rule.keep);
    for part in older.drain(..excess) {
        remove(&part)?;
    }
    let Some(most) = rule.max_total else {
        return Ok(());
    };
    let mut parts = Vec::new();
    for stream in [Stream::Stdout, Stream::Stderr] {
        let instance = source.instance.clone();
        parts.extend(chain::list(state_dir, &Source { instance, stream })?);
    }
    let mut total: u64 = parts.iter().map(|part| part.bytes).sum();
    parts.retain(|part| part.seq.is_some());
    parts.sort_by_key(|part| (part.written_at, part.seq));
    for part in parts {
        if total <= most {
            break;
        }
        remove(&part)?;
        total -= part.bytes;
    }
    Ok(())
}

fn remove(part: &Part) -> io::Result<()> {
    gone(std::fs::remove_file(&part.path))?;
    gone(std::fs::remove_file(&part.index))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn pack(part: &Part, seq: u64, stream: Stream) -> io::Result<()> {
    let named = part
        .path
        .with_file_name(Rotated::Packed(seq, part.inode).name(stem(stream)));
    let fresh = part
        .path
        .with_file_name(format!(".packing-{}", stem(stream)));
    let packed = write_packed(part, &fresh);
    if packed.is_err() {
        // It takes room, and the disk may be full.
        let _ = std::fs::remove_file(&fresh);
    }
    packed?;
    std::fs::rename(&fresh, &named)?;
    gone(std::fs::remove_file(&part.path))
}

fn write_packed(part: &Part, fresh: &Path) -> io::Result<()> {
    let plain = File::open(&part.path)?;
    let to = open_for_writing(fresh)?;
    // One that was left in the middle.
    to.set_len(0)?;
    let mut encoder = zstd::Encoder::new(&to, limits::LOG_PACK_LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut &plain, &mut encoder)?;
    encoder.finish()?;
    to.set_modified(plain.metadata()?.modified()?)?;
    to.sync_all()
}
