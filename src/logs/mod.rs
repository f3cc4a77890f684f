//! Output of programs: from named pipes to segment files, and from there to the database, the terminal and the
//! messages. Never starts or signals a process, and never decides whether a program runs.
//!
//! ```text
//! program ──FIFO──▶ pump (splice) ──▶ logs/NAME/out.log, out.idx ──▶ log-scan ──▶ record sink
//!              ╲                                              ╲──▶ log-print ──▶ terminal
//!               ╲── holder process: keeps FIFOs open; pumps when there is no supervisor
//! ```
//!
//! Threads: "pump" ([`pumping`]), "log-scan" ([`scan`]), "log-pack" ([`pack`]),
//! "log-print" ([`print`], only with a terminal), "log-lines"
//! ([`lookout`], from the first run on that is waited for to write a line); for a backlog "log-pool-N". They are joined by [`Logs::finish`] in this order: pump, then the readers, each of
//! which ends when the pump is gone and everything has been read.
//!
//! Architecture invariant: [`Logs::open_run`], [`Logs::run_over`] and [`Logs::spawn_failed`] wait for no other
//! thread and open no segment: the one who supervises calls them.

mod batch;
mod chain;
mod derive;
mod ends;
mod follow;
mod heard;
pub mod holder;
pub mod index;
mod inputs;
mod keeping;
pub mod level;
mod lines;
mod link;
mod lock;
mod lookout;
mod notify;
mod pack;
mod paint;
mod pipes;
mod print;
mod progress;
mod ptys;
mod pump;
mod pumping;
mod read;
mod scan;
mod screen;
mod segments;
mod spill;
mod start;
mod tail;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

pub use self::ends::RunEnd;
pub use self::follow::{Follower, Growth, Line};
pub use self::holder::HolderSeat;
pub use self::inputs::RunInput;
pub use self::keeping::Rules;
pub use self::lookout::AwaitedLine;
pub use self::pipes::{PipeId, RunPipes, RunReaders};
pub use self::print::Terminal;
pub use self::ptys::RunTerminal;
pub use self::pump::Notice;
pub use self::pumping::NoticeSink;
pub use self::read::{Asked, LogLine, Reader};
pub use self::scan::RecordSink;
pub use self::screen::{Screen, recent};
pub use self::segments::Source;

use self::heard::Heard;
use self::keeping::Keeping;
use self::lookout::Lookout;
use self::pipes::PipeDir;
use self::ptys::Masters;
use self::pump::Totals;
use self::pumping::Command;
use self::scan::Scanned;
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::log::{LogCursor, Stream};
use crate::model::name::InstanceName;

/// A fault at start, or when a run's pipes are made.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// A folder, file or lock of the state directory.
    #[error("cannot prepare the output of programs in {path}")]
    StateDir {
        /// The state directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What this room is given at start.
pub struct Setup {
    /// Where everything lies; the caller has its lock.
    pub state_dir: PathBuf,
    /// How the output of each program is kept.
    pub keeping: Rules,
    /// How far records were derived, from the database.
    pub cursors: Vec<LogCursor>,
    /// Takes log records with the cursors that go with them.
    pub records: RecordSink,
    /// Takes what the pump has to tell; must not wait.
    pub notices: NoticeSink,
    /// Where output is shown; `None`: nowhere.
    pub terminal: Option<Terminal>,
}

/// What was found at start.
#[derive(Debug)]
pub struct Started {
    /// Pipes of an earlier supervisor's runs that somebody may still write to; they are pumped already.
    pub adopted: Vec<PipeId>,
    /// The pid of an earlier supervisor's holder, which goes on as ours; without one, start one
    /// ([`Logs::holder_seat`]).
    pub holder: Option<u32>,
    /// The main processes of an earlier supervisor's runs, as its holder kept them.
    pub ends: Vec<RunEnd>,
}

/// What the end brought to safety.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Bytes written to segments since start.
    pub bytes: u64,
    /// Pipes that ended since start, two a run.
    pub pipes: u64,
    /// Records handed to the sink since start.
    pub records: u64,
    /// Bytes lost since start, because the disk took nothing.
    pub dropped: u64,
    /// Output is still to be looked through for records; the next start goes on where this one stopped.
    pub is_behind: bool,
    /// Everything ended in time.
    pub is_complete: bool,
}

/// The point after which the end no longer waits; none at first.
#[derive(Debug, Default)]
struct Deadline(AtomicU64);

