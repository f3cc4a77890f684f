//! The thread "log-scan": reads new lines of segments from their cursors and hands on those that say something
//! is wrong, in batches with the cursors that go with them. Never moves a cursor ahead of a batch that was
//! taken, so a line is recorded exactly once when the sink stores both in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{RecvTimeoutError, never};
use rayon::prelude::*;

use super::Deadline;
use super::batch::{Batcher, Place};
use super::chain::{self, Input, Part};
use super::derive::{Derived, Found, Within, derive};
use super::index::Index;
use super::progress::Watch;
use super::segments::Source;
use crate::clock;
use crate::limits;
use crate::model::log::{LogBatch, LogCursor, LogRecord};
use crate::thread::spawn_named;

/// Takes a batch; `false` refuses it for now, and it is offered again.
pub type RecordSink = Box<dyn Fn(LogBatch) -> bool + Send>;

/// See the file's head.
pub(super) struct Scanner {
    state_dir: PathBuf,
    watch: Watch,
    sink: RecordSink,
    finish_by: Arc<Deadline>,
    read: HashMap<Source, Reading>,
    /// What there is to read, and whether its last line is all there will be of it.
    dirty: BTreeMap<Source, bool>,
    batcher: Batcher,
    pool: Option<rayon::ThreadPool>,
    records: u64,
}

/// How far a source has been read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    place: Place,
    /// The number of the file, once it was read.
    number: Option<u64>,
    within: Within,
}

/// A piece of one segment, read.
struct Chunk {
    source: Source,
    bytes: Vec<u8>,
    start: Reading,
    /// Where another file begins in the bytes: the place of it there.
    borders: Vec<(usize, Reading)>,
    has_more: bool,
    is_final: bool,
}

impl Chunk {
    fn derive(&self) -> Derived {
        derive(
            &self.bytes,
            self.start.within,
            self.is_final && !self.has_more,
        )
    }

    /// Where the first `end` of the bytes end.
    fn reading(&self, end: usize) -> Reading {
        let mut from = (0, self.start);
        for (at, reading) in &self.borders {
            // The end of a file is a place of its own.
            if *at < end {
                from = (*at, *reading);
            }
        }
        let (begin, mut reading) = from;
        reading.place.offset += (end - begin) as u64;
        reading
    }

    fn place(&self, end: usize) -> Place {
        self.reading(end).place
    }
}

/// The sink still refuses at the end of the time there is.
struct GaveUp;

/// What a scanner did until its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    pub records: u64,
    /// It could not read or hand on everything in time. The cursors say where the next start goes on.
    pub is_behind: bool,
}

