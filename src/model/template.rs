//! Texts of one's own: a template, compiled, and what it may say. Pure. A template names values of an event and
//! nothing else: it reads no files, has no clock, and its work and its length are bounded.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context};

use super::event::Event;
use super::incident::Incident;
use super::language::Language;
use crate::limits;
use crate::text;

/// What a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A message for people: plain text.
    Text,
    /// A body of JSON: every value is written as JSON, quotes and all.
    Json,
}

/// A template. Equal to another of the same text.
#[derive(Clone)]
pub struct Template(Arc<Compiled>);

struct Compiled {
    source: String,
    environment: Environment<'static>,
    was_said: AtomicBool,
}

/// What is wrong with a template, or with its use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (line {line} of the template)")]
pub struct TemplateError {
    /// What, with the piece of the template that it is about.
    pub what: String,
    /// In the template, from 1.
    pub line: usize,
    /// Where that piece begins, in bytes.
    pub offset: Option<usize>,
}

/// What a template may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What happened.
    pub event: &'a Event,
    /// What it belongs to.
    pub incident: Option<&'a Incident>,
    /// What happened in one line.
    pub summary: &'a str,
    /// The supervisor's name.
    pub host: &'a str,
    /// Of durations and of the run's end.
    pub language: Language,
}

/// The values of a scene, by their names.
#[derive(Clone, Debug)]
pub struct Values(Value);

impl From<&Scene<'_>> for Values {
    fn from(scene: &Scene<'_>) -> Self {
        Self(values(scene))
    }
}

const NAME: &str = "template";

impl Template {
    /// The template of this text.
    ///
    /// # Errors
    /// It is no template.
    pub fn new(source: &str, form: Form) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(limits::TEMPLATE_FUEL));
        environment.set_recursion_limit(limits::TEMPLATE_RECURSION);
        environment.set_auto_escape_callback(move |_| match form {
            Form::Text => AutoEscape::None,
            Form::Json => AutoEscape::Json,
        });
        environment.set_formatter(|out, state, value| {
            // What is not known is not there; in JSON it is null.
            if value.is_none() && !matches!(state.auto_escape(), AutoEscape::Json) {
                return Ok(());
            }
            minijinja::escape_formatter(out, state, value)
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::of(&error, source))?;
        Ok(Self(Arc::new(Compiled {
            source: source.to_owned(),
            environment,
            was_said: AtomicBool::new(false),
        })))
    }

    /// What it says of a scene.
    ///
    /// # Errors
    /// It uses what is not there, does too much, or says too much.
    pub fn render(&self, values: &Values) -> Result<String, TemplateError> {
        let of = |error: minijinja::Error| TemplateError::of(&error, &self.0.source);
        let template = self.0.environment.get_template(NAME).map_err(of)?;
        let mut said = Bounded(Vec::new());
        template
            .render_captured_to(values.0.clone(), &mut said)
            .map_err(of)?;
        Ok(String::from_utf8_lossy(&said.0).into_owned())
    }

    /// Whether this is the first call: a fault at run time is told once.
    pub fn is_first_fault(&self) -> bool {
        !self.0.was_said.swap(true, Ordering::Relaxed)
    }
}

impl Eq for Template {}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.0.source).finish()
    }
}

impl TemplateError {
    fn of(error: &minijinja::Error, source: &str) -> Self {
        let range = error.range();
        let piece = range.clone().and_then(|range| source.get(range));
        let piece = piece.filter(|p| !p.is_empty() && p.len() <= limits::TEMPLATE_PIECE);
        let mut what = match error.kind() {
            ErrorKind::OutOfFuel => "it does too much".to_owned(),
            ErrorKind::WriteFailure => "it says too much".to_owned(),
            kind => kind.to_string(),
        };
        for more in [error.detail(), piece].into_iter().flatten() {
            let more = text::printable(more.as_bytes());
            what = format!("{what}: {more}");
        }
        Self {
            what,
            line: error.line().unwrap_or(1),
            offset: range.map(|range| range.start),
        }
    }
}

/// Takes no more than a template may say.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > limits::TEMPLATE_OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn maybe<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or_else(|| Value::from(()), Into::into)
}

