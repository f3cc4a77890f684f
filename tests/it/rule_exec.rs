//! Commands that rules run: what they are given, and that one that fails or hangs harms nobody.

use serde_json::Value;

use crate::support::processes::wait_gone;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that breaks its rule at once, which then does `acts`, and has `rest` besides.
fn broken(acts: &str, rest: &str) -> String {
    format!(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n\
         environment = {{ COLOUR = \"green\" }}\nbackoff = {{ initial = \"20ms\", max = \"20ms\" }}\n\
         [program.web.metrics]\ninterval = \"100ms\"\n\
         [[program.web.rule]]\nwhen = \"threads > 0\"\ndo = {acts}\n{rest}\n"
    )
}

/// The pid that a command wrote into `name`.
fn pid_in(supervisor: &Supervisor, name: &str) -> u32 {
    wait_for("the command to say its pid", || {
        let text = supervisor.read(name);
        text.trim().parse().map_err(|_| text)
    })
}

#[test]
fn a_command_is_told_what_broke_the_rule_and_has_what_its_program_has() {
    let script = "cat > told; echo \\\"$JIKIMI_RULE/$JIKIMI_PROGRAM/$JIKIMI_INSTANCE/$COLOUR\\\" > given; pwd > done";
    let supervisor = Supervisor::running(&broken(
        "[\"exec\"]",
        &format!("exec = [\"sh\", \"-c\", \"{script}\"]"),
    ));
    supervisor.wait_log("web: the command of the rule threads > 0 was run");
    let told = supervisor.read("told");
    assert!(told.ends_with("}\n"), "{told}");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let view = supervisor.program("web");
    assert_eq!(told["run"], view["run"]);
    assert_eq!(view["restarts"], 0);
    for (name, expected) in [
        ("rule", "threads > 0"),
        ("program", "web"),
        ("instance", "web"),
        ("figure", "threads"),
        ("cause", "threads 1 > 0"),
    ] {
        assert_eq!(told[name], expected, "{told}");
    }
    assert_eq!(told["value"].as_f64(), Some(1.0));
    assert_eq!(told["threshold"].as_f64(), Some(0.0));
    assert_eq!(supervisor.read("given"), "threads > 0/web/0/green\n");
    let folder = supervisor.path().canonicalize().expect("it is there");
    assert_eq!(supervisor.read("done").trim(), folder.display().to_string());
    // Nobody was to be alerted.
    let fired = supervisor.events_of("rule.fired", "web");
    assert_eq!(fired[0]["severity"], "info", "{fired:?}");
}

#[test]
fn a_command_that_fails_or_is_not_there_is_said_and_its_program_goes_on() {
    let mut supervisor = Supervisor::running(&broken(
        "[\"alert\", \"exec\"]",
        "exec = \"sh -c 'echo no room for a dump; exit 3'\"\n\
         [[program.web.rule]]\nwhen = \"processes > 0\"\ndo = [\"exec\"]\nexec = [\"no-such-tool\"]",
    ));
    supervisor
        .wait_log("web: the command of the rule threads > 0: exit code 3: no room for a dump");
    supervisor
        .wait_log("web: the command of the rule processes > 0: command not found: no-such-tool");
    assert_eq!(supervisor.program("web")["restarts"], 0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_command_that_hangs_delays_no_restart_and_is_killed_with_its_family_in_time() {
    let supervisor = Supervisor::running(&broken(
        "[\"restart\", \"exec\"]",
        "timeout = \"2s\"\nexec = [\"sh\", \"-c\", \"setsid sleep 1000 & echo $! > family; echo $$ > pid; wait\"]",
    ));
    let (pid, family) = (pid_in(&supervisor, "pid"), pid_in(&supervisor, "family"));
    supervisor.wait_program("web", "restarted", |view| view["restarts"] != 0);
    supervisor.wait_log("web: the command of the rule threads > 0: not done within 2s");
    wait_gone(pid);
    wait_gone(family);
}

#[test]
fn a_command_that_runs_when_the_supervisor_ends_ends_with_it() {
    let mut supervisor = Supervisor::configured(&broken(
        "[\"exec\"]",
        "timeout = \"10m\"\nexec = [\"sh\", \"-c\", \"trap '' TERM; echo $$ > pid; sleep 1000; true\"]",
    ));
    supervisor.start_marked();
    let pid = pid_in(&supervisor, "pid");
    assert_eq!(supervisor.stop(), 0);
    wait_gone(pid);
    supervisor.assert_nothing_left();
    let (_, log) = supervisor.output();
    assert!(!log.contains("the command of the rule"), "{log}");
}

#[test]
fn a_rule_gets_its_command_by_a_reload_and_the_program_stays() {
    let supervisor = Supervisor::running(&broken("[\"alert\"]", ""));
    wait_for("the rule to fire", || {
        let fired = supervisor.events_of("rule.fired", "web");
        fired.first().cloned().ok_or_else(|| format!("{fired:?}"))
    });
    let before = supervisor.program("web");
    let changed = broken("[\"alert\", \"exec\"]", "exec = [\"touch\", \"done\"]");
    supervisor.write("jikimi.toml", &changed);
    let reloaded = supervisor.cli(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    supervisor.wait_log("web: the command of the rule threads > 0 was run");
    assert!(supervisor.file("done").exists());
    assert_eq!(supervisor.program("web")["pid"], before["pid"]);
}
