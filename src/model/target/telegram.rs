//! `kind = "telegram"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A chat with a bot of Telegram's.
#[derive(Clone, Debug, PartialEq)]
pub struct Telegram {
    /// Of the bot.
    pub token: Secret,
    /// A number or `@channel`.
    pub chat_id: String,
    /// `https://api.telegram.org`, or a bot API server of one's own.
    pub api_url: String,
}

impl Settings for Telegram {
    fn kind(&self) -> &'static str {
        "telegram"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![
            Part::secret("token", &self.token),
            Part::plain("chat_id", &self.chat_id),
            Part::plain("api_url", &self.api_url),
        ]
    }
}
