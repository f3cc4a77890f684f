//! Times of maintenance: chats are told nothing of their programs, over kills and reloads, and once at the end.

use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const PROGRAM: &str = r#"
[program.web]
shell = true
command = "while [ ! -e web.go ]; do sleep 0.05; done; exit 3"
restart = "never"
start_confirm = "50ms"
"#;

/// A minute ago, as a time of day in UTC.
fn lately() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let minute = now.expect("after 1970").as_secs() / 60 - 1;
    format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
}

fn config(chat: &Receiver, maintenance: &str) -> String {
    format!(
        "{maintenance}{PROGRAM}\n[target.chat]\nkind = \"discord\"\nurl = \"{}\"\n[[route]]\ntargets = [\"chat\"]\n",
        chat.url("/api/webhooks/1/tok")
    )
}

fn window() -> String {
    format!(
        "[[maintenance]]\nprograms = [\"web\"]\nschedule = {{ at = \"{}\", zone = \"UTC\" }}\nduration = \"2h\"\nreason = \"backup of today\"\n",
        lately()
    )
}

fn chat() -> Receiver {
    Receiver::scripted(|_| {
        let body = "{\"id\": \"1\", \"channel_id\": \"5\"}".to_owned();
        crate::support::receiver::Reply::Status(200, vec![], body)
    })
}

fn silences(supervisor: &Supervisor) -> usize {
    let status = supervisor.status();
    status["silences"].as_array().map_or(0, Vec::len)
}

#[test]
fn in_maintenance_a_chat_hears_nothing_over_a_kill_and_once_when_it_leaves_the_configuration() {
    let chat = chat();
    let mut supervisor = Supervisor::running(&config(&chat, &window()));
    let shown = wait_for("the maintenance", || {
        let status = supervisor.status();
        match &status["silences"][0]["reason"] {
            serde_json::Value::String(reason) => Ok(reason.clone()),
            _ => Err(status.to_string()),
        }
    });
    assert_eq!(shown, "backup of today");
    supervisor.write("web.go", "");
    wait_for("the crash", || {
        let crashed = supervisor.events_of("program.crashed", "web");
        let is_silenced = |e: &serde_json::Value| e["data"]["silenced"] == true;
        match crashed.first() {
            Some(crash) if is_silenced(crash) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    supervisor.kill();
    supervisor.start();
    wait_for("the same maintenance", || match silences(&supervisor) {
        1 => Ok(()),
        n => Err(format!("{n} silences")),
    });
    let told = |chat: &Receiver| chat.received().iter().any(|r| r.body.contains("crashed"));
    assert!(!told(&chat), "{:?}", chat.received());
    supervisor.write("jikimi.toml", &config(&chat, ""));
    let reloaded = supervisor.cli(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    chat.wait_for("what is still wrong", |r| r.body.contains("web crashed"));
    assert_eq!(silences(&supervisor), 0);
    supervisor.stop();
}
