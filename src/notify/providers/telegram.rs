//! The Telegram bot API: plain text with entities (offsets in UTF-16 units), so there is nothing to escape. The
//! token is part of the address.

use serde_json::{Value, json};

use super::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Task, Tier, Told, USER_AGENT,
    by_status, json, json_headers, permanent, reason, refused_form, retryable,
};
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
        let here = context.moved_to.unwrap_or(&self.chat_id);
        let of = |message: &MessageRef| {
            let chat = message.place.clone().unwrap_or_else(|| here.to_owned());
            json!({ "chat_id": number(&chat), "message_id": number(&message.id) })
        };
        let (method, body) = match context.task {
            Task::Create { place, reply_to } => {
                let mut body = json!({ "chat_id": number(here) });
                if let Some(topic) = place {
                    body["message_thread_id"] = number(topic);
                }
                if let Some(message) = reply_to {
                    body["reply_parameters"] = json!({
                        "message_id": number(&message.id),
                        "allow_sending_without_reply": true,
                    });
                }
                ("sendMessage", said(told, context, body))
            }
            Task::Edit(message) => ("editMessageText", said(told, context, of(message))),
            Task::Delete(message) => ("deleteMessage", of(message)),
            Task::Open { name } => {
                let name = crate::text::cut_by(name, limits::PLACE_NAME, char::len_utf16);
                let body = json!({ "chat_id": number(here), "name": name });
                ("createForumTopic", body)
            }
        };
        let base = self.api_url.trim_end_matches('/');
        let url = Secret::new(format!("{base}/bot{}/{method}", self.token.expose()));
        HttpRequest::post(url, json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        Secret::new(self.api_url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            places: true,
            keyed: false,
        }
    }
}

/// `body` with the message.
fn said(told: &Told<'_>, context: &Context<'_>, mut body: Value) -> Value {
    let text = text(&told.message(context), context.tier);
    body["text"] = text.content.into();
    body["link_preview_options"] = json!({ "is_disabled": true });
    if !text.entities.is_empty() {
        body["entities"] = text.entities.into();
    }
    body
}

/// An id as the API wants it: a number where it is one.
fn number(id: &str) -> Value {
    id.parse::<i64>()
        .map_or_else(|_| json!(id), |number| json!(number))
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
fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let is_ok = field("ok").and_then(Value::as_bool);
    if (200..300).contains(&response.status) && is_ok == Some(true) {
        let result = body.as_ref().and_then(|b| b.get("result"));
        return Outcome::Delivered {
            message: result.and_then(|result| reference(result, context.task)),
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
        400 => bad_request((said, why), body.as_ref(), context.task),
        413 => refused_form(why),
        // The body's code counts: a proxy may have changed the status.
        _ => by_status(
            &Response {
                status,
                ..response.clone()
            },
            said,
            context.now,
        ),
    }
}

/// What was made.
fn reference(result: &Value, task: Task<'_>) -> Option<MessageRef> {
    let id = |pointer: &str| Some(result.pointer(pointer)?.as_i64()?.to_string());
    match task {
        Task::Create { .. } => Some(MessageRef {
            id: id("/message_id")?,
            place: id("/chat/id"),
        }),
        Task::Open { .. } => {
            let topic = id("/message_thread_id")?;
            Some(MessageRef::new(topic.as_str()).within(topic))
        }
        Task::Edit(_) | Task::Delete(_) => None,
    }
}

/// What the descriptions say of messages and topics.
fn of_task(said: &str, task: Task<'_>) -> Option<Result<(), Instead>> {
    let says = |words: &[&str]| words.iter().any(|w| said.contains(w));
    match task {
        Task::Edit(_) if says(&["message is not modified"]) => Some(Ok(())),
        Task::Edit(_)
            if says(&[
                "message to edit not found",
                "message can't be edited",
                "message_id_invalid",
            ]) =>
        {
            Some(Err(Instead::Afresh))
        }
        Task::Delete(_) if says(&["message to delete not found"]) => Some(Ok(())),
        Task::Delete(_) => Some(Err(Instead::Afresh)),
        Task::Create { place: Some(_), .. }
            if says(&[
                "thread not found",
                "topic_deleted",
                "topic_closed",
                "not a forum",
            ]) =>
        {
            Some(Err(Instead::WithoutPlace))
        }
        Task::Open { .. } => Some(Err(Instead::WithoutPlace)),
        Task::Edit(_) | Task::Create { .. } => None,
    }
}

fn bad_request((said, why): (&str, String), body: Option<&Value>, task: Task<'_>) -> Judgement {
    let new_chat = body.and_then(|b| b.pointer("/parameters/migrate_to_chat_id"));
    if let Some(id) = new_chat.filter(|id| id.is_i64()) {
        return Judgement {
            instead: Some(Instead::MovedTo(id.to_string())),
            ..permanent(why, false)
        };
    }
    let said = said.to_ascii_lowercase();
    match of_task(&said, task) {
        Some(Ok(())) => return Outcome::Delivered { message: None }.into(),
        Some(Err(instead)) => {
            return Judgement {
                instead: Some(instead),
                ..permanent(why, false)
            };
        }
        None => {}
    }
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
