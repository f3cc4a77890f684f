//! Which request means what: method, path and query to a [`Route`]. Pure; answers nothing itself.

use std::path::PathBuf;

use super::deliveries::{DeliveryQuery, Purge};
use super::explain::ExplainQuery;
use super::http::Request;
use super::incidents::IncidentQuery;
use super::keys;
use super::response::Problem;
use super::silences::SilenceAsked;
use super::sources::{End, EventQuery};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId};
use crate::limits;
use crate::model::command::{Poke, Verb};
use crate::model::event::EventKind;
use crate::model::program::Signal;
use crate::model::trial::Trial;

/// A request understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Everything at one moment.
    Status,
    /// The instances.
    Programs,
    /// One instance.
    Program(String),
    /// The page for Prometheus.
    Metrics,
    /// One page of events.
    Events(EventQuery),
    /// Events as they come.
    Stream(EventQuery),
    /// Why instances ended.
    Explain(ExplainQuery),
    /// The targets.
    Targets,
    /// One delivery, held while it is under way when `wait`.
    Delivery {
        /// Which.
        id: DeliveryId,
        /// Hold the answer.
        wait: bool,
    },
    /// Whether it is alive.
    Health,
    /// Start, stop or restart.
    Verb {
        /// What to do.
        verb: Verb,
        /// The name in the path and those in `name=`.
        patterns: Vec<String>,
        /// Answer when it is done.
        wait: bool,
    },
    /// Signal what runs, or type into it.
    Poke {
        /// What to do.
        poke: Poke,
        /// As of a verb.
        patterns: Vec<String>,
    },
    /// Read the configuration again.
    Reload {
        /// Say what would happen, and change nothing.
        is_plan: bool,
        /// Answer when it is done.
        wait: bool,
    },
    /// End the supervisor.
    Shutdown(bool),
    /// Become this file and leave the programs running.
    Upgrade(PathBuf),
    /// The silences in force.
    Silences,
    /// Begin one.
    Silence(SilenceAsked),
    /// End one.
    EndSilence(String),
    /// Send a test message.
    NotifyTest(String, Option<Trial>),
    /// Try a target at once, whatever it was refused for.
    Enable(String),
    /// Who sends to the targets.
    Workers,
    /// What was done and what it cost.
    Stats,
    /// Some deliveries.
    Deliveries(DeliveryQuery),
    /// Some incidents.
    Incidents(IncidentQuery),
    /// Everything about one incident: its id, or the beginning of it.
    IncidentDetail(String),
    /// Everything about one delivery: its id, or the beginning of it.
    DeliveryDetail(String),
    /// Try one delivery again, by its id or the beginning of it; none: all.
    RetryDeliveries(Option<String>),
    /// Remove deliveries.
    PurgeDeliveries(Purge),
}

const GET: &str = "GET";
const POST: &str = "POST";

/// What `request` asks for.
///
/// # Errors
/// 404 for a path there is not, 405 for the wrong method, 400 for a bad parameter.
pub fn route(request: &Request) -> Result<Route, Problem> {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (allow, route) = match parts.as_slice() {
        ["healthz"] => (GET, Ok(Route::Health)),
        ["metrics"] => (GET, Ok(Route::Metrics)),
        ["api", "v1", rest @ ..] => resource(rest, request).ok_or_else(not_found)?,
        _ => return Err(not_found()),
    };
    if request.method == allow {
        return route;
    }
    let mut problem = Problem::new(405, format!("this takes {allow} only"));
    problem.allow = Some(allow);
    Err(problem)
}

