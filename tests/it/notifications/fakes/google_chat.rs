//! Webhooks of Google Chat, by the reference of `spaces.messages.create`: 32,000 bytes, unknown fields are refused,
//! a thread is found by its key, and a request id that was there gives the message of then.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Answer, Chat, Refusal, Shown, is_json, object, only, text};
use crate::support::receiver::Received;

/// A space with the webhook `/v1/spaces/AAA/messages?key=K&token=T`.
#[derive(Default)]
pub struct GoogleChat {
    by_request: HashMap<String, String>,
}

fn refuse(status: u16, word: &str, message: &str) -> Refusal {
    let error = json!({ "code": status, "status": word, "message": message });
    Refusal(status, json!({ "error": error }).to_string())
}

fn invalid(message: &str) -> Refusal {
    refuse(400, "INVALID_ARGUMENT", message)
}

impl Chat for GoogleChat {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or_default();
        let mut parts: HashMap<&str, &str> =
            query.split('&').filter_map(|p| p.split_once('=')).collect();
        if path != "/v1/spaces/AAA/messages" {
            return Err(refuse(404, "NOT_FOUND", "no such space"));
        }
        if parts.remove("key") != Some("K") || parts.remove("token") != Some("T") {
            return Err(refuse(
                401,
                "UNAUTHENTICATED",
                "the key or the token is wrong",
            ));
        }
        let reply = parts.remove("messageReplyOption");
        let id = parts.remove("requestId").unwrap_or_default().to_owned();
        if !parts.is_empty() || reply != Some("REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD") {
            return Err(invalid(
                "unknown name in the query, or a thread that is not looked at",
            ));
        }
        if request.method != "POST" || !is_json(request) || request.body.len() > 32_000 {
            return Err(invalid("no JSON, or too long"));
        }
        if let Some(name) = self.by_request.get(&id) {
            return Ok(json!({ "name": name }).to_string());
        }
        let body = object(request, &["text", "cardsV2", "thread"]).map_err(|e| invalid(&e))?;
        let said = said(&body).map_err(|e| invalid(&e))?;
        let key = text(&body["thread"], "threadKey").map_err(|e| invalid(&e))?;
        let name = format!("spaces/AAA/messages/{}", shown.len());
        shown.push(Shown {
            id: name.clone(),
            said: vec![said],
            answers: Some(key.to_owned()),
            is_deleted: false,
        });
        self.by_request.insert(id, name.clone());
        Ok(
            json!({ "name": name, "thread": { "name": format!("spaces/AAA/threads/{key}") } })
                .to_string(),
        )
    }
}

/// All text of the message and its cards.
fn said(body: &Value) -> Result<String, String> {
    let mut said = text(body, "text")?.to_owned();
    if body["thread"]["threadKey"]
        .as_str()
        .is_none_or(|key| key.chars().count() > 4_000)
    {
        return Err("the thread's key is too long".to_owned());
    }
    for entry in body["cardsV2"].as_array().map_or(&[][..], Vec::as_slice) {
        only(entry, &["cardId", "card"])?;
        only(&entry["card"], &["header", "sections"])?;
        for section in entry["card"]["sections"]
            .as_array()
            .ok_or("a card has sections")?
        {
            only(section, &["header", "widgets"])?;
            let widgets = section["widgets"]
                .as_array()
                .filter(|w| (1..=100).contains(&w.len()));
            for widget in widgets.ok_or("a section has 1 to 100 widgets")? {
                said.push('\n');
                said.push_str(&widget_text(widget)?);
            }
        }
    }
    Ok(said)
}

fn widget_text(widget: &Value) -> Result<String, String> {
    only(widget, &["decoratedText", "textParagraph"])?;
    if let Some(paragraph) = widget.get("textParagraph") {
        only(paragraph, &["text"])?;
        return text(paragraph, "text").map(str::to_owned);
    }
    let decorated = &widget["decoratedText"];
    only(decorated, &["topLabel", "text", "wrapText", "bottomLabel"])?;
    Ok(format!(
        "{}: {}",
        text(decorated, "topLabel")?,
        text(decorated, "text")?
    ))
}
