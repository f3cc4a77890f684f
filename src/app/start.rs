//! Starting: everything that can fail fails here, before a program runs. Owns the order.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::RunOptions;
use super::backup::Backups;
use super::door::Door;
use super::evidence::{ProgramHints, Witnesses, enrich};
use super::facts::{Identity, Issues};
use super::heartbeat::Heartbeat;
use super::legacy::{self, Left};
use super::notices::Notices;
use super::ports::{HolderKeeper, StoreOutbox, StoreSink, SupervisionPorts};
use super::probing;
use super::reading::Reading;
use super::relay::{self, Bells, Relay};
use super::reload::Reloader;
use super::rules::RuleWatch;
use super::storage;
use super::systemd::{Systemd, Word};
use crate::cache::{Cache, Key, Policy, Room};
use crate::child::{self, FileLimit};
use crate::clock;
use crate::config::{Definitions, Loaded};
use crate::control::conn::Listener;
use crate::control::deliveries::WorkerLine;
use crate::control::handler::Api;
use crate::control::registry::{Entry, Places, Registration};
use crate::control::server::{Bounds, Server};
use crate::control::sources::{Sources, SupervisorFacts};
use crate::fetch::Client;
use crate::history::pack::Packer;
use crate::journal::Journal;
use crate::journal::evidence::OutOfMemory;
use crate::limits;
use crate::logs::{self, Logs, LogsError};
use crate::metrics::{Metrics, MetricsError};
use crate::model::cache::{CacheSettings, Eviction};
use crate::model::command::Command;
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::model::sample::{HostSample, Sample};
use crate::model::settings::Settings;
use crate::notify::{self, Notify};
use crate::probe::Probes;
use crate::signals::{SignalMessage, Signals};
use crate::store::backup::BackupError;
use crate::store::lock::{LockError, StateLock};
use crate::store::{OpenError, Store, StoreError, StoreHealth, StoreOptions, Subject, Wakers};
use crate::supervise::board::Board;
use crate::supervise::signs::Signs;
use crate::supervise::turns::Turns;
use crate::supervise::{Legacy, Start, Supervisor};
use crate::terminal::{self, Terminal};

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory is not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database is not to be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer.
    #[error("what the last supervisor left cannot be read")]
    Legacy(#[from] StoreError),
    /// A damaged database is in the way and stays there.
    #[error("the database is damaged and cannot be set aside")]
    Backup(#[from] BackupError),
    /// Programs' output would have no place.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// Programs could not be measured.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The system has no room for what every supervisor needs.
    #[error("the system does not give what it takes to start")]
    System(#[from] io::Error),
}

/// Everything that runs, for serving and for the end.
pub(super) struct Running {
    pub settings: Settings,
    pub files: FileLimit,
    pub terminal: Terminal,
    pub signals: Signals,
    pub pressed: Receiver<SignalMessage>,
    pub store: Store,
    pub logs: Logs,
    pub holder: Arc<HolderKeeper>,
    pub packer: Packer,
    pub metrics: Arc<Metrics>,
    pub rules: RuleWatch,
    pub journal: Journal,
    pub journal_thread: JoinHandle<()>,
    pub notify: Notify,
    pub board: Arc<Board>,
    pub supervisor: Supervisor,
    pub supervisor_thread: JoinHandle<()>,
    pub probes: Arc<Probes>,
    pub relay: relay::Running,
    pub commands: Receiver<Command>,
    pub server: Option<Server>,
    pub door: Door,
    pub registration: Option<Registration>,
    pub lock: StateLock,
    /// All work is done; these failed. Never, unless that is to be the end.
    pub idle: Receiver<Vec<InstanceName>>,
    /// Those that failed, once it ends because all work is done.
    pub failed: Vec<InstanceName>,
    pub identity: Identity,
    pub hints: ProgramHints,
    /// Taken by who serves.
    pub reloader: Option<Reloader>,
    pub heartbeat: Heartbeat,
    pub backups: Backups,
    pub systemd: Systemd,
}

/// Starts everything.
pub(super) fn start(
    loaded: Loaded,
    definitions: Definitions,
    how: RunOptions,
) -> Result<Running, StartError> {
    let ground = Ground::prepare(loaded.settings)?;
    let (rooms, left) = Rooms::open(&ground)?;
    rooms
        .journal
        .record(Event::new(EventKind::SupervisorStarted, clock::wall()));
    let (say_idle, idle) = idle_bell(how.exit_when_done);
    let (supervisor, supervisor_thread) = supervise(&ground, &rooms, left.legacy, say_idle)?;
    let (orders, commands) = bounded(limits::CONTROL_COMMANDS);
    rooms.identity.scanned(definitions.counts());
    let sources = rooms.sources(orders, cache_policy(&ground.settings.cache));
    let heartbeat = rooms.heartbeat(&ground.settings, &supervisor);
    let systemd = Systemd::new(supervisor.clone(), Arc::clone(&rooms.board));
    let (server, registration) = open_control(&ground.settings, sources, &rooms);
    log::info!(
        "{} supervises {} instances; Ctrl-C stops everything",
        ground.settings.supervisor.name,
        instances(&ground.settings),
    );
    let begun = Begun {
        supervisor,
        supervisor_thread,
        commands,
        server,
        registration,
        idle,
        reloader: Reloader::new(definitions),
        heartbeat,
        backups: rooms.backups(&ground.settings),
        systemd,
    };
    begun.systemd.say(Word::Ready);
    Ok(begun.with(ground, rooms))
}

/// What was begun with the rooms.
struct Begun {
    supervisor: Supervisor,
    supervisor_thread: JoinHandle<()>,
    commands: Receiver<Command>,
    server: Option<Server>,
    registration: Option<Registration>,
    idle: Receiver<Vec<InstanceName>>,
    reloader: Reloader,
    heartbeat: Heartbeat,
    backups: Backups,
    systemd: Systemd,
}

impl Begun {
    fn with(self, ground: Ground, rooms: Rooms) -> Running {
        let Ground {
            settings,
            files,
            terminal,
            signals,
            pressed,
            lock,
        } = ground;
        let Rooms {
            store,
            logs,
            holder,
            metrics,
            packer,
            rules,
            journal,
            journal_thread,
            notify,
            board,
            probes,
            relay,
            identity,
            hints,
            door,
            ..
        } = rooms;
        Running {
            settings,
            files,
            terminal,
            signals,
            pressed,
            store,
            logs,
            holder,
            metrics,
            packer,
            rules,
            journal,
            journal_thread,
            notify,
            board,
            supervisor: self.supervisor,
            supervisor_thread: self.supervisor_thread,
            probes,
            relay,
            commands: self.commands,
            server: self.server,
            door,
            registration: self.registration,
            lock,
            idle: self.idle,
            failed: Vec::new(),
            identity,
            hints,
            reloader: Some(self.reloader),
            heartbeat: self.heartbeat,
            backups: self.backups,
            systemd: self.systemd,
        }
    }
}

/// Rung when all work is done, if somebody waits for that.
fn idle_bell(
    is_wanted: bool,
) -> (
    Option<Sender<Vec<InstanceName>>>,
    Receiver<Vec<InstanceName>>,
) {
    if !is_wanted {
        return (None, crossbeam::channel::never());
    }
    let (ring, bell) = bounded(1);
    (Some(ring), bell)
}

fn supervise(
    ground: &Ground,
    rooms: &Rooms,
    legacy: Legacy,
    say_idle: Option<Sender<Vec<InstanceName>>>,
) -> io::Result<(Supervisor, JoinHandle<()>)> {
    Supervisor::start(Start {
        programs: ground.settings.programs.clone(),
        legacy,
        board: Arc::clone(&rooms.board),
        ports: Box::new(rooms.ports(say_idle)),
        signs: rooms.signs.clone(),
        turns: rooms.rules.turns(),
        file_limit: Some(ground.files.original()),
    })
}

/// Instances of all programs.
pub(super) fn instances(settings: &Settings) -> usize {
    settings
        .programs
        .iter()
        .map(|program| usize::from(program.instances))
        .sum()
}

/// What belongs to the process and not to a room.
struct Ground {
    settings: Settings,
    lock: StateLock,
    terminal: Terminal,
    files: FileLimit,
    signals: Signals,
    pressed: Receiver<SignalMessage>,
}

impl Ground {
    fn prepare(settings: Settings) -> Result<Self, StartError> {
        crate::thread::share_heaps();
        child::close_inherited_on_exec()?;
        child::adopt_orphans()?;
        let lock = StateLock::acquire(&settings.supervisor.state_dir)?;
        let terminal = Terminal::start()?;
        // There is a logger already only where two supervisors live in one process, in tests.
        let _ = terminal::install(&terminal, &settings.log);
        let files = FileLimit::raise(instances(&settings));
        let (press, pressed) = bounded(limits::SIGNAL_QUEUE);
        let signals = Signals::start(press)?;
        Ok(Self {
            settings,
            lock,
            terminal,
            files,
            signals,
            pressed,
        })
    }
}

/// The rooms that must be there before a program runs.
struct Rooms {
    store: Store,
    logs: Logs,
    holder: Arc<HolderKeeper>,
    metrics: Arc<Metrics>,
    packer: Packer,
    rules: RuleWatch,
    journal: Journal,
    journal_thread: JoinHandle<()>,
    notify: Notify,
    board: Arc<Board>,
    signs: Signs,
    probes: Arc<Probes>,
    issues: Issues,
    door: Door,
    relay: relay::Running,
    identity: Identity,
    hints: ProgramHints,
}

impl Rooms {
    fn open(ground: &Ground) -> Result<(Self, Left), StartError> {
        let settings = &ground.settings;
        let identity = Identity::new(&settings.supervisor.name, settings.path.clone());
        let (deliveries, deliveries_bell) = bounded(1);
        let (health, health_bell) = bounded(limits::RELAY_INBOX);
        let (store, mut left, replaced) = open_storage(settings, &deliveries, &health)?;
        let (notices, notices_bell) = Notices::new();
        let (logs, found) = start_logs(settings, &store, &ground.terminal, notices.clone())?;
        let holder = Arc::new(HolderKeeper::new(logs.clone()));
        left.legacy.ends = legacy::kept(found.ends);
        match found.holder {
            Some(pid) => holder.keep(pid),
            None => drop(holder.start()),
        }
        let memory = OutOfMemory::watch();
        let (rules, metrics) = start_metrics((settings, &logs), &store, memory.clone())?;
        let board = Arc::new(Board::default());
        let hints = ProgramHints::of(&settings.programs);
        let witnesses = Witnesses {
            logs: logs.clone(),
            metrics: Arc::clone(&metrics),
            memory,
            board: Arc::clone(&board),
            hints: hints.clone(),
            earlier: legacy::earlier(&store)?,
        };
        let (journal, journal_thread) = Journal::start(
            left.alert(settings),
            enrich(witnesses, settings.supervisor.state_dir.clone()),
            Box::new(StoreSink(store.clone())),
        )?;
        storage::tell(&journal, replaced);
        let notify = start_notify(settings, &store, &journal)?;
        let (door, issues) = Door::with_issues(&settings.control);
        let relay = Relay {
            door: door.clone(),
            journal: journal.clone(),
            waker: notify.waker(),
            store: store.clone(),
            board: Arc::clone(&board),
            holder: Arc::clone(&holder),
            issues: issues.clone(),
            notices,
            interval: settings.checkpoint.interval,
        }
        .start(Bells::of(deliveries_bell, health_bell, notices_bell))?;
        // What waits from before may be due.
        notify.waker().wake();
        let (signs, probes) = start_probes()?;
        let rooms = Self {
            packer: Packer::start(store.clone())?,
            store,
            logs,
            holder,
            metrics,
            rules,
            journal,
            journal_thread,
            notify,
            board,
            signs,
            probes,
            issues,
            door,
            relay,
            identity,
            hints,
        };
        Ok((rooms, left))
    }

    fn ports(&self, idle: Option<Sender<Vec<InstanceName>>>) -> SupervisionPorts {
        SupervisionPorts {
            journal: self.journal.clone(),
            logs: self.logs.clone(),
            metrics: Arc::clone(&self.metrics),
            rules: self.rules.clone(),
            idle,
            probes: Arc::clone(&self.probes),
            signs: self.signs.clone(),
        }
    }

    fn heartbeat(&self, settings: &Settings, supervisor: &Supervisor) -> Heartbeat {
        let (board, issues) = (Arc::clone(&self.board), self.issues.clone());
        let heartbeat = Heartbeat::new(supervisor.clone(), board, issues);
        heartbeat.configure(settings.heartbeat.as_ref());
        heartbeat
    }

    fn backups(&self, settings: &Settings) -> Backups {
        let backups = Backups::new(self.store.clone(), self.issues.clone());
        backups.configure(settings.store.backup);
        backups
    }

    fn sources(&self, commands: Sender<Command>, cache: Policy) -> Sources {
        let (metrics, board, workers, counts) = (
            Arc::clone(&self.metrics),
            self.notify.board(),
            self.notify.board(),
            self.store.clone(),
        );
        let (cache, known) = (Cache::new(cache), Mutex::new(Arc::default()));
        let reading = Reading {
            store: self.store.clone(),
            cache: cache.clone(),
        };
        let (counted, configuration) = (reading.clone(), self.identity.clone());
        let (identity, issues, health, door) = (
            self.identity.clone(),
            self.issues.clone(),
            self.store.clone(),
            self.door.clone(),
        );
        Sources {
            board: Arc::clone(&self.board),
            silences: Arc::new(self.journal.silence_board()),
            sample: Arc::new(move |instance| metrics.latest(instance)),
            targets: Arc::new(move || {
                let key = Key {
                    namespace: Subject::Deliveries.as_str(),
                    version: counts.version(Subject::Deliveries),
                    id: String::new(),
                };
                // While the database fails the last figures known are better than none.
                if let Ok(counts) = cache.get(key, || counts.delivery_counts()) {
                    *known.lock() = counts;
                }
                let counts = Arc::clone(&*known.lock());
                board.targets_with(|name| counts.get(name).copied().unwrap_or_default())
            }),
            facts: Arc::new(move || SupervisorFacts {
                http: door.address(),
                ..identity.facts(&issues, &health)
            }),
            measures: Arc::new(super::facts::measures(&self.store, &self.metrics)),
            stats: Arc::new(move || counted.stats(configuration.configuration())),
            store: Arc::new(reading),
            deliveries: Arc::new(self.store.clone()),
            incidents: Arc::new(self.store.clone()),
            workers: Arc::new(move || workers.workers().into_iter().map(worker_line).collect()),
            commands,
        }
    }
}

fn cache_policy(settings: &CacheSettings) -> Policy {
    let entries = Room::Entries(settings.entries);
    match settings.policy {
        Eviction::Lru => Policy {
            room: entries,
            ttl: None,
        },
        Eviction::Ttl => Policy {
            room: entries,
            ttl: Some(settings.ttl),
        },
        Eviction::Size => Policy {
            room: Room::Bytes(settings.bytes),
            ttl: None,
        },
    }
}

fn start_probes() -> io::Result<(Signs, Arc<Probes>)> {
    let signs = Signs::new()?;
    let probes = Arc::new(probing::probes(signs.clone()));
    Ok((signs, probes))
}

/// Each look at the host is also one at the kernel's counters: so it is known when they rose.
fn start_metrics(
    (settings, logs): (&Settings, &Logs),
    store: &Store,
    memory: OutOfMemory,
) -> Result<(RuleWatch, Arc<Metrics>), StartError> {
    let rules = RuleWatch::new(Turns::new()?, logs.clone())?;
    let (samples, watch) = (store.clone(), rules.clone());
    let sink = Box::new(move |rows: Vec<Sample>, host: Option<HostSample>| {
        watch.look(&rows);
        if host.is_some() {
            memory.look();
        }
        samples.samples(rows, host);
    });
    let metrics = Metrics::start(Some(settings.metrics.interval), sink)?;
    Ok((rules, Arc::new(metrics)))
}

/// The database, what was left in it, and what became of a damaged one.
fn open_storage(
    settings: &Settings,
    deliveries: &Sender<()>,
    health: &Sender<StoreHealth>,
) -> Result<(Store, Left, Option<String>), StartError> {
    let open = || open_store(settings, deliveries.clone(), health.clone());
    let opened = storage::open(settings, open)?;
    Ok((opened.store, opened.left, opened.replaced))
}

fn open_store(
    settings: &Settings,
    deliveries: Sender<()>,
    health: Sender<StoreHealth>,
) -> Result<Store, OpenError> {
    let wakers = Wakers {
        deliveries: Some(deliveries),
        health: Some(health),
    };
    let options = StoreOptions {
        store: settings.store.clone(),
        checkpoint: settings.checkpoint.clone(),
        retention_raw: settings.metrics.retention_raw.max(limits::RAW_KEPT_MIN),
        wakers,
    };
    let store = Store::open(&settings.supervisor.state_dir, options)?;
    let metrics = &settings.metrics;
    store.keep_packed_for(metrics.retention_chunks, metrics.retention_candles);
    Ok(store)
}

/// The output of programs, and the holder of an earlier supervisor that goes on as ours.
fn start_logs(
    settings: &Settings,
    store: &Store,
    terminal: &Terminal,
    notices: Notices,
) -> Result<(Logs, logs::Started), StartError> {
    let (records, lines, room) = (store.clone(), terminal.clone(), terminal.clone());
    let (logs, started) = Logs::start(logs::Setup {
        state_dir: settings.supervisor.state_dir.clone(),
        keeping: super::keeping::rules(&settings.programs),
        cursors: store.log_cursors()?,
        records: Box::new(move |batch| {
            // While the database fails the cursor stays where it is: the lines are safe in their files.
            let is_well = records.health().degraded.is_none();
            if is_well {
                records.logs(batch);
            }
            is_well
        }),
        notices: Box::new(move |notice| notices.put(notice)),
        terminal: Some(logs::Terminal {
            line: Box::new(move |line| lines.offer(line)),
            room: Box::new(move |within| room.wait_for_room(within)),
            has_colour: terminal::has_colour(std::io::stdout().is_terminal()),
        }),
    })?;
    Ok((logs, started))
}

fn start_notify(
    settings: &Settings,
    store: &Store,
    journal: &Journal,
) -> Result<Notify, StartError> {
    let names: Vec<Arc<str>> = settings
        .targets
        .iter()
        .map(|t| Arc::clone(&t.name))
        .collect();
    let given_up = store.abandon_unknown_targets(&names, clock::wall())?;
    if given_up > 0 {
        log::warn!(
            "{given_up} deliveries waited for targets that are not configured any more; given up"
        );
    }
    let events = journal.clone();
    Ok(Notify::start(notify::Setup {
        client: Arc::new(Client::default()),
        outbox: Arc::new(StoreOutbox(store.clone())),
        targets: settings.targets.clone(),
        settings: settings.notify.clone(),
        host: Arc::from(settings.supervisor.name.as_str()),
        emit: Box::new(move |event| events.record(event)),
    })?)
}

/// Opens the socket and leaves word where it is. Supervision does not need either: a fault is an issue.
fn open_control(
    settings: &Settings,
    sources: Sources,
    rooms: &Rooms,
) -> (Option<Server>, Option<Registration>) {
    let api = Arc::new(Api::new(sources));
    rooms.door.begin(Arc::clone(&api));
    let socket = &settings.control.socket;
    let server =
        Listener::unix(socket).and_then(|listener| Server::start(listener, Bounds::CONTROL, api));
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            log::error!("no control socket: {error}");
            rooms.issues.set("control", Some(error.to_string()));
            return (None, None);
        }
    };
    let entry = Entry {
        pid: std::process::id(),
        socket: socket.clone(),
        state_dir: settings.supervisor.state_dir.clone(),
        config: settings.path.clone(),
    };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let places = Places::of(runtime.as_deref(), &std::env::temp_dir());
    let registration = places.register(&settings.path, &entry);
    if let Err(error) = &registration {
        log::warn!("{error}; commands find this supervisor by its configuration or --socket only");
    }
    (Some(server), registration.ok())
}

fn worker_line(view: notify::board::WorkerView) -> WorkerLine {
    WorkerLine {
        name: view.name,
        target: view.target.map(|name| name.to_string()),
        last_activity: view.last_activity,
        attempts: view.attempts,
    }
}
