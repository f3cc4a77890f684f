//! The processes of the slots: spawning, their ends, what is left of their trees, signals. Part of the actor.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::actor::{Actor, Source};
use super::launch::spawn_failed;
use super::machine::Input;
use super::slot::{Left, Live, Main};
use super::tree;
use crate::child::{self, Spawn, SpawnError, Watched};
use crate::clock;
use crate::ids::RunId;
use crate::limits;
use crate::model::console::Console;
use crate::model::event::Exit;
use crate::model::program::Signal;
use crate::procfs;

impl Actor {
    /// Spawns a run and says how that went; nothing when that is not known yet.
    pub(super) fn spawn(&mut self, slot: usize) -> Option<Input> {
        let run = RunId::new();
        match self.try_spawn(slot, run) {
            Ok(has_begun) => {
                self.keep_main(slot, run);
                has_begun.then_some(Input::Spawned(run))
            }
            Err(error) => Some(spawn_failed(&error)),
        }
    }

    /// Whether the program has begun already.
    fn try_spawn(&mut self, slot: usize, run: RunId) -> Result<bool, SpawnError> {
        let spec = Arc::clone(&self.slots[slot].spec);
        let has_terminal = spec.console == Console::Terminal;
        let is_direct = spec.os.is_plain() && !has_terminal;
        let path = spec.environment.get(std::ffi::OsStr::new("PATH"));
        let file = if is_direct {
            child::resolve(&spec.command[0], &spec.directory, path)?
        } else {
            // Found with the rights of its user, on the way.
            PathBuf::new()
        };
        let fail = |source: io::Error| SpawnError::System {
            command: spec.command[0].clone(),
            source,
        };
        let (output, stdin, console) = self.open_pipes(slot, run).map_err(fail)?;
        let (notify, environment) = self.prepare(slot, run, &output.paths).map_err(fail)?;
        let spawn = Spawn {
            file: &file,
            argv: &spec.command,
            directory: &spec.directory,
            environment,
            stdin,
            stdout: Some(output.stdout),
            stderr: Some(output.stderr),
            file_limit: self.file_limit,
            has_own_group: true,
            has_terminal,
            is_helper: false,
        };
        let spawned = if is_direct {
            child::spawn(spawn).map(|child| (child, None))
        } else {
            child::launch(spawn, &spec.os).map(|(child, launch)| (child, Some(launch)))
        };
        (output.begin)();
        let (child, launch) = spawned.inspect_err(|_| self.pipes_unused(slot, run))?;
        let (pid, start_ticks) = (child.pid, child.start_ticks);
        let token = self
            .listen(child.pidfd.as_fd(), Source::Main(slot))
            .map_err(|error| {
                child::abandon(&child);
                self.pipes_unused(slot, run);
                fail(error)
            })?;
        let root = tree::Root {
            run,
            pid,
            start_ticks,
        };
        self.slots[slot].live = Some(Live {
            main: Some(Main { child, token }),
            console,
            ..Live::new(root, clock::mono(), output.paths)
        });
        self.hear_new(slot, run, notify).map_err(fail)?;
        let Some(launch) = launch else {
            self.measure(slot, root);
            return Ok(true);
        };
        self.await_launch(slot, launch).map_err(|error| {
            self.drop_main(slot);
            self.pipes_unused(slot, run);
            fail(error)
        })?;
        Ok(false)
    }

    /// Has it kept by somebody who outlives us.
    pub(super) fn keep_main(&self, slot: usize, run: RunId) {
        let live = self.slots[slot].live.as_ref();
        let Some(main) = live.and_then(|live| live.main.as_ref()) else {
            return;
        };
        match main.child.pidfd.try_clone() {
            Ok(pidfd) => self.ports.keep_main(run, pidfd),
            Err(error) => log::warn!("pid {} cannot be kept: {error}", main.child.pid),
        }
    }

