//! The API: a [`Route`] to an answer, from the [`Sources`]. Owns nothing; acts only by a [`Command`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use serde_json::json;

use super::api::{EventLine, ReloadAnswer, ShutdownAnswer, TestAnswer, VerbAnswer};
use super::conn::Peer;
use super::deliveries::{Counted, DeliveryQuery, Unfound, known_target};
use super::explain;
use super::http::Request;
use super::response::{Problem, Response};
use super::routes::{Route, route};
use super::server::{Call, Handler, LongSlot};
use super::silences;
use super::sources::{End, EventQuery, SourceError, Sources, StoreView};
use super::views;
use crate::clock::{mono, wall};
use crate::ids::{DeliveryId, EventId};
use crate::limits;
use crate::model::command::{
    Command, Ending, Poke, PokeRequest, UnknownTarget, Verb, VerbReply, VerbRequest,
};
use crate::model::delivery::DeliveryState;
use crate::model::reload::{Refusal, ReloadRequest};
use crate::model::trial::Trial;

/// The API over its sources.
pub struct Api {
    sources: Sources,
}

impl Api {
    /// The API over `sources`.
    pub fn new(sources: Sources) -> Self {
        Self { sources }
    }
}

impl Handler for Api {
    fn admit(&self, _request: &Request, peer: &Peer) -> Result<(), Problem> {
        match peer {
            // The file's mode says the same; this holds also where somebody has changed it.
            Peer::Process { uid, .. } if *uid == 0 || *uid == own_uid() => Ok(()),
            Peer::Process { .. } | Peer::Unknown => Err(Problem::new(
                403,
                "only the supervisor's own user and root may use this socket",
            )),
            Peer::Address(_) => Err(Problem::new(403, "this API is not open to the network")),
        }
    }

