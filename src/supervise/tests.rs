//! The actor with real processes and ports that only remember.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::board::{Board, InstanceView};
use super::*;
use crate::clock;
use crate::model::command::{Verb, VerbReply};
use crate::model::event::{EventKind, Exit};
use crate::model::program::{BackoffPolicy, Environment, LimitAction, RestartLimit, Signal};
use crate::model::status::{Desired, PhaseName};

mod reload;

const PATIENCE: Duration = Duration::from_secs(20);

/// Ports that keep what they are given; output goes nowhere.
#[derive(Clone, Default)]
struct Kept {
    records: Arc<Mutex<Vec<Record>>>,
    measured: Arc<Mutex<Vec<Measured>>>,
    over: Arc<Mutex<Vec<RunId>>>,
    probed: Arc<Mutex<Vec<Probed>>>,
}

impl Ports for Kept {
    fn record(&self, record: Record) {
        self.records.lock().push(record);
    }

    fn open_output(&self, _: &InstanceName, _: RunId) -> io::Result<Output> {
        let open = || {
            std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/null")
                .map(OwnedFd::from)
        };
        Ok(Output {
            stdout: open()?,
            stderr: open()?,
            paths: Vec::new(),
            begin: Box::new(|| ()),
        })
    }

    fn output_unused(&self, run: RunId) {
        self.over.lock().push(run);
    }

    fn output_over(&self, run: RunId) {
        self.over.lock().push(run);
    }

    fn measure(&self, measured: Measured) {
        self.measured.lock().push(measured);
    }

    fn unmeasure(&self, _: &InstanceName, run: RunId) {
        self.measured.lock().retain(|m| m.run != run);
    }

    fn probe(&self, probed: Probed) {
        self.probed.lock().push(probed);
    }

    fn unprobe(&self, run: RunId) {
        self.probed.lock().retain(|p| p.run != run);
    }
}

struct Running {
    supervisor: Option<Supervisor>,
    thread: Option<JoinHandle<()>>,
    board: Arc<Board>,
    kept: Kept,
}

impl Running {
    fn start(programs: Vec<ProgramSpec>) -> Self {
        Self::start_after(programs, Legacy::default())
    }

    fn start_after(programs: Vec<ProgramSpec>, legacy: Legacy) -> Self {
        crate::child::adopt_orphans().expect("Linux has had subreapers since 3.4");
        let (board, kept) = (Arc::new(Board::default()), Kept::default());
        let start = Start {
            programs: programs.into_iter().map(Arc::new).collect(),
            legacy,
            board: Arc::clone(&board),
            ports: Box::new(kept.clone()),
            signs: Signs::new().expect("a descriptor"),
            turns: super::turns::Turns::new().expect("a descriptor"),
            file_limit: None,
        };
        let (supervisor, thread) =
            Supervisor::start(start).expect("a thread and a few descriptors");
        Self {
            supervisor: Some(supervisor),
            thread: Some(thread),
            board,
            kept,
        }
    }

    fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().expect("taken only at the end")
    }

    fn view(&self, name: &str) -> Option<Arc<InstanceView>> {
        self.board
            .read()
            .instances
            .iter()
            .find(|v| v.name.to_string() == name)
            .cloned()
    }

    fn wait(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&InstanceView) -> bool,
    ) -> Arc<InstanceView> {
        let start = clock::mono();
        loop {
            let view = self.view(name);
            match view {
                Some(view) if is_so(&view) => return view,
                seen => assert!(
                    clock::mono().since(start) < PATIENCE,
                    "{name} is not {what}: {seen:#?}"
                ),
            }
            std::thread::yield_now();
        }
    }

    fn wait_phase(&self, name: &str, phase: PhaseName) -> Arc<InstanceView> {
        self.wait(name, phase.as_str(), |view| view.phase == phase)
    }

    fn verb(&self, verb: Verb, name: &str) -> VerbReply {
        let (reply, answer) = bounded(1);
        let patterns = vec![name.to_owned()];
        self.supervisor().verb(VerbRequest {
            verb,
            patterns,
            wait: true,
            by: "a test".to_owned(),
            reply,
        });
        answer.recv_timeout(PATIENCE).expect("an answer")
    }

    fn kinds(&self, name: &str) -> Vec<EventKind> {
        let records = self.kept.records.lock();
        let of = records.iter().filter(|r| {
            r.event
                .instance
                .as_ref()
                .is_some_and(|i| i.to_string() == name)
        });
        of.map(|r| r.event.kind).collect()
    }

    fn stop(&self) -> StopReport {
        let (reply, report): (Sender<StopReport>, Receiver<StopReport>) = bounded(1);
        self.supervisor().stop_all("a test".to_owned(), reply);
        report.recv_timeout(PATIENCE).expect("everything stops")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.supervisor().kill_all();
        if !std::thread::panicking() {
            self.stop();
        }
        self.supervisor = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn program(name: &str, script: &str) -> ProgramSpec {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ProgramSpec {
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        environment: Environment {
            own: [("PATH".into(), path)].into(),
            ..Environment::default()
        },
        start_confirm: Duration::from_millis(20),
        stop_timeout: Duration::from_secs(5),
        backoff: BackoffPolicy {
            initial: Duration::ZERO,
            max: Duration::ZERO,
            factor: 1.0,
            jitter: 0.0,
            reset_after: Duration::from_mins(1),
        },
        restart_limit: RestartLimit {
            count: 3,
            within: Duration::from_mins(1),
            then: LimitAction::Fatal,
        },
        ..ProgramSpec::fixture(name)
    }
}

fn is_alive(pid: u32) -> bool {
    crate::procfs::read_stat(pid)
        .ok()
        .flatten()
        .is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'))
}

#[test]
fn a_crashing_program_is_restarted_up_to_its_limit_and_then_given_up() {
    let running = Running::start(vec![program("bad", "exit 7")]);
    let view = running.wait_phase("bad", PhaseName::Fatal);
    assert_eq!(view.restarts, 3);
    assert_eq!(view.last_exit, Some(Exit::Code(7)));
    assert_eq!(
        view.cause.as_deref(),
        Some("restart limit reached: 3 in 1m")
    );
    let crashes = running
        .kinds("bad")
        .iter()
        .filter(|k| **k == EventKind::ProgramCrashed)
        .count();
    assert_eq!(crashes, 4);
    assert_eq!(
        running.kept.over.lock().len(),
        4,
        "each run's output was ended"
    );
}

#[test]
fn a_killed_program_comes_back_as_another_process() {
    let running = Running::start(vec![program("web", "exec sleep 600")]);
    let first = running.wait_phase("web", PhaseName::Running);
    let pid = first.pid.expect("it runs");
    crate::child::signal_group(pid, Signal::KILL).expect("our own child");
    let second = running.wait("web", "back", |v| {
        v.phase == PhaseName::Running && v.pid != Some(pid)
    });
    assert_eq!(second.restarts, 1);
    assert!(!is_alive(pid));
}

#[test]
fn a_missing_command_is_fatal_at_once_and_the_others_run() {
    let mut missing = program("missing", "");
    missing.command = vec!["no-such-command-anywhere".to_owned()];
    let running = Running::start(vec![missing, program("web", "exec sleep 600")]);
    let view = running.wait_phase("missing", PhaseName::Fatal);
    assert!(
        view.cause
            .as_deref()
            .is_some_and(|c| c.starts_with("command not found: no-such")),
        "{view:?}"
    );
    running.wait_phase("web", PhaseName::Running);
}

#[test]
fn a_child_that_ignores_term_is_killed_after_the_grace_with_its_whole_tree() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pids = dir.path().join("pids");
    // A shell that ignores TERM, a child in its group, and one in a session of its own.
    let script = format!(
        "trap '' TERM; sleep 600 & echo $! >> {0}; setsid sh -c 'trap \"\" TERM; echo $$ >> {0}; \
         while :; do sleep 600; done' & while :; do sleep 600; done",
        pids.display()
    );
    let mut spec = program("stubborn", &script);
    spec.stop_timeout = Duration::from_millis(200);
    let running = Running::start(vec![spec]);
    running.wait_phase("stubborn", PhaseName::Running);
    let start = clock::mono();
    let tree = loop {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        let tree: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if tree.len() == 2 {
            break tree;
        }
        assert!(
            clock::mono().since(start) < PATIENCE,
            "the tree never came up: {text}"
        );
        std::thread::yield_now();
    };
    let answer = running.verb(Verb::Stop, "stubborn").expect("it is known");
    assert_eq!(answer[0].message, "killed: it did not stop in time");
    assert_eq!(answer[0].phase, PhaseName::Stopped);
    assert!(
        tree.iter().all(|pid| !is_alive(*pid)),
        "something of the tree is left"
    );
    assert!(
        running
            .kinds("stubborn")
            .contains(&EventKind::ProgramKilled)
    );
}

