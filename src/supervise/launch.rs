//! Spawns that take a moment: a program whose settings are set on the way. Until it is known whether the program has
//! begun, what happens to its slot is held back, so that to the machine a spawn is one step. Part of the actor.

use std::sync::Arc;

use super::Measured;
use super::actor::{Actor, Source};
use super::machine::Input;
use super::tree::Root;
use crate::child::{self, Launch, SpawnError};
use crate::clock::{self, Mono};
use crate::limits;
use crate::model::program::Signal;

/// A process on its way to become its program.
pub(super) struct Launching {
    launch: Launch,
    token: u64,
    /// Then it is given up.
    until: Mono,
    /// The last that was wanted meanwhile: [`Input::Start`] or [`Input::Stop`].
    wish: Option<Input>,
    is_killed: bool,
}

impl Launching {
    pub(super) fn until(&self) -> Mono {
        self.until
    }
}

impl Actor {
    /// Waits for word of `launch`. The slot has its process already.
    pub(super) fn await_launch(&mut self, slot: usize, launch: Launch) -> std::io::Result<()> {
        let token = self.listen(launch.fd(), Source::Launch(slot))?;
        if let Some(live) = self.slots[slot].live.as_mut() {
            live.launch = Some(Launching {
                launch,
                token,
                until: clock::mono() + limits::LAUNCH_MAX,
                wish: None,
                is_killed: false,
            });
        }
        Ok(())
    }

    /// The input, unless it has to wait until the spawn is over.
    pub(super) fn hold_back(&mut self, slot: usize, input: Input) -> Option<Input> {
        let live = self.slots[slot].live.as_mut();
        let Some((launching, main)) =
            live.and_then(|live| Some((live.launch.as_mut()?, live.main.as_ref()?)))
        else {
            return Some(input);
        };
        match input {
            Input::Start | Input::Restart => launching.wish = Some(Input::Start),
            Input::Stop => launching.wish = Some(Input::Stop),
            Input::Kill => {
                launching.is_killed = true;
                let _ = child::signal_process(&main.child.pidfd, Signal::KILL);
            }
            // The clock is asked again afterwards, and nothing else comes of an instance that is being spawned.
            Input::Tick
            | Input::Ready
            | Input::Spawned(_)
            | Input::SpawnFailed { .. }
            | Input::Exited(..)
            | Input::TreeGone(_)
            | Input::Demand(..)
            | Input::Untyped(_)
            | Input::Adopted { .. } => {}
        }
        None
    }

    /// There may be word of a launch, its process may have ended, or its time be over.
    pub(super) fn launch_settled(&mut self, slot: usize) {
        let Some(launching) = self.launching(slot) else {
            return;
        };
        let is_late = launching.until <= clock::mono();
        match (launching.launch.outcome(), is_late) {
            (Some(Ok(())), _) => self.launched(slot),
            (Some(Err(error)), _) => self.launch_failed(slot, &error),
            (None, true) => self.launch_failed(slot, &SpawnError::Late(limits::LAUNCH_MAX)),
            (None, false) => {}
        }
    }

    fn launching(&self, slot: usize) -> Option<&Launching> {
        self.slots[slot].live.as_ref()?.launch.as_ref()
    }

    fn take_launch(&mut self, slot: usize) -> Option<(Launching, Root)> {
        let live = self.slots[slot].live.as_mut()?;
        let (launching, root) = (live.launch.take()?, live.root);
        self.forget(launching.launch.fd(), launching.token);
        Some((launching, root))
    }

    fn launched(&mut self, slot: usize) {
        let Some((launching, root)) = self.take_launch(slot) else {
            return;
        };
        self.measure(slot, root);
        self.feed(slot, Input::Spawned(root.run));
        self.grant(slot, launching);
    }

    fn launch_failed(&mut self, slot: usize, error: &SpawnError) {
        let Some((launching, root)) = self.take_launch(slot) else {
            return;
        };
        self.drop_main(slot);
        self.pipes_unused(slot, root.run);
        self.feed(slot, spawn_failed(error));
        self.grant(slot, launching);
    }

    /// What was wanted meanwhile.
    fn grant(&mut self, slot: usize, launching: Launching) {
        if let Some(wish) = launching.wish {
            self.feed(slot, wish);
        }
        if launching.is_killed {
            self.feed(slot, Input::Kill);
        }
    }

    /// Has the run of a slot measured from now on.
    pub(super) fn measure(&mut self, slot: usize, root: Root) {
        self.ports.measure(Measured {
            instance: self.slots[slot].name.clone(),
            run: root.run,
            pid: root.pid,
            start_ticks: root.start_ticks,
            interval: self.slots[slot].spec.metrics_interval,
            rules: Arc::clone(&self.slots[slot].spec.rules),
            spec: Arc::clone(&self.slots[slot].spec),
            restarts: self.slots[slot].instance.history.restarts,
        });
    }
}

/// A failure to spawn, for the machine.
pub(super) fn spawn_failed(error: &SpawnError) -> Input {
    Input::SpawnFailed {
        cause: error.to_string(),
        permanent: error.is_permanent(),
    }
}