    fn handle(&self, request: &Request, call: &Call) -> Response {
        route(request)
            .and_then(|route| self.answer(route, call))
            .unwrap_or_else(Response::from)
    }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Api {
    fn answer(&self, route: Route, call: &Call) -> Result<Response, Problem> {
        let by = call.peer.to_string();
        match route {
            Route::Status => Ok(Response::json(200, &views::status(&self.sources))),
            Route::Programs => Ok(views::programs(&self.sources)),
            Route::Program(name) => views::program(&self.sources, &name),
            Route::Metrics => Ok(views::metrics(&self.sources)),
            Route::Health => Ok(self.health()),
            Route::Targets => Ok(Response::json(200, &(self.sources.targets)())),
            Route::Events(query) => self.events(&query),
            Route::Stream(query) => self.stream(query, call),
            Route::Explain(query) => {
                let accounts = explain::live(&self.sources, &query).map_err(Problem::from)?;
                Ok(Response::json(200, &accounts))
            }
            Route::Delivery { id, wait } => self.delivery(id, wait, call),
            Route::Verb {
                verb,
                patterns,
                wait,
            } => self.verb(
                Asked {
                    verb,
                    patterns,
                    wait,
                    by,
                },
                call,
            ),
            Route::Poke { poke, patterns } => self.poke(poke, patterns, call),
            Route::Reload { is_plan, wait } => self.reload((is_plan, wait), by, call),
            Route::Shutdown(true) => self.shutdown(by, Ending::Leave, call),
            Route::Shutdown(false) => self.shutdown(by, Ending::Stop, call),
            Route::Upgrade(file) => self.upgrade(by, file, call),
            Route::Silences => Ok(Response::json(200, &(self.sources.silences)().to_vec())),
            Route::Silence(asked) => silences::begin(&self.sources, asked, call),
            Route::EndSilence(which) => silences::end(&self.sources, which, call),
            Route::NotifyTest(target, trial) => self.notify_test((target, trial), by, call),
            Route::Enable(target) => {
                self.nudge(Some(target), call)?;
                Ok(Response::json(202, &Counted { count: 1 }))
            }
            Route::Stats => Ok(Response::json(200, &(self.sources.stats)())),
            Route::Workers => Ok(Response::json(200, &(self.sources.workers)())),
            Route::Deliveries(query) => self.deliveries(&query),
            Route::Incidents(query) => {
                let found = self.sources.incidents.incidents(&query).map_err(unfound)?;
                Ok(Response::json(200, &found))
            }
            Route::IncidentDetail(id) => {
                let found = self.sources.incidents.incident(&id).map_err(unfound)?;
                Ok(Response::json(200, &found))
            }
            Route::DeliveryDetail(id) => {
                let found = self.sources.deliveries.find(&id).map_err(unfound)?;
                Ok(Response::json(200, &found))
            }
            Route::RetryDeliveries(id) => self.retry(id.as_deref(), call),
            Route::PurgeDeliveries(purge) => {
                let count = self.sources.deliveries.purge(&purge);
                let count = count.map_err(|e| no_store(&e))?;
                Ok(Response::json(200, &Counted { count }))
            }
        }
    }

    fn health(&self) -> Response {
        let word = if (self.sources.facts)().issues.is_empty() {
            "healthy"
        } else {
            "degraded"
        };
        Response::json(200, &json!({ "status": word }))
    }

    fn events(&self, query: &EventQuery) -> Result<Response, Problem> {
        let events = self.sources.store.events(query).map_err(|e| no_store(&e))?;
        let lines: Vec<EventLine> = events.iter().map(EventLine::from).collect();
        Ok(Response::json(200, &lines))
    }

    fn stream(&self, mut query: EventQuery, call: &Call) -> Result<Response, Problem> {
        let slot = call.long_slot().ok_or_else(too_many)?;
        let store = Arc::clone(&self.sources.store);
        if query.after.is_none() && query.since.is_none() {
            query.after = newest(&*store).map_err(|e| no_store(&e))?;
        }
        let follower = Follower {
            store,
            query: EventQuery {
                end: End::Oldest,
                limit: limits::CONTROL_PAGE,
                ..query
            },
            call: call.clone(),
            _slot: slot,
        };
        Ok(Response::event_stream(Box::new(move |write| {
            follower.run(write)
        })))
    }

    fn delivery(&self, id: DeliveryId, wait: bool, call: &Call) -> Result<Response, Problem> {
        let store = &self.sources.store;
        let _slot = if wait {
            Some(call.long_slot().ok_or_else(too_many)?)
        } else {
            None
        };
        let deadline = mono() + limits::DELIVERY_WAIT;
        loop {
            let seen = store.generation();
            let found = store.delivery(id).map_err(|e| no_store(&e))?;
            let left = deadline.since(mono());
            let is_over = !wait || left.is_zero() || !call.is_wanted();
            match found {
                Some(line) if line.is_settled() || is_over => {
                    return Ok(Response::json(200, &line));
                }
                None if is_over => return Err(Problem::new(404, "there is no such delivery")),
                // A test's delivery is answered with before the journal's write is committed.
                Some(_) | None => {}
            }
            // A settled delivery need not bring an event: the wait is one slice, whatever happens.
            store.wait_change(seen, left.min(limits::CONTROL_SLICE));
        }
    }

    fn verb(&self, asked: Asked, call: &Call) -> Result<Response, Problem> {
        let Asked {
            verb,
            patterns,
            wait,
            by,
        } = asked;
        let _slot = call.long_slot().ok_or_else(too_many)?;
        let (reply, answer) = bounded(1);
        self.send(Command::Verb(VerbRequest {
            verb,
            patterns,
            wait,
            by,
            reply,
        }))?;
        verb_answer(wait_for(&answer, call)?, if wait { 200 } else { 202 })
    }

    fn poke(&self, poke: Poke, patterns: Vec<String>, call: &Call) -> Result<Response, Problem> {
        let by = call.peer.to_string();
        let (reply, answer) = bounded(1);
        self.send(Command::Poke(PokeRequest {
            poke,
            patterns,
            by,
            reply,
        }))?;
        verb_answer(wait_for(&answer, call)?, 200)
    }

    fn reload(
        &self,
        (is_plan, wait): (bool, bool),
        by: String,
        call: &Call,
    ) -> Result<Response, Problem> {
        let _slot = call.long_slot().ok_or_else(too_many)?;
        let (reply, answer) = bounded(1);
        self.send(Command::Reload(ReloadRequest {
            is_plan,
            by,
            reply: Some(reply),
        }))?;
        let accepted = match wait_for(&answer, call)? {
            Ok(accepted) => accepted,
            Err(Refusal::NotNow(why)) => return Err(Problem::new(503, why)),
            Err(Refusal::Faults(faults)) => {
                let detail = "the configuration is not valid; everything goes on as it was";
                return Err(Problem::new(422, detail).with("faults", faults));
            }
        };
        let results = match accepted.done {
            Some(done) if wait => wait_for(&done, call)?,
            Some(_) | None => Vec::new(),
        };
        let status = if wait || is_plan { 200 } else { 202 };
        let answer = ReloadAnswer {
            ok: results.iter().all(|result| result.ok),
            is_plan,
            plan: accepted.plan,
            warnings: accepted.warnings,
            results,
        };
        Ok(Response::json(status, &answer))
    }

    /// Only for who could as well run the file himself.
    fn upgrade(&self, by: String, file: PathBuf, call: &Call) -> Result<Response, Problem> {
        let is_near = match call.peer {
            Peer::Process { .. } => true,
            Peer::Address(_) | Peer::Unknown => false,
        };
        if !is_near {
            return Err(Problem::new(
                403,
                "an upgrade is asked for on the socket only",
            ));
        }
        if !runs(&file) {
            let words = format!("{} is no file that can be run", file.display());
            return Err(Problem::new(400, words));
        }
        self.shutdown(by, Ending::Replace(file), call)
    }

    fn shutdown(&self, by: String, ending: Ending, call: &Call) -> Result<Response, Problem> {
        let (reply, answer) = bounded(1);
        self.send(Command::Shutdown { by, ending, reply })?;
        wait_for(&answer, call)?;
        let pid = std::process::id();
        Ok(Response::json(202, &ShutdownAnswer { pid }))
    }

    fn notify_test(
        &self,
        (target, trial): (String, Option<Trial>),
        by: String,
        call: &Call,
    ) -> Result<Response, Problem> {
        let (reply, answer) = bounded(1);
        self.send(Command::NotifyTest {
            target,
            by,
            trial,
            reply,
        })?;
        let sent: Result<DeliveryId, UnknownTarget> = wait_for(&answer, call)?;
        match sent {
            Ok(delivery) => Ok(Response::json(202, &TestAnswer { delivery })),
            Err(unknown) => {
                Err(Problem::new(404, unknown.to_string()).with("nearest", unknown.nearest))
            }
        }
    }

    fn deliveries(&self, query: &DeliveryQuery) -> Result<Response, Problem> {
        let listed = self.sources.deliveries.list(query);
        // One that is configured may not have had any yet.
        let is_known = |name: &String| (self.sources.targets)().iter().any(|t| t.name == *name);
        match listed {
            Err(Unfound::Unknown(_)) if query.target.as_ref().is_some_and(is_known) => {
                Ok(Response::json(200, &json!([])))
            }
            listed => Ok(Response::json(200, &listed.map_err(unfound)?)),
        }
    }

    fn retry(&self, id: Option<&str>, call: &Call) -> Result<Response, Problem> {
        let deliveries = &self.sources.deliveries;
        let found = id.map(|id| deliveries.find(id)).transpose();
        let line = found.map_err(unfound)?.map(|detail| detail.line);
        if let Some(line) = &line {
            let targets = (self.sources.targets)();
            known_target(&line.target, targets.iter().map(|t| t.name.as_str())).map_err(unfound)?;
        }
        let id = line.as_ref().map(|line| line.id);
        let count = deliveries.retry(id, wall()).map_err(|e| no_store(&e))?;
        if let (Some(line), 0) = (&line, count) {
            let words = match line.state {
                DeliveryState::Delivered => "has been delivered",
                DeliveryState::Pending
                | DeliveryState::Leased
                | DeliveryState::Dead
                | DeliveryState::Expired => "is being sent right now",
            };
            let detail = format!("delivery {} to {} {words}", line.id, line.target);
            return Err(Problem::new(409, detail));
        }
        self.nudge(line.map(|line| line.target), call)?;
        Ok(Response::json(202, &Counted { count }))
    }

    fn nudge(&self, target: Option<String>, call: &Call) -> Result<(), Problem> {
        let (reply, answer) = bounded(1);
        self.send(Command::Nudge { target, reply })?;
        wait_for(&answer, call)?.map_err(|unknown: UnknownTarget| {
            Problem::new(404, unknown.to_string()).with("nearest", unknown.nearest)
        })
    }

    fn send(&self, command: Command) -> Result<(), Problem> {
        send(&self.sources, command)
    }
}

/// Hands a command to `app`.
pub(super) fn send(sources: &Sources, command: Command) -> Result<(), Problem> {
    sources
        .commands
        .send_timeout(command, limits::CONTROL_SEND)
        .map_err(|error| {
            if error.is_timeout() {
                Problem::new(503, "the supervisor is busy; try again")
            } else {
                ending()
            }
        })
}

fn runs(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A verb as it was asked for.
struct Asked {
    verb: Verb,
    patterns: Vec<String>,
    wait: bool,
    by: String,
}

fn verb_answer(reply: VerbReply, status: u16) -> Result<Response, Problem> {
    match reply {
        Ok(results) => {
            let ok = results.iter().all(|r| r.ok);
            Ok(Response::json(status, &VerbAnswer { ok, results }))
        }
        Err(unknown) => {
            Err(Problem::new(404, unknown.to_string()).with("nearest", unknown.nearest))
        }
    }
}

/// The one answer to a command, for as long as somebody wants it: a verb may take as long as its programs.
pub(super) fn wait_for<T>(answer: &Receiver<T>, call: &Call) -> Result<T, Problem> {
    loop {
        match answer.recv_timeout(limits::CONTROL_SLICE) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) if call.is_wanted() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(ending());
            }
        }
    }
}

