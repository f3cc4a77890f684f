//! The end: in order, with nothing lost and nothing left behind, and as fast as people want it.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::processes::{is_alive, kill};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const QUIET: &str = r#"
[program.web]
command = ["sleep", "1d"]
start_confirm = "10ms"
instances = 3
"#;

/// Ignores TERM, and waits for ever before it is killed.
const STUBBORN: &str = r#"
[program.stubborn]
shell = true
command = "trap '' TERM; echo $$ > pid; while :; do sleep 1d; done"
start_confirm = "10ms"
stop_timeout = "600s"
"#;

#[test]
fn interrupt_and_terminate_stop_everything_cleanly() {
    for signal in ["INT", "TERM"] {
        let mut supervisor = Supervisor::marked(QUIET);
        for i in 0..3 {
            supervisor.wait_phase(&format!("web:{i}"), "running");
        }
        supervisor.signal(signal);
        assert_eq!(supervisor.wait().code(), Some(0), "{signal}");
        supervisor.assert_nothing_left();
        let (_, log) = supervisor.output();
        assert!(log.contains(&format!("signal SIG{signal}")), "{log}");
        for (part, said) in [
            ("programs", "3 stopped"),
            ("output", "written"),
            ("database", "flushed, 0 left"),
            ("deliveries", "0 delivered, 0 kept"),
            ("close", "database closed"),
        ] {
            let line = log.lines().find(|l| l.contains(part) && l.contains(said));
            assert!(line.is_some(), "{part}: {said}: {log}");
        }
        // Afterwards everything is told by the state directory alone.
        let events = supervisor.events();
        let asked = events
            .iter()
            .find(|e| e["type"] == "supervisor.stopping")
            .expect("recorded");
        assert_eq!(asked["data"]["asked_by"], format!("signal SIG{signal}"));
        for i in 0..3 {
            let stopped = supervisor.events_of("program.stopped", &format!("web:{i}"));
            assert_eq!(stopped.len(), 1);
            assert_eq!(stopped[0]["data"]["exit"], json!({ "signal": "SIGTERM" }));
        }
    }
}

#[test]
fn dependents_stop_before_what_they_need_and_side_by_side() {
    // Each of two fronts ends only when it has seen the other one being stopped: one after the other would
    // have to be killed.
    let front = |name: &str, other: &str| {
        format!(
            r#"
            [program.{name}]
            shell = true
            command = '''
            trap 'touch {name}.term; while ! [ -e {other}.term ]; do sleep 0.02; done; echo {name} >> order; exit 0' TERM
            touch {name}.up
            while :; do sleep 0.02; done
            '''
            depends_on = ["db"]
            start_confirm = "10ms"
            stop_timeout = "10m"
            "#
        )
    };
    let config = front("left", "right")
        + &front("right", "left")
        + r#"
            [program.db]
            shell = true
            command = '''
            trap 'echo db >> order; exit 0' TERM
            touch db.up
            while :; do sleep 0.02; done
            '''
            start_confirm = "10ms"
            stop_timeout = "10m"
            "#;
    let mut supervisor = Supervisor::marked(&config);
    for name in ["left", "right", "db"] {
        supervisor.wait_phase(name, "running");
        wait_for("its trap", || {
            supervisor
                .file(&format!("{name}.up"))
                .exists()
                .then_some(())
                .ok_or_else(|| "none".to_owned())
        });
    }
    assert_eq!(supervisor.stop(), 0);
    let order = supervisor.lines("order");
    assert_eq!(order.len(), 3, "{order:?}");
    assert_eq!(order[2], "db", "{order:?}");
    let events = supervisor.events();
    let place = |kind: &str, instance: &str| {
        events
            .iter()
            .position(|e| e["type"] == kind && e["instance"] == instance)
            .unwrap_or_else(|| panic!("no {kind} of {instance}: {events:#?}"))
    };
    for front in ["left", "right"] {
        assert!(place("program.stopped", front) < place("program.stopping", "db"));
    }
    supervisor.assert_nothing_left();
}

