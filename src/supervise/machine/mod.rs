//! The life of one instance as a pure machine: state and input to state and actions. No I/O, no clock, no
//! log; the actor receives inputs, calls [`next`], performs the actions and feeds their results back.
//!
//! ```text
//!   Down ──start──▶ Waiting ──dependencies──▶ Clearing ──tree gone──▶ Spawning ──▶ Starting ──confirm──▶ Running
//!    ▲                                           ▲                                     │ exit               │ exit
//!    │                                           └────────── Backoff ◀─────────────────┴────────────────────┘
//!    └── Stopping ◀── stop, from anywhere
//! ```
//! Every report carries its run, and a late one about an earlier run changes nothing.

pub mod health;
pub mod silence;
mod step;
mod stopping;

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::event::Exit;
use crate::model::program::{ProgramSpec, Signal};
use crate::model::status::{Desired, PhaseName};
use crate::model::stop::ConsoleLine;
use crate::model::trigger::{Demand, Trigger};

pub use stopping::Sequence;
pub(super) use stopping::grace;

/// One instance: what is wanted, where it stands, what it went through.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// What people want.
    pub desired: Desired,
    /// Where it stands.
    pub state: State,
    /// Restarts and how they were spread.
    pub history: History,
}

/// Where an instance stands; what depends on the phase lives inside it.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Down and empty.
    Down(Down),
    /// Wanted up; something it depends on has not started.
    Waiting,
    /// About to start; what is left of the run before is being ended.
    Clearing {
        /// The run whose tree is in the way.
        run: RunId,
        /// How far that is.
        sequence: Sequence,
        /// Afterwards it waits for what it depends on; a restart after a failure does not.
        awaits_needs: bool,
    },
    /// The spawn has been ordered.
    Spawning,
    /// Spawned, not yet confirmed.
    Starting {
        /// The run.
        run: RunId,
        /// Spawned at.
        since: Mono,
    },
    /// Confirmed.
    Running {
        /// The run.
        run: RunId,
        /// Spawned at.
        since: Mono,
    },
    /// Waits for its next start.
    Backoff {
        /// The run that ended, while something of its tree may be left.
        left: Option<RunId>,
        /// The next start.
        retry_at: Mono,
        /// Why it waits, in words, when it is more than the ordinary pause.
        cause: Option<String>,
    },
    /// Asked to end.
    Stopping(Stopping),
}

/// Why an instance is down.
#[derive(Clone, Debug, PartialEq)]
pub enum Down {
    /// A person or the configuration wants it so.
    Stopped,
    /// It ended by itself and its policy restarts no such end. Something of its tree may be left.
    Exited {
        /// The run, while something of its tree may be left.
        left: Option<RunId>,
    },
    /// Given up.
    Fatal {
        /// Why, in words.
        cause: String,
        /// The run, while something of its tree may be left.
        left: Option<RunId>,
    },
}

/// An end that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopping {
    /// The run.
    pub run: RunId,
    /// When it was asked.
    pub since: Mono,
    /// How far that is.
    pub sequence: Sequence,
    /// How the main process ended, once it has.
    pub main: Option<Exit>,
    /// When the run was spawned, when that is known.
    pub up_since: Option<Mono>,
    /// How long the run lasted, once its main process has ended.
    pub uptime: Option<Duration>,
    /// What follows.
    pub after: After,
}

/// What follows an end that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// It stays down.
    Stay,
    /// It is started again, as a person wants it.
    Start,
    /// It is started again, for this reason.
    Again(Demand),
}

impl After {
    /// Why it is ended, when no person asked.
    #[must_use]
    pub fn demand(&self) -> Option<Demand> {
        match self {
            Self::Stay | Self::Start => None,
            Self::Again(demand) => Some(demand.clone()),
        }
    }
}

/// What an instance went through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Restarts since the state directory knows the instance.
    pub restarts: u64,
    /// Restarts in a row without a stable run between; sets the pause.
    pub streak: u32,
    /// When the latest restarts were, within the limit's window.
    pub window: VecDeque<Mono>,
    /// The restart limit was reached and no stable run came since: every failure waits for the cooldown.
    pub cooling: bool,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
}

/// What happens to an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down.
    Stop,
    /// Somebody wants it down if up, then up.
    Restart,
    /// Somebody is out of patience: what is being stopped is killed.
    Kill,
    /// What it depends on has started.
    Ready,
    /// The spawn worked.
    Spawned(RunId),
    /// A run of an earlier supervisor is still up.
    Adopted {
        /// The run.
        run: RunId,
        /// When it was spawned.
        since: Mono,
        /// It had been confirmed.
        is_confirmed: bool,
    },
    /// The spawn did not work.
    SpawnFailed {
        /// Why, in words.
        cause: String,
        /// Trying again cannot help: no such command.
        permanent: bool,
    },
    /// The run is to be ended and the program started again.
    Demand(RunId, Demand),
    /// A line could not be typed: the run has no standard input of ours, or does not read it.
    Untyped(RunId),
    /// The main process of the run ended.
    Exited(RunId, Exit),
    /// Nothing of the run's tree is left.
    TreeGone(RunId),
    /// Time has passed.
    Tick,
}

