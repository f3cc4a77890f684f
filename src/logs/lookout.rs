//! Lines that a program is waited for: the thread "log-lines" reads the segments of those runs from where each began,
//! and says when a line has what is looked for in it. It starts with the first such run, and reads nothing while there
//! is none. Never holds the pump up: it learns of growth as the other readers do.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded, never, select};
use parking_lot::Mutex;

use super::index::Index;
use super::progress::Watch;
use super::segments::Source;
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Stream;
use crate::model::name::InstanceName;
use crate::model::pattern::Pattern;
use crate::thread::spawn_named;

/// A line that a run is waited for to write.
pub struct AwaitedLine {
    /// Whose run.
    pub instance: InstanceName,
    /// Which run.
    pub run: RunId,
    /// What is in the line.
    pub pattern: Pattern,
    /// Called when it was found, once; must not wait.
    pub found: Box<dyn FnOnce() + Send>,
}

enum Word {
    Begin(AwaitedLine),
    End(RunId),
}

/// The thread, once it is needed.
pub(super) struct Lookout {
    state_dir: PathBuf,
    state: Mutex<State>,
}

enum State {
    Idle(Watch),
    Running {
        inbox: Sender<Box<Word>>,
        thread: JoinHandle<()>,
        ended: Receiver<()>,
    },
    Over,
}

impl Lookout {
    pub(super) fn new(state_dir: &Path, watch: Watch) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            state: Mutex::new(State::Idle(watch)),
        }
    }

    pub(super) fn begin(&self, line: AwaitedLine) {
        let mut state = self.state.lock();
        if matches!(*state, State::Idle(_)) {
            self.start(&mut state);
        }
        send(&state, Word::Begin(line));
    }

    pub(super) fn end(&self, run: RunId) {
        send(&self.state.lock(), Word::End(run));
    }

    fn start(&self, state: &mut State) {
        let State::Idle(watch) = std::mem::replace(state, State::Over) else {
            return;
        };
        let (inbox, words) = bounded(limits::LINES_INBOX);
        let (said, ended) = bounded(limits::LOG_ANSWER);
        let looking = Looking {
            state_dir: self.state_dir.clone(),
            watch,
            words,
            awaited: HashMap::new(),
            buffer: vec![0; limits::LINES_CHUNK_BYTES],
        };
        let started = spawn_named("log-lines", move || {
            looking.run();
            // Nobody listens after an end that was too late.
            let _ = said.try_send(());
        });
        match started {
            Ok(thread) => {
                *state = State::Running {
                    inbox,
                    thread,
                    ended,
                }
            }
            Err(e) => log::error!("no line can be waited for, no thread is to be had: {e}"),
        }
    }

    /// The end, once the pump is gone; waits `patience` at most.
    pub(super) fn finish(&self, patience: Duration) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Over);
        if let State::Running { thread, ended, .. } = state
            && ended.recv_timeout(patience).is_ok()
        {
            // A panic was logged by the thread itself.
            let _ = thread.join();
        }
    }
}

fn send(state: &State, word: Word) {
    if let State::Running { inbox, .. } = state
        && inbox.try_send(Box::new(word)).is_err()
    {
        log::error!(
            "a line is not waited for: {} words wait already",
            limits::LINES_INBOX
        );
    }
}

/// What the thread has.
struct Looking {
    state_dir: PathBuf,
    watch: Watch,
    words: Receiver<Box<Word>>,
    awaited: HashMap<RunId, Awaited>,
    buffer: Vec<u8>,
}

struct Awaited {
    line: AwaitedLine,
    streams: [Reading; 2],
}

/// How far one stream of a run has been looked through.
struct Reading {
    source: Source,
    place: Option<(File, u64)>,
    gathered: Gathered,
    /// There may be more to read.
    has_grown: bool,
    /// Some run's output ended here: an unfinished line may be all there will be of it.
    has_ended: bool,
}

impl Looking {
    fn run(mut self) {
        let mut words = self.words.clone();
        loop {
            let is_busy = self.awaited.values().any(Awaited::has_grown);
            let mut heard = None;
            if !is_busy {
                select! {
                    recv(self.watch.woken) -> woken => if woken.is_err() { return },
                    recv(words) -> word => match word {
                        Ok(word) => heard = Some(word),
                        Err(_) => words = never(),
                    },
                }
            }
            for word in heard.into_iter().chain(words.try_iter()) {
                self.take(*word);
            }
            self.note_growth();
            self.pass();
            self.watch.want(!self.awaited.is_empty());
            if !is_busy {
                // Nothing ever comes: it is the waiting that is wanted.
                let _ = never::<()>().recv_timeout(limits::LINES_NAP);
            }
        }
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::Begin(line) => {
                // Before the first look: what is written after it is told.
                self.watch.want(true);
                self.awaited.insert(line.run, Awaited::new(line));
            }
            Word::End(run) => drop(self.awaited.remove(&run)),
        }
    }

    fn note_growth(&mut self) {
        let grown = self.watch.take();
        let streams = self.awaited.values_mut().flat_map(|a| &mut a.streams);
        for reading in streams {
            if let Some(grown) = grown.get(&reading.source) {
                reading.has_grown = true;
                reading.has_ended |= grown.has_ended;
            }
        }
    }

    /// One piece of each stream that grew.
    fn pass(&mut self) {
        let mut found = Vec::new();
        for (run, awaited) in &mut self.awaited {
            let line = &awaited.line;
            for reading in awaited.streams.iter_mut().filter(|r| r.has_grown) {
                match reading.look((line, &self.state_dir), &mut self.buffer) {
                    Ok(false) => {}
                    Ok(true) => {
                        found.push(*run);
                        break;
                    }
                    Err(e) => {
                        reading.has_grown = false;
                        if e.kind() != io::ErrorKind::NotFound {
                            let instance = &line.instance;
                            log::warn!("{instance}: its output cannot be looked through: {e}");
                        }
                    }
                }
            }
        }
        for run in found {
            if let Some(awaited) = self.awaited.remove(&run) {
                (awaited.line.found)();
            }
        }
    }
}

