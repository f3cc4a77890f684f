//! What this room's tests share: an outbox in memory, and deliveries and targets to fill it with. The scripted
//! server is `fetch::testing`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::host::HostMemory;
use super::lane::LaneMemory;
use super::outbox::{Outbox, OutboxError};
use super::{Notify, Setup};
use crate::clock::{self, Wall};
use crate::fetch::Client;
pub(super) use crate::fetch::testing::{Answer, Server, WAIT_MAX};
use crate::ids::{DeliveryId, IncidentId, RunId};
use crate::model::delivery::{Claim, DeliveryState, Leased, Pick, Settlement, Verdict};
use crate::model::event::{Event, EventKind, Exit, Severity};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::living::{Known, Living};
use crate::model::name::InstanceName;
use crate::model::settings::{MaxAge, NotifySettings};
use crate::model::target::{
    BreakerPolicy, ProviderSpec, RatePolicy, TargetSpec, TargetState, Webhook,
};
use crate::model::voice::Voice;
use crate::secret::Secret;

/// A row of the table in memory.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) leased: Leased,
    pub(super) state: DeliveryState,
    pub(super) due: Wall,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) settlements: Vec<Settlement>,
    pub(super) settled_by: HashSet<ThreadId>,
    /// The next settlements that fail.
    pub(super) failures: u32,
    pub(super) memories: BTreeMap<String, LaneMemory>,
    pub(super) hosts: BTreeMap<String, HostMemory>,
    pub(super) living: BTreeMap<(String, Option<IncidentId>), Living>,
}

/// An outbox in memory that keeps the contract of the real one.
#[derive(Default)]
pub(super) struct Memory {
    table: Mutex<Table>,
    changed: Condvar,
}

impl Memory {
    pub(super) fn add(&self, leased: Leased) {
        self.add_due(leased, Wall::default());
    }

    pub(super) fn add_due(&self, leased: Leased, due: Wall) {
        self.table.lock().rows.push(Row {
            leased,
            state: DeliveryState::Pending,
            due,
        });
    }

    pub(super) fn fail_next(&self, settlements: u32) {
        self.table.lock().failures = settlements;
    }

    pub(super) fn read<T>(&self, look: impl Fn(&Table) -> T) -> T {
        look(&self.table.lock())
    }

    /// The table's state once `is_so`.
    pub(super) fn wait_until(&self, what: &str, is_so: impl Fn(&Table) -> bool) {
        let mut table = self.table.lock();
        while !is_so(&table) {
            let late = self.changed.wait_for(&mut table, WAIT_MAX).timed_out();
            assert!(
                !late,
                "waited for {what}; rows {:?}, settlements {:?}",
                table.rows.iter().map(|r| r.state).collect::<Vec<_>>(),
                table.settlements
            );
        }
    }

    pub(super) fn wait_settled(&self, count: usize) {
        self.wait_until(&format!("{count} settlements"), |t| {
            t.settlements.len() >= count
        });
    }
}

/// Whether `row` must wait for an earlier one of its incident at the same target.
fn is_held_back(rows: &[Row], at: usize) -> bool {
    let row = &rows[at].leased;
    let incident = row.incident.as_ref().map(|i| i.id);
    incident.is_some()
        && rows[..at].iter().any(|r| {
            r.leased.target == row.target
                && r.leased.incident.as_ref().map(|i| i.id) == incident
                && matches!(r.state, DeliveryState::Pending | DeliveryState::Leased)
        })
}

impl Outbox for Memory {
    fn lease_due(&self, claims: &[Claim], now: Wall) -> Result<Vec<Leased>, OutboxError> {
        let mut table = self.table.lock();
        let mut leased = Vec::new();
        let mut taken = HashSet::new();
        for claim in claims {
            let Claim { target, pick, .. } = claim;
            let may_go = |i: &usize| {
                let row = &table.rows[*i];
                row.leased.target == *target
                    && row.state == DeliveryState::Pending
                    && row.due <= now
                    && !is_held_back(&table.rows, *i)
            };
            let is_critical =
                |i: &usize| table.rows[*i].leased.event.severity == Severity::Critical;
            let critical = (0..table.rows.len()).find(|i| may_go(i) && is_critical(i));
            let oldest = (0..table.rows.len()).find(may_go);
            let found = match pick {
                Pick::Oldest => oldest,
                Pick::CriticalFirst => critical.or(oldest),
                Pick::CriticalOnly => critical,
            };
            if let Some(at) = found
                && claim
                    .alone
                    .as_ref()
                    .is_none_or(|key| taken.insert(key.clone()))
            {
                table.rows[at].state = DeliveryState::Leased;
                let mut row = table.rows[at].leased.clone();
                let key = (row.target.to_string(), row.incident.as_ref().map(|i| i.id));
                row.known.living = table.living.get(&key).cloned();
                leased.push(row);
            }
        }
        Ok(leased)
    }

