//! What the clock does to a program, from its keys: how long a run may last, when it is restarted or started. Part of
//! [`super::read`] and of [`super::programs`].

use std::time::Duration;

use jiff::tz::TimeZone;

use super::fault::{did_you_mean, shown, wrong};
use super::fields::Block;
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::syntax::{Entry, Node, Table, Value};
use crate::limits;
use crate::model::calendar::{Calendar, Line};
use crate::model::timing::{MaxRuntime, Timing};

/// A table within a value, its keys known by name.
pub(super) struct Inner<'a> {
    pub(super) key: &'a Key,
    /// Of the whole value.
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) table: &'a Table,
}

impl<'a> Inner<'a> {
    /// The table, with every key that is none of `names` reported.
    pub(super) fn new(
        reader: &mut Reader<'_>,
        (key, name): (&'a Key, &'a str),
        node: &'a Node,
        names: &[&str],
    ) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            return reader.wrong_type(key, name, node);
        };
        for (inner, entry) in table {
            if !names.contains(&inner.as_str()) {
                let right = did_you_mean(inner, names.iter().copied());
                let right = right.unwrap_or_else(|| format!("here stand {}", names.join(", ")));
                let shown = crate::text::printable(inner.as_bytes());
                let full = format!("{name}.{shown}");
                reader.fault(entry.at, &full, wrong("unknown key", right));
            }
        }
        Some(Self {
            key,
            name,
            node,
            table,
        })
    }

    /// As faults name a key of the table.
    pub(super) fn full(&self, inner: &str) -> String {
        format!("{}.{inner}", self.name)
    }

    pub(super) fn entry(&self, inner: &str) -> Option<&'a Entry> {
        self.table.get(inner)
    }

    /// The value of `inner`, read as `kind`; none when it is not there or wrong.
    pub(super) fn read(&self, reader: &mut Reader<'_>, inner: &str, kind: Kind) -> Option<Typed> {
        let key = Key { kind, ..*self.key };
        reader.read(&key, &self.full(inner), &self.entry(inner)?.node)
    }

    /// Reports that `inner` is not there, unless it is.
    pub(super) fn need(&self, reader: &mut Reader<'_>, inner: &str) {
        if self.entry(inner).is_none() {
            let right = format!("for example {} = {}", self.key.name(), self.key.example);
            let full = self.full(inner);
            reader.fault(self.node.at, &full, wrong("it is missing", right));
        }
    }
}

pub(super) const LASTING: Kind = Kind::Duration {
    min: Duration::from_millis(1),
    max: limits::CONFIG_DURATION_MAX,
};

/// `"12h"`, or `{ after = "12h", jitter = 0.1, announce = […] }`.
pub(super) fn max_runtime(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    if matches!(node.value, Value::Text(_) | Value::Integer(_)) {
        let plain = Key {
            kind: LASTING,
            ..*key
        };
        let Typed::Duration(after) = reader.read(&plain, name, node)? else {
            return None;
        };
        let max = MaxRuntime { after, jitter: 0.0 };
        return Some(Typed::MaxRuntime(max, Vec::new()));
    }
    let inner = Inner::new(reader, (key, name), node, &["after", "jitter", "announce"])?;
    inner.need(reader, "after");
    let jitter = match inner.entry("jitter") {
        Some(_) => inner.read(reader, "jitter", Kind::Number { min: 0.0, max: 1.0 }),
        None => Some(Typed::Number(0.0)),
    };
    let announce = super::announce::inner_announce(reader, key, name, node);
    match (inner.read(reader, "after", LASTING)?, jitter?) {
        (Typed::Duration(after), Typed::Number(jitter)) => {
            let max = MaxRuntime { after, jitter };
            Some(Typed::MaxRuntime(max, announce?))
        }
        _ => None,
    }
}

/// A calendar that announces nothing.
pub(super) fn times(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    calendar(reader, (key, name), node, &["at", "zone"]).map(Typed::Calendar)
}

/// `"04:00"`, a list of such times and lines of cron, or `{ at = …, zone = "Asia/Seoul" }`; its table may have `keys`.
pub(super) fn calendar(
    reader: &mut Reader<'_>,
    (key, name): (&Key, &str),
    node: &Node,
    keys: &[&str],
) -> Option<Calendar> {
    if !matches!(node.value, Value::Table(_)) {
        let lines = lines(reader, key, name, node)?;
        let zone = TimeZone::system();
        return Some(Calendar { lines, zone });
    }
    let inner = Inner::new(reader, (key, name), node, keys)?;
    inner.need(reader, "at");
    let zone = match inner.entry("zone") {
        Some(entry) => zone(reader, key, &inner.full("zone"), &entry.node),
        None => Some(TimeZone::system()),
    };
    let at = &inner.entry("at")?.node;
    let lines = lines(reader, key, &inner.full("at"), at)?;
    Some(Calendar { lines, zone: zone? })
}

/// One time, or several.
fn lines(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Vec<Line>> {
    let words = match &node.value {
        Value::Text(_) => vec![reader.word(key, name, node)?],
        _ => super::lists::texts(reader, key, name, node)?,
    };
    let lines: Vec<Option<Line>> = words
        .iter()
        .map(|word| {
            let line = Line::parse(&word.text);
            line.map_err(|what| {
                let right = "a time as \"04:00\", or minute, hour, day, month and day of the week as \"0 4 * * mon\"";
                reader.fault(word.at, name, wrong(what, right));
            })
            .ok()
        })
        .collect();
    lines.into_iter().collect()
}

fn zone(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<TimeZone> {
    let word = reader.word(key, name, node)?;
    let zone = TimeZone::get(&word.text);
    zone.map_err(|_| {
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|zone| zone.to_string())
            .collect();
        let right = did_you_mean(&word.raw, known.iter().map(String::as_str));
        let right = right.unwrap_or_else(|| "a name as \"Asia/Seoul\" or \"UTC\"".to_owned());
        let what = format!("{} is no time zone", shown(&word.raw));
        reader.fault(word.at, name, wrong(what, right));
    })
    .ok()
}

/// What of a program depends on time alone.
pub(super) fn timing(reader: &mut Reader<'_>, block: &Block) -> Timing {
    let fields = &block.fields;
    let (restart_at, announce) = super::announce::planned(fields);
    let (max_runtime, max_announce) = super::announce::lasting(fields);
    let timing = Timing {
        max_runtime,
        max_announce,
        restart_at,
        announce,
        schedule: fields.calendar("program.*.schedule"),
    };
    if timing.schedule.is_some() {
        check_scheduled(reader, block);
    }
    timing
}

/// A program that is started by the clock has to end by itself.
fn check_scheduled(reader: &mut Reader<'_>, block: &Block) {
    const RESTART: &str = "program.*.restart";
    let fields = &block.fields;
    if fields.text(RESTART) == "always" {
        let at = fields.place(RESTART).unwrap_or(block.at);
        let what = "with schedule it is started by the clock alone";
        let full = format!("{}.restart", block.shown);
        reader.fault(at, &full, wrong(what, "\"on-failure\" or \"never\""));
    }
}
