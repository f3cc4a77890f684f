//! What the control room reads from, as the narrow shapes it needs, so that it can be tried out without the
//! rest. Owns no data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Sender;
use serde::{Deserialize, Serialize};

use super::api::DeliveryLine;
use super::deliveries::{Deliveries, WorkerLine};
use super::incidents::Incidents;
use super::prometheus::Measures;
use super::stats::Stats;
use crate::clock::{Mono, Wall};
pub use crate::history::explain::Account;
use crate::ids::{DeliveryId, EventId, SilenceId};
use crate::model::command::Command;
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::model::sample::Sample;
use crate::model::silence::Silence;
use crate::model::status::PhaseName;
use crate::model::target::TargetView;
use crate::supervise::board::Board;

/// Looks up the latest sample of an instance.
pub type LatestSample = dyn Fn(&InstanceName) -> Option<Sample> + Send + Sync;

/// Everything a handler reads, and the one channel it acts by.
#[derive(Clone)]
pub struct Sources {
    /// The instances.
    pub board: Arc<Board>,
    /// The latest sample of an instance.
    pub sample: Arc<LatestSample>,
    /// The targets as they stand.
    pub targets: Arc<dyn Fn() -> Vec<TargetView> + Send + Sync>,
    /// The silences in force.
    pub silences: Arc<dyn Fn() -> Arc<[Silence]> + Send + Sync>,
    /// The workers that send to them.
    pub workers: Arc<dyn Fn() -> Vec<WorkerLine> + Send + Sync>,
    /// The supervisor itself.
    pub facts: Arc<dyn Fn() -> SupervisorFacts + Send + Sync>,
    /// What `/metrics` shows besides.
    pub measures: Arc<dyn Fn() -> Measures + Send + Sync>,
    /// What was done and what it cost.
    pub stats: Arc<dyn Fn() -> Stats + Send + Sync>,
    /// What is stored.
    pub store: Arc<dyn StoreView>,
    /// The deliveries, to be looked at and changed.
    pub deliveries: Arc<dyn Deliveries>,
    /// The incidents, to be looked at.
    pub incidents: Arc<dyn Incidents>,
    /// Commands to `app`; capacity [`crate::limits::CONTROL_COMMANDS`].
    pub commands: Sender<Command>,
}

/// What the supervisor knows of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorFacts {
    /// `supervisor.name`.
    pub name: String,
    /// Of this program.
    pub version: &'static str,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Wall,
    /// The same moment on the clock that nobody sets.
    pub started: Mono,
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// What is known of the configuration.
    pub configuration: ConfigurationFacts,
    /// Its threads.
    pub threads: u64,
    /// Its resident set.
    pub rss_bytes: u64,
    /// Its open file descriptors.
    pub open_files: u64,
    /// Where it answers over TCP.
    pub http: Option<std::net::SocketAddr>,
    /// What is wrong with it, a sentence each; empty is healthy.
    pub issues: Vec<String>,
}

/// The configuration in memory, and what it took to get it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationFacts {
    /// 1 at the start; rises with each reload.
    pub version: u64,
    /// When it was taken up.
    pub loaded_at: Wall,
    /// Times it was looked for on disk.
    pub scans: u64,
    /// Files that were parsed.
    pub parses: u64,
}

/// Reading what is stored.
pub trait StoreView: Send + Sync {
    /// Events, oldest first, in the order in which they were committed.
    fn events(&self, query: &EventQuery) -> Result<Vec<Event>, SourceError>;

    /// One delivery.
    fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryLine>, SourceError>;

    /// The instances that are known, and where each stood when that was last written.
    fn states(&self) -> Result<Vec<(InstanceName, PhaseName)>, SourceError>;

    /// What is known of the latest `last` ends of an instance.
    fn account(&self, name: &InstanceName, last: usize) -> Result<Account, SourceError>;

    /// One silence, whether or not it has ended.
    fn silence(&self, id: SilenceId) -> Result<Option<Silence>, SourceError>;

    /// Rises with every commit that adds events.
    fn generation(&self) -> u64;

    /// Waits until the generation is another than `seen`, at most `timeout`; returns it.
    fn wait_change(&self, seen: u64, timeout: Duration) -> u64;
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only those committed after this one.
    pub after: Option<EventId>,
    /// Only those not older than this.
    pub since: Option<Wall>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<EventKind>,
    /// Which end to take when there are more than `limit`.
    pub end: End,
    /// At most so many.
    pub limit: usize,
}

/// Which end of a list is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The oldest.
    #[default]
    Oldest,
    /// The newest.
    Newest,
}

/// The database did not answer; the text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);
