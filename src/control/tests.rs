//! The server as clients and enemies see it, on real sockets.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex};

use super::ControlError;
use super::api::{DeliveryLine, EventLine, ShutdownAnswer, Status, TestAnswer, VerbAnswer};
use super::client::{Client, ClientError, Patience};
use super::conn::Listener;
use super::deliveries::{Deliveries, DeliveryDetail, DeliveryQuery, Purge, Unfound};
use super::explain::Explained;
use super::handler::Api;
use super::incidents::{IncidentDetail, IncidentLine, IncidentQuery, Incidents};
use super::server::{Bounds, Server};
use super::sources::{End, EventQuery, SourceError, Sources, StoreView, SupervisorFacts};
use crate::clock::{Wall, mono};
use crate::history::explain::Account;
use crate::ids::{DeliveryId, EventId, RunId};
use crate::limits;
use crate::model::command::{Command, UnknownTarget, VerbResult};
use crate::model::delivery::DeliveryState;
use crate::model::event::{Event, EventKind, Exit};
use crate::model::name::{InstanceName, UnknownName};
use crate::model::sample::{Figures, Sample};
use crate::model::status::{Desired, Health, PhaseName};
use crate::model::target::{TargetState, TargetView};
use crate::supervise::board::{Board, InstanceView, Snapshot};
use crate::thread::spawn_named;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store in memory.
#[derive(Default)]
struct Memory {
    inner: Mutex<Rows>,
    changed: Condvar,
}

#[derive(Default)]
struct Rows {
    events: Vec<Event>,
    deliveries: Vec<DeliveryLine>,
    generation: u64,
}

impl Memory {
    fn change(&self, change: impl FnOnce(&mut Rows)) {
        let mut rows = self.inner.lock();
        change(&mut rows);
        rows.generation += 1;
        self.changed.notify_all();
    }

    fn add(&self, kind: EventKind) -> EventId {
        let event = Event::new(kind, Wall::from_millis(1_700_000_000_000));
        let id = event.id;
        self.change(|rows| rows.events.push(event));
        id
    }
}

impl StoreView for Memory {
    fn events(&self, query: &EventQuery) -> Result<Vec<Event>, SourceError> {
        let rows = self.inner.lock();
        let mut found: Vec<Event> = rows
            .events
            .iter()
            .filter(|e| query.after.is_none_or(|after| e.id > after))
            .filter(|e| query.since.is_none_or(|since| e.time >= since))
            .filter(|e| query.kinds.is_empty() || query.kinds.contains(&e.kind))
            .cloned()
            .collect();
        match query.end {
            End::Oldest => found.truncate(query.limit),
            End::Newest => {
                found.drain(..found.len().saturating_sub(query.limit));
            }
        }
        Ok(found)
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryLine>, SourceError> {
        let rows = self.inner.lock();
        Ok(rows.deliveries.iter().find(|d| d.id == id).cloned())
    }

    fn states(&self) -> Result<Vec<(InstanceName, PhaseName)>, SourceError> {
        Ok(vec![(InstanceName::single("old"), PhaseName::Stopped)])
    }

    fn account(&self, name: &InstanceName, last: usize) -> Result<Account, SourceError> {
        let rows = self.inner.lock();
        let of_it = |e: &&Event| e.instance.as_ref() == Some(name);
        let events: Vec<Event> = rows.events.iter().filter(of_it).cloned().collect();
        let mut ends = crate::history::explain::fold(&events);
        ends.reverse();
        ends.truncate(last);
        Ok(Account {
            instance: name.clone(),
            ends,
            pattern: crate::history::pattern::classify(&[]),
        })
    }

    fn silence(
        &self,
        _id: crate::ids::SilenceId,
    ) -> Result<Option<crate::model::silence::Silence>, SourceError> {
        Ok(None)
    }

    fn generation(&self) -> u64 {
        self.inner.lock().generation
    }

    fn wait_change(&self, seen: u64, timeout: Duration) -> u64 {
        let mut rows = self.inner.lock();
        if rows.generation == seen {
            self.changed.wait_for(&mut rows, timeout);
        }
        rows.generation
    }
}

impl Incidents for Memory {
    fn incidents(&self, _: &IncidentQuery) -> Result<Vec<IncidentLine>, Unfound> {
        Ok(Vec::new())
    }