/// What the actor is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answer with [`Input::Ready`] when everything it depends on has started.
    AwaitNeeds,
    /// Spawn a run; answer with [`Input::Spawned`] or [`Input::SpawnFailed`].
    Spawn,
    /// Signal what there is of the run: the group, and the rest of the tree if the main process is gone.
    Signal(RunId, Signal),
    /// Type a line into the run's standard input; answer with [`Input::Untyped`] when that could not be.
    Type(RunId, ConsoleLine),
    /// Record a fact.
    Tell(Notice),
}

/// A fact worth an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A run began.
    Started(RunId),
    /// A run that an earlier supervisor began goes on.
    Adopted(RunId),
    /// It was confirmed.
    Ready(RunId),
    /// It ended without failing.
    Exited(Ended),
    /// It failed.
    Crashed(Ended),
    /// The next start is due after this pause.
    Restarting(Duration),
    /// Given up.
    Fatal(String),
    /// It was asked to end, by a person or for this reason.
    Stopping(RunId, Option<Demand>),
    /// It had to be killed; it had been asked to end by a person or for this reason.
    Killed(RunId, Option<Demand>),
    /// It is down as asked.
    Stopped(Stopped),
}

/// An end that was asked for and has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stopped {
    /// The run and how its main process ended; none when nothing ran.
    pub end: Option<(RunId, Exit)>,
    /// How long the run lasted.
    pub uptime: Option<Duration>,
    /// Why, when no person asked.
    pub demand: Option<Demand>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The run; none when not even the spawn worked.
    pub run: Option<RunId>,
    /// How; none when not even the spawn worked.
    pub exit: Option<Exit>,
    /// More, in words.
    pub cause: Option<String>,
    /// Why the supervisor ended it, when it did.
    pub trigger: Option<Trigger>,
    /// How long it had run.
    pub uptime: Duration,
    /// The pause to the next start, if there will be one.
    pub next: Option<Duration>,
}

impl Instance {
    /// One that has never run and is wanted down.
    #[must_use]
    pub fn new() -> Self {
        Self {
            desired: Desired::Down,
            state: State::Down(Down::Stopped),
            history: History::default(),
        }
    }

    /// The contract's phase.
    #[must_use]
    pub fn phase(&self) -> PhaseName {
        match &self.state {
            State::Down(Down::Stopped) => PhaseName::Stopped,
            State::Down(Down::Exited { .. }) => PhaseName::Exited,
            State::Down(Down::Fatal { .. }) => PhaseName::Fatal,
            State::Waiting | State::Clearing { .. } | State::Spawning | State::Starting { .. } => {
                PhaseName::Starting
            }
            State::Running { .. } => PhaseName::Running,
            State::Backoff { .. } => PhaseName::Backoff,
            State::Stopping(_) => PhaseName::Stopping,
        }
    }

    /// The run that something may be alive of.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match &self.state {
            State::Down(Down::Stopped) | State::Waiting | State::Spawning => None,
            State::Down(Down::Exited { left } | Down::Fatal { left, .. })
            | State::Backoff { left, .. } => *left,
            State::Clearing { run, .. }
            | State::Starting { run, .. }
            | State::Running { run, .. } => Some(*run),
            State::Stopping(stopping) => Some(stopping.run),
        }
    }

    /// A run of an earlier supervisor is alive: it is ended, and the program then started anew if it is wanted.
    pub fn left_over(&mut self, run: RunId) {
        match &mut self.state {
            State::Down(Down::Exited { left } | Down::Fatal { left, .. })
            | State::Backoff { left, .. } => {
                *left = Some(run);
            }
            State::Down(Down::Stopped) => {
                self.state = State::Down(Down::Exited { left: Some(run) });
            }
            State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_) => {}
        }
    }

    /// Down, and nothing of it is alive.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Down(_)) && self.run().is_none()
    }

    /// When [`Input::Tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self, spec: &ProgramSpec) -> Option<Mono> {
        match &self.state {
            State::Down(_) | State::Waiting | State::Spawning | State::Running { .. } => None,
            State::Clearing { sequence, .. } => Some(sequence.due()),
            State::Starting { since, .. } => Some(*since + spec.start_confirm),
            State::Backoff { retry_at, .. } => Some(*retry_at),
            State::Stopping(stopping) => Some(stopping.sequence.due()),
        }
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

/// The moment of a step and what it may depend on besides state and input.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The instance's program.
    pub spec: &'a ProgramSpec,
    /// The moment.
    pub now: Mono,
    /// Uniform in 0..1, for jitter.
    pub random: f64,
}

/// One step: every state has an answer to every input.
#[must_use]
pub fn next(instance: Instance, input: Input, cx: &Context) -> (Instance, Vec<Action>) {
    step::Step::new(instance, cx).take(input)
}

#[cfg(test)]
mod tests;
