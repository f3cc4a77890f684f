//! What waits for the writer: bounded queues under one lock, and what of them is due. Nothing here touches
//! the database, and nobody who hands something over waits.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::buffer::{Buffer, Policy};
use super::checkpoint::{Batch, CheckpointBuffer};
use super::error::{Fault, StoreError};
use super::stats::{Counter, Counters};
use super::tx::WriteConn;
use super::write::Writes;
use crate::clock::{self, Mono};
use crate::limits;
use crate::model::log::LogBatch;
use crate::model::sample::{HostSample, Sample};
use crate::model::write::Write;

/// The samples of one tick.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) samples: Vec<Sample>,
    pub(super) host: Option<HostSample>,
}

/// A call whose caller waits for the answer; says what it says of the storage.
pub(super) type Job = Box<dyn FnOnce(&WriteConn<'_>) -> Result<(), Option<Fault>> + Send>;

/// What the writer does next.
pub(super) enum Work {
    Job(Job),
    Writes(VecDeque<Write>),
    Logs(Vec<LogBatch>),
    Samples(Vec<Tick>),
    Checkpoint(VecDeque<Batch>),
    Retention,
    End,
}

/// What the writer knows that decides what is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// Nothing but jobs before then.
    pub(super) pause_until: Mono,
    /// The last write failed: whatever waits shows whether it would pass.
    pub(super) is_failing: bool,
    /// When old rows are looked for.
    pub(super) retention: Mono,
}

/// The queues.
pub(super) struct Queues {
    writes: Writes,
    jobs: VecDeque<Job>,
    samples: Buffer<Tick>,
    logs: Buffer<LogBatch>,
    checkpoint: CheckpointBuffer,
    in_flight: usize,
    flushers: usize,
    hurry: bool,
    is_closed: bool,
}

impl Queues {
    /// Records, samples, log records and checkpoint values that wait or are being written.
    pub(super) fn len(&self) -> usize {
        let rows = self.samples.rows() + self.logs.rows() + self.checkpoint.len();
        self.writes.len() + rows + self.in_flight
    }

    fn is_drained(&self) -> bool {
        self.len() == 0 && self.samples.is_empty() && self.logs.is_empty()
    }

    fn pick(&mut self, now: Mono, outlook: Outlook) -> Option<Work> {
        if let Some(job) = self.jobs.pop_front() {
            return Some(Work::Job(job));
        }
        if self.is_closed {
            return Some(Work::End);
        }
        if now < outlook.pause_until && !std::mem::take(&mut self.hurry) {
            return None;
        }
        if self.writes.len() > 0 {
            return Some(Work::Writes(self.writes.take()));
        }
        let all = outlook.is_failing || self.flushers > 0;
        let is_due = |due: Option<Mono>| due.is_some_and(|due| all || due <= now);
        if is_due(self.logs.due()) {
            return Some(Work::Logs(self.logs.take(now)));
        }
        if is_due(self.samples.due()) {
            return Some(Work::Samples(self.samples.take(now)));
        }
        let waits = self.checkpoint.len() > 0;
        if self.checkpoint.due() <= now || outlook.is_failing || (all && waits) {
            return Some(Work::Checkpoint(self.checkpoint.take(now)));
        }
        (outlook.retention <= now).then_some(Work::Retention)
    }

    /// When something is due if nothing more comes in.
    fn deadline(&self, now: Mono, outlook: Outlook) -> Mono {
        if now < outlook.pause_until {
            return outlook.pause_until;
        }
        let first = self.checkpoint.due().min(outlook.retention);
        let rows = [self.logs.due(), self.samples.due()];
        rows.into_iter().flatten().fold(first, Mono::min)
    }

    fn rows_of(work: &Work) -> usize {
        match work {
            Work::Job(_) | Work::Retention | Work::End => 0,
            Work::Writes(writes) => writes.len(),
            // A batch of cursors alone is something too.
            Work::Logs(batches) => batches.iter().map(|b| b.records.len().max(1)).sum(),
            Work::Samples(ticks) => ticks.iter().map(Tick::rows).sum(),
            Work::Checkpoint(batches) => batches.iter().map(Vec::len).sum(),
        }
    }
}

impl Tick {
    pub(super) fn rows(&self) -> usize {
        self.samples.len() + usize::from(self.host.is_some())
    }
}

/// The queues with their lock and wake-ups.
pub(super) struct Inbox {
    queues: Mutex<Queues>,
    work: Condvar,
    drained: Condvar,
}