    fn incident(&self, id: &str) -> Result<IncidentDetail, Unfound> {
        Err(Unfound::Unknown(format!("there is no incident {id}")))
    }
}

impl Deliveries for Memory {
    fn list(&self, _: &DeliveryQuery) -> Result<Vec<DeliveryLine>, Unfound> {
        Ok(self.inner.lock().deliveries.clone())
    }

    fn find(&self, id: &str) -> Result<DeliveryDetail, Unfound> {
        Err(Unfound::Unknown(format!("there is no delivery {id}")))
    }

    fn retry(&self, _: Option<DeliveryId>, _: Wall) -> Result<usize, SourceError> {
        Ok(self.inner.lock().deliveries.len())
    }

    fn purge(&self, _: &Purge) -> Result<usize, SourceError> {
        Ok(0)
    }
}

/// A server with everything behind it.
struct Stage {
    dir: tempfile::TempDir,
    store: Arc<Memory>,
    commands: Receiver<Command>,
    server: Option<Server>,
}

impl Stage {
    fn new() -> Self {
        Self::with(Bounds {
            thread: "control",
            ..Bounds::CONTROL
        })
    }

    fn with(bounds: Bounds) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(Memory::default());
        let (commands_tx, commands) = bounded(limits::CONTROL_COMMANDS);
        let as_view: Arc<dyn StoreView> = Arc::clone(&store) as Arc<dyn StoreView>;
        let (board, sample) = board_and_sample();
        let sources = Sources {
            board: Arc::new(board),
            sample: Arc::new(move |name| (*name == sample.instance).then(|| sample.clone())),
            targets: Arc::new(|| vec![target()]),
            silences: Arc::new(|| Arc::from([])),
            facts: Arc::new(facts),
            measures: Arc::new(super::prometheus::Measures::default),
            store: as_view,
            deliveries: Arc::clone(&store) as Arc<dyn Deliveries>,
            incidents: Arc::clone(&store) as Arc<dyn Incidents>,
            workers: Arc::new(Vec::new),
            stats: Arc::new(|| super::stats::Stats {
                database: crate::store::StoreStats::default(),
                storage: super::stats::StorageLine::default(),
                pool: super::stats::PoolLine::default(),
                cache: super::stats::CacheLine::default(),
                configuration: facts().configuration,
            }),
            commands: commands_tx,
        };
        let listener = Listener::unix(&dir.path().join("jikimi.sock")).expect("a fresh socket");
        let server = Server::start(listener, bounds, Arc::new(Api::new(sources)));
        Self {
            dir,
            store,
            commands,
            server: Some(server.expect("room for a thread")),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("jikimi.sock")
    }

    fn client(&self) -> Client {
        Client::new(self.socket())
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the server listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a live socket");
        stream
    }

    /// Sends `bytes` and returns everything that comes back.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read all of a bad request.
        let _ = stream.write_all(bytes);
        read_all(&mut stream)
    }

    /// Answers the next command in a thread, as `app` does.
    fn answer(&self, answer: impl FnOnce(Command) + Send + 'static) {
        let commands = self.commands.clone();
        spawn_named("test-app", move || {
            answer(commands.recv_timeout(PATIENCE).expect("a command comes"));
        })
        .expect("room for a thread");
    }
}

