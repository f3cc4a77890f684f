//! PagerDuty's Events API v2 as its documentation describes it: "Send an Alert Event", "Send a Change Event" and the
//! overview's response codes and size limits.

use serde_json::{Map, Value, json};

use crate::support::receiver::{Received, Receiver, Reply};

/// The key of the one integration it knows.
pub const KEY: &str = "R0UT1NGKEY0123456789abcdefABCDEF";

const SIZE_MAX: usize = 512 * 1024;
const SUMMARY_MAX: usize = 1_024;
const DEDUP_KEY_MAX: usize = 255;

/// One that takes what is documented, with 202, and refuses everything else with 400.
pub fn start() -> Receiver {
    Receiver::scripted(answer)
}

/// The documented answer to a request.
pub fn answer(request: &Received) -> Reply {
    match refusal(request) {
        None => {
            let key = request.json()["dedup_key"].clone();
            let body = json!({"status": "success", "message": "Event processed", "dedup_key": key});
            Reply::Status(202, vec![], body.to_string())
        }
        Some(error) => {
            let body = json!({
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": [error],
            });
            Reply::Status(400, vec![], body.to_string())
        }
    }
}

/// Why the request would be refused.
pub fn refusal(request: &Received) -> Option<String> {
    if request.method != "POST" {
        return Some(format!("method {}", request.method));
    }
    if request.body.len() > SIZE_MAX {
        return Some("payload exceeds 512 KB".to_owned());
    }
    let Ok(Value::Object(event)) = serde_json::from_str(&request.body) else {
        return Some("JSON is invalid".to_owned());
    };
    if event.get("routing_key").and_then(Value::as_str) != Some(KEY) {
        return Some("'routing_key' is invalid".to_owned());
    }
    match request.path.as_str() {
        "/v2/enqueue" => alert(&event),
        "/v2/change/enqueue" => {
            unknown(&event, &["routing_key", "payload", "links"]).or_else(|| {
                let payload = event.get("payload").and_then(Value::as_object);
                let Some(payload) = payload else {
                    return Some("'payload' is missing or blank".to_owned());
                };
                unknown(
                    payload,
                    &["summary", "source", "timestamp", "custom_details"],
                )
                .or_else(|| common(payload))
            })
        }
        path => Some(format!("no such path: {path}")),
    }
}

fn unknown(object: &Map<String, Value>, known: &[&str]) -> Option<String> {
    let stranger = object.keys().find(|key| !known.contains(&key.as_str()))?;
    Some(format!("'{stranger}' is not documented"))
}

fn alert(event: &Map<String, Value>) -> Option<String> {
    let known = [
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "images",
        "links",
        "client",
        "client_url",
    ];
    if let Some(stranger) = unknown(event, &known) {
        return Some(stranger);
    }
    let key = event
        .get("dedup_key")
        .map(|k| k.as_str().unwrap_or_default());
    if key.is_some_and(|k| k.is_empty() || k.chars().count() > DEDUP_KEY_MAX) {
        return Some("'dedup_key' is blank or too long".to_owned());
    }
    match event.get("event_action").and_then(Value::as_str) {
        Some("trigger") => problem(event.get("payload")),
        Some("acknowledge" | "resolve") if key.is_none() => {
            Some("'dedup_key' is missing".to_owned())
        }
        Some("acknowledge" | "resolve") => None,
        other => Some(format!("'event_action' is invalid: {other:?}")),
    }
}

fn problem(payload: Option<&Value>) -> Option<String> {
    let Some(Value::Object(payload)) = payload else {
        return Some("'payload' is missing or blank".to_owned());
    };
    let known = [
        "summary",
        "source",
        "severity",
        "timestamp",
        "component",
        "group",
        "class",
        "custom_details",
    ];
    if let Some(stranger) = unknown(payload, &known) {
        return Some(stranger);
    }
    if payload
        .get("source")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return Some("'payload.source' is missing or blank".to_owned());
    }
    let severity = payload.get("severity").and_then(Value::as_str);
    if !matches!(severity, Some("critical" | "error" | "warning" | "info")) {
        return Some(format!("'payload.severity' is invalid: {severity:?}"));
    }
    common(payload)
}

fn common(payload: &Map<String, Value>) -> Option<String> {
    let summary = payload
        .get("summary")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if summary.is_empty() || summary.chars().count() > SUMMARY_MAX {
        return Some("'payload.summary' is missing or too long".to_owned());
    }
    if let Some(time) = payload.get("timestamp") {
        let text = time.as_str().unwrap_or_default();
        if text.parse::<jiff::Timestamp>().is_err() {
            return Some("'payload.timestamp' is no timestamp".to_owned());
        }
    }
    let details = payload.get("custom_details");
    if details.is_some_and(|d| !d.is_object()) {
        return Some("'payload.custom_details' is no object".to_owned());
    }
    None
}
