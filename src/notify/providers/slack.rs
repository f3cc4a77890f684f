//! Slack incoming webhooks: blocks of plain and structured text, which read no markup; the fallback text does and
//! is escaped.

use serde_json::{Value, json};

use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Tier, Told, USER_AGENT, by_status,
    json_headers, permanent, reason, refused_form, retryable,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::Outcome;
use crate::model::target::Slack;
use crate::notify::render::Message;
use crate::secret::Secret;
use crate::text;

impl Provider for Slack {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let body = body(&told.message(context), context.tier);
        HttpRequest::post(self.url.clone(), json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        self.url.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

/// The message with everything that keeps Slack from reading it as anything else.
pub(super) fn body(message: &Message, tier: Tier) -> Value {
    let title = format!("{} {}", message.mood.sign(), message.title);
    let mut body = match tier {
        Tier::Rich => json!({ "text": escaped(&title), "blocks": blocks(message, &title) }),
        Tier::Plain => json!({ "text": escaped(&message.lines().join("\n")) }),
        Tier::Line => json!({ "text": escaped(&title) }),
    };
    // No reading of `*`, `_` and names in the fallback text, no previews of what it mentions.
    body["mrkdwn"] = false.into();
    body["link_names"] = false.into();
    body["parse"] = "none".into();
    body["unfurl_links"] = false.into();
    body["unfurl_media"] = false.into();
    body
}

fn blocks(message: &Message, title: &str) -> Vec<Value> {
    let head = text::cut_by(title, limits::SLACK_HEADER, char::len_utf16);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": head, "emoji": false },
    })];
    let mut elements = Vec::new();
    let facts: Vec<Value> = message
        .facts
        .iter()
        .enumerate()
        .flat_map(|(i, (label, value))| {
            let before = if i == 0 { "" } else { "\n" };
            [
                json!({ "type": "text", "text": format!("{before}{label}: "), "style": { "bold": true } }),
                json!({ "type": "text", "text": value }),
            ]
        })
        .collect();
    if !facts.is_empty() {
        elements.push(json!({ "type": "rich_text_section", "elements": facts }));
    }
    if !message.tail.is_empty() {
        let tail = message.tail_within(limits::SLACK_TAIL);
        elements.push(json!({
            "type": "rich_text_preformatted",
            "elements": [{ "type": "text", "text": tail }],
        }));
    }
    if !elements.is_empty() {
        blocks.push(json!({ "type": "rich_text", "elements": elements }));
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "plain_text", "text": message.footer, "emoji": false }],
    }));
    blocks
}

/// What keeps `<!channel>` and `<@U…>` from being read (Slack's own rule: these three, and no others).
pub(super) fn escaped(text: &str) -> String {
    let safe = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // Cutting afterwards may halve an entity, which then shows as itself.
    text::cut(&safe, limits::SLACK_TEXT).into_owned()
}

/// What Slack's answer means; its words are short and documented, and stand in the body.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = String::from_utf8_lossy(&response.body);
    let said = body.trim();
    // A page of a proxy in between is no word of Slack's, and its text is not worth keeping.
    let word = if said.len() <= limits::SLACK_WORD {
        said
    } else {
        ""
    };
    let why = reason(response.status, word);
    match (response.status, word) {
        (200..=299, "ok") => Outcome::Delivered { message: None }.into(),
        (200..=299, _) => retryable(format!("{why} (not \"ok\")"), None),
        (429 | 500..=599, _) => by_status(response, word, now),
        (_, "no_service" | "invalid_token" | "no_team" | "team_disabled" | "token_revoked")
        | (410, _) => permanent(why, true),
        (400, "user_not_found" | "channel_not_found" | "no_active_hooks") => permanent(why, false),
        (400 | 413, _) => refused_form(why),
        _ => by_status(response, word, now),
    }
}
