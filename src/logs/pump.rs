//! The pump: moves what lies in pipes into segments, for the supervisor's thread and for the holder alike.
//! Never waits for a disk that takes nothing, and never decides when: its callers do.
//!
//! Architecture invariant: one process has a pump at any time; it holds `pipes/pump.lock` (see `lock`).

mod faults;
mod terminals;
mod turn;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

use super::heard::{Ear, Heard};
use super::index::{Entry, IndexWriter, Mark};
use super::keeping::Keeping;
use super::pipes::{PipeDir, PipeId};
use super::progress::Progress;
use super::ptys::Masters;
use super::segments::{Segment, Source, Spliced};
use super::spill::Spill;
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;

/// What the pump has to tell. The one who listens must not wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Output was lost because the log disk took nothing for too long.
    Dropped {
        /// Whose.
        instance: InstanceName,
        /// How much.
        bytes: u64,
    },
    /// The log disk takes nothing; output is kept in memory for the time being.
    DiskFailed {
        /// The segment that could not be written.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Everything kept in memory has been written.
    DiskBack,
    /// The holder is gone; another one should be started and attached.
    HolderLost,
}

/// Tokens below this are the caller's own.
pub(super) const FIRST_PIPE: u64 = 16;

struct Pipe {
    id: PipeId,
    source: Source,
    fd: OwnedFd,
    capacity: usize,
    /// What its bytes come from, if that is a terminal.
    terminal: Option<terminals::Terminal>,
    ear: Arc<Ear>,
}

struct Flow {
    segment: Segment,
    index: IndexWriter,
    users: usize,
    /// Output goes through memory, and the disk is tried again then.
    retry_at: Option<Mono>,
    turn: turn::Turn,
}

/// See the file's head.
pub(super) struct Pump {
    state_dir: PathBuf,
    dir: PipeDir,
    epoll: OwnedFd,
    pipes: HashMap<u64, Pipe>,
    tokens: HashMap<PipeId, u64>,
    masters: Masters,
    flows: HashMap<Source, Flow>,
    spill: Spill,
    /// Never used again, so an event that comes late finds nothing instead of another's pipe.
    next_token: u64,
    grown: usize,
    told_at: Option<Mono>,
    readers: Vec<Progress>,
    /// How the output of each program is kept, and who looks after what is put aside.
    keeping: Keeping,
    /// When each run last wrote.
    pub(super) heard: Heard,
    notices: Vec<Notice>,
    closed: Vec<PipeId>,
    totals: Totals,
    buffer: Vec<u8>,
    #[cfg(test)]
    pub(super) is_disk_full: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

/// What a pump has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub bytes: u64,
    pub pipes_closed: u64,
    pub dropped: u64,
}

/// What one visit of a pipe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    Moved(usize),
    Empty,
    Ended,
}

impl Pump {
    pub(super) fn new(state_dir: &Path, readers: Vec<Progress>) -> io::Result<Self> {
        Ok(Self {
            state_dir: state_dir.to_owned(),
            dir: PipeDir::open(state_dir)?,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            pipes: HashMap::new(),
            tokens: HashMap::new(),
            masters: Masters::default(),
            flows: HashMap::new(),
            spill: Spill::new(limits::SPILL_BYTES),
            next_token: FIRST_PIPE,
            grown: 0,
            told_at: None,
            readers,
            keeping: Keeping::default(),
            heard: Heard::default(),
            notices: Vec::new(),
            closed: Vec::new(),
            totals: Totals::default(),
            buffer: vec![0; limits::PIPE_BYTES],
            #[cfg(test)]
            is_disk_full: std::sync::Arc::default(),
        })
    }

    /// The terminals whose output goes through pipes; to be said before the first pipe.
    pub(super) fn with_terminals(mut self, masters: Masters) -> Self {
        self.masters = masters;
        self
    }

