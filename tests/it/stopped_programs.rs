//! Programs that are stopped without having ended: it is noticed, said, and in the way of no stop.

use serde_json::Value;

use crate::support::screen::{Screen, at_terminal};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
}

fn event(supervisor: &Supervisor, kind: &str) -> Value {
    wait_for(&format!("{kind} of web"), || {
        let last = supervisor.events_of(kind, "web").pop();
        last.ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

#[test]
fn one_that_reads_from_the_supervisors_terminal_is_said_to_and_can_be_stopped() {
    let mut screen = Screen::open();
    let mut supervisor = Supervisor::configured(
        "[program.web]\nshell = true\ncommand = 'read -r line < /dev/tty'\nstart_confirm = \"10ms\"\n",
    );
    std::fs::create_dir_all(supervisor.file("run")).expect("our own folder");
    let command = at_terminal(&screen, &supervisor.command(&["run"])).spawn();
    supervisor.adopt(command.expect("setsid is there"));
    let words = "stopped by SIGTTIN: it reads from a terminal it does not own; set stdin or terminal = true";
    supervisor.wait_program("web", "its cause", |view| view["cause"] == words);
    assert_eq!(
        event(&supervisor, "program.stalled")["data"]["cause"],
        words
    );
    screen.wait(&format!("web has stalled: {words}"));
    let status = supervisor.cli(&["status"]);
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(shown.contains("stopped by SIGTTIN"), "{shown}");
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    assert_eq!(
        supervisor.events_of("program.killed", "web"),
        [Value::Null; 0]
    );
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn one_that_a_person_stops_is_told_and_told_again_when_it_goes_on() {
    let supervisor =
        Supervisor::marked("[program.web]\ncommand = \"sleep 1000\"\nstart_confirm = \"10ms\"\n");
    let pid = supervisor.pid_in("web", "running");
    signal(pid, rustix::process::Signal::STOP);
    let words = format!("stopped by SIGSTOP: kill -CONT {pid} lets it go on");
    supervisor.wait_program("web", "its cause", |view| view["cause"] == words.as_str());
    assert_eq!(
        event(&supervisor, "program.stalled")["data"]["cause"],
        words.as_str()
    );
    assert_eq!(supervisor.program("web")["phase"], "running");
    signal(pid, rustix::process::Signal::CONT);
    let cause = "it goes on, stopped by SIGSTOP before";
    assert_eq!(
        event(&supervisor, "program.healthy")["data"]["cause"],
        cause
    );
    supervisor.wait_program("web", "no cause", |view| view["cause"].is_null());
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    assert_eq!(supervisor.events_of("program.stalled", "web").len(), 1);
}

#[test]
fn one_that_is_stopped_hears_the_lines_and_the_signals_of_its_end() {
    let mut supervisor = Supervisor::configured(
        r#"
        [program.web]
        shell = true
        command = '''
        trap 'echo TERM >> got; exit 0' TERM
        echo up >> got
        while read -r line; do echo "$line" >> got; done
        while :; do sleep 0.02; done
        '''
        start_confirm = "10ms"
        stop_stdin = ["save"]
        stop_timeout = "500ms"
        "#,
    );
    supervisor.start_marked();
    let pid = supervisor.pid_in("web", "running");
    supervisor.wait_lines("got", 1);
    signal(pid, rustix::process::Signal::STOP);
    event(&supervisor, "program.stalled");
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    assert_eq!(supervisor.lines("got"), ["up", "save", "TERM"]);
    assert_eq!(
        supervisor.events_of("program.killed", "web"),
        [Value::Null; 0]
    );
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}
