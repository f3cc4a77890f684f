//! Targets that are no chats: the providers of `[target.NAME]` for services that keep states, and the checks of their
//! keys. Part of [`super::targets`] and [`super::secrets`]. No fault of this file shows a secret.

use super::fault::{Wrong, wrong};
use super::fields::Fields;
use super::keys::Kind;
use super::targets::headers;
use crate::model::target::{Alertmanager, PagerDuty, ProviderSpec};

/// The provider of `kind`, if it is one of these and everything it needs could be read.
pub(super) fn provider(kind: &str, fields: &Fields) -> Option<ProviderSpec> {
    let secret = |path: &str| fields.secrets(path).first().cloned();
    match kind {
        "pagerduty" => Some(ProviderSpec::PagerDuty(PagerDuty {
            routing_key: secret("target.*.routing_key")?,
            url: fields
                .text_written("target.*.url")
                .unwrap_or_else(|| "https://events.pagerduty.com".to_owned()),
        })),
        "alertmanager" => Some(ProviderSpec::Alertmanager(Alertmanager {
            url: secret("target.*.url")?,
            headers: headers(fields),
            resend: fields.duration("target.*.resend"),
        })),
        _ => None,
    }
}

/// Whether `text` is a secret of this kind.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), Wrong> {
    match kind {
        Kind::RoutingKey => check_routing_key(text),
        _ => super::secrets::check_url(text),
    }
}

fn check_routing_key(text: &str) -> Result<(), Wrong> {
    if text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(wrong(
        "it is no integration key",
        "32 letters and digits, as the Events API v2 integration of the service shows them",
    ))
}
