//! `targets`: how they and those who send to them do, and trying one again.

use super::args::{TargetsArgs, TargetsCommand};
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out};
use super::status::target_lines;
use crate::clock::{Wall, wall};
use crate::control::client::{Client, Patience};
use crate::control::deliveries::{Counted, WorkerLine};
use crate::control::http::percent_encode;
use crate::model::target::{TargetState, TargetView};
use crate::text;

/// `jikimi targets`.
pub fn targets(place: &Place, asked: &TargetsArgs, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    if let Some(TargetsCommand::Enable { target }) = &asked.what {
        return enable(&client, target, out);
    }
    if asked.json {
        let raw: serde_json::Value = client.get("/api/v1/targets")?;
        return out.line(&raw.to_string());
    }
    let found: Vec<TargetView> = client.get("/api/v1/targets")?;
    if found.is_empty() {
        return out.line("there are no targets");
    }
    let now = wall();
    for line in target_lines(&found, now, out.style) {
        out.line(&line)?;
    }
    for view in found.iter().filter(|v| v.state == TargetState::Dead) {
        let name = text::printable(view.name.as_bytes());
        out.line(&format!(
            "{name} takes nothing any more until its configuration changes or `jikimi targets enable {name}` tries it"
        ))?;
    }
    for line in found.iter().filter_map(|v| open_line(v, now)) {
        out.line(&line)?;
    }
    let workers: Vec<WorkerLine> = client.get("/api/v1/workers")?;
    out.line("")?;
    for worker in &workers {
        out.line(&worker_line(worker, now))?;
    }
    Ok(())
}

fn enable(client: &Client, target: &str, out: &mut Out) -> Result<(), Failure> {
    let path = format!("/api/v1/targets/{}/enable", percent_encode(target));
    let _: Counted = client.post(&path, Patience::Short)?;
    out.line(&format!(
        "{} is tried again with the next message that waits for it",
        text::printable(target.as_bytes())
    ))
}

/// `ops is left alone until 22:13:20Z: https://box cannot be reached`.
fn open_line(view: &TargetView, now: Wall) -> Option<String> {
    let until = when(view.detail.open_until?, now);
    let name = &view.name;
    let line = match &view.detail.unreachable {
        Some(host) => {
            format!(
                "{name} is left alone until {until}, like all targets at {host}, which cannot be reached"
            )
        }
        None => format!("{name} is left alone until {until}: it failed again and again"),
    };
    Some(text::printable(line.as_bytes()).into_owned())
}

/// `notify-0  sends to ops since 22:13:20Z, 12 attempts`.
fn worker_line(worker: &WorkerLine, now: Wall) -> String {
    let at = worker.last_activity.map(|time| when(time, now));
    let does = match (&worker.target, at) {
        (Some(target), Some(at)) => format!("sends to {target} since {at}"),
        (Some(target), None) => format!("sends to {target}"),
        (None, Some(at)) => format!("waits, last active {at}"),
        (None, None) => "waits, and has sent nothing yet".to_owned(),
    };
    let attempts = worker.attempts;
    let noun = if attempts == 1 { "attempt" } else { "attempts" };
    let line = format!("{}  {does}, {attempts} {noun}", worker.name);
    text::printable(line.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_says_what_it_does_and_when_it_last_did_something() {
        let now = Wall::from_millis(1_700_000_000_000);
        let mut worker = WorkerLine {
            name: "notify-0".to_owned(),
            target: None,
            last_activity: None,
            attempts: 0,
        };
        assert_eq!(
            worker_line(&worker, now),
            "notify-0  waits, and has sent nothing yet, 0 attempts"
        );
        worker.last_activity = Some(now);
        worker.attempts = 1;
        assert_eq!(
            worker_line(&worker, now),
            "notify-0  waits, last active 22:13:20Z, 1 attempt"
        );
        worker.target = Some("ops".to_owned());
        assert_eq!(
            worker_line(&worker, now),
            "notify-0  sends to ops since 22:13:20Z, 1 attempt"
        );
    }
}
