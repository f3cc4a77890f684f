//! Reading the output of one stream as lines with their times and runs, over all of its segments, rotated and
//! compressed ones too, and going on with what comes. Reads files only, a piece at a time; needs no supervisor.
//!
//! The time of a line is that of the index's entry it lies before, a quarter of a second off at the most while
//! output flows; without an index it is the time the file was written last.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::chain::{self, Input, Part};
use super::derive::Within;
use super::index::{Entry, Index, Mark};
use super::lines::split;
use super::segments::Source;
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Level;

/// Which lines are wanted, as far as files can be passed over for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Written then or later.
    pub since: Option<Wall>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Only about so many bytes of the end.
    pub window: Option<u64>,
}

/// A line, or a piece of one that is longer than [`limits::LOG_LINE_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, to the nearest known moment.
    pub time: Wall,
    /// In which run, if known.
    pub run: Option<RunId>,
    /// The level that the line states.
    pub level: Option<Level>,
    /// Its bytes, without the line's end.
    pub bytes: Vec<u8>,
    /// It is the rest of the piece before it.
    pub is_rest: bool,
    /// The next piece is the rest of it.
    pub goes_on: bool,
}

/// See the file's head.
pub struct Reader {
    state_dir: PathBuf,
    source: Source,
    parts: VecDeque<Part>,
    now: Option<Open>,
    buffer: Vec<u8>,
    ready: VecDeque<LogLine>,
    asked: Asked,
    /// Bytes up to the next line's end belong to a line that began before what is read.
    is_headless: bool,
    within: Within,
    is_whole: bool,
}

/// The segment that is being read.
struct Open {
    number: u64,
    inode: u64,
    input: Input,
    /// Where the first byte of the buffer is in it; less than nothing when it is of the segment before.
    base: i64,
    walk: Walk,
}

impl Reader {
    /// Begins where the first line that is asked for may be.
    pub fn open(state_dir: &Path, source: &Source, asked: Asked) -> io::Result<Self> {
        let mut parts: VecDeque<Part> = chain::list(state_dir, source)?.into();
        let mut is_whole = true;
        let mut from = 0;
        if let Some(window) = asked.window {
            let mut left = window;
            let mut kept = parts.len();
            while kept > 0 && left > 0 {
                kept -= 1;
                let part = &parts[kept];
                // What is compressed is read whole.
                from = if part.is_packed {
                    0
                } else {
                    part.bytes.saturating_sub(left)
                };
                left = left.saturating_sub(part.bytes);
            }
            is_whole = kept == 0 && from == 0;
            parts.drain(..kept);
        }
        let mut this = Self {
            state_dir: state_dir.to_owned(),
            source: source.clone(),
            parts,
            now: None,
            buffer: Vec::new(),
            ready: VecDeque::new(),
            asked,
            is_headless: from > 0,
            within: Within::Nothing,
            is_whole,
        };
        this.begin(from.saturating_sub(1))?;
        Ok(this)
    }