type Resource = (&'static str, Result<Route, Problem>);

fn resource(rest: &[&str], request: &Request) -> Option<Resource> {
    Some(match rest {
        ["status"] => (GET, Ok(Route::Status)),
        ["targets"] => (GET, Ok(Route::Targets)),
        ["targets", name, "test"] => (POST, trial(name, request)),
        ["targets", name, "enable"] => (POST, Ok(Route::Enable((*name).to_owned()))),
        ["workers"] => (GET, Ok(Route::Workers)),
        ["stats"] => (GET, Ok(Route::Stats)),
        ["deliveries", rest @ ..] => deliveries(rest, request)?,
        ["incidents"] => (GET, IncidentQuery::of(request).map(Route::Incidents)),
        ["incidents", id] => (GET, Ok(Route::IncidentDetail((*id).to_owned()))),
        ["events"] => (GET, event_query(request).map(Route::Events)),
        ["events", "stream"] => (GET, event_query(request).map(Route::Stream)),
        ["shutdown"] => (
            POST,
            flag(request, "leave_running", false).map(Route::Shutdown),
        ),
        ["upgrade"] => (POST, upgrade(request)),
        ["reload"] => (POST, reload(request)),
        ["silences"] if request.method == GET => (GET, Ok(Route::Silences)),
        ["silences"] => (POST, SilenceAsked::parse(&request.body).map(Route::Silence)),
        ["silences", id, "end"] => (POST, Ok(Route::EndSilence((*id).to_owned()))),
        ["programs"] => (GET, Ok(Route::Programs)),
        ["programs", name] => (GET, Ok(Route::Program((*name).to_owned()))),
        ["programs", name, "explain"] => (GET, explain(name, request).map(Route::Explain)),
        ["programs", name, "signal"] => (POST, signal(name, request)),
        ["programs", name, "send"] => (POST, line(name, request)),
        ["programs", name, "keys"] => (POST, keys::keys(name, request)),
        ["programs", name, "window"] => (POST, keys::window(name, request)),
        ["programs", name, verb] => (POST, program_verb(name, verb, request)?),
        _ => return None,
    })
}

fn deliveries(rest: &[&str], request: &Request) -> Option<Resource> {
    Some(match rest {
        [] => (GET, DeliveryQuery::of(request).map(Route::Deliveries)),
        ["retry"] => (POST, Ok(Route::RetryDeliveries(None))),
        ["purge"] => (POST, Purge::of(request).map(Route::PurgeDeliveries)),
        [id] => (GET, delivery(id, request)),
        [id, "detail"] => (GET, Ok(Route::DeliveryDetail((*id).to_owned()))),
        [id, "retry"] => (POST, Ok(Route::RetryDeliveries(Some((*id).to_owned())))),
        _ => return None,
    })
}

fn not_found() -> Problem {
    Problem::new(404, "there is nothing at this path")
}

fn program_verb(name: &str, verb: &str, request: &Request) -> Option<Result<Route, Problem>> {
    let verb = match verb {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        _ => return None,
    };
    let patterns = patterns(name, request);
    Some(flag(request, "wait", true).map(|wait| Route::Verb {
        verb,
        patterns,
        wait,
    }))
}

fn reload(request: &Request) -> Result<Route, Problem> {
    let is_plan = flag(request, "plan", false)?;
    let wait = flag(request, "wait", true)?;
    Ok(Route::Reload { is_plan, wait })
}

/// One message, or with `step` and `incident` one step of a whole trial.
fn trial(name: &str, request: &Request) -> Result<Route, Problem> {
    let trial = match (request.param("step"), request.param("incident")) {
        (None, None) => None,
        (step, incident) => {
            let step = step.and_then(|word| word.parse().ok());
            let step =
                step.ok_or_else(|| Problem::new(400, "step must be open, update or resolve"))?;
            let incident = incident.and_then(|id| id.parse().ok());
            let incident =
                incident.ok_or_else(|| Problem::new(400, "incident must be an id of its own"))?;
            Some(Trial { incident, step })
        }
    };
    Ok(Route::NotifyTest(name.to_owned(), trial))
}

fn upgrade(request: &Request) -> Result<Route, Problem> {
    let file = request.param("binary").map(PathBuf::from);
    match file.filter(|file| file.is_absolute()) {
        Some(file) => Ok(Route::Upgrade(file)),
        None => Err(Problem::new(400, "binary: an absolute path is needed")),
    }
}

fn explain(name: &str, request: &Request) -> Result<ExplainQuery, Problem> {
    let last = request.param("last");
    Ok(ExplainQuery {
        patterns: patterns(name, request),
        last: last.map_or(Ok(limits::EXPLAIN_DEFAULT), count)?,
    })
}

/// The name in the path and those in `name=`.
pub(super) fn patterns(name: &str, request: &Request) -> Vec<String> {
    let names = std::iter::once(name).chain(request.params("name"));
    names.map(str::to_owned).collect()
}

/// The body is the line; an end of line behind it is not part of it.
fn line(name: &str, request: &Request) -> Result<Route, Problem> {
    let text = std::str::from_utf8(&request.body)
        .map_err(|_| Problem::new(400, "the line must be UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.contains(['\n', '\0']) || text.len() > limits::CONSOLE_LINE_BYTES {
        let most = limits::CONSOLE_LINE_BYTES;
        let detail = format!("send one line of {most} bytes at the most");
        return Err(Problem::new(400, detail));
    }
    Ok(Route::Poke {
        poke: Poke::Line(text.to_owned()),
        patterns: patterns(name, request),
    })
}

fn signal(name: &str, request: &Request) -> Result<Route, Problem> {
    let Some(word) = request.param("signal") else {
        return Err(Problem::new(400, "say which, as ?signal=HUP"));
    };
    let signal = Signal::parse(word).ok_or_else(|| {
        let nearest = crate::text::nearest(word, Signal::names());
        let hint = match nearest.first() {
            Some(name) => format!("; did you mean \"{name}\"?"),
            None => String::new(),
        };
        let word = crate::text::printable(word.as_bytes());
        Problem::new(400, format!("\"{word}\" is no signal{hint}"))
    })?;
    Ok(Route::Poke {
        poke: Poke::Signal(signal),
        patterns: patterns(name, request),
    })
}

fn delivery(id: &str, request: &Request) -> Result<Route, Problem> {
    let id = id
        .parse()
        .map_err(|_| Problem::new(400, "this is not the id of a delivery"))?;
    let wait = flag(request, "wait", false)?;
    Ok(Route::Delivery { id, wait })
}

fn flag(request: &Request, name: &str, default: bool) -> Result<bool, Problem> {
    match request.param(name) {
        None => Ok(default),
        Some("true" | "1" | "") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Problem::new(400, format!("{name} must be true or false"))),
    }
}

fn event_query(request: &Request) -> Result<EventQuery, Problem> {
    // The header is what a browser's EventSource sends when it comes back.
    let after = request
        .param("after")
        .or_else(|| request.header("last-event-id"));
    let mut kinds = Vec::new();
    for pattern in request.params("type") {
        kinds.extend(kinds_like(pattern).map_err(|detail| Problem::new(400, detail))?);
    }
    let (end, limit) = match (request.param("last"), request.param("limit")) {
        (Some(last), _) => (End::Newest, Some(last)),
        (None, limit) => (End::Oldest, limit),
    };
    Ok(EventQuery {
        after: after.map(event_id).transpose()?,
        since: request.param("since").map(wall).transpose()?,
        kinds,
        end,
        limit: limit.map_or(Ok(limits::CONTROL_PAGE), count)?,
    })
}

fn event_id(text: &str) -> Result<EventId, Problem> {
    text.parse()
        .map_err(|_| Problem::new(400, "after must be the id of an event"))
}

fn wall(text: &str) -> Result<Wall, Problem> {
    Wall::parse(text).ok_or_else(|| Problem::new(400, "since must be an RFC 3339 time"))
}

fn count(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(n) => Ok(std::cmp::min(n, limits::CONTROL_PAGE)),
        Err(_) => Err(Problem::new(400, "limit and last must be numbers")),
    }
}

