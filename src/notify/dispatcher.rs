//! The dispatcher: one thread that leases what is due for the targets that may be sent to, hands it to the pool,
//! and moves lanes by what comes back. It waits for its inbox and for points in time, never for a target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};

use super::board::Board;
use super::breaker::Change;
use super::host::HostMemory;
use super::lane::LaneMemory;
use super::lanes::Lanes;
use super::losses::Losses;
use super::outbox::{Outbox, OutboxError};
use super::worker::{Done, Job};
use super::{LastPass, Message};
use crate::clock::{self, Mono, Wall};
use crate::limits;
use crate::model::delivery::{Leased, Settlement, Verdict};
use crate::model::event::{Event, EventKind, Severity};
use crate::model::living::Effect;
use crate::model::target::TargetSpec;
use crate::text;

/// Tells the rest of the program what happened to a target. Must not block.
pub type Emit = Box<dyn Fn(Event) + Send + Sync>;

/// What the thread is started with.
pub(super) struct Start {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) board: Arc<Board>,
    pub(super) emit: Emit,
    pub(super) inbox: Receiver<Message>,
    pub(super) woken: Arc<AtomicBool>,
    /// Boxed: the channel has room for a thousand, and touches all of it at the start.
    pub(super) jobs: Sender<Box<Job>>,
    pub(super) targets: Vec<Arc<TargetSpec>>,
    /// How much may wait for each of them.
    pub(super) queue: usize,
}

/// The last pass under way.
struct Closing {
    /// Rows due by then are part of the pass; those put off during it are not.
    since: Wall,
    deadline: Mono,
    reply: Sender<LastPass>,
    delivered: u64,
}

pub(super) struct Dispatcher {
    outbox: Arc<dyn Outbox>,
    board: Arc<Board>,
    emit: Emit,
    inbox: Receiver<Message>,
    woken: Arc<AtomicBool>,
    jobs: Sender<Box<Job>>,
    lanes: Lanes,
    /// After a fault of the outbox nothing is leased before then.
    lease_at: Mono,
    closing: Option<Closing>,
    queue: usize,
    losses: Losses,
    /// When it is looked again what was dropped.
    look_at: Mono,
}

impl Dispatcher {
    pub(super) fn new(start: Start) -> Self {
        Self {
            outbox: start.outbox,
            board: start.board,
            emit: start.emit,
            inbox: start.inbox,
            woken: start.woken,
            jobs: start.jobs,
            lanes: Lanes::new(start.targets),
            lease_at: Mono::default(),
            closing: None,
            queue: start.queue,
            losses: Losses::default(),
            look_at: Mono::default(),
        }
    }

    /// The thread's body: ends with the last pass, dropping the jobs' sender and so the pool.
    pub(super) fn run(mut self) {
        self.recall();
        self.keep_terms();
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
        self.lanes.tidy(now);
        self.settle_kept(now);
        let passing = self.pass_on(now);
        self.look_for_losses(now);
        let next = if now < self.lease_at {
            Some(self.lease_at)
        } else {
            self.lease(now).unwrap_or_else(|error| {
                log::warn!("deliveries wait: {error}");
                self.lease_at = now + limits::OUTBOX_RETRY;
                Some(self.lease_at)
            })
        };
        let after = clock::mono();
        self.board.publish(self.lanes.views(after, clock::wall()));
        // As they were when the lease was asked for: a gate that has opened since wants another turn, not the sweep.
        self.lanes
            .next_times(now)
            .chain(next)
            .chain(passing)
            .chain(self.closing.as_ref().map(|c| c.deadline))
            .map(|at| at.since(after).max(limits::DISPATCH_TICK_MIN))
            .fold(limits::OUTBOX_SWEEP, Duration::min)
    }

    /// Lets fallbacks be told what cannot be told otherwise; returns when there is more to do in that.
    fn pass_on(&self, now: Mono) -> Option<Mono> {
        let wall = clock::wall();
        let (passing, next) = self.lanes.to_pass_on(wall);
        let count = if passing.is_empty() {
            Ok(0)
        } else {
            self.outbox.pass_on(&passing, wall)
        };
        match count {
            Ok(0) => {}
            Ok(count) => log::warn!(
                "{count} messages for {} go to the fallback",
                passing.join(", ")
            ),
            Err(error) => {
                log::warn!("fallbacks are not told: {error}");
                return Some(now + limits::OUTBOX_RETRY);
            }
        }
        next.map(|left| now + left)
    }

