//! What a key is, and how one is found in the table of them ([`super::table::KEYS`]). Reads no values.

use std::time::Duration;

use super::table::{ALIASES, KEYS, TARGET_KINDS};

/// One key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// Where it stands; `*` is the name of a program or target. `route.x` is a key of each `[[route]]`.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its default as TOML, when it has a fixed one.
    pub default: Option<&'static str>,
    /// Its default in words, when it depends on something else.
    pub default_words: Option<&'static str>,
    /// A value as TOML, for `example.toml` and for hints. The default when there is one.
    pub example: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// How a change takes effect while the supervisor runs.
    pub on_change: OnChange,
    /// Whether this version has it.
    pub availability: Availability,
    /// Whether its table cannot do without it.
    pub required: bool,
    /// The kinds of target that have it; empty: all, and everything that is no target.
    pub of: &'static [&'static str],
}

/// How a changed key takes effect at a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// At once.
    Live,
    /// With the next run of the program; a run under way gives way to it.
    Restart,
    /// At the next start of the supervisor.
    Fixed,
}

/// Whether this version has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It has.
    Now,
    /// The name is taken; a configuration that uses it is refused.
    Later,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Bytes, as `"10MiB"`.
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// `"10s"`.
    Duration {
        /// The least.
        min: Duration,
        /// The greatest.
        max: Duration,
    },
    /// One line of text, not empty.
    Text,
    /// A path, relative to the folder of the file it stands in.
    Path,
    /// One of some words.
    Choice {
        /// Those of this version.
        now: &'static [&'static str],
        /// Those of later ones.
        later: &'static [&'static str],
    },
    /// The name of a signal, or a list of such names and pauses.
    StopSignals,
    /// A list of console lines and pauses.
    ConsoleLines,
    /// A list of texts, or one text that is split as a shell splits.
    Command,
    /// A regular expression.
    Pattern,
    /// A host and a port.
    Address,
    /// A list of texts, not empty.
    Texts,
    /// A list of labels.
    Tags,
    /// A list of exit codes.
    ExitCodes,
    /// A list of names of signals.
    Signals,
    /// A duration, or a table of it, its jitter and what is typed before.
    MaxRuntime,
    /// A duration, or a table of it and what follows.
    LogSilence,
    /// Times of day and lines of cron, perhaps in a table with their zone.
    Calendar,
    /// The same, and in the table perhaps lines that announce those times.
    Restarts,
    /// Rules about figures, each a table.
    Rules,
    /// Times of quiet, each a table.
    Maintenance,
    /// A table of environment variables.
    Variables,
    /// Names of programs, or a table of them with their conditions.
    Depends,
    /// The name or number of a user or group.
    Account,
    /// Octal digits.
    Umask,
    /// A table of resource limits.
    Limits,
    /// An address that is no secret.
    Url,
    /// A secret address.
    SecretUrl,
    /// The secret address of a proxy, or `none`.
    Proxy,
    /// One or several `whsec_…` keys.
    SigningKeys,
    /// The token of a Telegram bot.
    BotToken,
    /// The token of a bot at Slack.
    SlackToken,
    /// A number or `@name`.
    ChatId,
    /// A secret that a header is made of.
    Token,
    /// The name of an ntfy topic, a secret.
    Topic,
    /// A key of Pushover's, a secret.
    PushoverKey,
    /// The id of a Matrix room.
    Room,
    /// The key of a PagerDuty integration, a secret.
    RoutingKey,
    /// A table of environment variables, whose values are secrets.
    Sealed,
    /// A table of request headers, whose values are secrets.
    Headers,
    /// A text of one's own for messages.
    Template,
    /// The same for a body of JSON.
    BodyTemplate,
    /// Of a later version: not read.
    Unread,
}

impl Kind {
    /// The type for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("whole number, {min} to {max}"),
            Self::Number { min, max } => format!("number, {min} to {max}"),
            Self::Size { .. } => "size".to_owned(),
            Self::Duration { .. } => "duration".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Choice { now, .. } => {
                let words: Vec<String> = now.iter().map(|w| format!("`\"{w}\"`")).collect();
                words.join(" or ")
            }
            Self::StopSignals => "name of a signal, or list of names and pauses".to_owned(),
            Self::ConsoleLines => "list of lines and pauses".to_owned(),
            Self::Command => "list of texts, or one text".to_owned(),
            Self::Pattern => "regular expression".to_owned(),
            Self::Template | Self::BodyTemplate => "template".to_owned(),
            Self::Address => "host and port".to_owned(),
            Self::Texts | Self::Tags => "list of texts".to_owned(),
            Self::ExitCodes => "list of exit codes".to_owned(),
            Self::Signals => "list of names of signals".to_owned(),
            Self::LogSilence => "duration, or table of `after` and `then`".to_owned(),
            Self::MaxRuntime => "duration, or table of `after`, `jitter` and `announce`".to_owned(),
            Self::Calendar => "time, list of times, or table of `at` and `zone`".to_owned(),
            Self::Restarts => {
                "time, list of times, or table of `at`, `zone` and `announce`".to_owned()
            }
            Self::Maintenance => {
                "list of tables of `programs`, `schedule`, `duration` and `reason`".to_owned()
            }
            Self::Rules => "list of tables of `when`, `for`, `do`, `exec` and `timeout`".to_owned(),
            Self::Variables => "table of texts".to_owned(),
            Self::Depends => "table, or list of names".to_owned(),
            Self::Account => "name or number".to_owned(),
            Self::Umask => "octal digits".to_owned(),
            Self::Limits => "table of limits".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::SecretUrl => "URL, secret".to_owned(),
            Self::Proxy => "URL, secret, or `\"none\"`".to_owned(),
            Self::SigningKeys => "secret, or list of secrets".to_owned(),
            Self::BotToken
            | Self::SlackToken
            | Self::Token
            | Self::Topic
            | Self::PushoverKey
            | Self::RoutingKey => "secret".to_owned(),
            Self::Room => "room id".to_owned(),
            Self::ChatId => "number, or `\"@name\"`".to_owned(),
            Self::Headers | Self::Sealed => "table of secrets".to_owned(),
            Self::Unread => String::new(),
        }
    }
}

