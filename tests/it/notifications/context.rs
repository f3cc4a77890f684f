//! What a message says besides that something happened: what was used before, what changed, in whose language.

use serde_json::Value;

use super::FAST;
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;

/// A Discord that takes everything.
fn discord() -> Receiver {
    Receiver::scripted(|_| Reply::Status(200, vec![], r#"{"id":"1", "channel_id":"7"}"#.to_owned()))
}

/// A target of this name at that Discord, told of everything from `min` on, with `more` keys.
fn target(name: &str, at: &Receiver, more: &str) -> String {
    let url = at.url("/api/webhooks/1/token");
    format!(
        "\n[target.{name}]\nkind = \"discord\"\nurl = \"{url}\"\n{FAST}\n{more}\n\
         [[route]]\ntargets = [\"{name}\"]\n"
    )
}

/// The embed of the first message with `text`.
fn embed(at: &Receiver, text: &str) -> Value {
    at.wait_for(text, |r| r.body.contains(text));
    let received = at.received();
    let found = received.iter().find(|r| r.body.contains(text));
    found.map(Received::json).expect("it was waited for")["embeds"][0].clone()
}

fn field(embed: &Value, name: &str) -> String {
    let fields = embed["fields"].as_array().expect("fields");
    let found = fields.iter().find(|field| field["name"] == name);
    let value = found.and_then(|field| field["value"].as_str());
    value
        .unwrap_or_else(|| panic!("no {name} in {embed}"))
        .to_owned()
}

#[test]
fn a_crash_shows_what_was_used_before_it_in_the_language_of_each_target() {
    let (english, korean) = (discord(), discord());
    let config = format!(
        r#"
[metrics]
interval = "100ms"
[notify]
language = "ko"
[program.web]
shell = true
command = "sleep 1; echo last words; exit 3"
start_confirm = "50ms"
backoff = {{ initial = "60s", max = "60s", jitter = 0.0 }}
{}{}"#,
        target("en", &english, "language = \"en\""),
        target("ko", &korean, ""),
    );
    let mut supervisor = Supervisor::running(&config);
    let embed_en = embed(&english, "web crashed");
    let memory = field(&embed_en, "Memory before");
    assert!(
        memory.contains(['▁', '█']) && memory.contains(" → "),
        "{memory}"
    );
    assert!(memory.contains("KiB") || memory.contains("MiB"), "{memory}");
    assert!(field(&embed_en, "CPU before").contains('%'), "{embed_en}");
    let next = field(&embed_en, "Next restart in");
    assert!(next.starts_with("<t:") && next.ends_with(":R>"), "{next}");
    let embed_ko = embed(&korean, "비정상 종료했습니다");
    assert!(
        field(&embed_ko, "종료 전 메모리").contains('█'),
        "{embed_ko}"
    );
    assert_eq!(field(&embed_ko, "종료 상태"), "종료 코드 3");
    assert!(
        embed_ko["description"]
            .as_str()
            .is_some_and(|d| d.contains("last words"))
    );
    supervisor.stop();
}

/// A program that is up until its variable `MODE` is `bad`, or its script says otherwise.
fn server(mode: &str, at: &Receiver) -> String {
    format!(
        r#"
[program.web]
command = ["/bin/sh", "./server.sh"]
environment = {{ MODE = "{mode}" }}
start_confirm = "100ms"
recover_after = "100ms"
backoff = {{ initial = "60s", max = "60s", jitter = 0.0 }}
{}"#,
        target("chat", at, "language = \"en\"")
    )
}

const SCRIPT: &str = "[ $MODE = bad ] && exit 3\nexec sleep 1000\n";
const CHANGED: &str = "Changed since it did well";

/// A supervisor with [`server`], which is up.
fn serving(at: &Receiver) -> Supervisor {
    let mut supervisor = Supervisor::configured(&server("good", at));
    supervisor.write("server.sh", SCRIPT);
    supervisor.start();
    supervisor.wait_phase("web", "running");
    supervisor
}

#[test]
fn a_crash_after_a_reload_names_the_key_that_was_changed() {
    let chat = discord();
    let mut supervisor = serving(&chat);
    supervisor.write("jikimi.toml", &server("bad", &chat));
    // It says, too, that the program does not come up.
    supervisor.cli(&["reload"]);
    let told = embed(&chat, "web crashed");
    assert_eq!(field(&told, CHANGED), "environment.MODE");
    let events = supervisor.events_of("program.crashed", "web");
    assert_eq!(
        events[0]["data"]["changed"],
        serde_json::json!([{"config": "environment.MODE"}]),
        "{events:?}"
    );
    supervisor.stop();
}

#[test]
fn a_crash_after_an_upgrade_names_the_file_that_was_replaced() {
    let chat = discord();
    let mut supervisor = serving(&chat);
    supervisor.write("server.sh", "echo a new version >&2\nexit 4\n");
    supervisor.cli(&["restart", "web"]);
    let told = embed(&chat, "web crashed");
    assert!(field(&told, CHANGED).starts_with("./server.sh"), "{told}");
    supervisor.stop();
}

#[test]
fn a_key_that_was_changed_while_no_supervisor_ran_is_named_too() {
    let chat = discord();
    let mut supervisor = serving(&chat);
    supervisor.stop();
    // As if that run had lasted ten minutes.
    let database = rusqlite::Connection::open(supervisor.file(".jikimi/jikimi.db"));
    let database = database.expect("a database");
    let older = "UPDATE runs SET started_at = started_at - 600000";
    assert_eq!(database.execute(older, []).expect("it is ours now"), 1);
    drop(database);
    supervisor.write("jikimi.toml", &server("bad", &chat));
    supervisor.start();
    let told = embed(&chat, "web crashed");
    assert_eq!(field(&told, CHANGED), "environment.MODE");
    supervisor.stop();
}
