//! What every webhook must be, checked key by key; the signature is computed here by itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::support::receiver::Received;

/// The supervisor's name in these tests.
pub const HOST: &str = "box-7";

const ALWAYS: [&str; 4] = ["id", "severity", "host", "summary"];
const WHERE_THEY_APPLY: [&str; 18] = [
    "usage",
    "changed",
    "program",
    "instance",
    "run",
    "pid",
    "exit",
    "cause",
    "uptime_s",
    "restarts",
    "next_restart_s",
    "peak_memory_bytes",
    "log_tail",
    "incident",
    "grouped",
    "asked_by",
    "target",
    "count",
];

/// The signature of a request by one `whsec_…` key.
pub fn signature(secret: &str, request: &Received) -> String {
    let key = secret.strip_prefix("whsec_").expect("a whsec_ key");
    let key = STANDARD.decode(key).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
    let (id, time) = (
        &request.headers["webhook-id"],
        &request.headers["webhook-timestamp"],
    );
    mac.update(format!("{id}.{time}.{}", request.body).as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Fails unless the request is one by the contract.
pub fn check(request: &Received) {
    let json = request.json();
    let why = || format!("{}\n{:?}", request.body, request.headers);
    assert_eq!(request.method, "POST");
    assert!(
        request.headers["content-type"].starts_with("application/json"),
        "{}",
        why()
    );
    assert_eq!(
        request.headers["content-length"],
        request.body.len().to_string(),
        "the receiver took the body for UTF-8: {}",
        why()
    );
    assert!(is_ulid(&request.headers["webhook-id"]), "{}", why());
    let time: i64 = request.headers["webhook-timestamp"]
        .parse()
        .unwrap_or_else(|e| panic!("{e}: {}", why()));
    let envelope = json.as_object().expect("an object");
    let mut keys: Vec<&str> = envelope.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["data", "timestamp", "type"], "{}", why());
    let event_time = json["timestamp"].as_str().expect("text");
    assert!(event_time.ends_with('Z'), "not in UTC: {}", why());
    let event_time: jiff::Timestamp = event_time
        .parse()
        .unwrap_or_else(|e| panic!("{e}: {}", why()));
    assert!(
        event_time.as_second() <= time,
        "sent before it happened: {}",
        why()
    );
    data(json["type"].as_str().expect("text"), &json["data"]);
}

fn data(kind: &str, data: &Value) {
    let facts = data.as_object().expect("an object");
    for key in facts.keys() {
        let known = ALWAYS
            .iter()
            .chain(&WHERE_THEY_APPLY)
            .any(|known| known == key);
        assert!(known, "{key} is not of the contract: {data}");
        assert!(!facts[key].is_null(), "{key} does not apply: {data}");
    }
    assert!(data["id"].as_str().is_some_and(is_ulid), "{data}");
    assert!(
        matches!(
            data["severity"].as_str(),
            Some("info" | "warning" | "critical")
        ),
        "{data}"
    );
    assert_eq!(data["host"], HOST, "{data}");
    let summary = data["summary"].as_str().expect("text");
    assert!(!summary.is_empty() && !summary.contains('\n'), "{data}");
    assert_eq!(
        kind.starts_with("program."),
        facts.contains_key("instance") && facts.contains_key("program"),
        "{kind}: {data}"
    );
    if let (Some(instance), Some(program)) = (data["instance"].as_str(), data["program"].as_str()) {
        assert_eq!(instance.split(':').next(), Some(program), "{data}");
    }
    for (key, is_so) in [
        ("run", Value::is_string as fn(&Value) -> bool),
        ("pid", Value::is_u64),
        ("cause", Value::is_string),
        ("uptime_s", Value::is_number),
        ("restarts", Value::is_u64),
        ("next_restart_s", Value::is_number),
        ("peak_memory_bytes", Value::is_u64),
    ] {
        assert!(facts.get(key).is_none_or(is_so), "{key}: {data}");
    }
    if let Some(lines) = facts.get("log_tail") {
        let lines = lines.as_array().expect("a list of lines");
        assert!(lines.iter().all(Value::is_string), "{data}");
    }
    if let Some(exit) = facts.get("exit") {
        let is_code = exit["code"].is_i64();
        let is_signal = exit["signal"]
            .as_str()
            .is_some_and(|s| s.starts_with("SIG"));
        let is_unknown = exit["unknown"] == true;
        let ways = [is_code, is_signal, is_unknown];
        assert_eq!(ways.iter().filter(|w| **w).count(), 1, "{data}");
    }
    if let Some(incident) = facts.get("incident") {
        self::incident(incident);
    }
}

fn incident(incident: &Value) {
    let mut keys: Vec<&str> = incident
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["events", "id", "opened_at", "seq", "state"]);
    assert!(incident["id"].as_str().is_some_and(is_ulid), "{incident}");
    assert!(
        incident["seq"].is_u64() && incident["events"].is_u64(),
        "{incident}"
    );
    assert!(
        matches!(incident["state"].as_str(), Some("open" | "resolved")),
        "{incident}"
    );
    let opened = incident["opened_at"].as_str().expect("text");
    assert!(opened.parse::<jiff::Timestamp>().is_ok(), "{incident}");
}

fn is_ulid(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
