//! `incidents`: list and show, from the running supervisor or from the state folder when none runs.

use std::fmt::Write as _;
use std::time::Duration;

use super::args::{IncidentsArgs, IncidentsCommand};
use super::connect::Place;
use super::deliveries::{Source, failed, json, tried};
use super::format::when;
use super::output::{Failure, Out, Style};
use super::table::{Cell, Column, Kind, Paint, table};
use crate::clock::{Wall, wall};
use crate::control::http::percent_encode;
use crate::control::incidents::{
    IncidentDetail, IncidentLine, IncidentQuery, Incidents as IncidentsOf, TargetLine, ToldLine,
};
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::model::event::Severity;
use crate::model::incident::IncidentState;
use crate::text;

/// `jikimi incidents`.
pub fn incidents(place: &Place, asked: &IncidentsArgs, out: &mut Out) -> Result<(), Failure> {
    match &asked.what {
        None => list(place, asked, out),
        Some(IncidentsCommand::Show { id, json }) => show(place, (id, *json), out),
    }
}

fn list(place: &Place, asked: &IncidentsArgs, out: &mut Out) -> Result<(), Failure> {
    let query = IncidentQuery {
        is_open: asked.open,
        since: asked.since.map(|since| since.moment(wall())),
        limit: asked.last.unwrap_or(limits::INCIDENTS_LISTED),
    };
    let found: Vec<IncidentLine> = match Source::of(place)? {
        Source::Live(client) => client.get(&path(&query))?,
        Source::Stored(store) => IncidentsOf::incidents(&*store, &query).map_err(|e| failed(&e))?,
    };
    if asked.json {
        return json(&found, out);
    }
    if found.is_empty() {
        return out.line("there are no such incidents");
    }
    for line in listed(&found, wall(), out.style) {
        out.line(&line)?;
    }
    Ok(())
}

fn path(query: &IncidentQuery) -> String {
    let mut path = format!("/api/v1/incidents?last={}", query.limit);
    if query.is_open {
        path.push_str("&open=true");
    }
    if let Some(since) = query.since {
        let _ = write!(path, "&since={since}");
    }
    path
}

const fn column(heading: &'static str, kind: Kind) -> Column {
    Column { heading, kind }
}

const COLUMNS: [Column; 7] = [
    column("ID", Kind::Text),
    column("ABOUT", Kind::Flexible),
    column("WHAT", Kind::Text),
    column("STATE", Kind::Text),
    column("OPENED", Kind::Text),
    column("LASTED", Kind::Text),
    column("TOLD", Kind::Flexible),
];

fn paint(line: &IncidentLine) -> Paint {
    match (line.state, line.severity) {
        (IncidentState::Resolved, _) => Paint::Good,
        (IncidentState::Open, Severity::Critical) => Paint::Bad,
        (IncidentState::Open, Severity::Info | Severity::Warning) => Paint::Warn,
    }
}

