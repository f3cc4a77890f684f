//! When a program is started again, and when it is not: ends that forbid it.

use serde_json::{Value, json};

use crate::support::supervisor::Supervisor;
use crate::support::{lines_of, wait_for};

/// The only event of `kind` about `instance`, once it is there.
fn one_event(supervisor: &Supervisor, kind: &str, instance: &str) -> Value {
    wait_for(&format!("{kind} of {instance}"), || {
        let mut events = supervisor.events_of(kind, instance);
        match events.pop() {
            Some(event) if events.is_empty() => Ok(event),
            other => Err(format!("{other:?} {events:?}")),
        }
    })
}

#[test]
fn an_end_by_a_signal_that_is_called_a_success_is_no_failure() {
    let supervisor = Supervisor::running(
        r#"
        [program.job]
        shell = true
        command = "kill -USR1 $$"
        success_signals = ["USR1"]
        "#,
    );
    let view = supervisor.wait_phase("job", "exited");
    assert_eq!(view["last_exit"], json!({ "signal": "SIGUSR1" }));
    one_event(&supervisor, "program.exited", "job");
    assert!(supervisor.events_of("program.crashed", "job").is_empty());
}

#[test]
fn a_code_that_forbids_a_restart_leaves_the_program_down_and_says_why() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo run >> runs; exit 78"
        restart = "always"
        no_restart_exit_codes = [78]

        [program.worker]
        shell = true
        command = "kill -KILL $$"
        no_restart_signals = ["KILL"]
        "#,
    );
    for (name, key) in [
        ("web", "no_restart_exit_codes"),
        ("worker", "no_restart_signals"),
    ] {
        supervisor.wait_phase(name, "exited");
        let crashed = one_event(&supervisor, "program.crashed", name);
        let cause = format!("not restarted, by {key}");
        assert_eq!(crashed["data"]["cause"], cause.as_str(), "{crashed}");
        let summary = crashed["summary"].as_str().expect("a text");
        assert!(summary.contains(&cause), "{summary}");
        assert!(supervisor.events_of("program.restarting", name).is_empty());
    }
    assert_eq!(supervisor.lines("runs"), ["run"]);
    // A person may start it all the same.
    supervisor.cli(&["start", "web"]);
    supervisor.wait_lines("runs", 2);
}

#[test]
fn a_run_that_lasted_as_long_as_it_may_is_ended_and_started_anew() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo $$ >> pids; exec sleep 1d"
        restart = "never"
        start_confirm = "10ms"
        max_runtime = { after = "400ms", jitter = 0.5 }
        "#,
    );
    // Again and again, and never held against the program.
    supervisor.wait_lines("pids", 4);
    let stopped = wait_for("planned ends", || {
        let events = supervisor.events_of("program.stopped", "web");
        (events.len() >= 3)
            .then_some(events)
            .ok_or_else(String::new)
    });
    for event in &stopped {
        assert_eq!(event["data"]["trigger"], "max_runtime", "{event}");
        let lasted = event["data"]["uptime_s"].as_f64().expect("a number");
        assert!(lasted >= 0.2, "{event}");
    }
    assert!(supervisor.events_of("program.crashed", "web").is_empty());
    assert_eq!(supervisor.program("web")["restarts"], 0);
}

/// A zone in which the next whole minute is a few seconds away: nobody waits a minute for a test.
fn zone_with_a_minute_about_to_end(left: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    // Seconds to add, so that so many are left on the local clock.
    let ahead = (120 - left - now % 60) % 60;
    // In this notation hours west are positive.
    format!("TST-0:00:{ahead:02}")
}

/// A supervisor whose local clock shows a new minute in some four seconds.
fn minute_ahead(config: &str) -> Supervisor {
    let mut supervisor = Supervisor::configured(config);
    supervisor.start_with(&[("TZ", &zone_with_a_minute_about_to_end(4))]);
    supervisor
}

#[test]
fn a_planned_restart_comes_by_the_clock_and_is_no_failure() {
    let supervisor = minute_ahead(
        r#"
        [program.web]
        shell = true
        command = "echo $$ >> pids; exec sleep 1d"
        start_confirm = "10ms"
        restart_at = "* * * * *"
        "#,
    );
    let view = supervisor.wait_program("web", "a plan", |view| view["next_start_at"].is_string());
    supervisor.wait_lines("pids", 2);
    let stopped = one_event(&supervisor, "program.stopped", "web");
    assert_eq!(stopped["data"]["trigger"], "schedule", "{stopped}");
    assert!(stopped["time"].as_str() >= view["next_start_at"].as_str());
    assert!(supervisor.events_of("program.crashed", "web").is_empty());
    // The next one lies ahead.
    supervisor.wait_program("web", "the next plan", |view| {
        view["next_start_at"].as_str() > stopped["time"].as_str()
    });
}