impl Key {
    /// The key's own name, without its table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path as people read it: `program.NAME.command`.
    #[must_use]
    pub fn for_people(&self) -> String {
        self.path.replace('*', "NAME")
    }

    /// Whether a target of `kind` has it.
    #[must_use]
    pub fn belongs_to(&self, kind: &str) -> bool {
        self.of.is_empty() || self.of.contains(&kind)
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// A key. Several rows have the path when it means another thing for each kind of target.
    Key(&'static Key),
    /// A table of keys.
    Section,
    /// A key of other kinds of target than this.
    OtherKind,
    /// Nothing.
    Unknown,
}

/// What stands at `path`, for a target of `kind`.
pub(super) fn find(path: &str, kind: Option<&str>) -> Found {
    let mut rows = KEYS.iter().filter(|k| k.path == path).peekable();
    if rows.peek().is_some() {
        return match kind {
            Some(kind) => rows
                .find(|k| k.belongs_to(kind))
                .map_or(Found::OtherKind, Found::Key),
            None => rows.next().map_or(Found::Unknown, Found::Key),
        };
    }
    if KEYS.iter().any(|k| tail_of(k.path, path).is_some()) {
        Found::Section
    } else {
        Found::Unknown
    }
}

/// What is left of `path` behind `section` and its dot.
fn tail_of<'a>(path: &'a str, section: &str) -> Option<&'a str> {
    if section.is_empty() {
        return Some(path);
    }
    path.strip_prefix(section)?.strip_prefix('.')
}

/// The names this version takes directly in the section `path`, each once, in the table's order.
pub(super) fn names_in(path: &str, kind: Option<&str>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let Some(tail) = tail_of(key.path, path) else {
            continue;
        };
        let name = tail.split('.').next().unwrap_or(tail);
        let taken =
            key.availability == Availability::Now && kind.is_none_or(|kind| key.belongs_to(kind));
        if taken && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The row of `path` that this version reads.
///
/// # Panics
/// When there is none: paths in this room's code are those of the table, which a test holds to it.
pub(super) fn row(path: &str) -> &'static Key {
    KEYS.iter()
        .find(|k| k.path == path && k.availability == Availability::Now)
        .unwrap_or_else(|| panic!("no key {path} in the table"))
}

/// What jikimi calls the key that another supervisor calls `name`, in the section `path`.
pub(super) fn alias(path: &str, name: &str) -> Option<&'static str> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    ALIASES
        .iter()
        .find(|(section, theirs, _)| *section == path && theirs.split(' ').any(|t| t == plain))
        .map(|(_, _, ours)| *ours)
}

/// Where a key called `name` stands that was looked for in the wrong table: `supervisor.state_dir`.
pub(super) fn elsewhere(name: &str) -> Option<&'static Key> {
    let mut rows = KEYS
        .iter()
        .filter(|k| k.availability == Availability::Now && k.name() == name);
    let row = rows.next()?;
    rows.next().is_none().then_some(row)
}

/// The kinds of target of this version.
pub(super) fn target_kinds() -> &'static [&'static str] {
    TARGET_KINDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sections_and_strangers_are_told_apart() {
        assert!(matches!(find("program.*.command", None), Found::Key(k) if k.required));
        assert_eq!(find("program.*.backoff", None), Found::Section);
        assert_eq!(find("program.*.comand", None), Found::Unknown);
        assert_eq!(find("target.*.headers", Some("discord")), Found::OtherKind);
        let email = find("target.*.from", Some("email"));
        let telegram = find("target.*.token", Some("telegram"));
        assert!(matches!(email, Found::Key(k) if k.availability == Availability::Later));
        assert!(matches!(telegram, Found::Key(k) if k.availability == Availability::Now));
    }

    #[test]
    fn every_row_has_a_sentence_an_example_and_a_place_of_its_own() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(key.doc.ends_with('.'), "{}", key.path);
            let now = key.availability == Availability::Now;
            assert_eq!(now, !key.example.is_empty(), "{}", key.path);
            assert_eq!(now, key.kind != Kind::Unread, "{}", key.path);
            assert!(!(key.default.is_some() && key.default_words.is_some()));
            for other in &KEYS[i + 1..] {
                let shared = key.of.iter().any(|k| other.of.contains(k));
                let apart = !key.of.is_empty() && !other.of.is_empty() && !shared;
                assert!(key.path != other.path || apart, "{} twice", key.path);
            }
        }
    }

    #[test]
    fn every_alias_leads_to_a_key_of_the_table() {
        for (section, theirs, ours) in ALIASES {
            let path = if section.is_empty() {
                (*ours).to_owned()
            } else {
                format!("{section}.{ours}")
            };
            assert_ne!(find(&path, None), Found::Unknown, "{theirs} -> {path}");
            for name in theirs.split(' ') {
                assert_eq!(alias(section, name), Some(*ours), "{name} is there twice");
            }
        }
        assert_eq!(alias("program.*", "Working-Dir"), Some("directory"));
    }
}