    fn next_due(&self, claims: &[Claim]) -> Result<Option<Wall>, OutboxError> {
        let table = self.table.lock();
        let is_claimed = |r: &Row| {
            claims.iter().any(|c| {
                c.target == r.leased.target
                    && (c.pick != Pick::CriticalOnly
                        || r.leased.event.severity == Severity::Critical)
            })
        };
        Ok(table
            .rows
            .iter()
            .filter(|r| r.state == DeliveryState::Pending && is_claimed(r))
            .map(|r| r.due)
            .min())
    }

    fn settle(&self, settlement: &Settlement) -> Result<(), OutboxError> {
        let mut table = self.table.lock();
        if table.failures > 0 {
            table.failures -= 1;
            return Err(OutboxError("disk full".to_owned()));
        }
        let row = table
            .rows
            .iter_mut()
            .find(|r| r.leased.id == settlement.id)
            .ok_or_else(|| OutboxError("no such row".to_owned()))?;
        assert_eq!(row.state, DeliveryState::Leased, "settled twice");
        row.state = match settlement.verdict {
            Verdict::Delivered { .. } => DeliveryState::Delivered,
            Verdict::RetryAt { due, counts } => {
                row.due = due;
                row.leased.attempts += u32::from(counts);
                DeliveryState::Pending
            }
            Verdict::Standing { due, .. } => {
                row.due = due;
                row.leased.confirmed += 1;
                DeliveryState::Pending
            }
            Verdict::Dead => DeliveryState::Dead,
            Verdict::Expired => DeliveryState::Expired,
        };
        if settlement.frozen_body.is_some() {
            row.leased.frozen_body.clone_from(&settlement.frozen_body);
        }
        row.leased.known.is_doubtful |= settlement.is_doubtful;
        let incident = row.leased.incident.as_ref().map(|i| i.id);
        let key = (row.leased.target.to_string(), incident);
        if let Some(living) = settlement.effect.living.clone() {
            table.living.insert(key, living);
        }
        table.settlements.push(settlement.clone());
        table.settled_by.insert(std::thread::current().id());
        drop(table);
        self.changed.notify_all();
        Ok(())
    }

    fn remember(&self, target: &str, memory: &LaneMemory) -> Result<(), OutboxError> {
        let mut table = self.table.lock();
        table.memories.insert(target.to_owned(), memory.clone());
        Ok(())
    }

    fn recall(&self) -> Result<Vec<(String, LaneMemory)>, OutboxError> {
        let table = self.table.lock();
        Ok(table.memories.clone().into_iter().collect())
    }

    fn remember_host(&self, host: &str, memory: &HostMemory) -> Result<(), OutboxError> {
        self.table.lock().hosts.insert(host.to_owned(), *memory);
        Ok(())
    }

    fn recall_hosts(&self) -> Result<Vec<(String, HostMemory)>, OutboxError> {
        let table = self.table.lock();
        Ok(table.hosts.clone().into_iter().collect())
    }

    fn pending(&self) -> Result<u64, OutboxError> {
        let waits = |r: &&Row| matches!(r.state, DeliveryState::Pending | DeliveryState::Leased);
        Ok(self.table.lock().rows.iter().filter(waits).count() as u64)
    }
}

/// A crash of `web:0` with everything that can be known of one.
pub(super) fn crash() -> Event {
    let mut event = Event::new(
        EventKind::ProgramCrashed,
        Wall::from_millis(1_767_323_045_123),
    );
    event.instance = Some(InstanceName::indexed("web", 0));
    event.run = Some(RunId::new());
    event.facts.pid = Some(4242);
    event.facts.exit = Some(Exit::Code(1));
    event.facts.cause = Some("exit code 1".to_owned());
    event.facts.uptime_s = Some(12.5);
    event.facts.restarts = Some(3);
    event.facts.next_restart_s = Some(4.0);
    event.facts.peak_memory_bytes = Some(1 << 20);
    event.facts.log_tail = vec!["starting".to_owned(), "panic: it broke".to_owned()];
    event
}

