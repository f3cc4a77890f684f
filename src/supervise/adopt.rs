//! Taking over what a supervisor that was killed left behind: its word on every instance, runs that are still up,
//! what is left of runs that are not. Part of the actor.
//!
//! A run whose main process is alive goes on: same process, same run. One whose main process has gone is over,
//! with the kernel's last word on it where there is one; what is left of its tree is ended before the next run.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::actor::{Actor, Source};
use super::machine::{Down, Input, State};
use super::reload::{Reload, Standing};
use super::slot::{Live, Main, Slot};
use super::tell::{self, Moment};
use super::{Legacy, Measured, tree};
use crate::child::{self, Child};
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::model::event::{Event, Exit};
use crate::model::fingerprint::{Fingerprint, changed_keys};
use crate::model::name::InstanceName;
use crate::model::program::{ProgramSpec, RestartPolicy, Signal};
use crate::model::record::{InstanceState, Record, RunStart};
use crate::model::status::{Desired, PhaseName};
use crate::model::trigger::{Demand, Trigger};
use crate::procfs;

/// What became of the runs while nobody watched.
#[derive(Default)]
struct Tally {
    up: usize,
    ended: usize,
    gone: usize,
}

impl Actor {
    /// Takes over what a supervisor that was killed left: what people wanted, what was given up, counts; and
    /// what still runs.
    pub(super) fn inherit(&mut self, legacy: Legacy, programs: Vec<Arc<ProgramSpec>>) {
        for state in &legacy.states {
            if let Some(slot) = self.slot_of(&state.instance) {
                self.slots[slot].restore(state);
            }
        }
        let mut tally = Tally::default();
        self.ends = legacy.ends;
        for start in legacy.unfinished {
            let state = legacy.states.iter().find(|s| s.instance == start.instance);
            let Some(slot) = self.slot_of(&start.instance) else {
                tally.gone += 1;
                let slot = self.add_leaving(&start);
                self.take_over(slot, &start, state);
                self.slots[slot].resume = None;
                continue;
            };
            if self.take_over(slot, &start, state) {
                tally.up += 1;
            } else {
                tally.ended += 1;
            }
        }
        for start in legacy.leftovers {
            let is_held = self
                .slot_of(&start.instance)
                .is_some_and(|slot| self.take_hold(slot, &start));
            if !is_held {
                self.end_stranger(&start);
            }
        }
        self.ends = BTreeMap::new();
        self.members = None;
        if tally.gone > 0 {
            // Those that left are stopped as a reload stops them.
            self.reload(Reload {
                programs,
                by: String::new(),
                reply: None,
            });
        }
        if let Some(recovered) = legacy.recovered {
            self.told.insert(0, recovery(recovered, &tally));
        }
    }

    /// A slot for a run of a program that left the configuration meanwhile. How it wants to be stopped left with it.
    fn add_leaving(&mut self, start: &RunStart) -> usize {
        let spec = ProgramSpec {
            command: vec![start.command.clone()],
            autostart: false,
            ..ProgramSpec::bare(start.instance.program())
        };
        let mut slot = Slot::new(start.instance.clone(), 0, Arc::new(spec));
        slot.place.standing = Standing::Leaving;
        self.slots.push(slot);
        let at = self.slots.len() - 1;
        self.show_new(at);
        at
    }

    fn slot_of(&self, name: &InstanceName) -> Option<usize> {
        self.slots.iter().position(|slot| slot.name == *name)
    }

    /// Whether the run goes on.
    fn take_over(&mut self, slot: usize, start: &RunStart, state: Option<&InstanceState>) -> bool {
        match self.adopt(slot, start) {
            Ok(true) => {
                self.go_on(slot, start, state);
                return true;
            }
            Ok(false) => {}
            Err(error) => {
                let name = &start.instance;
                log::error!("{name}: its run cannot be watched and is ended: {error}");
            }
        }
        let is_held = self.take_hold(slot, start);
        if !is_held {
            self.ports.output_over(start.run);
        }
        let is_wanted = state.is_none_or(|state| state.desired == Desired::Up);
        match self.last_word(start) {
            Some(end) => self.told_late(slot, start, end),
            None => self.missed(slot, start, is_wanted),
        }
        let slot = &mut self.slots[slot];
        if !is_wanted || (is_held && !slot.spec.autostart) {
            slot.resume = Some(Input::Stop);
        }
        false
    }

