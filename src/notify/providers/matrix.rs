//! Matrix: a message is an event in a room, sent under a transaction id of ours, so that one sent twice is one. Its
//! HTML is escaped, and it says itself that it mentions nobody.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::flat::{self, Room};
use super::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Task, Tier, Told, USER_AGENT,
    by_status, json, json_headers, permanent, reason, refused_form, retryable, wait,
};
use crate::clock::Wall;
use crate::fetch::{Method, Response};
use crate::limits;
use crate::model::delivery::{Leased, MessageRef, Outcome};
use crate::model::target::Matrix;
use crate::notify::render::Message;
use crate::secret::Secret;

const TEXT: Room = Room {
    max: limits::MATRIX_TEXT,
    cost: flat::json_cost,
};

impl Provider for Matrix {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let transaction = transaction(told.leased, context);
        let (path, body) = match context.task {
            Task::Delete(message) => (
                format!("redact/{}/{transaction}", encoded(&message.id)),
                json!({}),
            ),
            Task::Open { name } => (
                format!("send/m.room.message/{transaction}"),
                json!({ "msgtype": "m.text", "body": name, "m.mentions": {} }),
            ),
            Task::Edit(_) | Task::Create { .. } => (
                format!("send/m.room.message/{transaction}"),
                event(&told.message(context), context),
            ),
        };
        HttpRequest {
            method: Method::Put,
            ..HttpRequest::post(self.path(&path), self.headers(), &body)
        }
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        Secret::new(self.url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            places: true,
            keyed: true,
        }
    }
}

impl Matrix {
    fn path(&self, rest: &str) -> Secret {
        let base = self.url.trim_end_matches('/');
        let room = encoded(&self.room);
        Secret::new(format!("{base}/_matrix/client/v3/rooms/{room}/{rest}"))
    }

    fn headers(&self) -> Vec<(String, Secret)> {
        let mut headers = json_headers(USER_AGENT);
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        headers.push(("authorization".to_owned(), bearer));
        headers
    }
}

/// The same on every attempt; another for each thing that is done for one delivery, and for each form of it.
fn transaction(leased: &Leased, context: &Context<'_>) -> String {
    let task = match context.task {
        Task::Create {
            reply_to: None,
            place: None,
        } => "new",
        Task::Create { reply_to: None, .. } => "threaded",
        Task::Open { .. } => "open",
        Task::Create {
            reply_to: Some(_), ..
        } => "reply",
        Task::Edit(_) => "edit",
        Task::Delete(_) => "delete",
    };
    let form = match context.tier {
        Tier::Rich => "rich",
        Tier::Plain => "plain",
        Tier::Line => "line",
    };
    format!("{}-{task}-{form}", leased.id)
}

/// The event's content: small enough also when it stands in it twice, as in an edit.
fn event(message: &Message, context: &Context<'_>) -> Value {
    flat::fitting(context.tier, limits::MATRIX_EVENT, |tier| {
        let said = content(message, tier);
        match context.task {
            Task::Edit(edited) => edit(&said, edited),
            Task::Create { place, reply_to } => related(said, (place, reply_to)),
            Task::Delete(_) | Task::Open { .. } => said,
        }
    })
}

fn content(message: &Message, tier: Tier) -> Value {
    let mut content = match tier {
        Tier::Rich => json!({
            "body": flat::whole(message, TEXT),
            "format": "org.matrix.custom.html",
            "formatted_body": html(message),
        }),
        Tier::Plain => json!({ "body": flat::whole(message, TEXT) }),
        Tier::Line => json!({ "body": flat::title(message) }),
    };
    // Not `m.notice`, by which nobody is notified.
    content["msgtype"] = "m.text".into();
    content["m.mentions"] = json!({});
    content
}

/// What those show who know no edits begins with an asterisk.
fn edit(content: &Value, edited: &MessageRef) -> Value {
    let mut outer = content.clone();
    for key in ["body", "formatted_body"] {
        if let Some(text) = content.get(key).and_then(Value::as_str) {
            outer[key] = format!("* {text}").into();
        }
    }
    outer["m.new_content"] = content.clone();
    outer["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": edited.id });
    outer
}