#[test]
fn the_exit_code_says_that_a_program_had_to_be_killed_or_was_given_up() {
    let mut killed = Supervisor::marked(&STUBBORN.replace("600s", "100ms"));
    killed.wait_phase("stubborn", "running");
    killed.wait_lines("pid", 1);
    assert_eq!(killed.stop(), 1);
    let (_, log) = killed.output();
    assert!(log.contains("killed: stubborn"), "{log}");
    killed.assert_nothing_left();

    let mut fatal = Supervisor::marked("[program.absent]\ncommand = [\"no-such-command\"]\n");
    fatal.wait_phase("absent", "fatal");
    assert_eq!(fatal.stop(), 1);
    let (_, log) = fatal.output();
    assert!(log.contains("fatal: absent"), "the summary names it: {log}");
    fatal.assert_nothing_left();
}

#[test]
fn any_end_that_was_asked_for_is_a_clean_one() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.java]
        shell = true
        command = "trap 'exit 143' TERM; touch up; while :; do sleep 0.02; done"
        start_confirm = "10ms"
        "#,
    );
    supervisor.wait_phase("java", "running");
    wait_for("its trap", || {
        supervisor
            .file("up")
            .exists()
            .then_some(())
            .ok_or_else(|| "none".to_owned())
    });
    assert_eq!(supervisor.stop(), 0);
    assert!(supervisor.events_of("program.crashed", "java").is_empty());
    let stopped = supervisor.events_of("program.stopped", "java");
    assert_eq!(stopped[0]["data"]["exit"], json!({ "code": 143 }));
}

#[test]
fn while_it_waits_it_says_for_whom_and_a_second_signal_kills_at_once() {
    let mut supervisor = Supervisor::marked(STUBBORN);
    supervisor.wait_phase("stubborn", "running");
    supervisor.wait_lines("pid", 1);
    supervisor.signal("INT");
    let log = supervisor.wait_log("waiting for stubborn");
    assert!(
        log.contains("stubborn (TERM ") && log.contains("KILL in"),
        "{log}"
    );
    // It still answers.
    let view = supervisor.program("stubborn");
    assert_eq!(
        (&view["phase"], &view["desired"]),
        (&json!("stopping"), &json!("down"))
    );
    supervisor.signal("TERM");
    assert_eq!(supervisor.wait().code(), Some(1));
    let (_, log) = supervisor.output();
    assert!(log.contains("killed: stubborn"), "{log}");
    supervisor.assert_nothing_left();
    let killed = supervisor.events_of("program.killed", "stubborn");
    let cause = killed[0]["data"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("it was to end at once"), "{cause}");
    // Even so it was an end in order: the next start begins anew, with nothing to recover.
    supervisor.start_marked();
    supervisor.wait_phase("stubborn", "running");
    supervisor.signal("INT");
    // Two at once may be one to the kernel.
    supervisor.wait_log("stopping, asked by");
    supervisor.signal("INT");
    assert_eq!(supervisor.wait().code(), Some(1));
    assert!(
        supervisor
            .events()
            .iter()
            .all(|e| e["type"] != "supervisor.recovered")
    );
}

#[test]
fn a_second_request_to_shut_down_kills_at_once_too() {
    let mut supervisor = Supervisor::marked(STUBBORN);
    supervisor.wait_phase("stubborn", "running");
    supervisor.wait_lines("pid", 1);
    let first = supervisor.cli(&["shutdown", "--no-wait"]);
    assert!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    supervisor.wait_log("waiting for stubborn");
    assert_eq!(supervisor.program("stubborn")["phase"], "stopping");
    let second = supervisor.cli(&["shutdown"]);
    assert!(
        second.status.success(),
        "{}",
        String::from_utf8_lossy(&second.stderr)
    );
    assert_eq!(supervisor.wait().code(), Some(1));
    supervisor.assert_nothing_left();
}

