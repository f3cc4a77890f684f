//! One step of the machine: every state's answer to every input. Pure.

use std::time::Duration;

use super::super::backoff;
use super::{
    Action, After, Context, Down, Ended, Input, Instance, Notice, Sequence, State, Stopped,
    Stopping,
};
use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::event::Exit;
use crate::model::program::{LimitAction, RestartPolicy, Signal};
use crate::model::status::Desired;
use crate::model::stop::StopAct;
use crate::model::trigger::Demand;
use crate::text;

/// A step under way.
pub(super) struct Step<'a> {
    instance: Instance,
    cx: &'a Context<'a>,
    actions: Vec<Action>,
}

/// What a run was when it was asked to end.
enum Was {
    /// Up, since then.
    Up(Mono),
    /// Over, but for something of its tree; and how its main process had ended.
    Ended(Option<Exit>),
}

impl<'a> Step<'a> {
    pub(super) fn new(instance: Instance, cx: &'a Context<'a>) -> Self {
        Self {
            instance,
            cx,
            actions: Vec::new(),
        }
    }

    pub(super) fn take(mut self, input: Input) -> (Instance, Vec<Action>) {
        match input {
            Input::Start => self.start(),
            Input::Stop => self.stop(After::Stay),
            Input::Restart => self.restart(),
            Input::Kill => self.kill(),
            Input::Ready => self.ready(),
            Input::Spawned(run) => self.spawned(run),
            Input::Adopted {
                run,
                since,
                is_confirmed,
            } => self.adopted(run, since, is_confirmed),
            Input::SpawnFailed { cause, permanent } => self.spawn_failed(cause, permanent),
            Input::Demand(run, demand) => self.demand(run, demand),
            Input::Untyped(run) => self.untyped(run),
            Input::Exited(run, exit) => self.exited(run, exit),
            Input::TreeGone(run) => self.tree_gone(run),
            Input::Tick => self.tick(),
        }
        (self.instance, self.actions)
    }

    fn tell(&mut self, notice: Notice) {
        self.actions.push(Action::Tell(notice));
    }

    /// A start asked for forgives what was: the streak and the restart limit begin anew.
    fn start(&mut self) {
        self.instance.desired = Desired::Up;
        match &mut self.instance.state {
            State::Down(_) => {
                let left = self.instance.run();
                self.forgive();
                self.await_needs(left);
            }
            State::Backoff { left, .. } => {
                let left = *left;
                self.forgive();
                self.clear_or_spawn(left);
            }
            State::Stopping(stopping) if stopping.after == After::Stay => {
                stopping.after = After::Start;
            }
            // On its way up, or to be started again already.
            State::Stopping(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. } => {}
        }
    }

    fn forgive(&mut self) {
        let history = &mut self.instance.history;
        history.streak = 0;
        history.window.clear();
        history.cooling = false;
    }

    /// Left-overs are ended first; then dependencies come before the start.
    fn await_needs(&mut self, left: Option<RunId>) {
        match left {
            None => {
                self.instance.state = State::Waiting;
                self.actions.push(Action::AwaitNeeds);
            }
            Some(run) => self.clear(run, true),
        }
    }

    fn clear_or_spawn(&mut self, left: Option<RunId>) {
        match left {
            None => {
                self.instance.state = State::Spawning;
                self.actions.push(Action::Spawn);
            }
            Some(run) => self.clear(run, false),
        }
    }

    fn clear(&mut self, run: RunId, awaits_needs: bool) {
        self.instance.state = State::Clearing {
            run,
            sequence: Sequence::without_lines(self.cx.spec, self.cx.now),
            awaits_needs,
        };
        self.end_further();
    }

    fn stop(&mut self, after: After) {
        if after == After::Stay {
            self.instance.desired = Desired::Down;
        }
        match &mut self.instance.state {
            State::Down(Down::Stopped) => {}
            State::Waiting | State::Spawning => self.stopped(Stopped::default()),
            State::Down(_) | State::Backoff { .. } => match self.instance.run() {
                None => self.stopped(Stopped::default()),
                Some(run) => self.stop_run(run, Was::Ended(self.last_exit()), after),
            },
            State::Clearing { run, sequence, .. } => {
                let (run, sequence) = (*run, sequence.clone());
                let main = Some(self.last_exit().unwrap_or(Exit::Unknown));
                let since = self.cx.now;
                self.instance.state = State::Stopping(Stopping {
                    run,
                    since,
                    sequence,
                    main,
                    up_since: None,
                    uptime: None,
                    after,
                });
            }
            State::Starting { run, since } | State::Running { run, since } => {
                let (run, since) = (*run, *since);
                self.tell(Notice::Stopping(run, after.demand()));
                self.stop_run(run, Was::Up(since), after);
            }
            State::Stopping(stopping) => stopping.after = after,
        }
    }

