//! The journal: the one place where an event becomes a durable write. Owns the thread `journal` and the fold
//! over `alert`; numbers nothing, renders nothing, and never makes a producer wait.
//!
//! Records come over one bounded channel. When it is full a record is dropped and counted, and the count
//! is recorded as `logs.dropped` as soon as there is room. The thread ends when the last [`Journal`] is
//! dropped, after everything that was taken in has been handed to the sink.

pub mod evidence;
pub mod oom;
pub mod port;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use crate::alert::{Alert, Consequence, Input};
use crate::clock;
use crate::ids::{DeliveryId, SilenceId};
use crate::limits;
use crate::model::event::{Event, EventKind};
use crate::model::record::{Record, RunChange};
use crate::model::settings::Settings;
use crate::model::silence::Silence;
use crate::model::write::Write;
use crate::thread::spawn_named;

/// Where writes go. Must not block for long: while it does, records wait in the inbox.
pub trait Sink: Send {
    /// Takes one write, to be committed whole.
    fn record(&self, write: Write);
}

/// Adds to an event what its producer does not know: the last lines, the peak of memory.
pub type Enrich = Box<dyn Fn(&mut Event) + Send>;

/// A handle for producers; clones share the inbox. Dropping the last one ends the thread.
#[derive(Clone, Debug)]
pub struct Journal {
    inbox: Sender<Entry>,
    dropped: Arc<AtomicU64>,
    silences: Arc<Mutex<Arc<[Silence]>>>,
}

#[derive(Debug)]
enum Entry {
    /// Boxed: the channel has room for thousands, and touches all of it at the start.
    Record(Box<Recorded>),
    /// Answered when everything before it has been handed to the sink.
    Barrier(Sender<()>),
    /// What comes after it is judged by these.
    Configure(Box<Settings>),
    /// What people are told of.
    Silence(Box<Order>),
}

/// What a person wants of silences.
#[derive(Debug)]
pub enum Order {
    /// Begin this one; answered with it, or none when there are too many.
    Begin(Silence, Sender<Option<Silence>>),
    /// End it; answered with it as it ended, or none when it is not in force.
    End(SilenceId, String, Sender<Option<Silence>>),
}

#[derive(Debug)]
struct Recorded {
    record: Record,
    watch: Option<Sender<Vec<DeliveryId>>>,
}

impl Journal {
    /// Starts the thread `journal`.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub fn start(
        alert: Alert,
        enrich: Enrich,
        sink: Box<dyn Sink>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (inbox, records) = bounded(limits::JOURNAL_QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let silences = Arc::new(Mutex::new(Arc::from(alert.silences())));
        let fold = Fold {
            alert,
            enrich,
            sink,
            dropped: Arc::clone(&dropped),
            silences: Arc::clone(&silences),
        };
        let thread = spawn_named("journal", move || fold.run(&records))?;
        let journal = Self {
            inbox,
            dropped,
            silences,
        };
        Ok((journal, thread))
    }

    /// Records `record`. Never blocks: when the inbox is full it is dropped and counted.
    pub fn record(&self, record: impl Into<Record>) {
        self.put(Recorded {
            record: record.into(),
            watch: None,
        });
    }

    /// Records `record` and sends the ids of its deliveries to `watch`, which needs room for one answer.
    /// When the record is dropped `watch` is disconnected without one.
    pub fn record_watched(&self, record: impl Into<Record>, watch: Sender<Vec<DeliveryId>>) {
        self.put(Recorded {
            record: record.into(),
            watch: Some(watch),
        });
    }

    /// Judges what is recorded from now on by `settings`. Waits for room in the inbox, for
    /// [`limits::JOURNAL_ANSWER`] at most.
    pub fn configure(&self, settings: &Settings) {
        let entry = Entry::Configure(Box::new(settings.clone()));
        let within = limits::JOURNAL_ANSWER;
        if self.inbox.send_timeout(entry, within).is_err() {
            log::error!("the journal does not take the changed routes; the ones before go on");
        }
    }

