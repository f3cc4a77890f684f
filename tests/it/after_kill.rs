//! What an adopted run keeps of its past: that it was ready, and for how long it may run. And what a command that
//! probes is given of its program.

use crate::os_settings::{is_root, nobody};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn wait_events(supervisor: &Supervisor, kind: &str, count: usize) {
    wait_for(&format!("{count} {kind}"), || {
        match supervisor.events_of(kind, "web").len() {
            n if n >= count => Ok(()),
            _ => Err(format!("{:#?}", supervisor.events())),
        }
    });
}

#[test]
fn a_run_that_was_ready_before_a_kill_is_ready_after_it_and_not_told_so_twice() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        readiness = { exec = ["test", "-e", "ready"], interval = "1h", initial_delay = "0s" }
        "#,
    );
    supervisor.write("ready", "");
    // Should the first look have come before the file: another one does not come for an hour.
    assert!(supervisor.cli(&["restart", "web"]).status.success());
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    wait_events(&supervisor, "program.ready", 1);
    let before = supervisor.pid_in("web", "running");
    let told = supervisor.events_of("program.ready", "web").len();
    supervisor.kill();
    supervisor.start_marked();
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(supervisor.pid_in("web", "running"), before);
    wait_events(&supervisor, "program.adopted", 1);
    // What comes after whatever an adoption tells.
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    wait_events(&supervisor, "program.stopped", 1);
    let ready = supervisor.events_of("program.ready", "web");
    assert_eq!(ready.len(), told, "{ready:#?}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn the_time_a_run_may_take_goes_on_across_a_kill() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        max_runtime = "3s"
        "#,
    );
    wait_events(&supervisor, "program.ready", 1);
    let before = supervisor.wait_phase("web", "running");
    supervisor.kill();
    supervisor.start_marked();
    wait_events(&supervisor, "program.stopped", 1);
    let stopped = supervisor.events_of("program.stopped", "web").remove(0);
    assert_eq!(stopped["data"]["trigger"], "max_runtime");
    assert_eq!(stopped["run"], before["run"]);
    let adopted = supervisor.events_of("program.adopted", "web").remove(0);
    let of = |event: &serde_json::Value| event["data"]["uptime_s"].as_f64().expect("seconds");
    assert!(of(&stopped) >= 3.0, "{stopped:#}");
    assert!(of(&adopted) < of(&stopped), "{adopted:#}");
    supervisor.wait_program("web", "another run", |view| {
        view["phase"] == "running" && view["run"] != before["run"]
    });
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_command_that_probes_has_the_limit_on_open_files_that_its_program_has() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        readiness = { exec = ["sh", "-c", 'test "$(ulimit -Sn)" = 300'], interval = "100ms" }
        "#,
    );
    let command = supervisor.shell("ulimit -Sn 300; exec \"$JIKIMI\" run");
    supervisor.spawn_command(command);
    wait_for("an answer", || supervisor.try_status());
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", supervisor.pid()));
    let limits = limits.expect("it runs");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let own: u64 = files
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .expect("a number");
    assert!(own > 300, "the supervisor's own is raised: {own}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_command_that_probes_runs_as_the_user_of_its_program() {
    if !is_root() {
        return;
    }
    let (uid, gid) = nobody();
    let mut supervisor = Supervisor::configured(&format!(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        directory = "/"
        user = "nobody"
        readiness = {{ exec = ["sh", "-c", 'test "$(id -u) $(id -g)" = "{uid} {gid}"'], interval = "100ms" }}
        "#,
    ));
    supervisor.start();
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(supervisor.stop(), 0);
}