#[test]
fn a_third_signal_leaves_and_says_what_was_left() {
    let mut supervisor = Supervisor::marked(QUIET);
    for i in 0..3 {
        supervisor.wait_phase(&format!("web:{i}"), "running");
    }
    // Somebody holds the database: the step that flushes it cannot come to its end.
    let database =
        rusqlite::Connection::open(supervisor.file(".jikimi/jikimi.db")).expect("it is there");
    database
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody holds it for long");
    supervisor.signal("INT");
    wait_for("the programs' end", || {
        let alive = supervisor
            .processes()
            .into_iter()
            .filter(|p| *p != supervisor.pid())
            .count();
        if alive == 0 {
            Ok(())
        } else {
            Err(format!("{alive} run"))
        }
    });
    supervisor.signal("INT");
    supervisor.wait_log("a third signal leaves at once");
    supervisor.signal("INT");
    assert_eq!(supervisor.wait().code(), Some(1));
    let (_, log) = supervisor.output();
    assert!(log.contains("left undone"), "{log}");
    drop(database);
    wait_for("the holder's end", || match supervisor.holders() {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    });
    // What it could not write is not needed to go on: all programs start.
    supervisor.start_marked();
    for i in 0..3 {
        supervisor.wait_phase(&format!("web:{i}"), "running");
    }
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn the_shutdown_command_returns_when_the_supervisor_is_gone() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.slow]
        shell = true
        command = "trap 'sleep 0.5; exit 0' TERM; touch up; while :; do sleep 0.02; done"
        start_confirm = "10ms"
        "#,
    );
    supervisor.wait_phase("slow", "running");
    let pid = supervisor.pid();
    let output = supervisor.cli(&["shutdown"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!is_alive(pid), "it returned too early");
    assert_eq!(supervisor.wait().code(), Some(0));
    supervisor.assert_nothing_left();
    // Nobody is there to answer now.
    for args in [&["shutdown"][..], &["status"], &["stop", "slow"]] {
        assert_eq!(supervisor.cli(args).status.code(), Some(5), "{args:?}");
    }
}

#[test]
fn a_target_that_hangs_does_not_hold_the_shutdown() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    // An attempt may take longer than anybody here waits.
    let mut supervisor = Supervisor::marked(&format!(
        r#"
        {QUIET}
        [target.hook]
        kind = "webhook"
        url = "{}"
        timeout = "120s"
        [[route]]
        min_severity = "info"
        targets = ["hook"]
        "#,
        receiver.url("/")
    ));
    receiver.wait_for("a first request, which hangs", |_| true);
    assert_eq!(supervisor.stop(), 0);
    let (_, log) = supervisor.output();
    let line = log
        .lines()
        .find(|l| l.contains("kept for the next start"))
        .expect("told");
    assert!(
        line.contains("0 delivered") && !line.contains(" 0 kept"),
        "{line}"
    );
    supervisor.assert_nothing_left();
}

#[test]
fn the_word_of_the_end_itself_is_delivered() {
    let receiver = Receiver::start();
    let mut supervisor = Supervisor::marked(&format!(
        r#"
        {QUIET}
        [target.hook]
        kind = "webhook"
        url = "{}"
        [[route]]
        min_severity = "info"
        targets = ["hook"]
        "#,
        receiver.url("/")
    ));
    for i in 0..3 {
        supervisor.wait_phase(&format!("web:{i}"), "running");
    }
    assert_eq!(supervisor.stop(), 0);
    // All of it came before the supervisor was gone.
    let types = receiver.types();
    let count = |kind: &str| types.iter().filter(|t| *t == kind).count();
    assert_eq!(count("supervisor.stopping"), 1, "{types:?}");
    assert_eq!(count("program.stopped"), 3, "{types:?}");
    let (_, log) = supervisor.output();
    assert!(log.contains(" 0 kept for the next start"), "{log}");
}

/// The numbers in lines `n 1`, `n 2`, …
fn numbers(lines: &[String]) -> Vec<u64> {
    let number = |l: &String| l.strip_prefix("n ").and_then(|n| n.parse().ok());
    lines.iter().filter_map(number).collect()
}

