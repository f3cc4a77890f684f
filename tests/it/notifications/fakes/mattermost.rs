//! Mattermost incoming webhooks, as its developers' documentation says: a text or attachments, 16,383 characters,
//! the answer `ok` and no id.

use serde_json::json;

use super::{Answer, Chat, Refusal, Shown, is_json, object, only, text};
use crate::support::receiver::Received;

/// A server with the webhook `/hooks/key`.
pub struct Mattermost;

fn refuse(status: u16, id: &str, message: &str) -> Refusal {
    let body = json!({ "id": id, "message": message, "status_code": status });
    Refusal(status, body.to_string())
}

fn malformed(message: &str) -> Refusal {
    refuse(400, "api.webhook.incoming.error", message)
}

impl Chat for Mattermost {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        if request.path != "/hooks/key" {
            return Err(refuse(
                400,
                "web.incoming_webhook.invalid.app_error",
                "Invalid webhook.",
            ));
        }
        if request.method != "POST" || !is_json(request) {
            return Err(malformed("Unable to parse incoming data."));
        }
        let known = [
            "text",
            "attachments",
            "username",
            "icon_url",
            "props",
            "priority",
        ];
        let body = object(request, &known).map_err(|e| malformed(&e))?;
        let mut said = body["text"].as_str().unwrap_or("").to_owned();
        for attachment in body["attachments"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
        {
            said.push_str(&attached(attachment).map_err(|e| malformed(&e))?);
        }
        if said.trim().is_empty() {
            return Err(refuse(
                400,
                "web.incoming_webhook.text.app_error",
                "No text specified.",
            ));
        }
        if said.chars().count() > 16_383 {
            return Err(refuse(
                400,
                "web.incoming_webhook.text.length.app_error",
                "Too long.",
            ));
        }
        shown.push(Shown {
            said: vec![said],
            ..Shown::default()
        });
        Ok("ok".to_owned())
    }
}

/// All text of an attachment that is shown, in the order of it.
fn attached(attachment: &serde_json::Value) -> Result<String, String> {
    let known = [
        "fallback", "color", "pretext", "text", "title", "fields", "footer",
    ];
    only(attachment, &known)?;
    text(attachment, "fallback")?;
    let colour = text(attachment, "color")?;
    let is_hex = colour.len() == 7 && colour[1..].bytes().all(|b| b.is_ascii_hexdigit());
    if !colour.starts_with('#') || !is_hex {
        return Err(format!("{colour} is no colour"));
    }
    let mut said = format!("{}\n", text(attachment, "title")?);
    for field in attachment["fields"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    {
        only(field, &["title", "value", "short"])?;
        said.extend([text(field, "title")?, ": ", text(field, "value")?, "\n"]);
        if !field["short"].is_boolean() {
            return Err("short is true or false".to_owned());
        }
    }
    if attachment.get("text").is_some() {
        said.push_str(text(attachment, "text")?);
    }
    said.extend(["\n", text(attachment, "footer")?]);
    Ok(said)
}
