//! `kind = "ntfy"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A topic at an ntfy server.
#[derive(Clone, Debug, PartialEq)]
pub struct Ntfy {
    /// The server.
    pub url: String,
    /// Who knows it reads it: as good as a password.
    pub topic: Secret,
    /// An access token, where the topic wants one.
    pub token: Option<Secret>,
}

impl Settings for Ntfy {
    fn kind(&self) -> &'static str {
        "ntfy"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![
            Part::plain("url", &self.url),
            Part::secret("topic", &self.topic),
        ];
        parts.extend(self.token.iter().map(|t| Part::secret("token", t)));
        parts
    }
}
