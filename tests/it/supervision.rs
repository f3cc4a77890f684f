//! Keeping programs running: restarts, policies, what a program is given, verbs, many crashes at once.

use std::fmt::Write as _;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::processes::{is_alive, kill, status_field, wait_gone};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Backs off for so long that nobody sees the end of it.
const LONG_PAUSE: &str = r#"{ initial = "1h", max = "1h", jitter = 0.0 }"#;
/// Tries again at once.
const SHORT_PAUSE: &str = r#"{ initial = "20ms", max = "20ms" }"#;

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn pid_of(view: &Value) -> u32 {
    u32::try_from(
        view["pid"]
            .as_u64()
            .unwrap_or_else(|| panic!("no pid: {view}")),
    )
    .expect("a pid")
}

/// Where the first event of `kind` about `instance` stands among `events`.
fn place(events: &[Value], kind: &str, instance: &str) -> usize {
    events
        .iter()
        .position(|e| e["type"] == kind && e["instance"] == instance)
        .unwrap_or_else(|| panic!("no {kind} of {instance} in {events:#?}"))
}

#[test]
fn a_killed_program_is_started_again_and_the_count_and_the_events_say_so() {
    let supervisor = Supervisor::running(&format!(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "20ms"
        backoff = {SHORT_PAUSE}
        "#
    ));
    let first = supervisor.wait_phase("web", "running");
    assert_eq!(first["restarts"], 0);
    assert_eq!(first["last_exit"], Value::Null);
    kill(pid_of(&first));
    let second = supervisor.wait_program("web", "running anew", |view| {
        view["restarts"] == 1 && view["phase"] == "running"
    });
    assert_ne!(second["pid"], first["pid"]);
    assert_ne!(second["run"], first["run"]);
    assert_eq!(second["last_exit"], json!({ "signal": "SIGKILL" }));
    assert_eq!(second["desired"], "up");
    let ready = wait_for(
        "the second run's readiness in the events",
        || match supervisor.events_of("program.ready", "web") {
            two if two.len() == 2 => Ok(two),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(ready[1]["run"], second["run"]);
    let crashed = supervisor.events_of("program.crashed", "web");
    assert_eq!(crashed.len(), 1);
    assert_eq!(crashed[0]["run"], first["run"]);
    assert_eq!(crashed[0]["severity"], "warning");
    let facts = &crashed[0]["data"];
    assert_eq!(facts["exit"], json!({ "signal": "SIGKILL" }));
    assert!(
        facts["next_restart_s"].as_f64().is_some_and(|s| s <= 0.02),
        "{facts}"
    );
    let all = supervisor.events();
    assert!(place(&all, "program.started", "web") < place(&all, "program.ready", "web"));
    assert!(place(&all, "program.ready", "web") < place(&all, "program.crashed", "web"));
    assert!(place(&all, "program.crashed", "web") < place(&all, "program.restarting", "web"));
}

#[test]
fn the_pause_grows_from_crash_to_crash_and_a_start_by_hand_begins_it_anew() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo $$ >> pids; exit 3"
        backoff = { initial = "10ms", factor = 100.0, max = "1h", jitter = 0.0 }
        restart_limit = { count = 100 }
        "#,
    );
    // 10 ms, 1 s, then 100 s: the third pause is still there when somebody looks.
    let waiting = supervisor.wait_program("web", "the third pause", |view| {
        view["restarts"] == 2 && view["phase"] == "backoff"
    });
    assert_eq!(waiting["desired"], "up");
    assert_eq!(waiting["pid"], Value::Null);
    assert_eq!(waiting["ready"], false);
    assert_eq!(waiting["last_exit"], json!({ "code": 3 }));
    let pause = waiting["next_restart_s"].as_f64().expect("it waits");
    assert!((1.0..=100.0).contains(&pause), "{pause}");
    let pauses: Vec<f64> = wait_for("three crashes in the events", || {
        let crashed = supervisor.events_of("program.crashed", "web");
        if crashed.len() == 3 {
            Ok(crashed)
        } else {
            Err(format!("{crashed:?}"))
        }
    })
    .iter()
    .map(|e| e["data"]["next_restart_s"].as_f64().expect("a pause"))
    .collect();
    assert_eq!(pauses, [0.01, 1.0, 100.0]);
    // It crashes again, so the verb says what became of it and fails.
    let start = supervisor.cli(&["start", "web"]);
    assert_eq!(start.status.code(), Some(1), "{}", said(&start));
    assert!(said(&start).contains("exit code 3"), "{}", said(&start));
    assert!(supervisor.lines("pids").len() >= 4);
}