fn listed(found: &[IncidentLine], now: Wall, style: Style) -> Vec<String> {
    let row = |line: &IncidentLine| {
        vec![
            Cell::new(&line.id.to_string()),
            Cell::new(&about(line)),
            Cell::new(line.condition.as_str()),
            Cell::painted(line.state.as_str(), paint(line)),
            Cell::new(&when(line.opened_at, now)),
            Cell::new(&lasted(line, now)),
            Cell::painted(&targets(&line.targets), Paint::Dim),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    table(&COLUMNS, &rows, style)
}

/// The instance, the rule or target, or the supervisor.
fn about(line: &IncidentLine) -> String {
    match (&line.instance, &line.subject) {
        (Some(instance), None) => instance.to_string(),
        (Some(instance), Some(subject)) => format!("{instance}: {subject}"),
        (None, Some(subject)) => subject.clone(),
        (None, None) => "the supervisor".to_owned(),
    }
}

fn lasted(line: &IncidentLine, now: Wall) -> String {
    let end = line.resolved_at.unwrap_or(now);
    let millis = end.millis().saturating_sub(line.opened_at.millis());
    text::duration(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

fn targets(targets: &[TargetLine]) -> String {
    let words = targets.iter().map(|target| match target.state {
        DeliveryState::Delivered => target.name.clone(),
        other => format!("{} ({})", target.name, other.as_str()),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn show(place: &Place, (id, as_json): (&str, bool), out: &mut Out) -> Result<(), Failure> {
    let detail: IncidentDetail = match Source::of(place)? {
        Source::Live(client) => client.get(&format!("/api/v1/incidents/{}", percent_encode(id)))?,
        Source::Stored(store) => store.incident(id).map_err(|e| failed(&e))?,
    };
    if as_json {
        return json(&detail, out);
    }
    for line in shown(&detail, wall()) {
        out.line(&text::printable(line.as_bytes()))?;
    }
    Ok(())
}

fn shown(detail: &IncidentDetail, now: Wall) -> Vec<String> {
    let line = &detail.line;
    let (what, state) = (line.condition.as_str(), line.state.as_str());
    let mut lines = vec![format!(
        "incident {}: {what} of {}, {state}",
        line.id,
        about(line)
    )];
    lines.push(format!(
        "  opened    {}, severity {}",
        when(line.opened_at, now),
        line.severity
    ));
    let lasted = lasted(line, now);
    lines.push(match line.resolved_at {
        Some(at) => {
            let cause = line.cause.as_deref().unwrap_or("resolved");
            format!("  over      {}, after {lasted}: {cause}", when(at, now))
        }
        None => format!("  lasts     {lasted}"),
    });
    if let Some(first) = detail.timeline.first() {
        lines.push(format!("  opened by {}", first.summary));
    }
    if detail.cycle > 1 {
        lines.push(format!("  flaps     number {} in a row", detail.cycle));
    }
    lines.push(format!("what happened ({} events)", line.events));
    for event in &detail.timeline {
        let time = when(event.time, now);
        lines.push(format!("  {time}  {}: {}", event.kind, event.summary));
    }
    let mut target = None;
    for told in &detail.told {
        if target != Some(&told.line.target) {
            lines.push(format!("what {} was told", told.line.target));
            target = Some(&told.line.target);
        }
        say(told, (detail, now), &mut lines);
    }
    if detail.told.is_empty() {
        lines.push("nobody was told".to_owned());
    }
    lines
}

/// A delivery and its attempts.
fn say(told: &ToldLine, (detail, now): (&IncidentDetail, Wall), lines: &mut Vec<String>) {
    let event = detail.timeline.iter().find(|e| e.id == told.line.event);
    let what = event.map_or("an event that is no longer kept", |e| e.summary.as_str());
    let mut line = format!(
        "  {}  {}: {what}",
        when(told.created_at, now),
        told.line.state.as_str()
    );
    if let Some(id) = &told.message_id {
        let _ = write!(line, ", message {id}");
    }
    if let Some(held) = &told.held {
        let _ = write!(line, ", held: {held}");
    }
    if let Some(at) = told.line.next_attempt_at {
        let _ = write!(line, ", next try {}", when(at, now));
    }
    lines.push(line);
    lines.extend(told.tries.iter().map(|a| format!("  {}", tried(a, now))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_was_asked() {
        let query = IncidentQuery {
            is_open: true,
            since: Some(Wall::from_millis(1_700_000_000_000)),
            limit: 3,
        };
        assert_eq!(
            path(&query),
            "/api/v1/incidents?last=3&open=true&since=2023-11-14T22:13:20.000Z"
        );
    }

    #[test]
    fn a_target_that_was_not_told_is_named_with_the_reason() {
        let target = |name: &str, state| TargetLine {
            name: name.to_owned(),
            state,
            message_id: None,
        };
        let told = [
            target("chat", DeliveryState::Delivered),
            target("hook", DeliveryState::Dead),
        ];
        assert_eq!(targets(&told), "chat, hook (dead)");
    }
}
