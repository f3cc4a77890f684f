//! What people ask of the running supervisor, and the answers.

use std::path::PathBuf;
use std::time::Duration;

use crossbeam::channel::Sender;
use serde::{Deserialize, Serialize};

use super::name::{InstanceName, UnknownName};
use super::program::Signal;
use super::reload::ReloadRequest;
use super::silence::Silence;
use super::status::PhaseName;
use super::trial::Trial;
use crate::ids::DeliveryId;

/// A request from the socket. Each reply channel has room for its one answer, so answering never waits.
#[derive(Debug)]
pub enum Command {
    /// Start, stop or restart instances.
    Verb(VerbRequest),
    /// Signal running instances, or type into them.
    Poke(PokeRequest),
    /// Read the configuration again.
    Reload(ReloadRequest),
    /// End the supervisor cleanly. Answered once it has been accepted.
    Shutdown {
        /// Who asked.
        by: String,
        /// What becomes of the programs.
        ending: Ending,
        /// Told when the shutdown has begun.
        reply: Sender<()>,
    },
    /// Begin a silence.
    Silence(SilenceRequest),
    /// End one.
    EndSilence {
        /// Its id, or enough of the end of it.
        which: String,
        /// Who asked.
        by: String,
        /// As it ended; none when there is none like that, or several.
        reply: Sender<Option<Silence>>,
    },
    /// Send a test message to one target through the real outbox.
    NotifyTest {
        /// The target's name.
        target: String,
        /// Who asked.
        by: String,
        /// The step, of a test that goes the whole way.
        trial: Option<Trial>,
        /// The delivery to watch, or the nearest names of targets.
        reply: Sender<Result<DeliveryId, UnknownTarget>>,
    },
    /// Try a target at once, behind an open breaker, a stated wait or a refusal for good too.
    Nudge {
        /// The target's name; none: all.
        target: Option<String>,
        /// Whether there is such a target.
        reply: Sender<Result<(), UnknownTarget>>,
    },
}

/// What becomes of the programs when the supervisor ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They are stopped.
    Stop,
    /// They go on, their output kept by the holder; the next supervisor adopts them.
    Leave,
    /// They go on, and this process becomes the supervisor that is this file, which adopts them.
    Replace(PathBuf),
}

/// A silence as it is asked for.
#[derive(Debug)]
pub struct SilenceRequest {
    /// Names, globs, `tag:x`, `all`.
    pub patterns: Vec<String>,
    /// How long.
    pub lasts: Duration,
    /// Why.
    pub reason: Option<String>,
    /// Who asked.
    pub by: String,
    /// The name that chose none; else the silence, or none when there are too many.
    pub reply: Sender<Result<Option<Silence>, UnknownName>>,
}

/// `start`, `stop` or `restart` for some instances.
#[derive(Debug)]
pub struct VerbRequest {
    /// What to do.
    pub verb: Verb,
    /// Names, globs, `tag:x`, `all`.
    pub patterns: Vec<String>,
    /// Answer when it is done (true) or when it has begun.
    pub wait: bool,
    /// Who asked, for the record.
    pub by: String,
    /// One answer.
    pub reply: Sender<VerbReply>,
}

/// Something done at once to running instances, which changes nothing of what is wanted of them.
#[derive(Debug)]
pub struct PokeRequest {
    /// What to do.
    pub poke: Poke,
    /// Names, globs, `tag:x`, `all`.
    pub patterns: Vec<String>,
    /// Who asked, for the record.
    pub by: String,
    /// One answer.
    pub reply: Sender<VerbReply>,
}

/// What is done at once to a running instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poke {
    /// Its main process is sent this signal.
    Signal(Signal),
    /// This line, without its end, is typed into its standard input.
    Line(String),
    /// These keys are pressed at its terminal.
    Keys(Vec<u8>),
    /// Its terminal is told its size.
    Window {
        /// Lines of text.
        rows: u16,
        /// Characters of a line.
        columns: u16,
    },
}

/// The answer to a verb: what became of each instance, or the name that chose none.
pub type VerbReply = Result<Vec<VerbResult>, UnknownName>;

/// What people do to instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Bring it up, with what it depends on.
    Start,
    /// Bring it down.
    Stop,
    /// Down if it is up, then up.
    Restart,
}

/// What a verb did to one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerbResult {
    /// Which.
    pub name: InstanceName,
    /// Whether it is as was asked.
    pub ok: bool,
    /// Where it stands.
    pub phase: PhaseName,
    /// Its main process, when it runs.
    pub pid: Option<u32>,
    /// In words: `started`, `was already running`, `command not found: …`.
    pub message: String,
}

/// A target nobody configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no target is called \"{}\"{}", crate::text::printable(.name.as_bytes()), match .nearest.first() { Some(n) => format!("; did you mean \"{n}\"?"), None => String::new() })]
pub struct UnknownTarget {
    /// As the person wrote it.
    pub name: String,
    /// Names like it, nearest first.
    pub nearest: Vec<String>,
}
