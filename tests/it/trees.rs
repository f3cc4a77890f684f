//! Trees are stopped whole, and nothing foreign with them: whatever a program does to hide its processes, they end
//! with it; the user's shell and everybody else's processes do not.

use std::os::unix::process::CommandExt as _;

use crate::os_settings::{is_root, nobody, of_nobody};
use crate::support::processes::{is_alive, kill, status_field, wait_gone, with_arguments};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A number of seconds that nobody else sleeps, to find a process by that has nothing else of ours.
fn unique(supervisor: &Supervisor, which: u32) -> String {
    let tail: u32 = supervisor
        .path()
        .display()
        .to_string()
        .bytes()
        .fold(7, |sum, byte| (sum * 31 + u32::from(byte)) % 1_000_000);
    format!("8{which}{tail}")
}

/// The sleepers of that number.
fn sleepers(number: &str) -> Vec<u32> {
    with_arguments(|a| {
        let name = a.first().is_some_and(|name| name.ends_with("sleep"));
        name && a.get(1).is_some_and(|n| n == number)
    })
}

fn wait_sleeper(number: &str) -> u32 {
    wait_for(&format!("sleep {number}"), || {
        sleepers(number)
            .first()
            .copied()
            .ok_or_else(|| "none".to_owned())
    })
}

/// A shell line that leaves its parent, its group, its session, its folder, its descriptors and its environment.
fn daemon(number: &str) -> String {
    format!("(cd /; exec setsid --fork env -i /bin/sleep {number} < /dev/null > /dev/null 2>&1)")
}

fn program(name: &str, script: &str) -> String {
    format!(
        "[program.{name}]\ncommand = '''{script}'''\nshell = true\nstart_confirm = \"10ms\"\nstop_timeout = \"1s\"\n\
         metrics.interval = \"100ms\"\n"
    )
}