#[test]
fn what_a_crash_leaves_of_a_tree_is_ended_before_the_next_run() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    // Each run leaves a daemon in a session of its own and notes whether the one before is still alive.
    let script = format!(
        "if [ -s {0} ] && kill -0 \"$(tail -n 1 {0})\" 2>/dev/null; then echo doubled >> {0}; fi; \
         setsid sleep 600 & echo $! >> {0}; exit 1",
        log.display()
    );
    let mut spec = program("daemon", &script);
    spec.stop_timeout = Duration::from_millis(200);
    let running = Running::start(vec![spec]);
    running.wait_phase("daemon", PhaseName::Fatal);
    running.verb(Verb::Stop, "daemon").expect("it is known");
    let text = std::fs::read_to_string(&log).expect("the runs wrote it");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!text.contains("doubled"), "{text}");
    assert!(
        text.lines()
            .all(|pid| !is_alive(pid.parse().expect("a pid"))),
        "{text}"
    );
}

#[test]
fn dependents_start_after_what_they_need_and_stop_before_it() {
    let db = program("db", "exec sleep 600");
    let mut web = program("web", "exec sleep 600");
    web.depends_on = vec![Arc::from("db")];
    let running = Running::start(vec![web, db]);
    running.wait_phase("web", PhaseName::Running);
    running.stop();
    let records = running.kept.records.lock();
    let place = |kind: EventKind, name: &str| {
        let is_it =
            |r: &Record| r.event.kind == kind && r.event.program().is_some_and(|p| &**p == name);
        records
            .iter()
            .position(is_it)
            .unwrap_or_else(|| panic!("no {kind} of {name}"))
    };
    assert!(place(EventKind::ProgramReady, "db") < place(EventKind::ProgramStarted, "web"));
    assert!(place(EventKind::ProgramStopped, "web") < place(EventKind::ProgramStopping, "db"));
}

#[test]
fn what_waits_for_a_dead_dependency_says_so_and_starts_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut db = program(
        "db",
        &format!(
            "[ -e {}/ok ] || exit 1; exec sleep 600",
            dir.path().display()
        ),
    );
    db.restart_limit.count = 1;
    let mut web = program("web", "exec sleep 600");
    web.depends_on = vec![Arc::from("db")];
    let running = Running::start(vec![db, web]);
    running.wait("web", "waiting", |v| {
        v.cause.as_deref() == Some("waits for db (fatal)")
    });
    std::fs::write(dir.path().join("ok"), "").expect("our own folder");
    let answer = running.verb(Verb::Start, "web").expect("it is known");
    assert!(answer[0].ok, "{answer:?}");
    assert_eq!(
        running.view("db").map(|v| v.phase),
        Some(PhaseName::Running)
    );
}

#[test]
fn verbs_answer_when_it_is_done_and_say_what_became_of_it() {
    let mut idle = program("idle", "exec sleep 600");
    idle.autostart = false;
    let running = Running::start(vec![idle, program("once", "exit 0")]);
    running.wait_phase("once", PhaseName::Exited);
    assert_eq!(
        running.view("idle").map(|v| v.phase),
        Some(PhaseName::Stopped)
    );
    let message = |verb, name: &str| {
        running
            .verb(verb, name)
            .map(|a| (a[0].ok, a[0].message.clone()))
    };
    assert_eq!(
        message(Verb::Start, "idle"),
        Ok((true, "started".to_owned()))
    );
    let pid = running.view("idle").and_then(|v| v.pid);
    assert_eq!(
        message(Verb::Start, "idle"),
        Ok((true, "was already running".to_owned()))
    );
    assert_eq!(
        message(Verb::Restart, "idle"),
        Ok((true, "restarted".to_owned()))
    );
    assert_ne!(running.view("idle").and_then(|v| v.pid), pid);
    assert_eq!(
        message(Verb::Stop, "idle"),
        Ok((true, "stopped".to_owned()))
    );
    assert_eq!(
        message(Verb::Stop, "idle"),
        Ok((true, "was already stopped".to_owned()))
    );
    assert_eq!(
        message(Verb::Start, "once"),
        Ok((true, "ended with exit code 0".to_owned()))
    );
    let unknown = running
        .verb(Verb::Stop, "idel")
        .expect_err("there is no such program");
    assert_eq!(unknown.nearest, ["idle"]);
}

