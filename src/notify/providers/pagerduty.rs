//! PagerDuty, Events API v2: an incident is one alert there, opened and updated by `trigger`, ended by `resolve`,
//! always under the same key. What is no trouble becomes a change event, which pages nobody.

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Tier, Told, USER_AGENT, by_status, json,
    json_headers, refused_form,
};
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::{Leased, Outcome};
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::IncidentState;
use crate::model::target::PagerDuty;
use crate::secret::Secret;
use crate::text;

/// What is done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// The alert of this key opens, or gets another entry.
    Trigger(String),
    /// The alert of this key ends.
    Resolve(String),
    /// A mark on the time line.
    Change,
}

fn action(leased: &Leased, host: &str) -> Action {
    let event = &leased.event;
    // Whoever tries the target out wants to wake nobody.
    if event.kind == EventKind::NotifyTest {
        return Action::Change;
    }
    if let Some(incident) = &leased.incident {
        let key = format!("jikimi-{}", incident.id);
        return match incident.state {
            IncidentState::Resolved => Action::Resolve(key),
            IncidentState::Open if event.severity > Severity::Info => Action::Trigger(key),
            IncidentState::Open => Action::Change,
        };
    }
    if event.severity == Severity::Info || is_end(event.kind) {
        Action::Change
    } else {
        Action::Trigger(key(event, host))
    }
}

/// The end of something that this target has not heard the beginning of.
const fn is_end(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ProgramRecovered
            | EventKind::ProgramHealthy
            | EventKind::RuleCleared
            | EventKind::SupervisorRestored
            | EventKind::TargetRestored
            | EventKind::StorageRestored
    )
}

/// What belongs to no incident is one alert as often as it happens: of its kind, here, to the same program.
fn key(event: &Event, host: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(host);
    hash.update([0]);
    if let Some(instance) = &event.instance {
        hash.update(instance.to_string());
    }
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&hash.finalize()[..16]);
    format!("jikimi-{}-{digest}", event.kind)
}

impl Provider for PagerDuty {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let action = action(told.leased, context.host);
        let path = match action {
            Action::Trigger(_) | Action::Resolve(_) => "/v2/enqueue",
            Action::Change => "/v2/change/enqueue",
        };
        let base = self.url.trim_end_matches('/');
        let base = base.strip_suffix("/v2/enqueue").unwrap_or(base);
        let body = body(self, (told, &action), context);
        let url = Secret::new(format!("{base}{path}"));
        HttpRequest::post(url, json_headers(USER_AGENT), &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        if (200..300).contains(&response.status) {
            return Outcome::Delivered { message: None }.into();
        }
        let said = said(response);
        match response.status {
            400 | 413 => refused_form(super::reason(response.status, &said)),
            _ => by_status(response, &said, context.now),
        }
    }

    fn address(&self) -> Secret {
        Secret::new(self.url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            keyed: true,
            ..Abilities::default()
        }
    }
}

fn body(target: &PagerDuty, (told, action): (&Told<'_>, &Action), context: &Context<'_>) -> Value {
    let key = target.routing_key.expose();
    match action {
        Action::Resolve(alert) => json!({
            "routing_key": key,
            "event_action": "resolve",
            "dedup_key": alert,
        }),
        Action::Trigger(alert) => json!({
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": alert,
            "client": "jikimi",
            "payload": problem(told, context),
        }),
        Action::Change => json!({ "routing_key": key, "payload": change(told, context) }),
    }
}

fn change(told: &Told<'_>, context: &Context<'_>) -> Value {
    let message = told.message(context);
    let mut payload = json!({
        "summary": text::cut(&message.title, limits::PAGERDUTY_SUMMARY),
        "source": context.host,
        "timestamp": told.leased.event.time,
    });
    if context.tier == Tier::Rich {
        payload["custom_details"] = details(told, context);
    }
    payload
}

fn problem(told: &Told<'_>, context: &Context<'_>) -> Value {
    let event = &told.leased.event;
    let severity = told
        .leased
        .incident
        .as_ref()
        .map_or(event.severity, |i| i.severity.max(event.severity));
    let mut payload = change(told, context);
    payload["severity"] = json!(severity.as_str());
    payload["class"] = json!(event.kind.as_str());
    if let Some(instance) = &event.instance {
        payload["component"] = json!(instance.to_string());
    }
    payload
}

fn details(told: &Told<'_>, context: &Context<'_>) -> Value {
    let message = told.message(context);
    let mut details = serde_json::Map::new();
    for (label, value) in message.facts {
        details.insert(label.to_owned(), Value::String(value));
    }
    if !message.tail.is_empty() {
        details.insert("Last output".to_owned(), json!(message.tail));
    }
    details.insert("Event".to_owned(), json!(told.leased.event.id.to_string()));
    Value::Object(details)
}

/// `{"status": "invalid event", "message": …, "errors": […]}`.
fn said(response: &Response) -> String {
    let Some(answer) = json(response) else {
        return String::new();
    };
    let errors = answer["errors"].as_array().into_iter().flatten();
    let errors = errors.filter_map(Value::as_str);
    let parts: Vec<&str> = answer["message"]
        .as_str()
        .into_iter()
        .chain(errors)
        .collect();
    parts.join("; ")
}