#[test]
fn every_line_and_every_event_up_to_the_end_is_kept() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.counter]
        shell = true
        command = '''
        trap 'stop=yes' TERM
        i=0
        while [ -z "$stop" ]; do i=$((i + 1)); echo "n $i"; done
        echo "last $i"
        '''
        start_confirm = "10ms"
        stop_timeout = "10m"
        instances = 4
        "#,
    );
    for i in 0..4 {
        supervisor.wait_phase(&format!("counter:{i}"), "running");
        wait_for("some output", || {
            let lines = supervisor
                .lines(&format!(".jikimi/logs/counter:{i}/out.log"))
                .len();
            if lines > 5_000 {
                Ok(())
            } else {
                Err(format!("{lines} lines"))
            }
        });
    }
    assert_eq!(supervisor.stop(), 0);
    for i in 0..4 {
        let name = format!("counter:{i}");
        let lines = supervisor.lines(&format!(".jikimi/logs/{name}/out.log"));
        let last = lines.last().expect("there are lines");
        let count: u64 = last
            .strip_prefix("last ")
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| panic!("not its last line: {last}"));
        let wanted: Vec<u64> = (1..=count).collect();
        assert!(
            numbers(&lines) == wanted,
            "{name}: a gap or a repeat among {count}"
        );
        for kind in [
            "program.started",
            "program.ready",
            "program.stopping",
            "program.stopped",
        ] {
            assert_eq!(
                supervisor.events_of(kind, &name).len(),
                1,
                "{kind} of {name}"
            );
        }
    }
    let (_, log) = supervisor.output();
    assert!(log.contains("flushed, 0 left"), "{log}");
    supervisor.assert_nothing_left();
}

#[test]
fn programs_that_wait_start_or_back_off_are_stopped_too() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.crasher]
        command = ["false"]
        backoff = { initial = "1h", max = "1h" }
        [program.slow]
        command = ["sleep", "1d"]
        start_confirm = "1h"
        [program.waiter]
        command = ["sleep", "1d"]
        depends_on = ["slow"]
        [program.done]
        command = ["true"]
        [program.orphans]
        shell = true
        command = "sleep 1d & setsid sleep 1d & exit 1"
        backoff = { initial = "1h", max = "1h" }
        [program.idle]
        command = ["sleep", "1d"]
        autostart = false
        "#,
    );
    supervisor.wait_phase("crasher", "backoff");
    supervisor.wait_phase("orphans", "backoff");
    supervisor.wait_phase("done", "exited");
    supervisor.wait_program("slow", "a pid", |view| view["pid"].is_number());
    assert_eq!(supervisor.program("waiter")["phase"], "starting");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_signal_at_any_moment_of_the_start_leaves_nothing_behind() {
    let config = r#"
        [program.web]
        shell = true
        command = "echo $$ >> pids; exec sleep 1d"
        start_confirm = "10ms"
        instances = 20
    "#;
    for mark in [
        "",
        ".jikimi/jikimi.lock",
        ".jikimi/jikimi.db",
        ".jikimi/holder.sock",
        "pids",
        ".jikimi/jikimi.sock",
    ] {
        let mut supervisor = Supervisor::configured(config);
        supervisor.spawn_marked();
        wait_for(mark, || {
            supervisor
                .file(mark)
                .exists()
                .then_some(())
                .ok_or_else(|| "not yet".to_owned())
        });
        supervisor.signal("TERM");
        let status = supervisor.wait();
        // Before it catches signals the signal itself ends it, and nothing had begun.
        let has_died = std::os::unix::process::ExitStatusExt::signal(&status) == Some(15);
        assert!(
            status.code() == Some(0) || has_died,
            "at {mark:?}: {status}"
        );
        assert!(
            !has_died || supervisor.lines("pids").is_empty(),
            "at {mark:?}"
        );
        supervisor.assert_nothing_left();
        // The next start has all of them up once.
        supervisor.write("pids", "");
        supervisor.start_marked();
        for i in 0..20 {
            supervisor.wait_phase(&format!("web:{i}"), "running");
        }
        assert_eq!(supervisor.lines("pids").len(), 20, "at {mark:?}");
        assert_eq!(supervisor.stop(), 0);
        supervisor.assert_nothing_left();
    }
}

