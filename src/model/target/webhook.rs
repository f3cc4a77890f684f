//! `kind = "webhook"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A generic webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where.
    pub url: Secret,
    /// `whsec_…` each; the body is signed with every one (rotation).
    pub secrets: Vec<Secret>,
    /// Extra request headers.
    pub headers: Vec<(String, Secret)>,
}

impl Settings for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn audience(&self) -> Audience {
        Audience::Machine
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::secret("url", &self.url)];
        parts.extend(self.secrets.iter().map(|s| Part::secret("secret", s)));
        for (name, value) in &self.headers {
            parts.push(Part::plain("headers", name));
            parts.push(Part::secret("headers", value));
        }
        parts
    }
}
