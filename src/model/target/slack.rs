//! `kind = "slack"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A Slack incoming webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Slack {
    /// As Slack shows it.
    pub url: Secret,
}

impl Settings for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::secret("url", &self.url)]
    }
}
