//! What rooms ask of one another, joined: supervision's ports, the journal's sink, the dispatcher's outbox,
//! the keeper of the holder process. Owns no thread.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam::channel::Sender;
use parking_lot::Mutex;

use super::rules::RuleWatch;
use crate::alert;
use crate::child::{self, Child, Spawn};
use crate::clock::{Mono, Wall};
use crate::ids::RunId;
use crate::journal::{Journal, Sink};
use crate::logs::Logs;
use crate::metrics::rule::Ruled;
use crate::metrics::{Member, Metrics};
use crate::model::console::Console;
use crate::model::delivery::{Bound, Claim, Leased, Settlement};
use crate::model::event::{Event, EventKind, Severity};
use crate::model::name::InstanceName;
use crate::model::record::Record;
use crate::model::write::Write;
use crate::notify::host::HostMemory;
use crate::notify::lane::LaneMemory;
use crate::notify::outbox::{Outbox, OutboxError};
use crate::probe::Probes;
use crate::procfs;
use crate::store::{Store, StoreError};
use crate::supervise::signs::Signs;
use crate::supervise::{Input, Measured, Output, Ports, Probed, Terminal};

/// What supervision has others do.
pub(super) struct SupervisionPorts {
    pub journal: Journal,
    pub logs: Logs,
    pub metrics: Arc<Metrics>,
    pub rules: RuleWatch,
    /// Where it is told that all work is done, when somebody waits for that.
    pub idle: Option<Sender<Vec<InstanceName>>>,
    pub probes: Arc<Probes>,
    pub signs: Signs,
}

impl Ports for SupervisionPorts {
    fn record(&self, record: Record) {
        self.journal.record(record);
    }

    fn open_output(&self, instance: &InstanceName, run: RunId) -> io::Result<Output> {
        let (pipes, readers) = self.logs.make_run(instance, run)?;
        let logs = self.logs.clone();
        Ok(Output {
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            paths: pipes.paths.to_vec(),
            begin: Box::new(move || logs.pump(readers)),
        })
    }

    fn open_input(
        &self,
        instance: &InstanceName,
        run: RunId,
        console: Console,
    ) -> io::Result<Option<Input>> {
        match console {
            Console::Null | Console::Terminal => Ok(None),
            Console::Pipe => {
                let made = self.logs.make_input(instance, run)?;
                Ok(Some(Input {
                    stdin: made.stdin,
                    writer: made.writer,
                    path: made.path,
                }))
            }
        }
    }

    fn open_terminal(&self, instance: &InstanceName, run: RunId) -> io::Result<Terminal> {
        let (made, readers) = self.logs.make_terminal(instance, run)?;
        let (stdout, stderr) = (made.slave.try_clone()?, made.slave.try_clone()?);
        let logs = self.logs.clone();
        Ok(Terminal {
            stdin: made.slave,
            output: Output {
                stdout,
                stderr,
                paths: vec![made.path],
                begin: Box::new(move || logs.pump(readers)),
            },
            writer: made.writer,
        })
    }

