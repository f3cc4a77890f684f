//! The thread `relay`: what rooms ring for and what is done on a beat. Carries wake-ups from the store to the
//! dispatcher, turns faults of the storage into issues and events, starts a lost holder anew, and keeps the
//! checkpoint, and tries a taken port again. Decides nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded, never, select};

use super::door::Door;
use super::facts::Issues;
use super::notices::{Notices, Told};
use super::ports::HolderKeeper;
use crate::clock::{self, Mono};
use crate::journal::Journal;
use crate::limits;
use crate::model::event::{Event, EventKind};
use crate::notify::Waker;
use crate::store::{Store, StoreHealth};
use crate::supervise::board::Board;

/// The rooms' ends of the bells. A room that has ended rings no more: its bell is replaced by one that never
/// does, or `select!` would take its silence for news again and again.
pub(super) struct Bells {
    pub deliveries: Receiver<()>,
    pub health: Receiver<StoreHealth>,
    pub notices: Receiver<()>,
}

impl Bells {
    pub fn of(
        deliveries: Receiver<()>,
        health: Receiver<StoreHealth>,
        notices: Receiver<()>,
    ) -> Self {
        Self {
            deliveries,
            health,
            notices,
        }
    }
}

/// What the relay acts on.
pub(super) struct Relay {
    pub journal: Journal,
    pub waker: Waker,
    pub store: Store,
    pub board: Arc<Board>,
    pub holder: Arc<HolderKeeper>,
    pub issues: Issues,
    pub door: Door,
    pub notices: Notices,
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

    fn run(self, mut bells: Bells, stopped: &Receiver<()>) {
        let mut written = HashMap::new();
        let mut troubles = Troubles::default();
        let mut holder = HolderWatch::default();
        let mut beat_at = clock::mono() + self.interval;
        let mut expire_at = clock::mono();
        loop {
            let next = holder.due.map_or(beat_at, |due| due.min(beat_at));
            let wait = next.since(clock::mono());
            select! {
                recv(bells.deliveries) -> rung => match rung {
                    Ok(()) => self.waker.wake(),
                    Err(_) => bells.deliveries = never(),
                },
                recv(bells.health) -> health => match health {
                    Ok(health) => self.storage(&mut troubles, &health),
                    Err(_) => bells.health = never(),
                },
                recv(bells.notices) -> _ => self.output(&mut troubles, &mut holder),
                recv(stopped) -> _ => break,
                default(wait) => {}
            }
            let now = clock::mono();
            if holder.due.is_some_and(|due| due <= now) {
                log::warn!("the holder process ended; another one takes its place");
                holder.started(self.holder.start(), now);
            }
            if now >= beat_at {
                self.checkpoint(&mut written, now);
                self.holder.reap();
                self.door.open();
                beat_at = now + self.interval;
            }
            if now >= expire_at {
                self.expire();
                expire_at = now + limits::EXPIRE_SWEEP;
            }
        }
        self.checkpoint(&mut written, clock::mono());
        for health in bells.health.try_iter() {
            self.storage(&mut troubles, &health);
        }
        self.output(&mut troubles, &mut holder);
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

    fn storage(&self, troubles: &mut Troubles, health: &StoreHealth) {
        let wrong = health
            .degraded
            .as_ref()
            .map(|degraded| format!("the database: {}", degraded.what));
        self.trouble(troubles, Part::Database, wrong);
    }

    fn output(&self, troubles: &mut Troubles, holder: &mut HolderWatch) {
        let Told {
            disk,
            is_holder_lost,
            dropped,
        } = self.notices.take();
        if let Some(disk) = disk {
            let wrong = disk.err();
            match &wrong {
                Some(wrong) => log::warn!("output is kept in memory for now: {wrong}"),
                None => log::info!("output goes to its files again"),
            }
            self.issues.set("log storage", wrong.clone());
            self.trouble(troubles, Part::Logs, wrong);
        }
        for (instance, bytes) in dropped {
            let mut event = Event::new(EventKind::LogsDropped, clock::wall());
            event.instance = Some(instance);
            event.facts.count = Some(bytes);
            event.facts.cause = Some("the log disk took nothing".to_owned());
            self.journal.record(event);
        }
        if is_holder_lost {
            holder.lost(clock::mono());
        }
    }

    fn trouble(&self, troubles: &mut Troubles, part: Part, wrong: Option<String>) {
        let Some(kind) = troubles.set(part, wrong.is_some()) else {
            return;
        };
        let mut event = Event::new(kind, clock::wall());
        event.facts.cause = wrong;
        self.journal.record(event);
    }
}

/// What of the storage fails. Database and logs lie on the same disk, as a rule, and fail and recover one after
/// the other, and the same fault has several names: to people all of it is one outage.
#[derive(Debug, Default)]
struct Troubles(BTreeSet<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Database,
    Logs,
}

impl Troubles {
    /// The event, when an outage begins or ends with it.
    fn set(&mut self, part: Part, is_wrong: bool) -> Option<EventKind> {
        let was_well = self.0.is_empty();
        if is_wrong {
            self.0.insert(part);
        } else {
            self.0.remove(&part);
        }
        match (was_well, self.0.is_empty()) {
            (true, false) => Some(EventKind::StorageDegraded),
            (false, true) => Some(EventKind::StorageRestored),
            (true, true) | (false, false) => None,
        }
    }
}

/// When the next holder is started: at once, but one that does not live is not started again and again.
#[derive(Debug, Default)]
struct HolderWatch {
    last: Option<Mono>,
    due: Option<Mono>,
}

impl HolderWatch {
    fn lost(&mut self, now: Mono) {
        let earliest = self.last.map_or(now, |last| last + limits::HOLDER_AGAIN);
        self.due = Some(now.max(earliest));
    }

    fn started(&mut self, is_well: bool, now: Mono) {
        self.last = Some(now);
        self.due = (!is_well).then(|| now + limits::HOLDER_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_several_parts_begins_once_and_ends_once() {
        let mut troubles = Troubles::default();
        let steps = [
            (Part::Logs, true, Some(EventKind::StorageDegraded)),
            (Part::Database, true, None),
            (Part::Database, true, None),
            (Part::Logs, false, None),
            (Part::Database, false, Some(EventKind::StorageRestored)),
            (Part::Logs, false, None),
        ];
        for (part, is_wrong, event) in steps {
            assert_eq!(troubles.set(part, is_wrong), event, "{part:?} {is_wrong}");
        }
    }

    #[test]
    fn a_holder_that_does_not_live_is_started_at_a_bounded_rate() {
        let at = |seconds| Mono::default() + std::time::Duration::from_secs(seconds);
        let mut holder = HolderWatch::default();
        holder.lost(at(100));
        assert_eq!(holder.due, Some(at(100)), "the first one at once");
        holder.started(true, at(100));
        assert_eq!(holder.due, None);
        holder.lost(at(101));
        assert_eq!(holder.due, Some(at(100) + limits::HOLDER_AGAIN));
        holder.started(false, at(110));
        assert_eq!(
            holder.due,
            Some(at(110) + limits::HOLDER_AGAIN),
            "tried again"
        );
    }
}