/// In the thread of `place`, or else in one that hangs on what it answers. A real answer in a thread is told from one
/// that is there only for those who show no threads.
fn related(mut content: Value, (place, reply_to): (Option<&str>, Option<&MessageRef>)) -> Value {
    let answered = reply_to.map(|message| message.id.as_str());
    if let Some(root) = place.or(answered) {
        content["m.relates_to"] = json!({
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": place.is_none() || answered.is_none(),
            "m.in_reply_to": { "event_id": answered.unwrap_or(root) },
        });
    }
    content
}

fn html(message: &Message) -> String {
    let title = escaped(&message.title);
    let mut out = format!("<p>{} <strong>{title}</strong></p>", message.mood.sign());
    if !message.facts.is_empty() {
        out.push_str("<p>");
        for (i, (label, value)) in message.facts.iter().enumerate() {
            let between = if i == 0 { "" } else { "<br>" };
            let _ = write!(out, "{between}{label}: <code>{}</code>", escaped(value));
        }
        out.push_str("</p>");
    }
    if !message.tail.is_empty() {
        let tail = escaped(&message.tail_within(limits::MATRIX_TAIL));
        let _ = write!(out, "<pre><code>{tail}</code></pre>");
    }
    let _ = write!(out, "<p><code>{}</code></p>", escaped(&message.footer));
    out
}

/// For text between tags: a quote is none of its marks. Addresses and names in it are not found.
fn escaped(text: &str) -> String {
    flat::unlinked(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A part of a path (RFC 3986 §2.3 says what may stand in it as it is).
fn encoded(part: &str) -> String {
    part.bytes()
        .fold(String::with_capacity(part.len()), |mut out, b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                out.push(char::from(b));
            } else {
                let _ = write!(out, "%{b:02X}");
            }
            out
        })
}

/// What the homeserver's answer means.
fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or("");
    let (code, said) = (text("errcode"), text("error"));
    let why = if code.is_empty() {
        reason(response.status, said)
    } else {
        format!(
            "{} ({})",
            reason(response.status, said),
            crate::text::printable(code.as_bytes())
        )
    };
    let is_deletion = matches!(context.task, Task::Delete(_));
    let is_placed = matches!(context.task, Task::Create { place: Some(_), .. });
    match (response.status, code) {
        (200..=299, _) => match field("event_id").and_then(Value::as_str) {
            Some(id) => taken(id, context.task),
            None => retryable(format!("{why} (no event of Matrix)"), None),
        },
        (404, "M_NOT_FOUND") if is_deletion => Outcome::Delivered { message: None }.into(),
        (429, _) | (_, "M_LIMIT_EXCEEDED") => {
            retryable(why, Some(stated(response, body.as_ref(), context.now)))
        }
        // A soft log-out can be mended by logging in again, which is not ours to do either.
        (401, _) | (_, "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED") => {
            permanent(why, true)
        }
        // What a thread hangs on is not there, or is in another room or thread.
        (400, "M_UNKNOWN" | "M_INVALID_PARAM") | (404, "M_NOT_FOUND") if is_placed => Judgement {
            instead: Some(Instead::WithoutPlace),
            ..permanent(why, false)
        },
        (400 | 413, _) => refused_form(why),
        _ => by_status(response, said, context.now),
    }
}

/// An edit is an event of its own, but later ones name the first.
fn taken(id: &str, task: Task<'_>) -> Judgement {
    let message = match task {
        Task::Create { .. } => Some(MessageRef::new(id)),
        // A thread is called by the event it hangs on.
        Task::Open { .. } => Some(MessageRef::new(id).within(id)),
        Task::Edit(_) | Task::Delete(_) => None,
    };
    Outcome::Delivered { message }.into()
}

fn stated(response: &Response, body: Option<&Value>, now: Wall) -> Duration {
    let millis = body
        .and_then(|b| b.get("retry_after_ms"))
        .and_then(Value::as_u64)
        .map(Duration::from_millis);
    wait::stated(response, now)
        .or(millis)
        .unwrap_or(limits::HOLD_DEFAULT)
}
