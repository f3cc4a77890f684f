//! The kinds of targets there are, each with its own settings; one match says which.

use super::settings::{Audience, Part, Settings};
use super::{Discord, Slack, Telegram, Webhook};

/// The provider of a target with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderSpec {
    /// Standard Webhooks: JSON, signed when there are secrets.
    Webhook(Webhook),
    /// A Discord webhook.
    Discord(Discord),
    /// A Slack incoming webhook.
    Slack(Slack),
    /// The Telegram bot API.
    Telegram(Telegram),
}

impl ProviderSpec {
    /// The settings, whatever the kind.
    #[must_use]
    pub const fn settings(&self) -> &dyn Settings {
        match self {
            Self::Webhook(settings) => settings,
            Self::Discord(settings) => settings,
            Self::Slack(settings) => settings,
            Self::Telegram(settings) => settings,
        }
    }

    /// The `kind` key's value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.settings().kind()
    }

    /// Whom it speaks to.
    #[must_use]
    pub fn audience(&self) -> Audience {
        self.settings().audience()
    }

    /// Every setting, as text.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.settings().parts()
    }
}
