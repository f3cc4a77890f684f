//! Reloads of the actor: what comes, goes, stays and gives way, and in which order.

use super::*;
use crate::model::command::VerbResult;
use crate::model::trigger::Trigger;

/// One that sleeps, with a word in its environment.
fn sleeper(name: &str, word: &str) -> ProgramSpec {
    let mut spec = program(name, "exec sleep 600");
    let own = &mut spec.environment.own;
    own.insert("WORD".into(), word.into());
    spec
}

fn times(mut spec: ProgramSpec, instances: u16) -> ProgramSpec {
    spec.instances = instances;
    spec
}

impl Running {
    fn ask_reload(&self, programs: Vec<ProgramSpec>) -> Receiver<Vec<VerbResult>> {
        let (reply, answer) = bounded(1);
        self.supervisor().reload(Reload {
            programs: programs.into_iter().map(Arc::new).collect(),
            by: "a test".to_owned(),
            reply: Some(reply),
        });
        answer
    }

    fn reload(&self, programs: Vec<ProgramSpec>) -> Vec<String> {
        let results = self.ask_reload(programs).recv_timeout(PATIENCE);
        let results = results.expect("an answer");
        let line = |r: &VerbResult| format!("{} {}: {}", r.name, r.ok, r.message);
        results.iter().map(line).collect()
    }

    /// Names and pids, in the order of the board.
    fn pids(&self) -> Vec<(String, Option<u32>)> {
        let board = self.board.read();
        let pids = board.instances.iter().map(|v| (v.name.to_string(), v.pid));
        pids.collect()
    }

    fn pid(&self, name: &str) -> u32 {
        let view = self.wait_phase(name, PhaseName::Running);
        view.pid.expect("it runs")
    }

    fn names(&self) -> Vec<String> {
        self.pids().into_iter().map(|(name, _)| name).collect()
    }

    /// What was told, as `kind instance`, in order.
    fn told(&self) -> Vec<String> {
        let records = self.kept.records.lock();
        let line = |r: &Record| {
            let name = r.event.instance.as_ref().map(ToString::to_string);
            format!("{} {}", r.event.kind, name.unwrap_or_default())
        };
        records.iter().map(line).collect()
    }
}

fn place(told: &[String], line: &str) -> usize {
    let at = told.iter().rposition(|l| l == line);
    at.unwrap_or_else(|| panic!("{line} was not told: {told:#?}"))
}

#[test]
fn only_what_changed_is_restarted_and_once() {
    let running = Running::start(vec![sleeper("a", "1"), sleeper("b", "1")]);
    let (a, b) = (running.pid("a"), running.pid("b"));
    let mut slower = sleeper("b", "1");
    slower.stop_timeout = Duration::from_secs(9);
    assert_eq!(
        running.reload(vec![sleeper("a", "2"), slower]),
        ["a true: restarted"]
    );
    assert_ne!(running.pid("a"), a);
    assert_eq!(running.pid("b"), b);
    assert!(!is_alive(a));
    let records = running.kept.records.lock();
    let stopping: Vec<_> = records
        .iter()
        .filter(|r| r.event.kind == EventKind::ProgramStopping)
        .collect();
    assert_eq!(stopping.len(), 1);
    let facts = &stopping[0].event.facts;
    assert_eq!(facts.trigger, Some(Trigger::Reload));
    assert_eq!(
        facts.cause.as_deref(),
        Some("configuration changed: environment.WORD")
    );
}