impl Deadline {
    fn set(&self, at: Mono) {
        self.0.store(at.nanos().max(1), Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    fn has_passed(&self) -> bool {
        let at = self.0.load(Ordering::Acquire);
        at != 0 && clock::mono().nanos() >= at
    }
}

/// A handle; clones share it. When the last one goes without [`Logs::finish`], the pipes are left to the
/// holder, as after a crash.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    state_dir: PathBuf,
    pipes: PipeDir,
    masters: Masters,
    /// Taken away first when the last handle goes: the pump sees its inbox close.
    inbox: Option<Sender<Box<Command>>>,
    wake: Arc<OwnedFd>,
    was_full: Arc<AtomicBool>,
    finish_by: Arc<Deadline>,
    keeping: Keeping,
    lookout: Lookout,
    heard: Heard,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    pump: JoinHandle<()>,
    scan: (JoinHandle<()>, Receiver<Scanned>),
    pack: (JoinHandle<()>, Receiver<()>),
    print: Option<(JoinHandle<()>, Receiver<()>)>,
}

/// The last `n` lines of `run`, from the files of `state_dir` as they are; none where nothing is left of it.
#[must_use]
pub fn stored_tail(state_dir: &Path, instance: &InstanceName, run: RunId, n: usize) -> Vec<String> {
    tail::read(state_dir, instance, run, n)
}

/// Whether `run` has a standard input that can be typed into, as the files of `state_dir` say.
#[must_use]
pub fn has_input(state_dir: &Path, instance: &InstanceName, run: RunId) -> bool {
    inputs::path(state_dir, instance, run).exists() || ptys::is_terminals(state_dir, instance, run)
}

/// Whether `run` has a terminal of its own whose output is still coming, as the files of `state_dir` say.
#[must_use]
pub fn has_terminal(state_dir: &Path, instance: &InstanceName, run: RunId) -> bool {
    ptys::is_terminals(state_dir, instance, run)
}

impl Logs {
    /// Takes over what an earlier supervisor left, and starts the threads.
    ///
    /// # Errors
    /// The state directory cannot be used, or there is no room for threads.
    pub fn start(setup: Setup) -> Result<(Self, Started), LogsError> {
        let path = setup.state_dir.clone();
        start::start(setup).map_err(|source| LogsError::StateDir { path, source })
    }

    /// Makes the pipes of a run. A handful of system calls; waits for nobody.
    ///
    /// # Errors
    /// No descriptors or no room for the pipes.
    pub fn make_run(
        &self,
        instance: &InstanceName,
        run: RunId,
    ) -> io::Result<(RunPipes, RunReaders)> {
        let make = |stream| {
            self.0.pipes.make(PipeId {
                run,
                instance: instance.clone(),
                stream,
            })
        };
        let out = make(Stream::Stdout)?;
        let err = match make(Stream::Stderr) {
            Ok(err) => err,
            Err(e) => {
                self.0.pipes.unlink(&out.id);
                return Err(e);
            }
        };
        let paths = [self.0.pipes.path_of(&out.id), self.0.pipes.path_of(&err.id)];
        let readers = RunReaders(vec![(out.id, out.reader), (err.id, err.reader)]);
        let pipes = RunPipes {
            stdout: out.writer,
            stderr: err.writer,
            paths,
        };
        Ok((pipes, readers))
    }

    /// Has the pump read them. Apart from [`Logs::make_run`], so that its wake-up does not compete with the
    /// spawn; to be said for every run that was made, spawned or not.
    pub fn pump(&self, readers: RunReaders) {
        self.tell(Command::Register(readers.0));
    }

    /// Makes the terminal of a run, in the place of [`Logs::make_run`] and [`Logs::make_input`]. System calls only;
    /// waits for nobody.
    ///
    /// # Errors
    /// No terminal, no descriptors or no room for the pipe.
    pub fn make_terminal(
        &self,
        instance: &InstanceName,
        run: RunId,
    ) -> io::Result<(RunTerminal, RunReaders)> {
        ptys::make((&self.0.pipes, &self.0.masters), instance, run)
    }

    /// The terminal of a run that outlived an earlier supervisor, for typing.
    ///
    /// # Errors
    /// It has none, or nobody kept it.
    pub fn open_terminal(&self, instance: &InstanceName, run: RunId) -> io::Result<OwnedFd> {
        self.0.masters.writer(instance, run)
    }

