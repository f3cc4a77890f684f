//! `explain`: which instances are meant, and the wire form of their accounts. Owns nothing.

use serde::{Deserialize, Serialize};

use super::response::Problem;
use super::sources::{SourceError, Sources, StoreView};
use crate::clock::Wall;
use crate::history::advice::advice;
use crate::history::explain::{Account, Before, Ending, Then};
use crate::history::pattern::Pattern;
use crate::ids::RunId;
use crate::limits;
use crate::model::event::Exit;
use crate::model::name::{self, InstanceName, UnknownName};
use crate::model::status::PhaseName;
use crate::model::trigger::Trigger;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuery {
    /// Names, globs, `tag:x`, `all`.
    pub patterns: Vec<String>,
    /// Ends of each instance.
    pub last: usize,
}

/// One instance explained: an element of `explain --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Its program.
    pub program: String,
    /// `web`, or `web:0`.
    pub instance: InstanceName,
    /// Where it stands, or stood when that was last written.
    pub phase: Option<PhaseName>,
    /// Its ends, newest first.
    pub ends: Vec<EndLine>,
    /// What most of the failures among them have in common, in words.
    pub advice: Option<String>,
    /// Of the ends that nobody asked for.
    pub pattern: PatternLine,
}

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndLine {
    /// When it was noticed.
    pub time: Wall,
    /// Which run; none when not even the spawn worked.
    pub run: Option<RunId>,
    /// Its main process.
    pub pid: Option<u32>,
    /// When it had started.
    pub started_at: Option<Wall>,
    /// `crashed`, `exited`, `stopped`, `not_started` or `missed`.
    pub how: String,
    /// How its main process ended.
    pub exit: Option<Exit>,
    /// Why, in words.
    pub cause: Option<String>,
    /// What made the supervisor end it, when it was neither the program itself nor a person.
    pub trigger: Option<Trigger>,
    /// Who asked for it.
    pub asked_by: Option<String>,
    /// Why KILL was needed, when it was.
    pub killed: Option<String>,
    /// How long it had run.
    pub uptime_s: Option<f64>,
    /// The most memory it was seen with.
    pub peak_memory_bytes: Option<u64>,
    /// Its last lines.
    pub log_tail: Vec<String>,
    /// For a while of the run nobody watched it.
    pub adopted: bool,
    /// The supervisor itself was ending.
    pub with_supervisor: bool,
    /// For how long nobody watched, in words, when it ended then or outlived that.
    pub unwatched: Option<String>,
    /// What was noticed of the run before.
    pub before: Vec<BeforeLine>,
    /// What followed.
    pub then: ThenLine,
}

/// Something that was noticed before an end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeLine {
    /// When.
    pub time: Wall,
    /// `program.unhealthy`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why, in words.
    pub cause: Option<String>,
}

/// What followed an end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThenLine {
    /// `started`, `due`, `given_up`, `called_off` or `down`.
    pub what: String,
    /// Seconds from the end to the start, done or due.
    pub after_s: Option<f64>,
    /// The run that was started.
    pub run: Option<RunId>,
    /// Its main process.
    pub pid: Option<u32>,
    /// Who asked for it.
    pub asked_by: Option<String>,
    /// Why it was given up.
    pub cause: Option<String>,
}

/// The pattern of the ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatternLine {
    /// `periodic`, `dense`, `sparse`, `mixed` or `too few`.
    pub kind: String,
    /// How well it fits, from 0 to 1.
    pub score: f64,
    /// Ends that were looked at.
    pub ends: usize,
    /// From one to the next, when periodic.
    pub period_s: Option<f64>,
    /// The median distance.
    pub typical_gap_s: Option<f64>,
    /// What was seen.
    pub finding: String,
    /// What that suggests.
    pub suggestion: String,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// A name that means no instance.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The database does not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Unknown(unknown) => {
                Self::new(404, unknown.to_string()).with("nearest", unknown.nearest)
            }
            ExplainError::Source(error) => {
                Self::new(503, format!("the database did not answer: {error}"))
            }
        }
    }
}

/// An instance that may be meant: its labels, and where it stands.
type Known = (InstanceName, Vec<String>, Option<PhaseName>);

