//! `program.NAME.readiness` and `.liveness`: exactly one check each, and what goes with it.

use std::sync::Arc;

use super::fault::{Wrong, shown, wrong};
use super::fields::Block;
use super::keys::Key;
use super::lists;
use super::read::{Reader, Typed, Word};
use super::source::At;
use super::syntax::{Node, Value};
use crate::model::health::{Aspect, Check, HealthSettings, Probe};
use crate::model::pattern::Pattern;
use crate::secret::Secret;

/// The keys of one probe, by their paths in the table.
struct Keys {
    /// As faults name the table: `readiness`.
    name: &'static str,
    http: &'static str,
    tcp: &'static str,
    exec: &'static str,
    /// Only a readiness has it.
    log_line: Option<&'static str>,
    notify: &'static str,
    interval: &'static str,
    timeout: &'static str,
    initial_delay: &'static str,
    success_threshold: &'static str,
    failure_threshold: &'static str,
}

const READINESS: Keys = Keys {
    name: "readiness",
    http: "program.*.readiness.http",
    tcp: "program.*.readiness.tcp",
    exec: "program.*.readiness.exec",
    log_line: Some("program.*.readiness.log_line"),
    notify: "program.*.readiness.notify",
    interval: "program.*.readiness.interval",
    timeout: "program.*.readiness.timeout",
    initial_delay: "program.*.readiness.initial_delay",
    success_threshold: "program.*.readiness.success_threshold",
    failure_threshold: "program.*.readiness.failure_threshold",
};

const LIVENESS: Keys = Keys {
    name: "liveness",
    http: "program.*.liveness.http",
    tcp: "program.*.liveness.tcp",
    exec: "program.*.liveness.exec",
    log_line: None,
    notify: "program.*.liveness.notify",
    interval: "program.*.liveness.interval",
    timeout: "program.*.liveness.timeout",
    initial_delay: "program.*.liveness.initial_delay",
    success_threshold: "program.*.liveness.success_threshold",
    failure_threshold: "program.*.liveness.failure_threshold",
};

impl Keys {
    const fn of(aspect: Aspect) -> &'static Self {
        match aspect {
            Aspect::Readiness => &READINESS,
            Aspect::Liveness => &LIVENESS,
        }
    }

    fn checks(&self) -> impl Iterator<Item = &'static str> {
        [self.http, self.tcp, self.exec]
            .into_iter()
            .chain(self.log_line)
            .chain([self.notify])
    }

    /// What says how often and for how long something is checked.
    const fn times(&self) -> [&'static str; 5] {
        [
            self.interval,
            self.timeout,
            self.initial_delay,
            self.success_threshold,
            self.failure_threshold,
        ]
    }

    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.checks().chain(self.times())
    }
}

/// A table at `path` that says nothing at all.
pub(super) fn empty(reader: &mut Reader<'_>, path: &str, (at, full): (At, &str)) {
    for keys in [&READINESS, &LIVENESS] {
        if path.strip_prefix("program.*.") == Some(keys.name) {
            reader.fault(at, full, wrong("it says not what to check", one_of(keys)));
        }
    }
}

/// What stands beside `notify` and means nothing there: nobody asks.
fn warn_of_times(odd: &mut Reader<'_>, block: &Block, keys: &Keys) {
    if !matches!(block.fields.written(keys.notify), Some(Typed::Switch(true))) {
        return;
    }
    // The watchdog's time is made of an interval and a threshold, and begins after the delay.
    let is_meant = |time: &&str| {
        keys.name == LIVENESS.name
            && [keys.interval, keys.initial_delay, keys.failure_threshold].contains(time)
    };
    for time in keys.times().iter().filter(|time| !is_meant(time)) {
        if let Some(at) = block.fields.place(time) {
            let full = format!("{}.{}.{}", block.shown, keys.name, last(time));
            odd.fault(
                at,
                &full,
                wrong("it has no effect with notify", "leave it out"),
            );
        }
    }
}

/// What the program's health is judged by.
pub(super) fn health(
    (reader, odd): (&mut Reader<'_>, &mut Reader<'_>),
    block: &Block,
) -> HealthSettings {
    const START_TIMEOUT: &str = "program.*.start_timeout";
    let start_timeout = match block.fields.written(START_TIMEOUT) {
        Some(Typed::Duration(within)) => Some(*within),
        _ => None,
    };
    let readiness = probe(reader, block, Aspect::Readiness);
    let is_probed = READINESS
        .all()
        .any(|path| block.fields.place(path).is_some());
    if let (false, Some(at)) = (is_probed, block.fields.place(START_TIMEOUT)) {
        let full = format!("{}.start_timeout", block.shown);
        let right = "add a readiness, or leave it out";
        odd.fault(
            at,
            &full,
            wrong("it has no effect without a readiness", right),
        );
    }
    for keys in [&READINESS, &LIVENESS] {
        warn_of_times(odd, block, keys);
    }
    HealthSettings {
        readiness,
        ready_line: ready_line(odd, block),
        liveness: probe(reader, block, Aspect::Liveness),
        start_timeout,
    }
}

