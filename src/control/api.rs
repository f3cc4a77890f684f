//! The wire types: the contract's JSON, read by people's scripts. Keys may be added, never renamed. Assembled
//! here by pure functions; owns no source of data.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sources::{ConfigurationFacts, SupervisorFacts};
use crate::clock::{Mono, Wall};
use crate::ids::{DeliveryId, EventId, IncidentId, RunId};
use crate::model::command::VerbResult;
use crate::model::delivery::DeliveryState;
use crate::model::event::{Event, Exit, Facts, Severity};
use crate::model::name::InstanceName;
use crate::model::reload::Plan;
use crate::model::sample::Sample;
use crate::model::silence::Silence;
use crate::model::status::{Desired, Health, PhaseName};
use crate::model::target::TargetView;
use crate::supervise::board::{InstanceView, Snapshot};

/// `status --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor itself.
    pub supervisor: SupervisorStatus,
    /// Its instances, in the order of the configuration.
    pub programs: Vec<ProgramStatus>,
    /// Its targets.
    pub targets: Vec<TargetView>,
    /// The silences in force.
    #[serde(default)]
    pub silences: Vec<Silence>,
}

/// The supervisor itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupervisorStatus {
    /// `supervisor.name`.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Wall,
    /// Seconds since then.
    pub uptime_s: f64,
    /// The configuration file.
    pub config: String,
    /// The configuration in memory.
    pub configuration: ConfigurationFacts,
    /// Its threads.
    pub threads: u64,
    /// Its resident set.
    pub rss_bytes: u64,
    /// Its open file descriptors.
    pub open_files: u64,
    /// Where it answers over TCP, while it does.
    #[serde(default)]
    pub http: Option<String>,
    /// How it does.
    pub health: SupervisorHealth,
    /// What is wrong, a sentence each.
    pub issues: Vec<String>,
}

/// How the supervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SupervisorHealth {
    /// Nothing is wrong.
    Healthy,
    /// It supervises, but something else of it does not work.
    Degraded,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// `web`, or `web:0`.
    pub name: InstanceName,
    /// Its program.
    pub program: String,
    /// What people want.
    pub desired: Desired,
    /// Where it stands.
    pub phase: PhaseName,
    /// Confirmed as started.
    pub ready: bool,
    /// What probes say.
    pub health: Health,
    /// Its main process.
    pub pid: Option<u32>,
    /// Its run.
    pub run: Option<RunId>,
    /// Seconds its process has lived; 0 without one.
    pub uptime_s: f64,
    /// Restarts so far.
    pub restarts: u64,
    /// Seconds to its next start.
    pub next_restart_s: Option<f64>,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// Of its tree; 100 is one core. 0 before the run's first sample.
    pub cpu_percent: f64,
    /// Of its tree, resident.
    pub memory_bytes: u64,
    /// In its tree.
    pub processes: u32,
    /// Its program's labels.
    pub tags: Vec<String>,
    /// When the clock next starts it, or restarts it.
    #[serde(default)]
    pub next_start_at: Option<Wall>,
    /// What it last said of itself (`STATUS=` of `sd_notify`).
    #[serde(default)]
    pub status_text: Option<String>,
    /// Why it is down, or what it waits for; while it is stopping, what was done and what comes next.
    pub cause: Option<String>,
}

/// One event: a line of `events --json`, the data of a server-sent event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its identity.
    pub id: EventId,
    /// When it happened.
    pub time: Wall,
    /// `program.crashed`. Text, so that a client reads what a newer supervisor says.
    #[serde(rename = "type")]
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// The program it is about.
    pub program: Option<String>,
    /// The instance it is about.
    pub instance: Option<InstanceName>,
    /// The run it is about.
    pub run: Option<RunId>,
    /// One line for people.
    pub summary: String,
    /// The details.
    pub data: Facts,
}

impl From<&Event> for EventLine {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            time: event.time,
            kind: event.kind.as_str().to_owned(),
            severity: event.severity,
            program: event.program().map(ToString::to_string),
            instance: event.instance.clone(),
            run: event.run,
            summary: crate::alert::summary(event),
            data: event.facts.clone(),
        }
    }
}

