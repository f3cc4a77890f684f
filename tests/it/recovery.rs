//! After a kill -9 of the supervisor: output flows on, nothing runs twice, and what was known is known.

use serde_json::{Value, json};

use crate::support::processes::{is_alive, kill, wait_gone, wait_reaped};
use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Records itself, and whom of its forerunners it finds alive: a program that runs twice gives itself away.
const RECORDING: &str = r#"
shell = true
command = '''
for pid in $(cat "$JIKIMI_PROGRAM.pids" 2>/dev/null); do
  case "$(cut -d ' ' -f 3 /proc/$pid/stat 2>/dev/null)" in ''|Z) ;; *) echo $pid >> doubled ;; esac
done
echo $$ >> "$JIKIMI_PROGRAM.pids"
setsid sh -c 'echo $$ >> "$JIKIMI_PROGRAM.pids"; exec sleep 1d' &
while :; do sleep 1d; done
'''
start_confirm = "10ms"
"#;

fn event(supervisor: &Supervisor, kind: &str) -> Value {
    wait_for(kind, || {
        let events = supervisor.events();
        let found = events.iter().rev().find(|e| e["type"] == kind);
        found.cloned().ok_or_else(|| format!("{events:#?}"))
    })
}

/// Waits until the database has the state of the instance: a state that nobody wrote cannot survive.
fn wait_event(supervisor: &Supervisor, kind: &str, instance: &str, count: usize) {
    wait_for(&format!("{count} {kind} of {instance}"), || {
        let found = supervisor.events_of(kind, instance).len();
        if found >= count {
            Ok(())
        } else {
            Err(format!("{found}"))
        }
    });
}

#[test]
fn output_flows_on_while_no_supervisor_runs_and_the_run_goes_on_under_the_next_one() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.counter]
        shell = true
        command = '''
        trap 'stop=yes' TERM
        i=0
        while [ -z "$stop" ]; do i=$((i + 1)); echo "n $i"; [ $((i % 500)) = 0 ] && sleep 0.01; done
        echo "last $i"
        '''
        start_confirm = "10ms"
        stop_timeout = "10m"
        "#,
    );
    let pid = supervisor.pid_in("counter", "running");
    let log = ".jikimi/logs/counter/out.log";
    let grown = |supervisor: &Supervisor, by: usize| {
        let before = supervisor.lines(log).len();
        wait_for("more output", || {
            let now = supervisor.lines(log).len();
            if now >= before + by {
                Ok(())
            } else {
                Err(format!("{before}, then {now} lines"))
            }
        });
    };
    grown(&supervisor, 5_000);
    supervisor.kill();
    assert_eq!(supervisor.holders().len(), 1);
    // Far more than fits a pipe.
    grown(&supervisor, 100_000);
    assert!(is_alive(pid), "no SIGPIPE");
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("counter", "running"), pid);
    grown(&supervisor, 5_000);
    supervisor.kill();
    grown(&supervisor, 5_000);
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("counter", "running"), pid);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
    // One run, from 1 to its last number without a gap or a repeat.
    let lines = supervisor.lines(log);
    let (last, numbers) = lines.split_last().expect("it wrote");
    for (at, line) in numbers.iter().enumerate() {
        assert_eq!(line, &format!("n {}", at + 1));
    }
    assert_eq!(last, &format!("last {}", numbers.len()));
}

#[test]
fn no_program_ever_runs_twice_however_often_the_supervisor_is_killed() {
    let mut config = format!(
        "[program.quick]\n{RECORDING}\n[program.tough]\n{RECORDING}\nstop_timeout = \"200ms\"\n"
    );
    config = config.replacen(
        "[program.tough]",
        "# its tree ignores TERM\n[program.tough]",
        1,
    );
    let at = config.rfind("for pid").expect("the second script");
    config.insert_str(at, "trap '' TERM\n");
    let mut supervisor = Supervisor::configured(&config);
    for round in 0..6 {
        supervisor.spawn_marked();
        match round {
            // At once, or when the first has recorded itself: the database may not know of it yet.
            1 => {}
            2 | 3 => drop(supervisor.wait_lines("quick.pids", 1)),
            _ => {
                supervisor.wait_log("supervises");
                supervisor.wait_phase("quick", "running");
                supervisor.wait_phase("tough", "running");
            }
        }
        supervisor.kill();
        if round % 2 == 0 {
            // Now and then a run does not live to see the next supervisor either.
            let pids = supervisor.lines("quick.pids");
            for pid in pids.iter().filter_map(|pid| pid.parse().ok()) {
                kill(pid);
            }
        }
    }
    supervisor.start_marked();
    let quick = supervisor.pid_in("quick", "running");
    let tough = supervisor.pid_in("tough", "running");
    assert_eq!(supervisor.read("doubled"), "", "ran twice");
    // Each is there once: of all that were recorded only the last pair lives.
    for (name, main) in [("quick", quick), ("tough", tough)] {
        let alive = wait_for("the pair", || {
            let pids = supervisor.lines(&format!("{name}.pids"));
            let alive: Vec<u32> = pids
                .iter()
                .filter_map(|p| p.parse().ok())
                .filter(|p| is_alive(*p))
                .collect();
            if alive.len() == 2 {
                Ok(alive)
            } else {
                Err(format!("{alive:?} of {pids:?}"))
            }
        });
        assert!(alive.contains(&main), "{alive:?}, {main}");
    }
    supervisor.signal("INT");
    supervisor.wait();
    supervisor.assert_nothing_left();
}