fn newest(store: &dyn StoreView) -> Result<Option<EventId>, SourceError> {
    let query = EventQuery {
        end: End::Newest,
        limit: 1,
        ..EventQuery::default()
    };
    Ok(store.events(&query)?.last().map(|e| e.id))
}

fn ending() -> Problem {
    Problem::new(503, "the supervisor is shutting down")
}

fn too_many() -> Problem {
    Problem::new(503, "too many requests that wait; try again")
}

fn unfound(error: Unfound) -> Problem {
    match error {
        Unfound::Unknown(detail) => Problem::new(404, detail),
        Unfound::Store(error) => no_store(&error),
    }
}

pub(super) fn no_store(error: &SourceError) -> Problem {
    Problem::new(503, format!("the database did not answer: {error}"))
}

/// A stream of events to one reader.
struct Follower {
    store: Arc<dyn StoreView>,
    query: EventQuery,
    call: Call,
    _slot: LongSlot,
}

impl Follower {
    /// Until the reader goes or the server ends. A database that fails is asked again: the reader's place is
    /// kept by the id of the last event it was sent.
    fn run(mut self, write: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        write(b": events follow\n\n")?;
        let mut quiet_since = mono();
        while self.call.is_wanted() {
            let seen = self.store.generation();
            let sent = self.send_new(write)?;
            if sent == limits::CONTROL_PAGE {
                continue;
            }
            if sent > 0 {
                quiet_since = mono();
            } else if mono().since(quiet_since) >= limits::CONTROL_HEARTBEAT {
                write(b": still here\n\n")?;
                quiet_since = mono();
            }
            self.wait(seen, quiet_since + limits::CONTROL_HEARTBEAT);
        }
        // The last events of a shutdown are stored just before the server ends.
        self.send_new(write).map(|_| ())
    }

    /// Until something was committed, the reader is gone, or it is time for a sign of life.
    fn wait(&self, seen: u64, until: crate::clock::Mono) {
        while self.call.is_wanted() {
            let left = until.since(mono());
            if left.is_zero()
                || self
                    .store
                    .wait_change(seen, left.min(limits::CONTROL_SLICE))
                    != seen
            {
                return;
            }
        }
    }

    fn send_new(
        &mut self,
        write: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<usize> {
        let events = match self.store.events(&self.query) {
            Ok(events) => events,
            Err(error) => {
                log::warn!("control: events cannot be read for a follower: {error}");
                return Ok(0);
            }
        };
        for event in &events {
            write(&frame(&EventLine::from(event))?)?;
            self.query.after = Some(event.id);
        }
        Ok(events.len())
    }
}

/// One server-sent event. JSON has no line breaks of its own, so one `data` line holds it.
fn frame(line: &EventLine) -> std::io::Result<Vec<u8>> {
    let data = serde_json::to_string(line)?;
    Ok(format!("id: {}\nevent: {}\ndata: {data}\n\n", line.id, line.kind).into_bytes())
}
