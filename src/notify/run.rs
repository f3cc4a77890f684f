//! Runs the program of an exec target on the worker that sends: bounded in time, input and output, and killed as a
//! tree when its time is over or the supervisor ends.

use std::os::fd::BorrowedFd;

use super::providers::exec::with_last_line;
use super::providers::{HttpRequest, Judgement, retryable};
use crate::child::{self, Helper};
use crate::clock::Mono;
use crate::fetch::Response;
use crate::model::event::Exit;
use crate::model::os::OsSettings;
use crate::model::target::Exec;

/// Its exit code and what it wrote; or what it means that there is no code.
pub(super) fn run(
    exec: &Exec,
    request: &HttpRequest,
    deadline: Mono,
    cancel: BorrowedFd<'_>,
) -> Result<Response, Judgement> {
    let inherited = exec.environment.iter();
    let mut environment: Vec<_> = inherited
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in &request.headers {
        environment.push((name.into(), value.expose().into()));
    }
    let end = child::run_helper(Helper {
        argv: &exec.command,
        directory: &exec.directory,
        environment,
        input: Some(request.body.as_bytes()),
        os: &OsSettings::default(),
        deadline,
        cancel,
    })
    .map_err(|error| retryable(error.to_string(), None))?;
    let what = match &end.exit {
        Some(Exit::Code(code)) => {
            return Ok(Response {
                status: u16::try_from(*code).unwrap_or(u16::MAX),
                headers: Vec::new(),
                body: end.output,
            });
        }
        Some(exit) => exit.to_string(),
        None => "killed: it was not done in its time".to_owned(),
    };
    Err(retryable(with_last_line(&what, &end.output), None))
}
