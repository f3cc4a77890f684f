//! A program as configured and checked: everything supervision needs to know about it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::console::Console;
use super::ends::EndPolicy;
use super::event::Exit;
use super::health::HealthSettings;
use super::log_silence::LogSilence;
use super::name::InstanceName;
use super::needs::Needs;
use super::os::OsSettings;
use super::rotation::Rotation;
use super::rule::Rule;
use super::stop::StopPlan;
use super::timing::Timing;

/// One `[program.NAME]` table, checked, with every default filled in and every path absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramSpec {
    /// The table's name.
    pub name: Arc<str>,
    /// The argument vector; never empty. `shell = true` has become `/bin/sh -c …`.
    pub command: Vec<String>,
    /// Working directory, absolute. Need not exist until the program is started.
    pub directory: PathBuf,
    /// The whole environment of the program, but for the `JIKIMI_*` variables of a run.
    pub environment: Environment,
    /// How many slots; at least 1.
    pub instances: u16,
    /// Whether it starts with the supervisor.
    pub autostart: bool,
    /// When a run that ended is followed by another.
    pub restart: RestartPolicy,
    /// Exit codes that are no failure.
    pub success_exit_codes: Vec<i32>,
    /// Which other ends are no failure, and after which no run follows.
    pub ends: EndPolicy,
    /// Alive this long counts as started.
    pub start_confirm: Duration,
    /// What its standard input is.
    pub console: Console,
    /// How it is asked to end.
    pub stop: StopPlan,
    /// From the last line typed to the signal; without lines, from the last signal to KILL.
    pub stop_timeout: Duration,
    /// Programs that come first (`depends_on = { db = "started" }`).
    pub depends_on: Vec<Arc<str>>,
    /// What is asked of those.
    pub needs: Needs,
    /// The pause between an end and the next start.
    pub backoff: BackoffPolicy,
    /// How many restarts are too many, and what follows.
    pub restart_limit: RestartLimit,
    /// Running this long ends an incident.
    pub recover_after: Duration,
    /// Labels for choosing: `tag:game`.
    pub tags: Vec<String>,
    /// How often it is measured.
    pub metrics_interval: Duration,
    /// What depends on time alone.
    pub timing: Timing,
    /// What to do when its figures are out of bounds.
    pub rules: Arc<[Rule]>,
    /// What it wants of the operating system.
    pub os: OsSettings,
    /// What its health is judged by.
    pub health: HealthSettings,
    /// How long it may write nothing.
    pub silence: Option<LogSilence>,
    /// How its output is kept.
    pub rotation: Rotation,
}

impl ProgramSpec {
    /// The names of its instances, in order.
    pub fn instance_names(&self) -> impl Iterator<Item = InstanceName> + '_ {
        (0..self.instances).map(|i| match self.instances {
            1 => InstanceName::single(Arc::clone(&self.name)),
            _ => InstanceName::indexed(Arc::clone(&self.name), i),
        })
    }

    /// Whether an end that nobody asked for is no failure.
    #[must_use]
    pub fn is_success(&self, exit: &Exit) -> bool {
        match exit {
            Exit::Code(code) => self.success_exit_codes.contains(code),
            Exit::Signal { signal, .. } => self.ends.success_signals.contains(signal),
            Exit::Unknown => false,
        }
    }

    /// Why no run follows an end that would be followed by one, if the program forbids it.
    #[must_use]
    pub fn forbids_restart(&self, exit: &Exit) -> Option<&'static str> {
        let would_follow = match self.restart {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => !self.is_success(exit),
            RestartPolicy::Never => false,
        };
        self.ends.forbids(exit).filter(|_| would_follow)
    }
}

impl ProgramSpec {
    /// One for tests: `name` runs `true`, with the defaults of the configuration, but fatal at its limit.
    #[cfg(test)]
    pub(crate) fn fixture(name: &str) -> Self {
        Self::bare(name)
    }

