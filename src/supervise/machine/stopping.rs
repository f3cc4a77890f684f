//! The way of a stop, from its first step to KILL, and how far it has come. Pure: when what is due, and what is
//! to be said of it; the steps themselves are `step`'s to order.

use std::time::Duration;

use crate::clock::Mono;
use crate::limits;
use crate::model::program::{ProgramSpec, Signal};
use crate::model::stop::{StopAct, StopPlan, StopProgress, StopStep};

/// A stop under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Acts and waits, without the KILL at their end; the first act is due at once.
    steps: Vec<StopStep>,
    /// Where the signals begin.
    signals_at: usize,
    /// The next act, or the end: waits have been added to `due`.
    next: usize,
    /// When that is due.
    due: Mono,
    /// What was done last, and when.
    last: Option<(StopAct, Mono)>,
    /// The same of the moment before KILL.
    before_kill: Option<(StopAct, Mono)>,
    /// KILL has been sent.
    is_killed: bool,
    /// Somebody was out of patience.
    is_hurried: bool,
    /// What the program asked for on top of the last pause.
    extended: Duration,
}

impl Sequence {
    /// Everything: the lines, if there are any, and the signals.
    pub(super) fn whole(spec: &ProgramSpec, now: Mono) -> Self {
        let StopPlan { lines, signals } = &spec.stop;
        let mut steps = lines.clone();
        if !lines.is_empty() {
            steps.push(StopStep::Wait(spec.stop_timeout));
        }
        let signals_at = steps.len();
        steps.extend(signals.iter().cloned());
        steps.push(StopStep::Wait(grace(spec)));
        Self {
            steps,
            signals_at,
            next: 0,
            due: now,
            last: None,
            before_kill: None,
            is_killed: false,
            is_hurried: false,
            extended: Duration::ZERO,
        }
    }

    /// Without the lines: nobody is there to read them.
    pub(super) fn without_lines(spec: &ProgramSpec, now: Mono) -> Self {
        let mut sequence = Self::whole(spec, now);
        sequence.skip_lines(now);
        sequence
    }

    /// When there is something to do next.
    #[must_use]
    pub fn due(&self) -> Mono {
        self.due
    }

    /// KILL has been sent.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.is_killed
    }

    /// KILL came before its time.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.is_hurried
    }

    /// The pause under way lasts until then, when that is later: the program asked for it. It does not once KILL is due.
    pub(in super::super) fn extend(&mut self, until: Mono) {
        if self.is_killed || self.last.is_none() || self.due >= until {
            return;
        }
        if self.next == self.steps.len() {
            self.extended += until.since(self.due);
        }
        self.due = until;
    }

    /// By how much the program put KILL off.
    #[must_use]
    pub fn extended(&self) -> Duration {
        self.extended
    }

    /// The next act, if one is due: to be asked until there is none.
    pub(super) fn take_due(&mut self, now: Mono) -> Option<StopAct> {
        if now < self.due {
            return None;
        }
        let Some(StopStep::Act(act)) = self.steps.get(self.next).cloned() else {
            if !self.is_killed {
                self.before_kill = self.last.take();
            }
            self.is_killed = true;
            self.due = now + limits::KILL_AGAIN_AFTER;
            self.last = Some((StopAct::Signal(Signal::KILL), now));
            return Some(StopAct::Signal(Signal::KILL));
        };
        self.next += 1;
        // From this moment, not from when it was due: a step that comes late has its whole wait all the same.
        self.due = now + self.pass_waits();
        self.last = Some((act.clone(), now));
        Some(act)
    }

    /// The lines that are left are not typed, and the pause after them is over: the first signal is due.
    pub(super) fn skip_lines(&mut self, now: Mono) {
        if self.next <= self.signals_at {
            self.next = self.signals_at;
            self.due = now;
        }
    }

    /// KILL is due.
    pub(super) fn hurry(&mut self, now: Mono) {
        let is_over = self.next == self.steps.len() && self.due <= now;
        self.is_hurried |= !self.is_killed && !is_over;
        self.next = self.steps.len();
        self.due = now;
    }

    /// The signal that was sent last, when that was not KILL.
    pub(super) fn last_signal(&self) -> Option<Signal> {
        match self.last {
            Some((StopAct::Signal(signal), _)) if !self.is_killed => Some(signal),
            Some(_) | None => None,
        }
    }

    /// What had been done last when KILL was sent.
    #[must_use]
    pub fn before_kill(&self) -> Option<&StopAct> {
        self.before_kill.as_ref().map(|(act, _)| act)
    }

    /// Where it stands, for people.
    #[must_use]
    pub fn progress(&self) -> StopProgress {
        let next = match self.steps.get(self.next) {
            Some(StopStep::Act(act)) => act.clone(),
            Some(StopStep::Wait(_)) | None => StopAct::Signal(Signal::KILL),
        };
        StopProgress {
            last: self.last.clone(),
            next: (next, self.due),
        }
    }

    /// The waits before the next act, which are passed over.
    fn pass_waits(&mut self) -> Duration {
        let mut waits = Duration::ZERO;
        while let Some(StopStep::Wait(wait)) = self.steps.get(self.next) {
            waits = waits.saturating_add(*wait);
            self.next += 1;
        }
        waits
    }
}

/// From the last signal to KILL: a program that had lines was already given its `stop_timeout` after them.
pub(in super::super) fn grace(spec: &ProgramSpec) -> Duration {
    if spec.stop.lines.is_empty() {
        spec.stop_timeout
    } else {
        limits::STOP_AFTER_LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_program_that_asks_for_it_has_more_time_before_kill_but_none_before_it_was_asked_or_after()
    {
        let spec = ProgramSpec::fixture("web");
        let mut sequence = Sequence::whole(&spec, at(0));
        sequence.extend(at(50));
        assert_eq!(sequence.due(), at(0), "nothing was asked of it yet");
        assert_eq!(
            sequence.take_due(at(0)),
            Some(StopAct::Signal(Signal::TERM))
        );
        assert_eq!(sequence.due(), at(10));
        sequence.extend(at(5));
        assert_eq!(sequence.due(), at(10), "it is never less");
        sequence.extend(at(30));
        sequence.extend(at(40));
        assert_eq!(
            (sequence.due(), sequence.extended()),
            (at(40), Duration::from_secs(30))
        );
        assert_eq!(sequence.take_due(at(39)), None);
        // Whoever is out of patience has the last word: the shutdown as a whole is not put off.
        sequence.hurry(at(39));
        assert_eq!(
            sequence.take_due(at(39)),
            Some(StopAct::Signal(Signal::KILL))
        );
        let due = sequence.due();
        sequence.extend(at(1_000));
        assert_eq!(sequence.due(), due);
    }
}
