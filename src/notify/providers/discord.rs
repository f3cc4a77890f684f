//! Discord webhooks (API version 10). Its embeds read markdown everywhere, so text is escaped, and output stands
//! in a code fence that it cannot close.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Scope, Task, Tier, Told,
    by_status, json, json_headers, permanent, reason, refused_form, retryable, wait,
};
use crate::clock::Wall;
use crate::fetch::{Method, Response};
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::target::Discord;
use crate::notify::render::Message;
use crate::secret::Secret;

/// Anything else may be refused as a robot (code 40333).
const USER_AGENT: &str = concat!(
    "DiscordBot (https://crates.io/crates/jikimi, ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// `flags` of a message: show no previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

/// The address with the version pinned (without it the API is the deprecated sixth), the message asked for in
/// return (without it a message that was not saved is no error), and the host without its aliases.
#[must_use]
pub fn address(url: &Secret) -> Secret {
    let (address, query) = url
        .expose()
        .trim()
        .split_once('?')
        .unwrap_or((url.expose().trim(), ""));
    let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = match host.to_ascii_lowercase().as_str() {
        "discordapp.com"
        | "canary.discord.com"
        | "ptb.discord.com"
        | "www.discord.com"
        | "canary.discordapp.com"
        | "ptb.discordapp.com" => "discord.com".to_owned(),
        other => other.to_owned(),
    };
    let path = match path.find("webhooks/") {
        Some(at) if path.starts_with("api/") => format!("api/v10/{}", &path[at..]),
        _ => path.to_owned(),
    };
    // What people paste for other programs' sake.
    let path = path
        .trim_end_matches('/')
        .trim_end_matches("/slack")
        .trim_end_matches("/github");
    let mut pinned = format!("{scheme}://{host}/{path}?wait=true");
    for part in query.split('&').filter(|p| p.starts_with("thread_id=")) {
        pinned.push('&');
        pinned.push_str(part);
    }
    Secret::new(pinned)
}

/// The address of the message `id`, in the thread it is in.
fn message_address(url: &Secret, message: &MessageRef) -> Secret {
    let whole = address(url);
    let (base, query) = whole.expose().split_once('?').unwrap_or_default();
    let pasted = query.split('&').find_map(|p| p.strip_prefix("thread_id="));
    let id = &message.id;
    Secret::new(match message.place.as_deref().or(pasted) {
        Some(thread) => format!("{base}/messages/{id}?thread_id={thread}"),
        None => format!("{base}/messages/{id}"),
    })
}

/// The address of a new message, in `thread` instead of one in the pasted address.
fn new_address(url: &Secret, thread: Option<&str>) -> Secret {
    let whole = address(url);
    let Some(thread) = thread else {
        return whole;
    };
    let base = whole.expose().split('?').next().unwrap_or_default();
    Secret::new(format!("{base}?wait=true&thread_id={thread}"))
}

fn body(message: &Message, tier: Tier) -> Value {
    let mut body = match tier {
        Tier::Rich => json!({ "embeds": [embed(message)] }),
        Tier::Plain => json!({ "content": plain(message), "flags": SUPPRESS_EMBEDS }),
        Tier::Line => json!({
            "content": escaped(&message.title, limits::DISCORD_TITLE),
            "flags": SUPPRESS_EMBEDS,
        }),
    };
    body["allowed_mentions"] = json!({ "parse": [] });
    body
}

impl Provider for Discord {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let headers = json_headers(USER_AGENT);
        let body = |tier| body(&told.message(context), tier);
        match context.task {
            Task::Create { place, .. } => {
                HttpRequest::post(new_address(&self.url, place), headers, &body(context.tier))
            }
            Task::Edit(message) => {
                let mut body = body(context.tier);
                // What is not named stays as it was.
                if context.tier == Tier::Rich {
                    body["content"] = Value::Null;
                } else {
                    body["embeds"] = json!([]);
                }
                HttpRequest {
                    method: Method::Patch,
                    ..HttpRequest::post(message_address(&self.url, message), headers, &body)
                }
            }
            Task::Delete(message) => HttpRequest {
                method: Method::Delete,
                url: message_address(&self.url, message),
                headers,
                body: String::new(),
                is_frozen: false,
            },
            Task::Open { name } => {
                let shown = escaped(name, limits::DISCORD_TITLE);
                let body = json!({
                    "content": shown,
                    "thread_name": name,
                    "allowed_mentions": { "parse": [] },
                });
                HttpRequest::post(new_address(&self.url, None), headers, &body)
            }
        }
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        address(&self.url)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            // A webhook's message cannot refer to another one.
            replies: false,
            places: true,
            keyed: false,
        }
    }
}

fn embed(message: &Message) -> Value {
    let fields: Vec<Value> = message
        .facts
        .iter()
        .take(limits::DISCORD_FIELDS)
        .map(|(name, value)| {
            let shown = match message.moment {
                // Shown as the time from now by whoever reads it, whenever that is.
                Some((label, at)) if label == *name => {
                    format!("<t:{}:R>", at.millis().div_euclid(1_000))
                }
                _ => escaped(value, limits::DISCORD_VALUE),
            };
            json!({ "name": name, "value": shown, "inline": value.len() < 24 })
        })
        .collect();
    let mut embed = json!({
        "title": escaped(&message.title, limits::DISCORD_TITLE),
        "color": message.mood.colour(),
        "timestamp": message.time,
        "fields": fields,
        // The one part of an embed that reads no markdown.
        "footer": { "text": message.footer },
    });
    if !message.tail.is_empty() {
        embed["description"] = fence(message, limits::DISCORD_TAIL).into();
    }
    embed
}

