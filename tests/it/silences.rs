//! Silences: chats are told nothing of a program for a while, and afterwards once; kept through kills.

use serde_json::Value;

use crate::notifications::{FAST, hook};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

fn chat() -> Receiver {
    Receiver::scripted(|_| {
        Reply::Status(200, vec![], r#"{"id":"1184","channel_id":"7"}"#.to_owned())
    })
}

/// Two programs that crash when told to (`NAME.go`) and come back when told to (`NAME.well`), a chat, a machine.
fn config(chat: &Receiver, machine: &Receiver) -> String {
    let program = |name: &str| {
        format!(
            r#"
[program.{name}]
shell = true
command = "[ -e {name}.well ] && exec sleep 1000; while [ ! -e {name}.go ]; do sleep 0.05; done; exit 3"
start_confirm = "50ms"
backoff = {{ initial = "100ms", max = "100ms", jitter = 0.0, reset_after = "300ms" }}
restart_limit = {{ count = 100000, within = "60s", then = "fatal" }}
recover_after = "300ms"
"#
        )
    };
    let url = chat.url("/api/webhooks/12/token-of-a-channel");
    program("web")
        + &program("db")
        + &format!(
            "\n[target.chat]\nkind = \"discord\"\nurl = \"{url}\"\n{FAST}\n[[route]]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n"
        )
        + &hook("machine", &machine.url("/"), "")
}

fn said(receiver: &Receiver, words: &str) -> usize {
    let all = receiver.received();
    all.iter().filter(|r| r.body.contains(words)).count()
}

fn silence(supervisor: &Supervisor, args: &[&str]) -> Vec<Value> {
    let args = [&["silence", "--json"][..], args].concat();
    let output = supervisor.cli(&args);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a list")
}

fn id(silences: &[Value]) -> String {
    silences[0]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn in_a_silence_machines_hear_everything_and_the_chat_hears_afterwards_what_is_still_wrong() {
    let (chat, machine) = (chat(), Receiver::start());
    let mut supervisor = Supervisor::running(&config(&chat, &machine));
    let begun = silence(&supervisor, &["web", "2h", "--reason", "deploy of today"]);
    supervisor.write("web.go", "");
    let crash = machine.wait_for("a second crash", |r| {
        r.body.contains("program.crashed") && r.json()["data"]["restarts"] == 1
    });
    assert_eq!(crash.json()["data"]["silenced"], true);
    // Another program is heard of, so the chat could have been told of the first one.
    supervisor.write("db.go", "");
    chat.wait_for("the other one", |r| r.body.contains("db crashed"));
    assert_eq!(said(&chat, "web"), 0, "{:?}", chat.received());
    let status = supervisor.status();
    assert_eq!(status["silences"][0]["reason"], "deploy of today");
    let shown = supervisor.cli(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("deploy of today"), "{shown}");
    assert_eq!(silence(&supervisor, &["list"]).len(), 1);
    let all = id(&begun);
    silence(&supervisor, &["end", &all[all.len() - 8..]]);
    let told = chat.wait_for("what is still wrong", |r| r.body.contains("web crashed"));
    assert!(told.body.contains("deploy of today"), "{told:?}");
    assert!(silence(&supervisor, &["list"]).is_empty());
    assert_eq!(supervisor.stop(), 0, "a clean end");
    assert_eq!(said(&chat, "silence is over"), 0, "nothing has passed");
}

#[test]
fn what_has_passed_in_a_silence_is_one_line_also_when_the_supervisor_was_killed_in_it() {
    let (chat, machine) = (chat(), Receiver::start());
    let mut supervisor = Supervisor::running(&config(&chat, &machine));
    let begun = silence(&supervisor, &["w*", "2h", "--reason", "deploy"]);
    supervisor.write("web.go", "");
    machine.wait_type("program.crashed", "web");
    supervisor.kill();
    supervisor.start();
    assert_eq!(silence(&supervisor, &["list"]).len(), 1, "it is kept");
    supervisor.write("web.well", "");
    machine.wait_type("program.recovered", "web");
    silence(&supervisor, &["end", &id(&begun)]);
    let line = chat.wait_for("the line", |r| r.body.contains("silence is over"));
    assert!(line.body.contains("deploy"), "{line:?}");
    assert!(line.body.contains("and recovered"), "{line:?}");
    assert_eq!(supervisor.stop(), 0, "a clean end");
    assert_eq!(said(&chat, "web crashed"), 0, "{:?}", chat.received());
}

#[test]
fn a_silence_that_ended_while_nobody_ran_is_over_at_the_start() {
    let (chat, machine) = (chat(), Receiver::start());
    let mut supervisor = Supervisor::running(&config(&chat, &machine));
    silence(&supervisor, &["web", "1s"]);
    supervisor.kill();
    supervisor.write("web.go", "");
    supervisor.start();
    machine.wait_for("its end", |r| r.body.contains("silence.ended"));
    chat.wait_for("what is wrong", |r| r.body.contains("web crashed"));
    assert_eq!(supervisor.stop(), 0, "a clean end");
}

#[test]
fn a_silence_of_nobody_or_for_no_time_is_refused_with_a_sentence() {
    let mut supervisor = Supervisor::running("[program.web]\ncommand = \"sleep 1000\"\n");
    for (args, status, part) in [
        (&["silence", "wbe", "2h"][..], 1, "did you mean \"web\""),
        (&["silence", "web"], 2, "how long"),
        (&["silence", "web", "0s"], 1, "duration"),
        (
            &["silence", "end", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
            1,
            "no silence",
        ),
    ] {
        let output = supervisor.cli(args);
        assert_eq!(output.status.code(), Some(status), "{args:?} {output:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(part), "{args:?} {error}");
    }
    assert_eq!(supervisor.stop(), 0, "a clean end");
}