    fn reopen_input(&self, instance: &InstanceName, run: RunId) -> Option<OwnedFd> {
        if let Ok(terminal) = self.logs.open_terminal(instance, run) {
            return Some(terminal);
        }
        match self.logs.open_input(instance, run) {
            Ok(writer) => Some(writer),
            // It never had one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                log::warn!("{instance}: its standard input cannot be reached: {error}");
                None
            }
        }
    }

    fn input_over(&self, instance: &InstanceName, run: RunId) {
        self.logs.input_over(instance, run);
    }

    fn notify_path(&self, run: RunId) -> PathBuf {
        self.logs.notify_path(run)
    }

    fn keep_main(&self, run: RunId, pidfd: OwnedFd) {
        self.logs.watch(run, pidfd);
    }

    fn output_unused(&self, run: RunId) {
        self.logs.spawn_failed(run);
    }

    fn output_over(&self, run: RunId) {
        self.logs.run_over(run);
    }

    fn measure(&self, measured: Measured) {
        let Measured {
            instance,
            run,
            pid,
            start_ticks,
            interval,
            rules,
            spec,
            restarts,
        } = measured;
        self.rules.surround(&instance, run, &spec);
        let ruled = Ruled {
            run,
            restarts,
            rules,
        };
        self.rules.watch(instance.clone(), ruled);
        self.metrics.watch(
            Member {
                instance,
                run,
                pid,
                start_ticks,
            },
            interval,
        );
    }

    fn unmeasure(&self, instance: &InstanceName, run: RunId) {
        self.metrics.unwatch(instance, run);
        self.rules.unwatch(instance, run);
    }

    fn idle(&self, failed: Vec<InstanceName>) {
        // Full: it has been said.
        let _ = self.idle.as_ref().map(|idle| idle.try_send(failed));
    }

    fn probe(&self, probed: Probed) {
        super::probing::begin(&self.probes, &probed);
        super::probing::await_line(&self.logs, &self.signs, &probed);
    }

    fn unprobe(&self, run: RunId) {
        self.probes.end(run);
        self.logs.await_no_line(run);
    }

    fn last_output(&self, run: RunId) -> Option<Mono> {
        self.logs.last_output(run)
    }

    fn await_output(&self, run: RunId, since: Mono) {
        let signs = self.signs.clone();
        let heard = Box::new(move || signs.wrote(run));
        self.logs.await_output(run, since, heard);
    }

    fn gone(&self, instance: &InstanceName) {
        self.metrics.forget(instance);
        self.rules.forget(instance);
    }
}

/// The journal's way into the database.
pub(super) struct StoreSink(pub Store);

impl Sink for StoreSink {
    fn record(&self, write: Write) {
        let event = &write.record.event;
        log::log!(target: "event", level_of(event), "{}", alert::summary(event));
        self.0.record(write);
    }
}

/// How loud an event is in the supervisor's own log. The steps between a crash and the next start are quiet:
/// the crash has said what follows.
fn level_of(event: &Event) -> log::Level {
    match (event.severity, event.kind) {
        (Severity::Info, EventKind::ProgramReady | EventKind::ProgramRestarting) => {
            log::Level::Debug
        }
        (Severity::Info, _) => log::Level::Info,
        (Severity::Warning, _) => log::Level::Warn,
        (Severity::Critical, _) => log::Level::Error,
    }
}

/// The dispatcher's table, in the database.
pub(super) struct StoreOutbox(pub Store);

impl Outbox for StoreOutbox {
    fn lease_due(&self, claims: &[Claim], now: Wall) -> Result<Vec<Leased>, OutboxError> {
        self.0.lease_due(claims, now).map_err(|error| fault(&error))
    }

    fn next_due(&self, claims: &[Claim]) -> Result<Option<Wall>, OutboxError> {
        self.0.next_due(claims).map_err(|error| fault(&error))
    }

    fn settle(&self, settlement: &Settlement) -> Result<(), OutboxError> {
        match self.0.settle(settlement) {
            // Its history was cleaned up meanwhile: there is nothing left to settle.
            Ok(()) | Err(StoreError::NoSuchDelivery(_)) => Ok(()),
            Err(error) => Err(fault(&error)),
        }
    }

    fn pending(&self) -> Result<u64, OutboxError> {
        let counts = self.0.delivery_counts().map_err(|error| fault(&error))?;
        Ok(counts.values().map(|count| count.pending).sum())
    }

    fn remember(&self, target: &str, memory: &LaneMemory) -> Result<(), OutboxError> {
        self.0
            .remember_target(target, &memory.to_text())
            .map_err(|error| fault(&error))
    }