fn read_all(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // Closed with unread bytes of ours; what was sent has been read before.
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("the server neither answered nor closed: {e}; so far {bytes:?}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn board_and_sample() -> (Board, Sample) {
    let run = RunId::new();
    let up = InstanceView {
        stopping: None,
        name: InstanceName::indexed("web", 0),
        desired: Desired::Up,
        phase: PhaseName::Running,
        ready: true,
        health: Health::Unknown,
        pid: Some(123),
        run: Some(run),
        started_at: Some(mono()),
        restarts: 2,
        retry_at: None,
        last_exit: Some(Exit::Code(1)),
        cause: None,
        tags: Arc::from(["game".to_owned()]),
        next_start_at: None,
        status_text: Some(Arc::from("12 players")),
    };
    let down = InstanceView {
        name: InstanceName::single("worker"),
        phase: PhaseName::Backoff,
        ready: false,
        pid: None,
        run: None,
        retry_at: Some(mono() + Duration::from_mins(10)),
        cause: Some("exit code 1".to_owned()),
        ..up.clone()
    };
    let sample = Sample {
        instance: up.name.clone(),
        run,
        time: Wall::from_millis(1),
        figures: Figures {
            cpu_percent: 12.345,
            memory_bytes: 1 << 20,
            processes: 3,
            ..Figures::default()
        },
    };
    let board = Board::default();
    board.publish(Snapshot {
        seq: 1,
        instances: vec![Arc::new(up), Arc::new(down)],
    });
    (board, sample)
}

fn target() -> TargetView {
    TargetView {
        name: "ops".to_owned(),
        kind: "webhook".to_owned(),
        state: TargetState::Ready,
        pending: 1,
        delivered: 2,
        failed: 3,
        last_activity: None,
        last_error: None,
        detail: crate::model::target::TargetDetail::default(),
    }
}

fn facts() -> SupervisorFacts {
    SupervisorFacts {
        configuration: crate::control::sources::ConfigurationFacts {
            version: 1,
            loaded_at: Wall::from_millis(0),
            scans: 1,
            parses: 1,
        },
        name: "box-1".to_owned(),
        version: "0.1.0",
        pid: 99,
        started_at: Wall::from_millis(1_700_000_000_000),
        started: mono(),
        config: "/etc/jikimi/jikimi.toml".into(),
        threads: 12,
        rss_bytes: 9 << 20,
        open_files: 40,
        http: None,
        issues: vec!["the disk is full".to_owned()],
    }
}

/// The keys of an object, sorted.
fn keys(value: &serde_json::Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn status_has_every_key_of_the_contract() {
    let stage = Stage::new();
    let status: serde_json::Value = stage.client().get("/api/v1/status").expect("an answer");
    assert_eq!(
        keys(&status),
        ["programs", "silences", "supervisor", "targets"]
    );
    assert_eq!(
        keys(&status["supervisor"]),
        [
            "config",
            "configuration",
            "health",
            "http",
            "issues",
            "name",
            "open_files",
            "pid",
            "rss_bytes",
            "started_at",
            "threads",
            "uptime_s",
            "version"
        ]
    );
    // `cause`, `next_start_at` and `status_text` are beyond the contract's list.
    let program = [
        "cause",
        "cpu_percent",
        "desired",
        "health",
        "last_exit",
        "memory_bytes",
        "name",
        "next_restart_s",
        "next_start_at",
        "phase",
        "pid",
        "processes",
        "program",
        "ready",
        "restarts",
        "run",
        "status_text",
        "tags",
        "uptime_s",
    ];
    for instance in status["programs"].as_array().expect("a list") {
        assert_eq!(keys(instance), program, "null keys are there too");
    }
    assert_eq!(
        keys(&status["targets"][0]),
        [
            "delivered",
            "failed",
            "kind",
            "last_activity",
            "name",
            "pending",
            "state"
        ]
    );
}

#[test]
fn status_says_what_the_board_and_the_samples_say() {
    let stage = Stage::new();
    let status: Status = stage.client().get("/api/v1/status").expect("an answer");
    assert_eq!(status.supervisor.issues, ["the disk is full"]);
    let json = serde_json::to_value(&status).expect("plain data");
    assert_eq!(json["supervisor"]["health"], "degraded");
    assert_eq!(json["supervisor"]["started_at"], "2023-11-14T22:13:20.000Z");
    let [web, worker] = status.programs.as_slice() else {
        panic!("{status:?}");
    };
    assert_eq!(
        (web.name.to_string(), &*web.program),
        ("web:0".to_owned(), "web")
    );
    assert!(
        (web.cpu_percent - 12.35).abs() < 1e-9,
        "{}",
        web.cpu_percent
    );
    assert_eq!((web.memory_bytes, web.processes), (1 << 20, 3));
    assert_eq!(json["programs"][0]["last_exit"]["code"], 1);
    assert_eq!(json["programs"][1]["phase"], "backoff");
    assert!(worker.next_restart_s.is_some_and(|s| s > 0.0));
    assert_eq!(
        (worker.pid, worker.processes),
        (None, 0),
        "no process, no figures"
    );
}

#[test]
fn the_socket_is_private_and_a_stale_one_is_replaced() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("s");
    // A closed listener leaves its file, as a supervisor that was killed does.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a fresh socket"));
    let listener = Listener::unix(&path).expect("the stale file is replaced");
    let mode = path.metadata().expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        Listener::unix(&path),
        Err(ControlError::InUse { .. })
    ));
    drop(listener);
    assert!(!path.exists(), "the socket is removed with its listener");
    std::fs::write(&path, "precious").expect("our folder");
    assert!(matches!(
        Listener::unix(&path),
        Err(ControlError::NoSocket { .. })
    ));
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
}