#[test]
fn instances_come_and_go_and_those_that_stay_are_not_touched() {
    let of = |n| vec![times(sleeper("web", "1"), n), sleeper("last", "1")];
    let running = Running::start(of(2));
    let (zero, one) = (running.pid("web:0"), running.pid("web:1"));
    assert_eq!(running.reload(of(3)), ["web:2 true: started"]);
    assert_eq!(running.names(), ["web:0", "web:1", "web:2", "last"]);
    assert_eq!((running.pid("web:0"), running.pid("web:1")), (zero, one));
    let two = running.pid("web:2");
    // One is another name: it starts when the others are down.
    let answer = running.reload(of(1));
    assert_eq!(answer.len(), 4, "{answer:?}");
    assert!(answer.contains(&"web true: started".to_owned()));
    assert_eq!(running.names(), ["web", "last"]);
    assert!([zero, one, two].iter().all(|pid| !is_alive(*pid)));
    let told = running.told();
    let started = place(&told, "program.started web");
    for name in ["web:0", "web:1", "web:2"] {
        assert!(
            place(&told, &format!("program.stopped {name}")) < started,
            "{told:#?}"
        );
    }
    // Numbers of slots are used again.
    assert_eq!(running.reload(of(2)).len(), 3);
    assert_eq!(running.names(), ["web:0", "web:1", "last"]);
    running.pid("web:1");
}

#[test]
fn what_leaves_is_stopped_after_those_that_need_it_and_is_told_why() {
    let mut web = sleeper("web", "1");
    web.depends_on = vec!["db".into()];
    let running = Running::start(vec![sleeper("db", "1"), web, sleeper("stays", "1")]);
    running.pid("web");
    let stays = running.pid("stays");
    let answer = running.reload(vec![sleeper("stays", "1")]);
    assert_eq!(answer, ["db true: stopped", "web true: stopped"]);
    assert_eq!(running.pids(), [("stays".to_owned(), Some(stays))]);
    let told = running.told();
    assert!(place(&told, "program.stopped web") < place(&told, "program.stopping db"));
    let records = running.kept.records.lock();
    let stopped = records
        .iter()
        .find(|r| r.event.kind == EventKind::ProgramStopped)
        .expect("it was told");
    let facts = &stopped.event.facts;
    assert_eq!(
        facts.cause.as_deref(),
        Some("removed from the configuration")
    );
    // Should it come back after a kill -9, nobody stopped it by hand.
    let state = stopped.state.as_ref().expect("its state is kept");
    assert_eq!(state.desired, Desired::Up);
    drop(records);
    assert!(running.verb(Verb::Start, "db").is_err(), "it is unknown");
}

#[test]
fn dependents_give_way_before_what_they_need_and_start_after_it() {
    let of = |word: &str| {
        let mut web = sleeper("web", word);
        web.depends_on = vec!["db".into()];
        vec![web, sleeper("db", word)]
    };
    let running = Running::start(of("1"));
    running.pid("web");
    assert_eq!(
        running.reload(of("2")),
        ["web true: restarted", "db true: restarted"]
    );
    let told = running.told();
    assert!(place(&told, "program.stopped web") < place(&told, "program.stopping db"));
    assert!(place(&told, "program.ready db") < place(&told, "program.started web"));
    for name in ["web", "db"] {
        let starts = running.kinds(name);
        let starts = starts.iter().filter(|k| **k == EventKind::ProgramStarted);
        assert_eq!(starts.count(), 2, "{name}");
    }
}

#[test]
fn what_is_down_stays_down_and_what_failed_gets_another_chance() {
    let bad = program("bad", "exit 7");
    let mut crashing = program("crashing", "exit 7");
    crashing.backoff.initial = Duration::from_hours(1);
    crashing.backoff.max = Duration::from_hours(1);
    let running = Running::start(vec![
        bad.clone(),
        crashing.clone(),
        sleeper("off", "1"),
        program("done", "exit 0"),
    ]);
    running.wait_phase("bad", PhaseName::Fatal);
    running.wait_phase("crashing", PhaseName::Backoff);
    running.wait_phase("done", PhaseName::Exited);
    running.verb(Verb::Stop, "off").expect("it is known");
    // A key that makes no run forgives nothing.
    let mut tagged = bad.clone();
    tagged.tags = vec!["game".to_owned()];
    let others = || {
        vec![
            crashing.clone(),
            sleeper("off", "1"),
            program("done", "exit 0"),
        ]
    };
    let with = |first: ProgramSpec| [vec![first], others()].concat();
    assert!(running.reload(with(tagged)).is_empty());
    assert_eq!(
        running.wait_phase("bad", PhaseName::Fatal).tags.to_vec(),
        ["game"]
    );
    let mut mended = crashing.clone();
    mended.command = sleeper("", "").command;
    assert_eq!(
        running.reload(vec![
            sleeper("bad", "1"),
            mended,
            sleeper("off", "2"),
            program("done", "exit 1")
        ]),
        ["bad true: started", "crashing true: started"]
    );
    running.wait_phase("off", PhaseName::Stopped);
    running.wait_phase("done", PhaseName::Exited);
    // A shorter pause counts at once.
    let mut short = crashing.clone();
    short.tags = vec!["x".to_owned()];
    short.command = program("", "exit 8").command;
    running.reload(vec![short.clone()]);
    running.wait("crashing", "waiting for its next try", |v| {
        v.phase == PhaseName::Backoff && v.last_exit == Some(Exit::Code(8))
    });
    let before = running.wait_phase("crashing", PhaseName::Backoff).restarts;
    short.backoff.max = Duration::ZERO;
    short.backoff.initial = Duration::ZERO;
    running.reload(vec![short]);
    running.wait("crashing", "tried again", |v| v.restarts > before);
}

