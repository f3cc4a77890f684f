//! `deliveries`: list and show, from the running supervisor or from the state folder when none runs; retry and purge.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::args::{DeliveriesArgs, DeliveriesCommand, ListArgs, PurgeArgs};
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out, Style};
use super::stored;
use super::table::{Cell, Column, Kind, Paint, table};
use crate::clock::{Wall, wall};
use crate::control::api::DeliveryLine;
use crate::control::client::{Client, Patience};
use crate::control::deliveries::{
    AttemptLine, Counted, Deliveries, DeliveryDetail, DeliveryQuery, Unfound,
};
use crate::control::http::percent_encode;
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::store::Store;
use crate::text;

/// `jikimi deliveries`.
pub fn deliveries(place: &Place, asked: DeliveriesArgs, out: &mut Out) -> Result<(), Failure> {
    match asked.what {
        None => list(place, &asked.list, out),
        Some(DeliveriesCommand::List(asked)) => list(place, &asked, out),
        Some(DeliveriesCommand::Show { id, json }) => show(place, (&id, json), out),
        Some(DeliveriesCommand::Retry { id }) => retry(&place.client()?, &id, out),
        Some(DeliveriesCommand::Purge(asked)) => purge(place, &asked, out),
    }
}

/// Where deliveries are read.
pub(super) enum Source {
    Live(Client),
    Stored(Box<Store>),
}

