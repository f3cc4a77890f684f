//! The checked configuration as a whole. Paths are absolute, defaults filled in, references resolved.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::backup::BackupSettings;
use super::cache::CacheSettings;
use super::control::ControlSettings;
use super::heartbeat::HeartbeatSpec;
use super::language::Language;
use super::maintenance::MaintenanceSpec;
use super::program::ProgramSpec;
use super::route::RouteSpec;
use super::target::TargetSpec;
use super::template::Template;
use super::via::Via;

/// Everything the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The main file, absolute.
    pub path: PathBuf,
    /// `[supervisor]`.
    pub supervisor: SupervisorSettings,
    /// `[program.*]`, in the order of the files.
    pub programs: Vec<Arc<ProgramSpec>>,
    /// `[target.*]`.
    pub targets: Vec<Arc<TargetSpec>>,
    /// `[[route]]`.
    pub routes: Vec<RouteSpec>,
    /// `[notify]`.
    pub notify: NotifySettings,
    /// `[metrics]`.
    pub metrics: MetricsSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointSettings,
    /// `[cache]`.
    pub cache: CacheSettings,
    /// `[control]`.
    pub control: ControlSettings,
    /// `[heartbeat]`, if there is to be one.
    pub heartbeat: Option<HeartbeatSpec>,
    /// Times of quiet.
    pub maintenance: Vec<MaintenanceSpec>,
    /// `[log]`.
    pub log: LogSettings,
}

/// `[supervisor]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorSettings {
    /// In every notification.
    pub name: String,
    /// Database, logs, pipes, socket, lock.
    pub state_dir: PathBuf,
    /// The whole shutdown, after which everything is killed.
    pub shutdown_timeout: Duration,
}

/// `[notify]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// Threads that send.
    pub workers: usize,
    /// Deliveries handed to them and not yet taken.
    pub queue: usize,
    /// The default of a target's `timeout`.
    pub attempt_timeout: Duration,
    /// How long a delivery of each severity is worth sending.
    pub max_age: MaxAge,
    /// The default of a target's `language`.
    pub language: Language,
    /// The way to targets that do not say otherwise.
    pub via: Via,
    /// The default of a chat's `template`.
    pub template: Option<Template>,
}

/// `notify.max_age`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    /// Of info.
    pub info: Duration,
    /// Of warnings.
    pub warning: Duration,
    /// Of critical ones.
    pub critical: Duration,
}

/// `[metrics]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The default of a program's `metrics.interval`, and the host's.
    pub interval: Duration,
    /// How long raw samples are kept.
    pub retention_raw: Duration,
    /// `metrics.retention.chunks`.
    pub retention_chunks: Duration,
    /// `metrics.retention.candles`.
    pub retention_candles: Duration,
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Reader connections.
    pub pool: u32,
    /// What a power loss may cost.
    pub durability: Durability,
    /// Copies of it.
    pub backup: BackupSettings,
}

/// What a power loss may cost. A kill -9 costs nothing either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The last commits (`SQLite`'s synchronous = NORMAL).
    Normal,
    /// Nothing (synchronous = FULL).
    Full,
}

/// `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// How often dirty state is written.
    pub interval: Duration,
    /// Updates a batch.
    pub batch: usize,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe records shown.
    pub level: log::LevelFilter,
    /// How they are written.
    pub format: LogFormat,
}

/// How the supervisor's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
