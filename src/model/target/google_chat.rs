//! `kind = "google_chat"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A webhook of a Google Chat space.
#[derive(Clone, Debug, PartialEq)]
pub struct GoogleChat {
    /// As Google Chat shows it, with its key and token.
    pub url: Secret,
}

impl Settings for GoogleChat {
    fn kind(&self) -> &'static str {
        "google_chat"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::secret("url", &self.url)]
    }
}
