//! A program of one's own: the body of a webhook on its standard input, and its exit code as the answer. Pure; the
//! program is run by [`crate::notify::run`].

use super::{Abilities, Context, HttpRequest, Judgement, Provider, Told, permanent, retryable};
use crate::fetch::{Method, Response};
use crate::model::delivery::Outcome;
use crate::model::target::Exec;
use crate::secret::Secret;
use crate::text;

/// The message will never be taken (`EX_DATAERR` of sysexits).
const REFUSED: u16 = 65;

impl Provider for Exec {
    /// The headers are variables of its environment, the body what it reads.
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let leased = told.leased;
        let body = leased
            .frozen_body
            .clone()
            .unwrap_or_else(|| super::webhook::body(leased, context.host));
        HttpRequest {
            method: Method::Post,
            url: self.address(),
            headers: vec![
                (
                    "JIKIMI_DELIVERY".to_owned(),
                    Secret::new(leased.id.to_string()),
                ),
                (
                    "JIKIMI_EVENT".to_owned(),
                    Secret::new(leased.event.kind.as_str()),
                ),
            ],
            body,
            is_frozen: true,
        }
    }

    /// The status is the exit code, the body what it wrote.
    fn classify(&self, response: &Response, _context: &Context<'_>) -> Judgement {
        match response.status {
            0 => Outcome::Delivered { message: None }.into(),
            REFUSED => permanent(with_last_line("exit code 65", &response.body), false),
            code => retryable(
                with_last_line(&format!("exit code {code}"), &response.body),
                None,
            ),
        }
    }

    fn address(&self) -> Secret {
        Secret::new(format!("exec://{}", self.command[0]))
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            keyed: true,
            ..Abilities::default()
        }
    }
}

/// What happened, and the last thing that was said.
pub(in crate::notify) fn with_last_line(what: &str, output: &[u8]) -> String {
    let mut lines = output.rsplit(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    match lines.find(|line| !line.is_empty()).map(text::printable) {
        None => what.to_owned(),
        Some(line) => format!("{what}: {line}"),
    }
}