fn stop(supervisor: &Supervisor, name: &str) {
    let output = supervisor.cli(&["stop", name]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_daemon_that_left_everything_behind_is_measured_with_its_program_and_ends_with_it() {
    let mut supervisor = Supervisor::configured("");
    let [one, two] = [1, 2].map(|which| unique(&supervisor, which));
    let config = program("one", &format!("{}; exec sleep 1d", daemon(&one)))
        + &program("two", &format!("{}; exec sleep 1d", daemon(&two)));
    supervisor.write("jikimi.toml", &config);
    supervisor.start_marked();
    let (first, second) = (wait_sleeper(&one), wait_sleeper(&two));
    let own = status_field(first, "NSsid");
    assert_eq!(
        own,
        status_field(first, "NSpgid"),
        "in a session of its own"
    );
    assert_eq!(
        status_field(first, "PPid"),
        Some(supervisor.pid().to_string())
    );
    supervisor.wait_program("one", "measured with its daemon", |view| {
        view["processes"] == 2
    });
    stop(&supervisor, "one");
    assert!(!is_alive(first), "stopped with its program");
    assert!(
        is_alive(second),
        "the other program's daemon is not touched"
    );
    assert_eq!(supervisor.stop(), 0);
    assert!(!is_alive(second));
    supervisor.assert_nothing_left();
}

#[test]
fn a_program_that_made_itself_a_daemon_is_still_there_to_be_stopped() {
    let mut supervisor = Supervisor::configured("");
    let number = unique(&supervisor, 3);
    supervisor.write("jikimi.toml", &program("web", &daemon(&number)));
    supervisor.start();
    let pid = wait_sleeper(&number);
    supervisor.wait_phase("web", "exited");
    assert!(is_alive(pid), "its program ended well, so it may stay");
    stop(&supervisor, "web");
    assert!(!is_alive(pid));
    // Before the next run whatever is left of the last one is ended.
    let start = supervisor.cli(&["start", "web"]);
    assert!(start.status.success(), "{start:?}");
    let first = wait_sleeper(&number);
    let again = supervisor.cli(&["start", "web"]);
    assert!(again.status.success(), "{again:?}");
    assert_ne!(wait_sleeper(&number), first);
    assert_eq!(sleepers(&number).len(), 1, "never two");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(sleepers(&number), [0; 0]);
}

#[test]
fn a_daemon_of_a_killed_supervisor_belongs_to_its_program_for_the_next_one_too() {
    let mut supervisor = Supervisor::configured("");
    let number = unique(&supervisor, 4);
    let script = format!("{}; exec sleep 1d", daemon(&number));
    supervisor.write("jikimi.toml", &program("web", &script));
    supervisor.start_marked();
    let daemon = wait_sleeper(&number);
    supervisor.pid_in("web", "running");
    wait_for("the run in the database", || {
        let started = supervisor.events_of("program.started", "web");
        (!started.is_empty())
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    supervisor.kill();
    supervisor.start_marked();
    supervisor.pid_in("web", "running");
    stop(&supervisor, "web");
    wait_gone(daemon);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_tree_of_sessions_that_ignores_everything_is_killed_whole() {
    let mut supervisor = Supervisor::configured("");
    let number = unique(&supervisor, 5);
    let deaf = "trap \"\" TERM INT HUP QUIT USR1 USR2 PIPE";
    let script = format!(
        "{deaf}; setsid sh -c \"{}; sleep {number} & setsid sleep {number} & sleep {number}\" & {}; while :; do sleep {number}; done",
        deaf.replace('"', "\\\""),
        daemon(&number),
    );
    supervisor.write("jikimi.toml", &program("deaf", &script));
    supervisor.start_marked();
    wait_for("all of its processes", || match sleepers(&number).len() {
        5 => Ok(()),
        other => Err(other.to_string()),
    });
    let output = supervisor.cli(&["stop", "deaf"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("killed"), "{said}");
    assert_eq!(sleepers(&number), [0; 0]);
    assert_eq!(supervisor.stop(), 0, "nothing is left to be killed now");
    supervisor.assert_nothing_left();
}

#[test]
fn five_hundred_short_lived_children_forked_in_the_midst_of_a_stop_are_all_gone_after_it() {
    let mut supervisor = Supervisor::configured("");
    let number = unique(&supervisor, 6);
    // Every fifth leaves for a session of its own, every seventh lives on.
    let bomb = format!(
        "i=0; while [ $i -lt 500 ]; do i=$((i+1)); \
         if [ $((i % 7)) = 0 ]; then sleep {number} & elif [ $((i % 5)) = 0 ]; then setsid sleep 0.1 & else sleep 0.0$((i % 10)) & fi; \
         done; echo $i > forked"
    );
    let script = format!(
        "trap \"{}; exit 0\" TERM; echo up > up; while :; do sleep 0.05; done",
        bomb.replace('$', "\\$")
    );
    let config =
        program("bomb", &script).replace("\"1s\"", "\"20s\"") + &program("calm", "exec sleep 1d");
    supervisor.write("jikimi.toml", &config);
    supervisor.start_marked();
    supervisor.wait_lines("up", 1);
    let calm = supervisor.pid_in("calm", "running");
    stop(&supervisor, "bomb");
    assert_eq!(supervisor.lines("forked"), ["500"], "it had its say");
    assert_eq!(sleepers(&number), [0; 0]);
    assert!(is_alive(calm));
    let pid = supervisor.pid().to_string();
    wait_for("no zombies", || {
        let list = std::fs::read_dir("/proc")
            .expect("a process table")
            .flatten();
        let pids = list.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let zombies: Vec<u32> = pids
            .filter(|child| status_field(*child, "PPid").as_ref() == Some(&pid))
            .filter(|child| !is_alive(*child))
            .collect();
        if zombies.is_empty() {
            Ok(())
        } else {
            Err(format!("{zombies:?}"))
        }
    });
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn orphans_that_end_are_reaped_while_their_program_runs() {
    let mut supervisor = Supervisor::configured("");
    let script = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); (sh -c \"echo \\$\\$ >> orphans; exec sleep 0.0$((i % 10))\" &); done; exec sleep 1d";
    supervisor.write("jikimi.toml", &program("web", script));
    supervisor.start();
    let pid = supervisor.pid_in("web", "running");
    for orphan in supervisor.wait_lines("orphans", 50) {
        let orphan: u32 = orphan.parse().expect("a pid");
        wait_for("the end of a zombie", || {
            match status_field(orphan, "State") {
                None => Ok(()),
                Some(state) => Err(format!("{orphan} {state}")),
            }
        });
    }
    assert!(is_alive(pid));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn the_users_shell_and_everybody_elses_processes_survive_whatever_happens_to_programs() {
    let mut supervisor = Supervisor::configured("");
    let [shells, others, mine] = [7, 8, 9].map(|which| unique(&supervisor, which));
    supervisor.write(
        "jikimi.toml",
        &(program(
            "web",
            &format!("{}; sleep {mine} & exec sleep 1d", daemon(&mine)),
        ) + &program("brief", "exit 1")),
    );
    // The session of a person: a shell, a job of hers, and jikimi in the background.
    let mut session = supervisor.shell(&format!(
        "sleep {shells} & \"$JIKIMI\" run & echo $$ > shell; while :; do wait; sleep 0.1; done"
    ));
    session.process_group(0);
    supervisor.spawn_command(session);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    let mut stranger = std::process::Command::new("setsid")
        .args(["sleep", &others])
        .spawn()
        .expect("a process of somebody else");
    let (job, other) = (wait_sleeper(&shells), wait_sleeper(&others));
    let shell: u32 = supervisor.wait_lines("shell", 1)[0].parse().expect("a pid");
    assert_eq!(status_field(shell, "NSsid"), {
        let own = supervisor.status()["supervisor"]["pid"].as_u64();
        status_field(u32::try_from(own.expect("a pid")).expect("a pid"), "NSsid")
    });
    let pid = supervisor.pid_in("web", "running");
    kill(pid);
    wait_gone(pid);
    supervisor.wait_program("web", "started again", |view| view["restarts"] == 1);
    for verb in ["restart", "stop", "start", "stop"] {
        let output = supervisor.cli(&[verb, "web"]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(sleepers(&mine), [0; 0]);
    let end = supervisor.cli(&["shutdown"]);
    assert!(end.status.code().is_some(), "{end:?}");
    supervisor.assert_nothing_left();
    for (pid, whose) in [
        (shell, "the shell"),
        (job, "its job"),
        (other, "a stranger"),
    ] {
        assert!(is_alive(pid), "{whose} survives");
        kill(pid);
    }
    stranger.wait().expect("our own child");
    supervisor.wait();
}

#[test]
fn a_spawn_for_which_the_system_has_no_process_left_is_tried_again_and_is_not_fatal() {
    if !is_root() {
        return;
    }
    let (mut supervisor, mut command) = of_nobody(
        r#"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "10ms"
        backoff = { initial = "100ms", max = "200ms" }
        restart_limit = { count = 10000 }
        "#,
    );
    command.arg("run");
    supervisor.spawn_command(command);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    let pid = supervisor.pid_in("web", "running");
    // As the same user: even root may lack the right to another's limits.
    let limit = |processes: &str| {
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.args(["--pid", &supervisor.pid().to_string()]);
        let (uid, gid) = nobody();
        prlimit
            .arg(format!("--nproc={processes}:"))
            .uid(uid)
            .gid(gid);
        assert!(prlimit.status().expect("beside setsid").success());
    };
    limit("0");
    kill(pid);
    supervisor.wait_log("Resource temporarily unavailable");
    limit("10000");
    let view = supervisor.wait_program("web", "running again", |view| {
        view["phase"] == "running" && view["pid"].as_u64() != Some(u64::from(pid))
    });
    assert!(view["restarts"].as_u64() >= Some(2), "{view}");
    assert!(supervisor.events_of("program.fatal", "web").is_empty());
    assert_eq!(supervisor.stop(), 0);
}
