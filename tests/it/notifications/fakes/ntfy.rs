//! ntfy 2.16, as its documentation and its list of errors say: JSON is published to the root, a message has 4096
//! bytes at the most, a sequence id replaces, `DELETE /topic/sequence` takes away.

use serde_json::{Value, json};

use super::{Answer, Chat, Refusal, Shown, object, text};
use crate::support::receiver::Received;

/// A server with one topic that only those with the token may write to.
pub struct Ntfy {
    /// The topic.
    pub topic: &'static str,
    /// The token.
    pub token: &'static str,
    /// Whether it knows sequences, as since 2.16.
    pub has_sequences: bool,
}

fn refuse(code: u32, error: &str) -> Refusal {
    let http = u16::try_from(code / 100).expect("the status stands before");
    let body = json!({ "code": code, "http": http, "error": error });
    Refusal(http, body.to_string())
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

impl Chat for Ntfy {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        if request.headers.get("authorization") != Some(&bearer) {
            return Err(refuse(40_101, "unauthorized"));
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/") => self.publish(request, shown),
            ("DELETE", path) if self.has_sequences => self.delete(path, shown),
            // To a topic's own address, JSON is the text of a message.
            _ => Err(refuse(40_401, "page not found")),
        }
    }
}

impl Ntfy {
    fn publish(&self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        const KNOWN: [&str; 14] = [
            "topic",
            "message",
            "title",
            "tags",
            "priority",
            "actions",
            "click",
            "attach",
            "markdown",
            "icon",
            "filename",
            "delay",
            "email",
            "sequence_id",
        ];
        if request.body.len() > 2 * 4_096 {
            return Err(refuse(41_303, "JSON body too large"));
        }
        // The server itself takes unknown fields without a word; we do not send any.
        let body = object(request, &KNOWN).map_err(|e| refuse(40_017, &e))?;
        if body["topic"] != self.topic {
            return Err(refuse(40_301, "forbidden"));
        }
        let message = text(&body, "message").map_err(|e| refuse(40_017, &e))?;
        if message.len() > 4_096 {
            return Err(refuse(40_014, "attachments not allowed"));
        }
        let priority = body.get("priority").map_or(Some(3), Value::as_u64);
        if !priority.is_some_and(|p| (1..=5).contains(&p)) {
            return Err(refuse(40_007, "invalid priority parameter"));
        }
        let title = body.get("title").map_or(Some(""), Value::as_str);
        let title = title.ok_or_else(|| refuse(40_017, "a title is a text"))?;
        if title.len() > 1_024 || title.contains('\n') {
            return Err(refuse(40_057, "title too large"));
        }
        if body.get("markdown").is_some_and(|m| m != false) {
            return Err(refuse(40_017, "nothing of ours is markdown"));
        }
        let said = format!("{title}\n{message}");
        self.show(body.get("sequence_id"), said, shown)
    }

    fn show(&self, sequence: Option<&Value>, said: String, shown: &mut Vec<Shown>) -> Answer {
        let id = format!("m{}", shown.len());
        let Some(sequence) = sequence
            .and_then(Value::as_str)
            .filter(|_| self.has_sequences)
        else {
            shown.push(Shown {
                id: id.clone(),
                said: vec![said],
                ..Shown::default()
            });
            return Ok(json!({ "id": id, "event": "message", "topic": self.topic }).to_string());
        };
        if !is_name(sequence) {
            return Err(refuse(40_049, "sequence ID invalid"));
        }
        match shown.iter_mut().find(|m| m.id == sequence) {
            Some(there) => {
                there.said.push(said);
                there.is_deleted = false;
            }
            None => shown.push(Shown {
                id: sequence.to_owned(),
                said: vec![said],
                ..Shown::default()
            }),
        }
        let answer =
            json!({ "id": id, "event": "message", "topic": self.topic, "sequence_id": sequence });
        Ok(answer.to_string())
    }

    fn delete(&self, path: &str, shown: &mut [Shown]) -> Answer {
        let (topic, sequence) = path[1..].split_once('/').unwrap_or_default();
        if topic != self.topic || !is_name(sequence) {
            return Err(refuse(40_401, "page not found"));
        }
        // It is told to the clients also when nobody knows of such a message.
        for message in shown.iter_mut().filter(|m| m.id == sequence) {
            message.is_deleted = true;
        }
        Ok(json!({ "id": "d", "event": "message_delete", "sequence_id": sequence }).to_string())
    }
}
