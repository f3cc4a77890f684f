//! The operating system's settings: user, groups, mask, priority, limits, session; judged by what the programs see
//! of themselves. What takes root says that it was skipped where the tests do not run as root.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Output;

use crate::support::processes::{is_alive, kill, status_field, wait_gone};
use crate::support::supervisor::{BINARY, Supervisor};
use crate::support::wait_for;

/// Whether we are root; says so when not.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}

/// `nobody` as this machine knows it: its numbers.
pub fn nobody() -> (u32, u32) {
    let text = std::fs::read_to_string("/etc/passwd").expect("a database of users");
    let line = text
        .lines()
        .find(|line| line.starts_with("nobody:"))
        .expect("every machine has a nobody");
    let mut fields = line.split(':').skip(2);
    let mut number = || {
        fields
            .next()
            .and_then(|f| f.parse().ok())
            .expect("a number")
    };
    (number(), number())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What the program wrote, once `last` is in it.
fn wrote(supervisor: &Supervisor, name: &str, last: &str) -> String {
    let file = format!(".jikimi/logs/{name}/out.log");
    wait_for(&format!("{last:?} of {name}"), || {
        let text = supervisor.read(&file);
        text.contains(last).then_some(()).ok_or(text.clone())?;
        Ok(text)
    })
}

/// The words behind `name` in a text like `/proc/self/status`.
fn field<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.trim_start_matches([':', '='])
        .split_whitespace()
        .collect()
}

fn open_to_all(supervisor: &Supervisor, name: &str, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(supervisor.file(name), mode).expect("our own file");
}

const SELF: &str = "cat /proc/self/status; echo nice=$(nice); echo soft=$(ulimit -Sn); echo hard=$(ulimit -Hn); \
                    echo core=$(ulimit -c); env; cat secret; echo secret=$?; echo whole";

/// The settings of the program below, as it saw them of itself.
fn assert_is_of_nobody(text: &str) {
    let uid = nobody().0.to_string();
    assert_eq!(field(text, "Uid"), [uid.as_str(); 4]);
    assert_eq!(field(text, "Gid"), ["1"; 4], "of group daemon");
    let groups = field(text, "Groups");
    assert!(groups.contains(&"1") && groups.contains(&"3"), "{groups:?}");
    assert!(!groups.contains(&"0"), "root's groups are gone: {groups:?}");
    assert_eq!(field(text, "Umask"), ["0027"]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(text, set), ["0000000000000000"], "{set}");
    }
    for (name, value) in [
        ("nice", "5"),
        ("soft", "512"),
        ("hard", "1024"),
        ("core", "0"),
    ] {
        assert_eq!(field(text, name), [value], "{name}");
    }
    for (name, value) in [
        ("USER", "nobody"),
        ("LOGNAME", "nobody"),
        ("SHELL", "/bin/mine"),
    ] {
        assert_eq!(field(text, &format!("{name}=")), [value]);
    }
    assert_ne!(
        field(text, "HOME="),
        ["/root".replace('x', "")],
        "the user's, not root's"
    );
    assert!(
        !text.contains("only root") && field(text, "secret") == ["1"],
        "{text}"
    );
}