#[test]
fn each_restart_policy_answers_success_and_failure_in_its_own_way() {
    let mut config = String::new();
    for policy in ["always", "on-failure", "never"] {
        for code in [0, 1] {
            let _ = write!(
                config,
                "[program.{policy}-{code}]\nshell = true\ncommand = \"exit {code}\"\n\
                 restart = \"{policy}\"\nbackoff = {LONG_PAUSE}\n"
            );
        }
    }
    let supervisor = Supervisor::running(&config);
    for (name, phase, event) in [
        ("always-0", "backoff", "program.exited"),
        ("always-1", "backoff", "program.crashed"),
        ("on-failure-0", "exited", "program.exited"),
        ("on-failure-1", "backoff", "program.crashed"),
        ("never-0", "exited", "program.exited"),
        ("never-1", "exited", "program.crashed"),
    ] {
        let view = supervisor.wait_phase(name, phase);
        assert_eq!(view["ready"], false, "{view}");
        assert_eq!(view["health"], "unknown", "{view}");
        assert_eq!(
            view["next_restart_s"].is_null(),
            phase != "backoff",
            "{view}"
        );
        wait_for(&format!("{event} of {name}"), || {
            match supervisor.events_of(event, name) {
                one if one.len() == 1 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}

#[test]
fn an_exit_code_that_is_called_a_success_is_none_of_a_failure() {
    let supervisor = Supervisor::running(
        r#"
        [program.job]
        shell = true
        command = "exit 42"
        success_exit_codes = [0, 42]
        "#,
    );
    let view = supervisor.wait_phase("job", "exited");
    assert_eq!(view["last_exit"], json!({ "code": 42 }));
    wait_for("its event", || {
        let events = supervisor.events();
        let of_job = |kind: &str| {
            events
                .iter()
                .any(|e| e["type"] == kind && e["instance"] == "job")
        };
        assert!(!of_job("program.crashed"), "{events:?}");
        if of_job("program.exited") {
            Ok(())
        } else {
            Err(format!("{events:?}"))
        }
    });
}

#[test]
fn instances_have_names_and_know_their_number() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = 'echo "$JIKIMI_PROGRAM $JIKIMI_INSTANCE $JIKIMI_RUN" > instance-$JIKIMI_INSTANCE; exec sleep 1d'
        instances = 3
        start_confirm = "10ms"
        "#,
    );
    for index in 0..3 {
        let name = format!("web:{index}");
        let view = supervisor.wait_phase(&name, "running");
        assert_eq!(view["program"], "web");
        let recorded = supervisor.wait_lines(&format!("instance-{index}"), 1);
        let run = view["run"].as_str().expect("a run");
        assert_eq!(recorded, [format!("web {index} {run}")]);
    }
    // One of them is stopped without the others.
    let stop = supervisor.cli(&["stop", "web:1"]);
    assert!(stop.status.success(), "{}", said(&stop));
    let phases: Vec<Value> = (0..3)
        .map(|i| supervisor.program(&format!("web:{i}"))["phase"].clone())
        .collect();
    assert_eq!(phases, ["running", "stopped", "running"]);
}

#[test]
fn a_program_gets_its_environment_and_never_ours() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.open]
        shell = true
        command = "env > open.tmp; mv open.tmp open.env; exec sleep 1d"
        env_file = "vars"
        environment = { OWN = "own", BOTH = "from environment" }

        [program.clear]
        command = ["/bin/sh", "-c", "env > clear.tmp; mv clear.tmp clear.env; exec sleep 1d"]
        environment_clear = true
        environment = { ONLY = "this", PATH = "/usr/bin:/bin" }

        [program.trusted]
        shell = true
        command = "env > trusted.tmp; mv trusted.tmp trusted.env; exec sleep 1d"
        environment = { HOOK_SECRET = "${HOOK_SECRET}" }

        [target.hook]
        kind = "webhook"
        url = "http://127.0.0.1:9/"
        secret = "${HOOK_SECRET}"
        "#,
    );
    supervisor.write("vars", "FROM_FILE=file\nBOTH=from file\n");
    let mut command = supervisor.command(&["run"]);
    let secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
    let never = [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "MAINPID",
        "JIKIMI_OTHER",
    ];
    command.env("HOOK_SECRET", secret).env("INHERITED", "yes");
    for name in never {
        command.env(name, "1");
    }
    supervisor.spawn_command(command);
    let read = |name: &str| {
        let lines = supervisor.wait_lines(&format!("{name}.env"), 1);
        move |variable: &str| {
            lines
                .iter()
                .find_map(|l| l.strip_prefix(&format!("{variable}=")).map(str::to_owned))
        }
    };
    let open = read("open");
    assert_eq!(open("OWN").as_deref(), Some("own"));
    assert_eq!(open("FROM_FILE").as_deref(), Some("file"));
    assert_eq!(open("BOTH").as_deref(), Some("from environment"));
    assert_eq!(open("INHERITED").as_deref(), Some("yes"));
    assert_eq!(open("HOOK_SECRET"), None);
    let clear = read("clear");
    assert_eq!(clear("ONLY").as_deref(), Some("this"));
    assert_eq!(clear("INHERITED"), None);
    assert_eq!(clear("JIKIMI_PROGRAM").as_deref(), Some("clear"));
    let trusted = read("trusted");
    assert_eq!(trusted("HOOK_SECRET").as_deref(), Some(secret));
    for name in never {
        assert_eq!(
            (open(name), clear(name), trusted(name)),
            (None, None, None),
            "{name}"
        );
    }
}

