//! One supervised slot: the machine's instance, the processes it has, and how others see it. Owns them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::board::InstanceView;
use super::console::Console;
use super::halted::Halt;
use super::herald::Herald;
use super::launch::Launching;
use super::machine::health::Vitals;
use super::machine::silence::Silence;
use super::machine::{Down, Input, Instance, State};
use super::notify::Notify;
use super::poke::Signalled;
use super::reload::Place;
use super::tree::Root;
use super::wallclock::Planned;
use crate::child::{Child, Watched};
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::model::command::VerbResult;
use crate::model::name::InstanceName;
use crate::model::program::{LimitAction, ProgramSpec};
use crate::model::record::InstanceState;
use crate::model::status::{Desired, Health, PhaseName};
use crate::model::stop::StopProgress;
use crate::procfs;

/// An instance with what it has running.
pub(super) struct Slot {
    pub name: InstanceName,
    /// Position of its program.
    pub program: usize,
    pub spec: Arc<ProgramSpec>,
    pub instance: Instance,
    /// The run something is alive of.
    pub live: Option<Live>,
    /// How its latest run does.
    pub vitals: Option<Vitals>,
    /// How long the run that is up has written nothing.
    pub silence: Option<Silence>,
    /// What was typed before its time is over.
    pub herald: Herald,
    /// The run that was ready when an earlier supervisor was killed.
    pub was_ready: Option<RunId>,
    /// Who asked for what is under way.
    pub asked_by: Option<String>,
    /// The last signal a person sent it.
    pub signalled: Option<Signalled>,
    /// KILL was needed in the stop under way.
    pub was_killed: bool,
    /// It was up when the supervisor began to stop, and this is what was wanted of it: the shutdown is nobody's
    /// word on it, should it never come to its end.
    pub at_shutdown: Option<Desired>,
    /// What it waits for, in words, while it waits.
    pub waits_for: Option<Obstacle>,
    pub tags: Arc<[String]>,
    /// What the wall clock asks of it.
    pub planned: Planned,
    /// An earlier supervisor's word on it stands: it is not started with this one.
    pub is_settled: bool,
    /// Its last run ended while nobody watched: it comes back after what it needs, as at a start.
    pub ended_unseen: bool,
    /// What is to be done first with what an earlier supervisor left.
    pub resume: Option<Input>,
    /// Its place in the configuration.
    pub place: Place,
}

/// What stands in the way of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub words: String,
    /// It will not pass by itself: the other is down.
    pub is_final: bool,
}

/// The processes of one run.
pub(super) struct Live {
    pub root: Root,
    pub since: Mono,
    /// The main process, until it has been reaped.
    pub main: Option<Main>,
    /// The main process has yet to become its program.
    pub launch: Option<Launching>,
    /// What is left of the tree after the main process ended.
    pub left: Vec<Left>,
    /// When to look again for more of them, and how often that was done in a row.
    pub look_at: Option<Mono>,
    pub looks: u8,
    /// Where its pipes are.
    pub pipes: Vec<PathBuf>,
    /// Our end of its standard input, when it has one.
    pub console: Option<Console>,
    /// Where it says how it does, when it does say.
    pub notify: Option<Notify>,
    /// Its main process was stopped.
    pub halt: Option<Halt>,
}

impl Live {
    /// One with no process known yet.
    pub fn new(root: Root, since: Mono, pipes: Vec<PathBuf>) -> Self {
        Self {
            root,
            since,
            main: None,
            launch: None,
            left: Vec::new(),
            look_at: None,
            looks: 0,
            pipes,
            console: None,
            notify: None,
            halt: None,
        }
    }
}

/// A main process and its place in epoll.
pub(super) struct Main {
    pub child: Child,
    pub token: u64,
}

/// A process of a tree whose main process is gone, and its place in epoll.
pub(super) struct Left {
    pub process: Watched,
    pub token: u64,
}

impl Slot {
    pub fn new(name: InstanceName, program: usize, spec: Arc<ProgramSpec>) -> Self {
        let tags = spec.tags.clone().into();
        Self {
            name,
            program,
            spec,
            instance: Instance::new(),
            live: None,
            vitals: None,
            silence: None,
            herald: Herald::default(),
            was_ready: None,
            asked_by: None,
            signalled: None,
            was_killed: false,
            at_shutdown: None,
            waits_for: None,
            tags,
            planned: Planned::default(),
            is_settled: false,
            ended_unseen: false,
            resume: None,
            place: Place::default(),
        }
    }

