//! Deliveries to targets: a dispatcher leases what is due, a fixed pool of workers sends it, and every outcome is
//! settled in the outbox. Sees store, alert, fetch and child.
//!
//! ```text
//!   outbox ──lease──▶ dispatcher ──jobs (bounded)──▶ notify-0 … notify-N ──▶ targets
//!     ▲                   ▲  lanes: breaker, rate, holds      │
//!     └── settle ─────────┼───────────────────────────────────┤
//!                         └──────────── done (inbox) ◀────────┘
//! ```
//!
//! Architecture invariant: nothing here is ever waited for by supervision; no thread is made for a delivery; a row
//! is given back or ended only by its settlement. At one target one message is in flight, different targets go in
//! parallel.

pub mod board;
pub mod breaker;
pub mod host;
pub mod lane;
pub mod limit;
pub mod outbox;
pub mod preview;
pub mod providers;
pub mod retry;
mod standing;

mod attempt;
mod deed;
mod dispatcher;
mod lanes;
mod living;
mod losses;
mod masking;
mod render;
mod run;
mod telling;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::RwLock;
use rustix::event::{EventfdFlags, eventfd};

use self::board::Board;
pub use self::dispatcher::Emit;
use self::dispatcher::{Dispatcher, Start};
use self::outbox::Outbox;
use self::worker::{Bench, Done, Job};
use crate::clock::{self, Mono};
use crate::fetch::Client;
use crate::limits;
use crate::model::settings::NotifySettings;
use crate::model::target::TargetSpec;

/// What arrives at the dispatcher.
enum Message {
    /// Rows may be due.
    Wake,
    /// A worker is done.
    Done(Box<Done>),
    /// The configured targets changed.
    Configure(Vec<Arc<TargetSpec>>),
    /// A person wants a target, or all, tried at once.
    Nudge(Option<Arc<str>>),
    /// Send what may go until then, and end.
    LastPass {
        deadline: Mono,
        reply: Sender<LastPass>,
    },
}

/// What the last pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastPass {
    /// Deliveries that targets took during it.
    pub delivered: u64,
    /// Rows that wait for the next start, if the outbox could say.
    pub kept: Option<u64>,
    /// Attempts that had not ended by its deadline; their rows wait too.
    pub in_flight: usize,
}

/// What the room is started with.
pub struct Setup {
    /// The HTTP client.
    pub client: Arc<Client>,
    /// The table.
    pub outbox: Arc<dyn Outbox>,
    /// The configured targets.
    pub targets: Vec<Arc<TargetSpec>>,
    /// Workers and queue.
    pub settings: NotifySettings,
    /// The supervisor's name.
    pub host: Arc<str>,
    /// Takes `target.failing` and `target.restored`. Must not block. The journal must not route one of them to
    /// the target it is about.
    pub emit: Emit,
}

/// Says that rows may be due, or that a person wants them tried. Any number of clones.
#[derive(Clone)]
pub struct Waker {
    inbox: Sender<Message>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    /// Wakes the dispatcher, once for however many calls before its next turn. Never blocks.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // A full inbox means a turn is coming.
            let _ = self.inbox.try_send(Message::Wake);
        }
    }

    /// Tries `target`, or all of them, at once: behind an open breaker, a stated wait or a given-up target too.
    /// Waits for room in the dispatcher's inbox, [`limits::NOTIFY_SEND_MAX`] at most.
    pub fn nudge(&self, target: Option<Arc<str>>) {
        send(&self.inbox, Message::Nudge(target));
    }
}

fn send(inbox: &Sender<Message>, message: Message) {
    if inbox
        .send_timeout(message, limits::NOTIFY_SEND_MAX)
        .is_err()
    {
        log::error!("the dispatcher does not take its messages");
    }
}

/// The running room. Dropping it ends it without a last pass.
pub struct Notify {
    inbox: Sender<Message>,
    woken: Arc<AtomicBool>,
    board: Arc<Board>,
    host: Arc<RwLock<Arc<str>>>,
    threads: Vec<JoinHandle<()>>,
    ended: Receiver<()>,
    /// Readable once nobody waits for attempts any more.
    cancel: Arc<OwnedFd>,
}