/// Answers `query` from a running supervisor.
///
/// # Errors
/// A name means nothing, or the database does not answer.
pub fn live(sources: &Sources, query: &ExplainQuery) -> Result<Vec<Explained>, ExplainError> {
    let snapshot = sources.board.read();
    let mut known: Vec<Known> = snapshot
        .instances
        .iter()
        .map(|view| (view.name.clone(), view.tags.to_vec(), Some(view.phase)))
        .collect();
    // What left the configuration still has its history.
    let gone = stored_names(&*sources.store)?;
    let is_new = |known: &[Known], name: &InstanceName| known.iter().all(|(n, ..)| n != name);
    for entry in gone {
        if is_new(&known, &entry.0) {
            known.push((entry.0, entry.1, None));
        }
    }
    explain(&*sources.store, query, &known)
}

/// Answers `query` from what is stored alone. Labels are not stored, so `tag:x` means nothing.
///
/// # Errors
/// A name means nothing, or the database does not answer.
pub fn stored(store: &dyn StoreView, query: &ExplainQuery) -> Result<Vec<Explained>, ExplainError> {
    explain(store, query, &stored_names(store)?)
}

fn stored_names(store: &dyn StoreView) -> Result<Vec<Known>, SourceError> {
    let states = store.states()?;
    let known = states
        .into_iter()
        .map(|(name, phase)| (name, Vec::new(), Some(phase)));
    Ok(known.collect())
}

fn explain(
    store: &dyn StoreView,
    query: &ExplainQuery,
    known: &[Known],
) -> Result<Vec<Explained>, ExplainError> {
    let names: Vec<(InstanceName, Vec<String>)> = known
        .iter()
        .map(|(name, tags, _)| (name.clone(), tags.clone()))
        .collect();
    let chosen = name::select(&query.patterns, &names)?;
    let room = limits::EXPLAIN_ENDS / chosen.len().max(1);
    let last = query.last.min(room.max(1));
    let mut accounts = Vec::with_capacity(chosen.len());
    for name in chosen {
        let account = store.account(&name, last)?;
        let phase = known.iter().find(|(n, ..)| *n == name).and_then(|k| k.2);
        accounts.push(explained(account, phase));
    }
    Ok(accounts)
}

fn explained(account: Account, phase: Option<PhaseName>) -> Explained {
    Explained {
        program: account.instance.program().to_string(),
        instance: account.instance,
        phase,
        advice: advice(&account.ends),
        ends: account.ends.into_iter().map(EndLine::from).collect(),
        pattern: account.pattern.into(),
    }
}

impl From<Ending> for EndLine {
    fn from(end: Ending) -> Self {
        let then = then_line(end.at, end.then);
        Self {
            time: end.at,
            run: end.run,
            pid: end.facts.pid,
            started_at: end.started_at,
            how: end.how.as_str().to_owned(),
            exit: end.facts.exit,
            cause: end.facts.cause,
            trigger: end.facts.trigger,
            asked_by: end.facts.asked_by,
            killed: end.killed,
            uptime_s: end.facts.uptime_s,
            peak_memory_bytes: end.facts.peak_memory_bytes,
            log_tail: end.facts.log_tail,
            adopted: end.was_adopted,
            with_supervisor: end.with_supervisor,
            unwatched: end.unwatched,
            before: end.before.into_iter().map(BeforeLine::from).collect(),
            then,
        }
    }
}

impl From<Before> for BeforeLine {
    fn from(before: Before) -> Self {
        Self {
            time: before.at,
            kind: before.kind.as_str().to_owned(),
            cause: before.cause,
        }
    }
}

fn then_line(end: Wall, then: Then) -> ThenLine {
    let what = |what: &str| ThenLine {
        what: what.to_owned(),
        ..ThenLine::default()
    };
    match then {
        Then::Started {
            at,
            run,
            pid,
            asked_by,
        } => ThenLine {
            after_s: Some(at.since(end).as_secs_f64()),
            run,
            pid,
            asked_by,
            ..what("started")
        },
        Then::Due(after_s) => ThenLine {
            after_s,
            ..what("due")
        },
        Then::GivenUp(cause) => ThenLine {
            cause,
            ..what("given_up")
        },
        Then::Called { asked_by } => ThenLine {
            asked_by,
            ..what("called_off")
        },
        Then::Down => what("down"),
    }
}

impl From<Pattern> for PatternLine {
    fn from(pattern: Pattern) -> Self {
        Self {
            kind: pattern.kind.as_str().to_owned(),
            score: pattern.score,
            ends: pattern.count,
            period_s: pattern.period.map(|d| d.as_secs_f64()),
            typical_gap_s: pattern.typical_gap.map(|d| d.as_secs_f64()),
            finding: pattern.finding,
            suggestion: pattern.suggestion,
        }
    }
}
