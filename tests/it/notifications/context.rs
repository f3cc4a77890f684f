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