    /// Kills a main process that was not to be, and forgets its run.
    pub(super) fn drop_main(&mut self, slot: usize) {
        let mut live = self.slots[slot].live.take();
        if let Some(live) = live.as_mut() {
            self.close_notify(live);
        }
        if let Some(main) = live.and_then(|live| live.main) {
            self.forget(main.child.pidfd.as_fd(), main.token);
            // It may have left the group it was spawned in.
            let _ = child::signal_process(&main.child.pidfd, Signal::KILL);
            child::abandon(&main.child);
        }
    }

    /// The main process of a slot became readable: it has ended.
    pub(super) fn main_ended(&mut self, slot: usize) {
        self.launch_settled(slot);
        let Some((run, reaped)) = self.slots[slot].live.as_ref().and_then(reap) else {
            return;
        };
        let exit = reaped.unwrap_or_else(|error| {
            log::error!(
                "{}: how it ended cannot be read: {error}",
                self.slots[slot].name
            );
            Exit::Unknown
        });
        let Some(main) = self.slots[slot]
            .live
            .as_mut()
            .and_then(|live| live.main.take())
        else {
            return;
        };
        self.forget(main.child.pidfd.as_fd(), main.token);
        self.ports.unmeasure(&self.slots[slot].name, run);
        // What another's child leaves goes to its parent, not to us.
        let may_leave = !main.child.is_ours || child::group_exists(main.child.pid);
        if may_leave || self.has_unknown_orphans() {
            self.hold_left(slot);
        }
        self.feed(slot, Input::Exited(run, exit));
        self.end_if_empty(slot);
    }

    /// A process that was left of a slot's tree ended.
    pub(super) fn left_ended(&mut self, slot: usize, token: u64) {
        let Some(live) = self.slots[slot].live.as_mut() else {
            return;
        };
        let Some(at) = live.left.iter().position(|left| left.token == token) else {
            return;
        };
        let left = live.left.swap_remove(at);
        let is_last = live.left.is_empty();
        self.forget(left.process.pidfd.as_fd(), token);
        if is_last {
            // Its zombie came to us; whoever asks for that pid in the next run must not find it.
            child::reap_orphans();
            // Before it ended it may have left children of its own.
            self.hold_left(slot);
            self.end_if_empty(slot);
        }
    }

    /// Whether somebody was orphaned to us whom no slot holds: only then is a look at `/proc` needed.
    fn has_unknown_orphans(&self) -> bool {
        // Twice: the kernel's list can pass over one while another ends.
        let (Ok(orphans), Ok(again)) = (child::orphans(), child::orphans()) else {
            return true;
        };
        orphans
            .into_iter()
            .chain(again)
            .any(|pid| !child::is_registered(pid) && !self.is_held(pid))
    }

    fn is_held(&self, pid: u32) -> bool {
        let lives = self.slots.iter().filter_map(|slot| slot.live.as_ref());
        lives
            .flat_map(|live| &live.left)
            .any(|left| left.process.pid == pid)
    }

    /// Takes hold of everything alive of a slot's run, its main process apart.
    pub(super) fn hold_left(&mut self, slot: usize) {
        let Some(live) = self.slots[slot].live.as_ref() else {
            return;
        };
        let (run, main) = (live.root.run, live.main.as_ref().map(|main| main.child.pid));
        let members = self.members_of(run);
        for process in tree::hold(&members, main) {
            self.hold(slot, process);
        }
        self.hold_marked_orphans(slot, run);
        let is_undecided = self
            .members
            .as_ref()
            .is_some_and(|members| members.is_undecided);
        if let Some(live) = self.slots[slot].live.as_mut() {
            let is_worth_it = is_undecided && live.looks < limits::EXEC_LOOKS;
            live.looks = if is_worth_it { live.looks + 1 } else { 0 };
            live.look_at = is_worth_it.then(|| clock::mono() + limits::EXEC_LOOK);
        }
    }

    /// One that changes group, session and program while the scan goes by can be missed by all of its signs; an
    /// orphan's mark, asked for once more, is the last word.
    fn hold_marked_orphans(&mut self, slot: usize, run: RunId) {
        for pid in child::orphans().unwrap_or_default() {
            if child::is_registered(pid) || self.is_held(pid) || !tree::is_marked(pid, run) {
                continue;
            }
            let stat = procfs::read_stat(pid)
                .ok()
                .flatten()
                .filter(|stat| !stat.is_zombie());
            for process in tree::hold(stat.as_slice(), None) {
                self.hold(slot, process);
            }
        }
    }

