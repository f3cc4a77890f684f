//! What a target would be sent, to be looked at: the request of a first attempt, made as an attempt makes it, with
//! every secret masked. Pure; sends nothing.

use std::time::Duration;

use super::attempt::redacted;
use super::providers::{self, Context, Task, Tier, Told};
use crate::clock::{self, Wall};
use crate::ids::{DeliveryId, IncidentId, RunId};
use crate::limits;
use crate::model::clues::{Change, Usage};
use crate::model::delivery::Leased;
use crate::model::event::{Event, EventKind, Exit};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::living::{Known, Thread};
use crate::model::name::InstanceName;
use crate::model::target::{ProviderSpec, TargetSpec};

/// A request as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// `POST`, …
    pub method: &'static str,
    /// The address, its secret parts masked.
    pub url: String,
    /// Names and values, secret ones masked.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The request of a first attempt to tell `event`, which left `incident` so, to the target.
#[must_use]
pub fn request(
    spec: &TargetSpec,
    (event, incident): (Event, Option<Incident>),
    (host, tier): (&str, Tier),
) -> Preview {
    let now = clock::wall();
    let leased = Leased {
        id: DeliveryId::new(),
        target: spec.name.clone(),
        attempts: 0,
        expires_at: now + limits::DELIVERY_RETRY_VALID,
        event,
        incident,
        frozen_body: None,
        confirmed: 0,
        known: Known::default(),
    };
    let provider = providers::of(&spec.provider);
    // That of a program is known only where it was made.
    let place = match &spec.chat.thread {
        Thread::Fixed(id) => Some(id.as_str()),
        Thread::None | Thread::PerProgram => None,
    };
    let context = Context {
        host,
        now,
        tier,
        moved_to: None,
        task: Task::Create {
            place: place.filter(|_| provider.abilities().places),
            reply_to: None,
        },
    };
    let request = provider.request(&Told::of(&leased).in_voice(&spec.voice), &context);
    let headers = request.headers.iter();
    Preview {
        method: request.method.as_str(),
        url: masked_url(request.url.expose(), &spec.provider),
        headers: headers
            .map(|(name, value)| {
                (
                    name.clone(),
                    masked_header(name, value.expose(), &spec.provider),
                )
            })
            .collect(),
        body: masked_body(request.body, &spec.provider),
    }
}

const MASK: &str = "[redacted]";

/// Scheme and host, and behind them only what we have put there ourselves.
fn masked_url(url: &str, target: &ProviderSpec) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let mut out = format!("{scheme}://{host}");
    let mut word = String::new();
    for sign in path.chars().chain(['\0']) {
        if !matches!(sign, '/' | '?' | '&' | '=' | '#' | '\0') {
            word.push(sign);
            continue;
        }
        let is_ours = word.is_empty() || !is_configured(&word, target);
        out.push_str(if is_ours { &word } else { MASK });
        word.clear();
        if sign != '\0' {
            out.push(sign);
        }
    }
    out
}

/// Whether `word` stands in a secret setting, or has one in it.
fn is_configured(word: &str, target: &ProviderSpec) -> bool {
    target.parts().iter().filter(|p| p.is_secret).any(|part| {
        let whole = part.text.expose();
        let mut words = whole.split(['/', '?', '&', '=', '#']);
        word.contains(whole) && !whole.is_empty() || words.any(|known| known == word)
    })
}

/// Names of headers whose values are keys, also in another spelling than they are configured in.
const KEYS: [&str; 5] = ["authorization", "cookie", "token", "key", "secret"];

fn masked_header(name: &str, value: &str, target: &ProviderSpec) -> String {
    let name = name.to_ascii_lowercase();
    if !KEYS.iter().any(|key| name.contains(key)) {
        return redacted(value.to_owned(), target);
    }
    match value.split_once(' ') {
        Some((scheme @ ("Bearer" | "Basic" | "Token"), _)) => format!("{scheme} {MASK}"),
        Some(_) | None => MASK.to_owned(),
    }
}

/// A body is of our own making: a secret stands in it whole, as it is or as JSON or a form writes it, or not at all.
fn masked_body(mut body: String, target: &ProviderSpec) -> String {
    for part in target.parts().iter().filter(|p| p.is_secret) {
        let whole = part.text.expose();
        let quoted = serde_json::Value::from(whole).to_string();
        let quoted = quoted.trim_matches('"');
        for form in [whole, quoted] {
            if !form.is_empty() {
                body = body.replace(form, MASK);
            }
        }
    }
    body
}

/// A made-up event of `kind`, with the incident it would belong to.
#[must_use]
pub fn sample(kind: EventKind) -> (Event, Option<Incident>) {
    let now = clock::wall();
    let mut event = Event::new(kind, now);
    let is_about_a_program = ["program.", "rule."]
        .iter()
        .any(|p| kind.as_str().starts_with(p));
    if is_about_a_program {
        event.instance = Some(InstanceName::single("web"));
        event.run = Some(RunId::new());
        event.facts.pid = Some(4321);
    }
    details(&mut event);
    let incident = condition(kind).map(|found| incident(&event, found, now));
    (event, incident)
}

