//! The threads that check, a fixed number of them, and the one that hands them their work. Owns the schedule and
//! the verdicts; what a changed verdict means is for others.
//!
//! ```text
//! probe, unprobe ──bounded──▶ "probes": schedule ──bounded──▶ "probe-N": check
//!                                 ▲      verdicts ─▶ sink         │
//!                                 └───────────bounded─────────────┘
//! ```
//! Work is handed out only when a worker is free for it, so neither channel between them is ever full.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, after, bounded, never, select};
use rustix::event::{EventfdFlags, eventfd};

use super::check::{Surroundings, check};
use super::schedule::{Lane, Pace, Schedule};
use super::verdict::{Outcome, Verdict};
use super::{Id, Report, Sink, Target};
use crate::clock;
use crate::fetch::Client;
use crate::ids::RunId;
use crate::limits;
use crate::model::health::Probe;

/// What the schedule is told.
pub(super) enum Word {
    Begin(Box<Target>),
    End(RunId),
}

struct Job {
    id: Id,
    lane: Lane,
    probe: Arc<Probe>,
    surroundings: Arc<Surroundings>,
    cancel: Arc<OwnedFd>,
}

struct Done {
    id: Id,
    lane: Lane,
    outcome: Outcome,
}

struct Checked {
    probe: Arc<Probe>,
    surroundings: Arc<Surroundings>,
    verdict: Verdict,
    /// Rung to end a check that is under way.
    cancel: Option<Arc<OwnedFd>>,
}

/// The thread "probes"; see the file's head.
pub(super) struct Scheduler {
    schedule: Schedule<Id>,
    checked: HashMap<Id, Checked>,
    jobs: Sender<Job>,
    done: Receiver<Done>,
    sink: Arc<Sink>,
}

/// Starts all threads. The last one of them ends when `inbox` closes and the checks under way are over; then
/// `is_over` is dropped.
pub(super) fn start(
    inbox: Receiver<Word>,
    sink: Arc<Sink>,
    is_over: Sender<()>,
) -> io::Result<JoinHandle<()>> {
    let (jobs, work) = bounded::<Job>(limits::PROBE_WORKERS);
    let (tell_done, done) = bounded(limits::PROBE_WORKERS);
    let client = Arc::new(Client::default());
    let mut workers = Vec::with_capacity(limits::PROBE_WORKERS);
    for i in 0..limits::PROBE_WORKERS {
        let (work, tell_done, client) = (work.clone(), tell_done.clone(), Arc::clone(&client));
        let worker = move || {
            for job in work {
                let outcome = check(&client, &job.probe, &job.surroundings, &job.cancel);
                let (id, lane) = (job.id, job.lane);
                // At the end nobody listens any more.
                let _ = tell_done.send(Done { id, lane, outcome });
            }
        };
        workers.push(crate::thread::spawn_named(&format!("probe-{i}"), worker)?);
    }
    let scheduler = Scheduler {
        schedule: Schedule::default(),
        checked: HashMap::new(),
        jobs,
        done,
        sink,
    };
    crate::thread::spawn_named("probes", move || {
        scheduler.run(&inbox);
        for worker in workers {
            // A panic was logged by the thread itself.
            let _ = worker.join();
        }
        drop(is_over);
    })
}

impl Scheduler {
    fn run(mut self, inbox: &Receiver<Word>) {
        loop {
            self.hand_out();
            let now = clock::mono();
            let timer = match self.schedule.next_due(now) {
                Some(at) => after(at.since(now)),
                None => never(),
            };
            select! {
                recv(inbox) -> word => match word {
                    Ok(Word::Begin(target)) => self.begin(*target),
                    Ok(Word::End(run)) => self.end(run),
                    Err(_) => return self.cancel_all(),
                },
                recv(self.done) -> done => match done {
                    Ok(done) => self.over(done),
                    // Every worker has panicked.
                    Err(_) => return,
                },
                recv(timer) -> _ => {}
            }
        }
    }

    fn hand_out(&mut self) {
        let now = clock::mono();
        while let Some((id, lane)) = self.schedule.begin(now) {
            let cancel = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let (Some(checked), Ok(cancel)) = (self.checked.get_mut(&id), cancel) else {
                // No descriptor is to be had: that says nothing of the target. It is asked again.
                self.schedule.end(id, false, now);
                self.schedule.worker_free(lane);
                return;
            };
            let cancel = Arc::new(cancel);
            checked.cancel = Some(Arc::clone(&cancel));
            let job = Job {
                id,
                lane,
                probe: Arc::clone(&checked.probe),
                surroundings: Arc::clone(&checked.surroundings),
                cancel,
            };
            // There is room: the schedule gives no more than there are workers.
            let _ = self.jobs.try_send(job);
        }
    }

    fn begin(&mut self, target: Target) {
        let pace = Pace {
            interval: target.probe.interval,
            initial_delay: target.probe.initial_delay,
        };
        self.schedule.add(target.id, pace, clock::mono());
        let checked = Checked {
            probe: target.probe,
            surroundings: target.surroundings,
            verdict: Verdict::default(),
            cancel: None,
        };
        self.checked.insert(target.id, checked);
    }

    fn end(&mut self, run: RunId) {
        for id in super::ids_of(run) {
            self.schedule.remove(id);
            if let Some(checked) = self.checked.remove(&id) {
                ring(checked.cancel.as_ref());
            }
        }
    }

    fn over(&mut self, done: Done) {
        let Done { id, lane, outcome } = done;
        self.schedule.worker_free(lane);
        let began = self.schedule.end(id, outcome.is_ok(), clock::mono());
        let (Some(began), Some(checked)) = (began, self.checked.get_mut(&id)) else {
            return;
        };
        checked.cancel = None;
        let change = checked.verdict.take(outcome, began, &checked.probe);
        if let Some(change) = change {
            (self.sink)(Report { id, change });
        }
    }

    /// The end: nobody wants to know any more.
    fn cancel_all(self) {
        for checked in self.checked.values() {
            ring(checked.cancel.as_ref());
        }
    }
}

fn ring(cancel: Option<&Arc<OwnedFd>>) {
    if let Some(cancel) = cancel {
        // It fails only when it has been rung already.
        let _ = rustix::io::write(&**cancel, &1_u64.to_ne_bytes());
    }
}
