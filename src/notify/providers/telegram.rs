//! The Telegram bot API: plain text with entities (offsets in UTF-16 units), so there is nothing to escape. The
//! token is part of the address.

use serde_json::{Value, json};

use super::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Tier, Told, USER_AGENT,
    by_status, json, json_headers, permanent, reason, refused_form, retryable,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::target::Telegram;
use crate::notify::render::Message;
use crate::secret::Secret;

/// Text under construction, its length in the units that Telegram counts.
#[derive(Default)]
struct Text {
    content: String,
    units: usize,
    entities: Vec<Value>,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.content.push_str(text);
        self.units += text.encode_utf16().count();
    }

    fn push_as(&mut self, kind: &str, text: &str) {
        let offset = self.units;
        self.push(text);
        let length = self.units - offset;
        // An entity of nothing is refused.
        if length > 0 {
            self.entities
                .push(json!({ "type": kind, "offset": offset, "length": length }));
        }
    }
}

impl Provider for Telegram {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let text = text(&told.message(context), context.tier);
        let chat = context.moved_to.unwrap_or(&self.chat_id);
        let chat_id = chat
            .parse::<i64>()
            .map_or_else(|_| json!(chat), |id| json!(id));
        let mut body = json!({
            "chat_id": chat_id,
            "text": text.content,
            "link_preview_options": { "is_disabled": true },
        });
        if !text.entities.is_empty() {
            body["entities"] = text.entities.into();
        }
        let base = self.api_url.trim_end_matches('/');
        let url = Secret::new(format!("{base}/bot{}/sendMessage", self.token.expose()));
        HttpRequest::post(url, json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        Secret::new(self.api_url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

fn text(message: &Message, tier: Tier) -> Text {
    match tier {
        Tier::Rich => rich(message),
        Tier::Plain => plain(message),
        Tier::Line => {
            let mut text = Text::default();
            text.push(&harmless(&message.title));
            text
        }
    }
}

fn rich(message: &Message) -> Text {
    let mut text = Text::default();
    text.push(message.mood.sign());
    text.push(" ");
    text.push_as("bold", &harmless(&message.title));
    for (label, value) in &message.facts {
        text.push("\n");
        text.push(label);
        text.push(": ");
        // Inside code nothing becomes a mention, a command or a link.
        text.push_as("code", value);
    }
    let footer = message.footer.encode_utf16().count() + 2;
    if !message.tail.is_empty() {
        let room = limits::TELEGRAM_TEXT.saturating_sub(text.units + footer);
        text.push("\n");
        text.push_as("pre", &message.tail_within(room.min(limits::TELEGRAM_TAIL)));
    }
    text.push("\n");
    text.push_as("code", &message.footer);
    text
}

fn plain(message: &Message) -> Text {
    let mut text = Text::default();
    let lines = harmless(&message.lines().join("\n"));
    text.push(&crate::text::cut_by(
        &lines,
        limits::TELEGRAM_TEXT,
        char::len_utf16,
    ));
    text
}

/// Telegram finds mentions, commands and tags in plain text by itself: a word joiner after the sign stops that.
fn harmless(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            out.push(c);
            if matches!(c, '@' | '/' | '#' | '$') {
                out.push('\u{2060}');
            }
            out
        })
}

/// What Telegram's answer means; its descriptions are the only way to tell most cases apart.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let is_ok = field("ok").and_then(Value::as_bool);
    if (200..300).contains(&response.status) && is_ok == Some(true) {
        let id = body.as_ref().and_then(|b| b.pointer("/result/message_id"));
        return Outcome::Delivered {
            message: id.map(|id| MessageRef::new(id.to_string())),
        }
        .into();
    }
    let said = field("description").and_then(Value::as_str).unwrap_or("");
    let status = field("error_code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok())
        .unwrap_or(response.status);
    let why = reason(status, said);
    match status {
        200..=299 => retryable(format!("{why} (not \"ok\")"), None),
        401 | 404 => permanent(why, true),
        400 => bad_request(said, body.as_ref(), why),
        413 => refused_form(why),
        // The body's code counts: a proxy may have changed the status.
        _ => by_status(
            &Response {
                status,
                ..response.clone()
            },
            said,
            now,
        ),
    }
}

fn bad_request(said: &str, body: Option<&Value>, why: String) -> Judgement {
    let new_chat = body.and_then(|b| b.pointer("/parameters/migrate_to_chat_id"));
    if let Some(id) = new_chat.filter(|id| id.is_i64()) {
        return Judgement {
            instead: Some(Instead::MovedTo(id.to_string())),
            ..permanent(why, false)
        };
    }
    let said = said.to_ascii_lowercase();
    let hopeless = [
        "chat not found",
        "chat_id is empty",
        "not enough rights",
        "have no rights",
        "peer_id_invalid",
    ];
    if hopeless.iter().any(|h| said.contains(h)) {
        return permanent(why, false);
    }
    refused_form(why)
}