    /// Says what the outbox had no room for. Whoever adds a row wakes us, so nothing is looked for without that.
    fn look_for_losses(&mut self, now: Mono) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + limits::DROPPED_LOOK;
        // A fault is told where rows are leased.
        let counts = self.outbox.dropped().unwrap_or_default();
        for (target, count) in self.losses.learn(&counts, now) {
            let cause = format!(
                "more than {} messages waited for {target}; the least severe went first",
                self.queue
            );
            let mut event = Event::new(EventKind::LogsDropped, clock::wall());
            event.facts.target = Some(target);
            event.facts.count = Some(count);
            event.facts.cause = Some(cause);
            (self.emit)(event);
        }
    }

    /// Who stands in for whom, and how much may wait.
    fn keep_terms(&self) {
        if let Err(error) = self.outbox.keep_bounds(&self.lanes.bounds(self.queue)) {
            log::warn!("how much may wait for targets is not kept: {error}");
        }
        if let Err(error) = self.outbox.keep_fallbacks(&self.lanes.fallbacks()) {
            log::warn!("the fallbacks of targets are not kept: {error}");
        }
    }

    /// Leases what is due and hands it out; returns when the next row of a target that may be sent to is due.
    fn lease(&mut self, now: Mono) -> Result<Option<Mono>, OutboxError> {
        if self.closing.as_ref().is_some_and(|c| c.deadline <= now) {
            return Ok(None);
        }
        let free = self.lanes.claims(now, self.room());
        if free.is_empty() {
            return Ok(None);
        }
        for leased in self.outbox.lease_due(&free, clock::wall())? {
            self.hand_out(leased, now);
        }
        let idle = self.lanes.claims(now, self.room());
        if idle.is_empty() {
            return Ok(None);
        }
        let due = self.outbox.next_due(&idle)?;
        // A row that is due and was not leased waits for an earlier one of its incident: no reason to spin.
        let wait = |due: Wall| due.since(clock::wall()).max(limits::DISPATCH_RECHECK);
        Ok(due.map(|due| now + wait(due)))
    }

    /// What the pool's queue has room for; nobody else fills it.
    fn room(&self) -> usize {
        let capacity = self.jobs.capacity().unwrap_or_default();
        capacity.saturating_sub(self.jobs.len())
    }

    fn hand_out(&mut self, leased: Leased, now: Mono) {
        let deadline = self.closing.as_ref().map(|c| c.deadline);
        let target = Arc::clone(&leased.target);
        if self.lanes.of(&target).is_none_or(|s| s.lane.is_busy()) {
            log::error!(
                "a delivery was leased for {target}, which may not be sent to (a bug of ours)"
            );
            return;
        }
        self.lanes.begin(&target, now);
        let Some(slot) = self.lanes.of(&target) else {
            return;
        };
        let wall = clock::wall();
        if leased.expires_at <= wall {
            let settlement = unsent(&leased, Verdict::Expired, wall, "became too old");
            slot.unsettled = Some((settlement, now));
            return self.settle_kept(now);
        }
        let job = Box::new(Job {
            spec: Arc::clone(&slot.lane.spec),
            moved_to: slot.lane.moved_to().map(str::to_owned),
            deadline,
            leased,
        });
        // There is room: it was counted before the lease. Without a pool the row goes back.
        if let Err(refused) = self.jobs.try_send(job) {
            let back = Verdict::RetryAt {
                due: wall,
                counts: false,
            };
            let settlement = unsent(
                &refused.into_inner().leased,
                back,
                wall,
                "no worker is left",
            );
            slot.unsettled = Some((settlement, now));
            self.settle_kept(now);
        }
    }

    /// Offers outcomes again that the outbox did not take. Each lane waits for its own alone.
    fn settle_kept(&mut self, now: Mono) {
        for slot in &mut self.lanes.slots {
            let Some((settlement, at)) = &mut slot.unsettled else {
                continue;
            };
            if *at > now {
                continue;
            }
            if let Err(error) = self.outbox.settle(settlement) {
                log::debug!(
                    "the outcome of {} cannot be stored yet: {error}",
                    settlement.id
                );
                *at = now + limits::OUTBOX_RETRY;
            } else {
                slot.unsettled = None;
                slot.lane.end();
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Wake => {}
            Message::Done(done) => self.finish(*done),
            Message::Configure(targets) => self.configure(targets),
            Message::Nudge(target) => self.lanes.nudge(target.as_deref(), clock::mono()),
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
        let (now, wall) = (clock::mono(), clock::wall());
        let is_taken = matches!(
            done.verdict,
            Verdict::Delivered { .. } | Verdict::Standing { .. }
        );
        if let (Some(closing), true) = (&mut self.closing, is_taken) {
            closing.delivered += 1;
        }
        let Some(slot) = self.lanes.of(&done.target) else {
            return;
        };
        slot.last_activity = Some(wall);
        slot.last_error = done.report.error().map(str::to_owned);
        match done.unsettled {
            None => slot.lane.end(),
            Some(settlement) => slot.unsettled = Some((settlement, now + limits::OUTBOX_RETRY)),
        }
        // A late report about the target as it was configured before says nothing of what it is.
        if done.spec != slot.lane.spec {
            return;
        }
        let learnt = self.lanes.learn(&done.target, &done.report, (now, wall));
        if let Some(memory) = learnt.lane {
            self.remember(&done.target, &memory);
        }
        if let Some((host, memory)) = learnt.host {
            self.remember_host(&host, &memory);
        }
        self.tell_news(done.report.error());
    }

    fn configure(&mut self, targets: Vec<Arc<TargetSpec>>) {
        let (now, wall) = (clock::mono(), clock::wall());
        for target in self.lanes.configure(targets, now) {
            if let Some(memory) = self.lanes.of(&target).map(|s| s.lane.memory(now, wall)) {
                self.remember(&target, &memory);
            }
        }
        self.keep_terms();
        self.tell_news(Some("its configuration changed"));
    }

    fn tell_news(&mut self, cause: Option<&str>) {
        let (now, wall) = (clock::mono(), clock::wall());
        for (target, change) in self.lanes.news(wall) {
            // Since when it has been failing.
            if let Some(memory) = self.lanes.of(&target).map(|s| s.lane.memory(now, wall)) {
                self.remember(&target, &memory);
            }
            if change == Change::Opened
                && let Some(slot) = self.lanes.of(&target)
                && let Some(fallback) = &slot.lane.spec.fallback
            {
                let after = text::duration(fallback.after);
                log::warn!(
                    "{} is told in the place of {target} if this lasts {after}",
                    fallback.to
                );
            }
            self.tell(&target, change, cause);
        }
    }

    /// What cannot be kept is found out again after a restart.
    fn remember(&self, target: &str, memory: &LaneMemory) {
        if let Err(error) = self.outbox.remember(target, memory) {
            log::warn!("the state of target {target} is not kept: {error}");
        }
    }

    fn remember_host(&self, host: &str, memory: &HostMemory) {
        if let Err(error) = self.outbox.remember_host(host, memory) {
            log::warn!("the state of {host} is not kept: {error}");
        }
    }

    /// Takes up what an earlier run of ours has kept.
    fn recall(&mut self) {
        let now = (clock::mono(), clock::wall());
        let kept = self.outbox.recall().and_then(|lanes| {
            let hosts = self.outbox.recall_hosts()?;
            Ok((lanes, hosts))
        });
        let (lanes, hosts) = kept.unwrap_or_else(|error| {
            log::warn!("the state of the targets is not known: {error}");
            (Vec::new(), Vec::new())
        });
        self.lanes.recall(&lanes, &hosts, now);
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

    /// Whether the last pass has done what it can: nothing in flight, nothing left that may go in its time.
    fn is_over(&self) -> bool {
        let Some(closing) = &self.closing else {
            return false;
        };
        let now = clock::mono();
        let is_done =
            || self.lanes.is_idle() && now >= self.lease_at && !self.will_go(closing, now);
        now >= closing.deadline || is_done()
    }

    /// Whether a row waits only for its target's rate or stated wait, which ends before the pass does. An open
    /// breaker and a retry are not waited for: a dead target would make every shutdown as long as may be.
    fn will_go(&self, closing: &Closing, now: Mono) -> bool {
        let soon = self.lanes.claims_before(closing.deadline, now);
        if soon.is_empty() {
            return false;
        }
        let due = self.outbox.next_due(&soon);
        due.is_ok_and(|due| due.is_some_and(|due| due <= closing.since))
    }

    fn report_end(self) {
        let kept = self.outbox.pending().ok();
        if let Some(closing) = self.closing {
            let _ = closing.reply.try_send(LastPass {
                delivered: closing.delivered,
                kept,
                in_flight: self.lanes.in_flight(),
            });
        }
    }
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
        with: leased.known.with.clone(),
        is_doubtful: false,
        effect: Effect::default(),
        deed: crate::model::deed::Deed::default(),
    }
}
