//! The live line of a command that waits for programs to stop: for whom, what was done and what comes next. Only
//! at a terminal; owns the thread that waits for the answer.

use std::io::{self, IsTerminal as _, Write as _};

use crossbeam::channel::{RecvTimeoutError, bounded};

use super::output::{Failure, stderr_width};
use super::table::{columns_of, fit};
use crate::control::api::{ProgramStatus, Status, VerbAnswer};
use crate::control::client::{Client, Patience};
use crate::limits;
use crate::model::name::matches;
use crate::model::status::PhaseName;
use crate::text;

/// `POST path`, which is answered when the programs that `names` mean are as they are wanted. At a terminal the
/// wait is told on standard error meanwhile, in one line that is gone afterwards.
pub fn post(client: &Client, path: &str, names: &[String]) -> Result<VerbAnswer, Failure> {
    if !io::stderr().is_terminal() {
        return Ok(client.post(path, Patience::Unlimited)?);
    }
    let (done, answer) = bounded(1);
    let (asker, target) = (client.clone(), path.to_owned());
    let thread = crate::thread::spawn_named("cli-wait", move || {
        // Nobody listens only when the command has ended.
        let _ = done.try_send(asker.post(&target, Patience::Unlimited));
    })?;
    let mut shown = Shown::default();
    let answer = loop {
        match answer.recv_timeout(limits::WAIT_LINE) {
            Ok(answer) => break answer,
            Err(RecvTimeoutError::Timeout) => {
                // A supervisor that is too busy to say shows nothing new; its answer is still waited for.
                if let Ok(status) = client.get::<Status>("/api/v1/status") {
                    shown.show(&line(&status.programs, names).unwrap_or_default());
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Failed("the answer was lost".to_owned()));
            }
        }
    };
    shown.show("");
    let _ = thread.join();
    Ok(answer?)
}

/// What stands in the line now.
#[derive(Default)]
struct Shown(usize);

impl Shown {
    /// Replaces it. Blanks and not an escape sequence: any terminal understands them.
    fn show(&mut self, line: &str) {
        let line = fit(line, stderr_width().unwrap_or(usize::MAX).saturating_sub(1));
        let blanks = " ".repeat(self.0.saturating_sub(columns_of(&line)));
        self.0 = columns_of(&line);
        let mut stderr = io::stderr().lock();
        let end = if line.is_empty() { "\r" } else { "" };
        // A terminal that is gone is no fault.
        let _ = write!(stderr, "\r{line}{blanks}{end}");
        let _ = stderr.flush();
    }
}

/// `waiting for web (TERM 4s ago, KILL in 6s)`; nothing when none of them is stopping.
fn line(programs: &[ProgramStatus], names: &[String]) -> Option<String> {
    let is_asked = |p: &ProgramStatus| names.iter().any(|name| matches(name, &p.name, &p.tags));
    let stopping: Vec<&ProgramStatus> = programs
        .iter()
        .filter(|p| p.phase == PhaseName::Stopping && is_asked(p))
        .collect();
    if stopping.is_empty() {
        return None;
    }
    let shown = stopping.iter().take(limits::PROGRESS_NAMES);
    let shown: Vec<String> = shown
        .map(|p| match &p.cause {
            Some(stands) => format!("{} ({})", p.name, text::printable(stands.as_bytes())),
            None => p.name.to_string(),
        })
        .collect();
    let more = match stopping.len().saturating_sub(limits::PROGRESS_NAMES) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!("waiting for {}{more}", shown.join(", ")))
}
