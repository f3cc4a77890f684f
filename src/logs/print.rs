//! The thread "log-print": shows programs' output on the terminal of `run`, read back from the segments. Being
//! file-based it needs no memory when the terminal is slow, and the pump never waits for it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::RecvTimeoutError;

use super::Deadline;
use super::chain;
use super::lines::split;
use super::paint::{self, Look};
use super::progress::Watch;
use super::segments::Source;
use crate::clock::{self, Mono};
use crate::limits;
use crate::text;

/// Where lines are shown.
pub struct Terminal {
    /// Takes one line without its end; false while there is no room for it.
    pub line: Box<dyn Fn(Vec<u8>) -> bool + Send>,
    /// Waits until there may be room, for at most so long. Only this thread waits.
    pub room: Box<dyn Fn(Duration) + Send>,
    /// It is a terminal, and colours are wanted.
    pub has_colour: bool,
}

/// See the file's head.
pub(super) struct Printer {
    state_dir: PathBuf,
    watch: Watch,
    terminal: Terminal,
    finish_by: Arc<Deadline>,
    shown: HashMap<Source, Shown>,
    width: usize,
    /// The terminal has had no room since then.
    stuck: Option<Mono>,
}

/// The terminal has no room.
struct Stuck;

/// How far a source has been shown.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// The file it is in; none: not opened yet.
    inode: Option<u64>,
    offset: u64,
    /// There is an unfinished line since then.
    partial: Option<Mono>,
    /// The unfinished line is all there will be of it.
    has_ended: bool,
    is_dirty: bool,
}