    /// The environment of a run: the program's, and the marks by which its processes are known.
    pub fn environment(&self, run: RunId, output: &[PathBuf]) -> Vec<(OsString, OsString)> {
        let index = self.name.index().unwrap_or(0);
        let own = [
            (procfs::RUN_MARK, run.to_string()),
            ("JIKIMI_PROGRAM", self.name.program().to_string()),
            ("JIKIMI_INSTANCE", index.to_string()),
        ];
        let base = self
            .spec
            .environment
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let output = output
            .first()
            .map(|path| (procfs::OUTPUT_MARK.into(), path.into()));
        base.chain(own.into_iter().map(|(k, v)| (k.into(), v.into())))
            .chain(output)
            .collect()
    }

    /// The live run's main process, while it is one.
    pub fn pid(&self) -> Option<u32> {
        self.live
            .as_ref()
            .and_then(|live| live.main.as_ref())
            .map(|main| main.child.pid)
    }

    /// When a launch that is under way is given up.
    pub fn launch_until(&self) -> Option<Mono> {
        let launch = self.live.as_ref()?.launch.as_ref()?;
        Some(launch.until())
    }

    /// When the machine wants to hear of the time.
    pub fn deadline(&self) -> Option<Mono> {
        let look_at = self.live.as_ref().and_then(|live| live.look_at);
        [
            self.instance.deadline(&self.spec),
            look_at,
            self.launch_until(),
            self.halt_deadline(),
            self.vitals().and_then(Vitals::deadline),
            self.silence_deadline(),
            self.live
                .as_ref()
                .and_then(|live| live.notify.as_ref()?.deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether it is to be started with the supervisor: by its configuration, unless a person stopped it or it
    /// was over when an earlier supervisor was killed.
    pub fn is_wanted_at_start(&self) -> bool {
        self.spec.autostart && self.may_start_itself()
    }

    /// Whether nothing that an earlier supervisor knew of forbids starting it.
    pub fn may_start_itself(&self) -> bool {
        !self.is_settled
    }

    /// It has been started as far as its dependents care: it runs, or did its work and ended well.
    pub fn has_started(&self) -> bool {
        self.instance.phase() == PhaseName::Running || self.has_completed()
    }

    /// It ended by itself, well.
    pub fn has_completed(&self) -> bool {
        let exit = self.instance.history.last_exit.as_ref();
        self.instance.phase() == PhaseName::Exited
            && exit.is_some_and(|exit| self.spec.is_success(exit))
    }

    /// An answer to somebody who asked something of it.
    pub fn answer(&self, ok: bool, message: &str) -> VerbResult {
        let phase = self.instance.phase();
        VerbResult {
            name: self.name.clone(),
            ok,
            phase,
            pid: self.pid(),
            message: message.to_owned(),
        }
    }

    /// Takes over what an earlier supervisor, killed without an end, last wrote.
    pub fn restore(&mut self, state: &InstanceState) {
        self.was_ready = state.run.filter(|_| state.ready);
        self.instance.history.restarts = state.restarts;
        self.instance.history.streak = state.streak;
        self.instance.history.last_exit.clone_from(&state.last_exit);
        self.is_settled = true;
        match state.phase {
            // Down on its way up again: a restart, or the shutdown of a supervisor that did not live to its end.
            PhaseName::Stopped | PhaseName::Stopping if state.desired == Desired::Up => {
                self.is_settled = false;
            }
            PhaseName::Stopped | PhaseName::Stopping => self.planned.is_held = true,
            PhaseName::Exited => {
                self.instance.desired = state.desired;
                self.instance.state = State::Down(Down::Exited { left: None });
            }
            PhaseName::Fatal => {
                self.instance.desired = state.desired;
                let cause = "given up before the last supervisor was killed".to_owned();
                self.instance.state = State::Down(Down::Fatal { cause, left: None });
            }
            PhaseName::Backoff if self.spec.autostart => {
                let wait = state
                    .retry_at
                    .map(|at| at.since(clock::wall()))
                    .unwrap_or_default();
                let retry_at = clock::mono() + wait.min(self.longest_pause());
                self.instance.desired = Desired::Up;
                self.instance.state = State::Backoff {
                    left: None,
                    retry_at,
                    cause: None,
                };
            }
            PhaseName::Starting | PhaseName::Running | PhaseName::Backoff => {
                self.is_settled = false;
            }
        }
    }

    /// The configuration may allow shorter pauses than the one under way.
    pub fn shorten_pause(&mut self, now: Mono) {
        let latest = now + self.longest_pause();
        if let State::Backoff { retry_at, .. } = &mut self.instance.state {
            *retry_at = (*retry_at).min(latest);
        }
    }

    /// However the wall clock was set meanwhile, no pause is longer than the configuration allows.
    fn longest_pause(&self) -> Duration {
        match self.spec.restart_limit.then {
            LimitAction::Fatal => self.spec.backoff.max,
            LimitAction::Cooldown(pause) => self.spec.backoff.max.max(pause),
        }
    }

    /// How others see it.
    pub fn view(&self) -> InstanceView {
        let phase = self.instance.phase();
        let live = self.live.as_ref().filter(|live| live.main.is_some());
        InstanceView {
            name: self.name.clone(),
            desired: self.instance.desired,
            phase,
            ready: phase == PhaseName::Running
                && self.vitals().is_none_or(Vitals::is_ready)
                && self.leaves().is_none(),
            health: self.health(),
            pid: self.pid(),
            run: live.map(|live| live.root.run),
            started_at: live.map(|live| live.since),
            restarts: self.instance.history.restarts,
            retry_at: self.retry_at(),
            last_exit: self.instance.history.last_exit.clone(),
            cause: self.cause(),
            stopping: self.stopping(),
            tags: Arc::clone(&self.tags),
            next_start_at: self.next_start_at(),
            status_text: self.status_text(),
        }
    }

    /// How the run does that is up, if one is.
    pub fn vitals(&self) -> Option<&Vitals> {
        let run = match &self.instance.state {
            State::Starting { run, .. } | State::Running { run, .. } => run,
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Backoff { .. }
            | State::Stopping(_) => return None,
        };
        self.vitals.as_ref().filter(|vitals| vitals.run() == *run)
    }

    fn health(&self) -> Health {
        match self.stall() {
            Some(_) => Health::Unhealthy,
            None => self.vitals().map(Vitals::health).unwrap_or_default(),
        }
    }

    fn retry_at(&self) -> Option<Mono> {
        match self.instance.state {
            State::Backoff { retry_at, .. } => Some(retry_at),
            _ => None,
        }
    }

    fn stopping(&self) -> Option<StopProgress> {
        match &self.instance.state {
            State::Stopping(stopping) => Some(stopping.sequence.progress()),
            _ => None,
        }
    }

    fn cause(&self) -> Option<String> {
        match &self.instance.state {
            State::Down(Down::Fatal { cause, .. }) => Some(cause.clone()),
            State::Backoff { cause, .. } => cause.clone(),
            State::Waiting => self
                .waits_for
                .as_ref()
                .map(|obstacle| obstacle.words.clone()),
            State::Clearing { .. } => Some("ending what is left of the last run".to_owned()),
            State::Down(Down::Exited { .. }) => {
                let exit = self.instance.history.last_exit.as_ref()?;
                self.spec.forbids_restart(exit).map(str::to_owned)
            }
            State::Starting { .. } => self.halted().or_else(|| self.leaves()),
            State::Running { .. } => self
                .halted()
                .or_else(|| self.leaves())
                .or_else(|| self.vitals().and_then(Vitals::cause))
                .or_else(|| self.stall()),
            State::Down(Down::Stopped) | State::Spawning | State::Stopping(_) => None,
        }
    }

    /// What of it must survive a kill -9.
    pub fn state(&self, at: Wall, now: Mono) -> InstanceState {
        let history = &self.instance.history;
        InstanceState {
            instance: self.name.clone(),
            desired: self.at_shutdown.unwrap_or(self.instance.desired),
            phase: self.instance.phase(),
            restarts: history.restarts,
            streak: history.streak,
            retry_at: self.retry_at().map(|retry| at + retry.since(now)),
            run: self.instance.run(),
            last_exit: history.last_exit.clone(),
            ready: self.vitals().is_some_and(Vitals::was_ready),
            at,
        }
    }
}
