//! Programs that write nothing for too long, and rules about that and about restarts.

use serde_json::Value;

use crate::support::database;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that writes a line when the file `talk` is there, and notes its pid and that it did.
fn talker(name: &str, more: &str) -> String {
    format!(
        "[program.{name}]\nshell = true\n\
         command = \"echo $$ >> pids; while :; do [ -e talk ] && echo hello && echo $$ >> said; sleep 0.05; done\"\n\
         start_confirm = \"20ms\"\nbackoff = {{ initial = \"20ms\", max = \"20ms\" }}\n{more}\n"
    )
}

fn wait_events(supervisor: &Supervisor, kind: &str, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} of {kind}"), || {
        let events = supervisor.events_of(kind, "web");
        let is_there = events.len() >= count;
        is_there
            .then_some(events)
            .ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

#[test]
fn a_program_that_is_silent_is_told_once_and_again_well_when_it_writes() {
    let mut supervisor = Supervisor::running(&talker("web", "log_silence = \"400ms\""));
    let stalled = wait_events(&supervisor, "program.stalled", 1);
    assert_eq!(stalled[0]["severity"], "warning");
    assert_eq!(stalled[0]["data"]["cause"], "it wrote nothing for 400ms");
    let view = supervisor.wait_program("web", "unhealthy", |view| view["health"] == "unhealthy");
    assert_eq!(view["cause"], "it wrote nothing for 400ms");
    assert_eq!(
        (&view["phase"], &view["ready"]),
        (&"running".into(), &true.into())
    );
    supervisor.write("talk", "");
    let healthy = wait_events(&supervisor, "program.healthy", 1);
    let cause = healthy[0]["data"]["cause"].as_str().expect("a text");
    assert!(cause.starts_with("it writes again, after "), "{cause}");
    let view = supervisor.wait_program("web", "well", |view| view["health"] != "unhealthy");
    assert_eq!(view["cause"], Value::Null);
    assert_eq!(supervisor.events_of("program.stalled", "web").len(), 1);
    // And again, for the same run.
    std::fs::remove_file(supervisor.file("talk")).expect("it is there");
    wait_events(&supervisor, "program.stalled", 2);
    assert_eq!(supervisor.lines("pids").len(), 1);
    assert_eq!(supervisor.stop(), 0);
    // Each was an incident of its own, and is over.
    let ends = "SELECT cause FROM incidents WHERE condition = 'stalled' ORDER BY id";
    let ends = database::column::<String>(&supervisor.file(".jikimi/jikimi.db"), ends);
    assert_eq!(
        ends.as_deref(),
        Ok(&["recovered".to_owned(), "stopped".to_owned()][..])
    );
}

#[test]
fn one_that_a_person_stopped_is_told_for_that_and_not_also_for_its_silence() {
    let supervisor = Supervisor::running(&format!(
        "{}{}",
        talker("web", "log_silence = \"3s\""),
        talker("other", "log_silence = \"6s\"")
    ));
    let pid = supervisor.pid_in("web", "running");
    let kill = |signal| {
        let pid = i32::try_from(pid).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
    };
    kill(rustix::process::Signal::STOP);
    // It has been silent for twice as long as it may when the other has.
    wait_for("the silence of the other", || {
        let is_told = !supervisor.events_of("program.stalled", "other").is_empty();
        is_told.then_some(()).ok_or_else(String::new)
    });
    let stalled = wait_events(&supervisor, "program.stalled", 1);
    let cause = stalled[0]["data"]["cause"].as_str().expect("a text");
    assert!(cause.starts_with("stopped by SIGSTOP"), "{cause}");
    assert_eq!(stalled.len(), 1, "{stalled:#?}");
    kill(rustix::process::Signal::CONT);
    let healthy = wait_events(&supervisor, "program.healthy", 1);
    let cause = healthy[0]["data"]["cause"].as_str().expect("a text");
    assert!(cause.starts_with("it goes on"), "{cause}");
    // It is watched from then on.
    let stalled = wait_events(&supervisor, "program.stalled", 2);
    assert_eq!(stalled[1]["data"]["cause"], "it wrote nothing for 3s");
}

