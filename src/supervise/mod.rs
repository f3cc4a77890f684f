//! Supervision: keeps instances running. Owns the actor thread, the only one that spawns, signals and reaps
//! runs.
//!
//! [`machine`] decides, the actor does: it sleeps in epoll until a process ends, somebody asks for something
//! or a deadline comes, gives the input to the machine, performs the actions and publishes the [`board`].
//!
//! Architecture invariant: nothing here waits for a disk, a database, a webhook or a terminal; what others
//! are to do goes out through [`Ports`], whose methods never block.

mod actor;
mod adopt;
pub mod backoff;
pub mod board;
mod console;
mod dependents;
mod halted;
mod herald;
mod idle;
mod keys;
mod launch;
mod leaving;
pub mod machine;
mod notify;
pub mod order;
mod poke;
mod processes;
mod reload;
mod requests;
mod said;
mod schedule;
pub mod signs;
mod slot;
mod stalled;
mod tell;
mod timing;
mod tree;
pub mod turns;
mod vitals;
mod wallclock;
mod words;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded};

use crate::clock::{Mono, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::command::{PokeRequest, VerbRequest};
use crate::model::console::Console;
use crate::model::event::Event;
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::record::{InstanceState, Record, RunStart};
use crate::model::rule::Rule;
use board::Board;
pub use reload::Reload;
use signs::Signs;
use turns::Turns;
pub use vitals::Probed;

/// What supervision has others do. No method may block: each is called on the actor's thread.
pub trait Ports: Send {
    /// Records an event with what it changed.
    fn record(&self, record: Record);
    /// Makes the pipes of a run. System calls only; no waiting for another thread.
    ///
    /// # Errors
    /// No pipe is to be had.
    fn open_output(&self, instance: &InstanceName, run: RunId) -> io::Result<Output>;
    /// Makes what a run reads its standard input from; none when that is nothing. System calls only.
    ///
    /// # Errors
    /// None is to be had.
    fn open_input(
        &self,
        _instance: &InstanceName,
        _run: RunId,
        _console: Console,
    ) -> io::Result<Option<Input>> {
        Ok(None)
    }
    /// Our end of the standard input of a run that outlived an earlier supervisor; none when it cannot be reached.
    fn reopen_input(&self, _instance: &InstanceName, _run: RunId) -> Option<OwnedFd> {
        None
    }
    /// Makes a terminal for a run, in the place of output and input. System calls only.
    ///
    /// # Errors
    /// None is to be had.
    fn open_terminal(&self, _instance: &InstanceName, _run: RunId) -> io::Result<Terminal> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The run with such an input is over, or was not to be.
    fn input_over(&self, _instance: &InstanceName, _run: RunId) {}
    /// Where the notify socket of a run is.
    fn notify_path(&self, run: RunId) -> PathBuf {
        PathBuf::from(format!("{run}.notify"))
    }
    /// Keep a descriptor of a run's main process for a supervisor to come, until its output is over. Waits for
    /// nobody.
    fn keep_main(&self, _run: RunId, _pidfd: OwnedFd) {}
    /// The run's spawn failed: its pipes are not wanted.
    fn output_unused(&self, run: RunId);
    /// Nothing of the run's tree is left: its output ends with what is in the pipes.
    fn output_over(&self, run: RunId);
    /// Measure this tree from now on.
    fn measure(&self, measured: Measured);
    /// Measure it no more.
    fn unmeasure(&self, instance: &InstanceName, run: RunId);
    /// The instance left the configuration, and nothing of it is alive.
    fn gone(&self, _instance: &InstanceName) {}
    /// Nothing runs, and nothing will be started unless a person asks; `failed` are those whose last run failed.
    /// May be said more than once.
    fn idle(&self, failed: Vec<InstanceName>) {
        drop(failed);
    }
    /// Ask this probe from now on; its verdicts come as [`signs::Sign`].
    fn probe(&self, probed: Probed);
    /// Ask no probe of this run any more.
    fn unprobe(&self, run: RunId);
    /// When the run last wrote something; none when that is not known.
    fn last_output(&self, _run: RunId) -> Option<Mono> {
        None
    }
    /// Say with [`Signs::wrote`] when the run writes, at once if it did after `since`.
    fn await_output(&self, _run: RunId, _since: Mono) {}
}

/// The writing ends of a run's pipes.
pub struct Output {
    /// For standard output.
    pub stdout: OwnedFd,
    /// For standard error.
    pub stderr: OwnedFd,
    /// Where they are.
    pub paths: Vec<PathBuf>,
    /// Begins to read them; to be called after the spawn, whatever came of it: the wake-up of the reader must
    /// not compete with the spawn.
    pub begin: Box<dyn FnOnce() + Send>,
}

/// Both ends of what a run reads its standard input from.
pub struct Input {
    /// The program's.
    pub stdin: OwnedFd,
    /// Ours; writing to it never waits.
    pub writer: OwnedFd,
    /// Where it is.
    pub path: PathBuf,
}

/// Both sides of a run's terminal.
pub struct Terminal {
    /// The program's: its standard input.
    pub stdin: OwnedFd,
    /// The same, as its standard output and error.
    pub output: Output,
    /// Ours; writing to it never waits.
    pub writer: OwnedFd,
}

/// A tree to be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Whose.
    pub instance: InstanceName,
    /// Which run.
    pub run: RunId,
    /// Its main process.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_ticks: u64,
    /// How often.
    pub interval: Duration,
    /// What its figures are held against.
    pub rules: Arc<[Rule]>,
    /// The program's definition.
    pub spec: Arc<ProgramSpec>,
    /// Restarts of the instance so far.
    pub restarts: u64,
}