/// All of them, always; what does not apply is none. The README has the list.
fn values(scene: &Scene<'_>) -> Value {
    let (event, language) = (scene.event, scene.language);
    let facts = &event.facts;
    let changed: Vec<String> = facts.changed.iter().map(ToString::to_string).collect();
    let seconds = |seconds: Option<f64>| maybe(seconds.map(|s| language.seconds(s)));
    context! {
        summary => scene.summary,
        type => event.kind.as_str(),
        severity => event.severity.as_str(),
        host => scene.host,
        id => event.id.to_string(),
        time => event.time.to_string(),
        program => maybe(event.program().map(ToString::to_string)),
        instance => maybe(event.instance.as_ref().map(ToString::to_string)),
        run => maybe(event.run.map(|run| run.to_string())),
        pid => maybe(facts.pid),
        exit => maybe(facts.exit.as_ref().map(|exit| language.exit(exit))),
        cause => maybe(facts.cause.as_ref().map(|cause| language.cause(cause).into_owned())),
        uptime => seconds(facts.uptime_s),
        uptime_s => maybe(facts.uptime_s),
        restarts => maybe(facts.restarts),
        next_restart => seconds(facts.next_restart_s),
        next_restart_s => maybe(facts.next_restart_s),
        peak_memory => maybe(facts.peak_memory_bytes.map(text::size)),
        peak_memory_bytes => maybe(facts.peak_memory_bytes),
        changed => changed,
        log_tail => facts.log_tail.clone(),
        asked_by => maybe(facts.asked_by.clone()),
        target => maybe(facts.target.clone()),
        rule => maybe(facts.rule.clone()),
        count => maybe(facts.count),
        incident => incident(scene),
    }
}

fn incident(scene: &Scene<'_>) -> Value {
    let Some(incident) = scene.incident else {
        return Value::from(());
    };
    context! {
        id => incident.id.to_string(),
        state => incident.state.as_str(),
        condition => incident.condition.as_str(),
        opened_at => incident.opened_at.to_string(),
        resolved_at => maybe(incident.resolved_at.map(|at| at.to_string())),
        events => incident.events,
        failures => incident.failures,
        cause => maybe(incident.cause.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::event::{EventKind, Exit};
    use crate::model::name::InstanceName;

    fn said(source: &str, form: Form) -> Result<String, TemplateError> {
        let mut event = Event::new(EventKind::ProgramCrashed, Wall::from_millis(0));
        event.instance = Some(InstanceName::single("web"));
        event.facts.exit = Some(Exit::Code(3));
        event.facts.uptime_s = Some(63.0);
        event.facts.log_tail = vec!["a \"quoted\" line".to_owned(), "{{ host }}".to_owned()];
        let scene = Scene {
            event: &event,
            incident: None,
            summary: "web crashed",
            host: "box-1",
            language: Language::En,
        };
        Template::new(source, form)?.render(&Values::from(&scene))
    }

    #[test]
    fn a_template_names_values_and_what_is_not_known_is_empty() {
        let text = |source| said(source, Form::Text).expect("a good template");
        assert_eq!(
            text("{{ program }} on {{ host }}: {{ exit }} after {{ uptime }}{{ cause }}"),
            "web on box-1: exit code 3 after 1m 3s"
        );
        assert_eq!(
            text("{% if incident %}{{ incident.state }}{% endif %}."),
            "."
        );
        // What a program wrote is no template.
        assert_eq!(
            text("{% for line in log_tail %}{{ line }};{% endfor %}"),
            "a \"quoted\" line;{{ host }};"
        );
        let json = said(r#"{"a": {{ log_tail }}, "b": {{ cause }}}"#, Form::Json);
        let json: serde_json::Value =
            serde_json::from_str(&json.expect("a good template")).expect("JSON");
        assert_eq!(json["a"][0], "a \"quoted\" line");
        assert!(json["b"].is_null());
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = |source| said(source, Form::Text).expect_err("a bad template");
        let undefined = fault("one\n{{ uptme }}");
        assert_eq!(
            (undefined.line, undefined.offset),
            (2, Some(7)),
            "{undefined}"
        );
        assert!(undefined.what.contains("uptme"), "{undefined}");
        assert_eq!(fault("{{ incident.state }}").line, 1);
        assert!(fault("a {% if %}").what.starts_with("syntax error"));
        assert_eq!(fault("{% include 'x' %}").line, 1, "no other files");
        assert_eq!(
            fault("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").line,
            1
        );
    }

    #[test]
    fn what_it_does_and_says_is_bounded() {
        let fault = |source| said(source, Form::Text).expect_err("too much").what;
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(fault(endless).starts_with("it does too much"));
        let long = "{% for a in range(9000) %}a long line of text{% endfor %}";
        assert!(
            fault(long).starts_with("it says too much"),
            "{}",
            fault(long)
        );
    }
}
