//! `kind = "mattermost"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A Mattermost incoming webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Mattermost {
    /// As Mattermost shows it.
    pub url: Secret,
}

impl Settings for Mattermost {
    fn kind(&self) -> &'static str {
        "mattermost"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::secret("url", &self.url)]
    }
}
