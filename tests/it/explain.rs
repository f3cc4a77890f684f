//! `jikimi explain`: why did it restart, with a supervisor and without.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::processes::kill;
use crate::support::receiver::Receiver;
use crate::support::supervisor::{BINARY, Supervisor};
use crate::support::wait_for;

/// Ends once with exit code 3, then runs on.
const CRASHER: &str = r#"
[program.web]
shell = true
command = '''
[ -e crashed ] && exec sleep 1000
touch crashed
printf 'out \033[31mred\007 words\n'
echo "last words" >&2
exit 3
'''
start_confirm = "50ms"
backoff = { initial = "50ms", jitter = 0.0 }
"#;

const SLEEPER: &str = r#"
[program.web]
command = ["sleep", "1000"]
start_confirm = "50ms"
backoff = { initial = "50ms", jitter = 0.0 }
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn told(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(&[&["explain"], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn read(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stdout)))
}

/// The ends of `name`, newest first, once there are `count` and the newest has been followed by `then`.
fn ends(supervisor: &Supervisor, name: &str, (count, then): (usize, &str)) -> Vec<Value> {
    wait_for(&format!("{count} ends of {name}, then {then}"), || {
        let output = supervisor.cli(&["explain", name, "--json"]);
        let found = read(&output).remove(0);
        let ends = found["ends"].as_array().expect("a list").clone();
        if ends.len() == count && ends[0]["then"]["what"] == then {
            Ok(ends)
        } else {
            Err(found.to_string())
        }
    })
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_crash_is_explained_with_its_exit_its_last_lines_and_what_followed() {
    let supervisor = Supervisor::running(CRASHER);
    let found = ends(&supervisor, "web", (1, "started"));
    let end = &found[0];
    assert_eq!(
        (&end["how"], &end["exit"]),
        (&json!("crashed"), &json!({ "code": 3 }))
    );
    assert_eq!(
        end["log_tail"],
        json!(["out \\x1b[31mred\\x07 words", "last words"])
    );
    let run = supervisor.wait_phase("web", "running");
    assert_eq!(
        (&end["then"]["pid"], &end["then"]["run"]),
        (&run["pid"], &run["run"])
    );
    let told = told(&supervisor, &["web"]);
    for part in [
        "web is running. Its latest end:",
        "It crashed with exit code 3 after ",
        "| last words",
        "| out \\x1b[31mred\\x07 words",
        "It was started again after ",
        "Pattern: too few: it has ended by itself once.",
        "Suggestion: ",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert!(!told.contains(['\x1b', '\x07']), "{told:?}");
}

#[test]
fn the_json_has_one_shape_whatever_happened() {
    let supervisor = Supervisor::running(&format!(
        "{CRASHER}\n[program.other]\ncommand = [\"sleep\", \"1000\"]\n"
    ));
    ends(&supervisor, "web", (1, "started"));
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    ends(&supervisor, "web", (2, "down"));
    let all = read(&supervisor.cli(&["explain", "all", "--json"]));
    assert_eq!(all.len(), 2, "{all:?}");
    for one in &all {
        assert_eq!(
            keys(one),
            ["advice", "ends", "instance", "pattern", "phase", "program"]
        );
        assert_eq!(
            keys(&one["pattern"]),
            [
                "ends",
                "finding",
                "kind",
                "period_s",
                "score",
                "suggestion",
                "typical_gap_s"
            ]
        );
        for end in one["ends"].as_array().expect("a list") {
            assert_eq!(
                keys(end),
                [
                    "adopted",
                    "asked_by",
                    "before",
                    "cause",
                    "exit",
                    "how",
                    "killed",
                    "log_tail",
                    "peak_memory_bytes",
                    "pid",
                    "run",
                    "started_at",
                    "then",
                    "time",
                    "trigger",
                    "unwatched",
                    "uptime_s",
                    "with_supervisor"
                ]
            );
            assert_eq!(
                keys(&end["then"]),
                ["after_s", "asked_by", "cause", "pid", "run", "what"]
            );
        }
    }
    let one = read(&supervisor.cli(&["explain", "w*", "--json", "-n", "1"]));
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["ends"].as_array().map(Vec::len), Some(1));
    assert_eq!(one[0]["ends"][0]["how"], "stopped", "the newest first");
}

#[test]
fn a_restart_by_hand_says_who_asked_and_is_no_part_of_the_pattern() {
    let supervisor = Supervisor::running(SLEEPER);
    supervisor.wait_phase("web", "running");
    assert!(supervisor.cli(&["restart", "web"]).status.success());
    let found = ends(&supervisor, "web", (1, "started"));
    let who = found[0]["asked_by"].as_str().expect("somebody asked");
    assert!(who.contains("uid"), "{who}");
    assert_eq!(found[0]["how"], "stopped");
    assert_eq!(found[0]["then"]["asked_by"], found[0]["asked_by"]);
    let told = told(&supervisor, &["web"]);
    assert!(
        told.contains(&format!(
            "It was stopped, asked by {who}, and ended on SIGTERM after"
        )),
        "{told}"
    );
    assert!(told.contains("it has not ended by itself"), "{told}");
}

#[test]
fn a_signal_from_elsewhere_is_named() {
    let supervisor = Supervisor::running(SLEEPER);
    let pid = supervisor.wait_phase("web", "running")["pid"]
        .as_u64()
        .expect("it runs");
    kill(u32::try_from(pid).expect("a pid"));
    let found = ends(&supervisor, "web", (1, "started"));
    assert_eq!(
        found[0]["exit"],
        json!({ "signal": "SIGKILL" }),
        "no memory was short"
    );
    let told = told(&supervisor, &["web"]);
    assert!(told.contains("It crashed on SIGKILL after"), "{told}");
}

#[test]
fn what_could_not_be_started_and_was_given_up_says_why() {
    let supervisor = Supervisor::running("[program.web]\ncommand = [\"no-such-thing-here\"]\n");
    let found = ends(&supervisor, "web", (1, "given_up"));
    assert_eq!(found[0]["how"], "not_started");
    assert!(found[0]["run"].is_null());
    let told = told(&supervisor, &["web"]);
    assert!(told.contains("It could not be started."), "{told}");
    assert!(
        told.contains("Why: command not found: no-such-thing-here"),
        "{told}"
    );
    assert!(told.contains("It was given up:"), "{told}");
}

#[test]
fn a_crash_loop_has_a_pattern_and_a_suggestion() {
    let supervisor = Supervisor::running(
        r#"
[program.web]
command = ["false"]
backoff = { initial = "10ms", factor = 1.0, jitter = 0.0 }
restart_limit = { count = 4, within = "60s", then = "fatal" }
"#,
    );
    let found = ends(&supervisor, "web", (5, "given_up"));
    let cause = found[0]["then"]["cause"].as_str().expect("a reason");
    assert!(cause.starts_with("restart limit reached: 4"), "{cause}");
    let one = read(&supervisor.cli(&["explain", "web", "--json"])).remove(0);
    assert_eq!(
        (&one["pattern"]["kind"], &one["pattern"]["ends"]),
        (&json!("dense"), &json!(5))
    );
    let suggestion = one["pattern"]["suggestion"].as_str().expect("text");
    assert!(suggestion.contains("soon after each start"), "{suggestion}");
}

#[test]
fn without_a_supervisor_the_state_folder_is_read_and_that_is_said() {
    let mut supervisor = Supervisor::running(CRASHER);
    let live = ends(&supervisor, "web", (1, "started"));
    supervisor.stop();
    let output = supervisor.cli(&["explain", "web", "--json"]);
    let stored = read(&output).remove(0);
    assert!(
        text(&output.stderr).contains("no supervisor answers"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(stored["ends"][1], live[0]);
    assert_eq!(stored["ends"][0]["how"], "stopped");
    assert_eq!(stored["phase"], "stopped");
    let told = told(&supervisor, &["web"]);
    assert!(
        told.contains("It was stopped with the supervisor, asked by signal SIG"),
        "{told}"
    );
    let unknown = supervisor.cli(&["explain", "wbe"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).contains("did you mean \"web\"?"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn what_ended_while_nobody_watched_not_even_the_holder_is_told_as_not_known() {
    let mut supervisor = Supervisor::running(SLEEPER);
    let pid = supervisor.wait_phase("web", "running")["pid"]
        .as_u64()
        .expect("it runs");
    supervisor.kill();
    // The holder watches, too, and would know.
    for holder in supervisor.holders() {
        kill(holder);
    }
    wait_for("the holder to go", || {
        let holders = supervisor.holders();
        if holders.is_empty() {
            Ok(())
        } else {
            Err(format!("{holders:?}"))
        }
    });
    kill(u32::try_from(pid).expect("a pid"));
    // Until whoever inherited it has reaped it, the kernel still tells.
    wait_for("the last trace to go", || {
        match std::fs::metadata(format!("/proc/{pid}")) {
            Err(_) => Ok(()),
            Ok(_) => Err(format!("{pid} is a zombie")),
        }
    });
    supervisor.start();
    let found = ends(&supervisor, "web", (1, "started"));
    assert_eq!(found[0]["how"], "missed");
    assert_eq!(found[0]["exit"], json!({ "unknown": true }));
    let told = told(&supervisor, &["web"]);
    assert!(
        told.contains("how it ended, when, and after how long is not known"),
        "{told}"
    );
    assert!(
        told.contains("At that time nobody watched for about "),
        "{told}"
    );
}

#[test]
fn a_run_that_outlived_its_supervisor_says_that_nobody_watched_for_a_while() {
    let mut supervisor = Supervisor::running(SLEEPER);
    let before = supervisor.wait_phase("web", "running");
    supervisor.kill();
    supervisor.start();
    let after = supervisor.wait_phase("web", "running");
    assert_eq!(after["pid"], before["pid"], "it was taken over");
    let pid = after["pid"].as_u64().expect("it runs");
    kill(u32::try_from(pid).expect("a pid"));
    let found = ends(&supervisor, "web", (1, "started"));
    assert_eq!(
        (&found[0]["run"], &found[0]["adopted"]),
        (&before["run"], &json!(true))
    );
    let told = told(&supervisor, &["web"]);
    assert!(
        told.contains("no supervisor watched it (nobody watched for about "),
        "{told}"
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let supervisor = Supervisor::running(SLEEPER);
    let output = supervisor.cli(&["explain", "wbe"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("no program is called \"wbe\"; did you mean \"web\"?"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
    let nowhere = Supervisor::configured(SLEEPER);
    assert_eq!(nowhere.cli(&["explain", "web"]).status.code(), Some(5));
    assert!(!nowhere.file(".jikimi").exists(), "reading makes nothing");
}

/// A program that ends with what servers say when `port` is taken, until a file is there that says it may run.
fn wants_port(name: &str, port: u16) -> String {
    format!(
        r#"
[program.{name}]
shell = true
command = '''
[ -e may-run ] && exec sleep 1000
echo "listen tcp 127.0.0.1:{port}: bind: address already in use" >&2
exit 1
'''
restart = "never"
"#
    )
}

fn crash_of(supervisor: &Supervisor, name: &str) -> Value {
    wait_for(&format!("{name} to crash"), || {
        let crashes = supervisor.events_of("program.crashed", name);
        crashes
            .into_iter()
            .next()
            .ok_or_else(|| format!("{:?}", supervisor.events()))
    })
}

#[test]
fn a_port_that_somebody_else_holds_is_told_with_the_crash_and_by_explain() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let receiver = Receiver::start();
    let supervisor = Supervisor::running(&format!(
        "{}\n[target.hook]\nkind = \"webhook\"\nurl = \"{}\"\n[[route]]\ntargets = [\"hook\"]\n",
        wants_port("web", port),
        receiver.url("/")
    ));
    let crash = crash_of(&supervisor, "web");
    let cause = crash["data"]["cause"].as_str().expect("a reason");
    let start = format!("port {port} is held by ");
    let end = format!("(pid {})", std::process::id());
    assert!(
        cause.starts_with(&start) && cause.ends_with(&end),
        "{cause}"
    );
    let message = receiver.wait_type("program.crashed", "web").json();
    assert_eq!(message["data"]["cause"], cause);
    let summary = message["data"]["summary"].as_str().expect("text");
    assert!(summary.contains(cause), "{summary}");
    let told = told(&supervisor, &["web"]);
    assert!(told.contains(&format!("Why: {cause}.")), "{told}");
}

#[test]
fn a_port_that_another_program_of_ours_holds_is_told_with_its_name() {
    // Both are real servers, and the second says itself that the address is in use.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let supervisor = Supervisor::running(&format!(
        r#"
[program.first]
command = ["{BINARY}", "inbox", "--port", "{port}"]

[program.second]
command = ["{BINARY}", "inbox", "--port", "{port}"]
restart = "never"
autostart = false
"#
    ));
    wait_for("the first to listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())
    });
    let pid = supervisor.wait_phase("first", "running")["pid"].clone();
    supervisor.cli(&["start", "second", "--no-wait"]);
    let crash = crash_of(&supervisor, "second");
    let cause = crash["data"]["cause"].as_str().expect("a reason");
    assert_eq!(
        cause,
        format!("port {port} is held by the program first (jikimi, pid {pid})")
    );
}

#[test]
fn a_core_dump_is_told_where_there_was_one() {
    let supervisor = Supervisor::running(
        r#"
[program.web]
shell = true
command = "ulimit -c unlimited 2> /dev/null; kill -SEGV $$"
restart = "never"
"#,
    );
    let found = ends(&supervisor, "web", (1, "down"));
    let exit = &found[0]["exit"];
    assert_eq!(exit["signal"], "SIGSEGV", "{exit}");
    let told = told(&supervisor, &["web"]);
    // Whether the kernel writes one is the machine's affair.
    let words = if exit["core"] == true {
        "on SIGSEGV (core dumped) after"
    } else {
        "on SIGSEGV after"
    };
    assert!(told.contains(words), "{exit}: {told}");
    assert!(told.contains("No start followed."), "{told}");
}

#[test]
fn what_a_stopped_run_said_last_is_read_from_its_files() {
    let supervisor = Supervisor::running(
        r#"
[program.web]
shell = true
command = "echo I am up; exec sleep 1000"
start_confirm = "50ms"
"#,
    );
    supervisor.wait_phase("web", "running");
    wait_for("its words to be written", || {
        let said = supervisor.read(".jikimi/logs/web/out.log");
        if said.contains("I am up") {
            Ok(())
        } else {
            Err(said)
        }
    });
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    let found = ends(&supervisor, "web", (1, "down"));
    assert_eq!(found[0]["log_tail"], json!(["I am up"]));
}

#[test]
fn a_port_that_a_reload_gave_a_program_is_the_one_that_is_looked_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let config = |environment: &str| {
        format!(
            "[program.web]\ncommand = [\"sh\", \"-c\", \"echo EADDRINUSE; exit 1\"]\nrestart = \"never\"\n\
             autostart = false\n{environment}"
        )
    };
    let supervisor = Supervisor::running(&config(""));
    supervisor.write(
        "jikimi.toml",
        &config(&format!("environment = {{ PORT = \"{port}\" }}\n")),
    );
    let reload = supervisor.cli(&["reload"]);
    assert!(reload.status.success(), "{}", text(&reload.stderr));
    supervisor.cli(&["start", "web", "--no-wait"]);
    let crash = crash_of(&supervisor, "web");
    let cause = crash["data"]["cause"].as_str().expect("a reason");
    assert!(
        cause.starts_with(&format!("port {port} is held by ")),
        "{cause}"
    );
}
