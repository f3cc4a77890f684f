//! What the shutdown says: the line while it waits, and the account at its end. Pure.

use std::fmt;
use std::time::Duration;

use crate::clock::Mono;
use crate::limits;
use crate::model::stop::StopProgress;
use crate::model::urgency::Urgency;
use crate::text;

/// Somebody a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who.
    pub name: String,
    /// Where its stop stands; none while it has not been asked to end.
    pub stands: Option<StopProgress>,
}

impl Waiting {
    /// Somebody who has not been asked yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            stands: None,
        }
    }
}

/// `waiting for web (TERM 4s ago, KILL in 6s), db`; `None` when nobody is waited for.
#[must_use]
pub fn waiting_line(waiting: &[Waiting], now: Mono) -> Option<String> {
    if waiting.is_empty() {
        return None;
    }
    let shown: Vec<String> = waiting
        .iter()
        .take(limits::PROGRESS_NAMES)
        .map(|w| one(w, now))
        .collect();
    let more = match waiting.len().saturating_sub(limits::PROGRESS_NAMES) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!("waiting for {}{more}", shown.join(", ")))
}

fn one(waiting: &Waiting, now: Mono) -> String {
    match &waiting.stands {
        None => waiting.name.clone(),
        Some(stands) => format!("{} ({})", waiting.name, stands.words(now)),
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work; the text says what it drained.
    Done(String),
    /// It could not; the text says why.
    Failed(String),
    /// It did not return in time and was left behind.
    TimedOut,
    /// It was not begun: a third signal came first.
    Skipped,
}

/// The account of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The step.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it ran.
    pub took: Duration,
    /// For whom it was still waiting at its end.
    pub left: Vec<String>,
}

/// `programs: 3 stopped (1.2s)`.
impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.outcome {
            Outcome::Done(text) if text.is_empty() => f.write_str("done")?,
            Outcome::Done(text) => f.write_str(text)?,
            Outcome::Failed(text) => write!(f, "failed: {text}")?,
            Outcome::TimedOut => f.write_str("did not end in time")?,
            Outcome::Skipped => return f.write_str("not begun"),
        }
        if !self.left.is_empty() {
            write!(f, ", left: {}", self.left.join(", "))?;
        }
        write!(f, " ({})", text::duration(self.took))
    }
}

/// The account of the whole shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every step, in order.
    pub steps: Vec<StepReport>,
    /// The highest urgency there was.
    pub urgency: Urgency,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Whether every step did its work and nobody had to hurry it.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.urgency == Urgency::Clean
            && self
                .steps
                .iter()
                .all(|s| matches!(s.outcome, Outcome::Done(_)))
    }

    /// What was left undone, in one line; empty when nothing was.
    #[must_use]
    pub fn left(&self) -> String {
        let undone: Vec<String> = self
            .steps
            .iter()
            .filter(|s| !matches!(s.outcome, Outcome::Done(_)))
            .map(ToString::to_string)
            .collect();
        undone.join("; ")
    }
}

/// One line a step, then the whole.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        let how = if self.is_clean() {
            "cleanly"
        } else {
            "not cleanly"
        };
        write!(f, "ended {how} in {}", text::duration(self.took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Signal;
    use crate::model::stop::StopAct;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_line_says_for_whom_since_when_and_until_when() {
        let web = Waiting {
            stands: Some(StopProgress {
                last: Some((StopAct::Signal(Signal::TERM), at(6_000))),
                next: (StopAct::Signal(Signal::KILL), at(15_900)),
            }),
            ..Waiting::new("web")
        };
        let line = waiting_line(&[web.clone(), Waiting::new("db")], at(10_020));
        assert_eq!(
            line.as_deref(),
            Some("waiting for web (TERM 4s ago, KILL in 6s), db")
        );
        let late = waiting_line(&[web], at(16_000));
        assert_eq!(
            late.as_deref(),
            Some("waiting for web (TERM 10s ago, KILL is due)")
        );
        assert_eq!(waiting_line(&[], at(0)), None);
    }

    #[test]
    fn five_hundred_names_are_five_and_a_number() {
        let many = vec![Waiting::new("w"); 500];
        let line = waiting_line(&many, at(0)).unwrap_or_default();
        assert_eq!(line, "waiting for w, w, w, w, w and 495 more");
    }

    #[test]
    fn the_account_says_what_was_left() {
        let step = |name, outcome, left: &[&str]| StepReport {
            name,
            outcome,
            took: Duration::from_secs(2),
            left: left.iter().map(|s| (*s).to_owned()).collect(),
        };
        let report = Report {
            steps: vec![
                step("programs", Outcome::TimedOut, &["web"]),
                step("flush", Outcome::Done("5 samples".to_owned()), &[]),
                step("store", Outcome::Skipped, &[]),
            ],
            urgency: Urgency::Exit,
            took: Duration::from_secs(4),
        };
        assert_eq!(
            report.left(),
            "programs: did not end in time, left: web (2s); store: not begun"
        );
        assert_eq!(
            report.to_string().lines().collect::<Vec<_>>()[1..],
            [
                "flush: 5 samples (2s)",
                "store: not begun",
                "ended not cleanly in 4s"
            ]
        );
    }
}