    /// How output is kept; without a word as by default.
    pub(super) fn with_keeping(mut self, keeping: Keeping) -> Self {
        self.keeping = keeping;
        self
    }

    /// The queue of events: callers add what they wait for beside pipes, with tokens below [`FIRST_PIPE`].
    pub(super) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The pipes there are.
    pub(super) fn pipes(&self) -> impl Iterator<Item = &PipeId> {
        self.tokens.keys()
    }

    /// Our end of a pipe that is there.
    pub(super) fn reader_of(&self, id: &PipeId) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipes.get(self.tokens.get(id)?)?;
        Some(pipe.fd.as_fd())
    }

    /// Takes a pipe on: `mark` says whether its run begins or goes on. What the instance's earlier pipes still
    /// hold is moved first, so that the segment has the runs in their order.
    pub(super) fn add(&mut self, id: PipeId, fd: OwnedFd, mark: Mark) {
        let source = id.source();
        for token in self.tokens_of(|p| p.source == source) {
            self.drain(token);
        }
        let token = self.next_token;
        self.next_token += 1;
        let data = epoll::EventData::new_u64(token);
        if let Err(e) = epoll::add(&self.epoll, &fd, data, epoll::EventFlags::IN) {
            log::error!("cannot watch pipe {id}: {e}; its output stays in the pipe");
        }
        let terminal = self.terminal_of(&id, &fd, token);
        let capacity = fcntl_getpipe_size(&fd).unwrap_or(limits::PIPE_BYTES);
        // An earlier supervisor may have let it grow.
        self.grown += capacity.saturating_sub(limits::PIPE_BYTES);
        let state_dir = &self.state_dir;
        let flow = self.flows.entry(source.clone()).or_insert_with(|| Flow {
            turn: turn::Turn::begin(state_dir, &source),
            segment: Segment::new(source.segment(state_dir)),
            index: IndexWriter::new(source.index(state_dir)),
            users: 0,
            retry_at: None,
        });
        flow.users += 1;
        let run = id.run;
        self.tokens.insert(id.clone(), token);
        let pipe = Pipe {
            id,
            source: source.clone(),
            fd,
            capacity,
            terminal,
            ear: self.heard.ear(run),
        };
        self.pipes.insert(token, pipe);
        self.mark(&source, run, mark);
    }

    /// Opens and takes on every pipe of the folder that is not known here: what an earlier supervisor left,
    /// or what did not fit into the inbox. One that nobody has open holds nothing and is removed.
    pub(super) fn add_leftovers(&mut self) -> io::Result<Vec<PipeId>> {
        let mut added = Vec::new();
        for id in self.dir.list()? {
            if self.tokens.contains_key(&id) {
                continue;
            }
            match self.dir.open_reader(&id.to_string()) {
                Ok(fd) => {
                    self.add(id.clone(), fd, Mark::Running);
                    added.push(id);
                }
                Err(e) => log::warn!("cannot open pipe {id}: {e}"),
            }
        }
        self.settle();
        added.retain(|id| self.tokens.contains_key(id));
        Ok(added)
    }

    /// Empties every pipe once: one that was opened when nobody had it for writing never has an event of its
    /// end, and is closed here.
    pub(super) fn settle(&mut self) {
        for token in self.tokens_of(|_| true) {
            self.drain(token);
        }
    }

    /// Waits for events, `timeout` at most (`None`: for ever). Tokens of the caller come back, those of
    /// pipes are for [`Pump::visit`].
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Vec<u64> {
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        let mut events = Vec::with_capacity(limits::PUMP_EVENTS);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) => events.iter().map(|e| e.data.u64()).collect(),
            Err(Errno::INTR) => Vec::new(),
            Err(e) => {
                log::error!("cannot wait for pipes: {e}");
                Vec::new()
            }
        }
    }

    /// Moves what lies in one pipe, once around: a loud one does not keep the others waiting.
    pub(super) fn visit(&mut self, token: u64) {
        if self.move_once(token) == Visit::Ended {
            self.close(token);
        }
    }

    /// The run's tree is gone: what is in its pipes is all there is. They are emptied, closed, removed.
    pub(super) fn run_over(&mut self, run: RunId) {
        for token in self.tokens_of(|p| p.id.run == run) {
            self.drain(token);
            self.close(token);
        }
        // That of one whose pipe was never taken on.
        self.masters.remove_run(run);
    }

    /// Empties the pipes of an instance now.
    pub(super) fn drain_instance(&mut self, instance: &InstanceName) {
        for token in self.tokens_of(|p| p.id.instance == *instance) {
            self.drain(token);
        }
    }

    /// The end: every pipe is emptied, closed and removed; the disk has one more chance.
    pub(super) fn finish(&mut self, now: Mono) -> Totals {
        for token in self.tokens_of(|_| true) {
            self.drain(token);
            self.close(token);
        }
        let left: Vec<Source> = self.flows.keys().cloned().collect();
        for source in &left {
            self.unspill(source, now);
        }
        self.dir.unlink_inputs();
        self.spill.abandon();
        self.tell_drops(now);
        self.totals
    }

    /// What it did so far.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Gives the pipes away, for another process to pump; what memory holds has one more chance first. What
    /// the disk does not take then is lost: it could only be written behind what the other one writes.
    pub(super) fn hand_over(mut self, now: Mono) -> Vec<(PipeId, OwnedFd)> {
        let left: Vec<Source> = self.flows.keys().cloned().collect();
        for source in &left {
            self.unspill(source, now);
        }
        let mut given = Vec::new();
        for (_, pipe) in self.pipes.drain() {
            forget(&self.epoll, &pipe.fd);
            if let Some(terminal) = &pipe.terminal {
                terminal.forget(&self.epoll);
            }
            given.push((pipe.id, pipe.fd));
        }
        given
    }

    /// What there is to tell since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The pipes closed since the last call.
    pub(super) fn take_closed(&mut self) -> Vec<PipeId> {
        std::mem::take(&mut self.closed)
    }

    fn tokens_of(&self, wanted: impl Fn(&Pipe) -> bool) -> Vec<u64> {
        let mut found: Vec<u64> = self
            .pipes
            .iter()
            .filter(|(_, p)| wanted(p))
            .map(|(t, _)| *t)
            .collect();
        found.sort_unstable();
        found
    }

    /// Moves until nothing is left; the end of a pipe closes it. Bounded: a stranger may write for ever.
    fn drain(&mut self, token: u64) {
        let mut moved = 0;
        while moved < limits::PUMP_LAST_WORDS {
            match self.move_once(token) {
                Visit::Moved(n) => moved += n,
                Visit::Empty => return,
                Visit::Ended => return self.close(token),
            }
        }
    }

    fn move_once(&mut self, token: u64) -> Visit {
        self.draw(token);
        let Some(pipe) = self.pipes.get_mut(&token) else {
            // An event of a pipe that was closed since.
            return Visit::Empty;
        };
        widen(pipe, &mut self.grown);
        let (source, run) = (pipe.source.clone(), pipe.id.run);
        let Some(flow) = self.flows.get_mut(&source) else {
            return Visit::Empty;
        };
        if flow.retry_at.is_some() {
            return self.read_once(token);
        }
        #[cfg(test)]
        let spliced = if self.is_disk_full.load(std::sync::atomic::Ordering::SeqCst) {
            Spliced::Fault(Errno::NOSPC.into())
        } else {
            flow.segment.splice(&pipe.fd, limits::PIPE_BYTES_GROWN)
        };
        #[cfg(not(test))]
        let spliced = flow.segment.splice(&pipe.fd, limits::PIPE_BYTES_GROWN);
        match spliced {
            Spliced::Moved { bytes, len } => {
                pipe.ear.note(clock::mono());
                self.grew(&source, Some(run), len - bytes as u64..len);
                Visit::Moved(bytes)
            }
            Spliced::Empty => Visit::Empty,
            Spliced::NoWriter => Visit::Ended,
            Spliced::Fault(error) => {
                self.disk_failed(&source, &error);
                self.read_once(token)
            }
        }
    }

    /// The segment of `source` has bytes more, of `run` if that is known.
    fn grew(&mut self, source: &Source, run: Option<RunId>, bytes: Range<u64>) {
        self.totals.bytes += bytes.end - bytes.start;
        if let Some(flow) = self.flows.get_mut(source)
            && let Some(run) = run
        {
            let entry = Entry {
                time: clock::wall(),
                offset: bytes.end,
                mark: Mark::Running,
                run,
            };
            flow.index.grew(&entry, clock::mono());
        }
        // With no pipe left, what comes from memory is all there will be.
        self.tell_readers(source, bytes.start, run.is_none());
        self.turn(source, bytes.end);
    }

    fn tell_readers(&self, source: &Source, from: u64, has_ended: bool) {
        for reader in &self.readers {
            reader.note(source, from, has_ended);
        }
    }

    fn mark(&mut self, source: &Source, run: RunId, mark: Mark) {
        let Some(flow) = self.flows.get_mut(source) else {
            return;
        };
        match flow.segment.len() {
            Ok(offset) => {
                let entry = Entry {
                    time: clock::wall(),
                    offset,
                    mark,
                    run,
                };
                flow.index.note(&entry, clock::mono());
                if mark == Mark::End {
                    self.tell_readers(source, offset, true);
                }
            }
            Err(e) => self.disk_failed(source, &e),
        }
    }

    fn close(&mut self, token: u64) {
        let Some(pipe) = self.pipes.remove(&token) else {
            return;
        };
        self.tokens.remove(&pipe.id);
        forget(&self.epoll, &pipe.fd);
        if let Some(terminal) = &pipe.terminal {
            terminal.forget(&self.epoll);
        }
        self.masters.remove(&pipe.id);
        self.grown -= pipe.capacity.saturating_sub(limits::PIPE_BYTES);
        self.dir.unlink(&pipe.id);
        self.mark(&pipe.source, pipe.id.run, Mark::End);
        if let Some(flow) = self.flows.get_mut(&pipe.source) {
            flow.users -= 1;
            if flow.users == 0 && flow.retry_at.is_none() {
                self.flows.remove(&pipe.source);
            }
        }
        self.totals.pipes_closed += 1;
        drop(pipe.ear);
        self.heard.forget(pipe.id.run);
        self.closed.push(pipe.id);
    }
}

