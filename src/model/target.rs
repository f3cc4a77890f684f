//! Targets: configured destinations, and how they are seen from outside.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod alertmanager;
mod detail;
mod discord;
mod exec;
mod fallback;
mod google_chat;
mod gotify;
mod matrix;
mod mattermost;
mod ntfy;
mod pagerduty;
mod provider;
mod pushover;
mod settings;
mod slack;
mod slack_bot;
mod teams;
mod telegram;
mod webhook;

pub use self::alertmanager::Alertmanager;
pub use self::detail::TargetDetail;
pub use self::discord::Discord;
pub use self::exec::Exec;
pub use self::fallback::Fallback;
pub use self::google_chat::GoogleChat;
pub use self::gotify::Gotify;
pub use self::matrix::Matrix;
pub use self::mattermost::Mattermost;
pub use self::ntfy::Ntfy;
pub use self::pagerduty::PagerDuty;
pub use self::provider::ProviderSpec;
pub use self::pushover::Pushover;
pub use self::settings::{Audience, Part, Settings};
pub use self::slack::Slack;
pub use self::slack_bot::SlackBot;
pub use self::teams::Teams;
pub use self::telegram::Telegram;
pub use self::webhook::Webhook;
use super::living::ChatPolicy;
use super::via::Via;
use super::voice::Voice;
use crate::clock::Wall;

/// One `[target.NAME]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// The table's name.
    pub name: Arc<str>,
    /// What kind of provider, and its address.
    pub provider: ProviderSpec,
    /// A whole attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// When to leave it alone.
    pub breaker: BreakerPolicy,
    /// How fast it may be sent to.
    pub rate: RatePolicy,
    /// How its messages are worded.
    pub voice: Voice,
    /// The way to it.
    pub via: Via,
    /// How people are told.
    pub chat: ChatPolicy,
    /// Who is told instead, when it cannot be.
    pub fallback: Option<Fallback>,
}

/// After `failures` in a row the target is left alone for `cooldown`, doubling up to `cooldown_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Retryable failures in a row that open it; at least 1.
    pub failures: u32,
    /// The first pause.
    pub cooldown: Duration,
    /// No pause is longer, unless the target asks.
    pub cooldown_max: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePolicy {
    /// Messages at once; at least 1.
    pub burst: u32,
    /// Messages a minute after that; at least 1.
    pub per_minute: u32,
}

/// What a target is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// Nothing holds it.
    Ready,
    /// A worker is sending to it.
    Busy,
    /// It asked for a wait, or its rate is used up.
    Waiting,
    /// Its breaker is open.
    Open,
    /// It is gone (unknown webhook, revoked token) until its configuration changes.
    Dead,
}

/// A target as `status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it is doing.
    pub state: TargetState,
    /// Deliveries that wait.
    pub pending: u64,
    /// Deliveries it took.
    pub delivered: u64,
    /// Deliveries given up.
    pub failed: u64,
    /// The last attempt.
    pub last_activity: Option<Wall>,
    /// What went wrong last, if the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
    /// What there is to say beyond that.
    #[serde(flatten)]
    pub detail: TargetDetail,
}