#[test]
fn a_planned_restart_is_announced_on_the_standard_input_once_and_to_whoever_reads() {
    let config = |keys: &str| {
        format!(
            r#"
            [program.web]
            shell = true
            command = "echo run >> said; while read line; do echo \"$line\" >> said; done"
            start_confirm = "10ms"
            {keys}

            [program.deaf]
            shell = true
            command = "echo $$ >> pids; exec 0<&-; exec sleep 1d"
            start_confirm = "10ms"
            restart_at = {{ at = "* * * * *", announce = [{{ before = "1s", line = "bye" }}] }}
            "#
        )
    };
    let announced = r#"restart_at = { at = "* * * * *", announce = [
        { before = "1s", line = "say now" },
        { before = "2s", line = "say ${WORD} soon" },
        { before = "10h", line = "say long ago" },
    ] }"#;
    let mut supervisor = Supervisor::configured(&config(announced));
    let zone = zone_with_a_minute_about_to_end(8);
    supervisor.start_with(&[("TZ", &zone), ("WORD", "hunter2")]);
    let said = supervisor.wait_lines("said", 4);
    assert_eq!(said[..4], ["run", "say hunter2 soon", "say now", "run"]);
    // One that does not read is restarted all the same.
    supervisor.wait_lines("pids", 2);
    let (out, log) = supervisor.output();
    assert!(
        log.contains("say ${WORD} soon") || out.contains("say ${WORD} soon"),
        "{log}"
    );
    assert!(
        !log.contains("hunter2") && !out.contains("hunter2"),
        "{log}"
    );
    // Without the key nothing is planned any more; the run goes on, for it keeps its pipe.
    supervisor.write("jikimi.toml", &config("stdin = \"pipe\""));
    supervisor.cli(&["reload"]);
    supervisor.wait_program("web", "no plan", |view| view["next_start_at"].is_null());
    assert_eq!(supervisor.events_of("program.started", "web").len(), 2);
}

#[test]
fn a_scheduled_program_is_down_until_its_time_and_starts_no_second_run_beside_the_first() {
    let supervisor = minute_ahead(
        r#"
        [program.job]
        shell = true
        command = "echo run >> runs"
        schedule = "* * * * *"

        [program.long]
        command = ["sleep", "1d"]
        autostart = true
        schedule = "* * * * *"

        [program.held]
        command = ["sleep", "1d"]
        schedule = "* * * * *"
        "#,
    );
    let view = supervisor.program("job");
    assert_eq!(
        (&view["phase"], &view["desired"]),
        (&json!("stopped"), &json!("down"))
    );
    assert!(view["next_start_at"].is_string(), "{view}");
    supervisor.cli(&["stop", "held"]);
    supervisor.wait_lines("runs", 1);
    supervisor.wait_phase("job", "exited");
    let started = one_event(&supervisor, "program.started", "job");
    assert_eq!(started["data"]["asked_by"], "the schedule * * * * *");
    // What still ran was left alone, and that is told.
    let skipped = one_event(&supervisor, "program.skipped", "long");
    assert_eq!(skipped["data"]["cause"], "the last run has not ended");
    assert_eq!(skipped["data"]["count"], 1);
    assert_eq!(supervisor.events_of("program.started", "long").len(), 1);
    // A person's word stands.
    let held = supervisor.program("held");
    assert_eq!(
        (&held["phase"], &held["next_start_at"]),
        (&json!("stopped"), &Value::Null)
    );
    assert!(supervisor.events_of("program.started", "held").is_empty());
}

