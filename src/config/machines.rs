//! Targets that are no chats: the providers of `[target.NAME]` for services that keep states, and the checks of their
//! keys. Part of [`super::targets`] and [`super::secrets`]. No fault of this file shows a secret.

use std::sync::Arc;

use super::fault::{Wrong, wrong};
use super::fields::{Block, Fields};
use super::keys::Kind;
use super::lists;
use super::read::{Reader, Typed};
use super::targets::headers;
use crate::model::program::{Environment, Variables};
use crate::model::target::{Alertmanager, Exec, PagerDuty, ProviderSpec};

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

/// The program of an exec target, if it is one and everything it needs could be read.
pub(super) fn exec(
    reader: &mut Reader<'_>,
    block: &Block,
    inherited: &Arc<Variables>,
) -> Option<ProviderSpec> {
    let fields = &block.fields;
    if fields.text_written("target.*.kind")? != "exec" {
        return None;
    }
    let at = fields.place("target.*.command")?;
    let command = match fields.written("target.*.command")? {
        Typed::CommandLine(raw) => {
            lists::split(reader, at, &format!("{}.command", block.shown), raw)?
        }
        Typed::Words(words) => words.iter().map(|w| w.text.clone()).collect(),
        _ => return None,
    };
    let own = match fields.written("target.*.environment") {
        Some(Typed::Headers(pairs)) => pairs.clone(),
        _ => Vec::new(),
    };
    let own = own.iter();
    Some(ProviderSpec::Exec(Exec {
        command,
        directory: reader.sources.folder(at).to_path_buf(),
        environment: Environment {
            inherited: Arc::clone(inherited),
            own: own.map(|(n, v)| (n.into(), v.expose().into())).collect(),
        },
    }))
}

pub(super) fn check_variable(name: &str) -> Result<(), Wrong> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name =
        name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    if !is_name || name.starts_with("JIKIMI_") {
        return Err(wrong(
            "it cannot be a variable's name",
            "letters, digits and _, no digit first, and not JIKIMI_ before it",
        ));
    }
    Ok(())
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