    /// Begins or ends a silence. Waits for room in the inbox, for [`limits::JOURNAL_ANSWER`] at most; an order that
    /// finds none is dropped, and its asker is told so by the end of the channel.
    pub fn silence(&self, order: Order) {
        let entry = Entry::Silence(Box::new(order));
        if self
            .inbox
            .send_timeout(entry, limits::JOURNAL_ANSWER)
            .is_err()
        {
            log::error!("the journal takes no order about silences");
        }
    }

    /// The silences in force.
    #[must_use]
    pub fn silences(&self) -> Arc<[Silence]> {
        Arc::clone(&self.silences.lock())
    }

    /// [`Journal::silences`] for those who may outlive the journal: it is no handle, and keeps no thread from ending.
    pub fn silence_board(&self) -> impl Fn() -> Arc<[Silence]> + Send + Sync + use<> {
        let silences = Arc::clone(&self.silences);
        move || Arc::clone(&silences.lock())
    }

    /// Waits until everything recorded before has been handed to the sink, for at most `within`; whether it
    /// was.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        let (done, is_done) = bounded(1);
        let deadline = clock::mono() + within;
        let is_sent = self
            .inbox
            .send_timeout(Entry::Barrier(done), within)
            .is_ok();
        is_sent && is_done.recv_timeout(deadline.since(clock::mono())).is_ok()
    }

    /// Records dropped and not yet reported.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }

    fn put(&self, recorded: Recorded) {
        let kind = recorded.record.event.kind;
        match self.inbox.try_send(Entry::Record(Box::new(recorded))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => {
                // Only a panic of the journal comes here: its inbox outlives every handle.
                self.dropped.fetch_add(1, Ordering::Relaxed);
                log::error!("the journal has ended; {kind} is not recorded");
            }
        }
    }
}

struct Fold {
    alert: Alert,
    enrich: Enrich,
    sink: Box<dyn Sink>,
    dropped: Arc<AtomicU64>,
    silences: Arc<Mutex<Arc<[Silence]>>>,
}