#[test]
fn a_command_is_split_run_by_a_shell_or_taken_as_it_is_in_its_directory() {
    let supervisor = Supervisor::configured(
        r#"
        [program.list]
        command = ["sh", "-c", "printf '%s|' \"$0\" \"$@\" > ../list", "a b", "$HOME", "*"]
        directory = "sub"
        [program.text]
        command = "sh -c 'printf \"%s|\" \"$@\" > text' zero 'a b' $HOME"
        [program.shell]
        command = "printf '%s' \"$OWN\" > shell && pwd >> shell"
        shell = true
        environment = { OWN = "own" }
        [program.local]
        command = "./tool"
        directory = "sub"
        "#,
    );
    let mut supervisor = supervisor;
    supervisor.write("sub/tool", "#!/bin/sh\npwd > where\n");
    let tool = supervisor.file("sub/tool");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(tool, mode).expect("our own file");
    supervisor.start();
    for name in ["list", "text", "shell", "local"] {
        let view = supervisor.wait_phase(name, "exited");
        assert_eq!(view["last_exit"], json!({ "code": 0 }), "{view}");
    }
    assert_eq!(supervisor.read("list"), "a b|$HOME|*|");
    assert_eq!(supervisor.read("text"), "a b|$HOME|");
    let here = supervisor.path().display().to_string();
    assert_eq!(supervisor.read("shell"), format!("own{here}\n"));
    assert_eq!(supervisor.read("sub/where"), format!("{here}/sub\n"));
}