    /// How it ended, as far as the kernel still tells, and when, as far as somebody saw it.
    fn last_word(&self, start: &RunStart) -> Option<(Exit, Option<Wall>)> {
        if start.boot_id != self.boot_id {
            return None;
        }
        let (pid, ticks) = (start.pid, start.start_ticks);
        match self.ends.get(&start.run) {
            Some(kept) => child::last_word_of(pid, ticks, &kept.pidfd).map(|exit| (exit, kept.at)),
            None => child::last_word(pid, ticks).map(|exit| (exit, None)),
        }
    }

    /// Watches the main process of a run that is still up; whether it is.
    fn adopt(&mut self, slot: usize, start: &RunStart) -> io::Result<bool> {
        if start.boot_id != self.boot_id || self.slots[slot].live.is_some() {
            return Ok(false);
        }
        let Some(child) = child::adopt(start.pid, start.start_ticks)? else {
            return Ok(false);
        };
        let Child {
            pid, start_ticks, ..
        } = child;
        let token = self.listen(child.pidfd.as_fd(), Source::Main(slot))?;
        self.slots[slot].live = Some(Live {
            main: Some(Main { child, token }),
            console: self.reopen_input(slot, start.run),
            ..remains(start, spawned_at(start_ticks))
        });
        self.keep_main(slot, start.run);
        self.hear_notify_again(slot, start.run);
        self.ports.measure(Measured {
            instance: start.instance.clone(),
            run: start.run,
            pid,
            start_ticks,
            interval: self.slots[slot].spec.metrics_interval,
            rules: Arc::clone(&self.slots[slot].spec.rules),
            spec: Arc::clone(&self.slots[slot].spec),
            restarts: self.slots[slot].instance.history.restarts,
        });
        Ok(true)
    }

    /// An adopted run goes on where the last word of it was written.
    fn go_on(&mut self, slot: usize, start: &RunStart, state: Option<&InstanceState>) {
        let run = start.run;
        let since = spawned_at(start.start_ticks);
        let phase = state.map(|state| state.phase);
        let adopted = Input::Adopted {
            run,
            since,
            is_confirmed: matches!(phase, Some(PhaseName::Running | PhaseName::Stopping)),
        };
        self.feed(slot, adopted);
        let was_stopping = phase == Some(PhaseName::Stopping);
        let is_wanted = state.is_none_or(|state| state.desired == Desired::Up);
        let slot = &mut self.slots[slot];
        // It is up; whatever else is to become of it is not a start.
        slot.is_settled = true;
        slot.resume = match (was_stopping, is_wanted) {
            (true, true) => Some(Input::Restart),
            (_, false) => Some(Input::Stop),
            (false, true) => outdated(start, &slot.spec).map(|demand| Input::Demand(run, demand)),
        };
    }

    /// The kernel still knew how the run ended: it is dealt with as if somebody had watched.
    fn told_late(&mut self, slot: usize, start: &RunStart, (exit, at): (Exit, Option<Wall>)) {
        // As if it had been up until now for as long as it was.
        let since = spawned_at(start.start_ticks);
        let since = at.map_or(since, |at| since + clock::wall().since(at));
        let first = self.told.len();
        let run = start.run;
        let left = self.slots[slot].live.replace(remains(start, since));
        let instance = &mut self.slots[slot].instance;
        instance.desired = Desired::Up;
        instance.state = State::Running { run, since };
        self.feed(slot, Input::Exited(run, exit));
        for record in &mut self.told[first..] {
            tell::ended_before(record, at);
        }
        self.slots[slot].live = left;
        self.slots[slot].is_settled = true;
        self.slots[slot].ended_unseen = true;
        if self.slots[slot].live.is_none() {
            self.feed(slot, Input::TreeGone(start.run));
        }
    }

