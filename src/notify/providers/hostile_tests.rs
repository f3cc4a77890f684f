//! Whatever stands in an event, the messages of the chats stay within their limits and hold no mention and no markup:
//! hundreds of messages of bytes that nobody chose, and of the marks that each chat reads.

use serde_json::Value;

use super::chat_tests::{all, google_chat, gotify, matrix, mattermost, ntfy, pushover, teams};
use super::testing::{context, request_of, text, units};
use super::{Context, Task, Tier};
use crate::model::delivery::{Leased, MessageRef};
use crate::model::target::ProviderSpec;
use crate::notify::testing::delivery;

/// What some chat reads as a mention, a link, or the end of something.
const MARKS: [&str; 24] = [
    "@everyone",
    "@channel",
    "<users/all>",
    "<!channel>",
    "<at>x</at>",
    "https://evil.test",
    "www.evil.test",
    "[x](http://evil.test)",
    "```",
    "`",
    "``",
    "\\",
    "\\`",
    "**b**",
    "_i_",
    "~s~",
    "</code></pre>",
    "<b>",
    "&lt;",
    "\u{1b}[31m",
    "\u{202e}",
    "\n",
    "\"",
    "🔥",
];

fn rubbish(rng: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(0..60) {
        match rng.u8(0..4) {
            0 => text.push_str(MARKS[rng.usize(0..MARKS.len())]),
            1 => text.push(rng.char(..)),
            2 => text.extend((0..rng.usize(0..8)).map(|_| rng.char('!'..='~'))),
            _ => {
                let bytes: Vec<u8> = (0..rng.usize(0..12)).map(|_| rng.u8(..)).collect();
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    text
}

fn event(rng: &mut fastrand::Rng) -> Leased {
    let mut leased = delivery("ops");
    let long = rng.usize(1..6);
    let some = |rng: &mut fastrand::Rng| (0..long).map(|_| rubbish(rng)).collect::<String>();
    let facts = &mut leased.event.facts;
    facts.exit = None;
    facts.cause = Some(some(rng));
    facts.asked_by = Some(some(rng));
    facts.target = Some(some(rng));
    facts.log_tail = (0..rng.usize(0..25)).map(|_| some(rng)).collect();
    leased
}

/// Calls `look` with every body that tells some of a few dozen such events.
fn every_body(target: &ProviderSpec, look: impl Fn(&Value, &str)) {
    let mut rng = fastrand::Rng::with_seed(7);
    let root = MessageRef::new("root");
    for _ in 0..40 {
        let leased = event(&mut rng);
        for tier in [Tier::Rich, Tier::Plain, Tier::Line] {
            for task in [Task::CREATE, Task::Edit(&root)] {
                let context = Context {
                    task,
                    ..context(tier)
                };
                let body = request_of(&leased, target, &context).body;
                let value: Value = serde_json::from_str(&body).expect("JSON");
                let mut texts = Vec::new();
                strings(&value, &mut texts);
                for text in texts {
                    let bad =
                        |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
                    assert!(!text.contains(bad), "{text:?}");
                }
                look(&value, &body);
            }
        }
    }
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(list) => list.iter().for_each(|v| strings(v, found)),
        Value::Object(map) => map.values().for_each(|v| strings(v, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Text that is shown as it is, in which a client looks for addresses and names by itself.
fn assert_finds_nothing(text: &str) {
    let lower = text.to_ascii_lowercase();
    for found in ["://", "www.e", "@everyone", "@channel"] {
        assert!(!lower.contains(found), "{found} in {text:?}");
    }
}

#[test]
fn ntfy_shows_plain_text_of_4096_bytes() {
    every_body(&ntfy(), |body, raw| {
        let message = text(body, "/message");
        assert!(
            (1..=4_096).contains(&message.len()) && raw.len() <= 8_192,
            "{}",
            raw.len()
        );
        assert!(text(body, "/title").len() <= 1_024 && !text(body, "/title").contains('\n'));
        assert!(body.get("markdown").is_none());
        assert_finds_nothing(message);
        assert_finds_nothing(text(body, "/title"));
    });
}

#[test]
fn gotify_and_pushover_show_plain_text_within_their_limits() {
    for (target, message_max, title_max) in [(gotify(), 16_000, 1_000), (pushover(), 1_024, 250)] {
        every_body(&target, |body, _| {
            let (message, title) = (text(body, "/message"), text(body, "/title"));
            assert!(
                (1..=message_max).contains(&units(message)),
                "{}",
                units(message)
            );
            assert!(units(title) <= title_max);
            assert!(body.get("html").is_none());
            assert_finds_nothing(message);
            assert_finds_nothing(title);
        });
    }
}

/// What is left of markdown without code, which must be closed.
fn outside_of_code(text: &str) -> String {
    let mut outside = String::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line == "```" {
            is_fenced = !is_fenced;
            continue;
        }
        assert!(!line.contains("```"), "a fence within a line: {line:?}");
        if is_fenced {
            assert!(!line.contains('`'), "{line:?}");
            continue;
        }
        let mut escaped = false;
        let mut is_code = false;
        for c in line.chars() {
            if c == '`' && !escaped {
                is_code = !is_code;
            } else if !is_code {
                outside.push(c);
            }
            escaped = c == '\\' && !escaped && !is_code;
        }
        assert!(!is_code, "code is left open: {line:?}");
        outside.push('\n');
    }
    assert!(!is_fenced, "a fence is left open: {text:?}");
    outside
}

#[test]
fn mattermost_reads_no_markup_and_no_mention() {
    every_body(&mattermost(), |body, raw| {
        assert!(raw.len() < 60_000);
        let mut texts = vec![text(body, "/text"), text(body, "/attachments/0/text")];
        for key in ["title", "footer", "fallback"] {
            texts.push(text(body, &format!("/attachments/0/{key}")));
        }
        let fields = body
            .pointer("/attachments/0/fields")
            .and_then(Value::as_array);
        texts.extend(fields.into_iter().flatten().map(|f| text(f, "/value")));
        assert!(units(text(body, "/text")) <= 4_000);
        for shown in texts {
            // The stars around the title are ours.
            let bare = outside_of_code(shown).replacen("**", "", 1);
            let bare = bare.replacen("**\n", "\n", 1);
            let mut escaped = false;
            for c in bare.chars() {
                assert!(escaped || !"*_[]()~#|>!".contains(c), "{c} in {bare:?}");
                escaped = c == '\\' && !escaped;
            }
            assert_finds_nothing(&bare);
            assert!(!bare.contains("<u") && !bare.contains("<!"), "{bare:?}");
        }
    });
}

#[test]
fn google_chat_reads_no_markup_and_no_mention() {
    every_body(&google_chat(), |body, raw| {
        assert!(raw.len() <= 32_000, "{}", raw.len());
        let shown = text(body, "/text");
        assert!(
            !shown.is_empty() && !shown.contains(['<', '>', '*', '~']),
            "{shown:?}"
        );
        assert_finds_nothing(shown);
        let fences = shown.matches('`').count();
        assert!(
            fences == 0 || (fences == 6 && shown.matches("```").count() == 2),
            "{shown:?}"
        );
        let mut cards = Vec::new();
        strings(&body["cardsV2"], &mut cards);
        for shown in cards {
            let bare = shown.replace("<br>", "");
            assert!(!bare.contains(['<', '>']), "{bare:?}");
            for after in bare.split('&').skip(1) {
                let known = ["amp;", "lt;", "gt;"].iter().any(|e| after.starts_with(e));
                assert!(known, "{bare:?}");
            }
        }
    });
}

#[test]
fn teams_reads_no_markup_and_is_never_too_long() {
    every_body(&teams(), |body, raw| {
        assert!(raw.len() <= 20_000, "{}", raw.len());
        let blocks = body
            .pointer("/attachments/0/content/body")
            .and_then(Value::as_array);
        for block in blocks.expect("a card") {
            assert_eq!(block["type"], "RichTextBlock");
            for run in block["inlines"].as_array().expect("runs") {
                assert_eq!(run["type"], "TextRun");
                assert!(!text(run, "/text").is_empty());
            }
        }
        assert!(!raw.contains("\"entities\":") && !raw.contains("\"TextBlock\""));
    });
}

#[test]
fn matrix_reads_no_markup_and_no_mention_and_is_never_too_long() {
    every_body(&matrix(), |body, raw| {
        assert!(raw.len() <= 60_000, "{}", raw.len());
        let new = body.get("m.new_content");
        for content in std::iter::once(body).chain(new) {
            assert_eq!(content["m.mentions"], serde_json::json!({}));
            assert!(!text(content, "/body").is_empty());
            assert_finds_nothing(text(content, "/body"));
            let mut html = text(content, "/formatted_body").to_owned();
            assert_finds_nothing(&html);
            for tag in ["p", "strong", "code", "pre"] {
                let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
                assert_eq!(html.matches(&open).count(), html.matches(&close).count());
                html = html.replace(&open, "").replace(&close, "");
            }
            assert!(!html.replace("<br>", "").contains(['<', '>']), "{html:?}");
        }
    });
}

#[test]
fn a_very_long_event_loses_its_output_first_and_says_the_rest() {
    let mut leased = delivery("ops");
    leased.event.facts.log_tail = vec!["&\"<".repeat(10_000); 40];
    for target in all() {
        for tier in [Tier::Rich, Tier::Plain] {
            let body = request_of(&leased, &target, &context(tier)).body;
            assert!(body.contains("web:"), "{} {body}", target.kind());
            assert!(
                body.contains(&leased.event.id.to_string()),
                "{} {body}",
                target.kind()
            );
        }
    }
}
