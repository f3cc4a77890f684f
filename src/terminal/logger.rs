//! The supervisor's own log: `env_logger`'s filter, a line for people or a JSON object, to the bounded writer.
//! Never blocks, and never shows the fine levels of the HTTP libraries: they print whole URLs.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};

use env_logger::Logger as Filter;
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Metadata, Record};
use parking_lot::{Mutex, RwLock};

use super::Terminal;
use super::repeat::{Repeated, Repeats};
use crate::clock::{self, Wall};
use crate::model::settings::{LogFormat, LogSettings};
use crate::text;

/// The variable that sets the filter instead of `log.level`: `debug`, or `info,jikimi::notify=trace`.
pub const FILTER_VARIABLE: &str = "JIKIMI_LOG";

/// Their INFO and below contain addresses with secrets in them, whatever the filter says.
const SECRETIVE: [&str; 3] = ["ureq", "ureq_proto", "rustls"];

/// Our keys of a JSON line; a record's own key of that name gets a `_` behind it.
const STABLE_KEYS: [&str; 4] = ["time", "level", "target", "message"];

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people, in colour.
    Colour,
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Whether colours are wanted on a stream that is a terminal or not: see <https://no-color.org>.
#[must_use]
pub fn has_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Makes `terminal` the place of the log of this process, as `settings` and the environment say.
///
/// # Errors
/// There is a logger already.
pub fn install(terminal: &Terminal, settings: &LogSettings) -> Result<(), log::SetLoggerError> {
    let filter = std::env::var(FILTER_VARIABLE).ok();
    let style = match (settings.format, has_colour(std::io::stderr().is_terminal())) {
        (LogFormat::Json, _) => Style::Json,
        (LogFormat::Text, true) => Style::Colour,
        (LogFormat::Text, false) => Style::Plain,
    };
    let logger = Logger::new(terminal.clone(), settings.level, filter.as_deref(), style);
    let shared = Arc::clone(&logger.filter);
    let max_level = shared.read().filter();
    log::set_boxed_logger(Box::new(logger))?;
    log::set_max_level(max_level);
    // The first that is set stays, as the logger itself does.
    let _ = INSTALLED.set(shared);
    Ok(())
}

/// The filter of the logger of this process.
static INSTALLED: OnceLock<Arc<RwLock<Filter>>> = OnceLock::new();

/// Shows records of `level` and above from now on, but for what [`FILTER_VARIABLE`] says.
pub fn set_level(level: LevelFilter) {
    let Some(installed) = INSTALLED.get() else {
        return;
    };
    let variable = std::env::var(FILTER_VARIABLE).ok();
    let filter = filter(level, variable.as_deref());
    log::set_max_level(filter.filter());
    let before = std::mem::replace(&mut *installed.write(), filter);
    drop(before);
}

fn filter(level: LevelFilter, variable: Option<&str>) -> Filter {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level);
    if let Some(variable) = variable.filter(|v| !v.trim().is_empty()) {
        builder.parse_filters(variable);
    }
    builder.build()
}

pub(super) struct Logger {
    terminal: Terminal,
    filter: Arc<RwLock<Filter>>,
    style: Style,
    repeats: Mutex<Repeats>,
}

impl Logger {
    pub(super) fn new(
        terminal: Terminal,
        level: LevelFilter,
        filter: Option<&str>,
        style: Style,
    ) -> Self {
        Self {
            terminal,
            filter: Arc::new(RwLock::new(self::filter(level, filter))),
            style,
            repeats: Mutex::new(Repeats::default()),
        }
    }

    fn show_repeated(&self, repeated: &[Repeated]) {
        for Repeated { text, times } in repeated {
            // The record's own level, which stands first in its text: what repeats is no worse than what it says.
            let (level, said) = text.split_once(' ').unwrap_or(("", text));
            let message = format!("repeated {times} times: {said}");
            let line = render(
                self.style,
                &Line {
                    time: clock::wall(),
                    level: level.parse().unwrap_or(Level::Warn),
                    target: "jikimi::terminal",
                    message: &message,
                    pairs: &[],
                },
            );
            self.terminal.log_line(line);
        }
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_capped = metadata.level() > Level::Warn && is_secretive(metadata.target());
        !is_capped && self.filter.read().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || !self.filter.read().matches(record) {
            return;
        }
        let message = record.args().to_string();
        let said = format!("{} {}: {message}", record.level(), room(record.target()));
        // The lock is gone before anything is shown.
        let decision = self.repeats.lock().next(&said, clock::mono());
        self.show_repeated(&decision.over);
        if decision.is_shown {
            let mut pairs = Pairs(vec![]);
            // The visitor does not fail.
            let _ = record.key_values().visit(&mut pairs);
            let line = Line {
                time: clock::wall(),
                level: record.level(),
                target: record.target(),
                message: &message,
                pairs: &pairs.0,
            };
            self.terminal.log_line(render(self.style, &line));
        }
    }

    fn flush(&self) {
        let repeated = self.repeats.lock().finish();
        self.show_repeated(&repeated);
    }
}

fn is_secretive(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    SECRETIVE.contains(&root)
}

struct Line<'a> {
    time: Wall,
    level: Level,
    target: &'a str,
    message: &'a str,
    pairs: &'a [(String, serde_json::Value)],
}

fn render(style: Style, line: &Line<'_>) -> String {
    match style {
        Style::Json => json(line),
        Style::Colour => text_line(line, colour(line.level)),
        Style::Plain => text_line(line, ("", "")),
    }
}

fn text_line(line: &Line<'_>, (on, off): (&str, &str)) -> String {
    let mut out = format!(
        "{} {on}{:<5}{off} {}: {}",
        line.time,
        line.level,
        room(line.target),
        text::printable(line.message.as_bytes())
    );
    for (key, value) in line.pairs {
        let value = match value {
            serde_json::Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        let pair = format!("{key}={value}");
        let _ = write!(out, " {}", text::printable(pair.as_bytes()));
    }
    out
}

fn json(line: &Line<'_>) -> String {
    let mut object = serde_json::Map::new();
    for (key, value) in line.pairs {
        let is_taken = STABLE_KEYS.contains(&key.as_str());
        let key = if is_taken {
            format!("{key}_")
        } else {
            key.clone()
        };
        object.insert(key, value.clone());
    }
    let stable = [
        line.time.to_string(),
        line.level.as_str().to_lowercase(),
        line.target.to_owned(),
        line.message.to_owned(),
    ];
    for (key, value) in STABLE_KEYS.into_iter().zip(stable) {
        object.insert(key.to_owned(), value.into());
    }
    serde_json::Value::Object(object).to_string()
}

/// `notify` of `jikimi::notify::worker`; other crates keep their name.
fn room(target: &str) -> &str {
    let ours = target.strip_prefix("jikimi::").unwrap_or(target);
    ours.split("::").next().unwrap_or(ours)
}

const fn colour(level: Level) -> (&'static str, &'static str) {
    let on = match level {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[34m",
        Level::Trace => "\x1b[2m",
    };
    (on, "\x1b[0m")
}

struct Pairs(Vec<(String, serde_json::Value)>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let plain = value
            .to_bool()
            .map(serde_json::Value::from)
            .or_else(|| value.to_u64().map(serde_json::Value::from))
            .or_else(|| value.to_i64().map(serde_json::Value::from))
            .or_else(|| value.to_f64().map(serde_json::Value::from));
        let value = plain.unwrap_or_else(|| value.to_string().into());
        self.0.push((key.to_string(), value));
        Ok(())
    }
}
