//! The kinds of targets there are, each with its own settings; one match says which.

use super::settings::{Audience, Part, Settings};
use super::{
    Alertmanager, Discord, Exec, GoogleChat, Gotify, Matrix, Mattermost, Ntfy, PagerDuty, Pushover,
    Slack, SlackBot, Teams, Telegram, Webhook,
};

/// The provider of a target with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderSpec {
    /// Standard Webhooks: JSON, signed when there are secrets.
    Webhook(Webhook),
    /// A Discord webhook.
    Discord(Discord),
    /// A Slack incoming webhook.
    Slack(Slack),
    /// A bot at Slack.
    SlackBot(SlackBot),
    /// The Telegram bot API.
    Telegram(Telegram),
    /// A topic at an ntfy server.
    Ntfy(Ntfy),
    /// A Mattermost incoming webhook.
    Mattermost(Mattermost),
    /// A webhook of a Google Chat space.
    GoogleChat(GoogleChat),
    /// A workflow of Microsoft Teams.
    Teams(Teams),
    /// A room of Matrix.
    Matrix(Matrix),
    /// An application at a Gotify server.
    Gotify(Gotify),
    /// A user or group of Pushover.
    Pushover(Pushover),
    /// A service of PagerDuty's.
    PagerDuty(PagerDuty),
    /// An Alertmanager of Prometheus.
    Alertmanager(Alertmanager),
    /// A program of one's own.
    Exec(Exec),
}

impl ProviderSpec {
    /// The settings, whatever the kind.
    #[must_use]
    pub const fn settings(&self) -> &dyn Settings {
        match self {
            Self::Webhook(settings) => settings,
            Self::Discord(settings) => settings,
            Self::Slack(settings) => settings,
            Self::SlackBot(settings) => settings,
            Self::Telegram(settings) => settings,
            Self::Ntfy(settings) => settings,
            Self::Mattermost(settings) => settings,
            Self::GoogleChat(settings) => settings,
            Self::Teams(settings) => settings,
            Self::Matrix(settings) => settings,
            Self::Gotify(settings) => settings,
            Self::Pushover(settings) => settings,
            Self::PagerDuty(settings) => settings,
            Self::Alertmanager(settings) => settings,
            Self::Exec(settings) => settings,
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