impl Source {
    pub(super) fn of(place: &Place) -> Result<Self, Failure> {
        let found = place.find();
        match found {
            Ok(found) if found.client.is_alive() => Ok(Self::Live(found.client)),
            Ok(found) => match found.state_dir {
                Some(folder) => Ok(Self::Stored(Box::new(stored::open(&folder)?))),
                None => Err(stored::nowhere()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn failed(error: &Unfound) -> Failure {
    Failure::Failed(error.to_string())
}

fn list(place: &Place, asked: &ListArgs, out: &mut Out) -> Result<(), Failure> {
    let query = DeliveryQuery {
        states: asked.states.clone(),
        target: asked.target.clone(),
        limit: asked.last.unwrap_or(limits::DELIVERIES_LISTED),
    };
    let found: Vec<DeliveryLine> = match Source::of(place)? {
        Source::Live(client) => client.get(&list_path(&query))?,
        Source::Stored(store) => store.list(&query).map_err(|e| failed(&e))?,
    };
    if asked.json {
        return json(&found, out);
    }
    if found.is_empty() {
        return out.line("there are no such deliveries");
    }
    for line in listed(&found, wall(), out.style) {
        out.line(&line)?;
    }
    Ok(())
}

fn list_path(query: &DeliveryQuery) -> String {
    let mut path = format!("/api/v1/deliveries?last={}", query.limit);
    for state in &query.states {
        let _ = write!(path, "&state={}", state.as_str());
    }
    if let Some(target) = &query.target {
        let _ = write!(path, "&target={}", percent_encode(target));
    }
    path
}

pub(super) fn json(value: &impl Serialize, out: &mut Out) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    out.line(&text.map_err(|e| Failure::Failed(e.to_string()))?)
}

const fn column(heading: &'static str, kind: Kind) -> Column {
    Column { heading, kind }
}

const COLUMNS: [Column; 6] = [
    column("ID", Kind::Text),
    column("TARGET", Kind::Flexible),
    column("STATE", Kind::Text),
    column("ATTEMPTS", Kind::Number),
    column("NEXT", Kind::Text),
    column("", Kind::Flexible),
];

fn paint(state: DeliveryState) -> Paint {
    match state {
        DeliveryState::Delivered => Paint::Good,
        DeliveryState::Pending | DeliveryState::Leased => Paint::Warn,
        DeliveryState::Dead | DeliveryState::Expired => Paint::Bad,
    }
}

fn listed(found: &[DeliveryLine], now: Wall, style: Style) -> Vec<String> {
    let row = |line: &DeliveryLine| {
        let next = line.next_attempt_at.map(|at| when(at, now));
        vec![
            Cell::new(&line.id.to_string()),
            Cell::new(&line.target),
            Cell::painted(line.state.as_str(), paint(line.state)),
            Cell::new(&line.attempts.to_string()),
            Cell::new(next.as_deref().unwrap_or("-")),
            Cell::painted(line.last_error.as_deref().unwrap_or(""), Paint::Dim),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    table(&COLUMNS, &rows, style)
}

fn show(place: &Place, (id, as_json): (&str, bool), out: &mut Out) -> Result<(), Failure> {
    let detail: DeliveryDetail = match Source::of(place)? {
        Source::Live(client) => {
            client.get(&format!("/api/v1/deliveries/{}/detail", percent_encode(id)))?
        }
        Source::Stored(store) => store.find(id).map_err(|e| failed(&e))?,
    };
    if as_json {
        return json(&detail, out);
    }
    for line in shown(&detail, wall()) {
        out.line(&text::printable(line.as_bytes()))?;
    }
    Ok(())
}

fn shown(detail: &DeliveryDetail, now: Wall) -> Vec<String> {
    let line = &detail.line;
    let mut lines = vec![format!(
        "delivery {} to {}: {}",
        line.id,
        line.target,
        line.state.as_str()
    )];
    let created = when(detail.created_at, now);
    lines.push(format!(
        "  made      {created}, severity {}",
        detail.severity
    ));
    if let Some(at) = line.next_attempt_at {
        let until = when(detail.expires_at, now);
        lines.push(format!("  next try  {}, until {until}", when(at, now)));
    }
    let known = [
        ("  held      ", detail.held.clone()),
        ("  incident  ", line.incident.map(|id| id.to_string())),
        ("  message   ", detail.message_id.clone()),
    ];
    let known = known
        .into_iter()
        .filter_map(|(head, text)| Some(head.to_owned() + &text?));
    lines.extend(known);
    match &detail.told {
        Some(event) => lines.extend([
            format!("  event     {} {}", event.id, event.kind),
            format!("  says      {}", event.summary),
        ]),
        None => lines.push(format!(
            "  event     {}, which is no longer kept",
            line.event
        )),
    }
    if detail.tries.is_empty() {
        lines.push("no attempt yet".to_owned());
    } else {
        lines.push("attempts".to_owned());
    }
    lines.extend(detail.tries.iter().map(|attempt| tried(attempt, now)));
    lines
}

/// `  22:13:20Z  retry after 12ms, status 500: the words of the target`.
pub(super) fn tried(attempt: &AttemptLine, now: Wall) -> String {
    let took = Duration::from_millis(u64::try_from(attempt.took_ms).unwrap_or(0));
    let mut line = format!(
        "  {}  {} after {}",
        when(attempt.time, now),
        attempt.outcome,
        text::duration(took)
    );
    if let Some(did) = &attempt.did {
        let _ = write!(line, ", {did}");
    }
    if let Some(fallback) = &attempt.fallback {
        let _ = write!(line, " ({fallback})");
    }
    let error = attempt.error.as_deref();
    match (attempt.status, error) {
        // Its words begin with it.
        (Some(status), Some(error)) if error.starts_with(&format!("status {status}")) => {
            let _ = write!(line, ", {error}");
        }
        (Some(status), error) => {
            let _ = write!(line, ", status {status}");
            let _ = error.map(|error| write!(line, ": {error}"));
        }
        (None, Some(error)) => {
            let _ = write!(line, ", {error}");
        }
        (None, None) => {}
    }
    line
}

fn retry(client: &Client, id: &str, out: &mut Out) -> Result<(), Failure> {
    let path = match id {
        "all" => "/api/v1/deliveries/retry".to_owned(),
        id => format!("/api/v1/deliveries/{}/retry", percent_encode(id)),
    };
    let done: Counted = client.post(&path, Patience::Short)?;
    out.line(&match done.count {
        0 => "nothing waits, and nothing was given up".to_owned(),
        n => format!("{} tried again now", counted(n)),
    })
}

fn counted(n: usize) -> String {
    match n {
        1 => "1 delivery is".to_owned(),
        n => format!("{n} deliveries are"),
    }
}

fn purge(place: &Place, asked: &PurgeArgs, out: &mut Out) -> Result<(), Failure> {
    let path = purge_path(asked, wall())?;
    let done: Counted = place.client()?.post(&path, Patience::Unlimited)?;
    out.line(&match done.count {
        0 => "there was nothing to remove".to_owned(),
        n => format!("{} removed", counted(n)),
    })
}

const OVER: [DeliveryState; 3] = [
    DeliveryState::Delivered,
    DeliveryState::Dead,
    DeliveryState::Expired,
];

fn purge_path(asked: &PurgeArgs, now: Wall) -> Result<String, Failure> {
    let mut states = asked.states.clone();
    if states.contains(&DeliveryState::Leased) {
        let words = "what is just being sent is not removed; leave out --state leased";
        return Err(Failure::Usage(words.to_owned()));
    }
    if states.contains(&DeliveryState::Pending) && !asked.all {
        let words = "what waits would never be sent; say --all as well if that is meant";
        return Err(Failure::Usage(words.to_owned()));
    }
    if states.is_empty() {
        states.extend(OVER);
        states.extend(asked.all.then_some(DeliveryState::Pending));
    }
    let mut path = "/api/v1/deliveries/purge".to_owned();
    for (n, state) in states.iter().enumerate() {
        let between = if n == 0 { '?' } else { '&' };
        let _ = write!(path, "{between}state={}", state.as_str());
    }
    if let Some(older) = asked.older {
        let _ = write!(path, "&before={}", older.moment(now));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Since;

    #[test]
    fn what_waits_is_removed_only_when_that_is_said_twice() {
        let now = Wall::from_millis(1_700_000_000_000);
        let ask = |states: &[DeliveryState], all: bool| {
            let asked = PurgeArgs {
                states: states.to_vec(),
                older: Some(Since::Ago(Duration::from_mins(10))),
                all,
            };
            purge_path(&asked, now).map_err(|_| ())
        };
        let path = |states: &str| {
            Ok(format!(
                "/api/v1/deliveries/purge?{states}&before=2023-11-14T22:03:20.000Z"
            ))
        };
        let over = "state=delivered&state=dead&state=expired";
        assert_eq!(ask(&[], false), path(over));
        assert_eq!(ask(&[], true), path(&format!("{over}&state=pending")));
        assert_eq!(ask(&[DeliveryState::Dead], true), path("state=dead"));
        assert_eq!(ask(&[DeliveryState::Pending], false), Err(()));
        assert!(ask(&[DeliveryState::Pending], true).is_ok());
        assert_eq!(ask(&[DeliveryState::Leased], true), Err(()));
    }

    #[test]
    fn an_attempt_says_when_how_long_and_what_came_of_it() {
        let time = Wall::from_millis(1_700_000_000_000);
        let said = |status, error: Option<&str>| {
            let attempt = AttemptLine {
                time,
                took_ms: 12,
                outcome: "retry".to_owned(),
                status,
                error: error.map(str::to_owned),
                did: None,
                fallback: None,
            };
            tried(&attempt, time)
        };
        let head = "  22:13:20Z  retry after 12ms";
        assert_eq!(said(None, None), head);
        assert_eq!(said(Some(204), None), format!("{head}, status 204"));
        assert_eq!(
            said(Some(500), Some("status 500: no")),
            format!("{head}, status 500: no")
        );
        assert_eq!(
            said(Some(200), Some("no")),
            format!("{head}, status 200: no")
        );
        assert_eq!(said(None, Some("refused")), format!("{head}, refused"));
    }

    #[test]
    fn the_question_says_what_was_asked() {
        let query = DeliveryQuery {
            states: vec![DeliveryState::Dead],
            target: Some("a b".to_owned()),
            limit: 7,
        };
        assert_eq!(
            list_path(&query),
            "/api/v1/deliveries?last=7&state=dead&target=a%20b"
        );
    }
}
