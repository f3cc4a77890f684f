//! Templates of messages: read, and tried with an event of every kind, so that what is wrong with one is said when
//! the configuration is read and not when something has crashed. No variable of the environment is filled in: what
//! they hold would leave in messages.

use std::sync::LazyLock;

use super::fault::{Wrong, wrong};
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::syntax::{Node, Value};
use crate::clock::Wall;
use crate::ids::{IncidentId, RunId};
use crate::limits;
use crate::model::clues::Change;
use crate::model::event::{Event, EventKind, Exit, Facts};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::language::Language;
use crate::model::name::InstanceName;
use crate::model::template::{Form, Scene, Template, TemplateError, Values};

/// The program of the events that templates are tried with.
const SAMPLE: &str = "sample";

/// What is wrong, and at which byte of the template, if at one.
type Found = (Option<usize>, Wrong);

pub(super) fn template(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::Text(source) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let form = match key.kind {
        Kind::BodyTemplate => Form::Json,
        _ => Form::Text,
    };
    match tried(source, form) {
        Ok(template) => Some(Typed::Template(template)),
        Err((offset, wrong)) => {
            let at = offset.map_or(node.at, |o| reader.sources.inside(node.at, (source, o)));
            reader.fault(at, name, wrong);
            None
        }
    }
}

fn tried(source: &str, form: Form) -> Result<Template, Found> {
    if source.len() > limits::TEMPLATE_BYTES || source.trim().is_empty() {
        let what = format!("a template has 1 to {} bytes", limits::TEMPLATE_BYTES);
        return Err((None, wrong(what, "for example \"{{ summary }}\"")));
    }
    let template = Template::new(source, form).map_err(|error| {
        let right = "a template as \"{{ program }}: {{ summary }}\"";
        (error.offset, wrong(error.what, right))
    })?;
    for (kind, values) in &*SAMPLES {
        try_with(&template, form, (kind.as_str(), values))?;
    }
    Ok(template)
}

/// Made once: a configuration may have many templates.
static SAMPLES: LazyLock<Vec<(EventKind, Values)>> = LazyLock::new(|| {
    let both = EventKind::ALL.iter().flat_map(|kind| {
        let (full, bare) = (full(*kind), bare(*kind));
        let incident = incident(&full);
        [values(&full, Some(&incident)), values(&bare, None)].map(|values| (*kind, values))
    });
    both.collect()
});

fn values(event: &Event, incident: Option<&Incident>) -> Values {
    Values::from(&Scene {
        event,
        incident,
        summary: "the \"sample\"\\ happened",
        host: "sample-host",
        language: Language::En,
    })
}

fn try_with(template: &Template, form: Form, (kind, values): (&str, &Values)) -> Result<(), Found> {
    let said = template
        .render(values)
        .map_err(|TemplateError { what, offset, .. }| {
            let what = format!("it fails with {kind}: {what}");
            let right = "a name the README lists; what may not be there wants {% if name %}";
            (offset, wrong(what, right))
        })?;
    match (form, serde_json::from_str::<serde::de::IgnoredAny>(&said)) {
        (Form::Text, _) | (Form::Json, Ok(_)) => Ok(()),
        (Form::Json, Err(error)) => {
            let what = format!("with {kind} it makes no JSON: {error}");
            let right = "values bring their quotes along: '{\"text\": {{ summary }}}'";
            Err((None, wrong(what, right)))
        }
    }
}

/// An event with as little as there can be.
fn bare(kind: EventKind) -> Event {
    let mut event = Event::new(kind, Wall::from_millis(0));
    if kind.as_str().starts_with("program.") {
        event.instance = Some(InstanceName::single(SAMPLE));
    }
    event
}

/// One with all there can be.
fn full(kind: EventKind) -> Event {
    let mut event = bare(kind);
    event.instance = Some(InstanceName::single(SAMPLE));
    event.run = Some(RunId::new());
    event.facts = Facts {
        pid: Some(4_711),
        exit: Some(Exit::Code(1)),
        cause: Some("the \"cause\"".to_owned()),
        uptime_s: Some(63.5),
        restarts: Some(2),
        next_restart_s: Some(8.0),
        peak_memory_bytes: Some(123_456_789),
        changed: vec![Change::Config("environment.PORT".to_owned())],
        log_tail: vec!["a \"line\"\\".to_owned(), "another".to_owned()],
        asked_by: Some("uid 0 by the socket".to_owned()),
        target: Some("ops".to_owned()),
        rule: Some("memory > 1GiB".to_owned()),
        count: Some(3),
        ..Facts::default()
    };
    event
}

fn incident(event: &Event) -> Incident {
    Incident {
        id: IncidentId::new(),
        instance: event.instance.clone(),
        condition: Condition::Crash,
        subject: None,
        severity: event.severity,
        state: IncidentState::Open,
        opened_at: event.time,
        resolved_at: None,
        events: 3,
        seq: 3,
        failures: 2,
        cycle: 1,
        cause: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(source: &str, form: Form) -> String {
        let (offset, wrong) = tried(source, form).expect_err("a bad template");
        format!("{offset:?} {}: {}", wrong.what, wrong.right)
    }

    #[test]
    fn what_fails_with_any_event_is_refused() {
        for good in [
            "{{ summary }}",
            "{{ program }} {{ exit }}\n{% if incident %}{{ incident.events }}{% endif %}",
            "{% for line in log_tail %}{{ line }}\n{% endfor %}",
        ] {
            assert!(tried(good, Form::Text).is_ok(), "{good}");
        }
        let missing = fault("ab {{ incident.events }}", Form::Text);
        assert!(
            missing.starts_with("Some(6) it fails with program."),
            "{missing}"
        );
        assert!(fault("{{ sumary }}", Form::Text).contains("sumary"));
        assert!(fault("{{ summary", Form::Text).contains("syntax error"));
        assert!(fault(" ", Form::Text).contains("1 to"));
    }

    #[test]
    fn a_body_is_json_with_whatever_is_in_it() {
        assert!(
            tried(
                r#"{"text": {{ summary }}, "of": {{ program }}}"#,
                Form::Json
            )
            .is_ok()
        );
        for bad in [
            r#"{"text": "{{ summary }}"}"#,
            r#"{"text": "{{ summary|safe }}"}"#,
            "{{ summary|safe }}",
            r#"{"text": {% if exit %}{{ exit }}{% endif %}}"#,
        ] {
            assert!(fault(bad, Form::Json).contains("no JSON"), "{bad}");
        }
    }
}
