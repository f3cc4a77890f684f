//! `kind = "pagerduty"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A service of PagerDuty's, told by the Events API v2.
#[derive(Clone, Debug, PartialEq)]
pub struct PagerDuty {
    /// The integration's key.
    pub routing_key: Secret,
    /// Where the Events API is, without a path.
    pub url: String,
}

impl Settings for PagerDuty {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn audience(&self) -> Audience {
        Audience::State
    }

    fn parts(&self) -> Vec<Part> {
        vec![
            Part::secret("routing_key", &self.routing_key),
            Part::plain("url", &self.url),
        ]
    }
}