    /// A run that is over, or on its way to be, needs no second end.
    fn demand(&mut self, run: RunId, demand: Demand) {
        match &self.instance.state {
            State::Starting { run: current, .. } | State::Running { run: current, .. }
                if *current == run =>
            {
                self.stop(After::Again(demand));
            }
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn last_exit(&self) -> Option<Exit> {
        self.instance.history.last_exit.clone()
    }

    fn stop_run(&mut self, run: RunId, was: Was, after: After) {
        let (spec, now) = (self.cx.spec, self.cx.now);
        let (main, up_since) = match was {
            Was::Up(since) => (None, Some(since)),
            Was::Ended(exit) => (exit, None),
        };
        self.instance.state = State::Stopping(Stopping {
            run,
            since: now,
            sequence: match main {
                None => Sequence::whole(spec, now),
                Some(_) => Sequence::without_lines(spec, now),
            },
            main,
            up_since,
            uptime: None,
            after,
        });
        self.end_further();
    }

    fn stopped(&mut self, stopped: Stopped) {
        self.instance.state = State::Down(Down::Stopped);
        self.tell(Notice::Stopped(stopped));
    }

    fn restart(&mut self) {
        self.instance.desired = Desired::Up;
        match &self.instance.state {
            State::Starting { .. } | State::Running { .. } => {
                self.forgive();
                self.stop(After::Start);
            }
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Backoff { .. }
            | State::Stopping(_) => self.start(),
        }
    }

    /// Ends at once whatever is on its way down; what is up is asked to stop first, by [`Input::Stop`].
    fn kill(&mut self) {
        let now = self.cx.now;
        match &mut self.instance.state {
            State::Stopping(Stopping { sequence, .. }) | State::Clearing { sequence, .. } => {
                sequence.hurry(now);
            }
            State::Down(_)
            | State::Waiting
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. } => return,
        }
        self.end_further();
    }

    /// Does what is due to a run on its way down.
    fn end_further(&mut self) {
        let now = self.cx.now;
        let (run, sequence, notice) = match &mut self.instance.state {
            State::Clearing { run, sequence, .. } => (*run, sequence, None),
            State::Stopping(stopping) => {
                let notice = Notice::Killed(stopping.run, stopping.after.demand());
                (stopping.run, &mut stopping.sequence, Some(notice))
            }
            State::Down(_)
            | State::Waiting
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. } => return,
        };
        let was_killed = sequence.is_killed();
        let acts: Vec<StopAct> = std::iter::from_fn(|| sequence.take_due(now)).collect();
        let is_first_kill = sequence.is_killed() && !was_killed;
        self.actions.extend(acts.into_iter().map(|act| match act {
            StopAct::Line(line) => Action::Type(run, line),
            StopAct::Signal(signal) => Action::Signal(run, signal),
        }));
        self.actions
            .extend(notice.filter(|_| is_first_kill).map(Action::Tell));
    }