#[test]
fn a_program_counts_as_started_when_it_has_lived_long_enough() {
    let supervisor = Supervisor::running(
        r#"
        [program.slow]
        command = ["sleep", "1d"]
        start_confirm = "1h"
        [program.quick]
        command = ["sleep", "1d"]
        start_confirm = "0s"
        [program.after]
        command = ["sleep", "1d"]
        depends_on = ["slow"]
        "#,
    );
    let quick = supervisor.wait_phase("quick", "running");
    assert_eq!(
        (&quick["ready"], &quick["desired"]),
        (&json!(true), &json!("up"))
    );
    let slow = supervisor.program("slow");
    assert_eq!(
        (&slow["phase"], &slow["ready"]),
        (&json!("starting"), &json!(false))
    );
    assert!(is_alive(pid_of(&slow)));
    let after = supervisor.program("after");
    assert_eq!(
        (&after["phase"], &after["pid"]),
        (&json!("starting"), &Value::Null)
    );
    // Waiting is no start: it can be stopped, and is then down.
    let stop = supervisor.cli(&["stop", "after", "slow"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert_eq!(supervisor.program("after")["phase"], "stopped");
    assert_eq!(supervisor.program("after")["desired"], "down");
}

#[test]
fn too_many_restarts_are_fatal_until_a_person_starts_it() {
    let supervisor = Supervisor::running(&format!(
        r#"
        [program.web]
        shell = true
        command = "echo run >> runs; exit 1"
        backoff = {SHORT_PAUSE}
        restart_limit = {{ count = 2, within = "10m", then = "fatal" }}
        "#
    ));
    let fatal = supervisor.wait_phase("web", "fatal");
    assert_eq!(
        supervisor.lines("runs").len(),
        3,
        "a first run and two restarts"
    );
    assert_eq!(fatal["restarts"], 2);
    assert_eq!(fatal["pid"], Value::Null);
    assert_eq!(fatal["next_restart_s"], Value::Null);
    let event = wait_for("the event", || {
        supervisor
            .events_of("program.fatal", "web")
            .pop()
            .ok_or_else(|| "none".to_owned())
    });
    assert_eq!(event["severity"], "critical");
    assert_eq!(event["data"]["cause"], "restart limit reached: 2 in 10m");
    // Asked again, it gets as many tries again.
    let _ = supervisor.cli(&["start", "web"]);
    wait_for("three more runs and the second end", || {
        let (runs, phase) = (
            supervisor.lines("runs").len(),
            supervisor.program("web")["phase"].clone(),
        );
        if runs == 6 && phase == "fatal" {
            Ok(())
        } else {
            Err(format!("{runs} runs, {phase}"))
        }
    });
    // `stop` leaves no doubt that it shall be down.
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    assert_eq!(supervisor.program("web")["desired"], "down");
}

#[test]
fn too_many_restarts_with_a_cooldown_are_a_long_pause() {
    let supervisor = Supervisor::running(&format!(
        r#"
        [program.web]
        shell = true
        command = "echo run >> runs; exit 1"
        backoff = {SHORT_PAUSE}
        restart_limit = {{ count = 2, within = "10m", then = "cooldown", cooldown = "2h" }}
        "#
    ));
    let cooling = supervisor.wait_program("web", "the long pause", |view| {
        view["next_restart_s"].as_f64().is_some_and(|s| s > 3600.0)
    });
    assert_eq!(cooling["phase"], "backoff");
    assert_eq!(cooling["desired"], "up");
    assert_eq!(supervisor.lines("runs").len(), 3);
}

#[test]
fn what_a_program_depends_on_has_started_before_it_does() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo web >> order; exec sleep 1d"
        depends_on = ["app"]
        start_confirm = "10ms"
        [program.app]
        shell = true
        command = "echo app >> order; exec sleep 1d"
        depends_on = { db = "started" }
        start_confirm = "100ms"
        [program.db]
        shell = true
        command = "echo db >> order; exec sleep 1d"
        start_confirm = "100ms"
        "#,
    );
    supervisor.wait_phase("web", "running");
    assert_eq!(supervisor.lines("order"), ["db", "app", "web"]);
    let events = wait_for("the last one's readiness", || {
        let events = supervisor.events();
        let is_there = events
            .iter()
            .any(|e| e["type"] == "program.ready" && e["instance"] == "web");
        if is_there {
            Ok(events)
        } else {
            Err(format!("{events:?}"))
        }
    });
    assert!(place(&events, "program.ready", "db") < place(&events, "program.started", "app"));
    assert!(place(&events, "program.ready", "app") < place(&events, "program.started", "web"));
    // Started by name, it brings up what it needs.
    assert!(supervisor.cli(&["stop", "all"]).status.success());
    let start = supervisor.cli(&["start", "web"]);
    assert!(start.status.success(), "{}", said(&start));
    let names = ["db", "app", "web"];
    assert!(
        names
            .iter()
            .all(|n| supervisor.program(n)["phase"] == "running")
    );
    assert_eq!(
        supervisor.lines("order"),
        ["db", "app", "web", "db", "app", "web"]
    );
}