    /// Whether it began with the first line there is, or that is asked for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The next line; none: that is all for now. `is_final`: an unfinished line is all there will be of it.
    pub fn next_line(&mut self, is_final: bool) -> io::Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if self.fill()? {
                self.cut(false);
            } else if !self.go_on()? {
                if is_final {
                    self.cut(true);
                }
                return Ok(self.ready.pop_front());
            }
        }
    }

    /// Whether a line has begun that has not ended.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads on; whether there was something.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.now else {
            return Ok(false);
        };
        if open.input.is_cut() {
            // From its beginning; the index goes on behind.
            if let Input::Plain(_, at) = &mut open.input {
                *at = 0;
            }
            self.buffer.clear();
            open.base = 0;
        }
        let held = self.buffer.len();
        self.buffer.resize(held + limits::LOGS_CHUNK_BYTES, 0);
        let got = open.input.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *got.as_ref().unwrap_or(&0));
        Ok(got? > 0)
    }

    /// Opens the next segment, if there is one; whether there is.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.parts.is_empty() {
            self.look_for_more()?;
        }
        if self.parts.is_empty() {
            return Ok(false);
        }
        // What came into the one before, between the look at its end and its rotation.
        if self.fill()? {
            self.cut(false);
            return Ok(true);
        }
        let place = |now: &Option<Open>| now.as_ref().map(|now| (now.number, now.inode));
        let before = place(&self.now);
        self.begin(0)?;
        Ok(place(&self.now) != before)
    }

    /// The segments behind the one that has been read to its end, when that one was rotated or removed.
    fn look_for_more(&mut self) -> io::Result<()> {
        let parts = chain::list(&self.state_dir, &self.source)?;
        let Some(now) = &self.now else {
            self.parts = parts.into();
            return Ok(());
        };
        // By number: an inode may be another file's once its own was compressed. Only what has the name now in the
        // place of a file that was removed has none that is higher.
        let is_behind = |part: &Part| {
            part.number > now.number || (part.seq.is_none() && part.inode != now.inode)
        };
        let behind = parts.iter().position(is_behind).unwrap_or(parts.len());
        self.parts = parts.into_iter().skip(behind).collect();
        Ok(())
    }

    /// Opens the first of the segments that has something that is asked for, its first `from` bytes passed over.
    fn begin(&mut self, mut from: u64) -> io::Result<()> {
        let mut looks = 0;
        while let Some(part) = self.parts.pop_front() {
            let walk = Walk::open(&part);
            let start = walk.start(&part, &self.asked).map(|at| at.max(from));
            from = 0;
            let Some(start) = start else {
                // A rest of the one before it has nothing to do with what comes behind.
                self.cut(true);
                if self.parts.is_empty() && part.seq.is_none() {
                    // Nothing yet, but what comes is of interest.
                    self.attach(&part, part.bytes, walk);
                }
                continue;
            };
            if self.attach(&part, start, walk) {
                return Ok(());
            }
            looks += 1;
            if looks <= limits::LOG_LOOKS && !part.is_packed {
                // Rotated or compressed since it was listed: it has another name now.
                let again = chain::list(&self.state_dir, &self.source)?;
                let at = again.iter().position(|p| p.number >= part.number);
                self.parts = again.into_iter().skip(at.unwrap_or(usize::MAX)).collect();
                let is_it = |p: &Part| p.number == part.number && p.inode == part.inode;
                from = if self.parts.front().is_some_and(is_it) {
                    start
                } else {
                    0
                };
            }
        }
        Ok(())
    }

    fn attach(&mut self, part: &Part, start: u64, walk: Walk) -> bool {
        let Ok(input) = Input::open(part, start) else {
            return false;
        };
        let held = i64::try_from(self.buffer.len()).unwrap_or(0);
        self.now = Some(Open {
            number: part.number,
            inode: part.inode,
            input,
            base: i64::try_from(start).unwrap_or(i64::MAX) - held,
            walk,
        });
        true
    }

    /// Cuts what was read into lines. The end of a run's output ends its last line, too.
    fn cut(&mut self, is_final: bool) {
        let Some(open) = &mut self.now else { return };
        let mut used = 0;
        loop {
            let here = open.base + i64::try_from(used).unwrap_or(0);
            let rest = &self.buffer[used..];
            let border = open.walk.border(here);
            let border = border.and_then(|b| usize::try_from(b - here).ok());
            let border = border.filter(|b| *b < rest.len());
            let (window, is_end) = match border {
                Some(border) => (&rest[..border], true),
                None => (rest, is_final),
            };
            let pieces = split(window, is_end);
            for piece in &pieces {
                let end = here + i64::try_from(piece.next).unwrap_or(0);
                let is_headless = std::mem::take(&mut self.is_headless);
                let text = &window[piece.text.clone()];
                let (level, is_rest) = match self.within {
                    Within::Line(level) => (level, true),
                    Within::Nothing => (super::level::detect(text), false),
                };
                self.within = if piece.goes_on {
                    Within::Line(level)
                } else {
                    Within::Nothing
                };
                let (time, run) = open.walk.locate(end.max(0).unsigned_abs());
                if is_headless {
                    // Of a line that began before; when it goes on, so does what is not shown of it.
                    self.is_headless = piece.goes_on;
                    continue;
                }
                self.ready.push_back(LogLine {
                    time,
                    run,
                    level,
                    bytes: text.to_vec(),
                    is_rest,
                    goes_on: piece.goes_on,
                });
            }
            used += pieces.last().map_or(0, |piece| piece.next);
            if border.is_none() {
                break;
            }
        }
        self.buffer.drain(..used);
        open.base += i64::try_from(used).unwrap_or(0);
    }
}

