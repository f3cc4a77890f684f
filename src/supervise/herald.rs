//! The lines before a run's time is over, each typed once, and in time or not at all: pure, told the moment.

use std::ops::Range;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::limits;
use crate::model::timing::Announcement;

/// How far the lines of one run have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Herald {
    of: Option<RunId>,
    /// The moment of the last line that has been, or whose time was passed over.
    done: Option<Mono>,
}

fn moment(line: &Announcement, over: Mono) -> Mono {
    let before = u64::try_from(line.before.as_nanos()).unwrap_or(u64::MAX);
    Mono::from_nanos(over.nanos().saturating_sub(before))
}

impl Herald {
    fn done(&self, run: RunId) -> Option<Mono> {
        self.done.filter(|_| self.of == Some(run))
    }

    /// When the next of `lines`, which come in this order before `over`, is to be looked at.
    pub fn next(&self, lines: &[Announcement], (run, over): (RunId, Mono)) -> Option<Mono> {
        let done = self.done(run);
        let mut moments = lines.iter().map(|line| moment(line, over));
        moments.find(|at| done.is_none_or(|done| done < *at))
    }

    /// Those that are to be typed now.
    pub fn look(
        &mut self,
        lines: &[Announcement],
        (run, over): (RunId, Mono),
        now: Mono,
    ) -> Range<usize> {
        let done = self.done(run);
        // What was passed over longer ago is not true any more.
        let is_over = |at: Mono| {
            done.is_some_and(|done| at <= done)
                || (at <= now && now.since(at) > limits::ANNOUNCE_LATE)
        };
        let from = lines.partition_point(|line| is_over(moment(line, over)));
        let to = from + lines[from..].partition_point(|line| moment(line, over) <= now);
        let last = to.checked_sub(1).map(|last| moment(&lines[last], over));
        *self = Self {
            of: Some(run),
            done: last.max(done),
        };
        from..to
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::stop::ConsoleLine;

    fn lines(seconds: &[u64]) -> Vec<Announcement> {
        let line = |before: &u64| Announcement {
            before: Duration::from_secs(*before),
            line: ConsoleLine {
                text: "".into(),
                written: "".into(),
            },
        };
        seconds.iter().map(line).collect()
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn each_line_is_typed_once_in_a_run_and_in_time_or_not_at_all() {
        let all = lines(&[600, 300, 60, 60, 10]);
        let run = RunId::new();
        let until = (run, at(1_000));
        let mut herald = Herald::default();
        assert_eq!(herald.next(&all, until), Some(at(400)));
        for (now, typed, next) in [
            (300, 0..0, Some(400)),
            (401, 0..1, Some(700)),
            (401, 1..1, Some(700)),
            // Nobody looked in time.
            (703, 2..2, Some(940)),
            (940, 2..4, Some(990)),
            (991, 4..5, None),
            (992, 5..5, None),
        ] {
            assert_eq!(herald.look(&all, until, at(now)), typed, "{now}");
            assert_eq!(herald.next(&all, until), next.map(at), "{now}");
        }
        // Other lines repeat nothing, another run begins anew, and one that is shorter than its lines has the rest.
        assert_eq!(herald.next(&lines(&[700, 5]), until), Some(at(995)));
        let short = (RunId::new(), at(1_030));
        assert_eq!(herald.look(&all, short, at(1_000)), 4..4);
        assert_eq!(herald.next(&all, short), Some(at(1_020)));
    }
}
