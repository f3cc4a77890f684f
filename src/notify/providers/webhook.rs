//! The generic webhook: a JSON body by the project's own contract, signed as the Standard Webhooks convention
//! (v1) says. Id and body are the same bytes on every attempt; timestamp and signature are the attempt's own.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::Ed25519KeyPair;
use serde::Serialize;
use sha2::Sha256;

use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Told, USER_AGENT, by_status, json_headers,
};
use crate::clock::Wall;
use crate::fetch::{Method, Response};
use crate::limits;
use crate::model::delivery::{Leased, Outcome};
use crate::model::event::{Event, Facts, Severity};
use crate::model::incident::Incident;
use crate::model::target::Webhook;
use crate::notify::render::own;
use crate::secret::Secret;

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    timestamp: Wall,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: String,
    severity: Severity,
    host: &'a str,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(flatten)]
    facts: Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<IncidentWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grouped: Option<usize>,
    /// The target that could not be told, when this one stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<&'a str>,
}

#[derive(Serialize)]
struct IncidentWire {
    id: String,
    seq: u64,
    state: &'static str,
    opened_at: Wall,
    events: u64,
}

impl From<&Incident> for IncidentWire {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            seq: incident.seq,
            state: incident.state.as_str(),
            opened_at: incident.opened_at,
            events: incident.events,
        }
    }
}

/// The contract's body for `leased`. Depends on nothing but the row and the supervisor's name, so that an attempt
/// whose fate is unknown (we were killed) is repeated with the same bytes.
///
/// # Panics
/// Never: the body is plain data with text keys.
#[must_use]
pub fn body(leased: &Leased, host: &str) -> String {
    let event = &leased.event;
    let envelope = Envelope {
        r#type: event.kind.as_str(),
        timestamp: event.time,
        data: Data {
            id: event.id.to_string(),
            severity: event.severity,
            host,
            summary: crate::alert::summary(event),
            program: event.program().map(AsRef::as_ref),
            instance: event.instance.as_ref().map(ToString::to_string),
            run: event.run.map(|run| run.to_string()),
            facts: bounded_facts(event),
            incident: leased.incident.as_ref().map(IncidentWire::from),
            events: leased
                .known
                .events
                .iter()
                .map(ToString::to_string)
                .collect(),
            grouped: Some(leased.known.events.len()).filter(|count| *count > 0),
            instead_of: leased.known.instead_of.as_deref(),
        },
    };
    serde_json::to_string(&envelope).expect("plain data with text keys")
}

/// The facts with as many of the last lines as fit: receivers commonly refuse bodies beyond 20 KB.
fn bounded_facts(event: &Event) -> Facts {
    let mut facts = event.facts.clone();
    // The incident says how far it is.
    facts.trial = None;
    let mut room = limits::WEBHOOK_TAIL_BYTES;
    let mut kept = 0;
    for line in facts.log_tail.iter().rev() {
        let Some(rest) = room.checked_sub(line.len()) else {
            break;
        };
        room = rest;
        kept += 1;
    }
    facts.log_tail.drain(..facts.log_tail.len() - kept);
    facts
}

impl Provider for Webhook {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let leased = told.leased;
        let body = leased
            .frozen_body
            .clone()
            .or_else(|| own::body(leased, context.host, told.voice))
            .unwrap_or_else(|| body(leased, context.host));
        HttpRequest {
            method: Method::Post,
            url: self.url.clone(),
            headers: headers(self, (&leased.id.to_string(), &body), context.now),
            body,
            is_frozen: true,
        }
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context.now)
    }

    fn address(&self) -> Secret {
        self.url.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            keyed: true,
            ..Abilities::default()
        }
    }
}

fn headers(webhook: &Webhook, (id, body): (&str, &str), now: Wall) -> Vec<(String, Secret)> {
    let timestamp = now.millis().div_euclid(1_000);
    let mut headers = json_headers(USER_AGENT);
    for (name, value) in webhook.headers.iter().filter(|(n, _)| !is_ours(n)) {
        headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value.clone()));
    }
    headers.push(("webhook-id".to_owned(), Secret::new(id)));
    headers.push((
        "webhook-timestamp".to_owned(),
        Secret::new(timestamp.to_string()),
    ));
    let signatures: Vec<String> = webhook
        .secrets
        .iter()
        .filter_map(|secret| sign(secret, id, timestamp, body.as_bytes()))
        .collect();
    if !signatures.is_empty() {
        headers.push((
            "webhook-signature".to_owned(),
            Secret::new(signatures.join(" ")),
        ));
    }
    headers
}

/// Headers that the connection and the convention own; an operator's value for one is not sent.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("webhook-")
        || matches!(
            name.as_str(),
            "connection"
                | "content-length"
                | "expect"
                | "host"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// `v1,` or `v1a,` and the signature of `id.timestamp.body`; nothing when `secret` is not a key.
#[must_use]
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    if let Some(pair) = key_pair(secret.expose()) {
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signature = base64::engine::general_purpose::STANDARD.encode(pair.sign(&signed));
        return Some(format!("v1a,{signature}"));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("v1,{signature}"))
}

/// The pair of a `whsk_…` secret: the seed of an ed25519 key and its public key, which must belong together.
#[must_use]
pub fn key_pair(secret: &str) -> Option<Ed25519KeyPair> {
    let bytes = LENIENT
        .decode(secret.trim().strip_prefix("whsk_")?)
        .ok()
        .filter(|bytes| bytes.len() == 64)?;
    let (seed, public) = bytes.split_at(32);
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a `whsec_…` secret, padded or not; an empty one is none.
#[must_use]
pub fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().trim();
    if text.starts_with("whsk_") {
        return None;
    }
    let text = text.strip_prefix("whsec_").unwrap_or(text);
    LENIENT.decode(text).ok().filter(|key| !key.is_empty())
}

/// What the endpoint's answer means.
fn classify(response: &Response, now: Wall) -> Judgement {
    if (200..300).contains(&response.status) {
        return Outcome::Delivered { message: None }.into();
    }
    // What an unknown endpoint says may hold anything, our own request included: only its status is kept.
    by_status(response, "", now)
}
