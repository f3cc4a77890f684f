//! One value of the tree to its type, as its [`Kind`] says. Reports what is wrong with it; compares it with
//! no other value.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::env::{Env, absolute_in, expand};
use super::fault::{Fault, Wrong, shown, wrong};
use super::keys::{Key, Kind};
use super::source::{At, Sources};
use super::syntax::{Node, Value};
use super::{
    announce, lists, maintenance, os, policy, rotation, rule, secrets, silence, stops, timing,
};
use crate::limits;
use crate::model::calendar::Calendar;
use crate::model::log_silence::LogSilence;
use crate::model::maintenance::MaintenanceSpec;
use crate::model::needs::Condition;
use crate::model::os::Limit;
use crate::model::pattern::Pattern;
use crate::model::program::Signal;
use crate::model::rule::Rule;
use crate::model::stop::StopStep;
use crate::model::template::Template;
use crate::model::timing::Announcement;
use crate::model::timing::MaxRuntime;
use crate::secret::Secret;
use crate::text;

/// A text with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands.
    pub(super) at: At,
    /// As written; the only form that faults show.
    pub(super) raw: String,
    /// With its variables filled in.
    pub(super) text: String,
}

/// A value of a key, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Typed {
    Switch(bool),
    Integer(i64),
    Number(f64),
    Duration(Duration),
    Size(u64),
    Word(Word),
    Words(Vec<Word>),
    /// Names of programs, each with its condition.
    Depends(Vec<Word>, Vec<Condition>),
    /// A command as one text, with nothing filled in: whether it is split first depends on `shell`.
    CommandLine(String),
    Path {
        path: PathBuf,
        /// As faults name it.
        shown: PathBuf,
    },
    Stops(Vec<StopStep>),
    ExitCodes(Vec<i32>),
    Signals(Vec<Signal>),
    /// The same, with what is typed before.
    MaxRuntime(MaxRuntime, Vec<Announcement>),
    LogSilence(LogSilence),
    Calendar(Calendar),
    /// A calendar, and what is typed before its times.
    Restarts(Calendar, Vec<Announcement>),
    Rules(Vec<Rule>),
    Maintenance(Vec<MaintenanceSpec>),
    Pattern(Pattern),
    Template(Template),
    Pairs(Vec<(String, String)>),
    Limits(Vec<Limit>),
    Secrets(Vec<Secret>),
    Headers(Vec<(String, Secret)>),
}