impl Scanner {
    pub(super) fn new(
        state_dir: &Path,
        watch: Watch,
        sink: RecordSink,
        finish_by: Arc<Deadline>,
    ) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            watch,
            sink,
            finish_by,
            read: HashMap::new(),
            dirty: BTreeMap::new(),
            batcher: Batcher::default(),
            pool: None,
            records: 0,
        }
    }

    /// Begins where the database says the last one ended, and with everything written since.
    pub(super) fn resume(&mut self, cursors: Vec<LogCursor>) -> io::Result<()> {
        for cursor in cursors {
            let source = Source {
                instance: cursor.instance,
                stream: cursor.stream,
            };
            let place = Place {
                inode: cursor.inode,
                offset: cursor.offset,
            };
            let reading = Reading {
                place,
                number: None,
                within: Within::Nothing,
            };
            self.read.insert(source, reading);
        }
        self.dirty = Source::all(&self.state_dir)?
            .into_iter()
            .map(|s| (s, false))
            .collect();
        Ok(())
    }

    /// Runs until the pump is gone and everything it wrote has been read, or there is no time left.
    pub(super) fn run(mut self) -> Scanned {
        let gave_up = self.scan().is_err();
        Scanned {
            records: self.records,
            is_behind: gave_up || !self.dirty.is_empty(),
        }
    }

    fn scan(&mut self) -> Result<(), GaveUp> {
        let mut is_end = false;
        loop {
            for (source, grown) in self.watch.take() {
                *self.dirty.entry(source).or_default() |= grown.has_ended;
            }
            while !self.dirty.is_empty() && !self.finish_by.has_passed() {
                self.pass()?;
            }
            self.pool = None;
            let now = clock::mono();
            if self.batcher.is_due(now, is_end) {
                self.flush()?;
            }
            if is_end {
                return Ok(());
            }
            let timeout = self.batcher.deadline().map(|at| at.since(now));
            is_end = self.rest(timeout);
        }
    }

    /// Waits for growth; whether the pump is gone.
    fn rest(&self, timeout: Option<Duration>) -> bool {
        let woken = match timeout {
            Some(timeout) => self.watch.woken.recv_timeout(timeout),
            None => self
                .watch
                .woken
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match woken {
            Ok(()) => {
                pause(limits::SCAN_NAP);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    /// One chunk each of some segments.
    fn pass(&mut self) -> Result<(), GaveUp> {
        let sources: Vec<(Source, bool)> = self
            .dirty
            .iter()
            .take(limits::SCAN_FILES)
            .map(|(s, f)| (s.clone(), *f))
            .collect();
        let mut chunks = Vec::new();
        for (source, is_final) in sources {
            // Not found once: its name changed while it was looked for.
            let chunk = self.read_chunk(&source, is_final);
            let chunk = match chunk {
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.read_chunk(&source, is_final),
                other => other,
            };
            match chunk {
                Ok(chunk) => chunks.push(chunk),
                Err(e) => {
                    if e.kind() != io::ErrorKind::NotFound {
                        log::warn!("cannot read {} for records: {e}", source.instance);
                    }
                    self.dirty.remove(&source);
                }
            }
        }
        let derived = self.derive_all(&chunks);
        for (chunk, derived) in chunks.iter().zip(derived) {
            self.keep(chunk, derived)?;
        }
        Ok(())
    }

    fn read_chunk(&self, source: &Source, is_final: bool) -> io::Result<Chunk> {
        let parts = chain::list(&self.state_dir, source)?;
        let held = self.read.get(source).copied();
        let (mut at, is_same) = match held {
            Some(held) => find(&parts, &held),
            // Never read: from the oldest there is.
            None => (0, false),
        };
        let part = parts.get(at).ok_or(io::ErrorKind::NotFound)?;
        let start = match held.filter(|_| is_same) {
            Some(held) if part.is_packed || held.place.offset <= part.bytes => Reading {
                number: Some(part.number),
                ..held
            },
            // Another file, or one that was cut short: from its beginning.
            Some(_) | None => Reading::of(part),
        };
        let mut chunk = Chunk {
            source: source.clone(),
            bytes: Vec::new(),
            start,
            borders: Vec::new(),
            has_more: true,
            is_final,
        };
        let mut offset = start.place.offset;
        loop {
            chunk.has_more = fill(&parts[at], offset, &mut chunk.bytes)?;
            if chunk.has_more {
                return Ok(chunk);
            }
            at += 1;
            let Some(part) = parts.get(at) else {
                return Ok(chunk);
            };
            chunk.borders.push((chunk.bytes.len(), Reading::of(part)));
            offset = 0;
        }
    }

    /// On several threads when it is a backlog: below that handing out costs more than the work.
    fn derive_all(&mut self, chunks: &[Chunk]) -> Vec<Derived> {
        let bytes: usize = chunks.iter().map(|c| c.bytes.len()).sum();
        if bytes >= limits::SCAN_PARALLEL_BYTES && chunks.len() > 1 {
            if self.pool.is_none() {
                self.pool = pool();
            }
            if let Some(pool) = &self.pool {
                return pool.install(|| chunks.par_iter().map(Chunk::derive).collect());
            }
        }
        chunks.iter().map(Chunk::derive).collect()
    }

    fn keep(&mut self, chunk: &Chunk, derived: Derived) -> Result<(), GaveUp> {
        let mut indexes = Indexes::new(self.state_dir.clone(), &chunk.source);
        let mut told = 0;
        for found in derived.found {
            let place = chunk.place(found.end);
            self.reach(chunk, found.end, &mut told);
            let record = record(&chunk.source, found, indexes.of(place.inode), place.offset);
            self.batcher.push(record, clock::mono());
            if self.batcher.is_due(clock::mono(), false) {
                self.flush()?;
            }
        }
        self.reach(chunk, derived.used, &mut told);
        let reading = Reading {
            within: derived.within,
            ..chunk.reading(derived.used)
        };
        self.read.insert(chunk.source.clone(), reading);
        if !chunk.has_more || derived.used == 0 {
            self.dirty.remove(&chunk.source);
        }
        if self.batcher.is_due(clock::mono(), false) {
            self.flush()?;
        }
        Ok(())
    }

    fn reach(&mut self, chunk: &Chunk, end: usize, told: &mut usize) {
        if end > *told {
            let place = chunk.place(end);
            self.batcher
                .reached(&chunk.source, place, (end - *told) as u64);
            *told = end;
        }
    }

    /// Hands the batch on, and waits until it is taken: what is not read yet is safe in its file.
    fn flush(&mut self) -> Result<(), GaveUp> {
        let batch = self.batcher.take();
        let count = batch.records.len() as u64;
        loop {
            if (self.sink)(batch.clone()) {
                self.records += count;
                return Ok(());
            }
            if self.finish_by.has_passed() {
                log::warn!("{count} log records are left for the next start: nobody takes them");
                return Err(GaveUp);
            }
            pause(limits::SCAN_RETRY);
        }
    }
}

impl Reading {
    fn of(part: &Part) -> Self {
        let place = Place {
            inode: part.inode,
            offset: 0,
        };
        Self {
            place,
            number: Some(part.number),
            within: Within::Nothing,
        }
    }
}

/// Which of the files `held` is in, or is to go on with, and whether it is that very file. Its number tells it from
/// one that was given the same inode after it was compressed; only a cursor from the database has none.
fn find(parts: &[Part], held: &Reading) -> (usize, bool) {
    let is_its = |part: &Part| part.inode == held.place.inode;
    let written = parts.len().saturating_sub(1);
    let Some(number) = held.number else {
        return match parts.iter().rposition(is_its) {
            Some(at) => (at, true),
            // What of the older ones was read is not known.
            None => (written, false),
        };
    };
    if let Some(at) = parts.iter().position(|p| is_its(p) && p.number == number) {
        return (at, true);
    }
    match parts.iter().position(|p| p.number > number) {
        Some(at) => (at, false),
        // Somebody removed the older files, and numbers begin anew.
        None => (written, parts.last().is_some_and(is_its)),
    }
}

/// Reads from `offset` of `part` until a chunk is full; whether it is.
fn fill(part: &Part, offset: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut input = Input::open(part, offset)?;
    let mut held = bytes.len();
    bytes.resize(limits::SCAN_CHUNK_BYTES, 0);
    while held < bytes.len() {
        match input.read(&mut bytes[held..]) {
            Ok(0) => break,
            Ok(n) => held += n,
            Err(e) => {
                bytes.truncate(held);
                return Err(e);
            }
        }
    }
    bytes.truncate(held);
    Ok(held == limits::SCAN_CHUNK_BYTES)
}

fn pause(time: Duration) {
    // Nothing ever comes: it is the waiting that is wanted.
    let _ = never::<()>().recv_timeout(time);
}

fn pool() -> Option<rayon::ThreadPool> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.min(limits::SCAN_POOL))
        .spawn_handler(|thread| {
            spawn_named(&format!("log-pool-{}", thread.index()), || thread.run()).map(drop)
        })
        .build()
        .inspect_err(|e| log::warn!("no pool for the backlog of logs: {e}"))
        .ok()
}

/// The index of the file that was asked about last.
struct Indexes<'a> {
    state_dir: PathBuf,
    source: &'a Source,
    held: Option<(u64, Option<Index>)>,
}