    /// A program of which nobody knows more than its name, such as one that left the configuration while its run
    /// goes on: the defaults of the configuration, but fatal at its limit.
    #[must_use]
    pub fn bare(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            command: vec!["true".to_owned()],
            directory: PathBuf::from("/"),
            environment: Environment::default(),
            instances: 1,
            autostart: true,
            restart: RestartPolicy::OnFailure,
            success_exit_codes: vec![0],
            ends: EndPolicy::default(),
            start_confirm: Duration::from_secs(1),
            console: Console::Null,
            stop: StopPlan::of(Signal::TERM),
            stop_timeout: Duration::from_secs(10),
            depends_on: vec![],
            needs: Needs::default(),
            backoff: BackoffPolicy {
                initial: Duration::from_millis(500),
                max: Duration::from_mins(1),
                factor: 2.0,
                jitter: 0.2,
                reset_after: Duration::from_mins(1),
            },
            restart_limit: RestartLimit {
                count: 5,
                within: Duration::from_mins(1),
                then: LimitAction::Fatal,
            },
            recover_after: Duration::from_secs(5),
            tags: vec![],
            metrics_interval: Duration::from_secs(5),
            timing: Timing::default(),
            rules: Arc::from([]),
            os: OsSettings::default(),
            health: HealthSettings::default(),
            silence: None,
            rotation: Rotation::default(),
        }
    }
}

/// Variables by name.
pub type Variables = BTreeMap<OsString, OsString>;

/// Environment variables. Their values may be secrets: Debug shows only the names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// What all programs inherit, shared: with hundreds of programs, copies would be a quarter of our memory.
    pub inherited: Arc<Variables>,
    /// The program's own; they win.
    pub own: Variables,
}

impl Environment {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &OsStr) -> Option<&OsStr> {
        let value = self.own.get(name).or_else(|| self.inherited.get(name));
        value.map(OsString::as_os_str)
    }

    /// Every variable once.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let inherited = self.inherited.iter();
        inherited
            .filter(|(name, _)| !self.own.contains_key(*name))
            .chain(&self.own)
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// When a run that ended is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After every end nobody asked for.
    Always,
    /// After a failure only.
    OnFailure,
    /// Never.
    Never,
}

/// The pause from the end of a run to the next start: `initial * factor^n`, spread by `jitter`, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffPolicy {
    /// The first pause.
    pub initial: Duration,
    /// No pause is longer, jitter included.
    pub max: Duration,
    /// At least 1.
    pub factor: f64,
    /// 0 to 1: the pause is spread uniformly by this share to either side.
    pub jitter: f64,
    /// A run that lasted this long makes the next pause the first one again.
    pub reset_after: Duration,
}

/// After `count` restarts within `within` the next failure gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// Restarts allowed within the window.
    pub count: u32,
    /// The sliding window.
    pub within: Duration,
    /// What giving up means.
    pub then: LimitAction,
}

/// What happens when the restart limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    /// Stay down until a person starts it.
    Fatal,
    /// Try again after this pause, for ever.
    Cooldown(Duration),
}

/// A signal, by number. Shown by its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

const SIGNALS: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

impl Signal {
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGCONT.
    pub const CONT: Self = Self(18);

    /// The signal of that number, if Linux has it (1 to 64).
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// The signal called `name`: `TERM`, `SIGTERM` or `15`, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Ok(number) = name.parse() {
            return Self::from_number(number);
        }
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        SIGNALS
            .iter()
            .find(|(n, _)| *n == bare)
            .map(|(_, number)| Self(*number))
    }

    /// Its number on Linux.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// The names [`Signal::parse`] knows, without `SIG`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SIGNALS.iter().map(|(n, _)| *n)
    }
}

/// `SIGTERM`; a real-time signal as `SIG34`.
impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "SIG{}", self.0),
        }
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_name_or_number_and_shown_by_name() {
        for text in ["TERM", "sigterm", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!(
            Signal::parse("34").map(|s| s.to_string()).as_deref(),
            Some("SIG34")
        );
        assert_eq!(Signal::parse("TERMINATE"), None);
        assert_eq!(Signal::parse("0"), None);
    }

    #[test]
    fn an_environment_shows_no_values() {
        let env = Environment {
            own: [("TOKEN".into(), "hunter2".into())].into(),
            ..Environment::default()
        };
        assert_eq!(format!("{env:?}"), "{\"TOKEN\"}");
    }

    #[test]
    fn a_variable_of_its_own_hides_the_inherited_one() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let env = Environment {
            inherited: Arc::new([pair("A", "theirs"), pair("B", "theirs")].into()),
            own: [pair("B", "mine"), pair("C", "mine")].into(),
        };
        assert_eq!(env.get(OsStr::new("A")), Some(OsStr::new("theirs")));
        assert_eq!(env.get(OsStr::new("B")), Some(OsStr::new("mine")));
        let all: Vec<_> = env.iter().collect();
        assert_eq!(
            all,
            [("A", "theirs"), ("B", "mine"), ("C", "mine")]
                .map(|(n, v)| (OsStr::new(n), OsStr::new(v)))
        );
    }
}