    /// Nobody reads the lines: the signals come at once.
    fn untyped(&mut self, run: RunId) {
        match &mut self.instance.state {
            State::Stopping(stopping) if stopping.run == run => {
                stopping.sequence.skip_lines(self.cx.now);
                self.end_further();
            }
            // A late report about an earlier run.
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn ready(&mut self) {
        match self.instance.state {
            State::Waiting => self.clear_or_spawn(None),
            State::Down(_)
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn spawned(&mut self, run: RunId) {
        let since = self.cx.now;
        match self.instance.state {
            State::Spawning if self.cx.spec.start_confirm.is_zero() => {
                self.tell(Notice::Started(run));
                self.tell(Notice::Ready(run));
                self.instance.state = State::Running { run, since };
            }
            State::Spawning => {
                self.tell(Notice::Started(run));
                self.instance.state = State::Starting { run, since };
            }
            // Nobody waits for this run: end it. The actor spawns and reports in one breath, so no input
            // comes between and this arm is never taken; but a process must not be left over if it were.
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => self.actions.push(Action::Signal(run, Signal::KILL)),
        }
    }

    /// Whatever was written last, a run that is up is up. It is not started anew, so nothing is forgiven.
    fn adopted(&mut self, run: RunId, since: Mono, is_confirmed: bool) {
        match self.instance.state {
            State::Down(_) | State::Waiting | State::Backoff { .. } => {
                self.instance.desired = Desired::Up;
                self.tell(Notice::Adopted(run));
                self.instance.state = if is_confirmed {
                    State::Running { run, since }
                } else {
                    State::Starting { run, since }
                };
            }
            // One run an instance; the actor adopts before it starts anything, so this is never so.
            State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_) => self.actions.push(Action::Signal(run, Signal::KILL)),
        }
    }

    fn spawn_failed(&mut self, cause: String, permanent: bool) {
        match self.instance.state {
            State::Spawning if permanent => {
                self.tell(Notice::Fatal(cause.clone()));
                self.instance.state = State::Down(Down::Fatal { cause, left: None });
            }
            State::Spawning => {
                self.failed(Ended {
                    run: None,
                    exit: None,
                    cause: Some(cause),
                    trigger: None,
                    uptime: Duration::ZERO,
                    next: None,
                });
            }
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn exited(&mut self, run: RunId, exit: Exit) {
        match &mut self.instance.state {
            State::Starting {
                run: current,
                since,
            }
            | State::Running {
                run: current,
                since,
            } if *current == run => {
                let uptime = self.cx.now.since(*since);
                self.instance.history.last_exit = Some(exit.clone());
                self.ended(Ended {
                    run: Some(run),
                    exit: Some(exit),
                    cause: None,
                    trigger: None,
                    uptime,
                    next: None,
                });
            }
            State::Stopping(stopping) if stopping.run == run && stopping.main.is_none() => {
                stopping.main = Some(exit.clone());
                stopping.uptime = stopping.up_since.map(|since| self.cx.now.since(since));
                self.instance.history.last_exit = Some(exit);
                // What the group signal did not reach (a descendant in a session of its own) hears it as
                // soon as the main process no longer does its own tidying up. It reads no lines.
                if let Some(signal) = stopping.sequence.last_signal() {
                    self.actions.push(Action::Signal(run, signal));
                }
                stopping.sequence.skip_lines(self.cx.now);
                self.end_further();
            }
            // A late report about an earlier run.
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn ended(&mut self, mut end: Ended) {
        self.forget_if_stable(end.uptime);
        let spec = self.cx.spec;
        let is_success = end.exit.as_ref().is_some_and(|exit| spec.is_success(exit));
        let forbidden = end
            .exit
            .as_ref()
            .and_then(|exit| spec.forbids_restart(exit));
        if let Some(words) = forbidden {
            let left = end.run;
            end.cause = Some(words.to_owned());
            self.tell(if is_success {
                Notice::Exited(end)
            } else {
                Notice::Crashed(end)
            });
            self.instance.state = State::Down(Down::Exited { left });
        } else if is_success {
            self.succeeded(end);
        } else {
            self.failed(end);
        }
    }

    fn forget_if_stable(&mut self, uptime: Duration) {
        if uptime >= self.cx.spec.backoff.reset_after {
            self.instance.history.streak = 0;
            self.instance.history.cooling = false;
        }
    }

    fn succeeded(&mut self, mut end: Ended) {
        let left = end.run;
        match self.cx.spec.restart {
            RestartPolicy::Always => {
                let pause = self.pause();
                end.next = Some(pause);
                self.tell(Notice::Exited(end));
                self.back_off(left, pause, None);
            }
            RestartPolicy::OnFailure | RestartPolicy::Never => {
                self.tell(Notice::Exited(end));
                self.instance.state = State::Down(Down::Exited { left });
            }
        }
    }

    fn failed(&mut self, mut end: Ended) {
        let left = end.run;
        if self.cx.spec.restart == RestartPolicy::Never {
            self.tell(Notice::Crashed(end));
            self.instance.state = State::Down(Down::Exited { left });
            return;
        }
        if !self.is_limit_reached() {
            let pause = self.pause();
            end.next = Some(pause);
            self.tell(Notice::Crashed(end));
            self.back_off(left, pause, None);
            return;
        }
        let limit = self.cx.spec.restart_limit;
        let cause = format!(
            "restart limit reached: {} in {}",
            limit.count,
            text::duration(limit.within)
        );
        match limit.then {
            LimitAction::Fatal => {
                self.tell(Notice::Crashed(end));
                self.tell(Notice::Fatal(cause.clone()));
                self.instance.state = State::Down(Down::Fatal { cause, left });
            }
            LimitAction::Cooldown(pause) => {
                self.instance.history.cooling = true;
                end.next = Some(pause);
                let cause = format!("{cause}; cooling down");
                end.cause = Some(
                    end.cause
                        .map_or_else(|| cause.clone(), |first| format!("{first}; {cause}")),
                );
                self.tell(Notice::Crashed(end));
                self.back_off(left, pause, Some(cause));
            }
        }
    }

    fn is_limit_reached(&mut self) -> bool {
        let limit = self.cx.spec.restart_limit;
        let now = self.cx.now;
        let history = &mut self.instance.history;
        while history
            .window
            .front()
            .is_some_and(|at| now.since(*at) > limit.within)
        {
            history.window.pop_front();
        }
        history.cooling || history.window.len() >= limit.count as usize
    }

    fn pause(&self) -> Duration {
        backoff::pause(
            &self.cx.spec.backoff,
            self.instance.history.streak,
            self.cx.random,
        )
    }

    fn back_off(&mut self, left: Option<RunId>, pause: Duration, cause: Option<String>) {
        self.tell(Notice::Restarting(pause));
        self.instance.state = State::Backoff {
            left,
            retry_at: self.cx.now + pause,
            cause,
        };
    }

    fn tree_gone(&mut self, run: RunId) {
        match &mut self.instance.state {
            State::Clearing {
                run: current,
                awaits_needs,
                ..
            } if *current == run => {
                if *awaits_needs {
                    self.await_needs(None);
                } else {
                    self.clear_or_spawn(None);
                }
            }
            State::Backoff { left, .. } if *left == Some(run) => *left = None,
            State::Down(Down::Exited { left } | Down::Fatal { left, .. }) if *left == Some(run) => {
                *left = None;
            }
            State::Stopping(stopping) if stopping.run == run => {
                let stopping = stopping.clone();
                self.stop_is_over(stopping);
            }
            // A late report about an earlier run.
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => {}
        }
    }

    fn stop_is_over(&mut self, stopping: Stopping) {
        let (run, exit, uptime) = (stopping.run, stopping.main, stopping.uptime);
        let stopped = |demand| Stopped {
            end: exit.clone().map(|exit| (run, exit)),
            uptime,
            demand,
        };
        let lasted = uptime.unwrap_or_default();
        match stopping.after {
            After::Stay => self.stopped(stopped(None)),
            After::Start => {
                self.stopped(stopped(None));
                self.await_needs(None);
            }
            After::Again(demand) if demand.is_failure || self.is_one_too_many(&demand, lasted) => {
                let uptime = lasted;
                self.forget_if_stable(uptime);
                self.failed(Ended {
                    run: Some(run),
                    exit,
                    cause: Some(demand.cause),
                    trigger: Some(demand.trigger),
                    uptime,
                    next: None,
                });
                self.nothing_is_left();
            }
            After::Again(demand) if demand.trigger.is_counted() => {
                let pause = self.pause();
                self.stopped(stopped(Some(demand)));
                self.back_off(None, pause, None);
            }
            After::Again(demand) => {
                self.stopped(stopped(Some(demand)));
                self.await_needs(None);
            }
        }
    }

    /// Whether a planned restart that counts would pass the restart limit: then it is a failure.
    fn is_one_too_many(&mut self, demand: &Demand, uptime: Duration) -> bool {
        if !demand.trigger.is_counted() {
            return false;
        }
        self.forget_if_stable(uptime);
        self.is_limit_reached()
    }

    /// The tree of the run that failed has gone already.
    fn nothing_is_left(&mut self) {
        match &mut self.instance.state {
            State::Backoff { left, .. }
            | State::Down(Down::Exited { left } | Down::Fatal { left, .. }) => *left = None,
            State::Down(Down::Stopped)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_) => {}
        }
    }

    fn tick(&mut self) {
        let now = self.cx.now;
        match &mut self.instance.state {
            State::Starting { run, since } if now >= *since + self.cx.spec.start_confirm => {
                let (run, since) = (*run, *since);
                self.instance.state = State::Running { run, since };
                self.tell(Notice::Ready(run));
            }
            State::Backoff { retry_at, left, .. } if now >= *retry_at => {
                let left = *left;
                self.count_restart();
                self.clear_or_spawn(left);
            }
            State::Clearing { .. } | State::Stopping(_) => self.end_further(),
            // Not due.
            State::Down(_)
            | State::Waiting
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. } => {}
        }
    }

    fn count_restart(&mut self) {
        let history = &mut self.instance.history;
        history.restarts += 1;
        history.streak = history.streak.saturating_add(1);
        history.window.push_back(self.cx.now);
        if history.window.len() > self.cx.spec.restart_limit.count as usize {
            history.window.pop_front();
        }
    }
}
