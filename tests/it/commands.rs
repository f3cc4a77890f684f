//! The command line as people and scripts meet it: sentences, exit codes, which supervisor is found, and output
//! that a pipe, a terminal and hostile text cannot break.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::receiver::Receiver;
use crate::support::supervisor::{BINARY, Supervisor};

const WEB: &str = "[program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"0s\"\n";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits by itself")
}

/// Fails unless it ended with `wanted` and standard error has `sentence`, one line of ours without a debug dump.
fn assert_refused(output: &Output, wanted: i32, sentence: &str) {
    let said = err(output);
    assert_eq!(code(output), wanted, "{said}");
    assert!(said.contains(sentence), "{said}");
    assert!(said.starts_with("jikimi: "), "{said}");
    for dump in ["panicked", "RUST_BACKTRACE", "Os {", "Error {", "Err("] {
        assert!(!said.contains(dump), "{said}");
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

fn assert_has_keys(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "{key} is missing in {value}");
    }
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once_with_its_place() {
    let place = Supervisor::configured(
        "[supervisor]
shutdown_timeout = \"soon\"
[program.web]
comand = [\"touch\", \"started\"]
restart = \"sometimes\"
[program.\"a b\"]
command = [\"true\"]
[program.b]
command = [\"touch\", \"started\"]
depends_on = [\"wbe\"]
directory = \"${NOWHERE_AT_ALL}\"
[target.ops]
kind = \"pigeon\"
[[route]]
targets = [\"opps\"]
",
    );
    let expected = [
        "2:20: supervisor.shutdown_timeout: \"soon\" is no duration: ",
        "3:1: program.web.command: it is missing: ",
        "4:1: program.web.comand: unknown key: did you mean \"command\"?",
        "5:11: program.web.restart: \"sometimes\" is none of its values: \"always\", \"on-failure\", \"never\"",
        "6:10: program.\"a b\": \"a b\" is no name: ",
        "10:15: program.b.depends_on: no program is called \"wbe\": did you mean \"web\"?",
        "11:13: program.b.directory: the environment variable NOWHERE_AT_ALL is not set: ",
        "13:8: target.ops.kind: \"pigeon\" is none of its values: ",
        "15:12: route.targets: no target is called \"opps\": did you mean \"ops\"?",
    ];
    for command in ["check", "run"] {
        let output = place.cli(&[command, "--config", "jikimi.toml"]);
        assert_eq!(code(&output), 3);
        assert_eq!(out(&output), "");
        let said = err(&output);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), expected.len() + 1, "{said}");
        for (line, fault) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("jikimi.toml:{fault}")), "{line}");
        }
        assert_eq!(
            lines[expected.len()],
            "jikimi: the configuration is not valid, so nothing was done"
        );
    }
    assert!(!place.file("started").exists(), "nothing was started");
    assert!(!place.file(".jikimi").exists(), "nothing was made");
}

#[test]
fn faults_are_named_by_the_file_they_stand_in() {
    let place = Supervisor::configured("include = [\"programs.d/*.toml\"]\n");
    place.write("programs.d/web.toml", "[program.web]\ncomand = \"true\"\n");
    place.write("programs.d/broken.toml", "x = = 1\n[a\n");
    let output = place.cli(&["check"]);
    assert_eq!(code(&output), 3);
    let said = err(&output);
    for place in [
        "programs.d/broken.toml:1:5: syntax: ",
        "programs.d/broken.toml:2:",
        "programs.d/web.toml:2:1: program.web.comand: ",
    ] {
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn a_valid_configuration_is_counted_and_a_warning_does_not_make_it_invalid() {
    let place = Supervisor::configured(WEB);
    let output = place.cli(&["check"]);
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let path = place.file("jikimi.toml");
    assert_eq!(
        out(&output),
        format!(
            "{} is valid: 1 program, 0 targets, 0 routes\n",
            path.display()
        )
    );
    place.write("empty.toml", "");
    let output = place.cli(&["check", "--config", "empty.toml"]);
    assert_eq!(code(&output), 0);
    assert!(
        err(&output).starts_with("empty.toml:1:1: program: there are no programs: "),
        "{}",
        err(&output)
    );
    assert!(
        err(&output).trim_end().ends_with("(a warning)"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_key_of_a_later_version_is_refused_and_not_passed_over() {
    let place = Supervisor::configured(&format!(
        "{WEB}watch = [\"src\"]\n[target.x]\nkind = \"email\"\n"
    ));
    let output = place.cli(&["run"]);
    assert_eq!(code(&output), 3);
    let said = err(&output);
    for key in ["program.web.watch", "target.x.kind"] {
        let line = said
            .lines()
            .find(|line| line.contains(&format!(" {key}: ")));
        let line = line.unwrap_or_else(|| panic!("{key} is not told:\n{said}"));
        assert!(line.contains("not available in this version"), "{line}");
    }
    assert!(!place.file(".jikimi").exists(), "nothing was made");
}

#[test]
fn a_configuration_that_is_not_there_is_a_fault_and_no_dump() {
    let place = Supervisor::configured(WEB);
    let output = place.cli(&["check", "--config", "none.toml"]);
    assert_eq!(code(&output), 3);
    assert!(
        err(&output)
            .starts_with("none.toml:1:1: configuration: cannot be read, there is no such file"),
        "{}",
        err(&output)
    );
    let output = place.cli(&["run", "--config", "."]);
    assert_eq!(code(&output), 3, "{}", err(&output));
    std::fs::remove_file(place.file("jikimi.toml")).expect("it was there");
    let output = place.cli(&["run"]);
    // /etc/jikimi/jikimi.toml of the machine would be read now; it has none.
    assert_refused(&output, 3, "jikimi.toml");
}

#[test]
fn wrong_usage_is_two_and_says_how_it_goes() {
    let place = Supervisor::configured(WEB);
    for line in [
        &["explode"][..],
        &[],
        &["stop"],
        &["status", "web"],
        &["events", "--since", "yesterday"],
        &["events", "--type", "program.explode"],
        &["notify", "test"],
        &["inbox", "--port", "70000"],
        &["inbox", "--secret", "not base64!"],
    ] {
        let output = place.cli(line);
        assert_eq!(code(&output), 2, "{line:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{line:?}");
        assert!(!err(&output).is_empty(), "{line:?}");
    }
    let output = place.cli(&["--help"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("Usage: jikimi"), "{}", out(&output));
    let output = place.cli(&["--version"]);
    assert_eq!(
        out(&output),
        format!("jikimi {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn where_no_supervisor_runs_commands_say_so_with_five() {
    let place = Supervisor::configured(WEB);
    for line in [
        &["status"][..],
        &["status", "--json"],
        &["start", "web"],
        &["stop", "all"],
        &["restart", "web"],
        &["shutdown"],
        &["notify", "test", "ops"],
        &["events"],
        &["events", "-f"],
        &["status", "--socket", "nothing.sock"],
    ] {
        let output = place.cli(line);
        assert_refused(&output, 5, "no supervisor answers");
        assert_eq!(out(&output), "", "{line:?}");
        assert!(!err(&output).contains("os error"), "{}", err(&output));
    }
}

#[test]
fn a_second_supervisor_on_one_state_directory_is_told_who_has_it() {
    let supervisor = Supervisor::running(WEB);
    supervisor.write(
        "other.toml",
        &format!("[supervisor]\nstate_dir = \".jikimi\"\n{WEB}"),
    );
    for config in ["jikimi.toml", "other.toml"] {
        let output = supervisor.cli(&["run", "--config", config]);
        let pid = supervisor.pid();
        assert_refused(&output, 4, &format!("supervisor with pid {pid}"));
    }
    assert_eq!(supervisor.status()["supervisor"]["pid"], supervisor.pid());
}

#[test]
fn an_unknown_name_is_one_and_the_nearest_is_offered() {
    let supervisor = Supervisor::running(&format!(
        "{WEB}[target.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n"
    ));
    let output = supervisor.cli(&["stop", "wbe"]);
    assert_refused(
        &output,
        1,
        "no program is called \"wbe\"; did you mean \"web\"?",
    );
    let output = supervisor.cli(&["restart", "web", "nobody"]);
    assert_refused(&output, 1, "no program is called \"nobody\"");
    let output = supervisor.cli(&["notify", "test", "opps"]);
    assert_refused(
        &output,
        1,
        "no target is called \"opps\"; did you mean \"ops\"?",
    );
    let view = supervisor.program("web");
    assert_eq!(
        view["desired"], "up",
        "the known one was left alone: {view}"
    );
    assert_eq!(view["restarts"], 0, "{view}");
}

#[test]
fn verbs_say_what_became_of_each_instance() {
    let mut supervisor = Supervisor::running(&format!(
        "{WEB}tags = [\"front\"]\n[program.worker]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"0s\"\ninstances = 2\n"
    ));
    supervisor.wait_phase("web", "running");
    supervisor.wait_phase("worker:1", "running");
    let output = supervisor.cli(&["stop", "work*"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let mut lines: Vec<String> = out(&output).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["worker:0: stopped", "worker:1: stopped"]);
    assert_eq!(supervisor.program("worker:0")["phase"], "stopped");
    let output = supervisor.cli(&["start", "worker:1"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let pid = supervisor.program("worker:1")["pid"].clone();
    assert!(
        out(&output).contains(&format!("(pid {pid})")),
        "{}",
        out(&output)
    );
    assert_eq!(supervisor.program("worker:0")["phase"], "stopped");
    let before = supervisor.program("web")["pid"].clone();
    let output = supervisor.cli(&["restart", "tag:front"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_ne!(supervisor.program("web")["pid"], before);
    let output = supervisor.cli(&["stop", "all"]);
    assert_eq!(out(&output).lines().count(), 3, "{}", out(&output));
    let pid = supervisor.pid();
    let output = supervisor.cli(&["shutdown"]);
    assert_eq!(
        (code(&output), out(&output)),
        (0, format!("the supervisor (pid {pid}) has ended\n"))
    );
    assert_eq!(supervisor.wait().code(), Some(0));
}

/// The keys of the contract; more may come, none may go.
const SUPERVISOR_KEYS: [&str; 11] = [
    "name",
    "version",
    "pid",
    "started_at",
    "uptime_s",
    "config",
    "threads",
    "rss_bytes",
    "open_files",
    "health",
    "issues",
];
const PROGRAM_KEYS: [&str; 16] = [
    "name",
    "program",
    "desired",
    "phase",
    "ready",
    "health",
    "pid",
    "run",
    "uptime_s",
    "restarts",
    "next_restart_s",
    "last_exit",
    "cpu_percent",
    "memory_bytes",
    "processes",
    "tags",
];
const TARGET_KEYS: [&str; 7] = [
    "name",
    "kind",
    "state",
    "pending",
    "delivered",
    "failed",
    "last_activity",
];

#[test]
fn status_as_json_has_every_key_of_the_contract() {
    let receiver = Receiver::start();
    let supervisor = Supervisor::running(&format!(
        "{WEB}tags = [\"game\"]\n[program.pair]\ncommand = [\"sleep\", \"1d\"]\ninstances = 2\n[program.gone]\n\
         command = [\"/nothing/here\"]\n[target.ops]\nkind = \"webhook\"\nurl = \"{}\"\n",
        receiver.url("/")
    ));
    supervisor.wait_phase("web", "running");
    supervisor.wait_phase("gone", "fatal");
    let status = supervisor.status();
    let mut tables = keys(&status);
    tables.sort_unstable();
    assert_eq!(tables, ["programs", "silences", "supervisor", "targets"]);
    let own = &status["supervisor"];
    assert_has_keys(own, &SUPERVISOR_KEYS);
    assert_eq!(own["pid"], supervisor.pid());
    assert_eq!(own["health"], "healthy");
    assert_eq!(own["issues"], Value::Array(vec![]));
    let config = supervisor.file("jikimi.toml");
    assert_eq!(own["config"], config.to_str().expect("text"));
    let started = own["started_at"].as_str().expect("text");
    assert!(started.ends_with('Z'), "in UTC: {started}");
    let programs = status["programs"].as_array().expect("a list");
    let mut names: Vec<&str> = programs
        .iter()
        .map(|p| p["name"].as_str().expect("text"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["gone", "pair:0", "pair:1", "web"]);
    for program in programs {
        assert_has_keys(program, &PROGRAM_KEYS);
    }
    assert_has_keys(&status["targets"][0], &TARGET_KEYS);
    assert_eq!(status["targets"][0]["kind"], "webhook");
}

#[test]
fn status_as_json_has_null_for_what_there_is_not() {
    let supervisor = Supervisor::running(&format!(
        "{WEB}tags = [\"game\"]\n[program.gone]\ncommand = [\"/nothing/here\"]\n"
    ));
    let web = supervisor.wait_phase("web", "running");
    assert_eq!(
        (
            &web["desired"],
            &web["ready"],
            &web["health"],
            &web["tags"][0]
        ),
        (
            &"up".into(),
            &true.into(),
            &"unknown".into(),
            &"game".into()
        )
    );
    assert!(web["pid"].is_u64(), "{web}");
    assert!(
        web["next_restart_s"].is_null() && web["last_exit"].is_null(),
        "{web}"
    );
    let gone = supervisor.wait_phase("gone", "fatal");
    assert!(gone["pid"].is_null(), "{gone}");
}

#[test]
fn status_for_people_is_a_table_that_is_plain_in_a_pipe() {
    let supervisor = Supervisor::running(&format!(
        "{WEB}[program.gone]\ncommand = [\"/nothing/here\"]\n"
    ));
    let web = supervisor.wait_phase("web", "running");
    supervisor.wait_phase("gone", "fatal");
    let output = supervisor.cli(&["status"]);
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let table = out(&output);
    assert!(!table.contains('\x1b'), "{table:?}");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains(": 1 of 2 running, up "), "{table}");
    let columns: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(
        columns,
        ["NAME", "PHASE", "PID", "UPTIME", "RESTARTS", "CPU", "MEM"]
    );
    let row = |name: &str| {
        let row = lines.iter().find(|l| l.starts_with(&format!("{name} ")));
        (*row.unwrap_or_else(|| panic!("no row for {name}:\n{table}"))).to_owned()
    };
    assert!(row("web").contains(&format!(" {} ", web["pid"])), "{table}");
    // Why a program is down stands beside it.
    assert!(row("gone").contains("/nothing/here"), "{table}");
}

/// What `command` prints on a terminal of 100 columns.
fn on_terminal(mut command: Command) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("ours");
    unlockpt(&master).expect("ours");
    let size = rustix::termios::Winsize {
        ws_row: 40,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&master, size).expect("ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let name = OsString::from_vec(name.into_bytes());
    let terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(name);
    let mut child = command
        .stdout(terminal.expect("the other end"))
        .spawn()
        .expect("the binary runs");
    // The command holds the other end's last descriptor then: with its end the terminal is at its end.
    drop(command);
    let mut text = Vec::new();
    let mut master = std::fs::File::from(master);
    let mut chunk = [0; 4096];
    // A terminal that nobody has open any more gives EIO.
    while let Ok(count @ 1..) = master.read(&mut chunk) {
        text.extend_from_slice(&chunk[..count]);
    }
    assert!(child.wait().expect("our child").success());
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn colours_are_for_terminals_and_not_for_those_who_do_not_want_them() {
    let supervisor = Supervisor::running(WEB);
    supervisor.wait_phase("web", "running");
    let status = |name: &str, value: &str| {
        let mut command = supervisor.command(&["status"]);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env(name, value);
        on_terminal(command)
    };
    let coloured = status("TERM", "xterm");
    assert!(coloured.contains("\x1b[32mrunning\x1b[0m"), "{coloured:?}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = status(name, value);
        assert!(
            plain.contains("running") && !plain.contains('\x1b'),
            "{plain:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_fault_and_no_panic() {
    let supervisor = Supervisor::running(WEB);
    supervisor.wait_phase("web", "running");
    for line in [
        &["status"][..],
        &["status", "--json"],
        &["events"],
        &["events", "--json"],
        &["check"],
        &["--help"],
        &["start", "web"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = supervisor
            .command(line)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let output = child.wait_with_output().expect("our child");
        assert_eq!((code(&output), err(&output).as_str()), (0, ""), "{line:?}");
    }
    let head = Command::new("/bin/sh")
        .args(["-c", "\"$0\" status --config \"$1\" | head -1", BINARY])
        .arg(supervisor.file("jikimi.toml"))
        .env("XDG_RUNTIME_DIR", supervisor.file("run"))
        .output()
        .expect("a shell");
    assert_eq!(out(&head).lines().count(), 1, "{}", out(&head));
    assert_eq!(err(&head), "");
}

#[test]
fn a_supervisor_is_found_by_its_socket_from_anywhere() {
    let supervisor = Supervisor::running(WEB);
    let elsewhere = Supervisor::configured("");
    let socket = supervisor.file(".jikimi/jikimi.sock");
    let pid = u64::from(supervisor.pid());
    let output = elsewhere.cli(&[
        "status",
        "--json",
        "--socket",
        socket.to_str().expect("text"),
    ]);
    assert_eq!(pid_of(&output), pid);
    let output = elsewhere
        .command(&["status", "--json"])
        .env("JIKIMI_SOCKET", &socket)
        .output()
        .expect("the binary runs");
    assert_eq!(pid_of(&output), pid);
}

fn pid_of(output: &Output) -> u64 {
    assert_eq!(code(output), 0, "{}", err(output));
    let status: Value = serde_json::from_slice(&output.stdout).expect("one object");
    status["supervisor"]["pid"].as_u64().expect("a pid")
}

#[test]
fn a_supervisor_is_found_though_its_configuration_was_broken_moved_or_removed() {
    let supervisor = Supervisor::running(&format!(
        "[supervisor]\nstate_dir = \"state/of/mine\"\n{WEB}"
    ));
    let pid = u64::from(supervisor.pid());
    supervisor.write("jikimi.toml", "this is = = no TOML [");
    assert_eq!(pid_of(&supervisor.cli(&["status", "--json"])), pid);
    let config = supervisor.file("jikimi.toml");
    std::fs::rename(&config, supervisor.file("moved.toml")).expect("our own file");
    let config = config.to_str().expect("text").to_owned();
    let named = supervisor.cli(&["--config", &config, "status", "--json"]);
    assert_eq!(pid_of(&named), pid);
    assert_eq!(pid_of(&supervisor.cli(&["status", "--json"])), pid);
    // Verbs need no valid configuration either.
    let output = supervisor.cli(&["stop", "web"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn without_its_entry_a_supervisor_is_found_by_the_state_directory_of_the_configuration() {
    let supervisor =
        Supervisor::running(&format!("[supervisor]\nstate_dir = \"elsewhere\"\n{WEB}"));
    // A login without XDG_RUNTIME_DIR, as from cron: the entry is not where it looks.
    let output = supervisor
        .command(&["status", "--json"])
        .env("XDG_RUNTIME_DIR", supervisor.file("other"))
        .output()
        .expect("the binary runs");
    assert_eq!(pid_of(&output), u64::from(supervisor.pid()));
}

#[test]
fn the_only_supervisor_there_is_needs_no_name() {
    let supervisor = Supervisor::running(WEB);
    let empty = tempfile::tempdir().expect("a temporary directory");
    let output = supervisor
        .command(&["status", "--json"])
        .current_dir(empty.path())
        .env("TMPDIR", empty.path())
        .output()
        .expect("the binary runs");
    if Path::new("/run/jikimi").exists() && code(&output) == 2 {
        // Somebody's supervisor runs on this machine besides: then there is no only one, and both are named.
        let config = supervisor.file("jikimi.toml");
        assert_refused(&output, 2, config.to_str().expect("text"));
    } else {
        assert_eq!(pid_of(&output), u64::from(supervisor.pid()));
    }
}

#[test]
fn names_made_to_harm_are_shown_harmlessly_and_do_nothing() {
    let supervisor = Supervisor::running(WEB);
    supervisor.wait_phase("web", "running");
    let long = "x".repeat(5_000);
    for name in [
        "\x1b[2Jweb",
        "../../etc/passwd",
        "",
        " ",
        "web\nweb",
        "a/b?wait=false&name=web",
        "%77eb",
        "tag:",
        "'; DROP TABLE events; --",
        "지킴이\u{202e}",
        long.as_str(),
    ] {
        let output = supervisor.cli(&["stop", name]);
        assert_refused(&output, 1, "no program");
        let said = err(&output);
        assert!(
            !said.contains('\x1b') && !said.contains('\u{202e}'),
            "{said:?}"
        );
        assert_eq!(said.lines().count(), 1, "{said:?}");
    }
    let no_text = OsString::from_vec(b"web\xff".to_vec());
    let output = supervisor
        .command(&["stop"])
        .arg(no_text)
        .output()
        .expect("the binary runs");
    assert_eq!(code(&output), 2, "{}", err(&output));
    let output = supervisor.cli(&["--config", "\x1b[31mno.toml", "check"]);
    assert_eq!(code(&output), 3);
    assert!(!err(&output).contains('\x1b'), "{:?}", err(&output));
    let path = format!("/{long}");
    let output = supervisor.cli(&["status", "--socket", &path]);
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
    assert_ne!(code(&output), 0);
    assert_ne!(code(&output), 70, "{}", err(&output));
    assert_eq!(supervisor.program("web")["desired"], "up");
}

#[test]
fn events_are_read_from_the_running_supervisor_and_after_it_from_its_state() {
    let mut supervisor = Supervisor::running(WEB);
    supervisor.wait_phase("web", "running");
    let running = supervisor.cli(&["events"]);
    assert_eq!((code(&running), err(&running).as_str()), (0, ""));
    assert!(
        out(&running).contains("program.started"),
        "{}",
        out(&running)
    );
    assert_eq!(supervisor.stop(), 0);
    let stored = supervisor.cli(&["events"]);
    assert_eq!(code(&stored), 0, "{}", err(&stored));
    assert!(
        err(&stored).starts_with("jikimi: no supervisor answers; this is what is stored in "),
        "{}",
        err(&stored)
    );
    assert!(
        out(&stored)
            .lines()
            .last()
            .is_some_and(|l| l.contains("program.stopped")),
        "{}",
        out(&stored)
    );
    let events = supervisor.events();
    for event in &events {
        assert_has_keys(
            event,
            &[
                "id", "time", "type", "severity", "program", "instance", "run", "summary", "data",
            ],
        );
    }
    let chosen = supervisor.cli(&["events", "--json", "--type", "program.*", "-n", "1"]);
    let last: Value = serde_json::from_slice(&chosen.stdout).expect("one object");
    assert_eq!(
        (&last["type"], &last["instance"]),
        (&"program.stopped".into(), &"web".into())
    );
    let none = supervisor.cli(&["events", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!((code(&none), out(&none).as_str()), (0, ""));
    let follow = supervisor.cli(&["events", "-f", "-n", "1"]);
    assert_refused(&follow, 5, "nothing follows, because no supervisor runs");
}

#[test]
fn a_test_message_is_sent_and_its_outcome_is_told() {
    let receiver = Receiver::scripted(|request| {
        let status = if request.path == "/bad" { 410 } else { 204 };
        crate::support::receiver::Reply::status(status)
    });
    let supervisor = Supervisor::running(&format!(
        "{WEB}[target.good]\nkind = \"webhook\"\nurl = \"{}\"\n[target.bad]\nkind = \"webhook\"\nurl = \"{}\"\n",
        receiver.url("/good"),
        receiver.url("/bad"),
    ));
    let output = supervisor.cli(&["notify", "test", "good"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("good has taken the message"),
        "{}",
        out(&output)
    );
    let output = supervisor.cli(&["notify", "test", "bad"]);
    assert_eq!(code(&output), 1, "{}", out(&output));
    assert!(err(&output).contains("410"), "{}", err(&output));
    assert!(receiver.received().iter().any(|r| r.path == "/good"));
}

#[test]
fn a_damaged_database_is_refused_by_who_only_reads_it() {
    let place = Supervisor::configured(WEB);
    place.write(
        ".jikimi/jikimi.db",
        &"this is no database at all ".repeat(400),
    );
    let output = place.cli(&["events"]);
    assert_refused(&output, 1, "jikimi.db is damaged");
    assert!(
        place
            .read(".jikimi/jikimi.db")
            .starts_with("this is no database"),
        "it is left for who wants to mend it"
    );
}

#[test]
fn the_database_of_a_newer_version_is_refused_and_left_alone() {
    let mut place = Supervisor::running(WEB);
    assert_eq!(place.stop(), 0);
    let path = place.file(".jikimi/jikimi.db");
    let database = rusqlite::Connection::open(&path).expect("it was made");
    database
        .pragma_update(None, "user_version", 999)
        .expect("nobody else has it");
    drop(database);
    let before = std::fs::read(&path).expect("it is there");
    for command in ["run", "events"] {
        let output = place.cli(&[command]);
        assert_refused(&output, 1, "was made by a newer jikimi (schema 999");
    }
    assert!(
        std::fs::read(&path).expect("it is there") == before,
        "it was changed"
    );
}

#[test]
fn a_state_directory_that_cannot_be_is_a_sentence() {
    let place = Supervisor::configured("");
    place.write("file", "");
    for (folder, cause) in [
        ("file", "file"),
        ("file/below", "file"),
        ("/proc/jikimi", "/proc/jikimi"),
    ] {
        place.write(
            "jikimi.toml",
            &format!("[supervisor]\nstate_dir = \"{folder}\"\n[program.web]\ncommand = [\"touch\", \"started\"]\n"),
        );
        let output = place.cli(&["run"]);
        assert_refused(&output, 1, cause);
        assert!(err(&output).contains("state directory"), "{}", err(&output));
    }
    assert!(!place.file("started").exists(), "nothing was started");
}

#[test]
fn a_state_directory_too_long_for_a_socket_is_a_fault_of_the_configuration() {
    let long = "d".repeat(120);
    let place = Supervisor::configured(&format!("[supervisor]\nstate_dir = \"{long}\"\n{WEB}"));
    let output = place.cli(&["run"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(err(&output).contains("107 at the most"), "{}", err(&output));
    assert!(!place.file(&long).exists(), "nothing was made");
}

#[test]
fn what_a_supervisor_keeps_is_for_its_user_only() {
    let supervisor = Supervisor::running(WEB);
    supervisor.wait_phase("web", "running");
    let mode = |name: &str| {
        let meta = std::fs::symlink_metadata(supervisor.file(name));
        meta.unwrap_or_else(|e| panic!("{name}: {e}"))
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(".jikimi"), 0o700);
    for name in ["jikimi.sock", "jikimi.lock", "jikimi.db", "holder.sock"] {
        assert_eq!(mode(&format!(".jikimi/{name}")), 0o600, "{name}");
    }
    let entries = std::fs::read_dir(supervisor.file("run/jikimi")).expect("it left an entry");
    for entry in entries {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
    assert_eq!(mode("run/jikimi"), 0o700);
}

#[test]
fn an_inbox_whose_port_is_taken_says_so() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let place = Supervisor::configured("");
    let output = place.cli(&["inbox", "--port", &port]);
    assert_refused(&output, 1, &format!("127.0.0.1:{port}"));
}
