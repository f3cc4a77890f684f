//! The terminal: keys pressed at it, a closed, stopped, full or missing one, and what it shows of programs.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::screen::{Screen, at_terminal};
use crate::support::supervisor::Supervisor;
use crate::support::{lines_of, wait_for};

const CTRL_C: u8 = 0x03;
const CTRL_Q: u8 = 0x11;
const CTRL_S: u8 = 0x13;
const CTRL_Z: u8 = 0x1a;

/// A supervisor of `config` at a terminal.
fn run_at(screen: &Screen, config: &str) -> Supervisor {
    let mut sup = Supervisor::configured(config);
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let mut command = at_terminal(screen, &sup.command(&["run"]));
    sup.adopt(command.spawn().expect("setsid is there"));
    sup
}

/// Another pid than `old`: the program was started anew, so everything that leads there works.
fn restarted(sup: &Supervisor, name: &str, old: &Value) {
    sup.wait_program(name, "another run", |view| {
        view["pid"].is_number() && view["pid"] != old["pid"] && view["phase"] == "running"
    });
}

fn kill_program(view: &Value) {
    let pid = view["pid"].as_i64().expect("it runs");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid"));
    let signal = rustix::process::Signal::KILL;
    rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
}

const WEB: &str = r#"
[program.web]
command = "sleep 1000"
start_confirm = "10ms"
backoff = { initial = "10ms", max = "10ms" }
restart_limit = { count = 1000 }
"#;

#[test]
fn ctrl_c_stops_everything_cleanly_and_reaches_no_program_as_such() {
    let mut screen = Screen::open();
    let mut sup = run_at(
        &screen,
        r"
[program.web]
shell = true
command = '''
trap 'echo INT >> got' INT
trap 'echo TERM >> got; exit 0' TERM
echo ready
while :; do sleep 0.05; done
'''
",
    );
    screen.wait(" ready\r\n");
    screen.press(CTRL_C);
    assert_eq!(sup.wait().code(), Some(0));
    assert_eq!(sup.read("got"), "TERM\n");
    let shown = screen.look();
    assert!(shown.contains("asked by signal SIGINT"), "{shown}");
    assert!(shown.contains("1 stopped"), "{shown}");
}

#[test]
fn ctrl_z_does_not_suspend_and_says_why() {
    let mut screen = Screen::open();
    let sup = run_at(&screen, WEB);
    let before = sup.wait_phase("web", "running");
    screen.press(CTRL_Z);
    screen.wait("not suspended: programs are running");
    kill_program(&before);
    restarted(&sup, "web", &before);
}

#[test]
fn a_terminal_that_is_closed_ends_nothing() {
    let screen = Screen::open();
    let mut sup = run_at(&screen, WEB);
    let before = sup.wait_phase("web", "running");
    drop(screen);
    kill_program(&before);
    restarted(&sup, "web", &before);
    sup.signal("HUP");
    let before = sup.program("web");
    assert!(sup.cli(&["restart", "web"]).status.success());
    restarted(&sup, "web", &before);
    assert_eq!(sup.stop(), 0, "and it still ends cleanly");
}

