//! Probes: checks what programs say of themselves from outside, by HTTP, TCP and commands, and reports when a
//! verdict changes. Never decides what follows from it.
//!
//! [`schedule`] says when (pure), [`check`] does, [`verdict`] says what it means (pure), [`pool`] has the threads:
//! they start with the first probe, and however many probes there are, there are no more of them.
//!
//! Architecture invariant: [`Probes::begin`] and [`Probes::end`] wait for nothing; a target that hangs holds one
//! worker for its own time-out and nobody else.

pub mod check;
mod pool;
pub mod schedule;
pub mod verdict;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

pub use self::check::{Surroundings, judged};
pub use self::verdict::Change;

use self::pool::Word;
use crate::ids::RunId;
use crate::limits;
use crate::model::health::{Aspect, Probe};

/// What is checked: one probe of one run.
pub type Id = (RunId, Aspect);

/// Something to check from now on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which.
    pub id: Id,
    /// How.
    pub probe: Arc<Probe>,
    /// What its command is given, if it is one.
    pub surroundings: Arc<Surroundings>,
}

/// A verdict that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of what.
    pub id: Id,
    /// To what.
    pub change: Change,
}

/// Takes reports; must not wait.
pub type Sink = Box<dyn Fn(Report) + Send + Sync>;

/// The probes of all runs.
pub struct Probes {
    sink: Arc<Sink>,
    running: Mutex<State>,
}

enum State {
    /// No probe yet, so no thread.
    Idle,
    Running(Running),
    Finished,
}

struct Running {
    inbox: Sender<Word>,
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Probes {
    /// None yet; `sink` is told of changes.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self {
            sink: Arc::new(sink),
            running: Mutex::new(State::Idle),
        }
    }

    /// Checks `target` from now on.
    pub fn begin(&self, target: Target) {
        let mut running = self.running.lock();
        if matches!(*running, State::Idle) {
            match self.start() {
                Ok(started) => *running = State::Running(started),
                Err(error) => log::error!("nothing can be probed, no thread is to be had: {error}"),
            }
        }
        send(&running, Word::Begin(Box::new(target)));
    }

    /// Checks nothing of `run` any more; what is under way comes to nothing.
    pub fn end(&self, run: RunId) {
        send(&self.running.lock(), Word::End(run));
    }

    fn start(&self) -> std::io::Result<Running> {
        let (inbox, words) = bounded(limits::PROBE_INBOX);
        let (is_over, ended) = bounded::<()>(limits::REPLY);
        let thread = pool::start(words, Arc::clone(&self.sink), is_over)?;
        Ok(Running {
            inbox,
            thread,
            ended,
        })
    }

    /// The end: commands under way are killed, and what else is under way is waited for this long. Whether all
    /// of it ended.
    pub fn finish(&self, patience: Duration) -> bool {
        let state = std::mem::replace(&mut *self.running.lock(), State::Finished);
        let State::Running(running) = state else {
            return true;
        };
        drop(running.inbox);
        // A sender that is gone is the end.
        let _ = running.ended.recv_timeout(patience);
        let has_ended = running.ended.try_recv().is_err_and(|e| e.is_disconnected());
        if has_ended {
            let _ = running.thread.join();
        }
        has_ended
    }
}

fn send(state: &State, word: Word) {
    if let State::Running(running) = state
        && running.inbox.try_send(word).is_err()
    {
        log::error!(
            "a probe was not begun or ended: {} wait already",
            limits::PROBE_INBOX
        );
    }
}

fn ids_of(run: RunId) -> [Id; 2] {
    [(run, Aspect::Readiness), (run, Aspect::Liveness)]
}

#[cfg(test)]
mod tests;
