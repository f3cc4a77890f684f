//! `explain`: why an instance restarted, in sentences, newest first. From the running supervisor, or from the state
//! folder when none runs.

use std::path::Path;

use super::args::ExplainArgs;
use super::connect::Place;
use super::format::{seconds, when};
use super::output::{Failure, Out};
use super::stored;
use super::table::Paint;
use crate::clock::{Wall, wall};
use crate::control::client::Client;
use crate::control::explain::{
    BeforeLine, EndLine, ExplainError, ExplainQuery, Explained, PatternLine, ThenLine,
};
use crate::control::http::percent_encode;
use crate::limits;
use crate::model::event::Exit;
use crate::model::status::PhaseName;
use crate::model::trigger::Trigger;
use crate::text;

/// `jikimi explain`.
pub fn explain(place: &Place, asked: &ExplainArgs, out: &mut Out) -> Result<(), Failure> {
    let query = ExplainQuery {
        patterns: asked.names.clone(),
        last: asked.last.unwrap_or(limits::EXPLAIN_DEFAULT),
    };
    let found = place.find();
    let (client, state_dir) = match &found {
        Ok(found) => (Some(&found.client), found.state_dir.clone()),
        Err(_) => (None, None),
    };
    let is_live = client.is_some_and(Client::is_alive);
    let explained = match (client.filter(|_| is_live), state_dir) {
        (Some(client), _) => client.get(&path(&query))?,
        (None, Some(state_dir)) => from_store(&state_dir, &query)?,
        (None, None) => {
            found?;
            return Err(stored::nowhere());
        }
    };
    if asked.json {
        let text = serde_json::to_string_pretty(&explained);
        return out.line(&text.map_err(|e| Failure::Failed(e.to_string()))?);
    }
    show(&explained, is_live, out)
}

fn from_store(state_dir: &Path, query: &ExplainQuery) -> Result<Vec<Explained>, Failure> {
    let store = stored::open(state_dir)?;
    crate::control::explain::stored(&store, query).map_err(|error| {
        let has_tag = query.patterns.iter().any(|p| p.starts_with("tag:"));
        Failure::Failed(match error {
            ExplainError::Unknown(unknown) if has_tag => {
                format!("{unknown} (labels are known only while a supervisor runs)")
            }
            other => other.to_string(),
        })
    })
}

fn path(query: &ExplainQuery) -> String {
    let mut names = query.patterns.iter().map(|n| percent_encode(n));
    let first = names.next().unwrap_or_default();
    let mut path = format!("/api/v1/programs/{first}/explain?last={}", query.last);
    for name in names {
        path.push_str("&name=");
        path.push_str(&name);
    }
    path
}

fn show(explained: &[Explained], is_live: bool, out: &mut Out) -> Result<(), Failure> {
    let now = wall();
    for (n, one) in explained.iter().enumerate() {
        if n > 0 {
            out.line("")?;
        }
        let name = Paint::Good.on(&one.instance.to_string(), out.style);
        out.line(&format!("{name}{}", standing(one, is_live)))?;
        for end in &one.ends {
            out.line("")?;
            for line in lines(end, now) {
                out.line(&line)?;
            }
        }
        out.line("")?;
        if let Some(advice) = &one.advice {
            out.line(&format!("In common: {}.", clean(advice)))?;
        }
        for line in pattern(&one.pattern) {
            out.line(&line)?;
        }
    }
    Ok(())
}

fn standing(one: &Explained, is_live: bool) -> String {
    let phase = one.phase.map_or_else(
        || " is not in the configuration".to_owned(),
        |phase| {
            if is_live {
                format!(" {}", stands(phase))
            } else {
                format!(" was {} when that was last written", phase.as_str())
            }
        },
    );
    match one.ends.len() {
        0 => format!("{phase}; no end of it is recorded."),
        1 => format!("{phase}. Its latest end:"),
        n => format!("{phase}. Its latest {n} ends, newest first:"),
    }
}

fn stands(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Stopped => "is stopped",
        PhaseName::Starting => "is starting",
        PhaseName::Running => "is running",
        PhaseName::Backoff => "waits for its next start",
        PhaseName::Stopping => "is being stopped",
        PhaseName::Exited => "has ended",
        PhaseName::Fatal => "was given up",
    }
}