    /// Looks again at what could not be told apart.
    pub(super) fn look_again(&mut self, slot: usize) {
        self.hold_left(slot);
        self.end_if_empty(slot);
    }

    fn hold(&mut self, slot: usize, process: Watched) {
        let known = self.slots[slot]
            .live
            .as_ref()
            .map_or(&[][..], |live| &live.left);
        if known.iter().any(|left| left.process.pid == process.pid) {
            return;
        }
        match self.listen(process.pidfd.as_fd(), Source::Left(slot)) {
            Ok(token) => {
                if let Some(live) = self.slots[slot].live.as_mut() {
                    live.left.push(Left { process, token });
                }
            }
            Err(error) => log::error!("pid {} cannot be watched: {error}", process.pid),
        }
    }

    fn members_of(&mut self, run: RunId) -> Vec<procfs::ProcStat> {
        if self.members.is_none() {
            let roots: Vec<tree::Root> = self
                .slots
                .iter()
                .filter_map(|slot| slot.live.as_ref())
                .map(|live| live.root)
                .collect();
            self.members = Some(tree::find(&roots));
        }
        self.members
            .as_ref()
            .map(|members| members.of(run))
            .unwrap_or_default()
    }

    fn end_if_empty(&mut self, slot: usize) {
        let is_empty = self.slots[slot].live.as_ref().is_some_and(|live| {
            live.main.is_none() && live.left.is_empty() && live.look_at.is_none()
        });
        if !is_empty {
            return;
        }
        let Some(mut live) = self.slots[slot].live.take() else {
            return;
        };
        self.close_notify(&mut live);
        let run = live.root.run;
        self.ports.output_over(run);
        self.close_input(slot, &live);
        self.feed(slot, Input::TreeGone(run));
    }

    /// Signals what there is of a run. Its group while the main process is a child of ours, whose pid is nobody
    /// else's until we reap it; KILL, and everything where that is not so, goes to each process by descriptor.
    pub(super) fn signal(&mut self, slot: usize, run: RunId, signal: Signal) {
        let Some(live) = self.slots[slot]
            .live
            .as_ref()
            .filter(|live| live.root.run == run)
        else {
            return;
        };
        let main = live.main.as_ref().map(|main| main.child.pid);
        let is_strangers = live.main.as_ref().is_some_and(|main| !main.child.is_ours);
        if let Some(main) = &live.main {
            let pid = main.child.pid;
            warn_on_fault(
                pid,
                if is_strangers {
                    child::signal_process(&main.child.pidfd, signal)
                } else {
                    child::signal_group(pid, signal)
                },
            );
        }
        if signal != Signal::KILL {
            super::halted::wake(live);
        }
        if signal == Signal::KILL || is_strangers {
            // What the group did not reach is held for this only now: sessions of their own are rare.
            self.members = None;
            let mut members = self.members_of(run);
            if signal != Signal::KILL {
                members.retain(|stat| Some(stat.pgrp) == main);
            }
            for process in tree::hold(&members, main) {
                warn_on_fault(process.pid, child::signal_process(&process.pidfd, signal));
                if main.is_none() {
                    self.hold(slot, process);
                }
            }
        } else if main.is_none() {
            for left in self.slots[slot].live.iter().flat_map(|live| &live.left) {
                warn_on_fault(
                    left.process.pid,
                    child::signal_process(&left.process.pidfd, signal),
                );
            }
        }
    }
}

/// The run and the end of its main process, once that has ended.
fn reap(live: &Live) -> Option<(RunId, io::Result<Exit>)> {
    let main = live.main.as_ref()?;
    child::reap(&main.child)
        .transpose()
        .map(|exit| (live.root.run, exit))
}

pub(super) fn warn_on_fault(pid: u32, result: io::Result<()>) {
    if let Err(error) = result {
        log::warn!("pid {pid} cannot be signalled: {error}");
    }
}