#[test]
fn a_program_that_cannot_be_started_is_fatal_with_the_reason_and_the_others_run() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.absent]
        command = ["no-such-command-anywhere"]
        [program.lost]
        command = ["./tool", "-x"]
        directory = "empty"
        [program.plain]
        command = ["./not-executable"]
        [program.homeless]
        command = ["sleep", "1d"]
        directory = "nowhere/at/all"
        [program.needy]
        command = ["sleep", "1d"]
        depends_on = ["absent"]
        [program.well]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        "#,
    );
    supervisor.write("not-executable", "#!/bin/sh\n");
    supervisor.write("empty/keep", "");
    supervisor.start();
    for (name, cause) in [
        ("absent", "command not found: no-such-command-anywhere"),
        ("lost", "command not found: ./tool"),
        ("plain", "command is not executable: ./not-executable"),
        ("homeless", "No such file or directory"),
    ] {
        let view = supervisor.wait_phase(name, "fatal");
        assert_eq!(view["restarts"], 0, "{view}");
        let event = wait_for("the event", || {
            supervisor
                .events_of("program.fatal", name)
                .pop()
                .ok_or_else(|| "none".to_owned())
        });
        let told = event["data"]["cause"].as_str().expect("a cause");
        assert!(told.contains(cause), "{name}: {told}");
        let start = supervisor.cli(&["start", name]);
        assert_eq!(start.status.code(), Some(1));
        assert!(said(&start).contains(cause), "{}", said(&start));
    }
    let homeless = supervisor.events_of("program.fatal", "homeless");
    let cause = homeless[0]["data"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("nowhere/at/all"), "{cause}");
    supervisor.wait_phase("well", "running");
    let needy = supervisor.cli(&["start", "needy"]);
    assert_eq!(needy.status.code(), Some(1));
    assert!(said(&needy).contains("absent"), "{}", said(&needy));
    // Nothing of all this is left in the pipes' folder but what the one that runs has.
    let pipes = crate::support::processes::files(&supervisor.file(".jikimi/pipes"));
    assert!(
        pipes.iter().all(|p| {
            let path = p.display().to_string();
            path.contains(".well.") || path.ends_with("pump.lock") || path.ends_with("keeping")
        }),
        "{pipes:?}"
    );
    // Put in order by a person, it starts.
    supervisor.write("empty/tool", "#!/bin/sh\nexec sleep 1d\n");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(supervisor.file("empty/tool"), mode).expect("our own file");
    let start = supervisor.cli(&["start", "lost"]);
    assert!(start.status.success(), "{}", said(&start));
    assert_eq!(supervisor.stop(), 1, "three are fatal still");
}

const FOUR: &str = r#"
        [program.web-a]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        tags = ["front"]
        [program.web-b]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        [program.db]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        tags = ["front"]
        [program.idle]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        autostart = false
        "#;

