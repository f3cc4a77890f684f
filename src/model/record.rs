//! What the supervisor hands to the journal: an event with the changes of state that go with it, so that all
//! of it is committed together.

use std::path::PathBuf;

use super::event::{Event, Exit};
use super::fingerprint::Fingerprint;
use super::name::InstanceName;
use super::status::{Desired, PhaseName};
use crate::clock::Wall;
use crate::ids::RunId;

/// One event and what it changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// The run that began or ended with it.
    pub run: Option<RunChange>,
    /// The instance's state after it, when it changed.
    pub state: Option<InstanceState>,
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        Self {
            event,
            run: None,
            state: None,
        }
    }
}

/// A run began or ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunChange {
    /// It was spawned.
    Started(RunStart),
    /// It ended.
    Ended {
        /// Which.
        run: RunId,
        /// When it was reaped.
        at: Wall,
        /// How.
        exit: Exit,
    },
}

/// Everything by which a run is recognised after a crash of the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStart {
    /// Which.
    pub run: RunId,
    /// Of which instance.
    pub instance: InstanceName,
    /// The main process, also its process group.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: start time in clock ticks since boot. With the boot id and the pid it
    /// names one process for ever.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// When it was spawned.
    pub at: Wall,
    /// The command that was started, for people.
    pub command: String,
    /// Its standard output and standard error pipes.
    pub pipes: Vec<PathBuf>,
    /// The keys of the configuration it was made of, salted with [`RunStart::salt`]; none when nobody wrote them.
    pub made_of: Option<Fingerprint>,
}

impl RunStart {
    /// What the fingerprint of `run` is salted with.
    #[must_use]
    pub fn salt(run: RunId) -> String {
        run.to_string()
    }
}

/// What of an instance must survive a kill -9 of the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceState {
    /// Which.
    pub instance: InstanceName,
    /// What people want of it.
    pub desired: Desired,
    /// Where it stands.
    pub phase: PhaseName,
    /// Restarts so far.
    pub restarts: u64,
    /// Restarts in a row, which set the next backoff.
    pub streak: u32,
    /// When the next start is due, in backoff.
    pub retry_at: Option<Wall>,
    /// The current run, when there is one.
    pub run: Option<RunId>,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
    /// That run was ready.
    pub ready: bool,
    /// Of this state.
    pub at: Wall,
}