#[test]
fn the_end_does_not_wait_for_somebody_who_does_not_read_its_output() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.chatty]
        shell = true
        command = "yes 'a line of which nobody takes notice'"
        start_confirm = "10ms"
        "#,
    );
    // A pipe that nobody reads, in the place of a terminal that is held.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = supervisor.command(&["run"]);
    command
        .env("TEST_DIR", supervisor.path())
        .stdout(Stdio::from(writer));
    supervisor.spawn_with_output(command);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    supervisor.wait_phase("chatty", "running");
    wait_for("more output than a pipe holds", || {
        let size = std::fs::metadata(supervisor.file(".jikimi/logs/chatty/out.log"))
            .map_or(0, |m| m.len());
        if size > 4 << 20 {
            Ok(())
        } else {
            Err(format!("{size} bytes"))
        }
    });
    assert_eq!(supervisor.stop(), 0);
    drop(reader);
    supervisor.assert_nothing_left();
    let status: Vec<Value> = supervisor.events_of("program.stopped", "chatty");
    assert_eq!(status.len(), 1);
}

#[test]
fn nothing_is_started_any_more_once_the_end_has_begun() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.db]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        backoff = { initial = "0s", max = "0s" }
        [program.front]
        shell = true
        command = '''
        trap 'while ! [ -e release ]; do sleep 0.02; done; exit 0' TERM
        touch up
        while :; do sleep 0.02; done
        '''
        depends_on = ["db"]
        start_confirm = "10ms"
        stop_timeout = "10m"
        "#,
    );
    let db = supervisor.pid_in("db", "running");
    supervisor.wait_phase("front", "running");
    wait_for("its trap", || {
        let is_up = supervisor.file("up").exists();
        is_up.then_some(()).ok_or_else(|| "none".to_owned())
    });
    // A restart is under way when the end begins, and what it needs crashes on the way.
    let restart = supervisor.cli(&["restart", "--no-wait", "front"]);
    assert!(restart.status.success());
    supervisor.signal("INT");
    supervisor.wait_log("waiting for");
    kill(db);
    supervisor.wait_phase("db", "stopped");
    supervisor.write("release", "");
    assert_eq!(supervisor.wait().code(), Some(0));
    for name in ["db", "front"] {
        let started = supervisor.events_of("program.started", name).len();
        assert_eq!(started, 1, "{name} was started again");
    }
    supervisor.assert_nothing_left();
}

#[test]
fn past_the_time_for_the_whole_end_everything_is_killed() {
    let mut supervisor = Supervisor::marked(&format!(
        "[supervisor]\nshutdown_timeout = \"500ms\"\n{STUBBORN}"
    ));
    supervisor.wait_phase("stubborn", "running");
    supervisor.wait_lines("pid", 1);
    assert_eq!(supervisor.stop(), 1);
    let (_, log) = supervisor.output();
    assert!(log.contains("killed: stubborn"), "{log}");
    supervisor.assert_nothing_left();
}

#[test]
fn whoever_waits_for_a_verb_hears_how_it_ended_when_the_end_begins() {
    let mut supervisor = Supervisor::marked(&STUBBORN.replace("600s", "2s"));
    supervisor.wait_phase("stubborn", "running");
    supervisor.wait_lines("pid", 1);
    let mut verb = supervisor.command(&["stop", "stubborn"]);
    let verb = verb.stdout(Stdio::piped()).stderr(Stdio::piped());
    let verb = verb.spawn().expect("the binary runs");
    supervisor.wait_phase("stubborn", "stopping");
    supervisor.signal("INT");
    let output = verb.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("killed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(supervisor.wait().code(), Some(1));
    supervisor.assert_nothing_left();
}