#[test]
fn a_new_program_starts_with_what_it_needs_but_not_with_what_a_person_stopped() {
    let mut lib = sleeper("lib", "1");
    lib.autostart = false;
    let running = Running::start(vec![lib.clone(), sleeper("db", "1")]);
    running.pid("db");
    running.verb(Verb::Stop, "db").expect("it is known");
    let mut app = sleeper("app", "1");
    app.depends_on = vec!["lib".into()];
    let mut web = sleeper("web", "1");
    web.depends_on = vec!["db".into()];
    let mut idle = sleeper("idle", "1");
    idle.autostart = false;
    let answer = running.reload(vec![lib, sleeper("db", "1"), app, web, idle]);
    assert_eq!(
        answer,
        ["app true: started", "web false: waits for db (stopped)"]
    );
    running.pid("lib");
    running.wait_phase("idle", PhaseName::Stopped);
}

#[test]
fn a_reload_while_programs_stop_start_or_wait_ends_with_what_it_says() {
    let slow = |word: &str| {
        let mut spec = program(
            "slow",
            "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done",
        );
        spec.environment.own.insert("WORD".into(), word.into());
        spec
    };
    let running = Running::start(vec![slow("1")]);
    let first = running.pid("slow");
    // Three in a row, without waiting: the second finds it stopping, the third takes it away and the fourth back.
    let answers = [
        running.ask_reload(vec![slow("2")]),
        running.ask_reload(vec![slow("3")]),
        running.ask_reload(vec![]),
        running.ask_reload(vec![slow("4")]),
    ];
    for answer in answers {
        answer.recv_timeout(PATIENCE).expect("each is answered");
    }
    let view = running.wait("slow", "back", |v| {
        v.phase == PhaseName::Running && v.pid != Some(first)
    });
    let environ = std::fs::read(format!("/proc/{}/environ", view.pid.expect("it runs")));
    let environ = String::from_utf8_lossy(&environ.expect("our own child")).into_owned();
    assert!(environ.contains("WORD=4"), "{environ}");
    assert!(!is_alive(first));
    assert_eq!(running.names(), ["slow"]);
}

#[test]
fn nothing_is_reloaded_once_everything_is_being_stopped() {
    let running = Running::start(vec![sleeper("a", "1")]);
    running.pid("a");
    running.stop();
    let answer = running.ask_reload(vec![sleeper("a", "2"), sleeper("b", "1")]);
    answer.recv_timeout(PATIENCE).expect_err("nobody answers");
    assert_eq!(running.names(), ["a"]);
    running.wait_phase("a", PhaseName::Stopped);
}

#[test]
fn another_interval_of_measuring_counts_for_the_run_under_way() {
    let running = Running::start(vec![sleeper("a", "1")]);
    let pid = running.pid("a");
    let mut often = sleeper("a", "1");
    often.metrics_interval = Duration::from_millis(100);
    running.reload(vec![often]);
    assert_eq!(running.pid("a"), pid);
    let measured = running.kept.measured.lock();
    let last = measured.last().expect("it is measured");
    assert_eq!((last.pid, last.interval), (pid, Duration::from_millis(100)));
}