impl Printer {
    pub(super) fn new(
        state_dir: &Path,
        watch: Watch,
        terminal: Terminal,
        finish_by: Arc<Deadline>,
    ) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            watch,
            terminal,
            finish_by,
            shown: HashMap::new(),
            width: 0,
            stuck: None,
        }
    }

    /// Runs until the pump is gone and everything it wrote has been shown.
    pub(super) fn run(mut self) {
        let mut is_end = false;
        loop {
            self.look();
            while self.show_some() {
                if self.finish_by.has_passed() || self.is_hopeless() {
                    return;
                }
                self.look();
            }
            if is_end {
                return;
            }
            let partial = self.shown.values().filter_map(|s| s.partial).min();
            let woken = match partial {
                Some(since) => {
                    let at = since + limits::PRINT_PARTIAL;
                    self.watch.woken.recv_timeout(at.since(clock::mono()))
                }
                None => self
                    .watch
                    .woken
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
            };
            match woken {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => self.partials_are_due(),
                Err(RecvTimeoutError::Disconnected) => {
                    is_end = true;
                    self.all_is_said();
                }
            }
        }
    }

    /// At the end a stopped terminal is not waited for as long as a slow one; the files have it all.
    fn is_hopeless(&self) -> bool {
        self.finish_by.is_set()
            && self
                .stuck
                .is_some_and(|since| clock::mono().since(since) >= limits::PRINT_LAST)
    }

    fn look(&mut self) {
        for (source, grown) in self.watch.take() {
            let name = source.instance.to_string().chars().count();
            self.width = self.width.max(name.min(limits::PRINT_NAME_WIDTH));
            let shown = self.shown.entry(source).or_insert(Shown {
                inode: None,
                offset: grown.from,
                partial: None,
                has_ended: false,
                is_dirty: true,
            });
            shown.is_dirty = true;
            shown.has_ended |= grown.has_ended;
        }
    }

    fn partials_are_due(&mut self) {
        let now = clock::mono();
        for shown in self.shown.values_mut() {
            if shown
                .partial
                .is_some_and(|since| now.since(since) >= limits::PRINT_PARTIAL)
            {
                shown.is_dirty = true;
                shown.has_ended = true;
            }
        }
    }

    fn all_is_said(&mut self) {
        for shown in self.shown.values_mut() {
            shown.is_dirty = true;
            shown.has_ended = true;
        }
    }

    /// A piece of each source that grew; whether there is more.
    fn show_some(&mut self) -> bool {
        let mut dirty: Vec<(Source, Shown)> = self
            .shown
            .iter()
            .filter(|(_, s)| s.is_dirty)
            .map(|(k, s)| (k.clone(), *s))
            .collect();
        dirty.sort_by(|a, b| a.0.cmp(&b.0));
        for (source, mut shown) in dirty {
            let is_stuck = match self.show(&source, &mut shown) {
                Ok(outcome) => outcome.is_err(),
                Err(e) => {
                    shown.is_dirty = false;
                    if e.kind() != io::ErrorKind::NotFound {
                        log::warn!("cannot show output of {}: {e}", source.instance);
                    }
                    false
                }
            };
            self.shown.insert(source, shown);
            if is_stuck {
                self.stuck.get_or_insert_with(clock::mono);
                (self.terminal.room)(limits::PRINT_ROOM);
                return true;
            }
            self.stuck = None;
        }
        self.shown.values().any(|s| s.is_dirty)
    }

    /// Shows a piece, as far as the terminal has room.
    fn show(&self, source: &Source, shown: &mut Shown) -> io::Result<Result<(), Stuck>> {
        let Some((path, file, is_last)) = self.file(source, shown)? else {
            // What was put aside is compressed already: what it had is not shown any more.
            shown.is_dirty = true;
            return Ok(Ok(()));
        };
        let len = file.metadata()?.len();
        if len < shown.offset {
            // Cut short or made anew.
            shown.offset = 0;
        }
        let mut is_cut = false;
        if len - shown.offset > limits::PRINT_BEHIND_BYTES {
            let to = len - limits::TAIL_BYTES;
            if !self.say_skipped(source, to - shown.offset, &path) {
                return Ok(Err(Stuck));
            }
            shown.offset = to;
            is_cut = true;
        }
        let left = usize::try_from(len - shown.offset).unwrap_or(usize::MAX);
        let most = usize::try_from(limits::TAIL_BYTES).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(most)];
        file.read_exact_at(&mut bytes, shown.offset)?;
        let has_more = left > bytes.len();
        let pieces = split(&bytes, (shown.has_ended || !is_last) && !has_more);
        let mut used = 0;
        for (n, piece) in pieces.iter().enumerate() {
            let is_passed_over = is_cut && n == 0;
            if !is_passed_over && !self.print(source, &bytes[piece.text.clone()]) {
                shown.offset += used as u64;
                return Ok(Err(Stuck));
            }
            used = piece.next;
        }
        shown.offset += used as u64;
        shown.is_dirty = has_more && used > 0;
        if !has_more && !is_last {
            shown.is_dirty = true;
            self.go_on(source, shown)?;
        } else if !has_more {
            shown.has_ended = false;
            shown.partial = match (used < bytes.len(), shown.partial) {
                (true, Some(since)) if used == 0 => Some(since),
                (true, _) => Some(clock::mono()),
                (false, _) => None,
            };
        }
        Ok(Ok(()))
    }

    /// The file that is being shown, and whether it is the one that is written; none when it is compressed.
    fn file(
        &self,
        source: &Source,
        shown: &mut Shown,
    ) -> io::Result<Option<(PathBuf, File, bool)>> {
        let path = source.segment(&self.state_dir);
        let file = File::open(&path)?;
        let inode = file.metadata()?.ino();
        if *shown.inode.get_or_insert(inode) == inode {
            return Ok(Some((path, file, true)));
        }
        let parts = chain::list(&self.state_dir, source)?;
        let held = parts
            .into_iter()
            .rfind(|part| Some(part.inode) == shown.inode);
        if let Some(part) = held.filter(|part| !part.is_packed) {
            let file = File::open(&part.path)?;
            return Ok(Some((part.path, file, false)));
        }
        self.go_on(source, shown)?;
        Ok(None)
    }

    /// To the file behind the one that is being shown.
    fn go_on(&self, source: &Source, shown: &mut Shown) -> io::Result<()> {
        let parts = chain::list(&self.state_dir, source)?;
        let at = parts
            .iter()
            .rposition(|part| Some(part.inode) == shown.inode);
        let next = at.map_or(parts.last(), |at| parts.get(at + 1));
        shown.inode = next.map(|part| part.inode);
        shown.offset = 0;
        shown.partial = None;
        Ok(())
    }

    fn print(&self, source: &Source, text: &[u8]) -> bool {
        let look = Look {
            has_colour: self.terminal.has_colour,
            width: self.width,
        };
        let name = source.instance.to_string();
        (self.terminal.line)(paint::line(&name, source.stream, text, look))
    }

    fn say_skipped(&self, source: &Source, bytes: u64, path: &Path) -> bool {
        let line = format!(
            "[{}: {} not shown here; it is all in {}]",
            source.instance,
            text::size(bytes),
            path.display()
        );
        (self.terminal.line)(line.into_bytes())
    }
}
