//! `kind = "gotify"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// An application at a Gotify server.
#[derive(Clone, Debug, PartialEq)]
pub struct Gotify {
    /// The server.
    pub url: String,
    /// Of the application: it may send, and nothing else.
    pub token: Secret,
    /// Of a client: with it messages can be deleted too.
    pub client_token: Option<Secret>,
}

impl Settings for Gotify {
    fn kind(&self) -> &'static str {
        "gotify"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![
            Part::plain("url", &self.url),
            Part::secret("token", &self.token),
        ];
        let client = self.client_token.iter();
        parts.extend(client.map(|t| Part::secret("client_token", t)));
        parts
    }
}