/// Reads values and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) env: &'a Env,
    pub(super) sources: &'a Sources,
    pub(super) faults: Vec<Fault>,
    /// Variables that secrets were made from.
    pub(super) secret_variables: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a Env, sources: &'a Sources) -> Self {
        Self {
            env,
            sources,
            faults: Vec::new(),
            secret_variables: BTreeSet::new(),
        }
    }

    /// Reports `wrong` at `at`.
    pub(super) fn fault(&mut self, at: At, name: &str, wrong: Wrong) {
        self.faults.extend(self.sources.fault(at, name, wrong));
    }

    /// Keeps a good value; reports a bad one.
    pub(super) fn keep<T>(&mut self, at: At, name: &str, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.fault(at, name, wrong)).ok()
    }

    fn url(&mut self, key: &Key, name: &str, node: &Node) -> Option<Typed> {
        let word = self.word(key, name, node)?;
        let url = secrets::check_url(&word.text).map(|()| word);
        self.keep(node.at, name, url).map(Typed::Word)
    }

    /// The value of `key`, called `name` in full; none when it is reported to be wrong.
    pub(super) fn read(&mut self, key: &Key, name: &str, node: &Node) -> Option<Typed> {
        let at = node.at;
        match key.kind {
            Kind::Switch => match node.value {
                Value::Switch(b) => Some(Typed::Switch(b)),
                _ => self.wrong_type(key, name, node),
            },
            Kind::Integer { min, max } => match node.value {
                Value::Integer(i) => {
                    (self.keep(at, name, integer_in(i, min, max))).map(Typed::Integer)
                }
                _ => self.wrong_type(key, name, node),
            },
            Kind::Number { min, max } => self.number(key, name, (node, min, max)),
            Kind::Size { min, max } => rotation::size(self, key, name, (node, min, max)),
            Kind::Duration { min, max } => self.duration(key, name, (node, min, max)),
            Kind::Text => self.line(key, name, node),
            Kind::Path => {
                let word = self.word(key, name, node)?;
                let path = absolute_in(self.sources.folder(at), word.text.as_ref());
                let shown = self.sources.shown_folder(at).join(&word.raw);
                let path = filled(&word).map(|()| Typed::Path { path, shown });
                self.keep(at, name, path)
            }
            Kind::Choice { now, later } => {
                let word = self.word(key, name, node)?;
                let word = one_of(word, now, later);
                self.keep(at, name, word).map(Typed::Word)
            }
            Kind::StopSignals => stops::signals(self, key, name, node),
            Kind::ConsoleLines => stops::lines(self, key, name, node),
            Kind::Command => lists::command(self, key, name, node),
            Kind::Texts => lists::texts(self, key, name, node).map(Typed::Words),
            Kind::Tags => lists::tags(self, key, name, node),
            Kind::ExitCodes => lists::exit_codes(self, key, name, node),
            Kind::Signals => policy::signals(self, key, name, node),
            Kind::LogSilence => silence::log_silence(self, key, name, node),
            Kind::MaxRuntime => timing::max_runtime(self, key, name, node),
            Kind::Calendar => timing::times(self, key, name, node),
            Kind::Restarts => announce::restarts(self, key, name, node),
            Kind::Rules => rule::rules(self, key, name, node),
            Kind::Maintenance => maintenance::windows(self, key, name, node),
            Kind::Variables => lists::variables(self, key, name, node),
            Kind::Depends => lists::depends(self, key, name, node),
            Kind::Account => os::account(self, key, name, node),
            Kind::Umask => os::umask(self, key, name, node),
            Kind::Limits => os::limits(self, key, name, node),
            Kind::Url => self.url(key, name, node),
            Kind::Address => self.address(key, name, node),
            Kind::Pattern => super::probes::pattern(self, key, name, node),
            Kind::SecretUrl
            | Kind::BotToken
            | Kind::Proxy
            | Kind::SlackToken
            | Kind::Token
            | Kind::Topic
            | Kind::PushoverKey
            | Kind::RoutingKey => secrets::single(self, key, name, node),
            Kind::Room => super::chats::room(self, key, name, node),
            Kind::SigningKeys => secrets::signing_keys(self, key, name, node),
            Kind::Headers | Kind::Sealed => secrets::headers(self, key, name, node),
            Kind::ChatId => self.chat_id(key, name, node),
            Kind::Template | Kind::BodyTemplate => super::template::template(self, key, name, node),
            Kind::Unread => None,
        }
    }

    fn address(&mut self, key: &Key, name: &str, node: &Node) -> Option<Typed> {
        let word = self.word(key, name, node)?;
        let address = super::probes::check_address(word);
        self.keep(node.at, name, address).map(Typed::Word)
    }

    fn line(&mut self, key: &Key, name: &str, node: &Node) -> Option<Typed> {
        let word = self.word(key, name, node)?;
        self.keep(node.at, name, one_line(word)).map(Typed::Word)
    }

    fn number(
        &mut self,
        key: &Key,
        name: &str,
        (node, min, max): (&Node, f64, f64),
    ) -> Option<Typed> {
        let number = match node.value {
            Value::Float(f) => f,
            #[expect(clippy::cast_precision_loss, reason = "compared with small bounds")]
            Value::Integer(i) => i as f64,
            _ => return self.wrong_type(key, name, node),
        };
        let in_range = number_in(number, min, max);
        self.keep(node.at, name, in_range).map(Typed::Number)
    }

    fn duration(
        &mut self,
        key: &Key,
        name: &str,
        (node, min, max): (&Node, Duration, Duration),
    ) -> Option<Typed> {
        if let Value::Integer(i) = node.value {
            let w = wrong("a duration needs a unit", unit_hint(&i.to_string()));
            return self.keep(node.at, name, Err(w));
        }
        let word = self.word(key, name, node)?;
        let duration = duration_in(&word, min, max);
        self.keep(node.at, name, duration).map(Typed::Duration)
    }

    /// Reports that the value has another type than its key. Never shows the value.
    pub(super) fn wrong_type<T>(&mut self, key: &Key, name: &str, node: &Node) -> Option<T> {
        let right = format!("for example {} = {}", key.name(), key.example);
        let what = format!("{} cannot stand here", node.value.describe());
        self.fault(node.at, name, wrong(what, right));
        None
    }

    /// A text with its variables filled in.
    pub(super) fn word(&mut self, key: &Key, name: &str, node: &Node) -> Option<Word> {
        let Value::Text(raw) = &node.value else {
            return self.wrong_type(key, name, node);
        };
        self.fill_in(node.at, name, raw)
    }

    /// `raw` with its variables filled in.
    pub(super) fn fill_in(&mut self, at: At, name: &str, raw: &str) -> Option<Word> {
        let expanded = expand(raw, self.env).and_then(|e| without_nul(e.text));
        let text = self.keep(at, name, expanded)?;
        Some(Word {
            at,
            raw: raw.to_owned(),
            text,
        })
    }

    /// The signal that a text names.
    pub(super) fn one_signal(&mut self, key: &Key, name: &str, node: &Node) -> Option<Signal> {
        let word = self.word(key, name, node)?;
        let signal = Signal::parse(&word.text).ok_or_else(|| {
            let right = super::fault::did_you_mean(&word.raw, Signal::names());
            wrong(
                format!("{} is no signal", shown(&word.raw)),
                right.unwrap_or_else(|| "a name as \"TERM\", \"INT\" or \"QUIT\"".to_owned()),
            )
        });
        self.keep(node.at, name, signal)
    }

    fn chat_id(&mut self, key: &Key, name: &str, node: &Node) -> Option<Typed> {
        let word = match &node.value {
            Value::Integer(i) => Word {
                at: node.at,
                raw: i.to_string(),
                text: i.to_string(),
            },
            _ => self.word(key, name, node)?,
        };
        let good = match word.text.strip_prefix('@') {
            Some(channel) => !channel.is_empty() && !channel.contains(char::is_whitespace),
            None => word.text.parse::<i64>().is_ok(),
        };
        let word = if good {
            Ok(word)
        } else {
            Err(wrong(
                format!("{} is no chat", shown(&word.raw)),
                "the chat's number, as -1001234567890, or \"@channel\"",
            ))
        };
        self.keep(node.at, name, word).map(Typed::Word)
    }
}

