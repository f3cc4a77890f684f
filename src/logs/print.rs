//! The thread "log-print": shows programs' output on the terminal of `run`, read back from the segments. Being
//! file-based it needs no memory when the terminal is slow, and the pump never waits for it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam::channel::RecvTimeoutError;

use super::Deadline;
use super::lines::split;
use super::paint::{self, Look};
use super::progress::Watch;
use super::segments::Source;
use crate::clock::{self, Mono};
use crate::limits;
use crate::text;

/// Where lines are shown.
pub struct Terminal {
    /// Takes one line without its end. It may wait: only this thread waits with it.
    pub line: Box<dyn Fn(Vec<u8>) + Send>,
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
}

/// How far a source has been shown.
#[derive(Clone, Copy, Debug)]
struct Shown {
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
        }
    }

    /// Runs until the pump is gone and everything it wrote has been shown.
    pub(super) fn run(mut self) {
        let mut is_end = false;
        loop {
            self.look();
            while self.show_some() {
                if self.finish_by.has_passed() {
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

    fn look(&mut self) {
        for (source, grown) in self.watch.take() {
            let name = source.instance.to_string().chars().count();
            self.width = self.width.max(name.min(limits::PRINT_NAME_WIDTH));
            let shown = self.shown.entry(source).or_insert(Shown {
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
            match self.show(&source, &mut shown) {
                Ok(()) => {}
                Err(e) => {
                    shown.is_dirty = false;
                    if e.kind() != io::ErrorKind::NotFound {
                        log::warn!("cannot show output of {}: {e}", source.instance);
                    }
                }
            }
            self.shown.insert(source, shown);
        }
        self.shown.values().any(|s| s.is_dirty)
    }

    fn show(&self, source: &Source, shown: &mut Shown) -> io::Result<()> {
        let path = source.segment(&self.state_dir);
        let file = File::open(&path)?;
        let len = file.metadata()?.len();
        if len < shown.offset {
            // Cut short or made anew.
            shown.offset = 0;
        }
        let mut is_cut = false;
        if len - shown.offset > limits::PRINT_BEHIND_BYTES {
            let to = len - limits::TAIL_BYTES;
            self.say_skipped(source, to - shown.offset, &path);
            shown.offset = to;
            is_cut = true;
        }
        let left = usize::try_from(len - shown.offset).unwrap_or(usize::MAX);
        let most = usize::try_from(limits::TAIL_BYTES).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(most)];
        file.read_exact_at(&mut bytes, shown.offset)?;
        let has_more = left > bytes.len();
        let pieces = split(&bytes, shown.has_ended && !has_more);
        for piece in pieces.iter().skip(usize::from(is_cut)) {
            self.print(source, &bytes[piece.text.clone()]);
        }
        let used = pieces.last().map_or(0, |p| p.next);
        shown.offset += used as u64;
        shown.is_dirty = has_more && used > 0;
        if !has_more {
            shown.has_ended = false;
            shown.partial = match (used < bytes.len(), shown.partial) {
                (true, Some(since)) if used == 0 => Some(since),
                (true, _) => Some(clock::mono()),
                (false, _) => None,
            };
        }
        Ok(())
    }

    fn print(&self, source: &Source, text: &[u8]) {
        let look = Look {
            has_colour: self.terminal.has_colour,
            width: self.width,
        };
        let name = source.instance.to_string();
        (self.terminal.line)(paint::line(&name, source.stream, text, look));
    }

    fn say_skipped(&self, source: &Source, bytes: u64, path: &Path) {
        let line = format!(
            "[{}: {} not shown here; it is all in {}]",
            source.instance,
            text::size(bytes),
            path.display()
        );
        (self.terminal.line)(line.into_bytes());
    }
}
