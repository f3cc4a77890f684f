//! The dispatcher: one thread that leases what is due for the targets that may be sent to, hands it to the pool,
//! and moves lanes by what comes back. It waits for its inbox and for points in time, never for a target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};

use super::attempt::Report;
use super::board::Board;
use super::breaker::{Change, Input};
use super::lane::{Gate, Lane, LaneMemory};
use super::outbox::{Outbox, OutboxError};
use super::providers::Scope;
use super::retry;
use super::worker::{Done, Job};
use super::{LastPass, Message};
use crate::clock::{self, Mono, Wall};
use crate::limits;
use crate::model::delivery::{Leased, Outcome, Settlement, Verdict};
use crate::model::event::{Event, EventKind, Severity};
use crate::model::target::{TargetSpec, TargetState, TargetView};

/// Tells the rest of the program what happened to a target. Must not block.
pub type Emit = Box<dyn Fn(Event) + Send + Sync>;

/// A lane with what is shown of it.
pub(super) struct Slot {
    pub(super) lane: Lane,
    last_activity: Option<Wall>,
    last_error: Option<String>,
    /// The outcome that the outbox has not taken yet; the lane stays busy until it has.
    unsettled: Option<Settlement>,
    /// No longer configured: goes when nothing of it is in flight.
    is_leaving: bool,
}

impl Slot {
    pub(super) fn new(spec: Arc<TargetSpec>) -> Self {
        Self {
            lane: Lane::new(spec),
            last_activity: None,
            last_error: None,
            unsettled: None,
            is_leaving: false,
        }
    }
}

struct Closing {
    /// Rows due by then are part of the pass; those put off during it are not.
    since: Wall,
    deadline: Mono,
    reply: Sender<LastPass>,
    delivered: u64,
}

pub(super) struct Dispatcher {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) board: Arc<Board>,
    pub(super) emit: Emit,
    pub(super) inbox: Receiver<Message>,
    pub(super) woken: Arc<AtomicBool>,
    pub(super) jobs: Sender<Job>,
    /// In the order of the configuration.
    pub(super) slots: Vec<Slot>,
    hosts: BTreeMap<String, Mono>,
    /// After a fault of the outbox nothing is asked of it before then.
    outbox_at: Mono,
    closing: Option<Closing>,
}

/// What the thread is started with.
pub(super) struct Start {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) board: Arc<Board>,
    pub(super) emit: Emit,
    pub(super) inbox: Receiver<Message>,
    pub(super) woken: Arc<AtomicBool>,
    pub(super) jobs: Sender<Job>,
    pub(super) slots: Vec<Slot>,
}

impl Dispatcher {
    pub(super) fn new(start: Start) -> Self {
        let Start {
            outbox,
            board,
            emit,
            inbox,
            woken,
            jobs,
            slots,
        } = start;
        Self {
            outbox,
            board,
            emit,
            inbox,
            woken,
            jobs,
            slots,
            hosts: BTreeMap::new(),
            outbox_at: Mono::default(),
            closing: None,
        }
    }

    /// The thread's body: ends with the last pass, dropping the jobs' sender and so the pool.
    pub(super) fn run(mut self) {
        self.recall();
        loop {
            let wait = self.turn();
            if self.is_over() {
                return self.report_end();
            }
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
        }
    }

    /// Does all that can be done now and says how long nothing else can.
    fn turn(&mut self) -> Duration {
        // Before the lease: whoever wakes us after this wants another turn.
        self.woken.store(false, Ordering::Release);
        let now = clock::mono();
        self.hosts.retain(|_, until| *until > now);
        let next = if now < self.outbox_at {
            Some(self.outbox_at)
        } else {
            self.settle_kept();
            match self.lease(now) {
                Ok(next) => next,
                Err(error) => Some(self.outbox_failed(&error)),
            }
        };
        self.slots.retain(|s| !s.is_leaving || s.lane.is_busy());
        self.publish();
        self.wait(next)
    }

