//! `attach` before a program with a terminal of its own: keys, the size, what is shown, and the settings of the
//! person's terminal afterwards. What was pressed is judged by what the program recorded.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::screen::{Screen, at_terminal};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_Z: u8 = 0x1a;
const LEAVE: u8 = 0x1d;

/// Reads key by key, and records them; ends on `q`.
const KEYS: &str = r#"
import os, signal, sys, tty
def note(text):
    with open("got", "a") as got:
        got.write(text + "\n")
def size(number=None, frame=None):
    os.write(1, b"size %d %d\r\n" % tuple(os.get_terminal_size()))
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGINT, lambda n, f: note("INT"))
tty.setraw(0)
note("up")
os.write(1, b"\x1b[6nready\r\n")
size()
while True:
    key = os.read(0, 1)
    note(key.hex())
    os.write(1, b"[" + key.hex().encode() + b"]")
    if key == b"q":
        os.write(1, b"\r\n" + b"x" * 20000 + b"last words")
        sys.exit(0)
"#;

/// A shell whose lines and signals are the terminal's own affair.
const COOKED: &str = r#"
# A signal ends the reading as the end of input does.
trap 'int=1; echo INT >> got; echo interrupted' INT
echo up >> got
echo ready
while :; do
  read -r line || { [ "$int" ] || echo END >> got; int=; continue; }
  echo line $line >> got
  stty size
done
"#;

/// Has the whole screen, and draws it when it is told to.
const FULL: &str = r#"
import os, signal, sys
signal.signal(signal.SIGWINCH, lambda n, f: os.write(1, b"drawn\ndrawn\n"))
os.write(1, b"\x1b[?1049hfirst\n")
with open("got", "a") as got:
    got.write("up\n")
while True:
    signal.pause()
"#;

/// Never reads.
const DEAF: &str = r#"
import time, tty
tty.setraw(0)
with open("got", "a") as got:
    got.write("up\n")
while True:
    time.sleep(1000)
"#;

/// What the person's shell does: `attach`, and the terminal's settings before and after.
const SHELL: &str = r#"
echo "before $(stty -g)="
sh -c 'echo $$ > attached; exec "$@"' sh "$@"
code=$?
echo "after $(stty -g)= code $code"
read -r end
"#;

fn running(script: &str, program: &str) -> Supervisor {
    let config = format!(
        "[program.web]\ncommand = [{program}, \"script\"]\nterminal = true\nrestart = \"never\"\nstart_confirm = \"10ms\"\n"
    );
    let mut sup = Supervisor::configured(&config);
    sup.write("script", script);
    sup.start_marked();
    sup.wait_phase("web", "running");
    assert_eq!(sup.wait_lines("got", 1), ["up"]);
    sup
}

fn wait_written(sup: &Supervisor, text: &str) {
    wait_for(&format!("{text:?} in its file"), || {
        let kept = sup.read(".jikimi/logs/web/out.log");
        if kept.contains(text) {
            Ok(())
        } else {
            Err(kept)
        }
    });
}

