//! ntfy: plain text, published as JSON to the root of the server. A message is sent with a sequence id of ours, by
//! which a second one takes its place: a double is none, and an update or a deletion needs no id of theirs.
//! Servers before 2.16 know no sequences; they do not give the id back, and then nothing is edited.

use std::time::Duration;

use serde_json::{Value, json};

use super::flat::{self, Room};
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Scope, Task, Tier, Told, USER_AGENT,
    by_status, json, json_headers, permanent, reason, refused_form, retryable, wait,
};
use crate::clock::Wall;
use crate::fetch::{Method, Response};
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::target::Ntfy;
use crate::notify::render::{Message, Mood};
use crate::secret::Secret;

const TEXT: Room = Room {
    max: limits::NTFY_MESSAGE,
    cost: flat::json_cost,
};
const TITLE: Room = Room {
    max: limits::NTFY_TITLE,
    cost: flat::json_cost,
};

impl Provider for Ntfy {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let mut headers = json_headers(USER_AGENT);
        if let Some(token) = &self.token {
            let bearer = Secret::new(format!("Bearer {}", token.expose()));
            headers.push(("authorization".to_owned(), bearer));
        }
        let id = match context.task {
            Task::Delete(message) => return self.delete(message, headers),
            Task::Edit(message) => message.id.clone(),
            // The same on every attempt.
            Task::Create { .. } | Task::Open { .. } => told.leased.id.to_string(),
        };
        let message = told.message(context);
        let mut body = flat::fitting(context.tier, limits::NTFY_BODY, |tier| said(&message, tier));
        body["topic"] = self.topic.expose().into();
        body["sequence_id"] = id.into();
        HttpRequest::post(Secret::new(self.origin()), headers, &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        Secret::new(self.origin())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            keyed: true,
            ..Abilities::default()
        }
    }
}

impl Ntfy {
    /// The root of the server: posted to a topic's own address, the JSON would be the text of the message.
    fn origin(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("https", &self.url));
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        format!("{scheme}://{host}/")
    }

    fn delete(&self, message: &MessageRef, headers: Vec<(String, Secret)>) -> HttpRequest {
        let (origin, topic) = (self.origin(), self.topic.expose());
        HttpRequest {
            method: Method::Delete,
            url: Secret::new(format!("{origin}{topic}/{}", message.id)),
            headers,
            body: String::new(),
            is_frozen: false,
        }
    }
}

fn said(message: &Message, tier: Tier) -> Value {
    match tier {
        Tier::Rich => json!({
            "title": TITLE.cut(&flat::unlinked(&message.title)),
            "message": flat::body(message, TEXT),
            "priority": priority(message.mood),
            "tags": [tag(message.mood)],
        }),
        Tier::Plain => json!({ "message": flat::whole(message, TEXT) }),
        Tier::Line => json!({ "message": TITLE.cut(&flat::title(message)) }),
    }
}

/// From 1 to 5; 3 is the usual one, 4 and 5 make noise.
const fn priority(mood: Mood) -> u8 {
    match mood {
        Mood::Good | Mood::Info => 3,
        Mood::Warning => 4,
        Mood::Critical => 5,
    }
}

/// The short name of the sign, which ntfy shows before the title.
const fn tag(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "green_circle",
        Mood::Info => "large_blue_circle",
        Mood::Warning => "orange_circle",
        Mood::Critical => "red_circle",
    }
}

/// What ntfy's answer means; its own codes are finer than the status.
fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let code = field("code").and_then(Value::as_u64).unwrap_or(0);
    let said = field("error").and_then(Value::as_str).unwrap_or("");
    let why = match code {
        0 => reason(response.status, said),
        code => format!("{} (code {code})", reason(response.status, said)),
    };
    let is_deletion = matches!(context.task, Task::Delete(_));
    match (response.status, code) {
        (200..=299 | 404, _) if is_deletion => Outcome::Delivered { message: None }.into(),
        (200..=299, _) if field("id").is_some_and(Value::is_string) => Outcome::Delivered {
            message: field("sequence_id")
                .and_then(Value::as_str)
                .map(MessageRef::new),
        }
        .into(),
        (200..=299, _) => retryable(format!("{why} (no message of ntfy)"), None),
        (429, code) => limited(response, code, why, context.now),
        // The token is not known; the name of the topic cannot be, or is taken by ntfy itself.
        (401, _) | (400, 40_009 | 40_010) => permanent(why, true),
        (400, 40_017) | (507, _) => permanent(why, false),
        (400 | 413, _) => refused_form(why),
        _ => by_status(response, said, context.now),
    }
}

/// The rate is counted by the sender's address, so all topics of the server share it.
fn limited(response: &Response, code: u64, why: String, now: Wall) -> Judgement {
    let wait = wait::stated(response, now).unwrap_or(match code {
        // The messages of a day: counted anew at midnight, UTC.
        42_908 => until_midnight(now),
        _ => limits::NTFY_WAIT,
    });
    Judgement {
        scope: Scope::Host,
        ..retryable(why, Some(wait))
    }
}

fn until_midnight(now: Wall) -> Duration {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let left = DAY - now.millis().rem_euclid(DAY);
    Duration::from_millis(left.unsigned_abs())
}
