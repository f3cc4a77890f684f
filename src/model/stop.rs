//! How a program is asked to end: the steps as configured, and where a stop under way stands, in words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::program::Signal;
use crate::clock::Mono;
use crate::text;

/// How a program is asked to end, before it is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopPlan {
    /// `stop_stdin`: lines and the pauses between them; empty without it.
    pub lines: Vec<StopStep>,
    /// `stop_signal`: signals and the pauses between them; the first and the last are signals.
    pub signals: Vec<StopStep>,
}

impl StopPlan {
    /// One signal and nothing else.
    #[must_use]
    pub fn of(signal: Signal) -> Self {
        Self {
            lines: Vec::new(),
            signals: vec![StopStep::Act(StopAct::Signal(signal))],
        }
    }

    /// The signal before KILL.
    #[must_use]
    pub fn last_signal(&self) -> Signal {
        let mut signals = self.signals.iter().rev();
        let last = signals.find_map(|step| match step {
            StopStep::Act(StopAct::Signal(signal)) => Some(*signal),
            StopStep::Act(StopAct::Line(_)) | StopStep::Wait(_) => None,
        });
        last.unwrap_or(Signal::TERM)
    }
}

/// One step of a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopStep {
    /// Something is done to the program.
    Act(StopAct),
    /// Nothing is, for so long.
    Wait(Duration),
}

/// What is done to a program for it to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopAct {
    /// The line is typed into its standard input.
    Line(ConsoleLine),
    /// It is sent the signal.
    Signal(Signal),
}

/// A line for a program's standard input. What was filled in from the environment may be a secret: only the
/// text as it was written is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    /// What is typed, without its end.
    pub text: Arc<str>,
    /// As it was written.
    pub written: Arc<str>,
}

/// `"say bye"`, cut to what fits a line of progress.
impl fmt::Display for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = text::printable(self.written.as_bytes());
        write!(
            f,
            "\"{}\"",
            text::cut(&shown, crate::limits::STOP_LINE_SHOWN)
        )
    }
}

impl fmt::Debug for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.written)
    }
}

/// `TERM`, or `"stop"`.
impl fmt::Display for StopAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => line.fmt(f),
            Self::Signal(signal) => {
                let name = signal.to_string();
                f.write_str(name.strip_prefix("SIG").unwrap_or(&name))
            }
        }
    }
}

/// Where a stop under way stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopProgress {
    /// What was done last, and when; nothing yet, at the very beginning.
    pub last: Option<(StopAct, Mono)>,
    /// What is done next, and when; KILL comes last, and again.
    pub next: (StopAct, Mono),
}

impl StopProgress {
    /// `TERM 4s ago, KILL in 6s`, or `"stop" typed 4s ago, TERM in 6s`.
    #[must_use]
    pub fn words(&self, now: Mono) -> String {
        // Half a second more, then cut: rounded to whole seconds.
        let whole = |d: Duration| d.saturating_add(Duration::from_millis(500)).as_secs();
        let last = self.last.as_ref().map(|(act, at)| {
            let typed = match act {
                StopAct::Line(_) => " typed",
                StopAct::Signal(_) => "",
            };
            format!("{act}{typed} {}s ago, ", whole(now.since(*at)))
        });
        let (act, at) = &self.next;
        let next = match at.since(now) {
            Duration::ZERO => format!("{act} is due"),
            left => format!("{act} in {}s", whole(left)),
        };
        last.unwrap_or_default() + &next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_words_say_what_was_done_and_what_comes_next() {
        let stop = StopAct::Line(ConsoleLine {
            text: "login hunter2\x07".into(),
            written: "login ${PASSWORD}\x07".into(),
        });
        let (term, kill) = (StopAct::Signal(Signal::TERM), StopAct::Signal(Signal::KILL));
        for (last, next, now, words) in [
            (
                Some((term.clone(), at(0))),
                (kill.clone(), at(9_900)),
                4_020,
                "TERM 4s ago, KILL in 6s",
            ),
            (
                Some((term.clone(), at(0))),
                (kill, at(9_900)),
                10_000,
                "TERM 10s ago, KILL is due",
            ),
            (
                Some((stop.clone(), at(0))),
                (term, at(10_000)),
                4_000,
                "\"login ${PASSWORD}\\x07\" typed 4s ago, TERM in 6s",
            ),
            (
                None,
                (stop, at(1_000)),
                0,
                "\"login ${PASSWORD}\\x07\" in 1s",
            ),
        ] {
            let progress = StopProgress { last, next };
            assert_eq!(progress.words(at(now)), words);
            assert!(!format!("{progress:?}").contains("hunter2"));
        }
    }
}
