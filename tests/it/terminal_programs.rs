//! Programs with a terminal of their own: what they see, what of it is in the files, who types into it and what
//! survives. Judged by what the programs themselves recorded.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use crate::os_settings::{is_root, nobody};
use crate::support::processes::{files, is_alive};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Prints without a flush, as C and Python do by the line at a terminal alone; ends on `stop`, and records what it
/// reads and the signals that come.
const ECHO: &str = r#"
import os, signal, sys
def note(text):
    with open("got", "a") as got:
        got.write(text + "\n")
def term(number, frame):
    note("TERM")
    print("terminated")
    sys.exit(0)
signal.signal(signal.SIGTERM, term)
signal.signal(signal.SIGHUP, lambda n, f: note("HUP"))
signal.signal(signal.SIGINT, lambda n, f: note("INT"))
signal.signal(signal.SIGWINCH, lambda n, f: note("WINCH %d %d" % tuple(os.get_terminal_size())))
print("ttys", [os.isatty(fd) for fd in (0, 1, 2)], os.ttyname(0) == os.ttyname(1))
print("leads", os.getsid(0) == os.getpid() == os.tcgetpgrp(0), "size", tuple(os.get_terminal_size()))
os.write(2, b"an error\n")
note("up")
for line in sys.stdin:
    note(line.rstrip("\n"))
    print("did " + line.rstrip("\n"))
    if line == "stop\n":
        sys.exit(0)
"#;

fn config(keys: &str) -> String {
    format!(
        "[program.web]\ncommand = [\"python3\", \"echo.py\"]\nterminal = true\nstart_confirm = \"10ms\"\n{keys}\n"
    )
}

fn running(keys: &str) -> Supervisor {
    let mut supervisor = Supervisor::configured(&config(keys));
    supervisor.write("echo.py", ECHO);
    supervisor.start_marked();
    supervisor.wait_phase("web", "running");
    supervisor.wait_lines("got", 1);
    supervisor
}

fn log(supervisor: &Supervisor, last: &str) -> String {
    wait_for(&format!("{last:?} in its file"), || {
        let text = supervisor.read(".jikimi/logs/web/out.log");
        if text.contains(last) {
            Ok(text)
        } else {
            Err(text)
        }
    })
}

