//! `kind = "teams"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A workflow of Microsoft Teams that posts what its webhook receives.
#[derive(Clone, Debug, PartialEq)]
pub struct Teams {
    /// As the workflow shows it, with its signature.
    pub url: Secret,
}

impl Settings for Teams {
    fn kind(&self) -> &'static str {
        "teams"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::secret("url", &self.url)]
    }
}