/// One end, a thought a line.
fn lines(end: &EndLine, now: Wall) -> Vec<String> {
    let mut thoughts = vec![what(end)];
    thoughts.extend(why(end));
    thoughts.extend(memory(end));
    thoughts.extend(end.killed.as_deref().map(killed));
    thoughts.extend(unwatched(end));
    thoughts.extend(before(&end.before, now));
    let mut lines = Vec::new();
    let time = when(end.time, now);
    let margin = " ".repeat(time.len() + 2);
    for (n, thought) in thoughts.into_iter().enumerate() {
        let head = if n == 0 {
            format!("{time}  ")
        } else {
            margin.clone()
        };
        lines.push(format!("{head}{thought}"));
    }
    if !end.log_tail.is_empty() {
        lines.push(format!("{margin}The last it said:"));
        let said = end.log_tail.iter();
        lines.extend(said.map(|line| format!("{margin}  | {}", clean(line))));
    }
    lines.push(format!("{margin}{}", then(&end.then)));
    lines
}

fn what(end: &EndLine) -> String {
    let after = end
        .uptime_s
        .map_or_else(String::new, |s| format!(" after {}", seconds(s)));
    let by = by(end.asked_by.as_deref());
    let exit = match &end.exit {
        None => String::new(),
        Some(Exit::Code(code)) => format!(" with exit code {code}"),
        Some(signal @ Exit::Signal { .. }) => format!(" on {signal}"),
        Some(Exit::Unknown) => ", how is not known".to_owned(),
    };
    let pid = end
        .pid
        .map_or_else(String::new, |pid| format!(" (pid {pid})"));
    match end.how.as_str() {
        "crashed" | "stopped" if end.trigger.is_some() => {
            let trigger = end.trigger.map_or("", reason);
            format!("It was ended {trigger}, and ended{exit}{after}{pid}.")
        }
        "crashed" => format!("It crashed{exit}{after}{pid}."),
        "exited" => format!("It ended by itself{exit}{after}{pid}."),
        "stopped" if end.with_supervisor => {
            format!("It was stopped with the supervisor{by}, and ended{exit}{after}.")
        }
        "stopped" => format!("It was stopped{by}, and ended{exit}{after}."),
        "not_started" => "It could not be started.".to_owned(),
        "missed" => "It ended while no supervisor watched: how it ended, when, and after how long is not known."
            .to_owned(),
        other => format!("It ended ({}){exit}{after}{pid}.", clean(other)),
    }
}

/// What made the supervisor end a run.
fn reason(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Liveness => "because it was found unhealthy",
        Trigger::Watchdog => "because it did not report to its watchdog in time",
        Trigger::LogSilence => "because it wrote nothing for too long",
        Trigger::StartTimeout => "because it was not ready in time",
        Trigger::StopTimeout => "because it said that it stops and did not",
        Trigger::Rule => "because it broke a rule",
        Trigger::MaxRuntime => "because it had run as long as it may",
        Trigger::Schedule => "by its schedule",
        Trigger::Dependency => "because something it depends on was started anew",
        Trigger::Reload => "because its configuration changed",
        Trigger::Watch => "because a file it is watched for changed",
    }
}

fn why(end: &EndLine) -> Option<String> {
    let cause = clean(end.cause.as_deref()?);
    Some(format!("Why: {cause}."))
}

fn unwatched(end: &EndLine) -> Option<String> {
    match (end.adopted, end.unwatched.as_deref()) {
        (true, Some(how_long)) => Some(format!(
            "For a part of this run no supervisor watched it ({}); what happened then is not known.",
            clean(how_long)
        )),
        (true, None) => Some(
            "For a part of this run no supervisor watched it; what happened then is not known."
                .to_owned(),
        ),
        (false, how_long) => how_long.map(|how_long| format!("At that time {}.", clean(how_long))),
    }
}

fn by(who: Option<&str>) -> String {
    who.map_or_else(String::new, |who| format!(", asked by {}", clean(who)))
}

fn killed(why: &str) -> String {
    format!("KILL was needed: {}.", clean(why))
}

fn memory(end: &EndLine) -> Option<String> {
    match end.peak_memory_bytes {
        Some(bytes) => Some(format!(
            "At its peak it used {} of memory.",
            text::size(bytes)
        )),
        None if end.run.is_some() && end.how != "missed" => {
            Some("How much memory it used was not measured.".to_owned())
        }
        None => None,
    }
}