    /// How long until a gate opens, `next`, the end of the last pass or the sweep.
    fn wait(&self, next: Option<Mono>) -> Duration {
        let now = clock::mono();
        let gates = self
            .slots
            .iter()
            .filter_map(|slot| match self.gate(slot, now) {
                Gate::Until(at) => Some(at),
                Gate::Free | Gate::Busy | Gate::Never => None,
            });
        let kept = self.slots.iter().filter(|s| s.unsettled.is_some());
        gates
            .chain(next)
            .chain(kept.map(|_| self.outbox_at))
            .chain(self.closing.as_ref().map(|c| c.deadline))
            .map(|at| at.since(now).max(limits::DISPATCH_TICK_MIN))
            .fold(limits::OUTBOX_SWEEP, Duration::min)
    }

    fn gate(&self, slot: &Slot, now: Mono) -> Gate {
        slot.lane.gate(now, self.host_until(slot))
    }

    fn state(&self, slot: &Slot, now: Mono) -> TargetState {
        slot.lane.state(now, self.host_until(slot))
    }

    fn host_until(&self, slot: &Slot) -> Mono {
        self.hosts.get(&slot.lane.host).copied().unwrap_or_default()
    }

    /// Leases and hands out until nothing is due; returns when the next row of a free lane is.
    fn lease(&mut self, now: Mono) -> Result<Option<Mono>, OutboxError> {
        if self.closing.as_ref().is_some_and(|c| c.deadline <= now) {
            return Ok(None);
        }
        let free = self.free(now);
        if free.is_empty() {
            return Ok(None);
        }
        for leased in self.outbox.lease_due(&free, clock::wall())? {
            self.hand_out(leased, now);
        }
        let idle = self.free(now);
        if idle.is_empty() {
            return Ok(None);
        }
        let Some(due) = self.outbox.next_due(&idle)? else {
            return Ok(None);
        };
        // A row that is due and was not leased waits for an earlier one of its incident: no reason to spin.
        let left = due.since(clock::wall()).max(limits::DISPATCH_RECHECK);
        Ok(Some(now + left))
    }

    /// The targets that may be sent to, no more than the pool's queue has room for.
    fn free(&self, now: Mono) -> Vec<Arc<str>> {
        let room = self
            .jobs
            .capacity()
            .map_or(0, |c| c.saturating_sub(self.jobs.len()));
        self.slots
            .iter()
            .filter(|s| !s.is_leaving && self.gate(s, now) == Gate::Free)
            .map(|s| Arc::clone(&s.lane.spec.name))
            .take(room)
            .collect()
    }

    fn hand_out(&mut self, leased: Leased, now: Mono) {
        let deadline = self.closing.as_ref().map(|c| c.deadline);
        let Some(slot) = slot_of(&mut self.slots, &leased.target) else {
            log::error!(
                "a delivery was leased for {}, which is not configured",
                leased.target
            );
            return;
        };
        if slot.lane.is_busy() {
            log::error!(
                "a second delivery was leased for {} (a bug of ours)",
                leased.target
            );
            return;
        }
        let wall = clock::wall();
        slot.lane.begin(now);
        if leased.expires_at <= wall {
            slot.unsettled = Some(unsent(&leased, Verdict::Expired, wall, "became too old"));
            return self.settle_kept();
        }
        let job = Job {
            spec: Arc::clone(&slot.lane.spec),
            moved_to: slot.lane.moved_to().map(str::to_owned),
            deadline,
            leased,
        };
        // There is room: `free` counted it, and nobody else sends. Without a pool the row goes back.
        if let Err(refused) = self.jobs.try_send(job) {
            let leased = refused.into_inner().leased;
            let back = Verdict::RetryAt {
                due: wall,
                counts: false,
            };
            slot.unsettled = Some(unsent(&leased, back, wall, "no worker is left"));
            self.settle_kept();
        }
    }

    /// Tries again to store outcomes that the outbox did not take.
    fn settle_kept(&mut self) {
        for slot in &mut self.slots {
            let Some(settlement) = &slot.unsettled else {
                continue;
            };
            match self.outbox.settle(settlement) {
                Ok(()) => {
                    slot.unsettled = None;
                    slot.lane.end();
                }
                Err(error) => {
                    log::debug!("an outcome cannot be stored yet: {error}");
                    self.outbox_at = clock::mono() + limits::OUTBOX_RETRY;
                    return;
                }
            }
        }
    }

