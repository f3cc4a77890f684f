//! Answers that are made from `status`: the programs, one of them, and `/metrics`. Owns nothing.

use super::api::{self, Parts, ProgramStatus, Status};
use super::prometheus;
use super::response::{Problem, Response};
use super::sources::Sources;
use crate::clock::{mono, wall};
use crate::text;

/// Everything at this moment.
pub(super) fn status(sources: &Sources) -> Status {
    let snapshot = sources.board.read();
    let sample = &*sources.sample;
    let parts = Parts {
        snapshot: &snapshot,
        sample: &|name| sample(name),
        targets: (sources.targets)(),
        silences: (sources.silences)().to_vec(),
        facts: (sources.facts)(),
    };
    api::status(parts, mono())
}

/// The instances.
pub(super) fn programs(sources: &Sources) -> Response {
    Response::json(200, &status(sources).programs)
}

/// One instance.
pub(super) fn program(sources: &Sources, name: &str) -> Result<Response, Problem> {
    let programs = status(sources).programs;
    let is_it = |program: &&ProgramStatus| program.name.to_string() == name;
    if let Some(program) = programs.iter().find(is_it) {
        return Ok(Response::json(200, program));
    }
    let names: Vec<String> = programs.iter().map(|p| p.name.to_string()).collect();
    let nearest = text::nearest(name, names.iter().map(String::as_str));
    let shown = text::printable(name.as_bytes());
    let problem = Problem::new(404, format!("there is no program called {shown}"));
    Err(problem.with("nearest", nearest))
}

/// The page for Prometheus.
pub(super) fn metrics(sources: &Sources) -> Response {
    let status = status(sources);
    let figures = |at: usize| {
        let program = status.programs.get(at)?;
        let sample = (sources.sample)(&program.name)?;
        // The sampler may not have noticed yet that the run it measured is over.
        let is_of_it = program.pid.is_some() && Some(sample.run) == program.run;
        is_of_it.then_some(sample.figures)
    };
    let page = prometheus::page(&status, &(sources.measures)(), (&figures, wall()));
    Response::bytes(200, prometheus::CONTENT_TYPE, page.into_bytes())
}
