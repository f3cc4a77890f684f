//! Pushover's message API, as its page says: token, user and a message that is not empty, 1024 characters of it, 250
//! of a title; emergencies want `retry` and `expire`.

use serde_json::json;

use super::{Answer, Chat, Refusal, Shown, is_json, object, text};
use crate::support::receiver::Received;

/// The service with one application and one user.
pub struct Pushover {
    /// Of the application.
    pub token: &'static str,
    /// Of the user.
    pub user: &'static str,
}

fn refuse(field: &str, error: &str) -> Refusal {
    let body = json!({ field: "invalid", "errors": [error], "status": 0, "request": "r" });
    Refusal(400, body.to_string())
}

impl Chat for Pushover {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        if (request.method.as_str(), request.path.as_str()) != ("POST", "/1/messages.json") {
            return Err(Refusal(404, String::new()));
        }
        let malformed = |e: String| refuse("message", &e);
        let known = [
            "token",
            "user",
            "message",
            "title",
            "priority",
            "timestamp",
            "ttl",
            "sound",
            "device",
        ];
        let body = object(request, &known).map_err(malformed)?;
        if !is_json(request) || body["token"] != self.token {
            return Err(refuse("token", "application token is invalid"));
        }
        if body["user"] != self.user {
            return Err(refuse("user", "user identifier is invalid"));
        }
        let message =
            text(&body, "message").map_err(|_| refuse("message", "message cannot be blank"))?;
        if message.chars().count() > 1_024 {
            return Err(refuse("message", "message is too long"));
        }
        let title = body["title"].as_str().unwrap_or_default();
        if title.chars().count() > 250 {
            return Err(refuse("title", "title is too long"));
        }
        if !body["priority"]
            .as_i64()
            .is_some_and(|p| (-2..=1).contains(&p))
        {
            return Err(refuse(
                "priority",
                "priority is invalid; 2 wants retry and expire",
            ));
        }
        if body
            .get("timestamp")
            .is_some_and(|t| t.as_i64().is_none_or(|t| t <= 0))
        {
            return Err(refuse("timestamp", "timestamp is invalid"));
        }
        shown.push(Shown {
            said: vec![format!("{title}\n{message}")],
            ..Shown::default()
        });
        Ok(json!({ "status": 1, "request": "r" }).to_string())
    }
}
