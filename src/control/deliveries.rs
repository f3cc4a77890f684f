//! Deliveries as people look at them and change them: which are meant, and what is told of each. The same from the
//! running supervisor and from its database.

use serde::{Deserialize, Serialize};

use super::api::{DeliveryLine, EventLine};
use super::http::Request;
use super::response::Problem;
use super::sources::SourceError;
use super::stored::said;
use crate::clock::Wall;
use crate::ids::DeliveryId;
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::model::event::{Event, Severity};
use crate::model::hold::Hold;
use crate::model::incident::Incident;
use crate::store::{AttemptView, DeliveryView, Store};
use crate::text;

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Those in one of these states; empty: all.
    pub states: Vec<DeliveryState>,
    /// Those to this target; none: to all.
    pub target: Option<String>,
    /// The newest so many.
    pub limit: usize,
}

impl DeliveryQuery {
    pub(super) fn of(request: &Request) -> Result<Self, Problem> {
        let limit = request.param("last").map(str::parse).transpose();
        let limit = limit.map_err(|_| Problem::new(400, "last must be a number"))?;
        let limit: usize = limit.unwrap_or(limits::DELIVERIES_LISTED);
        Ok(Self {
            states: states(request)?,
            target: request.param("target").map(str::to_owned),
            limit: limit.min(limits::CONTROL_PAGE),
        })
    }
}

/// Which deliveries are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Those in one of these states.
    pub states: Vec<DeliveryState>,
    /// Those made before; none: whenever.
    pub before: Option<Wall>,
}

impl Purge {
    pub(super) fn of(request: &Request) -> Result<Self, Problem> {
        let before = request.param("before").map(|text| {
            Wall::parse(text).ok_or_else(|| Problem::new(400, "before must be an RFC 3339 time"))
        });
        let states = states(request)?;
        if states.is_empty() {
            return Err(Problem::new(400, "say which, as ?state=dead"));
        }
        Ok(Self {
            states,
            before: before.transpose()?,
        })
    }
}

fn states(request: &Request) -> Result<Vec<DeliveryState>, Problem> {
    let read = |word: &str| {
        word.parse().map_err(|()| {
            let word = text::printable(word.as_bytes());
            Problem::new(400, format!("\"{word}\" is no state of a delivery"))
        })
    };
    request.params("state").map(read).collect()
}

/// A worker that sends to targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLine {
    /// Its thread's name.
    pub name: String,
    /// The target it is sending to.
    pub target: Option<String>,
    /// The beginning or end of its last attempt.
    pub last_activity: Option<Wall>,
    /// Attempts so far.
    pub attempts: u64,
}

/// How many deliveries it was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// So many.
    pub count: usize,
}