fn integer_in(i: i128, min: i64, max: i64) -> Result<i64, Wrong> {
    i64::try_from(i)
        .ok()
        .filter(|i| (min..=max).contains(i))
        .ok_or_else(|| {
            let what = if i < i128::from(min) {
                "it is too small"
            } else {
                "it is too large"
            };
            wrong(what, format!("a whole number from {min} to {max}"))
        })
}

fn number_in(number: f64, min: f64, max: f64) -> Result<f64, Wrong> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(wrong(
        format!("{number} is out of range"),
        format!("a number from {min} to {max}"),
    ))
}

pub(super) fn duration_in(word: &Word, min: Duration, max: Duration) -> Result<Duration, Wrong> {
    let raw = shown(&word.raw);
    let Some(duration) = text::parse_duration(&word.text) else {
        let number = word.text.trim();
        if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(wrong("a duration needs a unit", unit_hint(number)));
        }
        return Err(wrong(
            format!("{raw} is no duration"),
            "a number with ms, s, m, h, d, w or y, as \"10s\"",
        ));
    };
    if duration < min {
        let min = text::duration(min);
        return Err(wrong(
            format!("{raw} is too short"),
            format!("\"{min}\" at the least"),
        ));
    }
    if duration > max {
        let max = text::duration(max);
        return Err(wrong(
            format!("{raw} is too long"),
            format!("\"{max}\" at the most"),
        ));
    }
    Ok(duration)
}

fn unit_hint(number: &str) -> String {
    format!("\"{number}s\" for seconds, or ms, m, h, d, w")
}

fn one_of(word: Word, now: &[&str], later: &[&str]) -> Result<Word, Wrong> {
    if now.contains(&word.text.as_str()) {
        return Ok(word);
    }
    let list: Vec<String> = now.iter().map(|w| format!("\"{w}\"")).collect();
    let list = list.join(", ");
    if later.contains(&word.text.as_str()) {
        let raw = shown(&word.raw);
        return Err(wrong(
            format!("{raw} is not available in this version"),
            list,
        ));
    }
    Err(wrong(
        format!("{} is none of its values", shown(&word.raw)),
        list,
    ))
}

fn one_line(word: Word) -> Result<Word, Wrong> {
    filled(&word)?;
    if word.text.chars().count() > 128 || text::printable(word.text.as_bytes()) != word.text {
        return Err(wrong(
            "it is too long for one line, or has control characters",
            "128 plain characters at the most",
        ));
    }
    Ok(word)
}

pub(super) fn filled(word: &Word) -> Result<(), Wrong> {
    if word.text.trim().is_empty() {
        return Err(wrong(
            "it is empty",
            "write something, or leave the key out",
        ));
    }
    Ok(())
}

fn without_nul(text: String) -> Result<String, Wrong> {
    if text.contains('\0') {
        return Err(wrong("it has a NUL character", "take it out"));
    }
    Ok(text)
}

/// The name rule of programs and targets.
pub(super) fn check_name(name: &str) -> Result<(), Wrong> {
    if name == "all" {
        return Err(wrong("\"all\" means every program", "choose another name"));
    }
    check_label(name)
}

/// `[A-Za-z0-9][A-Za-z0-9_.-]{0,63}`.
pub(super) fn check_label(name: &str) -> Result<(), Wrong> {
    let bytes = name.as_bytes();
    let good = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= limits::NAME_BYTES_MAX
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b));
    if good {
        return Ok(());
    }
    Err(wrong(
        format!("{} is no name", shown(name)),
        "letters, digits, _ . and -, the first a letter or digit, 64 at the most",
    ))
}