pub(super) fn incident(id: IncidentId) -> Incident {
    Incident {
        id,
        instance: Some(InstanceName::indexed("web", 0)),
        condition: Condition::Crash,
        subject: None,
        severity: crate::model::event::Severity::Warning,
        state: IncidentState::Open,
        opened_at: Wall::from_millis(1_767_323_040_000),
        resolved_at: None,
        events: 2,
        seq: 7,
        failures: 1,
        cycle: 1,
        cause: None,
    }
}

/// A delivery of a crash to `target`.
pub(super) fn delivery(target: &str) -> Leased {
    Leased {
        id: DeliveryId::new(),
        target: target.into(),
        attempts: 0,
        expires_at: clock::wall() + Duration::from_hours(1),
        event: crash(),
        incident: Some(incident(IncidentId::new())),
        frozen_body: None,
        confirmed: 0,
        known: Known::default(),
    }
}

pub(super) fn webhook_to(url: Secret) -> ProviderSpec {
    ProviderSpec::Webhook(Webhook {
        url,
        secrets: Vec::new(),
        headers: Vec::new(),
    })
}

/// A target that is never slowed down by itself.
pub(super) fn target(name: &str, provider: ProviderSpec) -> TargetSpec {
    TargetSpec {
        name: name.into(),
        provider,
        timeout: Duration::from_secs(10),
        breaker: BreakerPolicy {
            failures: 1_000,
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_mins(15),
        },
        rate: RatePolicy {
            burst: 10_000,
            per_minute: 60_000,
        },
        voice: Voice::default(),
        via: crate::model::via::Via::DIRECT,
        chat: crate::model::living::ChatPolicy::default(),
        fallback: None,
    }
}

/// The room over `outbox` with `workers`, and what it tells of its targets.
pub(super) struct Rig {
    pub(super) notify: Notify,
    pub(super) outbox: Arc<Memory>,
    pub(super) told: Arc<Told>,
}

/// What the room told of its targets.
#[derive(Default)]
pub(super) struct Told {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
}

impl Told {
    /// The events, once there are `count`.
    pub(super) fn wait(&self, count: usize) -> Vec<Event> {
        let mut events = self.events.lock();
        while events.len() < count {
            let late = self.changed.wait_for(&mut events, WAIT_MAX).timed_out();
            assert!(!late, "waited for {count} events, heard {events:?}");
        }
        events.clone()
    }
}

impl Rig {
    pub(super) fn start(targets: Vec<TargetSpec>, workers: usize) -> Self {
        Self::resume(Arc::new(Memory::default()), targets, workers)
    }

    /// A start on what an earlier one has left.
    pub(super) fn resume(outbox: Arc<Memory>, targets: Vec<TargetSpec>, workers: usize) -> Self {
        let told = Arc::new(Told::default());
        let ear = Arc::clone(&told);
        let notify = Notify::start(Setup {
            client: Arc::new(Client::default()),
            outbox: Arc::clone(&outbox) as Arc<dyn Outbox>,
            targets: targets.into_iter().map(Arc::new).collect(),
            settings: NotifySettings {
                workers,
                queue: 16,
                attempt_timeout: Duration::from_secs(10),
                via: crate::model::via::Via::DIRECT,
                max_age: MaxAge {
                    info: Duration::from_hours(1),
                    warning: Duration::from_hours(1),
                    critical: Duration::from_hours(1),
                },
                language: crate::model::language::Language::default(),
                template: None,
            },
            host: "box-1".into(),
            emit: Box::new(move |event| {
                ear.events.lock().push(event);
                ear.changed.notify_all();
            }),
        })
        .expect("room for threads");
        Self {
            notify,
            outbox,
            told,
        }
    }

    pub(super) fn add(&self, leased: Leased) {
        self.outbox.add(leased);
        self.notify.waker().wake();
    }

    /// Returns once `target` is shown in `state`.
    pub(super) fn wait_state(&self, target: &str, state: TargetState) {
        let board = self.notify.board();
        let started = clock::mono();
        loop {
            let views = board.targets();
            if views.iter().any(|v| v.name == target && v.state == state) {
                return;
            }
            assert!(
                clock::mono().since(started) < WAIT_MAX,
                "waited for {state:?}: {views:?}"
            );
            let _ = crossbeam::channel::never::<()>().recv_timeout(Duration::from_millis(2));
        }
    }
}