#[test]
fn a_worker_that_leaks_has_its_program_restarted_by_a_rule_but_not_for_ever() {
    // The shell stays small; `tail` keeps all that it was given.
    let supervisor = Supervisor::running(
        r#"
        [metrics]
        interval = "100ms"

        [program.leak]
        shell = true
        command = "echo run >> runs; (head -c 80000000 /dev/zero; exec sleep 1d) | tail; true"
        backoff = { initial = "20ms", max = "20ms" }
        restart_limit = { count = 2, within = "1h", then = "fatal" }

        [[program.leak.rule]]
        when = "memory > 60MiB"
        for = "200ms"
        do = ["alert", "restart"]
        "#,
    );
    supervisor.wait_phase("leak", "fatal");
    assert_eq!(supervisor.lines("runs").len(), 3);
    let cleared = wait_for("every rule that fired to clear", || {
        let cleared = supervisor.events_of("rule.cleared", "leak");
        (cleared.len() == 3)
            .then_some(cleared)
            .ok_or_else(String::new)
    });
    assert!(cleared.iter().all(|event| event["severity"] == "warning"));
    let fired = supervisor.events_of("rule.fired", "leak");
    assert_eq!(fired.len(), 3);
    for event in &fired {
        assert_eq!(event["severity"], "warning", "{event}");
        let cause = event["data"]["cause"].as_str().expect("a text");
        assert!(cause.starts_with("memory "), "{cause}");
        assert!(cause.contains("> 60.0 MiB for 200ms"), "{cause}");
    }
    let stopped = supervisor.events_of("program.stopped", "leak");
    assert_eq!(stopped.len(), 2, "{stopped:?}");
    assert!(stopped.iter().all(|e| e["data"]["trigger"] == "rule"));
    let crashed = one_event(&supervisor, "program.crashed", "leak");
    assert_eq!(crashed["data"]["trigger"], "rule", "{crashed}");
}

#[test]
fn a_rule_that_only_alerts_leaves_the_program_alone_and_clears_when_it_is_kept() {
    let supervisor = Supervisor::running(
        r#"
        [metrics]
        interval = "100ms"

        [program.web]
        shell = true
        command = "sleep 1d & echo $! > worker; wait; exec sleep 1d"

        [[program.web.rule]]
        when = "processes >= 2"

        [[program.web.rule]]
        when = "memory > 100GiB"
        do = ["alert", "stop"]

        [program.idle]
        command = ["sleep", "1d"]

        [[program.idle.rule]]
        when = "threads > 0"
        do = ["stop"]
        "#,
    );
    let fired = one_event(&supervisor, "rule.fired", "web");
    assert_eq!(fired["data"]["cause"], "processes 2 >= 2");
    assert!(supervisor.events_of("rule.cleared", "web").is_empty());
    let worker = supervisor.wait_lines("worker", 1)[0].parse();
    crate::support::processes::kill(worker.expect("a pid"));
    let cleared = one_event(&supervisor, "rule.cleared", "web");
    assert_eq!(
        cleared["data"]["cause"],
        "processes is 1; the rule is processes >= 2"
    );
    assert_eq!(supervisor.events_of("program.started", "web").len(), 1);
    supervisor.wait_phase("web", "running");
    // One that alerts nobody is a fact all the same; what it stopped stays stopped.
    supervisor.wait_phase("idle", "stopped");
    let fired = one_event(&supervisor, "rule.fired", "idle");
    assert_eq!(fired["severity"], "info", "{fired}");
    let stopped = one_event(&supervisor, "program.stopped", "idle");
    assert_eq!(stopped["data"]["asked_by"], "the rule threads 1 > 0");
    assert_eq!(supervisor.program("idle")["desired"], "down");
}

#[test]
fn programs_that_crash_at_once_are_started_no_more_often_than_their_backoff_says() {
    let config = lines_of((0..10).map(|at| {
        format!(
            "[program.p{at}]\ncommand = [\"false\"]\n\
             backoff = {{ initial = \"50ms\", max = \"1h\", jitter = 0.0 }}\n\
             restart_limit = {{ count = 100, within = \"1m\" }}"
        )
    }));
    let supervisor = Supervisor::running(&config);
    let wanted = [0.05, 0.1, 0.2, 0.4, 0.8];
    let events = wait_for("five crashes of each", || {
        let events = supervisor.events();
        let restarting = events.iter().filter(|e| e["type"] == "program.restarting");
        let count = restarting.count();
        (count >= 10 * wanted.len())
            .then_some(events)
            .ok_or_else(|| format!("{count}"))
    });
    for at in 0..10 {
        let name = format!("p{at}");
        let of = |kind: &str| -> Vec<&Value> {
            let is_its = |e: &&Value| e["type"] == kind && e["instance"] == name.as_str();
            events.iter().filter(is_its).collect()
        };
        let (pauses, started) = (of("program.restarting"), of("program.started"));
        // Each start but the first was announced, and each announced pause is that of the backoff.
        assert!(started.len() <= pauses.len() + 1, "{name}");
        for (pause, wanted) in pauses.iter().zip(wanted) {
            assert_eq!(pause["data"]["next_restart_s"], wanted, "{pause}");
        }
    }
}
