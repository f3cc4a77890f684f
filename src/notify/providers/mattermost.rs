//! Mattermost incoming webhooks. All of a message is markdown there, attachments too, so values and output stand in
//! code that they cannot leave, where no mention is looked for, and in the title every mark is taken as itself.

use serde_json::{Value, json};

use super::flat;
use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Tier, Told, USER_AGENT, by_status, json,
    json_headers, permanent, reason, refused_form, retryable,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::Outcome;
use crate::model::target::Mattermost;
use crate::notify::render::Message;
use crate::secret::Secret;

impl Provider for Mattermost {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let message = told.message(context);
        let body = match context.tier {
            Tier::Rich => json!({ "attachments": [attachment(&message)] }),
            Tier::Plain => json!({ "text": plain(&message) }),
            Tier::Line => json!({ "text": headline(&message) }),
        };
        HttpRequest::post(self.url.clone(), json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        self.url.clone()
    }

    fn abilities(&self) -> Abilities {
        // A webhook is not told what its message is called.
        Abilities::default()
    }
}

fn attachment(message: &Message) -> Value {
    let fields: Vec<Value> = message
        .facts
        .iter()
        .map(|(label, value)| json!({ "title": label, "value": code(value), "short": value.len() < 24 }))
        .collect();
    let mut attachment = json!({
        "fallback": headline(message),
        "color": format!("#{:06X}", message.mood.colour()),
        "title": headline(message),
        "fields": fields,
        "footer": literal(&message.footer),
    });
    if !message.tail.is_empty() {
        attachment["text"] = fence(message).into();
    }
    attachment
}

fn plain(message: &Message) -> String {
    let mut text = format!("**{}**", headline(message));
    for (label, value) in &message.facts {
        let line = format!("\n{label}: {}", code(value));
        // Whole lines only: half of one would leave its code open.
        if text.len() + line.len() > limits::MATTERMOST_TEXT {
            break;
        }
        text.push_str(&line);
    }
    if !message.tail.is_empty() {
        text.push('\n');
        text.push_str(&fence(message));
    }
    format!("{text}\n{}", code(&message.footer))
}

fn headline(message: &Message) -> String {
    format!("{} {}", message.mood.sign(), literal(&message.title))
}

/// The last lines in a code fence, which no run of backticks in them can end.
fn fence(message: &Message) -> String {
    let tail = message
        .tail_within(limits::MATTERMOST_TAIL)
        .replace('`', "ˋ");
    format!("```\n{tail}\n```")
}

/// `value` in code on a line.
fn code(value: &str) -> String {
    format!("`{}`", value.replace('`', "ˋ"))
}

/// `text` with every mark of markdown taken as itself, and without anything that would be found in it as a name, an
/// address, an emoji or a channel.
fn literal(text: &str) -> String {
    flat::unlinked(text)
        .chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            if matches!(
                c,
                '\\' | '`'
                    | '*'
                    | '_'
                    | '{'
                    | '}'
                    | '['
                    | ']'
                    | '('
                    | ')'
                    | '#'
                    | '+'
                    | '-'
                    | '!'
                    | '>'
                    | '~'
                    | '|'
            ) {
                out.push('\\');
            }
            out.push(c);
            // These know no backslash.
            if matches!(c, '<' | ':' | '$') {
                out.push('\u{2060}');
            }
            out
        })
}

/// Parts of the names of refusals that are about where the message goes, or who sends it.
const HOPELESS: [&str; 3] = ["webhook.channel", "webhook.user", "webhook.permissions"];

/// What Mattermost's answer means.
fn classify(response: &Response, now: Wall) -> Judgement {
    let body = json(response);
    let field = |name: &str| {
        body.as_ref()
            .and_then(|b| b.get(name))
            .and_then(Value::as_str)
    };
    let id = field("id").unwrap_or("");
    let why = reason(response.status, field("message").unwrap_or(""));
    match response.status {
        200..=299 if response.body.trim_ascii() == b"ok" => {
            Outcome::Delivered { message: None }.into()
        }
        200..=299 => retryable(format!("{why} (not \"ok\")"), None),
        // The webhook was deleted.
        400 | 404 if id.starts_with("web.incoming_webhook.invalid") => permanent(why, true),
        // Of the channel or the user, whom no other form of the message helps.
        400 if HOPELESS.iter().any(|part| id.contains(part)) => permanent(why, false),
        400 | 413 => refused_form(why),
        _ => by_status(response, field("message").unwrap_or(""), now),
    }
}