#[test]
fn a_verb_carries_its_names_and_who_asked_and_answers_when_it_is_done() {
    let stage = Stage::new();
    stage.answer(|command| {
        let Command::Verb(request) = command else {
            panic!("{command:?}");
        };
        let result = VerbResult {
            name: InstanceName::single("worker"),
            ok: request.wait,
            phase: PhaseName::Running,
            pid: Some(7),
            message: format!(
                "{} {:?} by {}",
                request.patterns.join(","),
                request.verb,
                request.by
            ),
        };
        request
            .reply
            .send(Ok(vec![result]))
            .expect("somebody waits");
    });
    let answer: VerbAnswer = stage
        .client()
        .post(
            "/api/v1/programs/tag%3Agame/restart?name=a%20b",
            Patience::Unlimited,
        )
        .expect("an answer");
    let uid = rustix::process::geteuid().as_raw();
    let pid = std::process::id();
    assert!(answer.ok);
    assert_eq!(
        answer.results[0].message,
        format!("tag:game,a b Restart by uid {uid} (pid {pid})")
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let stage = Stage::new();
    stage.answer(|command| {
        let Command::Verb(request) = command else {
            panic!("{command:?}");
        };
        let unknown = UnknownName {
            name: request.patterns.join(""),
            nearest: vec!["worker".to_owned()],
        };
        request.reply.send(Err(unknown)).expect("somebody waits");
    });
    let raw = stage.raw(b"POST /api/v1/programs/wroker/stop HTTP/1.1\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.1 404 "), "{raw}");
    assert!(raw.contains("application/problem+json"), "{raw}");
    assert!(raw.contains(r#""nearest":["worker"]"#), "{raw}");
    assert!(raw.contains("did you mean"), "{raw}");
}

#[test]
fn a_command_that_nobody_will_answer_says_that_the_supervisor_is_ending() {
    let stage = Stage::new();
    stage.answer(drop);
    let asked = stage
        .client()
        .post::<ShutdownAnswer>("/api/v1/shutdown", Patience::Short);
    assert!(
        matches!(asked, Err(ClientError::Refused { status: 503, .. })),
        "{asked:?}"
    );
}

#[test]
fn what_is_explained_may_be_chosen_by_tag_and_may_have_left_the_configuration() {
    let stage = Stage::new();
    let client = stage.client();
    let mut crash = Event::new(EventKind::ProgramCrashed, Wall::from_millis(1));
    crash.instance = Some(InstanceName::indexed("web", 0));
    crash.run = Some(RunId::new());
    stage
        .store
        .change(|rows| rows.events = vec![crash.clone(), crash]);
    let ask = |path: &str| client.get::<Vec<Explained>>(path).expect("an answer");
    let web = ask("/api/v1/programs/tag%3Agame/explain?last=1&name=old");
    let names: Vec<String> = web.iter().map(|one| one.instance.to_string()).collect();
    assert_eq!(names, ["web:0", "worker", "old"]);
    let phases: Vec<_> = web.iter().map(|one| one.phase).collect();
    assert_eq!(phases[0], Some(PhaseName::Running));
    assert_eq!(phases[2], None, "nobody supervises it");
    assert_eq!((web[0].ends.len(), web[1].ends.len()), (1, 0));
    assert_eq!(web[0].ends[0].how, "crashed");
    let unknown = client.get::<Vec<Explained>>("/api/v1/programs/wroker/explain");
    let Err(ClientError::Refused { status, detail, .. }) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(status, 404);
    assert!(detail.contains("\"worker\""), "{detail}");
}

#[test]
fn a_test_message_is_followed_to_its_outcome() {
    let stage = Stage::new();
    let id = DeliveryId::new();
    let line = DeliveryLine {
        id,
        event: EventId::new(),
        incident: None,
        target: "ops".to_owned(),
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
    };
    stage.store.change(|rows| rows.deliveries.push(line));
    stage.answer(move |command| {
        let Command::NotifyTest { target, reply, .. } = command else {
            panic!("{command:?}");
        };
        assert_eq!(target, "ops");
        reply.send(Ok(id)).expect("somebody waits");
    });
    let client = stage.client();
    let sent: TestAnswer = client
        .post("/api/v1/targets/ops/test", Patience::Short)
        .expect("an answer");
    let path = format!("/api/v1/deliveries/{}", sent.delivery);
    let first: DeliveryLine = client.get(&path).expect("an answer");
    assert_eq!(first.state, DeliveryState::Pending);
    let store = Arc::clone(&stage.store);
    let settle = spawn_named("test-settle", move || {
        store.change(|rows| rows.deliveries[0].state = DeliveryState::Dead);
    });
    let mut last = first;
    let deadline = mono() + PATIENCE;
    while !last.is_settled() && mono() < deadline {
        last = client.get(&format!("{path}?wait=true")).expect("an answer");
    }
    assert_eq!(last.state, DeliveryState::Dead);
    settle.expect("room for a thread").join().expect("it ends");
    let unknown = client.get::<DeliveryLine>(&format!("/api/v1/deliveries/{}", DeliveryId::new()));
    assert!(matches!(
        unknown,
        Err(ClientError::Refused { status: 404, .. })
    ));
}

#[test]
fn an_unknown_target_is_refused_with_a_sentence() {
    let stage = Stage::new();
    stage.answer(|command| {
        let Command::NotifyTest { target, reply, .. } = command else {
            panic!("{command:?}");
        };
        let unknown = UnknownTarget {
            name: target,
            nearest: vec!["ops".to_owned()],
        };
        reply.send(Err(unknown)).expect("somebody waits");
    });
    let asked = stage
        .client()
        .post::<TestAnswer>("/api/v1/targets/osp/test", Patience::Short);
    let Err(ClientError::Refused {
        status: 404,
        detail,
        ..
    }) = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(detail, "no target is called \"osp\"; did you mean \"ops\"?");
}

#[test]
fn events_are_paged_and_followed_without_a_gap() {
    let stage = Stage::new();
    let client = stage.client();
    let first = stage.store.add(EventKind::ProgramStarted);
    let second = stage.store.add(EventKind::ProgramCrashed);
    let page: Vec<EventLine> = client.get("/api/v1/events?limit=1").expect("an answer");
    assert_eq!(page.iter().map(|e| e.id).collect::<Vec<_>>(), [first]);
    let rest: Vec<EventLine> = client
        .get(&format!("/api/v1/events?after={first}"))
        .expect("an answer");
    assert_eq!(rest.iter().map(|e| e.id).collect::<Vec<_>>(), [second]);
    let newest: Vec<EventLine> = client.get("/api/v1/events?last=1").expect("an answer");
    assert_eq!(newest[0].id, second);
    let mut follow = client
        .follow(&format!(
            "/api/v1/events/stream?after={first}&type=program.*"
        ))
        .expect("a stream");
    stage.store.add(EventKind::StorageDegraded);
    let third = stage.store.add(EventKind::ProgramRecovered);
    let mut next = || follow.next_event().expect("a sound stream").map(|e| e.id);
    assert_eq!((next(), next()), (Some(second), Some(third)));
    drop(stage);
    assert_eq!(
        next(),
        None,
        "the end of the server is the end of the stream"
    );
}

#[test]
fn a_stream_without_a_starting_point_begins_with_what_comes() {
    let stage = Stage::new();
    stage.store.add(EventKind::ProgramStarted);
    let mut follow = stage
        .client()
        .follow("/api/v1/events/stream")
        .expect("a stream");
    let later = stage.store.add(EventKind::ProgramCrashed);
    let event = follow
        .next_event()
        .expect("a sound stream")
        .expect("an event");
    assert_eq!((event.id, event.kind.as_str()), (later, "program.crashed"));
}

#[test]
fn a_follower_is_told_the_last_events_of_a_shutdown() {
    let mut stage = Stage::new();
    let mut follow = stage
        .client()
        .follow("/api/v1/events/stream")
        .expect("a stream");
    let last = stage.store.add(EventKind::SupervisorStopping);
    drop(stage.server.take());
    let event = follow.next_event().expect("a sound stream");
    assert_eq!(event.map(|e| e.id), Some(last));
    assert_eq!(follow.next_event().expect("a sound end"), None);
}

#[test]
fn followers_never_take_all_connections() {
    let stage = Stage::new();
    let client = stage.client();
    let follow = || client.follow("/api/v1/events/stream");
    let kept: Vec<_> = (0..limits::CONTROL_LONG)
        .map(|_| follow().expect("a stream"))
        .collect();
    let one_more = follow().map(|_| ());
    assert!(
        matches!(one_more, Err(ClientError::Refused { status: 503, .. })),
        "{one_more:?}"
    );
    assert!(client.get::<Status>("/api/v1/status").is_ok());
    drop(kept);
    let deadline = mono() + PATIENCE;
    let mut again = follow().map(|_| ());
    while again.is_err() && mono() < deadline {
        again = follow().map(|_| ());
    }
    assert!(
        again.is_ok(),
        "places come back when followers go: {again:?}"
    );
}

#[test]
fn bad_requests_get_an_answer_that_says_what_is_wrong() {
    let stage = Stage::new();
    let huge_line = format!(
        "GET /{} HTTP/1.1\r\n\r\n",
        "a".repeat(limits::CONTROL_HEAD_BYTES)
    );
    let huge_header = format!(
        "GET /healthz HTTP/1.1\r\nA: {}\r\n\r\n",
        "b".repeat(limits::CONTROL_HEAD_BYTES)
    );
    let many_headers = format!(
        "GET /healthz HTTP/1.1\r\n{}\r\n",
        "A: b\r\n".repeat(limits::CONTROL_HEADERS + 1)
    );
    let big_body = format!(
        "POST /api/v1/shutdown HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        limits::CONTROL_BODY_BYTES + 1
    );
    for (request, status) in [
        ("GET /nothing HTTP/1.1\r\n\r\n", 404),
        ("GET / HTTP/1.1\r\n\r\n", 404),
        ("DELETE /api/v1/status HTTP/1.1\r\n\r\n", 405),
        ("GET /api/v1/shutdown HTTP/1.1\r\n\r\n", 405),
        ("B\x01D / HTTP/1.1\r\n\r\n", 400),
        ("GET /api/v1/events?since=soon HTTP/1.1\r\n\r\n", 400),
        ("GET /%ff HTTP/1.1\r\n\r\n", 400),
        ("\x16\x03\x01\x02\r\n\r\n", 400),
        (
            "POST /api/v1/shutdown HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "POST /api/v1/shutdown HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            411,
        ),
        (&huge_line, 431),
        (&huge_header, 431),
        (&many_headers, 431),
        (&big_body, 413),
    ] {
        let raw = stage.raw(request.as_bytes());
        let shown = &request[..request.len().min(60)];
        assert!(
            raw.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown:?}: {raw}"
        );
        assert!(raw.contains("application/problem+json"), "{shown:?}: {raw}");
    }
    assert!(
        stage.commands.is_empty(),
        "none of them reached the supervisor"
    );
}

#[test]
fn two_hundred_half_requests_keep_nobody_out() {
    let stage = Stage::new();
    let mut half: Vec<UnixStream> = Vec::new();
    for _ in 0..200 {
        let mut stream = stage.connect();
        // The oldest are cut to make room, so a write may find its connection closed.
        let _ = stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: ");
        half.push(stream);
    }
    let status = stage.client().get::<Status>("/api/v1/status");
    assert!(status.is_ok(), "{status:?}");
    let first = read_all(&mut half[0]);
    assert!(
        first.starts_with("HTTP/1.1 503 ") && first.contains("\r\nRetry-After: "),
        "the oldest half request was cut, and told so: {first}"
    );
    if let Some(stage_server) = stage.server {
        Server::stop(stage_server);
    }
    for mut stream in half {
        let _ = read_all(&mut stream);
    }
}

#[test]
fn a_client_that_trickles_is_cut_at_the_deadline_of_the_whole_request() {
    let stage = Stage::with(Bounds {
        request: Duration::from_millis(300),
        ..Bounds::CONTROL
    });
    let mut stream = stage.connect();
    let (_keep, never) = bounded::<()>(1);
    let give_up = mono() + PATIENCE;
    while stream.write_all(b"a").is_ok() {
        assert!(mono() < give_up, "the server listens to a trickle for ever");
        let _ = never.recv_timeout(Duration::from_millis(20));
    }
    let raw = read_all(&mut stream);
    assert!(raw.starts_with("HTTP/1.1 408 "), "{raw}");
}

#[test]
fn beyond_the_limit_of_answers_under_way_the_next_is_refused_at_once() {
    let stage = Stage::with(Bounds {
        connections: 2,
        ..Bounds::CONTROL
    });
    let mut waiting: Vec<UnixStream> = Vec::new();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = stage.connect();
        stream
            .write_all(b"POST /api/v1/programs/all/stop HTTP/1.1\r\n\r\n")
            .expect("the server reads");
        waiting.push(stream);
        held.push(
            stage
                .commands
                .recv_timeout(PATIENCE)
                .expect("a command comes"),
        );
    }
    let raw = stage.raw(b"GET /healthz HTTP/1.1\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.1 503 "), "{raw}");
    drop(held);
    assert!(read_all(&mut waiting[0]).starts_with("HTTP/1.1 503 "));
    let status = stage.client().get::<serde_json::Value>("/healthz");
    assert_eq!(status.expect("room again")["status"], "degraded");
}

#[test]
fn stopping_ends_followers_and_waiters_and_removes_the_socket() {
    let mut stage = Stage::new();
    let mut follow = stage
        .client()
        .follow("/api/v1/events/stream")
        .expect("a stream");
    let mut verb = stage.connect();
    verb.write_all(b"POST /api/v1/programs/all/stop HTTP/1.1\r\n\r\n")
        .expect("the server reads");
    let held = stage
        .commands
        .recv_timeout(PATIENCE)
        .expect("a command comes");
    let mut idle = stage.connect();
    if let Some(a) = stage.server.take() {
        Server::stop(a);
    }
    assert!(!stage.socket().exists());
    assert_eq!(follow.next_event().expect("a sound end"), None);
    assert!(read_all(&mut verb).starts_with("HTTP/1.1 503 "));
    assert_eq!(read_all(&mut idle), "");
    drop(held);
    let gone = stage.client().get::<Status>("/api/v1/status");
    assert!(
        matches!(gone, Err(ClientError::NotRunning { .. })),
        "{gone:?}"
    );
}