    /// Makes the pipe that a run reads its standard input from. System calls only; waits for nobody.
    ///
    /// # Errors
    /// No descriptors or no room for the pipe.
    pub fn make_input(&self, instance: &InstanceName, run: RunId) -> io::Result<RunInput> {
        self.0.pipes.make_input(instance, run)
    }

    /// Our end of the standard input of a run that outlived an earlier supervisor.
    ///
    /// # Errors
    /// It has none, or does not have it open any more.
    pub fn open_input(&self, instance: &InstanceName, run: RunId) -> io::Result<OwnedFd> {
        self.0.pipes.open_input(instance, run)
    }

    /// Where the notify socket of a run is, beside its pipes.
    #[must_use]
    pub fn notify_path(&self, run: RunId) -> std::path::PathBuf {
        self.0.pipes.notify_path(run)
    }

    /// The run of [`Logs::make_input`] is over, or was not to be.
    pub fn input_over(&self, instance: &InstanceName, run: RunId) {
        self.0.pipes.unlink_input(instance, run);
    }

    /// [`Logs::make_run`] and [`Logs::pump`] in one.
    ///
    /// # Errors
    /// No descriptors or no room for the pipes.
    pub fn open_run(&self, instance: &InstanceName, run: RunId) -> io::Result<RunPipes> {
        let (pipes, readers) = self.make_run(instance, run)?;
        self.pump(readers);
        Ok(pipes)
    }

    /// How the output of each program is kept from now on. Writes a small file.
    pub fn keep(&self, rules: Rules) {
        self.0.keeping.set(&self.0.state_dir, rules);
    }

    /// Has the holder keep the main process of a run, by a descriptor of it, until the run is over.
    pub fn watch(&self, run: RunId, pidfd: OwnedFd) {
        self.tell(Command::Watch(run, pidfd));
    }

    /// The run of [`Logs::open_run`] was not spawned: its pipes go. Drop its [`RunPipes`] too.
    pub fn spawn_failed(&self, run: RunId) {
        self.tell(Command::Over(run));
    }

    /// The run's tree is gone: what is in its pipes is written, then they are closed and removed. For a run
    /// whose pipes ended already (nobody had them open any more) nothing is left to do.
    pub fn run_over(&self, run: RunId) {
        self.tell(Command::Over(run));
    }

    /// Looks for a line in what the run has written and will write, from its first byte on. Waits for nobody. While
    /// the disk takes nothing, a line counts when it has been written.
    pub fn await_line(&self, line: AwaitedLine) {
        self.0.lookout.begin(line);
    }

    /// Nobody waits for a line of `run` any more.
    pub fn await_no_line(&self, run: RunId) {
        self.0.lookout.end(run);
    }

    /// When `run` last wrote something, or its pipes were taken on; none when it has no pipe any more.
    #[must_use]
    pub fn last_output(&self, run: RunId) -> Option<Mono> {
        self.0.heard.last(run)
    }

    /// Calls `heard` once when `run` writes, at once if it did after `since`. It must not wait.
    pub fn await_output(&self, run: RunId, since: Mono, heard: Box<dyn FnOnce() + Send>) {
        self.0.heard.await_next(run, since, heard);
    }

    /// The last `n` lines of `run`, clean and short, errors first in importance. Waits for the pump
    /// [`limits::TAIL_WAIT_MAX`] at most: not for the one who supervises.
    #[must_use]
    pub fn tail(&self, instance: &InstanceName, run: RunId, n: usize) -> Vec<String> {
        let (done, is_done) = bounded(limits::LOG_ANSWER);
        self.tell(Command::Drain(instance.clone(), done));
        // Late is no fault: what is in the file then has to do.
        let _ = is_done.recv_timeout(limits::TAIL_WAIT_MAX);
        tail::read(&self.0.state_dir, instance, run, n)
    }