#[test]
fn a_run_that_the_database_never_heard_of_is_not_doubled() {
    // One of them is known by its pipes only, one by its environment only.
    let hidden = RECORDING.replace("command = '''", "command = '''\nexec > hidden.out 2>&1");
    let mut supervisor = Supervisor::marked(&format!(
        "[program.hidden]\n{hidden}\n[program.bare]\n{}",
        RECORDING.replace(
            "command = '''",
            "command = '''\n[ -n \"$CLEAN\" ] || exec env -i CLEAN=yes PATH=\"$PATH\" TEST_DIR=\"$TEST_DIR\" \
             JIKIMI_PROGRAM=bare sh ./bare.sh",
        )
    ));
    // The script of `bare`, for the shell that has no environment.
    let script = RECORDING
        .split("'''")
        .nth(1)
        .expect("a script between quotes");
    supervisor.write("bare.sh", script);
    for name in ["hidden", "bare"] {
        supervisor.wait_phase(name, "running");
        wait_event(&supervisor, "program.ready", name, 1);
        supervisor.wait_lines(&format!("{name}.pids"), 2);
    }
    // From here on nothing is written.
    let database =
        rusqlite::Connection::open(supervisor.file(".jikimi/jikimi.db")).expect("it is there");
    database
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody holds it for long");
    for name in ["hidden", "bare"] {
        kill(supervisor.pid_in(name, "running"));
        supervisor.wait_lines(&format!("{name}.pids"), 4);
    }
    supervisor.kill();
    drop(database);
    supervisor.start_marked();
    for name in ["hidden", "bare"] {
        let pid = supervisor.pid_in(name, "running");
        let pids = supervisor.lines(&format!("{name}.pids"));
        assert_eq!(pids.len(), 4, "{name} goes on: {pids:?}");
        assert!(pids[2..].contains(&pid.to_string()), "{pid} of {pids:?}");
    }
    assert_eq!(supervisor.read("doubled"), "", "ran twice");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn what_an_ended_run_left_is_ended_by_the_next_supervisor_before_the_next_run() {
    let mut supervisor = Supervisor::marked(&format!(
        "[program.web]\n{}backoff = {{ initial = \"1h\", max = \"1h\" }}\n",
        RECORDING.replace("while :; do sleep 1d; done", "exit 1")
    ));
    supervisor.wait_phase("web", "backoff");
    let pids = supervisor.wait_lines("web.pids", 2);
    let left: u32 = pids[1].parse().expect("a pid");
    wait_event(&supervisor, "program.restarting", "web", 1);
    supervisor.kill();
    supervisor.start_marked();
    assert_eq!(supervisor.program("web")["phase"], "backoff");
    assert!(is_alive(left), "a pause ends nothing");
    let _ = supervisor.cli(&["start", "web"]);
    supervisor.wait_lines("web.pids", 4);
    assert_eq!(supervisor.read("doubled"), "");
    assert!(!is_alive(left));
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

/// One program for each way in which an instance can stand.
const EVERY_STATE: &str = r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        backoff = { initial = "20ms", max = "20ms" }
        [program.given-up]
        command = ["false"]
        backoff = { initial = "20ms", max = "20ms" }
        restart_limit = { count = 1, then = "fatal" }
        [program.stopped]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        [program.pausing]
        shell = true
        command = "echo run >> pausing; exit 7"
        backoff = { initial = "1h", max = "1h", jitter = 0.0 }
        [program.job]
        shell = true
        command = "echo run >> job"
        [program.by-hand]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        autostart = false
        [program.idle]
        command = ["sleep", "1d"]
        autostart = false
        "#;

/// Brings [`EVERY_STATE`] about, with all of it in the database; the run of `by-hand`.
fn bring_about_every_state(supervisor: &Supervisor) -> Value {
    for n in 1..=2_u64 {
        kill(supervisor.pid_in("web", "running"));
        supervisor.wait_program("web", "back again", |v| {
            v["restarts"] == n && v["phase"] == "running"
        });
    }
    supervisor.wait_phase("given-up", "fatal");
    assert!(supervisor.cli(&["stop", "stopped"]).status.success());
    assert!(supervisor.cli(&["start", "by-hand"]).status.success());
    supervisor.wait_phase("pausing", "backoff");
    supervisor.wait_phase("job", "exited");
    wait_event(supervisor, "program.ready", "web", 3);
    wait_event(supervisor, "program.fatal", "given-up", 1);
    wait_event(supervisor, "program.stopped", "stopped", 1);
    wait_event(supervisor, "program.ready", "by-hand", 1);
    wait_event(supervisor, "program.restarting", "pausing", 1);
    wait_event(supervisor, "program.exited", "job", 1);
    supervisor.program("by-hand")["run"].clone()
}

#[test]
fn restarts_fatal_backoff_and_stopped_by_hand_survive() {
    let mut supervisor = Supervisor::marked(EVERY_STATE);
    let before = bring_about_every_state(&supervisor);
    // Twice: what survives one must survive the next.
    for _ in 0..2 {
        supervisor.kill();
        supervisor.start_marked();
        let web = supervisor.wait_phase("web", "running");
        assert_eq!(web["restarts"], 2, "{web}");
        let given_up = supervisor.program("given-up");
        assert_eq!(
            (&given_up["phase"], &given_up["desired"]),
            (&json!("fatal"), &json!("up"))
        );
        assert_eq!(given_up["restarts"], 1);
        let stopped = supervisor.program("stopped");
        assert_eq!(
            (&stopped["phase"], &stopped["desired"]),
            (&json!("stopped"), &json!("down"))
        );
        let pausing = supervisor.program("pausing");
        assert_eq!(pausing["phase"], "backoff");
        assert_eq!(pausing["last_exit"], json!({ "code": 7 }));
        let pause = pausing["next_restart_s"].as_f64().expect("it waits");
        assert!((1.0..3600.0).contains(&pause), "the pause goes on: {pause}");
        let job = supervisor.program("job");
        assert_eq!(
            (&job["phase"], &job["last_exit"]),
            (&json!("exited"), &json!({ "code": 0 }))
        );
        // It was up, so it is up.
        let by_hand = supervisor.wait_phase("by-hand", "running");
        assert_eq!(by_hand["run"], before);
        assert_eq!(supervisor.program("idle")["phase"], "stopped");
    }
    assert_eq!(supervisor.lines("pausing").len(), 1);
    assert_eq!(
        supervisor.lines("job").len(),
        1,
        "what had finished is not run again"
    );
    // After a clean end all of it begins anew.
    assert_eq!(supervisor.stop(), 1, "one was fatal");
    supervisor.assert_nothing_left();
    supervisor.start_marked();
    supervisor.wait_phase("stopped", "running");
    supervisor.wait_phase("given-up", "fatal");
    wait_event(&supervisor, "program.fatal", "given-up", 2);
    supervisor.wait_lines("job", 2);
    assert_eq!(supervisor.program("by-hand")["phase"], "stopped");
}

#[test]
fn what_was_being_stopped_or_restarted_is_brought_to_its_end() {
    let tree = r#"
        shell = true
        command = '''
        trap '' TERM
        echo $$ >> "$JIKIMI_PROGRAM.pids"
        while :; do sleep 1d; done
        '''
        start_confirm = "10ms"
        stop_timeout = "2s"
    "#;
    let mut supervisor =
        Supervisor::marked(&format!("[program.down]\n{tree}\n[program.again]\n{tree}"));
    let down = supervisor.pid_in("down", "running");
    let again = supervisor.pid_in("again", "running");
    supervisor.wait_lines("down.pids", 1);
    supervisor.wait_lines("again.pids", 1);
    assert!(
        supervisor
            .cli(&["stop", "--no-wait", "down"])
            .status
            .success()
    );
    assert!(
        supervisor
            .cli(&["restart", "--no-wait", "again"])
            .status
            .success()
    );
    wait_event(&supervisor, "program.stopping", "down", 1);
    wait_event(&supervisor, "program.stopping", "again", 1);
    supervisor.kill();
    supervisor.start_marked();
    wait_gone(down);
    wait_gone(again);
    supervisor.wait_phase("again", "running");
    let view = supervisor.wait_phase("down", "stopped");
    assert_eq!(view["desired"], "down");
    assert_eq!(supervisor.lines("down.pids").len(), 1);
    assert_eq!(supervisor.wait_lines("again.pids", 2).len(), 2);
}

#[test]
fn a_supervisor_killed_in_its_shutdown_has_stopped_nothing_for_good() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.quick]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        [program.slow]
        shell = true
        command = "trap '' TERM; echo $$ >> slow.pids; while :; do sleep 1d; done"
        start_confirm = "10ms"
        stop_timeout = "600s"
        [program.by-hand]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        "#,
    );
    supervisor.wait_phase("quick", "running");
    supervisor.wait_lines("slow.pids", 1);
    let slow = supervisor.pid_in("slow", "running");
    assert!(supervisor.cli(&["stop", "by-hand"]).status.success());
    supervisor.signal("TERM");
    wait_event(&supervisor, "program.stopped", "quick", 1);
    supervisor.wait_log("waiting for slow");
    supervisor.kill();
    // As a machine that has no more patience does: the next start is an ordinary one.
    let config = supervisor.read("jikimi.toml").replace("600s", "200ms");
    supervisor.write("jikimi.toml", &config);
    supervisor.start_marked();
    supervisor.wait_phase("quick", "running");
    // It was being stopped for the shutdown's sake; what was begun is finished, and it comes back.
    wait_gone(slow);
    supervisor.wait_phase("slow", "running");
    assert_eq!(
        supervisor.program("by-hand")["phase"],
        "stopped",
        "a person's word stands"
    );
}

