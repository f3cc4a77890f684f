//! `kind = "discord"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A Discord webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Discord {
    /// As Discord shows it.
    pub url: Secret,
}

impl Settings for Discord {
    fn kind(&self) -> &'static str {
        "discord"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::secret("url", &self.url)]
    }
}
