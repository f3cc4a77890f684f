//! A homeserver of Matrix, by its client-server specification (v1.13): events are put under a transaction id, which
//! counts once; an event has 65,536 bytes at the most; `m.replace` edits and a redaction takes away.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Answer, Chat, Refusal, Shown, object, only, text};
use crate::support::receiver::Received;

/// A server with the room `!ops:example.org`, and somebody in it whose token is `syt_token`.
#[derive(Default)]
pub struct Matrix {
    by_transaction: HashMap<String, String>,
}

const ROOM: &str = "/_matrix/client/v3/rooms/%21ops%3Aexample.org/";

fn refuse(status: u16, code: &str, error: &str) -> Refusal {
    Refusal(
        status,
        json!({ "errcode": code, "error": error }).to_string(),
    )
}

fn bad(error: &str) -> Refusal {
    refuse(400, "M_BAD_JSON", error)
}

impl Chat for Matrix {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        if request.headers.get("authorization").map(String::as_str) != Some("Bearer syt_token") {
            return Err(refuse(401, "M_UNKNOWN_TOKEN", "unrecognised access token"));
        }
        let Some(rest) = request
            .path
            .strip_prefix(ROOM)
            .filter(|_| request.method == "PUT")
        else {
            return Err(refuse(404, "M_UNRECOGNIZED", "unrecognised request"));
        };
        if let Some(event) = self.by_transaction.get(rest) {
            return Ok(json!({ "event_id": event }).to_string());
        }
        let event = format!("$event{}", self.by_transaction.len());
        match *rest.split('/').collect::<Vec<_>>() {
            ["send", "m.room.message", transaction] if !transaction.is_empty() => {
                send(request, &event, shown)?;
            }
            ["redact", redacted, transaction] if !transaction.is_empty() => {
                object(request, &["reason"]).map_err(|e| bad(&e))?;
                let redacted = redacted.replace("%24", "$");
                let there = shown.iter_mut().find(|m| m.id == redacted);
                there
                    .ok_or_else(|| refuse(404, "M_NOT_FOUND", "no such event"))?
                    .is_deleted = true;
            }
            _ => return Err(refuse(404, "M_UNRECOGNIZED", "unrecognised request")),
        }
        self.by_transaction.insert(rest.to_owned(), event.clone());
        Ok(json!({ "event_id": event }).to_string())
    }
}

fn send(request: &Received, event: &str, shown: &mut Vec<Shown>) -> Result<(), Refusal> {
    // The server's own fields: sender, hashes, signatures, the events before.
    if request.body.len() + 2_048 > 65_536 {
        return Err(refuse(413, "M_TOO_LARGE", "event too large"));
    }
    let known = [
        "msgtype",
        "body",
        "format",
        "formatted_body",
        "m.mentions",
        "m.relates_to",
        "m.new_content",
    ];
    let content = object(request, &known).map_err(|e| bad(&e))?;
    let said = said(&content).map_err(|e| bad(&e))?;
    let relation = &content["m.relates_to"];
    let other = relation["event_id"].as_str().unwrap_or_default();
    match relation["rel_type"].as_str() {
        Some("m.replace") => {
            only(relation, &["rel_type", "event_id"]).map_err(|e| bad(&e))?;
            let new = said_of(&content["m.new_content"]).map_err(|e| bad(&e))?;
            // An edit of an edit is none, and one of what is not there is not shown.
            if let Some(there) = shown.iter_mut().find(|m| m.id == other) {
                there.said.push(new);
            }
        }
        Some("m.thread") => {
            let known = ["rel_type", "event_id", "is_falling_back", "m.in_reply_to"];
            only(relation, &known).map_err(|e| bad(&e))?;
            // As Synapse: a thread hangs on an event that is there and hangs on none itself.
            let root = shown.iter().find(|m| m.id == other);
            if root.is_none_or(|m| m.answers.is_some()) {
                let words = "Cannot start threads from an event with a relation";
                return Err(refuse(400, "M_UNKNOWN", words));
            }
            shown.push(Shown {
                id: event.to_owned(),
                said: vec![said],
                answers: Some(other.to_owned()),
                is_deleted: false,
            });
        }
        Some(kind) => return Err(bad(&format!("an unknown relation {kind}"))),
        None => shown.push(Shown {
            id: event.to_owned(),
            said: vec![said],
            ..Shown::default()
        }),
    }
    Ok(())
}

fn said_of(content: &Value) -> Result<String, String> {
    only(
        content,
        &["msgtype", "body", "format", "formatted_body", "m.mentions"],
    )?;
    said(content)
}

fn said(content: &Value) -> Result<String, String> {
    if content["msgtype"] != "m.text" || content["m.mentions"] != json!({}) {
        return Err("no text, or one that may mention somebody".to_owned());
    }
    let body = text(content, "body")?;
    match content.get("formatted_body").and_then(Value::as_str) {
        Some(html) if content["format"] == "org.matrix.custom.html" => {
            is_closed(html)?;
            Ok(format!("{body}\n{html}"))
        }
        Some(_) => Err("a body is formatted in no format".to_owned()),
        None => Ok(body.to_owned()),
    }
}

/// Whether all tags are such that a client shows (no links, no pictures), and closed in their order.
fn is_closed(html: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for part in html.split('<').skip(1) {
        let tag = part
            .split_once('>')
            .map(|(tag, _)| tag)
            .ok_or("a tag without end")?;
        match tag {
            "br" => {}
            "p" | "strong" | "code" | "pre" => open.push(tag),
            _ if tag.strip_prefix('/') == open.pop() => {}
            _ => return Err(format!("the tag {tag}")),
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("{open:?} are open"))
    }
}
