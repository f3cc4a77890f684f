//! Gotify, by its API's description: an application's token sends, a client's deletes.

use serde_json::{Value, json};

use super::{Answer, Chat, Refusal, Shown, is_json, object, text};
use crate::support::receiver::Received;

/// A server with the application `Aapp` and the client `Cclient`.
pub struct Gotify;

fn refuse(status: u16, error: &str) -> Refusal {
    let body = json!({ "error": "refused", "errorCode": status, "errorDescription": error });
    Refusal(status, body.to_string())
}

impl Chat for Gotify {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        let key = request.headers.get("x-gotify-key").map(String::as_str);
        match (request.method.as_str(), request.path.as_str(), key) {
            ("POST", "/message", Some("Aapp")) => send(request, shown),
            ("DELETE", path, Some("Cclient")) => {
                let id = path.strip_prefix("/message/").unwrap_or_default();
                let there = shown.iter_mut().find(|m| m.id == id && !m.is_deleted);
                there
                    .ok_or_else(|| refuse(404, "message does not exist"))?
                    .is_deleted = true;
                Ok(String::new())
            }
            ("POST" | "DELETE", _, Some("Aapp" | "Cclient")) => {
                Err(refuse(403, "not with this token"))
            }
            _ => Err(refuse(401, "you need to provide a valid access token")),
        }
    }
}

fn send(request: &Received, shown: &mut Vec<Shown>) -> Answer {
    if !is_json(request) {
        return Err(refuse(400, "no JSON"));
    }
    let body = object(request, &["title", "message", "priority", "extras"])
        .map_err(|e| refuse(400, &e))?;
    let message = text(&body, "message").map_err(|e| refuse(400, &e))?;
    if body["priority"].as_u64().is_none_or(|p| p > 10) {
        return Err(refuse(400, "a priority is a number from 0 to 10"));
    }
    let form = body.pointer("/extras/client::display/contentType");
    if form.is_some_and(|f| f != "text/plain") {
        return Err(refuse(400, "nothing of ours is markdown"));
    }
    let id = shown.len() + 1;
    let title = body["title"].as_str().unwrap_or("the application");
    shown.push(Shown {
        id: id.to_string(),
        said: vec![format!("{title}\n{message}")],
        ..Shown::default()
    });
    let mut answer: Value = body.clone();
    answer["id"] = id.into();
    answer["appid"] = 1.into();
    Ok(answer.to_string())
}