/// A shell of a person at `screen` that has attached.
fn attached(screen: &mut Screen, sup: &Supervisor) -> Child {
    let attach = sup.command(&["attach", "web"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", SHELL, "sh"]).arg(attach.get_program());
    shell.args(attach.get_args()).current_dir(sup.path());
    for (name, value) in attach.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let child = at_terminal(screen, &shell)
        .spawn()
        .expect("setsid is there");
    screen.wait("web gets every key; Ctrl-] leaves");
    child
}

/// Waits until `attach` has ended, whose code was `code`, and holds the settings against those before.
fn assert_given_back(screen: &mut Screen, code: i32) -> String {
    let shown = wait_for("the end of attach", || {
        let shown = screen.look();
        let after = shown.split_once("\nafter ").map(|(_, rest)| rest);
        if after.is_some_and(|rest| rest.contains('\n')) {
            Ok(shown)
        } else {
            Err(shown)
        }
    });
    let settings = |mark: &str| {
        let rest = shown.split_once(mark).expect("the shell says it").1;
        rest.split_once('=').expect("whole").0.to_owned()
    };
    assert_eq!(settings("\nafter "), settings("before "), "{shown}");
    assert!(shown.contains(&format!("= code {code}\r\n")), "{shown}");
    shown
}

fn is_raw(screen: &Screen) -> bool {
    let modes = tcgetattr(screen.slave()).expect("a terminal");
    !modes.local_modes.contains(LocalModes::ICANON)
}

fn signal_attach(sup: &Supervisor, signal: Signal) {
    let pid = sup.read("attached").trim().parse().expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it runs");
}

#[test]
fn keys_come_singly_ctrl_c_too_and_the_end_of_the_run_is_the_end_of_attach() {
    let mut sup = running(KEYS, "\"python3\"");
    wait_written(&sup, "size 80 24\r\n");
    let mut screen = Screen::open();
    screen.resize(30, 100);
    let mut shell = attached(&mut screen, &sup);
    let shown = screen.wait("size 100 30");
    assert!(shown.contains("\r\nready\r\nsize 80 24\r\n"), "{shown}");
    assert!(!shown.contains("\x1b[6n"), "an old question: {shown:?}");
    assert!(is_raw(&screen));
    for (key, shown) in [
        (b'a', "[61]"),
        (CTRL_C, "[03]"),
        (CTRL_D, "[04]"),
        (CTRL_Z, "[1a]"),
        (b'\r', "[0d]"),
        (0xff, "[ff]"),
    ] {
        screen.press(key);
        screen.wait(shown);
    }
    assert_eq!(sup.lines("got"), ["up", "61", "03", "04", "1a", "0d", "ff"]);
    screen.resize(40, 120);
    screen.wait("size 120 40");
    screen.press(b'q');
    let shown = assert_given_back(&mut screen, 0);
    assert!(
        shown.contains(&("x".repeat(20_000) + "last words")),
        "{shown}"
    );
    assert!(shown.contains("jikimi: web ended: exit code 0"), "{shown}");
    screen.press(b'\n');
    shell.wait().expect("our own child");
    sup.wait_phase("web", "exited");
    assert_eq!(sup.stop(), 0);
    sup.assert_nothing_left();
}

#[test]
fn ctrl_c_and_ctrl_d_reach_a_shell_and_leaving_leaves_it_running() {
    let mut sup = running(COOKED, "\"sh\"");
    let pid = sup.pid_in("web", "running");
    wait_written(&sup, "ready\n");
    let mut screen = Screen::open();
    screen.resize(33, 111);
    let mut shell = attached(&mut screen, &sup);
    screen.wait("ready\r\n");
    screen.press(CTRL_C);
    screen.wait("interrupted\r\n");
    screen.paste(b"hi\r");
    // As the kernel says it; the echo of the line returns as well.
    screen.wait("hi\r\n33 111\r\n");
    screen.press(CTRL_D);
    assert_eq!(sup.wait_lines("got", 4), ["up", "INT", "line hi", "END"]);
    // What is behind the key that leaves is nobody's.
    screen.paste(&[b'x', LEAVE, b'y']);
    let shown = assert_given_back(&mut screen, 0);
    assert!(shown.contains("jikimi: left web, which goes on"), "{shown}");
    assert_eq!(sup.pid_in("web", "running"), pid);
    assert!(sup.cli(&["send", "web", "z"]).status.success());
    assert_eq!(sup.wait_lines("got", 5)[4], "line xz");
    screen.press(b'\n');
    shell.wait().expect("our own child");
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_signal_gives_the_terminal_back_and_so_does_the_end_of_the_supervisor() {
    let mut sup = running(COOKED, "\"sh\"");
    let pid = sup.pid_in("web", "running");
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut screen = Screen::open();
        let mut shell = attached(&mut screen, &sup);
        screen.wait("ready\r\n");
        signal_attach(&sup, signal);
        let shown = assert_given_back(&mut screen, 1);
        assert!(shown.contains("came; web goes on"), "{shown}");
        screen.press(b'\n');
        shell.wait().expect("our own child");
    }
    assert_eq!(sup.lines("got"), ["up"]);
    let mut screen = Screen::open();
    let mut shell = attached(&mut screen, &sup);
    screen.wait("ready\r\n");
    sup.kill();
    let shown = assert_given_back(&mut screen, 0);
    assert!(shown.contains("the supervisor has ended"), "{shown}");
    screen.press(b'\n');
    shell.wait().expect("our own child");
    // The next supervisor has its terminal, and hands keys on.
    sup.start_marked();
    assert_eq!(sup.pid_in("web", "running"), pid);
    let mut screen = Screen::open();
    let mut shell = attached(&mut screen, &sup);
    screen.wait("ready\r\n");
    screen.press(CTRL_C);
    assert_eq!(sup.wait_lines("got", 2), ["up", "INT"]);
    screen.press(LEAVE);
    assert_given_back(&mut screen, 0);
    screen.press(b'\n');
    shell.wait().expect("our own child");
    assert_eq!(sup.stop(), 0);
    sup.assert_nothing_left();
}

#[test]
fn a_program_with_the_whole_screen_draws_it_anew_and_leaving_gives_it_back() {
    let mut sup = running(FULL, "\"python3\"");
    wait_written(&sup, "first\n");
    let mut screen = Screen::open();
    // As large as it is already: the size alone would tell it nothing.
    screen.resize(24, 80);
    let mut shell = attached(&mut screen, &sup);
    let shown = screen.wait("drawn\ndrawn\n");
    let before = shown.split_once("\x1b[?1049h").expect("the other screen").0;
    assert!(!before.contains("first"), "{shown:?}");
    screen.press(LEAVE);
    let shown = assert_given_back(&mut screen, 0);
    assert!(shown.contains("\x1b[?1049l"), "{shown:?}");
    screen.press(b'\n');
    shell.wait().expect("our own child");
    assert_eq!(sup.stop(), 0);
}

#[test]
fn keys_for_a_program_that_reads_none_delay_nobody_and_are_said_to_be_lost() {
    let mut sup = running(DEAF, "\"python3\"");
    let mut screen = Screen::open();
    let mut shell = attached(&mut screen, &sup);
    wait_for("the terminal to be raw", || {
        if is_raw(&screen) {
            Ok(())
        } else {
            Err(String::new())
        }
    });
    screen.paste(&b"x".repeat(200_000));
    screen.wait("web does not read its terminal, which is full; keys were lost\r\n");
    assert!(sup.cli(&["stop", "web"]).status.success());
    let shown = assert_given_back(&mut screen, 0);
    assert_eq!(shown.matches("keys were lost").count(), 1, "{shown}");
    screen.press(b'\n');
    shell.wait().expect("our own child");
    assert_eq!(sup.stop(), 0);
    sup.assert_nothing_left();
}
