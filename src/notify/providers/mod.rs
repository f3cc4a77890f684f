//! Providers: what a message looks like to each kind of target, and what its answer means. Pure: they build
//! requests and judge answers, and send nothing.
//!
//! Text that comes from programs is never put where a provider reads markup, and mentions are off everywhere.

pub mod discord;
pub mod slack;
pub mod telegram;
#[cfg(test)]
mod tests;
mod wait;
pub mod webhook;

use std::time::Duration;

use serde_json::Value;

use crate::clock::Wall;
use crate::fetch::Response;
use crate::model::delivery::{Leased, Outcome};
use crate::model::target::ProviderSpec;
use crate::secret::Secret;

/// A request as data.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Where to.
    pub url: Secret,
    /// Names and values.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: String,
    /// Whether the body must be the same bytes on every attempt.
    pub is_frozen: bool,
}

/// How elaborate a message is. One refused for its form is sent again one step plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Everything the provider can show.
    Rich,
    /// Text only.
    Plain,
    /// One line.
    Line,
}

impl Tier {
    /// The next plainer one.
    #[must_use]
    pub const fn plainer(self) -> Option<Self> {
        match self {
            Self::Rich => Some(Self::Plain),
            Self::Plain => Some(Self::Line),
            Self::Line => None,
        }
    }
}

/// What a request is made from, besides the delivery and the target.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The supervisor's name.
    pub host: &'a str,
    /// The moment of the attempt.
    pub now: Wall,
    /// How elaborate.
    pub tier: Tier,
    /// The chat's id since it moved (Telegram), instead of the configured one.
    pub moved_to: Option<&'a str>,
}

/// Who has to wait when a target asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This target.
    Target,
    /// Every target at the same host.
    Host,
}

/// What could be tried at once instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The same, plainer: the form was refused.
    Plainer,
    /// The same, to the chat's new id.
    MovedTo(String),
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// For the delivery, if nothing else is tried.
    pub outcome: Outcome,
    /// Whom a stated wait concerns.
    pub scope: Scope,
    /// What to try instead, in the same attempt.
    pub instead: Option<Instead>,
    /// The message went, but the next one must wait this long (used-up rate).
    pub pause: Option<Duration>,
}

impl From<Outcome> for Judgement {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            scope: Scope::Target,
            instead: None,
            pause: None,
        }
    }
}

/// The request that tells `leased` to `target`.
#[must_use]
pub fn request(leased: &Leased, target: &ProviderSpec, context: &Context<'_>) -> HttpRequest {
    match target {
        ProviderSpec::Webhook {
            url,
            secrets,
            headers,
        } => webhook::request(
            leased,
            &webhook::Address {
                url,
                secrets,
                headers,
            },
            context,
        ),
        ProviderSpec::Discord { url } => discord::request(leased, url, context),
        ProviderSpec::Slack { url } => slack::request(leased, url, context),
        ProviderSpec::Telegram {
            token,
            chat_id,
            api_url,
        } => telegram::request(
            leased,
            &telegram::Address {
                token,
                chat_id,
                api_url,
            },
            context,
        ),
    }
}

/// What `response` means, at `now`.
#[must_use]
pub fn classify(target: &ProviderSpec, response: &Response, now: Wall) -> Judgement {
    match target {
        ProviderSpec::Webhook { .. } => webhook::classify(response, now),
        ProviderSpec::Discord { .. } => discord::classify(response, now),
        ProviderSpec::Slack { .. } => slack::classify(response, now),
        ProviderSpec::Telegram { .. } => telegram::classify(response, now),
    }
}

/// Scheme, host and port of the target's address, in lower case: what shares the host's limits.
#[must_use]
pub fn host(target: &ProviderSpec) -> String {
    let url = match target {
        ProviderSpec::Webhook { url, .. } | ProviderSpec::Slack { url } => url.clone(),
        ProviderSpec::Discord { url } => discord::address(url),
        ProviderSpec::Telegram { api_url, .. } => Secret::new(api_url.as_str()),
    };
    let (scheme, rest) = url.expose().split_once("://").unwrap_or(("", url.expose()));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}").to_ascii_lowercase()
}

/// Tells one provider's settings from another's, without giving any of them away: half of a SHA-256 of them.
#[must_use]
pub fn fingerprint(target: &ProviderSpec) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(target.kind());
    let mut add = |text: &str| {
        hash.update([0]);
        hash.update(text);
    };
    match target {
        ProviderSpec::Webhook {
            url,
            secrets,
            headers,
        } => {
            add(url.expose());
            for secret in secrets {
                add(secret.expose());
            }
            for (name, value) in headers {
                add(name);
                add(value.expose());
            }
        }
        ProviderSpec::Discord { url } | ProviderSpec::Slack { url } => add(url.expose()),
        ProviderSpec::Telegram {
            token,
            chat_id,
            api_url,
        } => {
            add(token.expose());
            add(chat_id);
            add(api_url);
        }
    }
    let digest = hash.finalize();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..16])
}

fn json_headers(user_agent: &str) -> Vec<(String, Secret)> {
    vec![
        (
            "content-type".to_owned(),
            Secret::new("application/json; charset=utf-8"),
        ),
        ("user-agent".to_owned(), Secret::new(user_agent)),
    ]
}

/// The name under which all but Discord see us.
const USER_AGENT: &str = concat!("jikimi/", env!("CARGO_PKG_VERSION"));

fn permanent(reason: impl Into<String>, target_gone: bool) -> Judgement {
    Outcome::Permanent {
        reason: reason.into(),
        target_gone,
    }
    .into()
}

fn retryable(reason: impl Into<String>, after: Option<Duration>) -> Judgement {
    Outcome::Retryable {
        reason: reason.into(),
        after,
    }
    .into()
}

/// A refusal of the form: try it plainer, or give the message up.
fn refused_form(reason: impl Into<String>) -> Judgement {
    Judgement {
        instead: Some(Instead::Plainer),
        ..permanent(reason, false)
    }
}

/// `status 500` and what the target says about it, as one printable line. Cut only when secrets are out of it: one
/// that is cut in two is not found any more.
fn reason(status: u16, said: &str) -> String {
    let said = crate::text::printable(said.trim().as_bytes()).into_owned();
    if said.is_empty() {
        format!("status {status}")
    } else {
        format!("status {status}: {said}")
    }
}

/// What all HTTP targets have in common when nothing more is known of an answer that is no success.
fn by_status(response: &Response, said: &str, now: Wall) -> Judgement {
    let status = response.status;
    let why = reason(status, said);
    match status {
        // A stated wait counts on these two alone.
        429 => {
            let wait = wait::stated(response, now).unwrap_or(crate::limits::HOLD_DEFAULT);
            retryable(why, Some(wait))
        }
        503 => retryable(why, wait::stated(response, now)),
        // Not followed: the answer may come from a portal or a load balancer that is being changed.
        300..=399 => retryable(format!("{why} (a redirect, which is not followed)"), None),
        408 | 425 | 500..=599 | 100..=199 => retryable(why, None),
        410 => permanent(why, true),
        _ => permanent(why, false),
    }
}

fn json(response: &Response) -> Option<Value> {
    serde_json::from_slice(&response.body).ok()
}
