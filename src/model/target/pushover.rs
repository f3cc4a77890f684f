//! `kind = "pushover"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A user or group of Pushover.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushover {
    /// `https://api.pushover.net`, or what stands before it.
    pub url: String,
    /// Of the application.
    pub token: Secret,
    /// Of the user or group.
    pub user: Secret,
}

impl Settings for Pushover {
    fn kind(&self) -> &'static str {
        "pushover"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![
            Part::plain("url", &self.url),
            Part::secret("token", &self.token),
            Part::secret("user", &self.user),
        ]
    }
}
