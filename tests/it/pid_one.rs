//! As a container's first process: `--exit-when-done`, the exit code of `run`, and being pid 1. What takes a pid
//! namespace of its own says that it was skipped where none is to be had.

use std::process::{Command, Stdio};

use crate::support::processes::{kill, status_field, with_arguments};
use crate::support::supervisor::{BINARY, Supervisor};
use crate::support::wait_for;

/// `jikimi run --exit-when-done` to its end: its exit code and its log.
fn done(config: &str) -> (i32, String) {
    let mut supervisor = Supervisor::configured(config);
    let mut command = supervisor.command(&["run", "--exit-when-done"]);
    command.env("TEST_DIR", supervisor.path());
    supervisor.spawn_command(command);
    let code = supervisor.wait().code().expect("it exits by itself");
    supervisor.assert_nothing_left();
    (code, supervisor.output().1)
}

#[test]
fn it_ends_well_when_every_program_has_done_its_work() {
    let (code, log) = done(
        r#"
        [program.first]
        command = "echo first >> order"
        shell = true
        [program.second]
        command = "sleep 0.3; echo second >> order; exit 7"
        shell = true
        success_exit_codes = [7]
        depends_on = ["first"]
        [program.third]
        command = "cat order >> seen"
        shell = true
        depends_on = ["second"]
        [program.unwanted]
        command = ["sleep", "1d"]
        autostart = false
        "#,
    );
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("--exit-when-done"), "{log}");
}

#[test]
fn it_waits_for_the_restarts_of_one_that_failed_and_for_what_that_left() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.stubborn]
        command = "echo try >> tries; test $(wc -l < tries) -ge 3 || exit 1; (sleep 0.4; echo late >> tries) &"
        shell = true
        backoff = { initial = "20ms" }
        "#,
    );
    supervisor.spawn(&["run", "--exit-when-done"]);
    assert_eq!(
        supervisor.wait().code(),
        Some(0),
        "{}",
        supervisor.output().1
    );
    assert_eq!(supervisor.lines("tries"), ["try", "try", "try", "late"]);
}

#[test]
fn it_waits_for_the_clock_to_start_a_program_until_a_person_stops_that_one() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.once]
        command = "true"
        [program.job]
        command = "true"
        schedule = "@yearly"
        "#,
    );
    supervisor.spawn(&["run", "--exit-when-done"]);
    wait_for("an answer", || supervisor.try_status());
    supervisor.wait_phase("once", "exited");
    assert!(supervisor.program("job")["next_start_at"].is_string());
    // It is still there to be told so.
    let stop = supervisor.cli(&["stop", "job"]);
    assert!(stop.status.success(), "{stop:?}");
    let code = supervisor.wait().code();
    assert_eq!(code, Some(0), "{}", supervisor.output().1);
}

#[test]
fn it_ends_badly_when_a_program_failed_or_was_given_up_and_names_it() {
    for (program, name) in [
        (
            "[program.planned]\ncommand = \"/not/there\"\nautostart = true\nschedule = \"@yearly\"\n",
            "planned was fatal",
        ),
        (
            "[program.once]\ncommand = \"exit 3\"\nshell = true\nrestart = \"never\"\n",
            "once failed",
        ),
        (
            "[program.often]\ncommand = \"exit 3\"\nshell = true\nbackoff = { initial = \"5ms\" }\n\
             restart_limit = { count = 2, then = \"fatal\" }\n",
            "often was fatal",
        ),
        (
            "[program.absent]\ncommand = [\"no-such-command-anywhere\"]\n",
            "absent was fatal",
        ),
    ] {
        let well = "[program.well]\ncommand = [\"true\"]\n";
        let (code, log) = done(&format!("{program}{well}"));
        assert_eq!(code, 1, "{log}");
        let words = format!("{name}, so the exit code is 1");
        assert!(log.contains(&words), "{log}");
    }
}

#[test]
fn what_waits_for_a_program_that_was_given_up_does_not_keep_it_from_its_end() {
    let (code, log) = done(
        r#"
        [program.absent]
        command = ["no-such-command-anywhere"]
        [program.needy]
        command = ["true"]
        depends_on = ["absent"]
        [program.needier]
        command = ["true"]
        depends_on = ["needy"]
        "#,
    );
    assert_eq!(code, 1, "{log}");
}

