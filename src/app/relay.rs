//! The thread `relay`: what rooms ring for and what is done on a beat. Carries wake-ups from the store to the
//! dispatcher, turns faults of the storage into issues and events, starts a lost holder anew, and keeps the
//! checkpoint. Decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded, never, select};

use super::facts::Issues;
use super::ports::HolderKeeper;
use crate::clock::{self, Mono};
use crate::journal::Journal;
use crate::limits;
use crate::logs;
use crate::model::event::{Event, EventKind};
use crate::notify::Waker;
use crate::store::{Store, StoreHealth};
use crate::supervise::board::Board;

/// The rooms' ends of the bells. A room that has ended rings no more: its bell is replaced by one that never
/// does, or `select!` would take its silence for news again and again.
pub(super) struct Bells {
    pub deliveries: Receiver<()>,
    pub health: Receiver<StoreHealth>,
    pub notices: Receiver<logs::Notice>,
}

/// What the relay acts on.
pub(super) struct Relay {
    pub journal: Journal,
    pub waker: Waker,
    pub store: Store,
    pub board: Arc<Board>,
    pub holder: Arc<HolderKeeper>,
    pub issues: Issues,
    pub interval: Duration,
}

/// A running relay.
pub(super) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends it; what was rung before is carried out.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

impl Relay {
    pub fn start(self, bells: Bells) -> std::io::Result<Running> {
        let (stop, stopped) = bounded(0);
        let thread = crate::thread::spawn_named("relay", move || self.run(bells, &stopped))?;
        Ok(Running { stop, thread })
    }

    fn run(mut self, mut bells: Bells, stopped: &Receiver<()>) {
        let mut written = HashMap::new();
        let mut beat_at = clock::mono() + self.interval;
        let mut expire_at = clock::mono();
        loop {
            let wait = beat_at.since(clock::mono());
            select! {
                recv(bells.deliveries) -> rung => match rung {
                    Ok(()) => self.waker.wake(),
                    Err(_) => bells.deliveries = never(),
                },
                recv(bells.health) -> health => match health {
                    Ok(health) => self.storage(&health),
                    Err(_) => bells.health = never(),
                },
                recv(bells.notices) -> notice => match notice {
                    Ok(notice) => self.output(notice),
                    Err(_) => bells.notices = never(),
                },
                recv(stopped) -> _ => break,
                default(wait) => {}
            }
            let now = clock::mono();
            if now >= beat_at {
                self.checkpoint(&mut written, now);
                beat_at = now + self.interval;
            }
            if now >= expire_at {
                self.expire();
                expire_at = now + limits::EXPIRE_SWEEP;
            }
        }
        self.checkpoint(&mut written, clock::mono());
        for health in bells.health.try_iter() {
            self.storage(&health);
        }
        for notice in bells.notices.try_iter() {
            self.output(notice);
        }
    }

    /// Uptimes of running instances: what may be lost, so only what changed is written, on the beat.
    fn checkpoint(&self, written: &mut HashMap<String, u64>, now: Mono) {
        for view in &self.board.read().instances {
            let Some(started) = view.started_at else {
                continue;
            };
            let (key, uptime) = (
                format!("uptime/{}", view.name),
                now.since(started).as_secs(),
            );
            if written.insert(key.clone(), uptime) != Some(uptime) {
                self.store.checkpoint_put(key, uptime.to_string());
            }
        }
    }

    fn expire(&self) {
        match self.store.expire_due(clock::wall()) {
            Ok(0) => {}
            Ok(count) => log::warn!("{count} deliveries became too old to send"),
            // The storage's own health says more.
            Err(error) => log::debug!("deliveries were not looked through: {error}"),
        }
    }

    fn storage(&mut self, health: &StoreHealth) {
        let event = match &health.degraded {
            Some(degraded) => {
                let mut event = Event::new(EventKind::StorageDegraded, clock::wall());
                event.facts.cause = Some(format!("the database: {}", degraded.what));
                event
            }
            None => Event::new(EventKind::StorageRestored, clock::wall()),
        };
        self.journal.record(event);
    }

    fn output(&mut self, notice: logs::Notice) {
        let event = match notice {
            logs::Notice::Dropped { instance, bytes } => {
                let mut event = Event::new(EventKind::LogsDropped, clock::wall());
                event.instance = Some(instance);
                event.facts.count = Some(bytes);
                event.facts.cause =
                    Some("bytes of output were lost: the log disk took nothing".to_owned());
                event
            }
            logs::Notice::DiskFailed { path, error } => {
                let wrong = format!("{}: {error}", path.display());
                if !self.issues.set("log storage", Some(wrong.clone())) {
                    return;
                }
                let mut event = Event::new(EventKind::StorageDegraded, clock::wall());
                event.facts.cause = Some(wrong);
                event
            }
            logs::Notice::DiskBack => {
                if !self.issues.set("log storage", None) {
                    return;
                }
                Event::new(EventKind::StorageRestored, clock::wall())
            }
            logs::Notice::HolderLost => {
                log::warn!("the holder process ended; another one takes its place");
                self.holder.start();
                return;
            }
        };
        self.journal.record(event);
    }
}