#[test]
fn the_next_start_says_that_the_last_one_had_no_end() {
    let receiver = Receiver::start();
    let mut supervisor = Supervisor::marked(&format!(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        [target.hook]
        kind = "webhook"
        url = "{}"
        [[route]]
        min_severity = "info"
        targets = ["hook"]
        "#,
        receiver.url("/")
    ));
    let run = supervisor.wait_phase("web", "running")["run"].clone();
    wait_event(&supervisor, "program.ready", "web", 1);
    supervisor.kill();
    supervisor.start_marked();
    let recovered = event(&supervisor, "supervisor.recovered");
    assert_eq!(recovered["severity"], "info");
    receiver.wait_for("the word of it", |r| {
        r.json()["type"] == "supervisor.recovered"
    });
    let cause = recovered["data"]["cause"].as_str().expect("words");
    assert!(cause.contains("nobody watched for about"), "{cause}");
    assert!(cause.contains("1 run went on"), "{cause}");
    wait_event(&supervisor, "program.adopted", "web", 1);
    let adopted = supervisor.events_of("program.adopted", "web");
    assert_eq!(adopted[0]["run"], run);
    assert_eq!(adopted[0]["severity"], "info");
    let web = supervisor.wait_phase("web", "running");
    assert_eq!(web["run"], run);
    assert_eq!(supervisor.stop(), 0);
    // Once: a clean end leaves nothing to say.
    supervisor.start_marked();
    supervisor.wait_phase("web", "running");
    assert_eq!(supervisor.stop(), 0);
    let events = supervisor.events();
    let count = events
        .iter()
        .filter(|e| e["type"] == "supervisor.recovered")
        .count();
    assert_eq!(count, 1);
}