#[test]
fn a_closed_terminal_is_said_in_a_log_that_is_still_there() {
    let screen = Screen::open();
    let mut sup = Supervisor::configured(WEB);
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let mut command = at_terminal(&screen, &sup.command(&["run"]));
    command.stderr(std::fs::File::create(sup.file("log")).expect("our own folder"));
    sup.adopt(command.spawn().expect("setsid is there"));
    drop(screen);
    let said = "the terminal is gone; going on without terminal output";
    wait_for("the sentence about the terminal", || {
        let log = sup.read("log");
        if log.contains(said) { Ok(()) } else { Err(log) }
    });
    sup.wait_phase("web", "running");
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_hangup_without_a_lost_terminal_is_answered_with_a_sentence() {
    let mut sup = Supervisor::running(WEB);
    sup.signal("HUP");
    wait_for("a sentence", || {
        let (_, log) = sup.output();
        if log.contains("reading the configuration again") {
            Ok(())
        } else {
            Err(log)
        }
    });
    sup.wait_phase("web", "running");
    assert_eq!(sup.stop(), 0);
}

/// Prints far more than any terminal, pipe or queue holds, then ends as a failure: four times, then it stays.
const LOUD: &str = r#"
[program.loud]
shell = true
command = '''
echo run >> runs
seq 1 200000
seq 1 20000 >&2
[ "$(wc -l < runs)" -lt 4 ] && exit 1
echo "the end"
exec sleep 1000
'''
start_confirm = "10ms"
backoff = { initial = "10ms", max = "10ms" }
restart_limit = { count = 1000 }
"#;

/// Waits until the four runs of [`LOUD`] are in its files, to the last byte.
fn all_of_loud_is_kept(sup: &Supervisor) {
    let out = lines_of(1..=200_000);
    let err = lines_of(1..=20_000);
    let (out, err) = (out.repeat(4) + "the end\n", err.repeat(4));
    for (name, whole) in [("out", out), ("err", err)] {
        let path = format!(".jikimi/logs/loud/{name}.log");
        wait_for(&format!("all of {path}"), || {
            let kept = sup.read(&path);
            if kept == whole {
                return Ok(());
            }
            Err(format!("{} of {} bytes", kept.len(), whole.len()))
        });
    }
    let view = sup.wait_phase("loud", "running");
    assert_eq!(view["restarts"], 3);
}

#[test]
fn a_terminal_that_nobody_reads_delays_nothing() {
    let screen = Screen::open();
    let mut sup = run_at(&screen, LOUD);
    all_of_loud_is_kept(&sup);
    assert_eq!(sup.stop(), 0);
    drop(screen);
}

#[test]
fn ctrl_s_delays_nothing_and_after_ctrl_q_the_screen_goes_on() {
    let mut screen = Screen::open();
    // A terminal that nobody has open forgets that it was stopped.
    let held = screen.slave();
    screen.press(CTRL_S);
    let mut sup = run_at(&screen, LOUD);
    all_of_loud_is_kept(&sup);
    assert_eq!(screen.look(), "", "it is stopped indeed");
    screen.press(CTRL_Q);
    let shown = screen.wait(" the end\r\n");
    assert!(
        shown.contains("not shown here; it is all in"),
        "what was skipped is said"
    );
    assert_eq!(sup.stop(), 0);
    drop(held);
}

#[test]
fn a_reader_that_leaves_early_as_head_does_ends_nothing() {
    let mut sup = Supervisor::configured(
        r#"
[program.talker]
shell = true
command = 'i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.02; done'
"#,
    );
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let mut command = sup.command(&["run"]);
    command.stdout(Stdio::piped());
    command.stderr(std::fs::File::create(sup.file("log")).expect("our own folder"));
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    sup.adopt(child);
    let third = lines.nth(2).expect("a line").expect("text");
    assert_eq!(third, "talker | line 3");
    drop(lines);
    wait_for("word that nobody reads", || {
        let log = sup.read("log");
        if log.contains("terminal: nobody reads it any more") {
            Ok(())
        } else {
            Err(log)
        }
    });
    let path = ".jikimi/logs/talker/out.log";
    let so_far = sup.read(path).len();
    wait_for("more output in the file", || {
        let kept = sup.read(path);
        if kept.len() > so_far {
            Ok(())
        } else {
            Err(kept)
        }
    });
    assert_eq!(sup.stop(), 0);
}

#[test]
fn closed_standard_streams_are_no_fault_and_no_file_of_ours_takes_their_place() {
    let mut sup = Supervisor::configured(LOUD);
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let ours = sup.command(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" <&- >&- 2>&-"#]);
    command.arg(ours.get_program()).args(ours.get_args());
    command.current_dir(sup.path());
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    sup.adopt(command.spawn().expect("sh is there"));
    all_of_loud_is_kept(&sup);
    for number in 0..=2 {
        let link = format!("/proc/{}/fd/{number}", sup.pid());
        let to = std::fs::read_link(&link).expect("something is there");
        assert_eq!(to, PathBuf::from("/dev/null"), "{link}");
    }
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_supervisor_in_the_background_of_a_shell_is_not_stopped_by_its_own_output() {
    let mut screen = Screen::open();
    let mut sup = Supervisor::configured(LOUD);
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let mut shell = sup.command(&["run"]);
    let binary = PathBuf::from(shell.get_program());
    shell = {
        let mut inner = Command::new("sh");
        inner.args(["-c", r#"stty tostop; set -m; "$0" run & wait"#]);
        inner.arg(binary).current_dir(sup.path());
        for (name, value) in shell.get_envs() {
            match value {
                Some(value) => inner.env(name, value),
                None => inner.env_remove(name),
            };
        }
        inner
    };
    let child = at_terminal(&screen, &shell).spawn().expect("setsid");
    sup.adopt(child);
    all_of_loud_is_kept(&sup);
    screen.wait(" the end\r\n");
    let ended = sup.cli(&["shutdown"]);
    assert!(ended.status.success(), "{ended:?}");
    sup.wait();
}

/// Tries to clear the screen, move the cursor, set the title; and colours a word.
const PAINTER: &str = r"
[program.painter]
shell = true
command = '''
printf 'first\033[2J\033[1;1H\033]0;mine\007\033[31mred\033[0m\n'
printf 'done\n'
exec sleep 1000
'''
";

const PAINTED: &str = "first\x1b[2J\x1b[1;1H\x1b]0;mine\x07\x1b[31mred\x1b[0m\ndone\n";

#[test]
fn a_terminal_gets_prefixes_and_colours_but_nothing_that_moves_its_cursor() {
    let mut screen = Screen::open();
    let mut sup = run_at(&screen, PAINTER);
    let shown = screen.wait(" done\r\n");
    let line = shown.lines().find(|l| l.contains("first")).expect("shown");
    assert!(line.starts_with("\x1b["), "the name has a colour: {line:?}");
    assert!(line.contains("painter"), "{line:?}");
    assert!(
        line.contains(r"first\x1b[2J\x1b[1;1H\x1b]0;mine\x07"),
        "{line:?}"
    );
    assert!(line.contains("\x1b[31mred"), "its colour passes: {line:?}");
    assert!(line.trim_end().ends_with("\x1b[0m"), "and ends: {line:?}");
    for moving in ["\x1b[2J", "\x1b[1;1H", "\x1b]"] {
        assert!(!shown.contains(moving), "{shown:?}");
    }
    assert_eq!(sup.read(".jikimi/logs/painter/out.log"), PAINTED);
    assert_eq!(sup.stop(), 0);
}

#[test]
fn no_color_and_a_file_get_no_escape_at_all() {
    let mut screen = Screen::open();
    let mut sup = Supervisor::configured(PAINTER);
    std::fs::create_dir_all(sup.file("run")).expect("our own folder");
    let mut command = at_terminal(&screen, &sup.command(&["run"]));
    command.env("NO_COLOR", "1");
    sup.adopt(command.spawn().expect("setsid is there"));
    let shown = screen.wait("painter | done\r\n");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert_eq!(sup.stop(), 0);
    sup.start();
    let (out, log) = wait_for("the line in the file", || {
        let output = sup.output();
        if output.0.contains("painter | done\n") {
            Ok(output)
        } else {
            Err(output.0)
        }
    });
    assert!(!(out + &log).contains('\x1b'));
    let kept = sup.read(".jikimi/logs/painter/out.log");
    assert_eq!(kept, PAINTED.repeat(2));
    assert_eq!(sup.stop(), 0);
}

#[test]
fn with_a_json_log_every_line_of_standard_error_is_an_object_with_the_same_names() {
    let mut sup = Supervisor::running(&format!(
        "[log]\nformat = \"json\"\nlevel = \"debug\"\n{WEB}"
    ));
    let before = sup.wait_phase("web", "running");
    kill_program(&before);
    restarted(&sup, "web", &before);
    // One after the other: of signals that wait together the kernel hands out the lowest first.
    sup.signal("HUP");
    sup.wait_log("reading the configuration again");
    sup.signal("TSTP");
    sup.wait_log("not suspended");
    assert_eq!(sup.stop(), 0);
    let (out, log) = sup.output();
    assert_eq!(out, "", "programs that print nothing show nothing");
    let mut messages = Vec::new();
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for name in ["time", "level", "target", "message"] {
            assert!(object[name].is_string(), "{name} in {line}");
        }
        messages.push(object["message"].as_str().unwrap_or_default().to_owned());
    }
    for said in [
        "reading the configuration again",
        "not suspended",
        "asked by signal SIGINT",
    ] {
        assert!(messages.iter().any(|m| m.contains(said)), "{said}: {log}");
    }
}
