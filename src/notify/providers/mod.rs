//! Providers: what a message looks like to each kind of target, and what its answer means. Pure: they build
//! requests and judge answers, and send nothing.
//!
//! Text that comes from programs is never put where a provider reads markup, and mentions are off everywhere.

pub mod alertmanager;
#[cfg(test)]
mod chat_tests;
pub mod discord;
pub mod exec;
mod flat;
pub mod google_chat;
pub mod gotify;
#[cfg(test)]
mod hostile_tests;
pub mod matrix;
pub mod mattermost;
pub mod ntfy;
pub mod pagerduty;
mod provider;
pub mod pushover;
pub mod slack;
pub mod slack_bot;
pub mod teams;
pub mod telegram;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wait;
pub mod webhook;

use std::time::Duration;

use serde_json::Value;

pub use self::provider::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Scope, Task, Tier, Told,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::model::delivery::Outcome;
use crate::model::target::ProviderSpec;
use crate::secret::Secret;

/// The provider of a target.
#[must_use]
pub fn of(target: &ProviderSpec) -> &dyn Provider {
    match target {
        ProviderSpec::Webhook(webhook) => webhook,
        ProviderSpec::Discord(discord) => discord,
        ProviderSpec::Slack(slack) => slack,
        ProviderSpec::SlackBot(bot) => bot,
        ProviderSpec::Telegram(telegram) => telegram,
        ProviderSpec::Ntfy(ntfy) => ntfy,
        ProviderSpec::Mattermost(mattermost) => mattermost,
        ProviderSpec::GoogleChat(google_chat) => google_chat,
        ProviderSpec::Teams(teams) => teams,
        ProviderSpec::Matrix(matrix) => matrix,
        ProviderSpec::Gotify(gotify) => gotify,
        ProviderSpec::Pushover(pushover) => pushover,
        ProviderSpec::PagerDuty(pagerduty) => pagerduty,
        ProviderSpec::Alertmanager(alertmanager) => alertmanager,
        ProviderSpec::Exec(exec) => exec,
    }
}

/// Scheme, host and port of the target's address, in lower case: what shares the host's limits.
#[must_use]
pub fn host(target: &ProviderSpec) -> String {
    let url = of(target).address();
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
    for part in target.parts() {
        hash.update([0]);
        hash.update(part.text.expose());
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

pub(in crate::notify) fn retryable(
    reason: impl Into<String>,
    after: Option<Duration>,
) -> Judgement {
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