#[test]
fn what_left_the_configuration_meanwhile_is_ended() {
    let mut supervisor = Supervisor::marked(&format!(
        "[program.gone]\n{RECORDING}\n[program.kept]\n{RECORDING}"
    ));
    supervisor.wait_phase("gone", "running");
    supervisor.wait_phase("kept", "running");
    let pids = supervisor.wait_lines("gone.pids", 2);
    wait_event(&supervisor, "program.ready", "gone", 1);
    wait_event(&supervisor, "program.ready", "kept", 1);
    supervisor.kill();
    supervisor.write("jikimi.toml", &format!("[program.kept]\n{RECORDING}"));
    supervisor.start_marked();
    for pid in pids {
        wait_gone(pid.parse().expect("a pid"));
    }
    supervisor.wait_phase("kept", "running");
    wait_for("gone to be gone", || match supervisor.program("gone") {
        Value::Null => Ok(()),
        other => Err(other.to_string()),
    });
    let stopped = event(&supervisor, "program.stopped");
    assert_eq!(stopped["instance"], "gone");
    assert_eq!(stopped["data"]["cause"], "removed from the configuration");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
    // Nor does anybody speak of it at the start after the next.
    supervisor.start_marked();
    supervisor.kill();
    supervisor.start_marked();
    supervisor.wait_phase("kept", "running");
    let missed = supervisor.events_of("program.adopted", "gone").len();
    assert!(missed <= 1, "its end is told once: {missed}");
}

