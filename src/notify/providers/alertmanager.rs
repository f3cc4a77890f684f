//! Alertmanager, API v2. It forgets what it is not told again: an open incident is sent at an interval with an end
//! in the near future, a resolved one for some minutes more ([`Provider::stands`]). What an alert is follows from the
//! incident as it stands; nothing of it changes from one time to the next but that end.
//!
//! The labels are the alert's identity. The severity is one of them, because people route by it: an incident that
//! became worse is another alert, and the one it was before is sent along as over.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Abilities, Context, HttpRequest, Judgement, Provider, Told, USER_AGENT, by_status,
    json_headers, refused_form,
};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::{Leased, Outcome};
use crate::model::event::{EventKind, Severity};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::target::Alertmanager;
use crate::secret::Secret;

impl Provider for Alertmanager {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let base = self.url.expose().trim_end_matches('/');
        let base = base.strip_suffix("/api/v2/alerts").unwrap_or(base);
        let mut headers = json_headers(USER_AGENT);
        for (name, value) in &self.headers {
            headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        let url = Secret::new(format!("{base}/api/v2/alerts"));
        HttpRequest::post(url, headers, &alerts(self, told, context))
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        if (200..300).contains(&response.status) {
            return Outcome::Delivered { message: None }.into();
        }
        let said = String::from_utf8_lossy(&response.body);
        match response.status {
            400 | 413 | 422 => refused_form(super::reason(response.status, &said)),
            _ => by_status(response, &said, context.now),
        }
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

    fn stands(&self, leased: &Leased) -> Option<Duration> {
        // Whoever tries it out waits for an answer.
        if leased.event.kind == EventKind::NotifyTest {
            return None;
        }
        let said_for = self.resend.saturating_mul(leased.confirmed);
        match leased.incident.as_ref()?.state {
            IncidentState::Open => Some(self.resend),
            IncidentState::Resolved => {
                (said_for < limits::ALERT_RESOLVED_SAID).then_some(self.resend)
            }
        }
    }
}

/// All that one request says: the alert, and what it was before it became worse.
fn alerts(target: &Alertmanager, told: &Told<'_>, context: &Context<'_>) -> Value {
    let leased = told.leased;
    let annotations = annotations(told, context);
    let alert = |severity: Severity, starts: Wall, ends: Option<Wall>| {
        let mut alert = json!({
            "labels": labels(leased, context.host, severity),
            "annotations": annotations,
            "startsAt": starts,
        });
        if let Some(ends) = ends {
            alert["endsAt"] = json!(ends.max(starts));
        }
        alert
    };
    let Some(incident) = &leased.incident else {
        // What has no end is over when Alertmanager says so (`resolve_timeout`).
        return json!([alert(leased.event.severity, leased.event.time, None)]);
    };
    let ends = ends(incident, target.resend, context.now);
    let mut alerts = vec![alert(incident.severity, incident.opened_at, Some(ends))];
    if incident.severity == Severity::Critical {
        let over = ends.min(context.now);
        alerts.push(alert(Severity::Warning, incident.opened_at, Some(over)));
    }
    Value::Array(alerts)
}

/// While it is open: so late that some tellings may fail before Alertmanager takes it for resolved.
fn ends(incident: &Incident, resend: Duration, now: Wall) -> Wall {
    match incident.state {
        IncidentState::Open => now.max(incident.opened_at) + resend * limits::ALERT_TELLINGS_MISSED,
        IncidentState::Resolved => incident.resolved_at.unwrap_or(now).min(now),
    }
}

/// Never the pid, an exit code or an id: what differs from one event of an incident to the next.
fn labels(leased: &Leased, host: &str, severity: Severity) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut add = |name: &str, value: String| {
        labels.insert(name.to_owned(), Value::String(value));
    };
    let incident = leased.incident.as_ref();
    let name = incident.map_or_else(
        || camel(leased.event.kind.as_str()),
        |incident| name(incident.condition).to_owned(),
    );
    add("alertname", name);
    add("host", host.to_owned());
    add("severity", severity.as_str().to_owned());
    let instance = incident.and_then(|i| i.instance.as_ref());
    if let Some(instance) = instance.or(leased.event.instance.as_ref()) {
        add("program", instance.program().to_string());
        add("instance", instance.to_string());
    }
    if let Some(subject) = incident.and_then(|i| i.subject.clone()) {
        add("subject", subject);
    }
    if leased.event.kind == EventKind::NotifyTest {
        add("test", "true".to_owned());
    }
    labels
}

const fn name(condition: Condition) -> &'static str {
    match condition {
        Condition::Crash => "ProgramCrash",
        Condition::Unhealthy => "ProgramUnhealthy",
        Condition::Stalled => "ProgramStalled",
        Condition::Rule => "RuleFired",
        Condition::Target => "TargetFailing",
        Condition::Storage => "StorageDegraded",
        Condition::Supervisor => "SupervisorDegraded",
    }
}

/// `config.rejected`: `ConfigRejected`.
fn camel(kind: &str) -> String {
    let mut name = String::with_capacity(kind.len());
    let mut is_first = true;
    for c in kind.chars() {
        if c == '.' || c == '_' {
            is_first = true;
            continue;
        }
        name.push(if is_first { c.to_ascii_uppercase() } else { c });
        is_first = false;
    }
    name
}

fn annotations(told: &Told<'_>, context: &Context<'_>) -> Map<String, Value> {
    let message = told.message(context);
    let mut annotations = Map::new();
    let mut add = |name: String, value: String| {
        annotations.insert(name, Value::String(value));
    };
    for (label, value) in &message.facts {
        let name = label.to_ascii_lowercase().replace(' ', "_");
        // In other languages than English they cannot be names; the description has them all.
        if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            add(name, value.clone());
        }
    }
    let facts = message.facts.iter();
    let lines: Vec<String> = facts
        .map(|(label, value)| format!("{label}: {value}"))
        .collect();
    add("description".to_owned(), lines.join("\n"));
    if !message.tail.is_empty() {
        add("output".to_owned(), message.tail.join("\n"));
    }
    add("event".to_owned(), told.leased.event.id.to_string());
    if let Some(incident) = &told.leased.incident {
        add("incident_id".to_owned(), incident.id.to_string());
    }
    add("summary".to_owned(), message.title);
    annotations
}