fn before(seen: &[BeforeLine], now: Wall) -> Option<String> {
    let told = seen.iter().map(|one| {
        let kind = one.kind.rsplit('.').next().unwrap_or(&one.kind);
        let why = one.cause.as_deref();
        let why = why.map_or_else(String::new, |cause| format!(" ({})", clean(cause)));
        format!("{} at {}{why}", clean(kind), when(one.time, now))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("Before that: {}.", told.join(", ")))
}

fn then(line: &ThenLine) -> String {
    let after = |words: &str| {
        line.after_s
            .map_or_else(String::new, |s| format!("{words}{}", seconds(s)))
    };
    let by = by(line.asked_by.as_deref());
    match line.what.as_str() {
        "started" => {
            let run = line
                .run
                .map_or_else(String::new, |run| format!(" as run {run}"));
            let pid = line
                .pid
                .map_or_else(String::new, |pid| format!(", pid {pid}"));
            format!("It was started again{}{run}{pid}{by}.", after(" after "))
        }
        "due" => format!(
            "Its next start was due{}; none is recorded.",
            after(" after ")
        ),
        "given_up" => match line.cause.as_deref() {
            Some(cause) => format!("It was given up: {}.", clean(cause)),
            None => "It was given up.".to_owned(),
        },
        "called_off" => format!("Before its next start it was stopped{by}."),
        "down" => "No start followed.".to_owned(),
        other => format!("{}.", clean(other)),
    }
}

fn pattern(pattern: &PatternLine) -> [String; 2] {
    let score = if pattern.score > 0.0 {
        format!(" (score {:.2})", pattern.score)
    } else {
        String::new()
    };
    [
        format!(
            "Pattern: {}{score}: {}.",
            clean(&pattern.kind),
            clean(&pattern.finding)
        ),
        format!("Suggestion: {}.", clean(&pattern.suggestion)),
    ]
}

fn clean(text: &str) -> String {
    text::printable(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(how: &str) -> EndLine {
        EndLine {
            time: Wall::from_millis(1_700_000_000_000),
            run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().ok(),
            pid: Some(7),
            started_at: None,
            how: how.to_owned(),
            exit: Some(Exit::Code(3)),
            cause: None,
            trigger: None,
            asked_by: None,
            killed: None,
            uptime_s: Some(192.4),
            peak_memory_bytes: Some(1_572_864),
            log_tail: vec!["last \x1b[2J words".to_owned()],
            adopted: false,
            with_supervisor: false,
            unwatched: None,
            before: vec![],
            then: ThenLine {
                what: "down".to_owned(),
                ..ThenLine::default()
            },
        }
    }

    #[test]
    fn a_crash_is_told_in_sentences_and_nothing_a_program_wrote_reaches_the_terminal_raw() {
        let mut crash = end("crashed");
        crash.cause = Some("port \x07 8080".to_owned());
        let told = lines(&crash, crash.time);
        assert_eq!(
            told,
            [
                "22:13:20Z  It crashed with exit code 3 after 3m 12s (pid 7).",
                "           Why: port \\x07 8080.",
                "           At its peak it used 1.5 MiB of memory.",
                "           The last it said:",
                "             | last \\x1b[2J words",
                "           No start followed.",
            ]
        );
    }

    #[test]
    fn every_way_to_end_and_every_sequel_has_its_sentence() {
        for how in [
            "crashed",
            "exited",
            "stopped",
            "not_started",
            "missed",
            "else",
        ] {
            assert!(what(&end(how)).ends_with('.'), "{how}");
        }
        for trigger in Trigger::ALL {
            let mut ended = end("crashed");
            ended.trigger = Some(*trigger);
            let told = what(&ended);
            assert!(
                told.starts_with("It was ended b") && told.ends_with('.'),
                "{told}"
            );
        }
        let mut stopped = end("stopped");
        stopped.asked_by = Some("uid 0".to_owned());
        assert_eq!(
            what(&stopped),
            "It was stopped, asked by uid 0, and ended with exit code 3 after 3m 12s."
        );
        for what in ["started", "due", "given_up", "called_off", "down", "else"] {
            let line = ThenLine {
                what: what.to_owned(),
                after_s: Some(0.5),
                ..ThenLine::default()
            };
            assert!(then(&line).ends_with('.'), "{what}");
        }
    }

    #[test]
    fn every_name_goes_along_encoded() {
        let query = ExplainQuery {
            patterns: ["web:0", "a b"].map(str::to_owned).to_vec(),
            last: 3,
        };
        assert_eq!(
            path(&query),
            "/api/v1/programs/web%3A0/explain?last=3&name=a%20b"
        );
    }
}