impl<'a> Indexes<'a> {
    fn new(state_dir: PathBuf, source: &'a Source) -> Self {
        Self {
            state_dir,
            source,
            held: None,
        }
    }

    fn of(&mut self, inode: u64) -> Option<&Index> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != inode) {
            let parts = chain::list(&self.state_dir, self.source).unwrap_or_default();
            let part = parts.into_iter().rfind(|part| part.inode == inode);
            let index = part.and_then(|part| Index::open(&part.index).ok());
            self.held = Some((inode, index));
        }
        self.held.as_ref()?.1.as_ref()
    }
}

fn record(source: &Source, found: Found, index: Option<&Index>, end: u64) -> LogRecord {
    let entry = index.and_then(|i| i.locate(end));
    LogRecord {
        time: entry.map_or_else(clock::wall, |e| e.time),
        instance: source.instance.clone(),
        run: entry.or_else(|| index?.last()).map(|e| e.run),
        stream: source.stream,
        level: found.level,
        line: found.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::log::Stream;
    use crate::model::name::InstanceName;
    use parking_lot::Mutex;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    fn source(name: &str) -> Source {
        Source {
            instance: InstanceName::single(name),
            stream: Stream::Stdout,
        }
    }

    fn write(dir: &Path, source: &Source, text: &str) {
        let path = source.segment(dir);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Scans everything there is once, from `cursors`; the batches that were taken.
    fn scan(dir: &Path, cursors: Vec<LogCursor>, refusals: usize) -> Vec<LogBatch> {
        let (progress, watch) = super::super::progress::pair();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (to, left) = (Arc::clone(&taken), Mutex::new(refusals));
        let sink = Box::new(move |batch| {
            let mut left = left.lock();
            if *left > 0 {
                *left -= 1;
                return false;
            }
            to.lock().push(batch);
            true
        });
        let mut scanner = Scanner::new(dir, watch, sink, Arc::default());
        scanner.resume(cursors).expect("listed");
        for source in Source::all(dir).expect("listed") {
            progress.note(&source, 0, true);
        }
        drop(progress);
        scanner.run();
        std::mem::take(&mut taken.lock())
    }

    #[test]
    fn a_thousand_records_cost_twenty_batches_and_none_is_lost_or_told_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let a = source("a");
        let mut text = String::new();
        for i in 0..1_000 {
            let _ = writeln!(text, "ERROR {i}\nfine");
        }
        write(dir.path(), &a, &text);
        let batches = scan(dir.path(), vec![], 2);
        assert_eq!(batches.len(), 20);
        let lines: BTreeSet<_> = batches
            .iter()
            .flat_map(|b| &b.records)
            .map(|r| r.line.clone())
            .collect();
        assert_eq!(lines.len(), 1_000);
        let cursors = batches[9].cursors.clone();
        let rest = scan(dir.path(), cursors, 0);
        assert_eq!(rest[0].records[0].line, b"ERROR 500");
        assert_eq!(rest.iter().map(|b| b.records.len()).sum::<usize>(), 500);
    }

    #[test]
    fn a_backlog_over_several_files_is_scanned_completely() {
        let dir = tempfile::tempdir().expect("a folder");
        let filler = "nothing to see here, move along please\n".repeat(30_000);
        for i in 0..3 {
            let text = format!("ERROR first\n{filler}ERROR second\n{filler}ERROR last");
            write(dir.path(), &source(&format!("p{i}")), &text);
        }
        let batches = scan(dir.path(), vec![], 0);
        let count = batches.iter().map(|b| b.records.len()).sum::<usize>();
        assert_eq!(count, 9);
    }

    #[test]
    fn a_replaced_or_shortened_file_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &source("a"), "ERROR one\n");
        let inode = std::fs::metadata(source("a").segment(dir.path()))
            .expect("there")
            .ino();
        for (inode, offset) in [(inode, 5_000), (inode + 1, 3)] {
            let cursor = LogCursor {
                instance: InstanceName::single("a"),
                stream: Stream::Stdout,
                inode,
                offset,
            };
            let batches = scan(dir.path(), vec![cursor], 0);
            assert_eq!(batches[0].records[0].line, b"ERROR one");
        }
    }
}