#[test]
fn a_program_that_is_to_be_restarted_for_its_silence_is_and_explain_names_the_cause() {
    let supervisor = Supervisor::running(&talker(
        "web",
        "log_silence = { after = \"400ms\", then = \"restart\" }",
    ));
    supervisor.wait_lines("pids", 2);
    supervisor.write("talk", "");
    let crashed = wait_events(&supervisor, "program.crashed", 1);
    assert_eq!(crashed[0]["data"]["trigger"], "log_silence");
    assert_eq!(crashed[0]["data"]["cause"], "it wrote nothing for 400ms");
    let stalled = wait_events(&supervisor, "program.stalled", 1);
    assert_eq!(stalled[0]["run"], crashed[0]["run"]);
    let told = wait_for("the explanation", || {
        let output = supervisor.cli(&["explain", "web"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_said = text.contains("because it wrote nothing for too long");
        is_said.then(|| text.clone()).ok_or(text)
    });
    assert!(told.contains("Why: it wrote nothing for 400ms"), "{told}");
}

#[test]
fn a_reload_changes_at_once_how_long_a_program_may_be_silent() {
    let supervisor = Supervisor::running(&talker("web", "log_silence = \"1h\""));
    supervisor.wait_lines("pids", 1);
    supervisor.wait_phase("web", "running");
    let reload = |more: &str| {
        supervisor.write("jikimi.toml", &talker("web", more));
        let output = supervisor.cli(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    };
    reload("log_silence = \"300ms\"");
    wait_events(&supervisor, "program.stalled", 1);
    reload("log_silence = \"1h\"");
    let healthy = wait_events(&supervisor, "program.healthy", 1);
    assert_eq!(healthy[0]["data"]["cause"], "log_silence was changed");
    supervisor.wait_program("web", "well", |view| view["health"] != "unhealthy");
    assert_eq!(supervisor.lines("pids").len(), 1);
}

#[test]
fn nobody_is_restarted_because_the_supervisor_was_away_or_held() {
    let keys = "log_silence = { after = \"2s\", then = \"restart\" }";
    let mut supervisor = Supervisor::marked(&talker("web", keys));
    supervisor.write("talk", "");
    let before = supervisor.wait_phase("web", "running");
    wait_events(&supervisor, "program.started", 1);
    supervisor.kill();
    // The holder writes its output meanwhile, for longer than the program may be silent.
    supervisor.wait_lines("said", supervisor.lines("said").len() + 60);
    supervisor.start_marked();
    let adopted = supervisor.wait_phase("web", "running");
    assert_eq!(
        (&adopted["pid"], &adopted["run"]),
        (&before["pid"], &before["run"])
    );
    // Held for as long: what the program wrote meanwhile lies in its pipe.
    supervisor.signal("STOP");
    supervisor.wait_lines("said", supervisor.lines("said").len() + 60);
    supervisor.signal("CONT");
    wait_events(&supervisor, "program.adopted", 1);
    assert!(supervisor.events_of("program.stalled", "web").is_empty());
    // It is watched all the same.
    std::fs::remove_file(supervisor.file("talk")).expect("it is there");
    let stalled = wait_events(&supervisor, "program.stalled", 1);
    assert_eq!(stalled[0]["run"], before["run"]);
    supervisor.wait_lines("pids", 2);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn rules_see_silence_and_restarts() {
    let rules = "[metrics]\ninterval = \"100ms\"\n".to_owned()
        + &talker("web", "")
        + "[[program.web.rule]]\nwhen = \"log_silence > 500ms\"\n"
        + "[program.loop]\ncommand = [\"false\"]\nbackoff = { initial = \"20ms\", max = \"20ms\" }\n"
        + "restart_limit = { count = 100, within = \"1m\" }\n"
        + "[[program.loop.rule]]\nwhen = \"restarts > 3\"\nfor = \"10m\"\ndo = [\"alert\", \"stop\"]\n";
    let supervisor = Supervisor::running(&rules);
    let fired = wait_events(&supervisor, "rule.fired", 1);
    let cause = fired[0]["data"]["cause"].as_str().expect("a text");
    assert!(
        cause.starts_with("log_silence ") && cause.ends_with(" > 500ms"),
        "{cause}"
    );
    supervisor.write("talk", "");
    wait_events(&supervisor, "rule.cleared", 1);
    // One that goes round is stopped, and that is told once.
    let down = supervisor.wait_phase("loop", "stopped");
    assert_eq!(down["desired"], "down");
    let fired = wait_for("the rule about restarts", || {
        let fired = supervisor.events_of("rule.fired", "loop");
        (!fired.is_empty()).then_some(fired).ok_or_else(String::new)
    });
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0]["data"]["cause"], "restarts 4 > 3 within 10m");
    let stopped = supervisor.program("loop");
    assert_eq!(stopped["next_restart_s"], Value::Null, "{stopped}");
}

#[test]
fn the_end_that_max_runtime_brings_is_announced_to_each_run_once() {
    let supervisor = Supervisor::running(
        r#"
        [program.web]
        shell = true
        command = "echo run >> heard; exec cat >> heard"
        start_confirm = "10ms"
        max_runtime = { after = "1500ms", announce = [
            { before = "500ms", line = "now" },
            { before = "1s", line = "soon" },
        ] }
        "#,
    );
    let heard = supervisor.wait_lines("heard", 7);
    assert_eq!(
        heard[..7],
        ["run", "soon", "now", "run", "soon", "now", "run"]
    );
}
