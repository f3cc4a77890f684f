//! The whole, put together: builds channels, then rooms, then threads, and serves until it is told to stop.
//! Sees every room and decides nothing that a room could decide.
//!
//! The thread roster, in the order of starting; each is joined by its room's end, in the order of `end`:
//!
//! | thread | room | ends when |
//! | --- | --- | --- |
//! | main | app | the shutdown is over |
//! | terminal, terminal-log | terminal | never joined: a held terminal may hold them |
//! | signals | signals | its handle is dropped |
//! | store-writer, r2d2's | store | it is closed |
//! | pump, log-scan, log-pack, log-print, log-lines | logs | `Logs::finish` |
//! | metrics-keeper, sample-… | metrics | `Metrics::finish` |
//! | history-pack | history | `Packer::finish` |
//! | journal | journal | the last handle is dropped |
//! | resolver, notify-N, dispatcher | fetch, notify | `Notify::last_pass` |
//! | probes, probe-N | probe | `Probes::finish`; a check that hangs is left |
//! | supervisor | supervise | the last handle is dropped |
//! | control, control-conn | control | `Server::stop` |
//! | http, http-conn | control | the same, by `Door::close` |
//! | relay | app | the rooms that ring it are gone |
//! | backup | app | `Backups::stop` |
//! | sd-notify | app | the last word is said |
//! | config | app | never joined: a disk that hangs may hold it |
//! | shutdown, stop-… | app, shutdown | the shutdown is over |

mod backup;
mod changes;
mod commands;
mod door;
mod end;
mod evidence;
mod facts;
mod heartbeat;
mod keeping;
pub mod knock;
mod legacy;
mod notices;
mod ports;
mod probing;
mod reading;
mod relay;
mod reload;
mod rule_commands;
mod rules;
mod silences;
mod start;
mod storage;
mod systemd;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::child::{self, FileLimit};
use crate::config::{Definitions, Loaded};
use crate::logs;
pub use start::StartError;

/// How a supervisor ended, for the exit code.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Every program stopped as asked, and none had been given up.
    Well,
    /// A program had to be killed or was `fatal`, or something was left undone.
    Badly,
    /// The programs go on, and this process is to become this file, which adopts them.
    Replaced(Replacement),
}

/// What this process is to become.
#[derive(Clone, Debug)]
pub struct Replacement {
    file: PathBuf,
    files: FileLimit,
}

impl Replacement {
    /// Becomes it, with the arguments this process was started with. Returns only when that cannot be: then the
    /// programs go on under the holder.
    #[must_use]
    pub fn run(self) -> io::Error {
        let args: Vec<OsString> = std::env::args_os().skip(1).collect();
        child::replace(&self.file, &args, self.files)
    }
}

/// What the command line says about a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// End when nothing runs and nothing will be started by itself.
    pub exit_when_done: bool,
}

/// Starts everything the configuration says and serves until the end. `definitions` is where it was `loaded` from, for
/// reloads.
///
/// # Errors
/// It could not start; nothing was begun.
pub fn run(loaded: Loaded, definitions: Definitions, how: RunOptions) -> Result<Ended, StartError> {
    Ok(start::start(loaded, definitions, how)?.serve())
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The output of one instance, for who follows it from outside of the supervisor.
pub mod output {
    pub use crate::logs::{
        Asked, Follower, Growth, Line, LogLine, Reader, Screen, Source, clean_line, has_input,
        has_terminal, recent, sources,
    };
}

/// Programs of the person at the terminal.
pub mod foreground {
    pub use crate::child::foreground::run_on;
}

/// What targets would be sent.
pub mod preview {
    pub use crate::notify::preview::{Moment, Preview, requests, sample};
    pub use crate::notify::providers::Tier;
}

/// The process of [`child::exec`], which becomes a program.
#[must_use]
pub fn exec() -> ExitCode {
    child::exec::main()
}

/// The holder process of [`logs::holder`].
#[must_use]
pub fn holder(arguments: &[OsString]) -> ExitCode {
    logs::holder::main(arguments)
}
