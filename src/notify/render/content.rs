//! The facts of a message: what is worth reading at three in the morning, in the order in which it is wanted. Pure.

use std::time::Duration;

use super::line;
use super::sparkline::sparkline;
use super::words;
use crate::clock::Wall;
use crate::limits;
use crate::model::clues::{Change, Usage};
use crate::model::delivery::Leased;
use crate::model::event::Event;
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::language::Language;
use crate::text;

/// Label and value of all that applies.
pub(super) fn facts(leased: &Leased, language: Language) -> Vec<(&'static str, String)> {
    let event = &leased.event;
    let facts = &event.facts;
    let words = words::of(language);
    let mut list: Vec<(&'static str, String)> = Vec::new();
    let mut add = |label, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.trim().is_empty()) {
            list.push((label, line(&value, limits::MESSAGE_VALUE)));
        }
    };
    if !leased.known.members.is_empty() {
        for (label, value) in super::group::facts(leased, language) {
            add(label, Some(value));
        }
        return list;
    }
    let worded = |english: &String| language.cause(english).into_owned();
    let usage = facts.usage.as_ref();
    add(
        words.program,
        event.instance.as_ref().map(ToString::to_string),
    );
    add(words.target, facts.target.clone());
    add(
        words.exit,
        facts.exit.as_ref().map(|exit| language.exit(exit)),
    );
    add(words.cause, facts.cause.as_ref().map(worded));
    add(words.changed, Some(changed(&facts.changed, language)));
    add(words.uptime, facts.uptime_s.map(|s| language.seconds(s)));
    add(words.restarts, facts.restarts.map(|n| n.to_string()));
    add(
        words.next,
        facts.next_restart_s.map(|s| language.seconds(s)),
    );
    add(
        words.memory,
        usage.and_then(|usage| memory(usage, language)),
    );
    add(words.cpu, usage.and_then(|usage| cpu(usage, language)));
    add(words.peak, facts.peak_memory_bytes.map(text::size));
    add(words.asked_by, facts.asked_by.as_ref().map(worded));
    add(words.count, facts.count.map(|n| n.to_string()));
    let incident = leased.incident.as_ref();
    add(
        words.incident,
        incident.map(|i| so_far(i, event.time, language)),
    );
    list
}

/// The moment of the next start, and the label of the fact that tells the pause until then.
pub(super) fn moment(event: &Event, language: Language) -> Option<(&'static str, Wall)> {
    let pause = event.facts.next_restart_s?;
    let pause = Some(pause).filter(|s| *s >= limits::MESSAGE_MOMENT_MIN)?;
    let pause = Duration::try_from_secs_f64(pause).ok()?;
    let millis = i64::try_from(pause.as_millis()).ok()?;
    let at = Wall::from_millis(event.time.millis().checked_add(millis)?);
    Some((words::of(language).next, at))
}

fn changed(changes: &[Change], language: Language) -> String {
    let file = words::of(language).file;
    let names: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Config(key) => key.clone(),
            Change::File(_) => format!("{change} {file}"),
        })
        .collect();
    names.join(", ")
}

/// `▁▃█ 120.0 MiB → 480.3 MiB, 1m 35s`.
fn memory(usage: &Usage, language: Language) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let values: Vec<f64> = usage
        .memory_bytes
        .iter()
        .map(|bytes| *bytes as f64)
        .collect();
    let (first, last) = (usage.memory_bytes.first()?, usage.memory_bytes.last()?);
    let ends = (text::size(*first), text::size(*last));
    Some(pictured(&values, ends, (usage.over_s, language)))
}

/// `▁▂█ 3% → 98%, 1m 35s`.
fn cpu(usage: &Usage, language: Language) -> Option<String> {
    let (first, last) = (usage.cpu_percent.first()?, usage.cpu_percent.last()?);
    let ends = (format!("{first:.0}%"), format!("{last:.0}%"));
    Some(pictured(&usage.cpu_percent, ends, (usage.over_s, language)))
}

fn pictured(values: &[f64], ends: (String, String), (over_s, language): (f64, Language)) -> String {
    if values.len() < 2 {
        return ends.1;
    }
    let over = language.seconds(over_s);
    format!("{} {} → {}, {over}", sparkline(values), ends.0, ends.1)
}

/// How the incident goes, at `now`.
fn so_far(incident: &Incident, now: Wall, language: Language) -> String {
    let until = incident.resolved_at.unwrap_or(now);
    let millis = until.millis().saturating_sub(incident.opened_at.millis());
    let lasted = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let lasted = language.duration(lasted);
    let (events, failures) = (incident.events, incident.failures);
    let is_crash = incident.condition == Condition::Crash;
    let is_loop = is_crash && failures >= limits::MESSAGE_LOOP;
    match (language, incident.state) {
        (Language::En, IncidentState::Open) if is_loop => {
            format!("crash-looping: {failures} times in {lasted}")
        }
        (Language::Ko, IncidentState::Open) if is_loop => {
            format!("비정상 종료 반복: {lasted} 동안 {failures}번")
        }
        (Language::En, IncidentState::Open) => format!("open for {lasted}, {}", count(events)),
        (Language::Ko, IncidentState::Open) => format!("{lasted}째 진행 중, 이벤트 {events}건"),
        (_, IncidentState::Resolved) => ended(incident, &lasted, language),
    }
}

fn ended(incident: &Incident, lasted: &str, language: Language) -> String {
    let is_recovered = incident
        .cause
        .as_deref()
        .is_none_or(|cause| cause == "recovered");
    let events = incident.events;
    match (language, is_recovered) {
        (Language::En, true) => format!("recovered after {lasted}, {}", count(events)),
        (Language::En, false) => format!("ended after {lasted}, {}", count(events)),
        (Language::Ko, true) => format!("{lasted} 만에 복구, 이벤트 {events}건"),
        (Language::Ko, false) => format!("{lasted} 만에 끝남, 이벤트 {events}건"),
    }
}

fn count(events: u64) -> String {
    match events {
        1 => "1 event".to_owned(),
        n => format!("{n} events"),
    }
}
