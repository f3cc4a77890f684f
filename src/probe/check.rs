//! One check, done on the thread that asks: an HTTP status, a connection, a command. Never takes longer than its
//! time, and decides nothing about what its outcome means.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use super::verdict::Outcome;
use crate::child::{self, Helper, HelperEnd};
use crate::clock;
use crate::fetch::{Client, Request};
use crate::limits;
use crate::model::event::Exit;
use crate::model::health::{Check, Probe};
use crate::model::os::OsSettings;
use crate::model::via::Via;
use crate::secret::Secret;
use crate::text;

/// What a command of a probe is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Its working directory.
    pub directory: PathBuf,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Whom it runs as, and what else its program asks of the system.
    pub os: OsSettings,
}

/// Checks once. `cancel` becomes readable when nobody wants the outcome any more; commands heed it.
pub(super) fn check(
    client: &Client,
    probe: &Probe,
    surroundings: &Surroundings,
    cancel: &OwnedFd,
) -> Outcome {
    match &probe.check {
        Check::Http { url, .. } => http(client, url, probe.timeout),
        Check::Tcp { host, port } => client
            .reach(host, *port, probe.timeout)
            .map_err(|e| e.to_string()),
        Check::Exec(command) => exec(command, probe.timeout, surroundings, cancel),
        Check::Notify => Err("the program says it, and is not asked".to_owned()),
    }
}

fn http(client: &Client, url: &Secret, timeout: Duration) -> Outcome {
    let request = Request {
        url,
        headers: &[],
        body: &[],
        timeout,
        via: &Via::DIRECT,
    };
    match client.status(&request) {
        Ok(200..=399) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(error) => Err(error.to_string()),
    }
}

fn exec(
    command: &[String],
    timeout: Duration,
    surroundings: &Surroundings,
    cancel: &OwnedFd,
) -> Outcome {
    let end = child::run_helper(Helper {
        argv: command,
        directory: &surroundings.directory,
        environment: surroundings.environment.clone(),
        input: None,
        os: &surroundings.os,
        deadline: clock::mono() + timeout,
        cancel: cancel.as_fd(),
    })
    .map_err(|error| error.to_string())?;
    judged(&end, timeout)
}

/// What a command that was given `timeout` came to: nothing to say after code 0.
///
/// # Errors
/// It ended otherwise: how, and its last line.
pub fn judged(end: &HelperEnd, timeout: Duration) -> Outcome {
    let what = match &end.exit {
        Some(Exit::Code(0)) => return Ok(()),
        Some(exit) => exit.to_string(),
        None => format!("not done within {}", text::duration(timeout)),
    };
    let mut lines = end.output.rsplit(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    match lines.find(|line| !line.is_empty()).map(text::printable) {
        None => Err(what),
        Some(line) => Err(format!(
            "{what}: {}",
            text::cut(&line, limits::PROBE_CAUSE_CHARS)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_passes_with_0_alone_and_its_last_line_says_why_it_did_not() {
        let end = |exit, output: &str| HelperEnd {
            exit,
            output: output.as_bytes().to_vec(),
        };
        let timeout = Duration::from_secs(2);
        for (end, expected) in [
            (end(Some(Exit::Code(0)), "fine\n"), Ok(())),
            (
                end(Some(Exit::Code(1)), "trying\n no luck \n\n"),
                Err("exit code 1: no luck"),
            ),
            (end(Some(Exit::Code(7)), ""), Err("exit code 7")),
            (end(None, "wait"), Err("not done within 2s: wait")),
        ] {
            assert_eq!(judged(&end, timeout), expected.map_err(str::to_owned));
        }
    }
}