#[test]
fn one_that_runs_keeps_it_and_one_that_a_person_stopped_does_not() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.once]
        command = ["true"]
        [program.server]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        "#,
    );
    supervisor.spawn(&["run", "--exit-when-done"]);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    supervisor.wait_phase("once", "exited");
    supervisor.wait_phase("server", "running");
    // Its end is asked for while it answers; the answer may be cut off by the end itself.
    supervisor.cli(&["stop", "--no-wait", "server"]);
    assert_eq!(
        supervisor.wait().code(),
        Some(0),
        "{}",
        supervisor.output().1
    );
}

#[test]
fn with_nothing_to_run_it_ends_at_once() {
    let (code, log) = done("[program.a]\ncommand = [\"sleep\", \"1d\"]\nautostart = false\n");
    assert_eq!(code, 0, "{log}");
}

/// A supervisor that is pid 1 of a namespace of its own, and its pid as seen from here; none where there are no such
/// namespaces.
fn as_pid_one(config: &str, args: &[&str]) -> Option<(Supervisor, u32)> {
    let unshare = ["--pid", "--fork", "--mount-proc"];
    let permitted = Command::new("unshare")
        .args(unshare)
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !permitted {
        println!("skipped: no pid namespace is to be had");
        return None;
    }
    let mut supervisor = Supervisor::configured(config);
    let usual = supervisor.command(&[]);
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .arg(BINARY)
        .args(args)
        .current_dir(supervisor.path())
        .stdin(Stdio::null());
    for (name, value) in usual.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    supervisor.spawn_command(command);
    let outer = supervisor.pid();
    let pid = wait_for("the supervisor inside", || {
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        let first = children.unwrap_or_default();
        let pid = first
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        pid.ok_or(first)
    });
    Some((supervisor, pid))
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it runs");
}

const SERVER: &str = r#"
        [program.server]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        "#;

#[test]
fn as_pid_one_it_supervises_and_ends_cleanly_at_a_signal() {
    for wanted in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let Some((mut supervisor, pid)) = as_pid_one(SERVER, &["run"]) else {
            return;
        };
        wait_for("the supervisor to answer", || {
            supervisor.try_status().map(drop)
        });
        assert_eq!(supervisor.status()["supervisor"]["pid"], 1);
        let before = supervisor.wait_phase("server", "running");
        let restart = supervisor.cli(&["restart", "server"]);
        assert!(restart.status.success(), "{restart:?}");
        assert_ne!(supervisor.program("server")["pid"], before["pid"]);
        // The trees are measured by what this namespace's /proc shows.
        supervisor.wait_program("server", "measured", |view| view["processes"] == 1);
        signal(pid, wanted);
        assert_eq!(
            supervisor.wait().code(),
            Some(0),
            "{}",
            supervisor.output().1
        );
        supervisor.assert_nothing_left();
    }
}

#[test]
fn as_pid_one_it_takes_in_the_orphans_of_anybody_and_reaps_them() {
    let Some((mut supervisor, pid)) = as_pid_one(SERVER, &["run"]) else {
        return;
    };
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    let server = supervisor.pid_in("server", "running");
    // As by `docker exec`: somebody who is no child of ours leaves a process behind.
    let number = format!("86{}", supervisor.pid());
    let entered = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--pid", "--mount"])
        .args(["/bin/sh", "-c", &format!("sleep {number} & exit 0")])
        .status()
        .expect("where there is unshare there is nsenter");
    assert!(entered.success());
    let orphan = wait_for("the orphan", || {
        let found = with_arguments(|arguments| arguments.get(1) == Some(&number));
        let ours = |orphan: &u32| status_field(*orphan, "PPid") == Some(pid.to_string());
        found
            .into_iter()
            .find(ours)
            .ok_or_else(|| "none".to_owned())
    });
    kill(orphan);
    wait_for("the end of its zombie", || {
        match status_field(orphan, "State") {
            None => Ok(()),
            Some(state) => Err(state),
        }
    });
    assert_eq!(
        supervisor.pid_in("server", "running"),
        server,
        "nobody else was touched"
    );
    signal(pid, rustix::process::Signal::TERM);
    assert_eq!(
        supervisor.wait().code(),
        Some(0),
        "{}",
        supervisor.output().1
    );
}

#[test]
fn as_pid_one_it_ends_when_all_work_is_done_with_the_code_that_says_how() {
    for (code, restart) in [(0, "on-failure"), (1, "never")] {
        let config = format!(
            "[program.job]\ncommand = \"exit {code}\"\nshell = true\nrestart = \"{restart}\"\n"
        );
        let Some((mut supervisor, _)) = as_pid_one(&config, &["run", "--exit-when-done"]) else {
            return;
        };
        assert_eq!(
            supervisor.wait().code(),
            Some(code),
            "{}",
            supervisor.output().1
        );
    }
}
