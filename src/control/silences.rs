//! Silences over the API: begun, listed and ended. What is answered is stored: it survives a kill. Owns nothing.

use std::time::Duration;

use crossbeam::channel::bounded;
use serde::{Deserialize, Serialize};

use super::handler::{no_store, send, wait_for};
use super::response::{Problem, Response};
use super::server::Call;
use super::sources::Sources;
use crate::clock::mono;
use crate::limits;
use crate::model::command::{Command, SilenceRequest};
use crate::model::silence::Silence;
use crate::text;

/// The body of `POST /api/v1/silences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceAsked {
    /// Names, globs, `tag:x`, `all`.
    pub programs: Vec<String>,
    /// `2h`.
    pub duration: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl SilenceAsked {
    /// Reads and checks it.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let asked: Self = serde_json::from_slice(body)
            .map_err(|error| Problem::new(400, format!("this is no silence: {error}")))?;
        let names = asked.programs.len();
        if names == 0 || names > limits::SILENCE_NAMES {
            let most = limits::SILENCE_NAMES;
            return Err(Problem::new(400, format!("programs: name 1 to {most}")));
        }
        let length = asked.reason.as_ref().map_or(0, String::len);
        if length > limits::SILENCE_REASON_BYTES {
            let most = limits::SILENCE_REASON_BYTES;
            let words = format!("reason: {most} bytes at the most");
            return Err(Problem::new(400, words));
        }
        asked.lasts().map(|_| asked)
    }

    fn lasts(&self) -> Result<Duration, Problem> {
        let (least, most) = (limits::SILENCE_MIN, limits::SILENCE_MAX);
        let lasts = text::parse_duration(&self.duration);
        lasts.filter(|d| (least..=most).contains(d)).ok_or_else(|| {
            let (least, most) = (text::duration(least), text::duration(most));
            let words = format!("duration: {least} to {most}, written as 30m or 2h");
            Problem::new(400, words)
        })
    }
}

/// Begins one, and answers when it is stored.
pub(super) fn begin(
    sources: &Sources,
    asked: SilenceAsked,
    call: &Call,
) -> Result<Response, Problem> {
    let (reply, answer) = bounded(1);
    send(
        sources,
        Command::Silence(SilenceRequest {
            lasts: asked.lasts()?,
            patterns: asked.programs,
            reason: asked.reason.filter(|reason| !reason.is_empty()),
            by: call.peer.to_string(),
            reply,
        }),
    )?;
    match wait_for(&answer, call)? {
        Ok(Some(silence)) => stored(sources, &silence, 201),
        Ok(None) => Err(Problem::new(503, "no more silences are taken just now")),
        Err(unknown) => {
            Err(Problem::new(404, unknown.to_string()).with("nearest", unknown.nearest))
        }
    }
}

/// Ends one, and answers when that is stored.
pub(super) fn end(sources: &Sources, which: String, call: &Call) -> Result<Response, Problem> {
    let (reply, answer) = bounded(1);
    let words = format!(
        "no silence in force has the id \"{}\", or several end so",
        text::printable(which.as_bytes())
    );
    let by = call.peer.to_string();
    send(sources, Command::EndSilence { which, by, reply })?;
    match wait_for(&answer, call)? {
        Some(silence) => stored(sources, &silence, 200),
        None => Err(Problem::new(404, words)),
    }
}

/// Waits until it is in the database as it stands.
fn stored(sources: &Sources, silence: &Silence, status: u16) -> Result<Response, Problem> {
    let store = &sources.store;
    let deadline = mono() + limits::SILENCE_STORED;
    loop {
        let seen = store.generation();
        let found = store.silence(silence.id).map_err(|e| no_store(&e))?;
        if found.is_some_and(|f| f.ended_at == silence.ended_at) {
            return Ok(Response::json(status, silence));
        }
        let left = deadline.since(mono());
        if left.is_zero() {
            let words = "it holds, but the database has not taken it yet";
            return Err(Problem::new(503, words));
        }
        store.wait_change(seen, left.min(limits::CONTROL_SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_checked_before_anything_is_done() {
        let read = |body: &str| SilenceAsked::parse(body.as_bytes()).map_err(|p| p.detail);
        assert!(
            read(r#"{"programs":["web","tag:game"],"duration":"2h","reason":"deploy"}"#).is_ok()
        );
        let long = "x".repeat(limits::SILENCE_REASON_BYTES + 1);
        let long = format!(r#"{{"programs":["web"],"duration":"2h","reason":"{long}"}}"#);
        for (body, part) in [
            ("no json", "no silence"),
            (r#"{"programs":[],"duration":"2h"}"#, "programs"),
            (r#"{"programs":["web"]}"#, "duration"),
            (r#"{"programs":["web"],"duration":"2"}"#, "duration"),
            (r#"{"programs":["web"],"duration":"0s"}"#, "duration"),
            (r#"{"programs":["web"],"duration":"9000h"}"#, "duration"),
            (&long, "reason"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(part), "{error}");
        }
    }
}
