//! The pool: a fixed number of threads that take one job at a time, send it, settle it and report. They end when
//! the dispatcher drops the jobs' sender.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use parking_lot::RwLock;

use super::Message;
use super::attempt::{Attempt, Report};
use super::board::Board;
use super::outbox::Outbox;
use super::retry::{self, Row};
use super::{providers, standing};
use crate::clock::{self, Mono, Wall};
use crate::fetch::Client;
use crate::limits;
use crate::model::delivery::{Leased, Settlement, Verdict};
use crate::model::target::TargetSpec;

/// A leased delivery on its way to a worker.
pub(super) struct Job {
    pub(super) leased: Leased,
    pub(super) spec: Arc<TargetSpec>,
    pub(super) moved_to: Option<String>,
    /// The attempt ends by then even if the target's own time-out is longer.
    pub(super) deadline: Option<Mono>,
}

/// A finished job.
pub(super) struct Done {
    pub(super) target: Arc<str>,
    /// The target as it was configured when the job was handed out.
    pub(super) spec: Arc<TargetSpec>,
    pub(super) report: Report,
    pub(super) verdict: Verdict,
    /// The settlement, when the outbox did not take it: to be tried again.
    pub(super) unsettled: Option<Settlement>,
}

/// What every worker needs.
pub(super) struct Bench {
    /// Readable once nobody waits for attempts any more.
    pub(super) cancel: Arc<OwnedFd>,
    pub(super) client: Arc<Client>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) host: Arc<RwLock<Arc<str>>>,
    pub(super) board: Arc<Board>,
}

/// The body of one worker's thread.
pub(super) fn run(bench: &Bench, name: &str, jobs: &Receiver<Box<Job>>, done: &Sender<Message>) {
    let place = bench.board.enlist(name);
    for job in jobs {
        let target = Arc::clone(&job.leased.target);
        bench
            .board
            .mark(place, Some(Arc::clone(&target)), clock::wall());
        let finished = bench.work(*job);
        bench.board.mark(place, None, clock::wall());
        // The dispatcher is gone only after it has given us up.
        let _ = done.send(Message::Done(Box::new(finished)));
    }
}

impl Bench {
    fn work(&self, job: Job) -> Done {
        let (started, started_at) = (clock::mono(), clock::wall());
        // A bug in rendering one message must not take the worker, the lane and the row with it.
        let attempt = std::panic::AssertUnwindSafe(|| self.attempt(&job, started));
        let report = std::panic::catch_unwind(attempt)
            .unwrap_or_else(|_| Report::unsent("the attempt panicked (a bug of ours)"));
        let took = clock::mono().since(started);
        let row = Row {
            attempts: job.leased.attempts,
            expires_at: job.leased.expires_at,
        };
        let now = clock::wall();
        let verdict = retry::verdict(&report.outcome, row, now, fastrand::f64());
        let pause = providers::of(&job.spec.provider).stands(&job.leased);
        let verdict = standing::keep(verdict, pause, now);
        log_attempt(&job, &report, &verdict);
        let settlement = settlement(&job, &report, &verdict, (started_at, took));
        let unsettled = match self.outbox.settle(&settlement) {
            Ok(()) => None,
            Err(error) => {
                log::warn!(
                    "delivery {} to {}: its outcome is kept until it can be stored: {error}",
                    job.leased.id,
                    job.leased.target
                );
                Some(settlement)
            }
        };
        Done {
            target: job.leased.target,
            spec: job.spec,
            report,
            verdict,
            unsettled,
        }
    }

    fn attempt(&self, job: &Job, started: Mono) -> Report {
        let host = Arc::clone(&*self.host.read());
        let own = started + job.spec.timeout.min(limits::ATTEMPT_MAX);
        Attempt {
            client: &self.client,
            spec: &job.spec,
            leased: &job.leased,
            host: &host,
            moved_to: job.moved_to.clone(),
            cancel: self.cancel.as_fd(),
            deadline: job.deadline.map_or(own, |end| end.min(own)),
        }
        .make()
    }
}

fn settlement(
    job: &Job,
    report: &Report,
    verdict: &Verdict,
    (started_at, took): (Wall, Duration),
) -> Settlement {
    let is_first = job.leased.frozen_body.is_none();
    Settlement {
        id: job.leased.id,
        verdict: verdict.clone(),
        started_at,
        took,
        status: report.status,
        error: report.error().map(str::to_owned),
        frozen_body: report.frozen_body.clone().filter(|_| is_first),
        with: job.leased.known.with.clone(),
        is_doubtful: report.is_doubtful,
        effect: report.effect.clone(),
        deed: super::deed::deed(report),
    }
}

fn log_attempt(job: &Job, report: &Report, verdict: &Verdict) {
    let (id, target) = (job.leased.id, &job.leased.target);
    if let Some(refused) = &report.degraded {
        log::warn!("delivery {id} to {target}: the form was refused ({refused}); sent plainer");
    }
    if let Some(refused) = &report.placeless {
        log::warn!("delivery {id} to {target}: its thread is not there ({refused}); sent without");
    }
    if let Some(chat) = &report.moved_to {
        log::warn!("target {target}: the chat has moved; its chat_id should be {chat}");
    }
    let why = report.error().or(report.skipped).unwrap_or("taken");
    match verdict {
        Verdict::Delivered { .. } | Verdict::Standing { .. } => {
            log::debug!("delivery {id} to {target}: {why}");
        }
        // Quiet: every attempt is a row, `status` shows the last fault, and `target.failing` is told aloud.
        Verdict::RetryAt { due, .. } => {
            log::debug!("delivery {id} to {target}: {why}; again at {due}");
        }
        Verdict::Dead => log::warn!("delivery {id} to {target} is given up: {why}"),
        Verdict::Expired => log::warn!("delivery {id} to {target} became too old: {why}"),
    }
}