/// The kinds of event that `pattern` (`program.crashed`, `program.*`) means.
///
/// # Errors
/// It means none; the sentence names the nearest.
pub fn kinds_like(pattern: &str) -> Result<Vec<EventKind>, String> {
    let glob = wildmatch::WildMatch::new(pattern);
    let kinds: Vec<EventKind> = EventKind::ALL
        .iter()
        .copied()
        .filter(|k| glob.matches(k.as_str()))
        .collect();
    if !kinds.is_empty() {
        return Ok(kinds);
    }
    let names = EventKind::ALL.iter().map(|k| k.as_str());
    let hint = match crate::text::nearest(pattern, names).first() {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => String::new(),
    };
    let pattern = crate::text::printable(pattern.as_bytes());
    Err(format!("no event is called \"{pattern}\"{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Route, u16> {
        let request = Request {
            method: method.to_owned(),
            path: path.iter().map(|p| (*p).to_owned()).collect(),
            query: query
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            ..Request::default()
        };
        route(&request).map_err(|p| p.status)
    }

    #[test]
    fn every_path_has_one_method_and_unknown_ones_are_not_found() {
        let known: [(&str, &[&str]); 21] = [
            (GET, &["healthz"]),
            (GET, &["metrics"]),
            (GET, &["api", "v1", "programs"]),
            (GET, &["api", "v1", "programs", "web:0"]),
            (GET, &["api", "v1", "status"]),
            (GET, &["api", "v1", "targets"]),
            (GET, &["api", "v1", "events"]),
            (GET, &["api", "v1", "events", "stream"]),
            (
                GET,
                &["api", "v1", "deliveries", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
            ),
            (GET, &["api", "v1", "workers"]),
            (GET, &["api", "v1", "incidents"]),
            (GET, &["api", "v1", "incidents", "01AR"]),
            (GET, &["api", "v1", "deliveries"]),
            (GET, &["api", "v1", "deliveries", "01AR", "detail"]),
            (POST, &["api", "v1", "deliveries", "01AR", "retry"]),
            (POST, &["api", "v1", "deliveries", "retry"]),
            (POST, &["api", "v1", "targets", "ops", "enable"]),
            (POST, &["api", "v1", "shutdown"]),
            (GET, &["api", "v1", "programs", "web:0", "explain"]),
            (POST, &["api", "v1", "programs", "web:0", "stop"]),
            (POST, &["api", "v1", "targets", "ops", "test"]),
        ];
        for (method, path) in known {
            assert!(ask(method, path, &[]).is_ok(), "{method} {path:?}");
            let other = if method == GET { POST } else { GET };
            assert_eq!(ask(other, path, &[]), Err(405), "{other} {path:?}");
        }
        for path in [
            &["api"][..],
            &["api", "v2", "status"],
            &["api", "v1", "programs", "web", "explode"],
            &[""],
        ] {
            assert_eq!(ask(GET, path, &[]), Err(404), "{path:?}");
        }
    }

    #[test]
    fn a_verb_takes_more_names_and_may_be_told_not_to_wait() {
        let path = ["api", "v1", "programs", "tag:game", "restart"];
        assert_eq!(
            ask(POST, &path, &[("name", "db"), ("wait", "false")]),
            Ok(Route::Verb {
                verb: Verb::Restart,
                patterns: vec!["tag:game".to_owned(), "db".to_owned()],
                wait: false,
            })
        );
        assert_eq!(ask(POST, &path, &[("wait", "maybe")]), Err(400));
    }

    #[test]
    fn a_signal_is_named_and_a_wrong_name_is_answered_with_the_nearest() {
        let path = ["api", "v1", "programs", "web", "signal"];
        assert_eq!(
            ask(POST, &path, &[("signal", "sigterm"), ("name", "db")]),
            Ok(Route::Poke {
                poke: Poke::Signal(Signal::TERM),
                patterns: vec!["web".to_owned(), "db".to_owned()],
            })
        );
        assert_eq!(ask(POST, &path, &[]), Err(400));
        assert_eq!(ask(POST, &path, &[("signal", "TREM")]), Err(400));
    }

    #[test]
    fn one_line_is_sent_and_no_more() {
        let send = |body: &[u8]| {
            let path = ["api", "v1", "programs", "web", "send"];
            let request = Request {
                method: POST.to_owned(),
                path: path.map(str::to_owned).to_vec(),
                body: body.to_vec(),
                ..Request::default()
            };
            route(&request).map_err(|p| p.status)
        };
        for (body, line) in [(&b"say hi"[..], "say hi"), (b"stop\n", "stop"), (b"", "")] {
            let Ok(Route::Poke { poke, .. }) = send(body) else {
                panic!("{line}");
            };
            assert_eq!(poke, Poke::Line(line.to_owned()));
        }
        let long = vec![b'x'; limits::CONSOLE_LINE_BYTES + 1];
        for bad in [&b"a\nb"[..], b"\xff", b"a\0", &long] {
            assert_eq!(send(bad), Err(400), "{bad:?}");
        }
    }

    #[test]
    fn events_are_chosen_by_type_time_and_count() {
        let path = ["api", "v1", "events"];
        let asked = ask(GET, &path, &[("type", "storage.*"), ("last", "5")]);
        let Ok(Route::Events(query)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(
            query.kinds,
            [EventKind::StorageDegraded, EventKind::StorageRestored]
        );
        assert_eq!((query.end, query.limit), (End::Newest, 5));
        let huge = ask(GET, &path, &[("limit", "999999999")]);
        assert!(matches!(huge, Ok(Route::Events(q)) if q.limit == limits::CONTROL_PAGE));
        for bad in [
            ("type", "nonsense"),
            ("since", "yesterday"),
            ("after", "x"),
            ("limit", "-1"),
        ] {
            assert_eq!(ask(GET, &path, &[bad]), Err(400), "{bad:?}");
        }
    }
}