#[test]
fn a_program_runs_as_its_user_with_all_its_settings_and_without_any_right_of_roots() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::configured(&format!(
        r#"
        [program.web]
        command = "{SELF}; exec sleep 1d"
        shell = true
        user = "nobody"
        group = "daemon"
        supplementary_groups = ["sys"]
        umask = "027"
        nice = 5
        rlimits = {{ nofile = "512:1024", core = 0 }}
        environment = {{ SHELL = "/bin/mine" }}
        start_confirm = "10ms"
        metrics.interval = "100ms"
        "#
    ));
    supervisor.write("secret", "only root may read this");
    open_to_all(&supervisor, "secret", 0o600);
    open_to_all(&supervisor, "", 0o755);
    supervisor.start_marked();
    let text = wrote(&supervisor, "web", "\nwhole\n");
    assert_is_of_nobody(&text);

    // It is measured, in a group of its own, and stopped like any other.
    let view = supervisor.wait_program("web", "measured", |view| {
        view["memory_bytes"].as_u64() > Some(0)
    });
    let pid = u32::try_from(view["pid"].as_u64().expect("it runs")).expect("a pid");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    assert_eq!(after[2], pid.to_string(), "leads its process group");
    let stop = supervisor.cli(&["stop", "web"]);
    assert!(stop.status.success(), "{}", said(&stop));
    wait_gone(pid);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_program_of_another_user_may_open_its_output_again_and_nothing_else_of_ours() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::configured(
        r#"
        [program.web]
        command = "echo again > /dev/stdout; ls $(dirname $JIKIMI_OUTPUT); echo ls=$?; exec sleep 1d"
        shell = true
        directory = "/"
        user = "nobody"
        "#,
    );
    supervisor.start();
    let text = wrote(&supervisor, "web", "ls=");
    assert!(text.contains("again\n") && !text.contains("ls=0"), "{text}");
    let pipes = crate::support::processes::files(&supervisor.file(".jikimi/pipes"));
    let ours: Vec<_> = pipes
        .iter()
        .filter(|p| p.display().to_string().contains(".web."))
        .collect();
    assert_eq!(ours.len(), 2, "{pipes:?}");
    for pipe in ours {
        let metadata = std::fs::metadata(pipe).expect("a pipe of a live run");
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (nobody().0, 0o600)
        );
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn settings_that_need_no_root_are_kept_and_the_rest_is_as_without_them() {
    let mut supervisor = Supervisor::configured(&format!(
        r#"
        [program.plain]
        command = "{SELF}; exec sleep 1d"
        shell = true
        [program.set]
        command = "{SELF}; exec sleep 1d"
        shell = true
        umask = "077"
        nice = 7
        rlimits = {{ core = "0:unlimited" }}
        [program.session]
        command = ["sleep", "1d"]
        new_session = true
        "#
    ));
    supervisor.write("secret", "");
    supervisor.start();
    let plain = wrote(&supervisor, "plain", "\nwhole\n");
    let set = wrote(&supervisor, "set", "\nwhole\n");
    assert_eq!(field(&set, "Umask"), ["0077"]);
    assert_eq!(field(&set, "nice"), ["7"]);
    assert_eq!(field(&set, "core"), ["0"]);
    // The raised limit of ours is for neither, and signals, groups and rights are those of a plain spawn.
    for name in [
        "soft", "hard", "Uid", "Gid", "Groups", "SigIgn", "SigBlk", "SigCgt", "CapEff",
    ] {
        assert_eq!(field(&plain, name), field(&set, name), "{name}");
    }
    let mut environments: Vec<Vec<&str>> = Vec::new();
    for text in [&plain, &set] {
        let mut own: Vec<&str> = text
            .lines()
            .filter(|line| line.contains('=') && !line.starts_with("JIKIMI_"))
            .filter(|line| !line.starts_with("nice=") && !line.starts_with("core="))
            .collect();
        own.sort_unstable();
        environments.push(own);
    }
    assert_eq!(environments[0], environments[1]);

    let pid = supervisor.pid_in("session", "running");
    for line in ["NSsid", "NSpgid"] {
        assert_eq!(status_field(pid, line), Some(pid.to_string()), "{line}");
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_the_users_own_rights_do_not_allow_is_fatal_with_a_sentence() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::configured(
        r#"
        [program.folder]
        command = ["sleep", "1d"]
        directory = "closed"
        user = "nobody"
        [program.command]
        command = ["./roots"]
        user = "nobody"
        [program.absent]
        command = ["no-such-command-anywhere"]
        directory = "/"
        user = "nobody"
        [program.damaged]
        command = ["./damaged"]
        user = "nobody"
        [program.well]
        command = ["sleep", "1d"]
        directory = "/"
        user = "nobody"
        "#,
    );
    supervisor.write("closed/keep", "");
    supervisor.write("roots", "#!/bin/sh\n");
    supervisor.write("damaged", "neither a program nor a script");
    open_to_all(&supervisor, "", 0o755);
    open_to_all(&supervisor, "closed", 0o700);
    open_to_all(&supervisor, "roots", 0o700);
    open_to_all(&supervisor, "damaged", 0o755);
    supervisor.start();
    for (name, cause) in [
        ("folder", "closed: Permission denied"),
        ("command", "command is not executable: ./roots"),
        (
            "absent",
            "command not found: no-such-command-anywhere (not in the program's PATH)",
        ),
        ("damaged", "cannot start ./damaged: Exec format error"),
    ] {
        supervisor.wait_phase(name, "fatal");
        let event = wait_for("the event", || {
            let mut events = supervisor.events_of("program.fatal", name);
            events.pop().ok_or_else(|| "none".to_owned())
        });
        let told = event["data"]["cause"].as_str().expect("a cause");
        assert!(told.contains(cause), "{name}: {told}");
        assert!(
            supervisor.events_of("program.started", name).is_empty(),
            "{name} never began"
        );
        let start = supervisor.cli(&["start", name]);
        assert_eq!(start.status.code(), Some(1), "{name}");
        assert!(said(&start).contains(cause), "{}", said(&start));
    }
    supervisor.wait_phase("well", "running");
    assert_eq!(supervisor.stop(), 1, "some are fatal");
    supervisor.assert_nothing_left();
}

#[test]
fn a_start_for_which_there_are_no_processes_left_is_tried_again_and_is_not_fatal() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::running(
        r#"
        [program.first]
        command = ["sleep", "1d"]
        directory = "/"
        user = "nobody"
        start_confirm = "10ms"
        [program.many]
        command = ["sleep", "1d"]
        directory = "/"
        user = "nobody"
        depends_on = ["first"]
        rlimits = { nproc = 0 }
        backoff = { initial = "10ms", max = "20ms" }
        restart_limit = { count = 1000 }
        "#,
    );
    supervisor.wait_program("many", "tried again and again", |view| {
        view["restarts"].as_u64() > Some(3) && view["phase"] != "fatal"
    });
    let crashed = supervisor.events_of("program.crashed", "many");
    let cause = crashed[0]["data"]["cause"].as_str().expect("a cause");
    assert!(
        cause.contains("Resource temporarily unavailable"),
        "{cause}"
    );
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_user_or_group_that_is_not_there_is_a_fault_with_its_place() {
    let supervisor = Supervisor::configured(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nuser = \"no-such-user\"\ngroup = \"no-such-group\"\n",
    );
    let check = supervisor.cli(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    let text = said(&check);
    for fault in [
        "jikimi.toml:3:8: program.web.user: this machine has no user \"no-such-user\": ",
        "jikimi.toml:4:9: program.web.group: this machine has no group \"no-such-group\": ",
    ] {
        assert!(text.contains(fault), "{text}");
    }
}

/// A supervisor of user `nobody`, whose own copy of the binary it can reach. It is configured and not started.
pub fn of_nobody(config: &str) -> (Supervisor, std::process::Command) {
    let supervisor = Supervisor::configured(config);
    let (uid, gid) = nobody();
    std::fs::copy(BINARY, supervisor.file("jikimi")).expect("a copy");
    for name in ["", "jikimi", "jikimi.toml"] {
        std::os::unix::fs::chown(supervisor.file(name), Some(uid), Some(gid)).expect("we are root");
    }
    std::fs::create_dir_all(supervisor.file("run")).expect("our own folder");
    std::os::unix::fs::chown(supervisor.file("run"), Some(uid), Some(gid)).expect("we are root");
    let usual = supervisor.command(&[]);
    let mut command = std::process::Command::new(supervisor.file("jikimi"));
    command.current_dir(supervisor.path()).uid(uid).gid(gid);
    for (name, value) in usual.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    (supervisor, command)
}

#[test]
fn who_is_not_root_cannot_give_programs_to_others_and_hears_it_before_anything_starts() {
    if !is_root() {
        return;
    }
    let (_supervisor, mut command) =
        of_nobody("[program.web]\ncommand = [\"sleep\", \"1d\"]\nuser = \"root\"\n");
    let output = command.arg("run").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let fault = format!(
        "jikimi.toml:3:8: program.web.user: jikimi runs as uid {}, which cannot become user root: ",
        nobody().0
    );
    assert!(said(&output).contains(&fault), "{}", said(&output));
}

#[test]
fn who_is_not_root_may_name_itself_and_is_told_what_the_kernel_refuses() {
    if !is_root() {
        return;
    }
    let (mut supervisor, mut command) = of_nobody(
        r#"
        [program.own]
        command = ["sleep", "1d"]
        user = "nobody"
        start_confirm = "10ms"
        [program.nice]
        command = ["sleep", "1d"]
        nice = -5
        [program.limits]
        command = ["sleep", "1d"]
        rlimits = { nofile = 1000000000 }
        "#,
    );
    command.arg("run");
    supervisor.spawn_command(command);
    wait_for("the supervisor to answer", || {
        supervisor.try_status().map(drop)
    });
    let pid = supervisor.pid_in("own", "running");
    assert!(is_alive(pid));
    let uid = nobody().0;
    let not_permitted = format!("not permitted (jikimi runs as uid {uid})");
    for (name, what) in [
        ("nice", "cannot set nice to -5"),
        (
            "limits",
            "cannot set the limit nofile to 1000000000:1000000000",
        ),
    ] {
        supervisor.wait_phase(name, "fatal");
        let start = supervisor.cli(&["start", name]);
        let text = said(&start);
        assert!(
            text.contains(what)
                && (text.contains(&not_permitted) || text.contains("Permission denied")),
            "{text}"
        );
    }
    assert_eq!(supervisor.stop(), 1);
}

#[test]
fn starts_and_stops_in_quick_succession_leave_one_run_or_none() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        command = "echo run >> runs; exec sleep 1d"
        shell = true
        umask = "022"
        start_confirm = "10ms"
        "#,
    );
    supervisor.wait_phase("web", "running");
    for round in 0..10 {
        for verb in ["stop", "start", "restart", "stop", "start"] {
            let output = supervisor.cli(&[verb, "--no-wait", "web"]);
            assert!(output.status.success(), "{}", said(&output));
        }
        supervisor.wait_phase("web", "running");
        wait_for("one run and no more", || {
            match supervisor.processes().len() {
                // The supervisor itself and the run; the holder has no environment.
                2 => Ok(()),
                more => Err(format!("{more} processes in round {round}")),
            }
        });
    }
    let stop = supervisor.cli(&["stop", "web"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert_eq!(supervisor.processes().len(), 1, "the supervisor");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_program_of_another_user_is_taken_over_after_a_kill_of_the_supervisor_and_stopped() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        command = "while :; do echo line; sleep 0.05; done"
        shell = true
        directory = "/"
        user = "nobody"
        umask = "077"
        new_session = true
        start_confirm = "10ms"
        "#,
    );
    let pid = supervisor.pid_in("web", "running");
    wait_for("the run in the database", || {
        let ready = supervisor.events_of("program.ready", "web");
        (!ready.is_empty())
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    supervisor.kill();
    let before = supervisor.lines(".jikimi/logs/web/out.log").len();
    supervisor.wait_lines(".jikimi/logs/web/out.log", before + 5);
    assert!(
        is_alive(pid),
        "it outlives the supervisor and gets no signal"
    );
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("web", "running"), pid, "the same process");
    let stop = supervisor.cli(&["stop", "web"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert!(!is_alive(pid));
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn the_hidden_command_does_nothing_for_a_person() {
    let supervisor = Supervisor::configured("");
    supervisor.write("input", "not a socket");
    let input = std::fs::File::options()
        .read(true)
        .write(true)
        .open(supervisor.file("input"))
        .expect("our own file");
    let output = supervisor
        .command(&["__exec"])
        .stdin(input)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output), "");
    assert_eq!(supervisor.read("input"), "not a socket");
}

/// Stops the process between spawn and program of `supervisor` in the midst of its way, and returns its pid. The
/// program must be spawned again and again.
fn stopped_on_its_way(supervisor: &Supervisor) -> u32 {
    let parent = supervisor.pid().to_string();
    let is_on_its_way = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == b"jikimi\0__exec\0" && status_field(pid, "PPid").is_some_and(|ppid| ppid == parent)
    };
    let threads = supervisor_threads(supervisor);
    wait_for("one on its way", || {
        // Quicker than the pause between two looks: the way takes milliseconds.
        for _ in 0..2000 {
            for thread in &threads {
                let children = std::fs::read_to_string(thread).unwrap_or_default();
                for pid in children.split_whitespace().filter_map(|p| p.parse().ok()) {
                    if is_on_its_way(pid) {
                        send(pid, rustix::process::Signal::STOP);
                        if is_on_its_way(pid) && is_stopped(pid) {
                            return Ok(pid);
                        }
                        send(pid, rustix::process::Signal::CONT);
                    }
                }
            }
        }
        Err("none".to_owned())
    })
}

/// The lists of children of each thread.
fn supervisor_threads(supervisor: &Supervisor) -> Vec<std::path::PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", supervisor.pid())).expect("it runs");
    tasks
        .flatten()
        .map(|task| task.path().join("children"))
        .collect()
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether it has come to a stop; a signal takes a moment.
fn is_stopped(pid: u32) -> bool {
    (0..1000).any(|_| status_field(pid, "State").is_some_and(|state| state.starts_with('T')))
}

const AGAIN_AND_AGAIN: &str = r#"
        [program.web]
        command = ["true"]
        restart = "always"
        umask = "022"
        backoff = { initial = "1ms", max = "1ms" }
        restart_limit = { count = 1000000 }
        "#;

const CALM: &str = "[program.calm]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"10ms\"\n";

#[test]
fn one_that_hangs_on_its_way_to_its_program_delays_nobody_and_can_be_stopped() {
    let mut supervisor = Supervisor::marked(&format!("{CALM}{AGAIN_AND_AGAIN}"));
    let calm = supervisor.pid_in("calm", "running");
    let shim = stopped_on_its_way(&supervisor);
    assert_eq!(supervisor.program("web")["phase"], "starting");
    kill(calm);
    supervisor.wait_program("calm", "back meanwhile", |view| {
        view["phase"] == "running" && view["pid"].as_u64() != Some(u64::from(calm))
    });
    // What is wanted of it waits, and nothing else does.
    let stop = supervisor.cli(&["stop", "--no-wait", "web"]);
    assert!(stop.status.success(), "{}", said(&stop));
    assert!(is_alive(shim), "it is on its way still");
    supervisor.pid_in("calm", "running");
    send(shim, rustix::process::Signal::CONT);
    wait_gone(shim);
    supervisor.wait_phase("web", "stopped");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn one_that_hangs_on_its_way_to_its_program_does_not_outlive_an_end_in_haste() {
    let mut supervisor = Supervisor::marked(&format!("{CALM}{AGAIN_AND_AGAIN}"));
    supervisor.pid_in("calm", "running");
    let shim = stopped_on_its_way(&supervisor);
    supervisor.signal("INT");
    supervisor.wait_log("stopping, asked by");
    assert!(is_alive(shim));
    supervisor.signal("INT");
    supervisor.wait();
    assert!(!is_alive(shim));
    supervisor.assert_nothing_left();
}