/// What a supervisor that did not end cleanly left behind.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    /// The last state of each instance.
    pub states: Vec<InstanceState>,
    /// Runs that were not seen to end.
    pub unfinished: Vec<RunStart>,
    /// Runs that ended, while something of their trees lives on.
    pub leftovers: Vec<RunStart>,
    /// The main processes of runs, as somebody kept them who outlived the supervisor.
    pub ends: BTreeMap<RunId, KeptEnd>,
    /// The word of the recovery, to be completed by what is found; none after a clean end.
    pub recovered: Option<Event>,
}

/// The main process of a run whose parent is gone.
#[derive(Clone, Debug)]
pub struct KeptEnd {
    /// By it the kernel tells how it ended.
    pub pidfd: Arc<OwnedFd>,
    /// When it ended, if somebody saw that.
    pub at: Option<Wall>,
}

/// How a stop of everything went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Instances that were up and are down.
    pub stopped: Vec<InstanceName>,
    /// Those of them that had to be killed.
    pub killed: Vec<InstanceName>,
    /// Instances that were `fatal`.
    pub fatal: Vec<InstanceName>,
}

enum Message {
    Verb(VerbRequest),
    Reload(Reload),
    Poke(PokeRequest),
    StopAll {
        by: String,
        reply: Sender<StopReport>,
    },
    KillAll,
    /// Answered when its turn comes.
    Ask(Sender<()>),
}

/// A handle on the actor; clones share it. The actor ends when the last one is dropped.
#[derive(Clone)]
pub struct Supervisor {
    // Dropped in this order: the inbox is closed before the last wake-up.
    inbox: Sender<Message>,
    wake: Arc<Wake>,
}

/// Wakes the actor, also by being dropped.
struct Wake(Arc<OwnedFd>);

impl Wake {
    fn ring(&self) {
        // EAGAIN means the counter is full: the actor is as good as woken.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.ring();
    }
}

/// What the actor is started with.
pub struct Start {
    /// The programs, in the order of the configuration.
    pub programs: Vec<Arc<ProgramSpec>>,
    /// What an earlier supervisor left.
    pub legacy: Legacy,
    /// Where it publishes.
    pub board: Arc<Board>,
    /// What others do for it.
    pub ports: Box<dyn Ports>,
    /// Where others put what they learn of runs.
    pub signs: Signs,
    /// Where those put rules that turned who watch them.
    pub turns: Turns,
    /// The limit on open files programs get.
    pub file_limit: Option<rustix::process::Rlimit>,
}

impl Supervisor {
    /// Starts the actor, which starts every autostart program in order. Returns when the board shows every
    /// instance.
    ///
    /// # Errors
    /// No descriptor or thread is to be had.
    pub fn start(start: Start) -> io::Result<(Self, JoinHandle<()>)> {
        let (inbox, messages) = bounded(limits::SUPERVISOR_INBOX);
        let wake = start.signs.bell();
        let bell = Arc::clone(&wake);
        let (ready, is_ready) = bounded(1);
        let thread = crate::thread::spawn_named("supervisor", move || {
            let actor = actor::Actor::new(start, messages, bell);
            let (actor, ready_with) = match actor {
                Ok(actor) => (Some(actor), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = ready.try_send(ready_with);
            if let Some(actor) = actor {
                actor.run();
            }
        })?;
        // From here on the board shows every instance.
        is_ready.recv().map_err(io::Error::other)??;
        Ok((
            Self {
                inbox,
                wake: Arc::new(Wake(wake)),
            },
            thread,
        ))
    }

    /// Hands over a verb; the request's reply channel gets the answer. When the inbox is full the request is
    /// dropped, which the asker sees as a closed channel.
    pub fn verb(&self, request: VerbRequest) {
        self.send(Message::Verb(request));
    }

    /// Hands over something to be done at once; otherwise as [`Supervisor::verb`].
    pub fn poke(&self, request: PokeRequest) {
        self.send(Message::Poke(request));
    }

    /// Hands over a changed set of programs; otherwise as [`Supervisor::verb`].
    pub fn reload(&self, reload: Reload) {
        self.send(Message::Reload(reload));
    }

    /// Stops everything, in reverse order of dependencies, and reports when all is down. From here on
    /// nothing is started.
    pub fn stop_all(&self, by: String, reply: Sender<StopReport>) {
        self.send(Message::StopAll { by, reply });
    }

    /// Kills everything that is up or being stopped, at once and in no order.
    pub fn kill_all(&self) {
        self.send(Message::KillAll);
    }

    /// Whether the actor takes its turns: it answers within `within`.
    #[must_use]
    pub fn answers(&self, within: Duration) -> bool {
        let (reply, answer) = bounded(1);
        self.send(Message::Ask(reply));
        answer.recv_timeout(within).is_ok()
    }

    fn send(&self, message: Message) {
        if self.inbox.try_send(message).is_err() {
            log::warn!(
                "a request was dropped: {} are waiting already",
                limits::SUPERVISOR_INBOX
            );
        }
        self.wake.ring();
    }
}

#[cfg(test)]
mod tests;
