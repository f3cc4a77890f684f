//! `attach`: a program's console, at a terminal and in a pipe. What was typed is judged by what the program recorded.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Output, Stdio};

use crate::support::screen::{Screen, at_terminal};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;

/// Answers each line; ends on `stop`.
const CONSOLE: &str = r#"
[program.web]
shell = true
command = '''
trap 'echo INT >> got' INT
echo up >> up
seq 1 30
printf '\033[2Jhostile \033[32mgreen\033[m\n'
echo ready
while read -r line; do
  echo "$line" >> got
  [ "$line" = stop ] && exit 3
  echo "did $line"
  echo "grumbled at $line" >&2
  printf 'prompt> '
done
'''
stdin = "pipe"
start_confirm = "10ms"
backoff = { initial = "10ms", max = "10ms" }
restart_limit = { count = 1000 }

[program.none]
command = ["sh", "-c", "echo mute; exec sleep 1000"]
instances = 2
start_confirm = "10ms"
"#;

fn running() -> Supervisor {
    let sup = Supervisor::running(CONSOLE);
    wait_shown(&sup, "web/out.log", "ready\n");
    sup
}

fn wait_shown(sup: &Supervisor, file: &str, text: &str) {
    wait_for(&format!("{text:?} in {file}"), || {
        let kept = sup.read(&format!(".jikimi/logs/{file}"));
        if kept.contains(text) {
            Ok(())
        } else {
            Err(kept)
        }
    });
}

fn type_line(screen: &Screen, line: &str) {
    line.bytes()
        .chain([b'\n'])
        .for_each(|key| screen.press(key));
}

fn attached(screen: &Screen, sup: &Supervisor, name: &str) -> Child {
    let mut command = at_terminal(screen, &sup.command(&["attach", name]));
    command.env("TERM", "xterm");
    command.spawn().expect("setsid is there")
}

/// `attach` with `text` as its whole standard input.
fn piped(sup: &Supervisor, name: &str, text: &str) -> Output {
    let mut command = sup.command(&["attach", name]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that refuses at once does not read it.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("our own child")
}

fn all(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn at_a_terminal_lines_go_in_and_output_comes_out_until_ctrl_d() {
    let mut sup = running();
    let before = sup.program("web");
    let mut screen = Screen::open();
    let settings = |screen: &Screen| {
        let found = rustix::termios::tcgetattr(screen.slave()).expect("a terminal");
        format!("{found:?}")
    };
    let untouched = settings(&screen);
    let mut child = attached(&screen, &sup, "web");
    let shown = screen.wait("ready\r\n");
    assert!(shown.starts_with("13\r\n"), "the last 20: {shown}");
    assert!(
        shown.contains("\\x1b[2Jhostile \x1b[32mgreen\x1b[m"),
        "{shown}"
    );
    type_line(&screen, "say  $HOME 'hi'");
    screen.wait("\r\ndid say  $HOME 'hi'\r\n");
    screen.wait("\r\ngrumbled at say  $HOME 'hi'\r\n");
    // A prompt has no end, and is shown all the same.
    screen.wait("prompt> ");
    assert_eq!(settings(&screen), untouched);
    screen.press(CTRL_D);
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
    assert_eq!(settings(&screen), untouched);
    assert_eq!(sup.lines("got"), ["say  $HOME 'hi'"]);
    assert_eq!(sup.program("web")["pid"], before["pid"]);
    assert_eq!(sup.stop(), 0);
}

#[test]
fn ctrl_c_ends_it_and_not_the_program() {
    let sup = running();
    let before = sup.program("web");
    let mut screen = Screen::open();
    let mut child = attached(&screen, &sup, "web");
    screen.wait("ready\r\n");
    screen.press(CTRL_C);
    assert_eq!(child.wait().expect("our own child").signal(), Some(2));
    assert!(sup.cli(&["send", "web", "still"]).status.success());
    assert_eq!(sup.wait_lines("got", 1), ["still"], "no INT reached it");
    assert_eq!(sup.program("web")["pid"], before["pid"]);
}

#[test]
fn it_goes_on_with_the_next_run_and_ends_with_the_supervisor() {
    let mut sup = running();
    let mut screen = Screen::open();
    let mut child = attached(&screen, &sup, "web");
    screen.wait("ready\r\n");
    let old = sup.program("web")["pid"].clone();
    type_line(&screen, "stop");
    let view = sup.wait_program("web", "another run", |view| {
        view["pid"].is_number() && view["pid"] != old && view["phase"] == "running"
    });
    screen.wait(&format!("jikimi: web started as pid {}", view["pid"]));
    type_line(&screen, "again");
    screen.wait("\r\ndid again\r\n");
    sup.kill();
    screen.wait("jikimi: the supervisor has ended");
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
    assert_eq!(sup.lines("got"), ["stop", "again"]);
    let output = piped(&sup, "web", "too late\n");
    assert_eq!(output.status.code(), Some(5), "{}", all(&output));
}

#[test]
fn a_program_that_cannot_be_typed_into_is_only_followed_and_says_so() {
    let sup = running();
    wait_shown(&sup, "none:1/out.log", "mute\n");
    let mut screen = Screen::open();
    let mut child = attached(&screen, &sup, "none:1");
    screen.wait("mute\r\n");
    screen.wait("none:1 has no standard input to type into");
    let before = sup.program("none:1");
    assert!(sup.cli(&["restart", "none:1"]).status.success());
    screen.wait("jikimi: none:1 started as pid ");
    screen.press(CTRL_D);
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
    assert_ne!(sup.program("none:1")["pid"], before["pid"]);
    let output = piped(&sup, "none:1", "hello\n");
    assert_eq!(output.status.code(), Some(1));
    let words = "jikimi: none:1: has no standard input to type into: that takes stdin";
    assert!(all(&output).contains(words), "{}", all(&output));
}

#[test]
fn a_pipe_of_lines_is_typed_in_order_and_what_cannot_be_is_said() {
    let sup = running();
    let output = piped(&sup, "web", "one\n\n  two \nthree");
    assert!(output.status.success(), "{}", all(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ready\n"));
    assert_eq!(sup.wait_lines("got", 4).len(), 4);
    // The shell's `read` takes the blanks away.
    assert_eq!(sup.lines("got"), ["one", "", "two", "three"]);

    let long = "x".repeat(4_096);
    let output = piped(&sup, "web", &format!("{long}\nnul \0\nfour\n"));
    assert_eq!(output.status.code(), Some(1));
    assert!(all(&output).contains("a line of more than 4095 bytes was not typed"));
    assert!(all(&output).contains("send one line of 4095 bytes"));
    assert_eq!(sup.wait_lines("got", 5)[4], "four");

    for (name, code, words) in [
        ("none", 2, "attach takes one; this means none:0, none:1"),
        (
            "wbe",
            1,
            "no program is called \"wbe\"; did you mean \"web\"?",
        ),
    ] {
        let output = piped(&sup, name, "hello\n");
        assert_eq!(output.status.code(), Some(code), "{}", all(&output));
        assert!(all(&output).contains(words), "{}", all(&output));
    }
}