/// Before the descriptor is closed: a process being spawned may hold a copy, and the event would outlive it.
fn forget(epoll: &OwnedFd, fd: &OwnedFd) {
    if let Err(e) = epoll::delete(epoll, fd) {
        log::debug!("a pipe was not watched: {e}");
    }
}

/// Makes a pipe that is (nearly) full larger, while there is budget. Refusal is no fault: it works as it is.
fn widen(pipe: &mut Pipe, grown: &mut usize) {
    let more = limits::PIPE_BYTES_GROWN - limits::PIPE_BYTES;
    if pipe.capacity > limits::PIPE_BYTES || *grown + more > limits::PIPE_GROWTH_MAX {
        return;
    }
    let fill = rustix::io::ioctl_fionread(&pipe.fd).unwrap_or(0);
    // Lines do not fill a pipe's pages to the last byte.
    if fill < (limits::PIPE_BYTES - limits::PIPE_BYTES / 8) as u64 {
        return;
    }
    match fcntl_setpipe_size(&pipe.fd, limits::PIPE_BYTES_GROWN) {
        Ok(size) => {
            pipe.capacity = size;
            *grown += size.saturating_sub(limits::PIPE_BYTES);
        }
        Err(e) => log::debug!("pipe {} stays as it is: {e}", pipe.id),
    }
}