    fn recall(&self) -> Result<Vec<(String, LaneMemory)>, OutboxError> {
        let memories = self.0.target_memories().map_err(|error| fault(&error))?;
        // What another version wrote may not be readable; then every target begins anew.
        Ok(memories
            .into_iter()
            .filter_map(|(name, text)| Some((name, LaneMemory::parse(&text)?)))
            .collect())
    }

    fn keep_fallbacks(&self, fallbacks: &[(Arc<str>, Arc<str>)]) -> Result<(), OutboxError> {
        let kept = self.0.keep_fallbacks(fallbacks);
        kept.map_err(|error| fault(&error))
    }

    fn keep_bounds(&self, bounds: &[(Arc<str>, Bound)]) -> Result<(), OutboxError> {
        self.0.keep_bounds(bounds).map_err(|error| fault(&error))
    }

    fn dropped(&self) -> Result<Vec<(String, u64)>, OutboxError> {
        let counts = self.0.delivery_counts().map_err(|error| fault(&error))?;
        let dropped = counts.into_iter().filter(|(_, count)| count.dropped > 0);
        Ok(dropped.map(|(name, count)| (name, count.dropped)).collect())
    }

    fn pass_on(&self, targets: &[Arc<str>], now: Wall) -> Result<usize, OutboxError> {
        self.0.pass_on(targets, now).map_err(|error| fault(&error))
    }

    fn remember_host(&self, host: &str, memory: &HostMemory) -> Result<(), OutboxError> {
        self.0
            .remember_host(host, memory.to_text())
            .map_err(|error| fault(&error))
    }

    fn recall_hosts(&self) -> Result<Vec<(String, HostMemory)>, OutboxError> {
        let memories = self.0.host_memories().map_err(|error| fault(&error))?;
        Ok(memories
            .into_iter()
            .filter_map(|(name, text)| Some((name, HostMemory::parse(&text)?)))
            .collect())
    }
}

fn fault(error: &StoreError) -> OutboxError {
    OutboxError(error.to_string())
}

/// The holder process, and another one when it is lost.
pub(super) struct HolderKeeper {
    logs: Logs,
    /// Those that have not been reaped: one that is lost may still be ending.
    children: Mutex<Vec<Child>>,
}

impl HolderKeeper {
    pub fn new(logs: Logs) -> Self {
        Self {
            logs,
            children: Mutex::default(),
        }
    }

    /// An earlier supervisor's holder is ours from now on. It may be our child, when that supervisor was this
    /// process: then it is reaped like one.
    pub fn keep(&self, pid: u32) {
        let start = procfs::read_stat(pid).ok().flatten();
        let child = start.and_then(|stat| child::adopt(pid, stat.start_ticks).ok().flatten());
        self.children.lock().extend(child);
    }

    /// Starts a holder; whether that went well. Without one, output written after a crash of the supervisor
    /// would be lost; that is said and supervision goes on.
    pub fn start(&self) -> bool {
        match self.spawn() {
            Ok(child) => {
                self.children.lock().push(child);
                true
            }
            Err(error) => {
                log::error!("no holder process could be started: {error}");
                false
            }
        }
    }

    fn spawn(&self) -> Result<Child, Box<dyn std::error::Error>> {
        let seat = self.logs.holder_seat()?;
        let argv: Vec<String> = seat
            .argv
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        let file = PathBuf::from(&seat.argv[0]);
        Ok(child::spawn(Spawn {
            file: &file,
            argv: &argv,
            directory: std::path::Path::new("/"),
            environment: Vec::new(),
            stdin: Some(seat.stdin),
            has_terminal: false,
            stdout: None,
            stderr: None,
            file_limit: None,
            has_own_group: false,
            is_helper: false,
        })?)
    }

    /// Takes the status of those that have ended.
    pub fn reap(&self) {
        let has_ended = |child: &Child| matches!(child::reap(child), Ok(Some(_)));
        self.children.lock().retain(|child| !has_ended(child));
    }
}