fn plain(message: &Message) -> String {
    let mut text = escaped(&message.lines().join("\n"), limits::DISCORD_PLAIN);
    if !message.tail.is_empty() {
        text.push('\n');
        text.push_str(&fence(message, limits::DISCORD_PLAIN_TAIL));
    }
    text
}

/// The last lines in a code fence, which no run of backticks in them can end.
fn fence(message: &Message, max: usize) -> String {
    let tail = message.tail_within(max).replace("``", "`\u{200b}`");
    let tail = crate::text::cut_by(&tail, max, char::len_utf16).into_owned();
    // A single backtick at the end would join the closing ones.
    format!("```\n{tail}\n```")
}

/// `text` with every mark of Discord's markdown taken as itself, cut to `max` UTF-16 units as it is sent.
fn escaped(text: &str, max: usize) -> String {
    let cost = |c: char| c.len_utf16() + usize::from(is_mark(c));
    crate::text::cut_by(text, max, cost).chars().fold(
        String::with_capacity(text.len()),
        |mut out, c| {
            if is_mark(c) {
                out.push('\\');
            }
            out.push(c);
            out
        },
    )
}

/// Marks of emphasis, links, mentions, quotes, lists, headings and times. The colon keeps addresses from becoming links.
const fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\\' | '*'
            | '_'
            | '~'
            | '`'
            | '|'
            | '>'
            | '<'
            | '#'
            | '['
            | ']'
            | '('
            | ')'
            | '@'
            | ':'
            | '-'
    )
}

/// What Discord's answer means.
fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let code = body
        .as_ref()
        .and_then(|b| b.get("code"))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let said = body
        .as_ref()
        .and_then(|b| b.get("message"))
        .and_then(Value::as_str)
        .unwrap_or("");
    let why = if code == 0 {
        reason(response.status, said)
    } else {
        format!("{} (code {code})", reason(response.status, said))
    };
    if let Some(instead) = instead(code, context.task) {
        return Judgement {
            instead: Some(instead),
            ..permanent(why, false)
        };
    }
    match (response.status, code) {
        (200..=299, _) => delivered(response, body.as_ref(), context.task),
        (429, _) => limited(response, body.as_ref(), why, context.now),
        // It is gone, as it was to be.
        (404, 10_008) if matches!(context.task, Task::Delete(_)) => {
            Outcome::Delivered { message: None }.into()
        }
        // Unknown webhook, invalid token: by Discord's rules not to be used again.
        (404 | 401, _) | (_, 10_015 | 50_027) => permanent(why, true),
        // A forum channel wants a thread, and a tag: no other form of the message helps.
        (400, 220_001..=220_003 | 40_067) => permanent(why, false),
        (400 | 413, _) => refused_form(why),
        _ => by_status(response, said, context.now),
    }
}

/// What the documented codes say of messages and threads: 10003 unknown channel, 10008 unknown message, 30046 too many
/// edits of an old one, 50083 archived thread, 160005 locked thread, 2200xx and 40067 forum or no forum.
fn instead(code: u64, task: Task<'_>) -> Option<Instead> {
    match (task, code) {
        (Task::Edit(_), 10_003 | 10_008 | 30_046 | 50_083 | 160_005) => Some(Instead::Afresh),
        (Task::Create { place: Some(_), .. }, 10_003 | 50_083 | 160_005)
        | (Task::Open { .. }, 220_001..=220_004 | 40_067 | 50_013 | 50_035) => {
            Some(Instead::WithoutPlace)
        }
        _ => None,
    }
}

fn delivered(response: &Response, body: Option<&Value>, task: Task<'_>) -> Judgement {
    let is_used_up = response.header("x-ratelimit-remaining") == Some("0");
    Judgement {
        pause: is_used_up.then(|| wait::reset_after(response)).flatten(),
        ..Outcome::Delivered {
            message: body.and_then(|body| reference(body, task)),
        }
        .into()
    }
}

/// The message that was made. Its id becomes part of addresses, so it is digits or nothing.
fn reference(body: &Value, task: Task<'_>) -> Option<MessageRef> {
    let snowflake = |key: &str| {
        let id = body.get(key)?.as_str()?;
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        is_id.then_some(id)
    };
    let id = snowflake("id")?;
    match task {
        Task::Create { place, .. } => Some(MessageRef {
            id: id.to_owned(),
            place: place.map(str::to_owned),
        }),
        // The post of a forum is a channel of its own.
        Task::Open { .. } => Some(MessageRef::new(id).within(snowflake("channel_id")?)),
        Task::Edit(_) | Task::Delete(_) => None,
    }
}

fn limited(response: &Response, body: Option<&Value>, why: String, now: Wall) -> Judgement {
    let Some(body) = body else {
        // A page instead of JSON is the ban of the whole address at the edge of their network.
        return Judgement {
            scope: Scope::Host,
            ..retryable(why, Some(limits::HOLD_BANNED))
        };
    };
    let is_global = body.get("global").and_then(Value::as_bool).unwrap_or(false)
        || response.header("x-ratelimit-global").is_some()
        || response.header("x-ratelimit-scope") == Some("global");
    let wait: Duration = wait::stated(response, now).unwrap_or(limits::HOLD_DEFAULT);
    Judgement {
        scope: if is_global {
            Scope::Host
        } else {
            Scope::Target
        },
        ..retryable(why, Some(wait))
    }
}
