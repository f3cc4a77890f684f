//! Discord, Slack and Telegram: what programs print never becomes markup, a mention or too long.

use serde_json::Value;

use super::FAST;
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;

/// What a program says to get people's attention, and a line that is longer than any message.
const HOSTILE: &str = r#"
[program.bad]
shell = true
command = '''
head -c 300000 /dev/zero | tr '\0' '`'; echo
for i in 1 2 3 4 5 6; do
  printf '@everyone @here <!channel> <@U123> <@&7> ```fence``` [x](http://evil.test) *b* _i_ <b>&amp; /cmd #tag\n' >&2
done
printf '\033[31mred\007 \377\376 \342\200\256desrever ```' >&2
exit 1
'''
restart = "never"
[program.worse]
command = "./@everyone-<!channel>-```-[x](http://evil.test)-\u001b[31m"
restart_limit = { count = 1, within = "60s", then = "fatal" }
backoff = { initial = "20ms", jitter = 0.0 }
"#;

/// Runs the hostile programs against one chat and gives all bodies it was sent.
fn bodies(target: &str, receiver: &Receiver) -> Vec<Value> {
    let config = format!(
        "{HOSTILE}\n[target.chat]\n{target}\n{FAST}\n[[route]]\nmin_severity = \"info\"\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n"
    );
    let mut supervisor = Supervisor::running(&config);
    receiver.wait_for("the crash", |r| r.body.contains("bad crashed"));
    receiver.wait_for("the end of tries", |r| {
        r.body.contains("worse was given up")
    });
    supervisor.stop();
    receiver.received().iter().map(Received::json).collect()
}

