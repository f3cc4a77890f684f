//! Alertmanager's `POST /api/v2/alerts` as its documentation and its `OpenAPI` file describe it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::support::receiver::{Received, Receiver, Reply};

/// One that takes what is documented, with 200 and nothing, and refuses everything else with 400 and a text.
pub fn start() -> Receiver {
    Receiver::scripted(answer)
}

/// The documented answer to a request.
pub fn answer(request: &Received) -> Reply {
    match read(request) {
        Ok(_) => Reply::status(200),
        Err(why) => Reply::Status(400, vec![], Value::String(why).to_string()),
    }
}

/// One alert as it was posted.
#[derive(Clone, Debug)]
pub struct Alert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub starts: Timestamp,
    /// Without one, five minutes from when it came.
    pub ends: Option<Timestamp>,
}

/// The alerts of a request, or why it is refused.
pub fn read(request: &Received) -> Result<Vec<Alert>, String> {
    if request.method != "POST" || request.path != "/api/v2/alerts" {
        return Err(format!("{} {}", request.method, request.path));
    }
    let media = request
        .headers
        .get("content-type")
        .map_or("", String::as_str);
    if !media.starts_with("application/json") {
        return Err(format!("unsupported media type {media:?}"));
    }
    let Ok(Value::Array(alerts)) = serde_json::from_str(&request.body) else {
        return Err("the body is no array".to_owned());
    };
    alerts.iter().map(alert).collect()
}

fn alert(value: &Value) -> Result<Alert, String> {
    let object = value.as_object().ok_or("an alert is no object")?;
    let known = [
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
    ];
    if let Some(stranger) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("{stranger} is not documented"));
    }
    let labels = texts(object.get("labels"))?;
    if labels.get("alertname").is_none_or(String::is_empty) {
        return Err("at least one label pair required, alertname among them".to_owned());
    }
    let time = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map(Some)
            .ok_or(format!("{key} is no RFC 3339 time: {value}")),
    };
    let starts = time("startsAt")?.unwrap_or_else(Timestamp::now);
    let ends = time("endsAt")?;
    if ends.is_some_and(|ends| ends < starts) {
        return Err("start time must be before end time".to_owned());
    }
    Ok(Alert {
        labels,
        annotations: texts(object.get("annotations"))?,
        starts,
        ends,
    })
}

fn texts(value: Option<&Value>) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for (name, value) in value.and_then(Value::as_object).into_iter().flatten() {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_name =
            name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
        if !is_name {
            return Err(format!("invalid label name {name:?}"));
        }
        let text = value.as_str().ok_or(format!("{name} is no text"))?;
        texts.insert(name.clone(), text.to_owned());
    }
    Ok(texts)
}