#[test]
fn an_open_incident_survives_and_is_resolved_by_the_next_supervisor() {
    let receiver = Receiver::start();
    let mut supervisor = Supervisor::configured(&format!(
        r#"
        [program.web]
        shell = true
        command = "[ -e fixed ] || exit 1; exec sleep 1d"
        start_confirm = "10ms"
        recover_after = "100ms"
        backoff = {{ initial = "300ms", max = "300ms", reset_after = "100ms" }}
        restart_limit = {{ count = 1000 }}
        [target.hook]
        kind = "webhook"
        url = "{}"
        [[route]]
        targets = ["hook"]
        "#,
        receiver.url("/")
    ));
    supervisor.start_marked();
    let crashed = receiver.wait_type("program.crashed", "web").json();
    let incident = crashed["data"]["incident"]["id"].clone();
    assert!(incident.is_string(), "{crashed}");
    assert_eq!(crashed["data"]["incident"]["state"], "open");
    supervisor.kill();
    supervisor.write("fixed", "");
    supervisor.start_marked();
    let recovered = receiver.wait_type("program.recovered", "web").json();
    assert_eq!(recovered["data"]["incident"]["id"], incident, "{recovered}");
    assert_eq!(recovered["data"]["incident"]["state"], "resolved");
    assert_eq!(recovered["severity"], crashed["severity"]);
}

#[test]
fn a_second_supervisor_is_refused_with_the_pid_of_the_first() {
    let mut supervisor = Supervisor::marked(&format!("[program.web]\n{RECORDING}"));
    let pid = supervisor.pid_in("web", "running");
    let second = supervisor.cli(&["run"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains(&supervisor.pid().to_string()), "{said}");
    // The first one is none the worse for it.
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    assert_eq!(supervisor.status()["supervisor"]["pid"], supervisor.pid());
    assert_eq!(supervisor.holders().len(), 1);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_kill_of_supervisor_and_holder_together_costs_no_program_its_output() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        shell = true
        command = '''
        trap 'echo bye; exit 0' TERM
        echo "I am $$"
        while :; do [ -e speak ] && { echo "still here"; rm speak; touch spoken; }; sleep 0.02; done
        '''
        start_confirm = "10ms"
        "#,
    );
    let pid = supervisor.pid_in("web", "running");
    let log = ".jikimi/logs/web/out.log";
    supervisor.wait_lines(log, 1);
    wait_event(&supervisor, "program.ready", "web", 1);
    for holder in supervisor.holders() {
        kill(holder);
        wait_gone(holder);
    }
    // Another one takes its place; both go.
    wait_for("another holder", || match supervisor.holders() {
        one if one.len() == 1 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let holders = supervisor.holders();
    supervisor.kill();
    for holder in holders {
        kill(holder);
        wait_gone(holder);
    }
    supervisor.write("speak", "");
    wait_for("its word", || {
        supervisor
            .file("spoken")
            .exists()
            .then_some(())
            .ok_or_else(|| "none".to_owned())
    });
    assert!(is_alive(pid));
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    assert_eq!(supervisor.stop(), 0);
    let lines = supervisor.lines(log);
    let words = [&format!("I am {pid}"), "still here", "bye"];
    assert_eq!(lines, words);
    supervisor.assert_nothing_left();
}

#[test]
fn after_a_kill_too_a_program_starts_after_what_it_depends_on() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        depends_on = ["db"]
        [program.db]
        command = ["sleep", "1d"]
        start_confirm = "100ms"
        "#,
    );
    let pids = ["web", "db"].map(|name| supervisor.pid_in(name, "running"));
    wait_event(&supervisor, "program.ready", "web", 1);
    supervisor.kill();
    for pid in pids {
        kill(pid);
        wait_gone(pid);
    }
    wait_reaped(&pids);
    supervisor.start_marked();
    wait_event(&supervisor, "program.ready", "web", 2);
    wait_event(&supervisor, "program.ready", "db", 2);
    let events = supervisor.events();
    let last = |kind: &str, instance: &str| {
        events
            .iter()
            .rposition(|e| e["type"] == kind && e["instance"] == instance)
            .unwrap_or_else(|| panic!("no {kind} of {instance}: {events:#?}"))
    };
    assert!(last("program.ready", "db") < last("program.started", "web"));
}