/// The index of a segment, gone through beside it.
struct Walk {
    index: Option<Index>,
    at: u64,
    here: Option<Entry>,
    /// The run whose start was passed last.
    run: Option<RunId>,
    written_at: Wall,
    /// Where runs begin, those behind what was read.
    borders: VecDeque<u64>,
}

impl Walk {
    fn open(part: &Part) -> Self {
        let index = Index::open(&part.index).ok();
        let mut this = Self {
            index,
            at: 0,
            here: None,
            run: None,
            written_at: part.written_at,
            borders: VecDeque::new(),
        };
        // After the file was emptied by somebody its entries begin anew: those before are of what is gone.
        let (mut first, mut last) = (0, 0);
        this.each(|at, entry| {
            if entry.offset < last {
                first = at;
            }
            last = entry.offset;
        });
        this.at = first;
        let mut borders = VecDeque::new();
        this.each(|at, entry| {
            if at >= first && entry.mark == Mark::Start && borders.len() < limits::LOGS_CHUNK_BYTES
            {
                borders.push_back(entry.offset);
            }
        });
        this.borders = borders;
        this
    }

    fn each(&self, take: impl FnMut(u64, &Entry)) {
        if let Some(index) = &self.index
            && let Err(e) = index.each(take)
        {
            log::debug!("an index cannot be read: {e}");
        }
    }

    /// Where to begin for what is asked; none: nothing of it is here.
    fn start(&self, part: &Part, asked: &Asked) -> Option<u64> {
        if asked.since.is_none() && asked.run.is_none() {
            return Some(0);
        }
        let is_late = |time: Wall| asked.since.is_none_or(|since| time >= since);
        let is_its = |run: RunId| asked.run.is_none_or(|wanted| run == wanted);
        let (mut before, mut found) = (0, None);
        self.each(|at, entry| {
            if at >= self.at && found.is_none() {
                if is_late(entry.time) && is_its(entry.run) {
                    let begins = entry.mark == Mark::Start;
                    found = Some(if begins { entry.offset } else { before });
                }
                before = entry.offset;
            }
        });
        let count = self.index.as_ref().map_or(0, Index::count);
        if count == 0 {
            // Without an index its time is that of the file, and whose it is is not known.
            return (is_late(part.written_at) && asked.run.is_none()).then_some(0);
        }
        let has_more = part.seq.is_none() && is_late(part.written_at) && asked.run.is_none();
        found.or(has_more.then_some(before))
    }

    /// Where the next run begins behind `offset`.
    fn border(&mut self, offset: i64) -> Option<i64> {
        while let Some(border) = self.borders.front() {
            let border = i64::try_from(*border).unwrap_or(i64::MAX);
            if border > offset {
                return Some(border);
            }
            self.borders.pop_front();
        }
        None
    }

    /// When the bytes before `end` had been written, and by which run.
    fn locate(&mut self, end: u64) -> (Wall, Option<RunId>) {
        let Some(index) = &mut self.index else {
            return (self.written_at, None);
        };
        loop {
            if self.at >= index.count() {
                index.look_again();
            }
            if self.at >= index.count() {
                return (self.written_at, self.run);
            }
            let entry = self.here.or_else(|| index.get(self.at));
            match entry {
                Some(entry) if entry.offset >= end => {
                    self.here = Some(entry);
                    let run = match entry.mark {
                        Mark::Start => self.run,
                        Mark::Running | Mark::End => Some(entry.run),
                    };
                    return (entry.time, run);
                }
                Some(entry) => self.run = Some(entry.run),
                None => {}
            }
            self.here = None;
            self.at += 1;
        }
    }
}
