//! A workflow of Microsoft Teams, by the schema of adaptive cards 1.4: 28 KiB as the flow makes of it, the answer 202
//! without an id. What the schema does not know is refused, which Teams itself does later and tells nobody.

use serde_json::{Value, json};

use super::{Answer, Chat, Refusal, Shown, is_json, object, only, text};
use crate::support::receiver::Received;

/// A workflow whose address ends in `sig=S`.
pub struct Teams;

fn refuse(status: u16, code: &str, message: &str) -> Refusal {
    let error = json!({ "code": code, "message": message });
    Refusal(status, json!({ "error": error }).to_string())
}

impl Chat for Teams {
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer {
        if !request
            .path
            .starts_with("/workflows/w1/triggers/manual/paths/invoke?")
        {
            return Err(refuse(404, "WorkflowNotFound", "there is no such workflow"));
        }
        if !request.path.ends_with("&sig=S") {
            return Err(refuse(
                401,
                "DirectApiAuthorizationRequired",
                "the signature is wrong",
            ));
        }
        let invalid = |e: String| refuse(400, "InvalidRequestContent", &e);
        if request.method != "POST" || !is_json(request) {
            return Err(invalid("no JSON".to_owned()));
        }
        // What became of a message in a flow that was reported: 24,453 bytes became 28,897.
        if request.body.len() * 28_897 / 24_453 > 28_672 {
            return Err(refuse(413, "MessageSizeExceeded", "max 28672 bytes"));
        }
        let body = object(request, &["type", "attachments"]).map_err(invalid)?;
        let said = said(&body).map_err(invalid)?;
        shown.push(Shown {
            said: vec![said],
            ..Shown::default()
        });
        Ok(String::new())
    }

    fn success(&self) -> u16 {
        202
    }
}

/// All text of the card.
fn said(body: &Value) -> Result<String, String> {
    let attachments = body["attachments"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let ([attachment], "message") = (attachments, text(body, "type")?) else {
        return Err("a message has one attachment".to_owned());
    };
    only(attachment, &["contentType", "contentUrl", "content"])?;
    if text(attachment, "contentType")? != "application/vnd.microsoft.card.adaptive" {
        return Err("it is no adaptive card".to_owned());
    }
    let card = &attachment["content"];
    only(card, &["$schema", "type", "version", "msteams", "body"])?;
    // Without a list of entities nothing is a mention.
    only(&card["msteams"], &["width"])?;
    if card["type"] != "AdaptiveCard" || card["version"] != "1.4" {
        return Err("it is no card of version 1.4".to_owned());
    }
    let mut lines = Vec::new();
    for element in card["body"].as_array().ok_or("a card has a body")? {
        lines.push(line(element)?);
    }
    Ok(lines.join("\n"))
}

/// The text of an element. Those that read markdown are refused here: no text from programs may stand in them.
fn line(element: &Value) -> Result<String, String> {
    only(element, &["type", "inlines", "spacing"])?;
    if element["type"] != "RichTextBlock" {
        return Err(format!("{} reads markdown", element["type"]));
    }
    let mut line = String::new();
    for run in element["inlines"]
        .as_array()
        .filter(|i| !i.is_empty())
        .ok_or("no inlines")?
    {
        only(
            run,
            &[
                "type", "text", "weight", "size", "color", "fontType", "isSubtle",
            ],
        )?;
        one_of(run, "type", &["TextRun"])?;
        one_of(run, "weight", &["Bolder", "Default", "Lighter"])?;
        one_of(run, "size", &["Small", "Default", "Medium", "Large"])?;
        one_of(
            run,
            "color",
            &["Good", "Accent", "Warning", "Attention", "Default"],
        )?;
        one_of(run, "fontType", &["Default", "Monospace"])?;
        line.push_str(text(run, "text")?);
    }
    Ok(line)
}

fn one_of(run: &Value, key: &str, words: &[&str]) -> Result<(), String> {
    match run.get(key) {
        Some(value) if !value.as_str().is_some_and(|v| words.contains(&v)) => {
            Err(format!("{key} is {value}"))
        }
        Some(_) | None => Ok(()),
    }
}
