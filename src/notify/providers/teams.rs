//! Microsoft Teams, by a workflow that posts what its webhook receives: an adaptive card of rich text blocks, whose
//! runs read no markdown (other elements do), and in which nothing is a mention that is not listed as one.

use serde_json::{Value, json};

use super::flat::{self, Room};
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Tier, Told, USER_AGENT, by_status, json,
    json_headers, permanent, reason, refused_form,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::Outcome;
use crate::model::target::Teams;
use crate::notify::render::{Message, Mood};
use crate::secret::Secret;

const TEXT: Room = Room {
    max: limits::TEAMS_TEXT,
    cost: flat::json_cost,
};

impl Provider for Teams {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let message = told.message(context);
        let body = flat::fitting(context.tier, limits::TEAMS_BODY, |tier| {
            posted(&card(&message, tier))
        });
        HttpRequest::post(self.url.clone(), json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        self.url.clone()
    }

    fn abilities(&self) -> Abilities {
        // The workflow runs later, and nobody is told what became of it.
        Abilities::default()
    }
}

fn posted(blocks: &[Value]) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": blocks,
            },
        }],
    })
}

fn card(message: &Message, tier: Tier) -> Vec<Value> {
    let title = block(&[json!({
        "type": "TextRun",
        "text": flat::title(message),
        "weight": "Bolder",
        "size": "Medium",
        "color": colour(message.mood),
    })]);
    let mut blocks = vec![title];
    match tier {
        Tier::Rich => {
            blocks.extend(message.facts.iter().map(|(label, value)| {
                block(&[
                    json!({ "type": "TextRun", "text": format!("{label}: "), "weight": "Bolder" }),
                    json!({ "type": "TextRun", "text": value }),
                ])
            }));
            blocks.extend(tail(message));
            blocks.push(block(&[
                json!({ "type": "TextRun", "text": message.footer, "isSubtle": true, "size": "Small" }),
            ]));
        }
        Tier::Plain => blocks.extend(lines(&flat::body(message, TEXT))),
        Tier::Line => {}
    }
    blocks
}

/// A line each: a run does not break where its text does.
fn tail(message: &Message) -> Vec<Value> {
    message
        .tail_within(limits::TEAMS_TAIL)
        .lines()
        .map(|line| {
            block(&[json!({ "type": "TextRun", "text": line, "fontType": "Monospace", "size": "Small" })])
        })
        .collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| block(&[json!({ "type": "TextRun", "text": line })]))
        .collect()
}

fn block(inlines: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines, "spacing": "Small" })
}

const fn colour(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "Good",
        Mood::Info => "Accent",
        Mood::Warning => "Warning",
        Mood::Critical => "Attention",
    }
}

/// What the answer of the workflow's door means; what becomes of the card is not known there.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = json(response);
    let error = |name: &str| {
        let error = body.as_ref().and_then(|b| b.get("error"));
        error.and_then(|e| e.get(name)).and_then(Value::as_str)
    };
    let (code, said) = (error("code").unwrap_or(""), error("message").unwrap_or(""));
    let why = reason(response.status, if said.is_empty() { code } else { said });
    match (response.status, code) {
        (200..=299, _) => Outcome::Delivered { message: None }.into(),
        // Switched off: somebody may switch it on again.
        (400 | 404, "WorkflowTriggerIsNotEnabled") => permanent(why, false),
        // The workflow was deleted, or its signature was made anew.
        (401 | 404, _) => permanent(why, true),
        (400 | 413, _) => refused_form(why),
        _ => by_status(response, said, now),
    }
}