/// The line that says that it is ready. Nothing is asked again and again then.
fn ready_line(odd: &mut Reader<'_>, block: &Block) -> Option<Pattern> {
    let path = READINESS.log_line?;
    block.fields.place(path)?;
    for time in READINESS.times() {
        if let Some(at) = block.fields.place(time) {
            let full = format!("{}.{}.{}", block.shown, READINESS.name, last(time));
            let w = wrong("it has no effect with log_line", "leave it out");
            odd.fault(at, &full, w);
        }
    }
    match block.fields.written(path) {
        Some(Typed::Pattern(pattern)) => Some(pattern.clone()),
        _ => None,
    }
}

/// A regular expression, as it was written: `${` is an end and a bracket there, and no variable.
pub(super) fn pattern(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::Text(raw) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let pattern = match Pattern::new(raw) {
        Ok(pattern) if pattern.is_in(b"") => Err(wrong(
            "it is found in every line",
            "a regular expression as \"Listening on\"",
        )),
        Ok(pattern) => Ok(pattern),
        Err(error) => Err(wrong(
            format!("{} is no regular expression: {error}", shown(raw)),
            "a regular expression as \"Listening on\"",
        )),
    };
    match pattern {
        Ok(pattern) => Some(Typed::Pattern(pattern)),
        Err(wrong) => {
            reader.fault(node.at, name, wrong);
            None
        }
    }
}

fn probe(reader: &mut Reader<'_>, block: &Block, aspect: Aspect) -> Option<Arc<Probe>> {
    let (keys, fields) = (Keys::of(aspect), &block.fields);
    let check = match only_check(reader, block, keys) {
        Some(path) if Some(path) == keys.log_line => return None,
        Some(path) => check(reader, block, (keys, path))?,
        None => return None,
    };
    Some(Arc::new(Probe {
        check,
        interval: fields.duration(keys.interval),
        timeout: fields.duration(keys.timeout),
        initial_delay: fields.duration(keys.initial_delay),
        success_threshold: fields.integer(keys.success_threshold),
        failure_threshold: fields.integer(keys.failure_threshold),
    }))
}

/// The one check that was written; reports when there is another number of them.
fn only_check(reader: &mut Reader<'_>, block: &Block, keys: &Keys) -> Option<&'static str> {
    let fields = &block.fields;
    let full = format!("{}.{}", block.shown, keys.name);
    let place = |path: &str| fields.place(path);
    let written: Vec<(&'static str, At)> = keys
        .checks()
        .filter(|path| !matches!(fields.written(path), Some(Typed::Switch(false))))
        .filter_map(|path| Some((path, place(path)?)))
        .collect();
    match written.as_slice() {
        [] => {
            if let Some(at) = keys.all().find_map(place) {
                let w = wrong("it says not what to check", one_of(keys));
                reader.fault(at, &full, w);
            }
            None
        }
        [(path, _)] => Some(path),
        [(first, _), (_, at), ..] => {
            let what = format!(
                "it has {} already, and a probe checks one thing",
                last(first)
            );
            reader.fault(*at, &full, wrong(what, "keep one of them"));
            None
        }
    }
}

fn one_of(keys: &Keys) -> String {
    let names: Vec<&str> = keys.checks().map(last).collect();
    format!("one of {}", names.join(", "))
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn check(
    reader: &mut Reader<'_>,
    block: &Block,
    (keys, path): (&Keys, &'static str),
) -> Option<Check> {
    let full = format!("{}.{}.{}", block.shown, keys.name, last(path));
    let at = block.fields.place(path)?;
    match block.fields.written(path)? {
        Typed::Word(word) if path == keys.http => Some(Check::Http {
            url: Secret::new(word.text.clone()),
            shown: harmless(&word.raw),
        }),
        Typed::Word(word) => address(&word.text).map(|(host, port)| Check::Tcp { host, port }),
        Typed::Switch(_) => Some(Check::Notify),
        Typed::CommandLine(raw) => lists::split(reader, at, &full, raw).map(Check::Exec),
        Typed::Words(words) => {
            let words = words.iter().map(|word| word.text.clone());
            Some(Check::Exec(words.collect()))
        }
        other => unreachable!("{path} is read as another kind than the table says ({other:?})"),
    }
}

/// As it was written: variables may hold secrets, and so may what stands behind the question mark.
fn harmless(raw: &str) -> String {
    raw.split('?').next().unwrap_or(raw).to_owned()
}

/// The host and the port of `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']')?;
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            inner
        }
        None if host.contains(':') => return None,
        None => host,
    };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-:%".contains(&b);
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty() && host.bytes().all(is_plain)).then(|| (host.to_owned(), port))
}

/// An address with a port.
pub(super) fn check_address(word: Word) -> Result<Word, Wrong> {
    if address(&word.text).is_some() {
        return Ok(word);
    }
    Err(wrong(
        "it is no address with a port",
        "as \"127.0.0.1:8080\", \"localhost:8080\" or \"[::1]:8080\"",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, expected) in [
            ("127.0.0.1:80", Some(("127.0.0.1", 80))),
            ("localhost:8080", Some(("localhost", 8080))),
            ("db.internal:5432", Some(("db.internal", 5432))),
            ("[::1]:65535", Some(("::1", 65_535))),
            ("::1:80", None),
            ("[::1:80", None),
            ("[db]:80", None),
            ("127.0.0.1", None),
            (":80", None),
            ("8080", None),
            ("a b:80", None),
            ("http://a:80", None),
            ("a:0", None),
            ("a:65536", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_secret_in_it() {
        assert_eq!(
            harmless("http://127.0.0.1:${PORT}/health?token=x"),
            "http://127.0.0.1:${PORT}/health"
        );
    }
}