#[test]
fn people_start_stop_and_restart_by_name_glob_and_tag() {
    let supervisor = Supervisor::running(FOUR);
    let names = ["web-a", "web-b", "db", "idle"];
    let phases = || -> Vec<String> {
        let text = |n: &&str| {
            supervisor.program(n)["phase"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        };
        names.iter().map(text).collect()
    };
    for name in &names[..3] {
        supervisor.wait_phase(name, "running");
    }
    let cli = |args: &[&str]| {
        let output = supervisor.cli(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        said(&output)
    };
    assert_eq!(supervisor.program("idle")["desired"], "down");
    assert_eq!(phases()[3], "stopped");
    cli(&["stop", "web*"]);
    assert_eq!(phases(), ["stopped", "stopped", "running", "stopped"]);
    let before = supervisor.program("db");
    let told = cli(&["restart", "tag:front"]);
    assert!(
        told.contains("web-a") && told.contains("db") && !told.contains("web-b"),
        "{told}"
    );
    assert_eq!(phases(), ["running", "stopped", "running", "stopped"]);
    let after = supervisor.program("db");
    assert_ne!(before["run"], after["run"]);
    assert_eq!(
        after["restarts"], 0,
        "a restart by hand is none of the program's"
    );
    assert!(!is_alive(pid_of(&before)));
    cli(&["start", "all"]);
    assert_eq!(phases(), ["running"; 4]);
    let again = cli(&["start", "db"]);
    assert!(again.contains("already running"), "{again}");
    cli(&["stop", "all"]);
    assert_eq!(phases(), ["stopped"; 4]);
    cli(&["stop", "db"]);
    let stopped = supervisor.events_of("program.stopped", "db");
    assert_eq!(stopped.len(), 2, "restart and stop: {stopped:?}");
    assert!(stopped[1]["data"]["asked_by"].is_string(), "{stopped:?}");
    assert_eq!(stopped[1]["data"]["exit"], json!({ "signal": "SIGTERM" }));
    assert!(supervisor.events_of("program.crashed", "db").is_empty());
    // None of a request is done when one of its names is unknown.
    for verb in ["start", "stop", "restart"] {
        let output = supervisor.cli(&[verb, "db", "wbe-a"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("web-a"), "{}", said(&output));
    }
    assert_eq!(phases(), ["stopped"; 4]);
}

/// A program whose tree ignores TERM: itself, a child, and one in a session of its own.
const STUBBORN: &str = r#"
        [program.stubborn]
        shell = true
        command = '''
        trap '' TERM
        sleep 1d & echo $! >> tree
        setsid sh -c 'echo $$ >> tree; exec sleep 1d' &
        echo $$ >> tree
        while :; do sleep 1d; done
        '''
        start_confirm = "10ms"
        stop_timeout = "300ms"
"#;

#[test]
fn a_child_that_ignores_term_is_killed_after_grace_with_its_whole_tree() {
    let supervisor = Supervisor::running(STUBBORN);
    supervisor.wait_phase("stubborn", "running");
    let tree: Vec<u32> = supervisor
        .wait_lines("tree", 3)
        .iter()
        .map(|l| l.parse().expect("a pid"))
        .collect();
    assert!(tree.iter().all(|pid| is_alive(*pid)));
    let stop = supervisor.cli(&["stop", "stubborn"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert!(said(&stop).contains("killed"), "{}", said(&stop));
    // The verb has waited for all of it.
    let alive: Vec<&u32> = tree.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(alive.is_empty(), "{alive:?} of {tree:?}");
    assert_eq!(supervisor.program("stubborn")["phase"], "stopped");
    let killed = supervisor.events_of("program.killed", "stubborn");
    assert_eq!(killed.len(), 1);
    assert_eq!(
        killed[0]["data"]["cause"],
        "did not end within 300ms of SIGTERM"
    );
    let stopped = supervisor.events_of("program.stopped", "stubborn");
    assert_eq!(stopped[0]["data"]["exit"], json!({ "signal": "SIGKILL" }));
}

#[test]
fn what_a_crashed_program_left_is_ended_before_it_starts_again() {
    let supervisor = Supervisor::running(&format!(
        r#"
        [program.web]
        shell = true
        command = '''
        for pid in $(cat left 2>/dev/null); do kill -0 $pid 2>/dev/null && echo $pid >> doubled; done
        sleep 1d & echo $! >> left
        setsid sh -c 'echo $$ >> left; exec sleep 1d' &
        echo $$ >> mains
        wait
        '''
        start_confirm = "10ms"
        backoff = {SHORT_PAUSE}
        "#
    ));
    for round in 1..=3 {
        supervisor.wait_lines("left", 2 * round);
        let mains = supervisor.wait_lines("mains", round);
        kill(mains[round - 1].parse().expect("a pid"));
    }
    supervisor.wait_lines("mains", 4);
    assert_eq!(supervisor.read("doubled"), "");
}

#[test]
fn a_program_is_given_a_clean_slate() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        instances = 40
        "#,
    );
    // As badly as a shell or a service manager may start us: few open files, ignored signals, stray
    // descriptors.
    let command = supervisor.shell(
        "ulimit -Sn 100; trap '' QUIT USR1 INT PIPE; exec 7</dev/null 8>>stray; exec \"$JIKIMI\" run",
    );
    supervisor.spawn_command(command);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    let own = supervisor.pid();
    for name in ["web:0", "web:39"] {
        let pid = supervisor.pid_in(name, "running");
        let descriptors: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("our own child's child")
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let mut sorted = descriptors.clone();
        sorted.sort();
        assert_eq!(sorted, ["0", "1", "2"]);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let files = limits
            .lines()
            .find(|l| l.starts_with("Max open files"))
            .expect("a line");
        assert_eq!(files.split_whitespace().nth(3), Some("100"), "{files}");
        for set in ["SigIgn", "SigBlk", "SigCgt"] {
            let value = status_field(pid, set).expect("it runs");
            let set_bits = u64::from_str_radix(&value, 16).expect("a set");
            // 32 and 33 are the C library's own; whatever was done to them before us is nobody's to undo.
            assert_eq!(set_bits & !(0b11 << 31), 0, "{set} {value}");
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let group = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(2));
        assert_eq!(group, Some(pid.to_string().as_str()), "a group of its own");
        assert_eq!(status_field(pid, "PPid"), Some(own.to_string()));
    }
    let raised = std::fs::read_to_string(format!("/proc/{own}/limits")).expect("it runs");
    let files = raised
        .lines()
        .find(|l| l.starts_with("Max open files"))
        .expect("a line");
    let now: u64 = files
        .split_whitespace()
        .nth(3)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(now > 100, "{files}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn five_hundred_programs_that_crash_at_once_come_back_with_no_more_threads() {
    let mut supervisor = Supervisor::running(&format!(
        r#"
        [program.many]
        command = ["sleep", "1d"]
        instances = 500
        start_confirm = "10ms"
        stop_timeout = "30s"
        backoff = {SHORT_PAUSE}
        "#
    ));
    let all = |restarts: u64| {
        wait_for(
            &format!("all 500 running, restarted {restarts} times"),
            || {
                let status = supervisor.status();
                let programs = status["programs"].as_array().expect("a list").clone();
                let there = programs
                    .iter()
                    .filter(|p| p["phase"] == "running" && p["restarts"] == restarts)
                    .count();
                if there == 500 {
                    Ok(status)
                } else {
                    Err(format!("{there} are there"))
                }
            },
        )
    };
    let before = all(0);
    let threads = before["supervisor"]["threads"].as_u64().expect("a number");
    for program in before["programs"].as_array().expect("a list") {
        kill(pid_of(program));
    }
    // Answers while it is at it.
    let between = supervisor.status();
    let after = all(1);
    for status in [&before, &between, &after] {
        let facts = &status["supervisor"];
        let now = facts["threads"].as_u64().expect("a number");
        // Threads of connections come and go.
        assert!(now <= threads + 4, "{threads} before, {now}");
        let memory = facts["rss_bytes"].as_u64().expect("a number");
        assert!(memory < 100 << 20, "{memory} bytes");
    }
    wait_for("500 crashes in the events", || {
        let events = supervisor.events();
        let crashed = events
            .iter()
            .filter(|e| e["type"] == "program.crashed")
            .count();
        if crashed == 500 {
            Ok(())
        } else {
            Err(format!("{crashed}"))
        }
    });
    let code = supervisor.stop();
    assert_eq!(code, 0, "{:?}", supervisor.output());
}

#[test]
fn a_crash_loop_without_a_pause_starves_nobody() {
    let supervisor = Supervisor::running(
        r#"
        [program.loop]
        command = ["false"]
        backoff = { initial = "0s", max = "0s" }
        restart_limit = { count = 1000000 }
        [program.well]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        "#,
    );
    let restarts = |view: &Value| view["restarts"].as_u64().expect("a number");
    let first = restarts(&supervisor.program("loop"));
    supervisor.wait_program("loop", "hundred more restarts", |view| {
        restarts(view) > first + 100
    });
    let before = supervisor.pid_in("well", "running");
    let restart = supervisor.cli(&["restart", "well"]);
    assert!(restart.status.success(), "{}", said(&restart));
    wait_gone(before);
    let stop = supervisor.cli(&["stop", "loop"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert_eq!(supervisor.program("loop")["phase"], "stopped");
    // Down is down: the count stands still from here to an event that comes later.
    let count = restarts(&supervisor.program("loop"));
    assert!(supervisor.cli(&["restart", "well"]).status.success());
    assert_eq!(restarts(&supervisor.program("loop")), count);
}
