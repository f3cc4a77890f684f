//! `start`, `stop`, `restart`, `signal`, `send` and `shutdown`.

use super::args::VerbArgs;
use super::connect::Place;
use super::output::{Failure, Out, chain, complain};
use super::table::Paint;
use super::waiting;
use crate::control::api::{ShutdownAnswer, VerbAnswer};
use crate::control::client::{Client, ClientError, Patience};
use crate::control::http::percent_encode;
use crate::text;

/// The words in the path.
pub const START: &str = "start";
/// See [`START`].
pub const STOP: &str = "stop";
/// See [`START`].
pub const RESTART: &str = "restart";

/// Does `verb` to the instances `asked` names, and says what became of each.
pub fn verb(place: &Place, verb: &str, asked: &VerbArgs) -> Result<(), Failure> {
    let client = place.client()?;
    say(&waiting::post(&client, &path(verb, asked), &asked.names)?)
}

/// Sends a signal to the main process of each instance that `names` mean.
pub fn signal(place: &Place, signal: &str, names: &[String]) -> Result<(), Failure> {
    let asked = format!("signal={}", percent_encode(signal));
    let path = path_of("signal", names, &asked);
    say(&place.client()?.post(&path, Patience::Short)?)
}

/// Types a line into the standard input of each instance that `name` means.
pub fn send(place: &Place, name: &str, words: &[String]) -> Result<(), Failure> {
    let line = words.join(" ");
    say(&send_line(&place.client()?, name, line.as_bytes())?)
}

/// Types `line` into the standard input of each instance that `name` means; says nothing.
pub fn send_line(client: &Client, name: &str, line: &[u8]) -> Result<VerbAnswer, ClientError> {
    client.post_body(&path_of("send", &[name.to_owned()], ""), line)
}

/// What became of each instance.
fn say(answer: &VerbAnswer) -> Result<(), Failure> {
    let mut out = Out::stdout();
    for result in &answer.results {
        let paint = if result.ok { Paint::Good } else { Paint::Bad };
        let message = text::printable(result.message.as_bytes());
        let pid = match result.pid {
            Some(pid) => format!(" (pid {pid})"),
            None => String::new(),
        };
        let name = result.name.to_string();
        out.line(&format!("{}: {message}{pid}", paint.on(&name, out.style)))?;
    }
    if answer.ok {
        Ok(())
    } else {
        Err(Failure::Said)
    }
}

fn path(verb: &str, asked: &VerbArgs) -> String {
    path_of(verb, &asked.names, &format!("wait={}", !asked.no_wait))
}

pub(super) fn path_of(verb: &str, names: &[String], query: &str) -> String {
    let mut names = names.iter().map(|n| percent_encode(n));
    let first = names.next().unwrap_or_default();
    let mut path = format!("/api/v1/programs/{first}/{verb}?{query}");
    for name in names {
        path.push_str("&name=");
        path.push_str(&name);
    }
    path
}

/// Ends the supervisor, with its programs or without, and, if `wait`, waits until its process is gone.
pub fn shutdown(place: &Place, leave_running: bool, wait: bool) -> Result<(), Failure> {
    let mut out = Out::stdout();
    let client = place.client()?;
    let watch = if wait { Some(client.watch()?) } else { None };
    let answer: ShutdownAnswer = client.post(
        &format!("/api/v1/shutdown?leave_running={leave_running}"),
        Patience::Short,
    )?;
    let Some(watch) = watch else {
        return out.line(&format!(
            "the supervisor (pid {}) is shutting down",
            answer.pid
        ));
    };
    complain(&format!(
        "the supervisor (pid {}) is shutting down; waiting for it to end",
        watch.pid
    ));
    watch
        .wait()
        .map_err(|e| Failure::Failed(format!("cannot wait for its end: {}", chain(&e))))?;
    out.line(&format!("the supervisor (pid {}) has ended", watch.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_goes_along_encoded() {
        let asked = VerbArgs {
            names: ["web:0", "tag:a b", "x/../y"].map(str::to_owned).to_vec(),
            no_wait: true,
        };
        assert_eq!(
            path(STOP, &asked),
            "/api/v1/programs/web%3A0/stop?wait=false&name=tag%3Aa%20b&name=x%2F..%2Fy"
        );
    }
}