#[test]
fn what_a_killed_supervisor_left_running_goes_on_under_the_next_one_as_the_same_run() {
    // Orphaned, as a run is whose supervisor was killed.
    let shell = std::process::Command::new("/bin/sh")
        .args(["-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
        .output()
        .expect("a shell");
    let pid = String::from_utf8_lossy(&shell.stdout).trim().to_owned();
    let pid: u32 = pid.parse().expect("a pid");
    let stat = crate::procfs::read_stat(pid)
        .expect("proc")
        .expect("it runs");
    let run = RunStart {
        run: RunId::new(),
        instance: InstanceName::single("web"),
        pid,
        start_ticks: stat.start_ticks,
        boot_id: crate::procfs::boot_id().expect("a boot id"),
        at: clock::wall(),
        command: String::new(),
        pipes: Vec::new(),
        made_of: None,
    };
    let legacy = Legacy {
        unfinished: vec![run.clone()],
        ..Legacy::default()
    };
    let running = Running::start_after(vec![program("web", "exec sleep 600")], legacy);
    let view = running.wait_phase("web", PhaseName::Running);
    assert_eq!((view.pid, view.run), (Some(pid), Some(run.run)));
    // Its end is seen like that of any other, and another run follows.
    let held = crate::child::watch(pid, stat.start_ticks)
        .expect("a descriptor")
        .expect("it runs");
    crate::child::signal_process(&held.pidfd, Signal::KILL).expect("it is ours to kill");
    running.wait("web", "another run", |view| {
        view.phase == PhaseName::Running && view.run != Some(run.run)
    });
    let records = running.kept.records.lock();
    let kinds: Vec<EventKind> = records
        .iter()
        .filter(|record| record.event.run == Some(run.run))
        .map(|record| record.event.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            EventKind::ProgramAdopted,
            EventKind::ProgramReady,
            EventKind::ProgramCrashed
        ]
    );
}

#[test]
fn how_a_run_ended_meanwhile_is_told_while_the_kernel_still_knows() {
    // A child of the test that nobody reaps keeps its last word, as a run's zombie does with a lazy pid 1.
    let mut zombie = std::process::Command::new("/bin/sh")
        .args(["-c", "exit 7"])
        .spawn()
        .expect("a shell");
    let pid = zombie.id();
    let deadline = clock::mono() + Duration::from_secs(20);
    let stat = loop {
        let stat = crate::procfs::read_stat(pid).expect("proc").expect("kept");
        if stat.is_zombie() {
            break stat;
        }
        assert!(clock::mono() < deadline, "it did not end");
    };
    let run = RunId::new();
    let legacy = Legacy {
        unfinished: vec![RunStart {
            run,
            instance: InstanceName::single("web"),
            pid,
            start_ticks: stat.start_ticks,
            boot_id: crate::procfs::boot_id().expect("a boot id"),
            at: clock::wall(),
            command: String::new(),
            pipes: Vec::new(),
            made_of: None,
        }],
        ..Legacy::default()
    };
    let running = Running::start_after(vec![program("web", "exec sleep 600")], legacy);
    running.wait("web", "another run", |view| {
        view.phase == PhaseName::Running && view.run != Some(run)
    });
    let records = running.kept.records.lock();
    let crashed = records
        .iter()
        .find(|record| record.event.kind == EventKind::ProgramCrashed)
        .expect("it is told");
    assert_eq!(crashed.event.run, Some(run));
    assert_eq!(crashed.event.facts.exit, Some(Exit::Code(7)));
    drop(records);
    zombie.wait().expect("our child");
}

#[test]
fn what_a_person_stopped_or_was_given_up_stays_so_after_the_supervisor_was_killed() {
    let state = |name: &str, desired, phase| InstanceState {
        instance: InstanceName::single(name),
        desired,
        phase,
        restarts: 4,
        streak: 2,
        retry_at: None,
        run: None,
        last_exit: Some(Exit::Code(1)),
        ready: false,
        at: clock::wall(),
    };
    let states = vec![
        state("stopped", Desired::Down, PhaseName::Stopped),
        state("fatal", Desired::Up, PhaseName::Fatal),
        state("done", Desired::Up, PhaseName::Exited),
        state("up", Desired::Up, PhaseName::Running),
        // Killed in the middle of its own end.
        state("ending", Desired::Up, PhaseName::Stopped),
    ];
    let programs = states
        .iter()
        .map(|s| program(&s.instance.to_string(), "exec sleep 600"))
        .collect();
    let running = Running::start_after(
        programs,
        Legacy {
            states,
            ..Legacy::default()
        },
    );
    let up = running.wait_phase("up", PhaseName::Running);
    assert_eq!(up.restarts, 4);
    running.wait_phase("ending", PhaseName::Running);
    for (name, phase) in [
        ("stopped", PhaseName::Stopped),
        ("fatal", PhaseName::Fatal),
        ("done", PhaseName::Exited),
    ] {
        assert_eq!(running.view(name).map(|v| v.phase), Some(phase), "{name}");
    }
}
