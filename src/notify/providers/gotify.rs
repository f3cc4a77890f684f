//! Gotify: plain text to an application. Its own token only sends; to delete takes one of a client.

use serde_json::{Value, json};

use super::flat::{self, Room};
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Task, Tier, Told, USER_AGENT, by_status,
    json, json_headers, permanent, reason, refused_form, retryable,
};
use crate::fetch::{Method, Response};
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::target::Gotify;
use crate::notify::render::{Message, Mood};
use crate::secret::Secret;

const TEXT: Room = Room {
    max: limits::GOTIFY_TEXT,
    cost: char::len_utf8,
};

impl Provider for Gotify {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let base = self.url.trim_end_matches('/');
        if let (Task::Delete(message), Some(token)) = (context.task, &self.client_token) {
            return HttpRequest {
                method: Method::Delete,
                url: Secret::new(format!("{base}/message/{}", message.id)),
                headers: headers(token),
                body: String::new(),
                is_frozen: false,
            };
        }
        let url = Secret::new(format!("{base}/message"));
        let body = said(&told.message(context), context.tier);
        HttpRequest::post(url, headers(&self.token), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        Secret::new(self.url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            deletes: self.client_token.is_some(),
            ..Abilities::default()
        }
    }
}

fn headers(token: &Secret) -> Vec<(String, Secret)> {
    let mut headers = json_headers(USER_AGENT);
    headers.push(("x-gotify-key".to_owned(), token.clone()));
    headers
}

fn said(message: &Message, tier: Tier) -> Value {
    let mut body = match tier {
        Tier::Rich => json!({
            "title": flat::title(message),
            "message": flat::body(message, TEXT),
            "priority": priority(message.mood),
            "extras": { "client::display": { "contentType": "text/plain" } },
        }),
        Tier::Plain => json!({ "message": flat::whole(message, TEXT) }),
        Tier::Line => json!({ "message": flat::title(message) }),
    };
    if tier != Tier::Rich {
        body["priority"] = priority(message.mood).into();
    }
    body
}

/// From 0 to 10: the Android client makes noise from 4 on, and shows from 8 on at once.
const fn priority(mood: Mood) -> u8 {
    match mood {
        Mood::Info => 2,
        Mood::Good => 4,
        Mood::Warning => 6,
        Mood::Critical => 8,
    }
}

/// What Gotify's answer means.
fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or("");
    let said = if text("errorDescription").is_empty() {
        text("error")
    } else {
        text("errorDescription")
    };
    let why = reason(response.status, said);
    let is_deletion = matches!(context.task, Task::Delete(_));
    match response.status {
        200..=299 | 404 if is_deletion => Outcome::Delivered { message: None }.into(),
        200..=299 => match field("id").and_then(Value::as_u64) {
            Some(id) => Outcome::Delivered {
                message: Some(MessageRef::new(id.to_string())),
            }
            .into(),
            None => retryable(format!("{why} (no message of Gotify)"), None),
        },
        // The application is no more; a client's token that is wrong says nothing of it.
        401 | 403 => permanent(why, !is_deletion && response.status == 401),
        400 | 413 => refused_form(why),
        _ => by_status(response, said, context.now),
    }
}
