//! Measures the trees of instances and the host. Owns one thread for each sampling interval in use, the
//! keeper that starts and joins them, and the latest samples in memory. It never starts, signals or reaps
//! a process, and never writes samples down: they go to the sink it was given.
//!
//! A benchmark needs none of the threads: [`sampler::Sampler::round`] is one look at any number of members.
//!
//! Threads: `metrics-keeper` and `sample-…`. One lock, in [`ring`], held for copying.

pub mod host;
pub mod proc;
mod pulse;
mod restarts;
pub mod ring;
pub mod rule;
pub mod sampler;
mod stats;
pub mod tally;
mod threads;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{self, Sender};
use parking_lot::Mutex;

use crate::clock;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::{HostSample, Sample};
use crate::thread::spawn_named;

pub use sampler::{Member, Sampler};
pub use stats::Stats;
pub use threads::Finished;

use pulse::Shared;
use threads::{Keeper, Letter, Message};

/// Where samples go as they are taken, on the sampling thread: one call a look, without a lock. It must not
/// block for long, for the next look waits for it.
pub type Sink = Box<dyn Fn(Vec<Sample>, Option<HostSample>) + Send + Sync>;

/// What can go wrong at the start.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The system has no room for a thread.
    #[error("the keeper of the sampling threads cannot be started")]
    Thread(#[source] std::io::Error),
}

/// How others use sampling. Everything here returns at once, but for [`Metrics::finish`].
pub struct Metrics {
    inbox: Sender<Letter>,
    shared: Shared,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Metrics {
    /// Starts the keeper. The host is sampled every `host` interval, if given.
    pub fn start(host: Option<Duration>, sink: Sink) -> Result<Self, MetricsError> {
        let (inbox, messages) = channel::bounded(limits::METRICS_INBOX);
        let shared = Shared {
            memory: Arc::default(),
            tallies: Arc::default(),
            budget: Arc::default(),
            sink: Arc::new(sink),
        };
        let host = host.map(|i| i.clamp(limits::SAMPLE_INTERVAL_MIN, limits::SAMPLE_INTERVAL_MAX));
        let keeper = Keeper::new(shared.clone(), inbox.clone());
        let thread = spawn_named("metrics-keeper", move || keeper.run(&messages, host))
            .map_err(MetricsError::Thread)?;
        Ok(Self {
            inbox,
            shared,
            keeper: Mutex::new(Some(thread)),
        })
    }

    /// From now on the tree of `member` is sampled every `interval`, in place of any other run of its
    /// instance. Never waits: a message without room is counted in [`Stats::messages_dropped`].
    pub fn watch(&self, member: Member, interval: Duration) {
        self.tell(Message::Watch(Arc::new(member), interval));
    }

    /// From now on the host is sampled every `interval`.
    pub fn watch_host(&self, interval: Duration) {
        self.tell(Message::Host(interval));
    }

    /// The run has ended. Said late, about a run that was replaced already, it changes nothing.
    pub fn unwatch(&self, instance: &InstanceName, run: RunId) {
        self.tell(Message::Unwatch(instance.clone(), run));
    }

    /// The instance left the configuration: its samples need not be kept in memory.
    pub fn forget(&self, instance: &InstanceName) {
        self.tell(Message::Forget(instance.clone()));
    }

    fn tell(&self, message: Message) {
        if self.inbox.try_send(Box::new(message)).is_err() {
            self.shared.tallies.messages_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The latest sample of an instance; it may be of a run that has ended.
    #[must_use]
    pub fn latest(&self, instance: &InstanceName) -> Option<Sample> {
        self.shared.memory.latest(instance)
    }

    /// The samples of an instance in memory, the oldest first.
    #[must_use]
    pub fn ring(&self, instance: &InstanceName) -> Vec<Sample> {
        self.shared.memory.ring(instance)
    }

    /// The most memory the tree of `run` had in any sample, in bytes; also for a while after it ended.
    /// None when it was never sampled: it lived shorter than an interval.
    #[must_use]
    pub fn peak(&self, run: RunId) -> Option<u64> {
        self.shared.memory.peak(run)
    }

    /// The latest measurement of the host; all zero before the first.
    #[must_use]
    pub fn host(&self) -> HostSample {
        self.shared.memory.host()
    }

    /// How sampling does.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let held = self.shared.memory.held();
        Stats {
            files_kept: self.shared.budget.kept(),
            rings: held.rings,
            peaks: held.peaks,
            ..self.shared.tallies.read()
        }
    }

    /// Ends all sampling threads and joins them, waiting `patience` at most. Samples taken so far have gone
    /// to the sink and can still be read here. A second call does nothing.
    pub fn finish(&self, patience: Duration) -> Finished {
        let Some(keeper) = self.keeper.lock().take() else {
            return Finished::default();
        };
        let deadline = clock::mono() + patience;
        let (reply, answer) = channel::bounded(1);
        let told = self
            .inbox
            .send_timeout(Box::new(Message::Finish(deadline, reply)), patience);
        if told.is_err() {
            log::warn!("sampling did not end: its keeper does not answer");
            return Finished { joined: 0, left: 1 };
        }
        // The keeper answers by the deadline and then returns; without an answer it has panicked.
        let finished = answer.recv().unwrap_or_default();
        let _ = keeper.join();
        finished
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.finish(limits::SAMPLE_DROP_PATIENCE);
    }
}
