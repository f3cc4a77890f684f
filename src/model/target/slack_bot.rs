//! `kind = "slack"` with a bot's token.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A channel that a bot of Slack's writes to. Unlike an incoming webhook it can edit what it wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackBot {
    /// `xoxb-…`, with the scope `chat:write`.
    pub token: Secret,
    /// Its id, or `#name`.
    pub channel: String,
    /// `https://slack.com/api`.
    pub api_url: String,
}

impl Settings for SlackBot {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![
            Part::secret("token", &self.token),
            Part::plain("channel", &self.channel),
            Part::plain("api_url", &self.api_url),
        ]
    }
}