fn details(event: &mut Event) {
    let facts = &mut event.facts;
    match event.kind {
        EventKind::ProgramCrashed | EventKind::ProgramFatal => {
            facts.exit = Some(Exit::Code(1));
            facts.uptime_s = Some(3_723.0);
            facts.restarts = Some(2);
            facts.next_restart_s = (event.kind == EventKind::ProgramCrashed).then_some(4.0);
            facts.peak_memory_bytes = Some(268_435_456);
            facts.usage = Some(Usage {
                over_s: 15.0,
                cpu_percent: vec![3.0, 12.0, 48.0, 97.0],
                memory_bytes: vec![67_108_864, 100_663_296, 201_326_592, 268_435_456],
            });
            facts.changed = vec![Change::Config("environment.PORT".to_owned())];
            facts.log_tail = vec![
                "listening on port 8080".to_owned(),
                "panic: index out of range".to_owned(),
            ];
        }
        EventKind::ProgramExited | EventKind::ProgramStopped => {
            facts.exit = Some(Exit::Code(0));
            facts.uptime_s = Some(3_723.0);
        }
        EventKind::ProgramUnhealthy | EventKind::ProgramStalled => {
            facts.cause = Some("status 503".to_owned());
        }
        EventKind::RuleFired | EventKind::RuleCleared => {
            facts.rule = Some("memory > 1GiB for 1m".to_owned());
        }
        EventKind::TargetFailing | EventKind::TargetRestored => {
            facts.target = Some("other".to_owned());
            facts.cause = Some("connection refused".to_owned());
        }
        EventKind::StorageDegraded => facts.cause = Some("the disk is full".to_owned()),
        _ => {}
    }
}

/// What is wrong, and whether it is over.
fn condition(kind: EventKind) -> Option<(Condition, IncidentState)> {
    use IncidentState::{Open, Resolved};
    Some(match kind {
        EventKind::ProgramCrashed | EventKind::ProgramFatal => (Condition::Crash, Open),
        EventKind::ProgramRecovered => (Condition::Crash, Resolved),
        EventKind::ProgramUnhealthy => (Condition::Unhealthy, Open),
        EventKind::ProgramHealthy => (Condition::Unhealthy, Resolved),
        EventKind::ProgramStalled => (Condition::Stalled, Open),
        EventKind::RuleFired => (Condition::Rule, Open),
        EventKind::RuleCleared => (Condition::Rule, Resolved),
        EventKind::TargetFailing => (Condition::Target, Open),
        EventKind::TargetRestored => (Condition::Target, Resolved),
        EventKind::StorageDegraded => (Condition::Storage, Open),
        EventKind::StorageRestored => (Condition::Storage, Resolved),
        EventKind::SupervisorDegraded => (Condition::Supervisor, Open),
        EventKind::SupervisorRestored => (Condition::Supervisor, Resolved),
        _ => return None,
    })
}

fn incident(event: &Event, (condition, state): (Condition, IncidentState), now: Wall) -> Incident {
    let is_over = state == IncidentState::Resolved;
    let age = i64::try_from(Duration::from_mins(4).as_millis()).unwrap_or(0);
    let opened_at = if is_over {
        Wall::from_millis(now.millis().saturating_sub(age))
    } else {
        now
    };
    Incident {
        id: IncidentId::new(),
        instance: event.instance.clone(),
        condition,
        subject: event
            .facts
            .rule
            .clone()
            .or_else(|| event.facts.target.clone()),
        severity: event.severity,
        state,
        opened_at,
        resolved_at: is_over.then_some(now),
        events: if is_over { 2 } else { 1 },
        seq: if is_over { 2 } else { 1 },
        failures: 1,
        cycle: 1,
        cause: is_over.then(|| "recovered".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::webhook_to;
    use crate::secret::Secret;

    #[test]
    fn of_an_address_the_host_is_shown_and_nothing_that_was_configured_behind_it() {
        let target = webhook_to(Secret::new(
            "https://me:pw@hooks.test:8443/services/T0/abc?k=v",
        ));
        assert_eq!(
            masked_url(
                "https://me:pw@hooks.test:8443/services/T0/abc?k=v&wait=true",
                &target
            ),
            "https://hooks.test:8443/[redacted]/[redacted]/[redacted]?[redacted]=[redacted]&wait=true"
        );
        assert_eq!(masked_url("http://a.test/", &target), "http://a.test/");
    }

    #[test]
    fn keys_in_headers_and_bodies_are_masked_in_every_spelling() {
        let target = webhook_to(Secret::new("https://hooks.test/a\"bcdefgh"));
        let header = |name: &str, value: &str| masked_header(name, value, &target);
        assert_eq!(
            header("Authorization", "Basic bWU6cHc="),
            "Basic [redacted]"
        );
        assert_eq!(header("X-Gotify-Key", "abc"), "[redacted]");
        assert_eq!(header("user-agent", "jikimi/1"), "jikimi/1");
        let body = masked_body(
            r#"{"to": "https://hooks.test/a\"bcdefgh", "word": "hooks"}"#.to_owned(),
            &target,
        );
        assert_eq!(body, r#"{"to": "[redacted]", "word": "hooks"}"#);
    }

    #[test]
    fn every_kind_of_event_has_a_sample_and_every_incident_is_open_or_over() {
        for kind in EventKind::ALL {
            let (event, incident) = sample(*kind);
            assert_eq!(event.kind, *kind);
            if let Some(incident) = incident {
                let is_over = incident.state == IncidentState::Resolved;
                assert_eq!(incident.resolved_at.is_some(), is_over, "{kind}");
                assert_eq!(incident.instance, event.instance, "{kind}");
            }
        }
    }
}
