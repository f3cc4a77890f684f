//! Rules about a program's figures: when one is broken, for how long, and what then. Plain data, and its words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::sample::Figures;
use crate::text;

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A figure of an instance's whole tree.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Figure { $($(#[$doc])* $name,)* }

        impl Figure {
            /// Every one there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in `when`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

figures! {
    /// Share of one core in percent; 100 is one core.
    Cpu = "cpu";
    /// Resident bytes.
    Memory = "memory";
    /// Processes.
    Processes = "processes";
    /// Threads.
    Threads = "threads";
    /// Open files.
    Fds = "fds";
    /// Bytes a second read from storage.
    Read = "read";
    /// Bytes a second written to storage.
    Write = "write";
    /// Restarts of the instance within the time that the rule says.
    Restarts = "restarts";
    /// Seconds since it last wrote something.
    LogSilence = "log_silence";
}

impl Figure {
    /// Its value in a sample; none of one that is not measured.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "compared with thresholds people wrote"
    )]
    pub fn of(self, figures: &Figures) -> Option<f64> {
        Some(match self {
            Self::Cpu => figures.cpu_percent,
            Self::Memory => figures.memory_bytes as f64,
            Self::Processes => f64::from(figures.processes),
            Self::Threads => f64::from(figures.threads),
            Self::Fds => f64::from(figures.open_files),
            Self::Read => figures.read_bytes as f64,
            Self::Write => figures.write_bytes as f64,
            Self::Restarts | Self::LogSilence => return None,
        })
    }

    /// `value` as people read it: `1.5 GiB`, `130%`, `12`.
    #[must_use]
    pub fn words(self, value: f64) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and no figure is that large"
        )]
        let size = || text::size(value as u64);
        match self {
            Self::Cpu => format!("{}%", (value * 10.0).round() / 10.0),
            Self::Memory => size(),
            Self::Read | Self::Write => format!("{}/s", size()),
            Self::Processes | Self::Threads | Self::Fds | Self::Restarts => format!("{value}"),
            Self::LogSilence => {
                text::duration(Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX))
            }
        }
    }
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Comparison {
    /// Every one, those of two signs first.
    pub const ALL: [(&'static str, Self); 4] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        (">", Self::Above),
        ("<", Self::Below),
    ];

    /// Whether it goes by too much, and not by too little.
    #[must_use]
    pub const fn is_upper(self) -> bool {
        match self {
            Self::Above | Self::AtLeast => true,
            Self::Below | Self::AtMost => false,
        }
    }

    fn sign(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, comparison)| *comparison == self);
        found.map_or("", |(sign, _)| sign)
    }
}

/// `memory > 1.5GiB`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub figure: Figure,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub threshold: f64,
}

impl Condition {
    /// Whether `value` breaks the rule.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > self.threshold,
            Comparison::AtLeast => value >= self.threshold,
            Comparison::Below => value < self.threshold,
            Comparison::AtMost => value <= self.threshold,
        }
    }
}

/// `memory > 1.5 GiB`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, sign) = (self.figure, self.comparison.sign());
        let threshold = figure.words(self.threshold);
        write!(f, "{} {sign} {threshold}", figure.as_str())
    }
}

/// What a broken rule does to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAct {
    /// It is ended and started anew.
    Restart,
    /// It is stopped, as by a person.
    Stop,
}

/// What a broken rule runs (`do = ["exec"]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCommand {
    /// Its argument vector; never empty.
    pub argv: Arc<[String]>,
    /// Then it is killed.
    pub timeout: Duration,
}

/// One `[[program.NAME.rule]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What breaks it.
    pub when: Condition,
    /// For so long without a break; of `restarts` the time in which they are counted.
    pub hold: Duration,
    /// People are told, as of a warning.
    pub alert: bool,
    /// What becomes of the program.
    pub act: Option<RuleAct>,
    /// What is run besides.
    pub command: Option<RuleCommand>,
}

impl Rule {
    /// What broke it: `memory 1.6 GiB > 1.5 GiB for 1m`.
    #[must_use]
    pub fn broken_words(&self, value: f64) -> String {
        let Condition {
            figure,
            comparison,
            threshold,
        } = self.when;
        let (name, value) = (figure.as_str(), figure.words(value));
        let (sign, threshold) = (comparison.sign(), figure.words(threshold));
        let hold = text::duration(self.hold);
        let hold = match figure {
            _ if self.hold.is_zero() => String::new(),
            Figure::Restarts => format!(" within {hold}"),
            _ => format!(" for {hold}"),
        };
        format!("{name} {value} {sign} {threshold}{hold}")
    }
}