    fn outbox_failed(&mut self, error: &OutboxError) -> Mono {
        log::warn!("deliveries wait: {error}");
        self.outbox_at = clock::mono() + limits::OUTBOX_RETRY;
        self.outbox_at
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Wake => {}
            Message::Done(done) => self.finish(*done),
            Message::Configure(targets) => self.configure(targets),
            Message::Nudge(target) => self.nudge(target.as_deref()),
            Message::LastPass { deadline, reply } => {
                self.closing = Some(Closing {
                    since: clock::wall(),
                    deadline,
                    reply,
                    delivered: 0,
                });
            }
        }
    }

    fn finish(&mut self, done: Done) {
        let now = clock::mono();
        if let (Some(closing), Verdict::Delivered { .. }) = (&mut self.closing, &done.verdict) {
            closing.delivered += 1;
        }
        let Some(slot) = slot_of(&mut self.slots, &done.target) else {
            return;
        };
        slot.last_activity = Some(clock::wall());
        slot.last_error = done.report.error().map(str::to_owned);
        match done.unsettled {
            None => slot.lane.end(),
            Some(settlement) => {
                slot.unsettled = Some(settlement);
                self.outbox_at = self.outbox_at.max(now + limits::OUTBOX_RETRY);
            }
        }
        // A late report about the target as it was configured before says nothing of what it is.
        if done.spec != slot.lane.spec {
            return;
        }
        let wall = clock::wall();
        let before = slot.lane.memory(now, wall);
        if let Some(chat) = done.report.moved_to.clone() {
            slot.lane.move_to(chat);
        }
        let change = slot.lane.feed(done.report.breaker_input(), now);
        let host = slot.lane.host.clone();
        if let Some(until) = hold(&mut slot.lane, &done.report, now) {
            let held = self.hosts.entry(host).or_default();
            *held = until.max(*held);
        }
        let after = slot.lane.memory(now, wall);
        if after != before {
            self.remember(&done.target, &after);
        }
        if let Some(change) = change {
            self.tell(&done.target, change, done.report.error());
        }
    }

    /// What cannot be kept is found out again after a restart.
    fn remember(&self, target: &str, memory: &LaneMemory) {
        if let Err(error) = self.outbox.remember(target, memory) {
            log::warn!("the state of target {target} is not kept: {error}");
        }
    }

    /// Takes up what an earlier run of ours has kept.
    fn recall(&mut self) {
        let (now, wall) = (clock::mono(), clock::wall());
        match self.outbox.recall() {
            Ok(kept) => {
                for (target, memory) in kept {
                    if let Some(slot) = slot_of(&mut self.slots, &target) {
                        slot.lane.recall(&memory, now, wall);
                    }
                }
            }
            Err(error) => log::warn!("the state of the targets is not known: {error}"),
        }
    }

    fn tell(&self, target: &Arc<str>, change: Change, cause: Option<&str>) {
        let (kind, severity) = match change {
            Change::Opened => (EventKind::TargetFailing, Severity::Warning),
            Change::Died => (EventKind::TargetFailing, Severity::Critical),
            Change::Closed => (EventKind::TargetRestored, Severity::Warning),
        };
        let mut event = Event::new(kind, clock::wall());
        event.severity = severity;
        event.facts.target = Some(target.to_string());
        event.facts.cause = cause.map(str::to_owned);
        (self.emit)(event);
    }

    fn configure(&mut self, targets: Vec<Arc<TargetSpec>>) {
        let now = clock::mono();
        let mut old = std::mem::take(&mut self.slots);
        let mut told = Vec::new();
        for spec in targets {
            let mut slot = match old.iter().position(|s| s.lane.spec.name == spec.name) {
                Some(at) => old.swap_remove(at),
                None => Slot::new(Arc::clone(&spec)),
            };
            slot.is_leaving = false;
            if slot.lane.spec != spec {
                let change = slot.lane.change(Arc::clone(&spec), now);
                told.extend(change.map(|c| (Arc::clone(&spec.name), c)));
                self.remember(&spec.name, &slot.lane.memory(now, clock::wall()));
            }
            self.slots.push(slot);
        }
        for mut slot in old {
            slot.is_leaving = true;
            self.slots.push(slot);
        }
        for (target, change) in told {
            self.tell(&target, change, Some("its configuration changed"));
        }
    }

    fn nudge(&mut self, target: Option<&str>) {
        let now = clock::mono();
        for slot in &mut self.slots {
            if target.is_none_or(|t| *slot.lane.spec.name == *t) {
                // A nudge tells nobody anything: what comes of the attempt does.
                let _ = slot.lane.feed(Input::Nudged, now);
                self.hosts.remove(&slot.lane.host);
            }
        }
    }

    fn publish(&self) {
        let now = clock::mono();
        let views = self
            .slots
            .iter()
            .filter(|s| !s.is_leaving)
            .map(|slot| TargetView {
                name: slot.lane.spec.name.to_string(),
                kind: slot.lane.spec.provider.kind().to_owned(),
                state: self.state(slot, now),
                pending: 0,
                delivered: 0,
                failed: 0,
                last_activity: slot.last_activity,
                last_error: slot.last_error.clone(),
            });
        self.board.publish(views.collect());
    }

    /// Whether the last pass has done what it can: nothing in flight, nothing left that may go in its time.
    fn is_over(&self) -> bool {
        let Some(closing) = &self.closing else {
            return false;
        };
        let now = clock::mono();
        let is_idle = !self.slots.iter().any(|s| s.lane.is_busy());
        now >= closing.deadline
            || (is_idle && now >= self.outbox_at && !self.will_have_work(closing, now))
    }

    /// Whether a row waits only for its target's rate or stated wait, which ends before the pass does. An open
    /// breaker and a retry are not waited for: a dead target would make every shutdown as long as may be.
    fn will_have_work(&self, closing: &Closing, now: Mono) -> bool {
        let soon: Vec<Arc<str>> = self
            .slots
            .iter()
            .filter(|s| matches!(self.gate(s, now), Gate::Until(at) if at < closing.deadline))
            .filter(|s| self.state(s, now) == TargetState::Waiting)
            .map(|s| Arc::clone(&s.lane.spec.name))
            .collect();
        if soon.is_empty() {
            return false;
        }
        let due = self.outbox.next_due(&soon);
        due.is_ok_and(|due| due.is_some_and(|due| due <= closing.since))
    }

    fn report_end(self) {
        let in_flight = self.slots.iter().filter(|s| s.lane.is_busy()).count();
        let kept = self.outbox.pending().ok();
        if let Some(closing) = self.closing {
            let _ = closing.reply.try_send(LastPass {
                delivered: closing.delivered,
                kept,
                in_flight,
            });
        }
    }
}

fn slot_of<'a>(slots: &'a mut [Slot], target: &str) -> Option<&'a mut Slot> {
    slots.iter_mut().find(|s| *s.lane.spec.name == *target)
}

/// Holds the lane for what the target asked; returns until when its whole host is held instead.
fn hold(lane: &mut Lane, report: &Report, now: Mono) -> Option<Mono> {
    if let Some(pause) = report.pause {
        lane.hold(now + pause.min(limits::HOLD_MAX));
    }
    let Outcome::Retryable {
        after: Some(wait), ..
    } = report.outcome
    else {
        return None;
    };
    let until = now + retry::stated(wait);
    match report.scope {
        Scope::Target => lane.hold(until),
        Scope::Host => return Some(until),
    }
    None
}

/// The settlement of a row that was not sent.
fn unsent(leased: &Leased, verdict: Verdict, now: Wall, why: &str) -> Settlement {
    Settlement {
        id: leased.id,
        verdict,
        started_at: now,
        took: Duration::ZERO,
        status: None,
        error: Some(why.to_owned()),
        frozen_body: None,
    }
}