impl Awaited {
    fn new(line: AwaitedLine) -> Self {
        let streams = [Stream::Stdout, Stream::Stderr].map(|stream| Reading {
            source: Source {
                instance: line.instance.clone(),
                stream,
            },
            place: None,
            gathered: Gathered::default(),
            has_grown: true,
            has_ended: false,
        });
        Self { line, streams }
    }

    fn has_grown(&self) -> bool {
        self.streams.iter().any(|reading| reading.has_grown)
    }
}

impl Reading {
    /// Looks through one piece more; whether the line was in it.
    fn look(
        &mut self,
        (line, state_dir): (&AwaitedLine, &Path),
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        let segment = self.source.segment(state_dir);
        let Some((file, offset)) = &mut self.place else {
            let index = Index::open(&self.source.index(state_dir))?;
            match index.beginning(line.run) {
                Some(offset) => self.place = Some((File::open(segment)?, offset)),
                // The pump has yet to take it on; growth is told.
                None => self.has_grown = false,
            }
            return Ok(false);
        };
        let n = file.read_at(buffer, *offset)?;
        *offset += n as u64;
        if n > 0 {
            return Ok(self.gathered.add(&buffer[..n], &line.pattern));
        }
        // At its end: another file may have taken its place, or it was cut short.
        let (held, now) = (file.metadata()?, std::fs::metadata(&segment)?);
        if held.ino() != now.ino() {
            self.place = Some((File::open(segment)?, 0));
        } else if now.len() < *offset {
            *offset = 0;
        } else {
            self.has_grown = false;
            let has_ended = std::mem::take(&mut self.has_ended);
            return Ok(has_ended && self.gathered.has(&line.pattern));
        }
        Ok(false)
    }
}

/// The beginning of a line that has not ended yet.
#[derive(Debug, Default)]
struct Gathered {
    held: Vec<u8>,
    /// It was longer than is held, and has been judged by its beginning.
    is_judged: bool,
}

impl Gathered {
    /// Goes on with `bytes`; whether a line that ended in them, or became too long to wait for its end, has `pattern`.
    fn add(&mut self, bytes: &[u8], pattern: &Pattern) -> bool {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, is_end) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let mut is_in = false;
            if !self.is_judged {
                let room = limits::LOG_LINE_BYTES - self.held.len();
                let is_full = text.len() >= room;
                self.held.extend_from_slice(&text[..text.len().min(room)]);
                if is_end || is_full {
                    is_in = self.has(pattern);
                    self.held.clear();
                    self.is_judged = true;
                }
            }
            if is_end {
                self.is_judged = false;
            }
            if is_in {
                return true;
            }
        }
        false
    }

    fn has(&self, pattern: &Pattern) -> bool {
        let carriage = self.held.iter().rev().take_while(|b| **b == b'\r').count();
        !self.is_judged && pattern.is_in(&self.held[..self.held.len() - carriage])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the pieces, one after the other, have a line with `pattern`, and in which of them it was found.
    fn found(pattern: &str, pieces: &[&[u8]]) -> Option<usize> {
        let pattern = Pattern::new(pattern).expect("compiles");
        let mut gathered = Gathered::default();
        pieces
            .iter()
            .position(|piece| gathered.add(piece, &pattern))
    }

    #[test]
    fn a_line_is_found_wherever_it_is_cut() {
        let text = b"one\r\n\xff\xfe\0 is ready\r\nmore";
        for cut in 0..text.len() {
            let (first, second) = text.split_at(cut);
            let at = usize::from(cut < b"one\r\nxx0 is ready\r\n".len());
            assert_eq!(found("is ready$", &[first, second]), Some(at), "{cut}");
        }
    }

    #[test]
    fn a_pattern_does_not_reach_over_the_end_of_a_line_nor_into_one_that_has_not_ended() {
        assert_eq!(found("one.*two", &[b"one\n", b"two\n"]), None);
        assert_eq!(found("^two$", &[b"one\ntwo", b"\n"]), Some(1));
        assert_eq!(found("two", &[b"two"]), None);
    }

    #[test]
    fn a_line_too_long_to_hold_is_judged_by_its_beginning_once() {
        let filler = vec![b'x'; limits::LOG_LINE_BYTES];
        assert_eq!(found("^ready", &[b"ready ", &filler]), Some(1));
        assert_eq!(found("ready", &[&filler, b"ready\n", b"no\n"]), None);
        assert_eq!(
            found("^ready$", &[&filler, &filler, b"\n", b"ready\n"]),
            Some(3)
        );
    }
}
