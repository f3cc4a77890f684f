//! Pushover: short plain text to the devices of a user or group. A message that was sent cannot be changed, and one
//! sent twice is shown twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::flat::{self, Room};
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Scope, Tier, Told, USER_AGENT, by_status,
    json, json_headers, permanent, reason, refused_form, retryable, wait,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::Outcome;
use crate::model::target::Pushover;
use crate::notify::render::{Message, Mood};
use crate::secret::Secret;

const TEXT: Room = Room {
    max: limits::PUSHOVER_MESSAGE,
    cost: char::len_utf16,
};
const TITLE: Room = Room {
    max: limits::PUSHOVER_TITLE,
    cost: char::len_utf16,
};

impl Provider for Pushover {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let message = told.message(context);
        let mut body = said(&message, context.tier);
        body["token"] = self.token.expose().into();
        body["user"] = self.user.expose().into();
        let base = self.url.trim_end_matches('/');
        let url = Secret::new(format!("{base}/1/messages.json"));
        HttpRequest::post(url, json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        Secret::new(self.url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

fn said(message: &Message, tier: Tier) -> Value {
    let mut body = match tier {
        Tier::Rich => json!({
            "title": TITLE.cut(&flat::title(message)),
            "message": flat::body(message, TEXT),
            "timestamp": message.time.millis().div_euclid(1_000),
        }),
        Tier::Plain => json!({ "message": flat::whole(message, TEXT) }),
        Tier::Line => json!({ "message": TITLE.cut(&flat::title(message)) }),
    };
    body["priority"] = priority(message.mood).into();
    body
}

/// 1 breaks the silence of quiet hours, -1 makes no sound. 2, which wants to be confirmed, is no affair of ours.
const fn priority(mood: Mood) -> i8 {
    match mood {
        Mood::Good | Mood::Info => -1,
        Mood::Warning => 0,
        Mood::Critical => 1,
    }
}

/// What Pushover's answer means.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let is_taken = field("status").and_then(Value::as_u64) == Some(1);
    let errors = field("errors").and_then(Value::as_array);
    let said: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let said = said.join(", ");
    let why = reason(response.status, &said);
    // The key that is wrong is named in a field of its own, and in the sentence.
    let is_key = |name: &str| field(name).and_then(Value::as_str) == Some("invalid");
    match response.status {
        200..=299 if is_taken => Outcome::Delivered { message: None }.into(),
        200..=299 => retryable(format!("{why} (not taken)"), None),
        429 => limited(response, why, now),
        400..=499 if is_key("token") || is_key("user") => permanent(why, true),
        400 | 413 => refused_form(why),
        _ => by_status(response, &said, now),
    }
}

/// The messages of a month are used up, which is told by the second in which they are counted anew.
fn limited(response: &Response, why: String, now: Wall) -> Judgement {
    let reset = response
        .header("x-limit-app-reset")
        .and_then(|text| text.trim().parse::<i64>().ok())
        .map(|seconds| Wall::from_millis(seconds.saturating_mul(1_000)).since(now));
    let wait: Duration = wait::stated(response, now)
        .or(reset)
        .unwrap_or(limits::HOLD_DEFAULT);
    Judgement {
        scope: Scope::Target,
        ..retryable(why, Some(wait))
    }
}