    /// Makes a place for a holder: spawn it with these, and it guards the pipes there are and those to come.
    ///
    /// # Errors
    /// No descriptors, or a pump that is far behind: try again later.
    pub fn holder_seat(&self) -> io::Result<HolderSeat> {
        let (ours, theirs) = link::pair()?;
        if !self.tell(Command::Attach(ours)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(HolderSeat {
            argv: holder::argv(&self.0.state_dir),
            stdin: theirs,
        })
    }

    /// The clean end, when all programs have been stopped: pipes are emptied, records handed on, the rest shown,
    /// the holder sent away. Waits until `deadline` at most (the pump alone always has
    /// [`limits::PUMP_FINISH_LEAST`]). Also right for a forced end. A second call does nothing.
    #[must_use]
    pub fn finish(&self, deadline: Mono) -> Drained {
        self.end(deadline, Command::Finish)
    }

    /// As [`Logs::finish`], but the programs go on: what is in the pipes and what comes is the holder's.
    #[must_use]
    pub fn leave(&self, deadline: Mono) -> Drained {
        self.end(deadline, Command::Leave)
    }

    fn end(&self, deadline: Mono, command: fn(Sender<Totals>) -> Command) -> Drained {
        let Some(threads) = self.0.threads.lock().take() else {
            return Drained::default();
        };
        self.0.finish_by.set(deadline);
        let least = clock::mono() + limits::PUMP_FINISH_LEAST;
        let left = || deadline.since(clock::mono());
        let (done, is_done) = bounded(limits::LOG_ANSWER);
        let for_pump = || deadline.max(least).since(clock::mono());
        self.0.tell_last(command(done), for_pump());
        let totals = is_done.recv_timeout(for_pump());
        // The readers stop by themselves at the deadline, between two pieces of work.
        let left = || left() + limits::LOG_READERS_GRACE;
        let (scan, scanned) = threads.scan;
        let scanned = totals.and_then(|_| scanned.recv_timeout(left()));
        let (pack, packed) = threads.pack;
        // One that is in the middle of compressing leaves the plain file, and the next start does it again.
        if totals.is_ok() && packed.recv_timeout(left()).is_ok() {
            join(pack);
        }
        let shown = threads.print.map(|(thread, shown)| {
            let shown = totals.and_then(|_| shown.recv_timeout(left()));
            shown.map(|()| thread)
        });
        // Only what has said that it is done is joined: the others may hang in a sink, and the end must not.
        if totals.is_ok() {
            join(threads.pump);
            self.0.lookout.finish(left());
        }
        if scanned.is_ok() {
            join(scan);
        }
        let is_shown = match shown {
            Some(Ok(thread)) => {
                join(thread);
                true
            }
            Some(Err(_)) => false,
            None => true,
        };
        let pump = totals.unwrap_or_default();
        Drained {
            bytes: pump.bytes,
            pipes: pump.pipes_closed,
            records: scanned.unwrap_or_default().records,
            dropped: pump.dropped,
            is_behind: scanned.is_ok_and(|scanned| scanned.is_behind),
            is_complete: totals.is_ok() && scanned.is_ok() && is_shown,
        }
    }

    fn tell(&self, command: Command) -> bool {
        self.0.tell(command)
    }
}

impl Inner {
    fn tell(&self, command: Command) -> bool {
        let Some(inbox) = &self.inbox else {
            return false;
        };
        let is_told = inbox.try_send(Box::new(command)).is_ok();
        if !is_told {
            // Full: what is on disk says what was missed. A pipe that is not told to be over ends by itself
            // when its last writer goes.
            self.was_full.store(true, Ordering::Release);
        }
        self.wake();
        is_told
    }

    fn tell_last(&self, command: Command, max_wait: Duration) {
        self.wake();
        if let Some(inbox) = &self.inbox {
            // The one who waits for the answer sees that there is none.
            let _ = inbox.send_timeout(Box::new(command), max_wait);
        }
        self.wake();
    }

    fn wake(&self) {
        // It fails only when a wake-up waits already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.inbox = None;
        self.wake();
        if let Some(threads) = self.threads.get_mut().take() {
            join(threads.pump);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    // A panic was logged by the thread itself.
    let _ = thread.join();
}

/// Every stream there is output of in `state_dir`, of programs that were removed, too.
pub fn sources(state_dir: &Path) -> io::Result<Vec<Source>> {
    Source::all(state_dir)
}

/// Untrusted bytes as a line that is harmless to a terminal, with its colours if they are to be kept.
#[must_use]
pub fn clean_line(text: &[u8], keep_colours: bool) -> String {
    paint::clean(paint::last_return(text), keep_colours)
}

/// The segment that holds what `instance` writes to `stream`.
#[must_use]
pub fn segment_path(state_dir: &Path, instance: &InstanceName, stream: Stream) -> PathBuf {
    let source = Source {
        instance: instance.clone(),
        stream,
    };
    source.segment(state_dir)
}
