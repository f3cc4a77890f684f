//! Tests of the room as a whole, on real files.

mod backups;
mod bound;
mod crash;
mod fallback;
mod faults;
mod groups;
mod holds;
mod messages;
mod opening;
mod outbox;
mod plans;
mod records;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};
use tempfile::TempDir;

use super::{Store, StoreHealth, StoreOptions, Wakers, Write};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId, IncidentId, RunId};
use crate::limits;
use crate::model::backup::BackupSettings;
use crate::model::delivery::{Claim, NewDelivery, Pick};
use crate::model::event::{Event, EventKind, Exit, Severity};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::name::InstanceName;
use crate::model::record::{InstanceState, Record};
use crate::model::settings::{CheckpointSettings, Durability, StoreSettings};
use crate::model::status::{Desired, PhaseName};

/// Long enough for any wait to be a failure.
const LONG: Duration = Duration::from_secs(20);

struct Bench {
    store: Store,
    dir: TempDir,
    due: Receiver<()>,
    health: Receiver<StoreHealth>,
}

fn options() -> StoreOptions {
    StoreOptions {
        store: StoreSettings {
            pool: 2,
            durability: Durability::Normal,
            backup: BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: Duration::from_hours(1),
            batch: 100,
        },
        retention_raw: Duration::from_hours(48),
        wakers: Wakers::default(),
    }
}

fn bench() -> Bench {
    bench_with(options())
}

fn bench_with(mut options: StoreOptions) -> Bench {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (due_tx, due) = bounded(limits::STORE_REPLY);
    let (health_tx, health) = bounded(limits::STORE_JOBS_MAX);
    options.wakers = Wakers {
        deliveries: Some(due_tx),
        health: Some(health_tx),
    };
    let store = Store::open(dir.path(), options).expect("a fresh store opens");
    Bench {
        store,
        dir,
        due,
        health,
    }
}

/// Far in the future, so that nothing in these tests is old.
fn at(seconds: u32) -> Wall {
    Wall::from_millis(4_100_000_000_000) + Duration::from_secs(1) * seconds
}

fn web() -> InstanceName {
    InstanceName::single("web")
}

fn event(kind: EventKind, seconds: u32) -> Event {
    Event {
        instance: Some(web()),
        run: Some(RunId::new()),
        ..Event::new(kind, at(seconds))
    }
}

fn write(kind: EventKind, seconds: u32) -> Write {
    Write::from(Record::from(event(kind, seconds)))
}

fn incident(id: IncidentId, seq: u64) -> Incident {
    Incident {
        id,
        instance: Some(web()),
        condition: Condition::Crash,
        subject: None,
        severity: Severity::Warning,
        state: IncidentState::Open,
        opened_at: at(0),
        resolved_at: None,
        events: seq,
        seq,
        failures: 1,
        cycle: 1,
        cause: None,
    }
}

fn delivery(event: EventId, incident: Option<IncidentId>, target: &str, due: u32) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        event,
        incident,
        target: target.into(),
        severity: Severity::Warning,
        due: at(due),
        held: None,
        expires_at: at(due + 1_000),
        seat: None,
    }
}

/// A crash, the `seq`-th of its incident, told to `targets` from second `seq` on.
fn told(incident_id: IncidentId, seq: u32, targets: &[&str]) -> Write {
    let event = event(EventKind::ProgramCrashed, seq);
    let deliveries = targets
        .iter()
        .map(|t| delivery(event.id, Some(incident_id), t, seq))
        .collect();
    Write {
        record: Record::from(event),
        incident: Some(incident(incident_id, u64::from(seq))),
        deliveries,
        withdrawn: Vec::new(),
        moved: Vec::new(),
        silences: Vec::new(),
    }
}

fn state(instance: InstanceName) -> InstanceState {
    InstanceState {
        instance,
        desired: Desired::Up,
        phase: PhaseName::Backoff,
        restarts: 7,
        streak: 2,
        retry_at: Some(at(9)),
        run: Some(RunId::new()),
        last_exit: Some(Exit::Code(3)),
        ready: false,
        at: at(1),
    }
}

/// Claims on the oldest row of each.
fn claims(names: &[&str]) -> Vec<Claim> {
    let claim = |target| Claim {
        target,
        newest: false,
        pick: Pick::Oldest,
        alone: None,
    };
    targets(names).into_iter().map(claim).collect()
}

fn targets(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|n| Arc::from(*n)).collect()
}

impl Bench {
    /// Commits everything that waits.
    fn flush(&self) {
        let flushed = self.store.flush(LONG);
        assert_eq!(flushed.remaining, 0, "not all was written: {flushed:?}");
    }

    fn record(&self, write: Write) {
        self.store.record(write);
        self.flush();
    }
}