    /// Nobody knows how the run ended. What is never started twice is not: it may have done its work.
    fn missed(&mut self, slot: usize, start: &RunStart, is_wanted: bool) {
        let is_same_boot = start.boot_id == self.boot_id;
        let cause = if is_same_boot {
            "ended while no supervisor ran"
        } else {
            "ended with the machine, which was started anew"
        };
        self.tell_missed(slot, start.run, cause);
        let held = &mut self.slots[slot];
        held.instance.history.last_exit = Some(Exit::Unknown);
        if is_same_boot && is_wanted && held.spec.restart == RestartPolicy::Never {
            let left = held.live.as_ref().map(|live| live.root.run);
            held.instance.state = State::Down(Down::Exited { left });
            held.is_settled = true;
        }
    }

    /// Makes what lives of a run the slot's own. False when nothing does, or when the slot has another run.
    fn take_hold(&mut self, slot: usize, start: &RunStart) -> bool {
        if start.boot_id != self.boot_id || self.slots[slot].live.is_some() {
            return false;
        }
        self.slots[slot].live = Some(remains(start, clock::mono()));
        self.members = None;
        self.hold_left(slot);
        let held = &mut self.slots[slot];
        if held.live.as_ref().is_some_and(|live| live.left.is_empty()) {
            held.live = None;
            return false;
        }
        held.instance.left_over(start.run);
        true
    }

    /// What an ended run of a program left that is configured no more is killed; nobody would ever stop it.
    fn end_stranger(&mut self, start: &RunStart) {
        self.ports.output_over(start.run);
        if start.boot_id != self.boot_id {
            return;
        }
        let members = tree::find(&[root_of(start)]).of(start.run);
        for process in tree::hold(&members, None) {
            let (name, pid) = (&start.instance, process.pid);
            log::warn!("nobody supervises {name} any more: pid {pid}, left of it, is killed");
            super::processes::warn_on_fault(
                pid,
                child::signal_process(&process.pidfd, Signal::KILL),
            );
        }
    }

    fn tell_missed(&mut self, slot: usize, run: RunId, cause: &str) {
        let slot = &self.slots[slot];
        let mut record = tell::missed(&slot.name, run, cause, Moment::now());
        record.event.facts.restarts = Some(slot.instance.history.restarts);
        self.told.push(record);
    }

    /// What was being stopped or started anew when the last supervisor was killed is brought to its end.
    pub(super) fn resume(&mut self) {
        for slot in 0..self.slots.len() {
            if let Some(input) = self.slots[slot].resume.take() {
                self.feed(slot, input);
            }
        }
    }
}

/// Why an adopted run gives way to another: its program is configured differently by now.
fn outdated(start: &RunStart, spec: &ProgramSpec) -> Option<Demand> {
    let made_of = start.made_of.as_ref()?;
    let salt = RunStart::salt(start.run);
    let keys = changed_keys(made_of, &Fingerprint::of(spec, salt.as_bytes()));
    (!keys.is_empty()).then(|| Demand {
        trigger: Trigger::Reload,
        cause: format!(
            "configured differently while no supervisor ran: {}",
            keys.join(", ")
        ),
        is_failure: false,
    })
}

/// The processes of a run whose main process has gone, none of them held yet.
fn remains(start: &RunStart, since: Mono) -> Live {
    Live::new(root_of(start), since, start.pipes.clone())
}

fn root_of(start: &RunStart) -> tree::Root {
    tree::Root {
        run: start.run,
        pid: start.pid,
        start_ticks: start.start_ticks,
    }
}

/// The moment of a start time in clock ticks since boot.
fn spawned_at(start_ticks: u64) -> Mono {
    let up = u64::try_from(procfs::age(start_ticks).as_nanos()).unwrap_or(u64::MAX);
    Mono::from_nanos(clock::mono().nanos().saturating_sub(up))
}

/// The word of the recovery, with what was found.
fn recovery(mut event: Event, tally: &Tally) -> Record {
    let Tally { up, ended, gone } = *tally;
    let runs = |n: usize| match n {
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    let mut parts: Vec<String> = event.facts.cause.take().into_iter().collect();
    if up > 0 {
        parts.push(format!("{} went on", runs(up)));
    }
    if ended > 0 {
        parts.push(format!("{} ended meanwhile", runs(ended)));
    }
    if gone > 0 {
        parts.push(format!("{} of programs no longer configured", runs(gone)));
    }
    if up + ended + gone == 0 {
        parts.push("nothing was running".to_owned());
    }
    event.facts.cause = Some(parts.join("; "));
    event.facts.count = Some((up + ended + gone) as u64);
    event.into()
}
