//! Main processes that were stopped without having ended: by job control, for a terminal that is not theirs, or by
//! somebody's hand. Told when it lasts, and when they go on. Part of the actor.
//!
//! Only of our own children does the kernel say so at once; a run that was adopted after a kill -9 is another's child.

use super::actor::Actor;
use super::slot::{Live, Slot};
use crate::child::{self, Pause};
use crate::clock::{self, Mono};
use crate::limits;
use crate::model::event::EventKind;
use crate::model::program::Signal;
use crate::model::status::PhaseName;

/// A stop that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Halt {
    by: Signal,
    since: Mono,
    is_told: bool,
}

impl Halt {
    fn new(by: Signal, since: Mono) -> Self {
        Self {
            by,
            since,
            is_told: false,
        }
    }

    /// When it is to be told: what takes turns between stopping and going on, as to limit its CPU, is no news.
    fn deadline(self) -> Option<Mono> {
        (!self.is_told).then(|| self.since + limits::HALT_TOLD_AFTER)
    }

    /// Why, and what helps.
    fn words(self, pid: u32) -> String {
        let by = self.by;
        let why = match by.number() {
            libc::SIGTTIN => {
                "it reads from a terminal it does not own; set stdin or terminal = true"
            }
            libc::SIGTTOU => "it changes a terminal it does not own; set terminal = true",
            _ => return format!("stopped by {by}: kill -CONT {pid} lets it go on"),
        };
        format!("stopped by {by}: {why}")
    }
}

impl Slot {
    /// When a stop of its main process is to be told.
    pub(super) fn halt_deadline(&self) -> Option<Mono> {
        self.live.as_ref()?.halt?.deadline()
    }

    /// What is said of a main process that has been stopped for a while.
    pub(super) fn halted(&self) -> Option<String> {
        let halt = self.live.as_ref()?.halt.filter(|halt| halt.is_told)?;
        Some(halt.words(self.pid()?))
    }
}

impl Actor {
    /// Takes what the kernel says of children that were stopped, or go on.
    pub(super) fn take_pauses(&mut self) {
        for (pid, pause) in child::pauses() {
            let Some(slot) = self.slots.iter().position(|slot| slot.pid() == Some(pid)) else {
                continue;
            };
            let Some(live) = self.slots[slot].live.as_mut() else {
                continue;
            };
            match pause {
                Pause::Stopped(by) => live.halt = Some(Halt::new(by, clock::mono())),
                Pause::GoesOn => {
                    let ended = live.halt.take();
                    self.goes_on(slot, ended);
                }
            }
        }
    }

    fn goes_on(&mut self, slot: usize, ended: Option<Halt>) {
        let Some(halt) = ended.filter(|halt| halt.is_told) else {
            return;
        };
        self.touch(slot);
        // One that is silent all the while is not well yet.
        if self.slots[slot].is_up() && self.slots[slot].stall().is_none() {
            let cause = format!("it goes on, stopped by {} before", halt.by);
            self.tell_health(slot, EventKind::ProgramHealthy, Some(cause));
        }
    }

    /// A stop may have lasted long enough to be told.
    pub(super) fn tick_halt(&mut self, slot: usize, now: Mono) {
        let is_due = self.slots[slot].halt_deadline().is_some_and(|at| at <= now);
        let held = &mut self.slots[slot];
        let (is_up, pid) = (held.is_up(), held.pid());
        let halt = held.live.as_mut().and_then(|live| live.halt.as_mut());
        let Some((halt, pid)) = halt.zip(pid).filter(|_| is_due) else {
            return;
        };
        halt.is_told = true;
        let words = halt.words(pid);
        if is_up {
            self.touch(slot);
            self.tell_health(slot, EventKind::ProgramStalled, Some(words));
        }
    }
}

impl Slot {
    fn is_up(&self) -> bool {
        matches!(
            self.instance.phase(),
            PhaseName::Starting | PhaseName::Running
        )
    }
}

/// Lets the group of a main process that is stopped go on: what is typed is to be read, and what was sent to be heard.
pub(super) fn wake(live: &Live) {
    let Some(main) = live.main.as_ref() else {
        return;
    };
    let (pid, cont) = (main.child.pid, Signal::CONT);
    let done = if main.child.is_ours {
        child::signal_group(pid, cont)
    } else {
        child::signal_process(&main.child.pidfd, cont)
    };
    super::processes::warn_on_fault(pid, done);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_when_it_lasts_with_what_helps() {
        let since = Mono::from_nanos(1);
        for (name, words) in [
            (
                "TTIN",
                "stopped by SIGTTIN: it reads from a terminal it does not own; set stdin or terminal = true",
            ),
            (
                "TTOU",
                "stopped by SIGTTOU: it changes a terminal it does not own; set terminal = true",
            ),
            ("STOP", "stopped by SIGSTOP: kill -CONT 7 lets it go on"),
            ("TSTP", "stopped by SIGTSTP: kill -CONT 7 lets it go on"),
        ] {
            let mut halt = Halt::new(Signal::parse(name).expect("a signal"), since);
            assert_eq!(halt.words(7), words);
            assert_eq!(halt.deadline(), Some(since + limits::HALT_TOLD_AFTER));
            halt.is_told = true;
            assert_eq!(halt.deadline(), None);
        }
    }
}