impl Inbox {
    pub(super) fn new(checkpoint: CheckpointBuffer) -> Self {
        let samples = Policy {
            batch: limits::STORE_SAMPLES_BATCH,
            wait: limits::STORE_SAMPLES_WAIT,
            max: limits::STORE_SAMPLES_MAX,
            commit: limits::STORE_ROWS_PER_COMMIT,
        };
        let logs = Policy {
            batch: limits::STORE_LOGS_BATCH,
            wait: limits::STORE_LOGS_WAIT,
            max: limits::STORE_LOGS_MAX,
            commit: limits::STORE_ROWS_PER_COMMIT,
        };
        Self {
            queues: Mutex::new(Queues {
                writes: Writes::default(),
                jobs: VecDeque::new(),
                samples: Buffer::new(samples, Tick::rows),
                logs: Buffer::new(logs, |batch| batch.records.len()),
                checkpoint,
                in_flight: 0,
                flushers: 0,
                hurry: false,
                is_closed: false,
            }),
            work: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// The queues, to be let go at once.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock()
    }

    fn add(&self, lost: &Counter, rows: usize, add: impl FnOnce(&mut Queues)) {
        let mut queues = self.queues.lock();
        if queues.is_closed {
            lost.add(rows);
            return;
        }
        add(&mut queues);
        drop(queues);
        self.work.notify_one();
    }

    pub(super) fn record(&self, counters: &Counters, write: Write) {
        self.add(&counters.dropped_records, 1, |q| {
            counters.dropped_records.add(q.writes.push(write));
        });
    }

    pub(super) fn samples(&self, counters: &Counters, tick: Tick) {
        self.add(&counters.dropped_samples, tick.rows(), |q| {
            q.samples.push(tick, clock::mono());
            counters.dropped_samples.add(q.samples.take_dropped());
        });
    }

    pub(super) fn logs(&self, counters: &Counters, batch: LogBatch) {
        self.add(&counters.dropped_logs, batch.records.len(), |q| {
            q.logs.push(batch, clock::mono());
            counters.dropped_logs.add(q.logs.take_dropped());
        });
    }

    pub(super) fn checkpoint(&self, counters: &Counters, (key, value): (String, String)) {
        self.add(&counters.dropped_checkpoints, 1, |q| {
            q.checkpoint.put(key, value);
            counters
                .dropped_checkpoints
                .add(q.checkpoint.take_dropped());
        });
    }

    /// Whether the job was taken on; the error says whether because of the end or of too many.
    pub(super) fn job(&self, job: Job) -> Result<(), StoreError> {
        let mut queues = self.queues.lock();
        if queues.is_closed {
            return Err(StoreError::Closed);
        }
        if queues.jobs.len() >= limits::STORE_JOBS_MAX {
            return Err(StoreError::Overloaded);
        }
        queues.jobs.push_back(job);
        drop(queues);
        self.work.notify_one();
        Ok(())
    }

    /// Waits for the next work. What is taken counts as in flight until [`Inbox::done`].
    pub(super) fn next(&self, outlook: Outlook) -> Work {
        let mut queues = self.queues.lock();
        loop {
            let now = clock::mono();
            if let Some(work) = queues.pick(now, outlook) {
                queues.in_flight = Queues::rows_of(&work);
                return work;
            }
            let wait = queues.deadline(now, outlook).since(now);
            self.work.wait_for(&mut queues, wait);
        }
    }

    /// The work has been committed, or what failed of it has been put back by `put_back`.
    pub(super) fn done(&self, put_back: impl FnOnce(&mut Returns<'_>)) {
        let mut queues = self.queues.lock();
        put_back(&mut Returns(&mut queues));
        queues.in_flight = 0;
        drop(queues);
        self.drained.notify_all();
    }

    /// Makes everything due until nothing waits or `until`; says how much still waits.
    pub(super) fn flush(&self, until: Mono) -> usize {
        let mut queues = self.queues.lock();
        queues.flushers += 1;
        queues.hurry = true;
        self.work.notify_one();
        while !queues.is_drained() && !queues.is_closed {
            let now = clock::mono();
            if now >= until {
                break;
            }
            self.drained.wait_for(&mut queues, until.since(now));
        }
        queues.flushers -= 1;
        queues.len()
    }

    /// Takes nothing more on; the writer ends after its current work.
    pub(super) fn close(&self) {
        self.queues.lock().is_closed = true;
        self.work.notify_one();
        self.drained.notify_all();
    }
}

/// The ways to give back what could not be written: always in front, in order.
pub(super) struct Returns<'q>(&'q mut Queues);

impl Returns<'_> {
    pub(super) fn writes(&mut self, counters: &Counters, writes: VecDeque<Write>) {
        counters.dropped_records.add(self.0.writes.put_back(writes));
    }

    pub(super) fn logs(&mut self, counters: &Counters, batches: Vec<LogBatch>) {
        self.0.logs.put_back(batches, clock::mono());
        counters.dropped_logs.add(self.0.logs.take_dropped());
    }

    pub(super) fn samples(&mut self, counters: &Counters, ticks: Vec<Tick>) {
        self.0.samples.put_back(ticks, clock::mono());
        counters.dropped_samples.add(self.0.samples.take_dropped());
    }

    pub(super) fn checkpoint(&mut self, counters: &Counters, batches: VecDeque<Batch>) {
        self.0.checkpoint.put_back(batches);
        counters
            .dropped_checkpoints
            .add(self.0.checkpoint.take_dropped());
    }
}
