//! What the wall clock asks of the slots: planned restarts and the lines before them, starts by schedule. Part of the actor.
//!
//! The kernel wakes us at the next of all times, and when somebody sets the clock (`TFD_TIMER_CANCEL_ON_SET`); nothing
//! is looked at in between.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::actor::{Actor, Source};
use super::machine::{Down, Input, State};
use super::reload::Standing;
use super::schedule::{Clockwork, Countdown, Look};
use super::slot::Slot;
use super::tell::{self, Moment};
use crate::clock::{self, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::program::ProgramSpec;
use crate::model::trigger::{Demand, Trigger};

/// The timer, and whether it has rung since the slots were looked at.
#[derive(Default)]
pub(super) struct WallTimer {
    fd: Option<OwnedFd>,
    has_rung: bool,
}

/// What the calendars of one slot have come to.
#[derive(Default)]
pub(super) struct Planned {
    restart: Clockwork,
    /// The lines before it. Outlives a reload: what has been typed is not typed again.
    countdown: Countdown,
    start: Clockwork,
    /// Of this specification.
    of: Option<Arc<ProgramSpec>>,
    /// Starts that were left out: it still ran, or nobody may start it but a person.
    pub skipped: u64,
    /// A person stopped it: the clock starts it no more until a person does.
    pub is_held: bool,
}

impl Planned {
    /// The next time, whichever it is.
    fn next(&self) -> Option<Wall> {
        let times = [self.restart.next(), self.start.next()];
        times.into_iter().flatten().min()
    }

    /// When the clock is next to be looked at.
    fn wake_at(&self) -> Option<Wall> {
        self.next().into_iter().chain(self.countdown.next()).min()
    }
}

impl Slot {
    /// When the clock next starts it, or restarts it, as things stand.
    pub fn next_start_at(&self) -> Option<Wall> {
        match self.instance.state {
            State::Down(Down::Fatal { .. }) => None,
            State::Down(_) if self.planned.is_held => None,
            State::Down(_) => self.planned.start.next(),
            State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Stopping(_) => self.planned.next(),
        }
    }

    /// The run that is up, and not asked to end.
    fn run_up(&self) -> Option<RunId> {
        match self.instance.state {
            State::Starting { run, .. } | State::Running { run, .. } => Some(run),
            State::Down(_)
            | State::Waiting
            | State::Clearing { .. }
            | State::Spawning
            | State::Backoff { .. }
            | State::Stopping(_) => None,
        }
    }

    /// Whether its calendars are those that were looked at last.
    fn is_looked_at(&self) -> bool {
        // Of one that has none any more, what was planned is to be forgotten.
        let is_planned = self.spec.timing.is_planned();
        let seen = self.planned.of.as_ref();
        seen.map_or(!is_planned, |seen| Arc::ptr_eq(seen, &self.spec))
    }
}

impl Actor {
    /// The timer became readable: it is time, or the clock was set.
    pub(super) fn timer_rang(&mut self) {
        if let Some(fd) = &self.wall.fd {
            // 8 bytes, or ECANCELED when the clock was set.
            let _ = rustix::io::read(fd, &mut [0_u8; 8]);
        }
        self.wall.has_rung = true;
    }

    /// Looks at every calendar when the timer has rung, and when there are others.
    pub(super) fn look_at_the_clock(&mut self) {
        let is_new = !self.slots.iter().all(Slot::is_looked_at);
        if !std::mem::take(&mut self.wall.has_rung) && !is_new {
            return;
        }
        // Again when the clock was set while we looked.
        for _ in 0..limits::CLOCK_LOOKS {
            let now = clock::wall();
            for slot in 0..self.slots.len() {
                self.look_at_calendars(slot, now);
            }
            let times = self.slots.iter().filter_map(|slot| slot.planned.wake_at());
            let Some(next) = times.min() else {
                return;
            };
            match self.arm(next) {
                Ok(()) => return,
                Err(Errno::CANCELED) => {}
                Err(error) => return log::error!("no timer for what is planned: {error}"),
            }
        }
    }

    fn look_at_calendars(&mut self, slot: usize, now: Wall) {
        let spec = Arc::clone(&self.slots[slot].spec);
        if !self.slots[slot].is_looked_at() {
            let planned = &mut self.slots[slot].planned;
            planned.of = Some(Arc::clone(&spec));
            (planned.restart, planned.start) = Default::default();
        }
        if self.slots[slot].place.standing != Standing::Configured {
            let planned = &mut self.slots[slot].planned;
            (planned.restart, planned.start) = Default::default();
            planned.countdown = Countdown::default();
            return;
        }
        let before = self.slots[slot].planned.next();
        if let Some(calendar) = &spec.timing.restart_at {
            let look = self.slots[slot].planned.restart.look(calendar, now);
            self.planned_restart(slot, look, &calendar.words());
        }
        self.count_down(slot, now);
        if let Some(calendar) = &spec.timing.schedule {
            let look = self.slots[slot].planned.start.look(calendar, now);
            self.planned_start(slot, look, &calendar.words());
        }
        if self.slots[slot].planned.next() != before {
            self.touch(slot);
        }
    }

    /// Types what announces the next planned restart, if it is time; to nobody, if nothing is up.
    fn count_down(&mut self, slot: usize, now: Wall) {
        let spec = Arc::clone(&self.slots[slot].spec);
        let planned = &mut self.slots[slot].planned;
        let Some(next) = planned.restart.next() else {
            planned.countdown = Countdown::default();
            return;
        };
        let due = planned.countdown.look(&spec.timing.announce, next, now);
        if self.stop.is_some() || self.slots[slot].run_up().is_none() {
            return;
        }
        for announcement in &spec.timing.announce[due] {
            self.announce(slot, &announcement.line);
        }
    }

    /// Restarts what is up; what is not needs none.
    fn planned_restart(&mut self, slot: usize, look: Look, words: &str) {
        let Some(run) = self.slots[slot].run_up() else {
            return;
        };
        match look {
            Look::Early => {}
            Look::Missed(time) => self.skip(slot, Some(run), missed("restart", time)),
            Look::Due if self.stop.is_some() => {}
            Look::Due => {
                let demand = Demand {
                    trigger: Trigger::Schedule,
                    cause: format!("planned restart, restart_at {words}"),
                    is_failure: false,
                };
                self.feed(slot, Input::Demand(run, demand));
            }
        }
    }

    fn planned_start(&mut self, slot: usize, look: Look, words: &str) {
        match look {
            Look::Early => {}
            Look::Missed(time) => self.skip(slot, None, missed("start", time)),
            Look::Due if self.stop.is_some() || self.slots[slot].planned.is_held => {}
            Look::Due => match &self.slots[slot].instance.state {
                State::Down(Down::Stopped | Down::Exited { .. }) | State::Backoff { .. } => {
                    let by = format!("the schedule {words}");
                    self.start_needs(&[slot], &by);
                    self.slots[slot].asked_by = Some(by);
                    self.feed(slot, Input::Start);
                }
                State::Down(Down::Fatal { .. }) => {
                    let why = "it was given up, and a person has to start it".to_owned();
                    self.skip(slot, None, why);
                }
                State::Starting { run, .. } | State::Running { run, .. } => {
                    let run = *run;
                    self.skip(slot, Some(run), "the last run has not ended".to_owned());
                }
                State::Waiting | State::Clearing { .. } | State::Spawning | State::Stopping(_) => {
                    self.skip(slot, None, "the last run has not ended".to_owned());
                }
            },
        }
    }

    fn skip(&mut self, slot: usize, run: Option<RunId>, why: String) {
        self.slots[slot].planned.skipped += 1;
        self.touch(slot);
        let record = tell::skipped(&self.slots[slot], run, why, Moment::now());
        self.told.push(record);
    }

    /// Rings at `at`, and when the clock is set.
    fn arm(&mut self, at: Wall) -> rustix::io::Result<()> {
        if self.wall.fd.is_none() {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let fd = timerfd_create(TimerfdClockId::Realtime, flags)?;
            let listening = self.listen(fd.as_fd(), Source::WallClock);
            listening.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            self.wall.fd = Some(fd);
        }
        let Some(fd) = &self.wall.fd else {
            return Ok(());
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let millis = at.millis().rem_euclid(1_000);
        let when = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: at.millis().div_euclid(1_000),
                tv_nsec: millis * 1_000_000,
            },
        };
        timerfd_settime(fd, flags, &when)?;
        Ok(())
    }
}

fn missed(what: &str, time: Wall) -> String {
    format!("the {what} of {time} was missed: the machine slept, or its clock was set")
}
