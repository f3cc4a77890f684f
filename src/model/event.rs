//! Events: recorded facts in the past tense, with their typed facts and severities.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clues::{Change, Usage};
use super::name::InstanceName;
use super::program::Signal;
use super::trial::Trial;
use super::trigger::Trigger;
use crate::clock::Wall;
use crate::ids::{EventId, RunId};

/// One recorded fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Rises with time within one supervisor.
    pub id: EventId,
    /// When it happened.
    pub time: Wall,
    /// What happened.
    pub kind: EventKind,
    /// How much it matters. [`EventKind::severity`], but for `program.adopted` with a missed exit.
    pub severity: Severity,
    /// The instance it happened to, when it was one.
    pub instance: Option<InstanceName>,
    /// The run it happened to, when it was one.
    pub run: Option<RunId>,
    /// The details.
    pub facts: Facts,
}

impl Event {
    /// An event of `kind` at `time` about no instance, with the severity of its kind and no facts.
    #[must_use]
    pub fn new(kind: EventKind, time: Wall) -> Self {
        Self {
            id: EventId::new(),
            time,
            kind,
            severity: kind.severity(),
            instance: None,
            run: None,
            facts: Facts::default(),
        }
    }

    /// The program it happened to, when it was one.
    #[must_use]
    pub fn program(&self) -> Option<&Arc<str>> {
        self.instance.as_ref().map(InstanceName::program)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// What happened. The text form is the contract's `program.crashed`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($(#[$doc])* #[doc = concat!("`", $text, "`")] $name,)* }

        impl EventKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The contract's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The contract's severity. What ends something has the severity of what it ends.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    ProgramStarted = "program.started", Info;
    ProgramReady = "program.ready", Info;
    ProgramExited = "program.exited", Info;
    ProgramCrashed = "program.crashed", Warning;
    ProgramRestarting = "program.restarting", Info;
    ProgramFatal = "program.fatal", Critical;
    ProgramRecovered = "program.recovered", Warning;
    ProgramUnhealthy = "program.unhealthy", Warning;
    ProgramHealthy = "program.healthy", Warning;
    ProgramStopping = "program.stopping", Info;
    ProgramStopped = "program.stopped", Info;
    ProgramKilled = "program.killed", Warning;
    ProgramAdopted = "program.adopted", Info;
    ProgramStalled = "program.stalled", Warning;
    ProgramLogMatched = "program.log_matched", Info;
    /// A start or restart that was planned was left out. Beyond the contract's list.
    ProgramSkipped = "program.skipped", Info;
    RuleFired = "rule.fired", Warning;
    RuleCleared = "rule.cleared", Warning;
    SupervisorStarted = "supervisor.started", Info;
    SupervisorStopping = "supervisor.stopping", Info;
    SupervisorRecovered = "supervisor.recovered", Info;
    SupervisorDegraded = "supervisor.degraded", Critical;
    SupervisorRestored = "supervisor.restored", Critical;
    TargetFailing = "target.failing", Warning;
    TargetRestored = "target.restored", Warning;
    ConfigReloaded = "config.reloaded", Info;
    ConfigRejected = "config.rejected", Warning;
    StorageDegraded = "storage.degraded", Critical;
    StorageRestored = "storage.restored", Critical;
    LogsDropped = "logs.dropped", Warning;
    /// People are not told of some programs for a while. Beyond the contract's list.
    SilenceStarted = "silence.started", Info;
    /// They are again. Beyond the contract's list.
    SilenceEnded = "silence.ended", Info;
    /// A person tries a target out. Beyond the contract's list; goes to that target alone.
    NotifyTest = "notify.test", Info;
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for EventKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == text)
            .ok_or(())
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth recording.
    Info,
    /// Worth a look.
    Warning,
    /// Worth getting up for.
    Critical,
}

impl Severity {
    /// `info`, `warning` or `critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Info, Self::Warning, Self::Critical]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or(())
    }
}

/// How a run ended. In JSON `{"code": 1}`, `{"signal": "SIGSEGV", "core": true}` or `{"unknown": true}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: Signal,
        /// It left a core dump.
        core: bool,
        /// The kernel ended it for want of memory.
        oom: bool,
    },
    /// Nobody was there to see, and the kernel does not tell.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct ExitWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    core: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    oom: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
}

impl Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let empty = ExitWire {
            code: None,
            signal: None,
            core: false,
            oom: false,
            unknown: false,
        };
        match self {
            Self::Code(code) => ExitWire {
                code: Some(*code),
                ..empty
            },
            Self::Signal { signal, core, oom } => ExitWire {
                signal: Some(signal.to_string()),
                core: *core,
                oom: *oom,
                ..empty
            },
            Self::Unknown => ExitWire {
                unknown: true,
                ..empty
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Exit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = ExitWire::deserialize(deserializer)?;
        let signal = wire.signal.as_deref().and_then(Signal::parse);
        Ok(match (wire.code, signal) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal {
                signal,
                core: wire.core,
                oom: wire.oom,
            },
            (None, None) => Self::Unknown,
        })
    }
}

/// `exit code 1`, `SIGSEGV (core dumped)`, `an unknown end`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { signal, core, oom } => {
                write!(f, "{signal}")?;
                match (oom, core) {
                    (true, _) => f.write_str(" (out of memory)"),
                    (false, true) => f.write_str(" (core dumped)"),
                    (false, false) => Ok(()),
                }
            }
            Self::Unknown => f.write_str("an unknown end"),
        }
    }
}

/// The details of an event; what does not apply is absent, in memory and in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why, in a few words: `command not found: …`, `restart limit: 5 in 60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What made the supervisor end the run, when it was neither the program itself nor a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// How long the run had lasted, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<f64>,
    /// Restarts of this instance so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// Seconds until the next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_restart_s: Option<f64>,
    /// The most resident memory the run's tree was seen with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What the run used before it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What is not as it was in the last run that did well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
    /// The last lines of output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// Who asked: `signal SIGINT`, `uid 1000 by the socket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// The target it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The rule it is about, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// It happened in a silence: people are not told of it before that ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silenced: bool,
    /// That silence in words; or the id of the one it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// How many: programs stopped, records dropped, processes ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which step of a target's trial it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_have_the_shape_of_the_contract() {
        let core = Exit::Signal {
            signal: Signal::parse("SEGV").expect("a signal"),
            core: true,
            oom: false,
        };
        for (exit, json) in [
            (Exit::Code(1), r#"{"code":1}"#),
            (core, r#"{"signal":"SIGSEGV","core":true}"#),
            (Exit::Unknown, r#"{"unknown":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&exit).expect("plain data"), json);
            assert_eq!(
                serde_json::from_str::<Exit>(json).expect("our own text"),
                exit
            );
        }
    }

    #[test]
    fn kinds_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