/// One row of `deliveries list --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryLine {
    /// Its identity, also the `webhook-id`.
    pub id: DeliveryId,
    /// What is told.
    pub event: EventId,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// Where it goes.
    pub target: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The next one.
    pub next_attempt_at: Option<Wall>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl DeliveryLine {
    /// Nothing more will become of it.
    pub fn is_settled(&self) -> bool {
        match self.state {
            DeliveryState::Pending | DeliveryState::Leased => false,
            DeliveryState::Delivered | DeliveryState::Dead | DeliveryState::Expired => true,
        }
    }
}

/// The answer to a verb.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerbAnswer {
    /// Every instance is as was asked.
    pub ok: bool,
    /// One an instance.
    pub results: Vec<VerbResult>,
}

/// The answer to `reload`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// Everything is as the plan says, as far as it was waited for.
    pub ok: bool,
    /// Nothing was changed: only the plan was asked for.
    pub is_plan: bool,
    /// What changes.
    #[serde(flatten)]
    pub plan: Plan,
    /// What is odd about the configuration.
    pub warnings: Vec<String>,
    /// What became of the instances that were touched.
    pub results: Vec<VerbResult>,
}

/// The answer to `shutdown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownAnswer {
    /// The process that is ending.
    pub pid: u32,
}

/// The answer to a test of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestAnswer {
    /// The delivery to ask about.
    pub delivery: DeliveryId,
}

/// What `status` is assembled from.
pub struct Parts<'a> {
    /// The instances.
    pub snapshot: &'a Snapshot,
    /// The latest sample of each.
    pub sample: &'a dyn Fn(&InstanceName) -> Option<Sample>,
    /// The targets.
    pub targets: Vec<TargetView>,
    /// The silences in force.
    pub silences: Vec<Silence>,
    /// The supervisor.
    pub facts: SupervisorFacts,
}

/// `status` at `now`.
pub fn status(parts: Parts<'_>, now: Mono) -> Status {
    let programs = parts.snapshot.instances.iter();
    Status {
        programs: programs
            .map(|view| program(view, (parts.sample)(&view.name), now))
            .collect(),
        supervisor: supervisor(parts.facts, now),
        targets: parts.targets,
        silences: parts.silences,
    }
}

fn supervisor(facts: SupervisorFacts, now: Mono) -> SupervisorStatus {
    SupervisorStatus {
        name: facts.name,
        version: facts.version.to_owned(),
        pid: facts.pid,
        started_at: facts.started_at,
        uptime_s: seconds(now.since(facts.started)),
        config: facts.config.display().to_string(),
        configuration: facts.configuration,
        threads: facts.threads,
        rss_bytes: facts.rss_bytes,
        open_files: facts.open_files,
        http: facts.http.map(|address| address.to_string()),
        health: if facts.issues.is_empty() {
            SupervisorHealth::Healthy
        } else {
            SupervisorHealth::Degraded
        },
        issues: facts.issues,
    }
}

fn program(view: &Arc<InstanceView>, sample: Option<Sample>, now: Mono) -> ProgramStatus {
    // The sampler may not have noticed yet that the run it measured is over.
    let figures = sample
        .filter(|s| view.pid.is_some() && Some(s.run) == view.run)
        .map(|s| s.figures)
        .unwrap_or_default();
    let alive_since = view.started_at.filter(|_| view.pid.is_some());
    ProgramStatus {
        name: view.name.clone(),
        program: view.name.program().to_string(),
        desired: view.desired,
        phase: view.phase,
        ready: view.ready,
        health: view.health,
        pid: view.pid,
        run: view.run,
        uptime_s: alive_since.map_or(0.0, |at| seconds(now.since(at))),
        restarts: view.restarts,
        next_restart_s: view.retry_at.map(|at| seconds(at.since(now))),
        last_exit: view.last_exit.clone(),
        cpu_percent: hundredths(figures.cpu_percent),
        memory_bytes: figures.memory_bytes,
        processes: figures.processes,
        tags: view.tags.to_vec(),
        next_start_at: view.next_start_at,
        status_text: view.status_text.as_deref().map(str::to_owned),
        cause: cause(view, now),
    }
}

/// Why it is down or what it waits for; while it is being stopped, how far that is.
fn cause(view: &InstanceView, now: Mono) -> Option<String> {
    let stands = view.stopping.as_ref().map(|stands| stands.words(now));
    view.cause.clone().or(stands)
}

/// To the millisecond: more digits would be noise.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