fn all(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn worked(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert!(output.status.success(), "{args:?} {}", all(&output));
    all(&output)
}

#[test]
fn it_has_a_terminal_prints_by_the_line_and_hears_what_is_sent() {
    let mut supervisor = running("stop_stdin = [\"stop\"]");
    worked(&supervisor, &["send", "web", "say", "hi"]);
    let text = log(&supervisor, "did say hi\n");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "ttys [True, True, True] True",
            "leads True size (80, 24)",
            "an error",
            // The terminal's echo, once.
            "say hi",
            "did say hi",
        ]
    );
    assert!(!text.contains('\r'), "{text:?}");
    let stopped = worked(&supervisor, &["stop", "web"]);
    assert!(stopped.contains("stopped"), "{stopped}");
    log(&supervisor, "did stop\n");
    assert_eq!(supervisor.lines("got"), ["up", "say hi", "stop"]);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn attach_follows_it_and_types_lines_into_it() {
    let mut supervisor = running("");
    log(&supervisor, "an error\n");
    let mut command = supervisor.command(&["attach", "web"]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut attached = command.spawn().expect("the binary runs");
    let mut stdin = attached.stdin.take().expect("it is piped");
    stdin.write_all(b"say hi\n").expect("it reads");
    log(&supervisor, "did say hi\n");
    drop(stdin);
    let output = attached.wait_with_output().expect("our own child");
    assert!(output.status.success(), "{}", all(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("an error\nsay hi\ndid say hi\n"), "{shown}");
    assert_eq!(supervisor.lines("got"), ["up", "say hi"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_signal_of_a_stop_reaches_its_whole_group_and_its_last_words_are_kept() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        shell = true
        command = '''
        # Its end hangs up its children.
        trap 'wait; seq 1 2000; echo done; exit 0' TERM
        sh -c 'trap "echo child >> got; exit 0" TERM; echo up >> got; while :; do sleep 0.02; done' &
        while :; do sleep 0.02; done
        '''
        terminal = true
        start_confirm = "10ms"
        "#,
    );
    supervisor.wait_phase("web", "running");
    supervisor.wait_lines("got", 1);
    worked(&supervisor, &["stop", "web"]);
    assert_eq!(supervisor.lines("got"), ["up", "child"]);
    let text = log(&supervisor, "done\n");
    // The shell says "Terminated" of its children as well.
    let printed = text.lines().filter_map(|line| line.parse::<u64>().ok());
    assert!(printed.eq(1..=2_000_u64), "{text}");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

/// Counts on its terminal and records what is typed, without an echo, which would stand in the midst of a line.
const COUNTER: &str = r#"
import os, select, signal, sys, termios
def note(text):
    with open("got", "a") as got:
        got.write(text + "\n")
signal.signal(signal.SIGHUP, lambda n, f: note("HUP"))
modes = termios.tcgetattr(0)
modes[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSANOW, modes)
note("up")
n = 0
while True:
    n += 1
    print("n", n)
    ready = select.select([0], [], [], 0.0005)[0]
    if ready:
        line = os.read(0, 100).decode().strip()
        note("%s after %d" % (line, n))
        if line == "stop":
            sys.exit(0)
"#;

/// The numbers it counted, in its file.
fn counted(supervisor: &Supervisor) -> Vec<u64> {
    let text = supervisor.read(".jikimi/logs/web/out.log");
    let numbers = text.lines().filter_map(|line| line.strip_prefix("n "));
    numbers.filter_map(|n| n.parse().ok()).collect()
}

fn wait_counted(supervisor: &Supervisor, more_than: usize) -> usize {
    wait_for(&format!("more than {more_than} numbers"), || {
        let count = counted(supervisor).len();
        if count > more_than {
            Ok(count)
        } else {
            Err(count.to_string())
        }
    })
}

/// Ends it by a line typed, and holds its file against what it says it printed.
fn assert_whole(supervisor: &mut Supervisor) {
    worked(supervisor, &["send", "web", "stop"]);
    supervisor.wait_phase("web", "exited");
    let got = supervisor.lines("got");
    let last = got.last().and_then(|line| line.strip_prefix("stop after "));
    let last: u64 = last.expect("its last word").parse().expect("a number");
    assert!(!got.contains(&"HUP".to_owned()), "{got:?}");
    let whole: Vec<u64> = (1..=last).collect();
    let counted = wait_for("its last number", || {
        let counted = counted(supervisor);
        if counted.last() == Some(&last) {
            Ok(counted)
        } else {
            Err(format!("{:?} of {last}", counted.last()))
        }
    });
    assert!(counted == whole, "{} numbers of {last}", counted.len());
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

fn counting() -> Supervisor {
    let mut supervisor = Supervisor::configured(&config(""));
    supervisor.write("echo.py", COUNTER);
    supervisor.start_marked();
    supervisor.wait_phase("web", "running");
    wait_counted(&supervisor, 0);
    supervisor
}

#[test]
fn kill_9_of_its_supervisor_hangs_up_nothing_and_loses_no_line() {
    let mut supervisor = counting();
    let pid = supervisor.pid_in("web", "running");
    for round in 0..3 {
        wait_for("the run to be known", || {
            let ready = supervisor.events_of("program.ready", "web");
            let adopted = supervisor.events_of("program.adopted", "web");
            if ready.len() + adopted.len() > round {
                Ok(())
            } else {
                Err(format!("{ready:?} {adopted:?}"))
            }
        });
        supervisor.kill();
        let count = counted(&supervisor).len();
        // The holder pumps on.
        wait_counted(&supervisor, count + 100);
        supervisor.start_marked();
        assert_eq!(supervisor.pid_in("web", "running"), pid);
        let line = format!("round {round}");
        worked(&supervisor, &["send", "web", &line]);
        let got = supervisor.wait_lines("got", 2 + round);
        assert!(got[1 + round].starts_with(&line), "{got:?}");
    }
    assert_whole(&mut supervisor);
}

#[test]
fn an_upgrade_and_a_shutdown_that_leaves_it_running_keep_its_terminal() {
    let mut supervisor = counting();
    let pid = supervisor.pid_in("web", "running");
    worked(&supervisor, &["upgrade"]);
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    let count = counted(&supervisor).len();
    wait_counted(&supervisor, count + 100);
    worked(&supervisor, &["shutdown", "--leave-running"]);
    assert!(supervisor.wait().success());
    assert!(is_alive(pid));
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    assert_whole(&mut supervisor);
}

#[test]
fn its_terminal_belongs_to_its_user() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::configured(
        r#"
        [program.web]
        shell = true
        command = "stat -c '%u %a' $(tty); echo by name > /dev/tty; id -u; read -r line; echo whole"
        terminal = true
        user = "nobody"
        start_confirm = "10ms"
        "#,
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(supervisor.path(), mode).expect("our own folder");
    supervisor.start_marked();
    supervisor.wait_phase("web", "running");
    let uid = nobody().0;
    log(&supervisor, &format!("\n{uid}\n"));
    worked(&supervisor, &["send", "web", "end"]);
    let text = log(&supervisor, "whole\n");
    assert_eq!(text, format!("{uid} 600\nby name\n{uid}\nend\nwhole\n"));
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn a_run_leaves_no_pipe_and_one_that_cannot_begin_says_why() {
    let mut supervisor = Supervisor::configured(
        "[program.web]\ncommand = [\"./missing\"]\nterminal = true\n\
         [program.brief]\ncommand = [\"true\"]\nterminal = true\nrestart = \"never\"\n",
    );
    supervisor.start_marked();
    let view = supervisor.wait_phase("web", "fatal");
    assert_eq!(view["cause"], "command not found: ./missing");
    supervisor.wait_phase("brief", "exited");
    wait_for("no pipe", || {
        let mut left = files(&supervisor.file(".jikimi/pipes"));
        left.retain(|path| path.extension().is_some_and(|end| end != "lock"));
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    assert_eq!(supervisor.stop(), 1, "one was given up");
}
