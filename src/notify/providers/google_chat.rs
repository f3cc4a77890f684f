//! Webhooks of Google Chat: a card of widgets, whose text is escaped HTML, and a text in which lookalikes stand for
//! the marks that would be read. Messages of an incident are a thread, found again by its key, and a message sent
//! twice is shown once.

use serde_json::{Value, json};

use super::flat;
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Tier, Told, USER_AGENT, by_status, json,
    json_headers, permanent, reason, refused_form, retryable,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::{Leased, Outcome};
use crate::model::target::GoogleChat;
use crate::notify::render::Message;
use crate::secret::Secret;

impl Provider for GoogleChat {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let message = told.message(context);
        let mut body = flat::fitting(context.tier, limits::GOOGLE_CHAT_BODY, |tier| {
            said(&message, tier)
        });
        body["thread"] = json!({ "threadKey": thread(told.leased) });
        let url = self.called(&request_id(told.leased, context.tier));
        HttpRequest::post(url, json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        self.url.clone()
    }

    fn abilities(&self) -> Abilities {
        // What a webhook has sent only an app may change.
        Abilities {
            keyed: true,
            ..Abilities::default()
        }
    }
}

impl GoogleChat {
    /// The address with the request's name in it. Without the second part a thread's key is not looked at.
    fn called(&self, id: &str) -> Secret {
        let url = self.url.expose().trim();
        let join = if url.contains('?') { '&' } else { '?' };
        Secret::new(format!(
            "{url}{join}messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD&requestId={id}"
        ))
    }
}

/// The incident's messages are together; others are by themselves.
fn thread(leased: &Leased) -> String {
    leased
        .incident
        .as_ref()
        .map_or_else(|| leased.id.to_string(), |incident| incident.id.to_string())
}

/// The same on every attempt; another for another form, which is another message.
fn request_id(leased: &Leased, tier: Tier) -> String {
    let form = match tier {
        Tier::Rich => "rich",
        Tier::Plain => "plain",
        Tier::Line => "line",
    };
    format!("{}-{form}", leased.id)
}

fn said(message: &Message, tier: Tier) -> Value {
    let title = literal(&flat::title(message));
    match tier {
        Tier::Rich => json!({
            "text": title,
            "cardsV2": [{ "cardId": "event", "card": card(message) }],
        }),
        Tier::Plain => json!({ "text": plain(message, title) }),
        Tier::Line => json!({ "text": title }),
    }
}

fn card(message: &Message) -> Value {
    let facts: Vec<Value> = message
        .facts
        .iter()
        .map(|(label, value)| {
            json!({ "decoratedText": { "topLabel": label, "text": html(value), "wrapText": true } })
        })
        .collect();
    let footer = json!({ "textParagraph": { "text": html(&message.footer) } });
    let mut sections = Vec::new();
    if !facts.is_empty() {
        sections.push(json!({ "widgets": facts }));
    }
    if !message.tail.is_empty() {
        let tail = html(&message.tail_within(limits::GOOGLE_CHAT_TAIL)).replace('\n', "<br>");
        sections.push(json!({
            "header": "Last output",
            "widgets": [{ "textParagraph": { "text": tail } }],
        }));
    }
    sections.push(json!({ "widgets": [footer] }));
    json!({ "sections": sections })
}

fn plain(message: &Message, title: String) -> String {
    let mut lines = vec![title];
    lines.extend(
        message
            .facts
            .iter()
            .map(|(label, value)| format!("{label}: {}", literal(value))),
    );
    if !message.tail.is_empty() {
        let tail = literal(&message.tail_within(limits::GOOGLE_CHAT_TAIL));
        lines.push(format!("```\n{tail}\n```"));
    }
    lines.push(literal(&message.footer));
    lines.join("\n")
}

/// A card reads a little HTML.
fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A text reads `*bold*`, `_italic_`, `~struck~`, code, and `<…>` as mentions and links; it knows no escape.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut follows = text.chars().skip(1);
    for c in text.chars() {
        let next = follows.next().unwrap_or(' ');
        out.push(match c {
            '*' => '∗',
            '~' => '∼',
            '`' => 'ˋ',
            '<' => '‹',
            '>' => '›',
            // Inside of a name it is no mark.
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => '＿',
            c => c,
        });
        before = c;
    }
    flat::unlinked(&out)
}

/// What Google's answer means.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = json(response);
    let error = |name: &str| {
        let error = body.as_ref().and_then(|b| b.get("error"));
        error.and_then(|e| e.get(name)).and_then(Value::as_str)
    };
    let said = error("message").unwrap_or("");
    let why = reason(response.status, said);
    let is_named = body
        .as_ref()
        .is_some_and(|b| b.get("name").is_some_and(Value::is_string));
    match response.status {
        200..=299 if is_named => Outcome::Delivered { message: None }.into(),
        200..=299 => retryable(format!("{why} (no message of Google Chat)"), None),
        // The webhook, its key or its space is no more.
        401 | 404 => permanent(why, true),
        400 if said.contains("API key not valid") || said.contains("API Key not found") => {
            permanent(why, true)
        }
        400 | 413 => refused_form(why),
        _ => by_status(response, said, now),
    }
}