/// `deliveries show --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryDetail {
    /// As in the list.
    #[serde(flatten)]
    pub line: DeliveryLine,
    /// Of the event.
    pub severity: Severity,
    /// When it was made.
    pub created_at: Wall,
    /// Past this it is given up.
    pub expires_at: Wall,
    /// Why it waits, when it is held back on purpose.
    pub held: Option<String>,
    /// What the target calls the message.
    pub message_id: Option<String>,
    /// Every attempt, oldest first.
    pub tries: Vec<AttemptLine>,
    /// What is told; none when it is no longer kept.
    pub told: Option<EventLine>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// When it began.
    pub time: Wall,
    /// How long it took.
    pub took_ms: i64,
    /// `delivered`, `retry`, `dead` or `expired`.
    pub outcome: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What was done: `created`, `edited`, `answered`, …
    #[serde(default)]
    pub did: Option<String>,
    /// Why that was not done as it was meant to be.
    #[serde(default)]
    pub fallback: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfound {
    /// No such thing, or several of them; a sentence.
    #[error("{0}")]
    Unknown(String),
    /// The database does not answer.
    #[error("the database did not answer: {0}")]
    Store(#[from] SourceError),
}

/// The deliveries.
pub trait Deliveries: Send + Sync {
    /// The newest that match, newest first.
    fn list(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryLine>, Unfound>;

    /// The one whose id begins like this.
    fn find(&self, id: &str) -> Result<DeliveryDetail, Unfound>;

    /// Makes one, or all that wait or failed, due at `now`; says how many.
    fn retry(&self, id: Option<DeliveryId>, now: Wall) -> Result<usize, SourceError>;

    /// Removes those that match; says how many.
    fn purge(&self, purge: &Purge) -> Result<usize, SourceError>;
}

impl Deliveries for Store {
    fn list(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryLine>, Unfound> {
        let target = query.target.as_deref();
        let found = self.deliveries_to(target, (&query.states, query.limit));
        let found = found.map_err(|e| said(&e))?;
        if let (Some(target), true) = (target, found.is_empty()) {
            let counts = self.delivery_counts().map_err(|e| said(&e))?;
            known_target(target, counts.keys().map(String::as_str))?;
        }
        Ok(found.into_iter().map(DeliveryLine::from).collect())
    }

    fn find(&self, id: &str) -> Result<DeliveryDetail, Unfound> {
        let id = id.to_uppercase();
        let found = self.deliveries_beginning(&id, limits::IDS_NAMED + 1);
        let found = found.map_err(|e| said(&e))?;
        let ids: Vec<String> = found.iter().map(|d| d.id.to_string()).collect();
        let Ok([view]) = <[DeliveryView; 1]>::try_from(found) else {
            let newest = self.deliveries_to(None, (&[], limits::CONTROL_PAGE));
            let newest: Vec<String> = newest
                .map_err(|e| said(&e))?
                .iter()
                .map(|d| d.id.to_string())
                .collect();
            return Err(which("delivery", &id, (&ids, &newest)));
        };
        let attempts = self.attempts(view.id).map_err(|e| said(&e))?;
        let told = self.events_beginning(&view.event.to_string(), 1);
        let told = told.map_err(|e| said(&e))?;
        Ok(detail(view, attempts, told.first().map(|(event, _)| event)))
    }

    fn retry(&self, id: Option<DeliveryId>, now: Wall) -> Result<usize, SourceError> {
        let valid = now + limits::DELIVERY_RETRY_VALID;
        self.retry_delivery(id, now, valid).map_err(|e| said(&e))
    }

    fn purge(&self, purge: &Purge) -> Result<usize, SourceError> {
        let before = purge.before.map_or(DeliveryId::LAST, DeliveryId::first_of);
        self.purge_deliveries(&purge.states, before)
            .map_err(|e| said(&e))
    }
}

/// The stored event whose id begins like this, with its incident as it stood then.
///
/// # Errors
/// There is none, or there are several.
pub fn event(store: &Store, id: &str) -> Result<(Event, Option<Incident>), Unfound> {
    let id = id.to_uppercase();
    let mut found = store
        .events_beginning(&id, limits::IDS_NAMED + 1)
        .map_err(|e| said(&e))?;
    if found.len() == 1 {
        return Ok(found.remove(0));
    }
    let ids: Vec<String> = found.iter().map(|(e, _)| e.id.to_string()).collect();
    let newest = store.newest_event().map_err(|e| said(&e))?;
    let newest: Vec<String> = newest.iter().map(ToString::to_string).collect();
    Err(which("event", &id, (&ids, &newest)))
}

/// What to say when `id` means none or several of `found`.
pub(super) fn which(noun: &str, id: &str, (found, newest): (&[String], &[String])) -> Unfound {
    let id = text::printable(id.as_bytes());
    if !found.is_empty() {
        let named = &found[..found.len().min(limits::IDS_NAMED)];
        return Unfound::Unknown(format!(
            "\"{id}\" means more than one {noun}: {}{}",
            named.join(", "),
            if found.len() > named.len() {
                ", …"
            } else {
                ""
            }
        ));
    }
    let near = text::nearest(&id, newest.iter().map(String::as_str));
    Unfound::Unknown(match (near.first(), newest.first()) {
        (Some(near), _) => format!("there is no {noun} \"{id}\"; did you mean {near}?"),
        (None, Some(newest)) => format!("there is no {noun} \"{id}\"; the newest is {newest}"),
        (None, None) => format!("there is no {noun} \"{id}\"; there is none at all"),
    })
}

/// Says so when `target` is none of `known`.
pub(super) fn known_target<'a>(
    target: &str,
    known: impl Iterator<Item = &'a str>,
) -> Result<(), Unfound> {
    let known: Vec<&str> = known.collect();
    if known.contains(&target) {
        return Ok(());
    }
    let unknown = crate::model::command::UnknownTarget {
        name: target.to_owned(),
        nearest: text::nearest(target, known.into_iter()),
    };
    Err(Unfound::Unknown(unknown.to_string()))
}

fn detail(view: DeliveryView, attempts: Vec<AttemptView>, told: Option<&Event>) -> DeliveryDetail {
    DeliveryDetail {
        severity: view.severity,
        created_at: view.id.time(),
        expires_at: view.expires_at,
        held: view.held.map(Hold::to_text),
        message_id: view.message_id.clone(),
        tries: attempts.into_iter().map(AttemptLine::from).collect(),
        told: told.map(EventLine::from),
        line: view.into(),
    }
}

impl From<AttemptView> for AttemptLine {
    fn from(view: AttemptView) -> Self {
        Self {
            time: view.started_at,
            took_ms: view.took_ms,
            outcome: view.outcome,
            status: view.status,
            error: view.error,
            did: view.did,
            fallback: view.fallback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(id: &str, found: &[&str], newest: &[&str]) -> String {
        let owned = |ids: &[&str]| ids.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>();
        which("delivery", id, (&owned(found), &owned(newest))).to_string()
    }

    #[test]
    fn an_id_that_means_none_or_several_is_answered_with_those_it_may_mean() {
        assert_eq!(
            sentence("01A", &["01AB", "01AC"], &[]),
            "\"01A\" means more than one delivery: 01AB, 01AC"
        );
        assert_eq!(
            sentence("01A", &["01AB", "01AC", "01AD", "01AE"], &[]),
            "\"01A\" means more than one delivery: 01AB, 01AC, 01AD, …"
        );
        assert_eq!(
            sentence("01ARZ3NDX", &[], &["ZZ", "01ARZ3NDE"]),
            "there is no delivery \"01ARZ3NDX\"; did you mean 01ARZ3NDE?"
        );
        assert_eq!(
            sentence("X\x1b", &[], &["01ARZ3NDE"]),
            "there is no delivery \"X\\x1b\"; the newest is 01ARZ3NDE"
        );
        assert_eq!(
            sentence("X", &[], &[]),
            "there is no delivery \"X\"; there is none at all"
        );
    }

    #[test]
    fn nothing_is_removed_without_saying_which() {
        let ask = |query: &[(&str, &str)]| {
            let query = query
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            Purge::of(&Request {
                query: query.collect(),
                ..Request::default()
            })
        };
        let time = ("before", "2026-01-31T08:00:00Z");
        assert!(ask(&[("state", "dead"), time]).is_ok());
        assert!(ask(&[("state", "dead")]).is_ok());
        let late = ("before", "later");
        for bad in [
            &[][..],
            &[time],
            &[("state", "x"), time],
            &[("state", "dead"), late],
        ] {
            assert_eq!(ask(bad).map_err(|p| p.status), Err(400), "{bad:?}");
        }
    }
}
