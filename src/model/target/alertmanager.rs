//! `kind = "alertmanager"`.

use std::time::Duration;

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// An Alertmanager of Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// Where it is, without `/api/v2/alerts`.
    pub url: Secret,
    /// Extra request headers.
    pub headers: Vec<(String, Secret)>,
    /// How often it is told again what is still so.
    pub resend: Duration,
}

impl Settings for Alertmanager {
    fn kind(&self) -> &'static str {
        "alertmanager"
    }

    fn audience(&self) -> Audience {
        Audience::State
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![
            Part::secret("url", &self.url),
            Part::plain("resend", crate::text::duration(self.resend)),
        ];
        for (name, value) in &self.headers {
            parts.push(Part::plain("headers", name));
            parts.push(Part::secret("headers", value));
        }
        parts
    }
}