impl Fold {
    /// The end of the channel is the only end: what was sent before it is still received.
    fn run(mut self, records: &Receiver<Entry>) {
        loop {
            match self.receive(records) {
                Ok(Entry::Record(recorded)) => self.take(*recorded),
                Ok(Entry::Configure(settings)) => self.alert.configure(&settings),
                Ok(Entry::Silence(order)) => self.silence(*order),
                Ok(Entry::Barrier(done)) => {
                    // Nobody may be waiting any more.
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.report_dropped();
        }
        log::debug!("the journal has recorded everything");
    }

    /// A record that waits always comes before a deadline that has passed: it may say that the run is over.
    fn receive(&self, records: &Receiver<Entry>) -> Result<Entry, RecvTimeoutError> {
        match self.alert.next_deadline() {
            None => records.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => records.recv_timeout(at.since(clock::mono())),
        }
    }

    fn take(&mut self, recorded: Recorded) {
        let Recorded { mut record, watch } = recorded;
        (self.enrich)(&mut record.event);
        agree(&mut record);
        let event = record.event.clone();
        let mut consequences = self
            .alert
            .next(Input::Event(Box::new(event)), clock::mono());
        // The event that came in is the last one, and takes its changes of state with it.
        let last = consequences.pop();
        for made_here in consequences {
            self.write_new(made_here);
        }
        if let Some(mut consequence) = last {
            try_out(&mut consequence);
            let ids = consequence.deliveries.iter().map(|d| d.id).collect();
            record.event = consequence.event.clone();
            self.write(record, consequence);
            if let Some(watch) = watch {
                // Nobody may be waiting any more.
                let _ = watch.try_send(ids);
            }
        }
    }

    fn tick(&mut self) {
        let consequences = self.alert.next(Input::Tick(clock::wall()), clock::mono());
        for made_here in consequences {
            self.write_new(made_here);
        }
    }

    fn silence(&mut self, order: Order) {
        let now = clock::wall();
        let (consequence, reply) = match order {
            Order::Begin(silence, reply) => (self.alert.begin_silence(silence), reply),
            Order::End(id, by, reply) => (self.alert.end_silence(id, now, Some(by)), reply),
        };
        let silence = consequence
            .as_ref()
            .and_then(|c| c.silences.first().cloned());
        if let Some(consequence) = consequence {
            self.write_new(consequence);
        }
        // Nobody may be waiting any more.
        let _ = reply.try_send(silence);
    }

    /// Writes an event that was made here.
    fn write_new(&self, consequence: Consequence) {
        self.write(Record::from(consequence.event.clone()), consequence);
    }

    fn write(&self, record: Record, consequence: Consequence) {
        if !consequence.silences.is_empty() {
            *self.silences.lock() = Arc::from(self.alert.silences());
        }
        self.sink.record(Write {
            record,
            incident: consequence.incident,
            deliveries: consequence.deliveries,
            withdrawn: consequence.withdrawn,
            moved: consequence.moved,
            silences: consequence.silences,
        });
    }

    fn report_dropped(&mut self) {
        let count = self.dropped.swap(0, Ordering::Relaxed);
        if count == 0 {
            return;
        }
        log::warn!("{count} records did not fit the journal and were dropped");
        let mut event = Event::new(EventKind::LogsDropped, clock::wall());
        event.facts.count = Some(count);
        event.facts.cause = Some("the journal could not keep up".to_owned());
        self.take(Recorded {
            record: Record::from(event),
            watch: None,
        });
    }
}

/// A target that is tried out is told of an incident of its own.
fn try_out(consequence: &mut Consequence) {
    let Some(trial) = consequence.event.facts.trial else {
        return;
    };
    for delivery in &mut consequence.deliveries {
        delivery.incident = Some(trial.incident);
    }
    consequence.incident = Some(trial.as_incident(&consequence.event));
}

/// What was found out about the end of a run is stored with the run, too.
fn agree(record: &mut Record) {
    let found = record.event.facts.exit.as_ref();
    if let (Some(RunChange::Ended { run, exit, .. }), Some(found)) = (&mut record.run, found)
        && record.event.run == Some(*run)
    {
        exit.clone_from(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::fixture;
    use crate::model::event::Severity;
    use crate::model::incident::IncidentState;
    use crate::model::name::InstanceName;
    use crate::model::route::RouteSpec;
    use crate::model::settings::MaxAge;

    const WAIT: Duration = Duration::from_secs(20);

    struct Tape {
        writes: Arc<Mutex<Vec<Write>>>,
        /// A write is announced, and then waits here while the gate is shut.
        gate: Option<Receiver<()>>,
        seen: Sender<EventKind>,
    }

    impl Sink for Tape {
        fn record(&self, write: Write) {
            let kind = write.record.event.kind;
            self.writes.lock().push(write);
            let _ = self.seen.send(kind);
            if let Some(gate) = &self.gate {
                let _ = gate.recv();
            }
        }
    }

    struct Bench {
        journal: Journal,
        thread: JoinHandle<()>,
        writes: Arc<Mutex<Vec<Write>>>,
        seen: Receiver<EventKind>,
    }

    fn settings() -> Settings {
        let route = RouteSpec {
            programs: vec![],
            events: vec![],
            min_severity: Severity::Warning,
            targets: vec![Arc::from("hook")],
            group_wait: Some(Duration::ZERO),
        };
        let hour = Duration::from_hours(1);
        let max_age = MaxAge {
            info: hour,
            warning: hour,
            critical: hour,
        };
        let mut settings = fixture::settings(vec![route], max_age);
        let program = Arc::make_mut(&mut settings.programs[0]);
        program.recover_after = Duration::from_millis(30);
        program.backoff.reset_after = Duration::from_millis(30);
        settings
    }

    fn bench(gate: Option<Receiver<()>>, enrich: Enrich) -> Bench {
        let (tx, seen) = bounded(4 * limits::JOURNAL_QUEUE);
        let writes = Arc::new(Mutex::new(vec![]));
        let tape = Tape {
            writes: Arc::clone(&writes),
            gate,
            seen: tx,
        };
        let alert = Alert::new(&settings(), vec![]);
        let (journal, thread) =
            Journal::start(alert, enrich, Box::new(tape)).expect("a thread for a test");
        Bench {
            journal,
            thread,
            writes,
            seen,
        }
    }

    impl Bench {
        fn finish(self) -> Vec<Write> {
            drop(self.journal);
            self.thread.join().expect("the journal does not panic");
            std::mem::take(&mut self.writes.lock())
        }
    }

    fn about_web(kind: EventKind) -> Event {
        let mut event = Event::new(kind, clock::wall());
        event.instance = Some(InstanceName::single("web"));
        event
    }

    #[test]
    fn a_crash_is_written_with_its_incident_its_delivery_and_what_the_producer_did_not_know() {
        let enrich: Enrich = Box::new(|event| event.facts.log_tail = vec!["last words".to_owned()]);
        let bench = bench(None, enrich);
        let (tx, rx) = bounded(1);
        bench
            .journal
            .record_watched(about_web(EventKind::ProgramCrashed), tx);
        let ids = rx.recv_timeout(WAIT).expect("the journal answers");
        let writes = bench.finish();
        assert_eq!(writes.len(), 1, "{writes:#?}");
        let write = &writes[0];
        assert_eq!(write.record.event.facts.log_tail, ["last words"]);
        assert_eq!(
            write.incident.as_ref().map(|i| i.state),
            Some(IncidentState::Open)
        );
        assert_eq!(
            write.deliveries.iter().map(|d| d.id).collect::<Vec<_>>(),
            ids
        );
        assert_eq!(ids.len(), 1);
    }

    #[test]
    fn a_program_that_keeps_running_recovers_without_another_event() {
        let bench = bench(None, Box::new(|_| {}));
        bench.journal.record(about_web(EventKind::ProgramCrashed));
        bench.journal.record(about_web(EventKind::ProgramStarted));
        let kinds: Vec<EventKind> = (0..3)
            .map(|i| {
                let seen = bench.seen.recv_timeout(WAIT);
                seen.unwrap_or_else(|e| panic!("write {i}: {e}"))
            })
            .collect();
        assert_eq!(kinds[2], EventKind::ProgramRecovered);
        let writes = bench.finish();
        let resolved = writes[2].incident.as_ref().map(|i| i.state);
        assert_eq!(resolved, Some(IncidentState::Resolved));
        assert_eq!(writes[2].deliveries.len(), 1);
    }

    #[test]
    fn nothing_taken_in_is_lost_when_the_journal_ends() {
        let bench = bench(None, Box::new(|_| {}));
        let (count, producers) = (400, 4);
        let threads: Vec<_> = (0..producers)
            .map(|_| {
                let journal = bench.journal.clone();
                spawn_named("producer", move || {
                    for _ in 0..count {
                        journal.record(about_web(EventKind::ProgramReady));
                    }
                })
                .expect("a thread for a test")
            })
            .collect();
        for thread in threads {
            thread.join().expect("a producer does not panic");
        }
        assert_eq!(bench.finish().len(), count * producers);
    }

    #[test]
    fn a_full_journal_delays_nobody_and_says_what_it_dropped() {
        let (open, gate) = bounded::<()>(1);
        let bench = bench(Some(gate), Box::new(|_| {}));
        bench.journal.record(about_web(EventKind::ProgramReady));
        bench
            .seen
            .recv_timeout(WAIT)
            .expect("the sink has the first, and hangs");
        // If a full inbox blocked, this would never end.
        for _ in 0..limits::JOURNAL_QUEUE + 7 {
            bench.journal.record(about_web(EventKind::ProgramReady));
        }
        assert_eq!(bench.journal.dropped(), 7);
        drop(open);
        let writes = bench.finish();
        let counts: Vec<u64> = writes
            .iter()
            .filter(|w| w.record.event.kind == EventKind::LogsDropped)
            .filter_map(|w| w.record.event.facts.count)
            .collect();
        assert_eq!(counts, [7]);
        assert_eq!(writes.len(), 1 + limits::JOURNAL_QUEUE + 1);
    }
}