impl Notify {
    /// Starts the dispatcher and the workers.
    ///
    /// # Errors
    /// The system has no room for another thread; those already started end.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let board = Arc::new(Board::default());
        let woken = Arc::new(AtomicBool::new(false));
        let (inbox, letters) = bounded(limits::NOTIFY_INBOX);
        let (jobs, work) = bounded(setup.settings.queue.clamp(1, limits::NOTIFY_QUEUE_MAX));
        let (end, ended) = bounded(0);
        let host = Arc::new(RwLock::new(setup.host));
        let cancel = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let cancel = Arc::new(cancel);
        let bench = Arc::new(Bench {
            cancel: Arc::clone(&cancel),
            client: setup.client,
            outbox: Arc::clone(&setup.outbox),
            host: Arc::clone(&host),
            board: Arc::clone(&board),
        });
        let mut threads = Vec::new();
        for number in 0..setup.settings.workers.clamp(1, limits::NOTIFY_WORKERS_MAX) {
            let pool = Pool {
                bench: Arc::clone(&bench),
                work: work.clone(),
                done: inbox.clone(),
                end: end.clone(),
            };
            threads.push(pool.spawn(number)?);
        }
        let dispatcher = Dispatcher::new(Start {
            outbox: setup.outbox,
            board: Arc::clone(&board),
            emit: setup.emit,
            inbox: letters,
            woken: Arc::clone(&woken),
            jobs,
            targets: setup.targets,
            queue: setup.settings.queue.max(1),
        });
        threads.push(crate::thread::spawn_named("dispatcher", move || {
            dispatcher.run();
            drop(end);
        })?);
        Ok(Self {
            inbox,
            woken,
            board,
            host,
            threads,
            ended,
            cancel,
        })
    }

    /// What wakes the dispatcher after a commit.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker {
            inbox: self.inbox.clone(),
            woken: Arc::clone(&self.woken),
        }
    }

    /// The published view of targets and workers.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Takes up a changed configuration: a changed target begins anew, a removed one ends. `host` is the supervisor's
    /// name.
    pub fn configure(&self, targets: Vec<Arc<TargetSpec>>, host: Arc<str>) {
        *self.host.write() = host;
        send(&self.inbox, Message::Configure(targets));
    }

    /// Sends what is due and may go for at most `most`, then ends all threads. What is not sent stays in the
    /// outbox; a worker that is stuck beyond the deadline is left behind (its own time-outs end it).
    #[must_use]
    pub fn last_pass(mut self, most: Duration) -> LastPass {
        self.end(most)
    }

    fn end(&mut self, most: Duration) -> LastPass {
        let deadline = clock::mono() + most;
        let (reply, answer) = bounded(limits::REPLY);
        send(&self.inbox, Message::LastPass { deadline, reply });
        let wait = deadline.since(clock::mono()) + limits::NOTIFY_END_MAX;
        let pass = answer.recv_timeout(wait).unwrap_or_else(|_| {
            log::warn!("the dispatcher did not end in time");
            LastPass::default()
        });
        // A program that still runs is killed: nobody would do that after us.
        let _ = rustix::io::write(&self.cancel, &1_u64.to_ne_bytes());
        // Ends when every thread has dropped its sender.
        let grace = deadline.since(clock::mono()).max(limits::NOTIFY_END_MAX);
        let all_ended = self
            .ended
            .recv_timeout(if pass.in_flight == 0 {
                grace
            } else {
                limits::NOTIFY_END_MAX
            })
            .is_err_and(|e| e.is_disconnected());
        for thread in self.threads.drain(..) {
            if all_ended || thread.is_finished() {
                let _ = thread.join();
            } else {
                log::warn!(
                    "thread {} is still sending; leaving it",
                    thread.thread().name().unwrap_or("?")
                );
            }
        }
        pass
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(Duration::ZERO);
        }
    }
}

/// What a worker's thread takes with it.
struct Pool {
    bench: Arc<Bench>,
    work: Receiver<Box<Job>>,
    done: Sender<Message>,
    end: Sender<()>,
}

impl Pool {
    fn spawn(self, number: usize) -> io::Result<JoinHandle<()>> {
        let name = format!("notify-{number}");
        let own = name.clone();
        crate::thread::spawn_named(&name, move || {
            worker::run(&self.bench, &own, &self.work, &self.done);
            drop(self.end);
        })
    }
}