/// Every text in `value`, with its key.
fn texts<'a>(key: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(list) => list.iter().for_each(|v| texts(key, v, found)),
        Value::Object(map) => map.iter().for_each(|(k, v)| texts(k, v, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn assert_no_control(body: &Value) {
    let mut found = Vec::new();
    texts("", body, &mut found);
    for (_, text) in found {
        let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn units_of(text: &Value) -> usize {
    units(text.as_str().unwrap_or_default())
}

/// `text` holds none of Discord's marks but with a backslash before it.
fn assert_escaped(text: &str) {
    let mut escaped = false;
    for c in text.chars() {
        assert!(
            escaped || !"@<>*_`[]()|~#".contains(c),
            "{c} is read as markup in {text:?}"
        );
        escaped = c == '\\' && !escaped;
    }
}

#[test]
fn nothing_a_program_prints_becomes_markup_at_discord() {
    let receiver = Receiver::scripted(|_| {
        Reply::Status(200, vec![], r#"{"id":"1184", "channel_id":"7"}"#.to_owned())
    });
    let url = receiver.url("/api/webhooks/12/token-of-a-channel");
    let bodies = bodies(&format!("kind = \"discord\"\nurl = \"{url}\""), &receiver);
    for request in receiver.received() {
        let made = "/api/v10/webhooks/12/token-of-a-channel?wait=true";
        let edited = "/api/v10/webhooks/12/token-of-a-channel/messages/1184";
        let is_edit = request.method == "PATCH";
        assert_eq!(request.path, if is_edit { edited } else { made });
        assert!(
            request.headers["user-agent"].starts_with("DiscordBot ("),
            "{request:?}"
        );
        assert!(request.headers["content-type"].starts_with("application/json"));
    }
    for body in &bodies {
        assert_no_control(body);
        assert_eq!(
            body["allowed_mentions"],
            serde_json::json!({ "parse": [] }),
            "{body}"
        );
        let Some(embeds) = body["embeds"].as_array() else {
            // The answer in one line to what got critical.
            assert_escaped(body["content"].as_str().expect("a line"));
            continue;
        };
        let mut sum = 0;
        for embed in embeds {
            sum += discord_embed(embed);
        }
        assert!(embeds.len() <= 10 && sum <= 6_000, "{sum}: {body}");
    }
    let has_tail = |b: &&Value| b["embeds"][0]["description"].is_string();
    let crash = bodies
        .iter()
        .find(has_tail)
        .expect("the crash has last lines");
    assert!(
        crash.to_string().contains("@everyone"),
        "the lines are there: {crash}"
    );
}

fn discord_embed(embed: &Value) -> usize {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(units_of(&embed["title"]) <= 256, "{embed}");
    assert_escaped(&text(&embed["title"]));
    let mut sum = units_of(&embed["title"])
        + units_of(&embed["description"])
        + units_of(&embed["footer"]["text"]);
    assert!(units_of(&embed["description"]) <= 4_096, "{embed}");
    if let Some(fenced) = embed["description"].as_str() {
        let inner = fenced.strip_prefix("```\n").expect("a fence");
        let inner = inner.strip_suffix("\n```").expect("its end");
        assert!(!inner.contains("```"), "the fence is left: {fenced:?}");
    }
    let fields = embed["fields"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(fields.len() <= 25, "{embed}");
    for field in fields {
        let (name, value) = (units_of(&field["name"]), units_of(&field["value"]));
        assert!(
            (1..=256).contains(&name) && (1..=1_024).contains(&value),
            "{embed}"
        );
        assert_escaped(&text(&field["value"]));
        sum += name + value;
    }
    sum
}

#[test]
fn nothing_a_program_prints_becomes_markup_at_slack() {
    let receiver = Receiver::scripted(|_| Reply::Status(200, vec![], "ok".to_owned()));
    let url = receiver.url("/services/T0/B0/key");
    let bodies = bodies(&format!("kind = \"slack\"\nurl = \"{url}\""), &receiver);
    for body in &bodies {
        assert_no_control(body);
        let fallback = body["text"].as_str().expect("the fallback text");
        assert!(!fallback.contains(['<', '>']), "{fallback}");
        assert!(units(fallback) <= 4_000, "{body}");
        assert_eq!(body["link_names"], false);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50, "{body}");
        let mut found = Vec::new();
        texts("", &body["blocks"], &mut found);
        assert!(
            found
                .iter()
                .all(|(key, text)| *key != "type" || *text != "mrkdwn"),
            "{body}"
        );
        let shown: Vec<&str> = found
            .iter()
            .filter(|(k, _)| *k == "text")
            .map(|(_, t)| *t)
            .collect();
        assert!(shown.iter().all(|t| units(t) <= 3_000), "{body}");
        assert!(
            shown.iter().map(|t| units(t)).sum::<usize>() <= 13_000,
            "{body}"
        );
        let header = &blocks[0];
        assert_eq!(header["type"], "header");
        assert!(units_of(&header["text"]["text"]) <= 150, "{body}");
    }
    let all = serde_json::to_string(&bodies).expect("JSON");
    assert!(
        all.contains("<!channel>"),
        "the lines are there, as plain text"
    );
}

#[test]
fn nothing_a_program_prints_becomes_markup_at_telegram() {
    let receiver = Receiver::scripted(|_| {
        Reply::Status(
            200,
            vec![],
            r#"{"ok":true,"result":{"message_id":5,"chat":{"id":-100}}}"#.to_owned(),
        )
    });
    let target = format!(
        "kind = \"telegram\"\ntoken = \"1:AA\"\nchat_id = -100\napi_url = \"{}\"",
        receiver.url("")
    );
    let bodies = bodies(&target, &receiver);
    for request in receiver.received() {
        let methods = ["/bot1:AA/sendMessage", "/bot1:AA/editMessageText"];
        assert!(methods.contains(&&*request.path), "{}", request.path);
    }
    for body in &bodies {
        assert_no_control(body);
        assert!(body.get("parse_mode").is_none(), "{body}");
        assert_eq!(body["chat_id"], -100);
        assert_eq!(body["link_preview_options"]["is_disabled"], true);
        let text = body["text"].as_str().expect("text");
        let all: Vec<u16> = text.encode_utf16().collect();
        assert!((1..=4_096).contains(&all.len()), "{body}");
        let mut bare = all.clone();
        for entity in body["entities"].as_array().map_or(&[][..], Vec::as_slice) {
            let number = |key: &str| {
                usize::try_from(entity[key].as_u64().expect("a number")).expect("small")
            };
            let span = number("offset")..number("offset") + number("length");
            assert!(
                !span.is_empty() && span.end <= all.len(),
                "{entity}: {body}"
            );
            if matches!(entity["type"].as_str(), Some("pre" | "code")) {
                bare[span].fill(u16::from(b'.'));
            }
        }
        let bare = String::from_utf16(&bare).expect("entities cut no character in two");
        let mut follows = bare.chars().skip(1);
        for sign in bare.chars() {
            let next = follows.next();
            assert!(
                !matches!(sign, '@' | '/' | '#') || next == Some('\u{2060}'),
                "{sign} is read outside of code: {bare:?}"
            );
        }
    }
    let all = serde_json::to_string(&bodies).expect("JSON");
    assert!(all.contains("<!channel>"), "the lines are there, in code");
}
