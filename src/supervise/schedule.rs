//! When the clock next asks something of a slot, whatever becomes of the clock: pure, told the moment.
//!
//! - A time that was missed, because the machine slept or its clock was set forward, is made up for once while it is
//!   no longer ago than [`limits::SCHEDULE_GRACE`]; older ones are over, and that is told.
//! - Set back by no more than that, the clock repeats nothing that has been. Set back further it was wrong before, and
//!   what has been counts no more.

use std::ops::Range;

use crate::clock::Wall;
use crate::limits;
use crate::model::calendar::Calendar;
use crate::model::timing::Announcement;

/// One calendar, followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clockwork {
    next: Option<Wall>,
    /// Everything up to here has been.
    done: Option<Wall>,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing.
    Early,
    /// It is time.
    Due,
    /// This time is over, and was not made up for.
    Missed(Wall),
}

impl Clockwork {
    /// The next time, as far as is known.
    pub fn next(&self) -> Option<Wall> {
        self.next
    }

    /// Looks at the clock. Whatever comes of it, [`Clockwork::next`] then lies ahead.
    pub fn look(&mut self, calendar: &Calendar, now: Wall) -> Look {
        if self
            .done
            .is_some_and(|done| done.since(now) > limits::SCHEDULE_GRACE)
        {
            self.done = None;
        }
        let look = match self.next {
            Some(next) if next <= now => {
                self.done = Some(now);
                judge(calendar, next, now)
            }
            Some(_) | None => Look::Early,
        };
        let after = self.done.map_or(now, |done| done.max(now));
        self.next = calendar.next_after(after);
        look
    }
}

/// Of the times from `next` to `now`: whether one is recent enough to be made up for.
fn judge(calendar: &Calendar, next: Wall, now: Wall) -> Look {
    let grace = i64::try_from(limits::SCHEDULE_GRACE.as_millis()).unwrap_or(i64::MAX);
    let from = next.max(Wall::from_millis(now.millis().saturating_sub(grace)));
    let just_before = Wall::from_millis(from.millis() - 1);
    match calendar.next_after(just_before) {
        Some(time) if time <= now => Look::Due,
        Some(_) | None => Look::Missed(next),
    }
}

/// The lines before one time, each typed once however the clock is set, and in time or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Countdown {
    /// The time they are about.
    of: Option<Wall>,
    /// The moment of the last line that has been, or whose time was passed over.
    done: Option<Wall>,
    next: Option<Wall>,
}

impl Countdown {
    /// When the next line comes.
    pub fn next(&self) -> Option<Wall> {
        self.next
    }

    /// Those of `lines`, which come in this order before `time`, that are to be typed now.
    pub fn look(&mut self, lines: &[Announcement], time: Wall, now: Wall) -> Range<usize> {
        if self.of != Some(time) {
            *self = Self {
                of: Some(time),
                ..Self::default()
            };
        }
        let moment = |line: &Announcement| {
            let before = i64::try_from(line.before.as_millis()).unwrap_or(i64::MAX);
            Wall::from_millis(time.millis().saturating_sub(before))
        };
        // What was passed over longer ago is not true any more.
        let is_over = |at: Wall| {
            self.done.is_some_and(|done| at <= done)
                || (at <= now && now.since(at) > limits::ANNOUNCE_LATE)
        };
        let from = lines.partition_point(|line| is_over(moment(line)));
        let to = from + lines[from..].partition_point(|line| moment(line) <= now);
        self.done = to
            .checked_sub(1)
            .map(|last| moment(&lines[last]))
            .max(self.done);
        self.next = lines.get(to).map(moment);
        from..to
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::calendar::Line;

    fn calendar(line: &str) -> Calendar {
        Calendar {
            lines: vec![Line::parse(line).expect("a line")],
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    /// Minutes of one day, as moments.
    fn at(hour: i64, minute: i64) -> Wall {
        Wall::from_millis((hour * 60 + minute) * 60_000 + 86_400_000 * 20_000)
    }

    #[test]
    fn a_time_comes_once_however_the_clock_is_set() {
        use Look::{Due, Early, Missed};
        let four = calendar("04:00");
        let tables: &[&[(Wall, Look)]] = &[
            // As usual.
            &[
                (at(3, 0), Early),
                (at(4, 0), Due),
                (at(4, 0), Early),
                (at(28, 0), Due),
            ],
            // Slept over it for a little, and for long.
            &[(at(3, 0), Early), (at(4, 40), Due), (at(4, 41), Early)],
            &[
                (at(3, 0), Early),
                (at(9, 0), Missed(at(4, 0))),
                (at(28, 0), Due),
            ],
            // Set back over it: it has been.
            &[
                (at(3, 0), Early),
                (at(4, 0), Due),
                (at(3, 30), Early),
                (at(4, 0), Early),
                (at(28, 0), Due),
            ],
            // Set forward, made up for, and set right: it has been.
            &[
                (at(3, 0), Early),
                (at(4, 30), Due),
                (at(3, 50), Early),
                (at(4, 0), Early),
                (at(28, 0), Due),
            ],
            // A clock that was wrong by months and is set right.
            &[
                (at(2_000, 0), Early),
                (at(2_020, 0), Due),
                (at(3, 0), Early),
                (at(4, 0), Due),
            ],
            // Set back before anything was due: an earlier time lies ahead again.
            &[(at(5, 0), Early), (at(3, 0), Early), (at(4, 0), Due)],
        ];
        for table in tables {
            let mut clockwork = Clockwork::default();
            for (now, look) in *table {
                assert_eq!(clockwork.look(&four, *now), *look, "{now} of {table:?}");
                let next = clockwork.next().expect("there is one");
                assert!(next > *now, "{next} lies ahead of {now}");
            }
        }
    }

    #[test]
    fn many_missed_times_are_made_up_for_by_one() {
        let often = calendar("*/5 * * * *");
        let mut clockwork = Clockwork::default();
        assert_eq!(clockwork.look(&often, at(1, 1)), Look::Early);
        assert_eq!(clockwork.look(&often, at(9, 3)), Look::Due);
        assert_eq!(clockwork.next(), Some(at(9, 5)));
        assert_eq!(clockwork.look(&often, at(9, 4)), Look::Early);
    }

    #[test]
    fn whatever_the_clock_does_no_time_comes_twice_within_the_grace_and_none_is_lost_in_silence() {
        fastrand::seed(7);
        let calendar = calendar("*/10 * * * *");
        for _ in 0..300 {
            let mut clockwork = Clockwork::default();
            let mut now = at(12, 0);
            let mut last_due: Option<Wall> = None;
            for _ in 0..100 {
                // Set back this far the clock was wrong before.
                last_due = last_due.filter(|last| last.since(now) <= limits::SCHEDULE_GRACE);
                if clockwork.look(&calendar, now) == Look::Due {
                    assert!(last_due.is_none_or(|last| now > last), "{now} again");
                    last_due = Some(now);
                }
                let next = clockwork.next().expect("there is one");
                assert!(
                    next > now && next.since(now) <= Duration::from_mins(130),
                    "{next} {now}"
                );
                let minutes = fastrand::i64(-100..200);
                now = if fastrand::bool() {
                    next
                } else {
                    Wall::from_millis(now.millis() + minutes * 60_000)
                };
            }
        }
    }

    fn announcements(seconds: &[u64]) -> Vec<Announcement> {
        let line = |before: &u64| Announcement {
            before: Duration::from_secs(*before),
            line: crate::model::stop::ConsoleLine {
                text: "".into(),
                written: "".into(),
            },
        };
        seconds.iter().map(line).collect()
    }

    #[test]
    fn lines_are_typed_once_and_in_time_or_not_at_all() {
        let lines = announcements(&[600, 300, 60, 60, 1]);
        let four = at(4, 0);
        let after = |now: Wall, ms: i64| Wall::from_millis(now.millis() + ms);
        let mut countdown = Countdown::default();
        for (now, typed, next) in [
            (at(3, 40), 0..0, Some(at(3, 50))),
            (after(at(3, 50), 300), 0..1, Some(at(3, 55))),
            (after(at(3, 50), 400), 1..1, Some(at(3, 55))),
            // Set back: it has been said, and what is next is the next one.
            (at(3, 45), 1..1, Some(at(3, 55))),
            (at(3, 50), 1..1, Some(at(3, 55))),
            // Two minutes before it, "in 5 minutes" is not true any more.
            (at(3, 58), 2..2, Some(at(3, 59))),
            // Two of one moment, and one right after it.
            (at(3, 59), 2..4, Some(after(four, -1_000))),
            (after(four, -500), 4..5, None),
            (after(four, -400), 5..5, None),
        ] {
            assert_eq!(countdown.look(&lines, four, now), typed, "{now}");
            assert_eq!(countdown.next(), next, "{now}");
        }
        // Another time is another countdown.
        assert_eq!(countdown.look(&lines, at(28, 0), four), 0..0);
        assert_eq!(countdown.next(), Some(at(27, 50)));
    }

    #[test]
    fn other_lines_for_the_same_time_repeat_nothing() {
        let four = at(4, 0);
        let mut countdown = Countdown::default();
        assert_eq!(
            countdown.look(&announcements(&[300]), four, at(3, 55)),
            0..1
        );
        let more = announcements(&[301, 300, 299]);
        assert_eq!(countdown.look(&more, four, at(3, 55)), 2..2);
        assert!(countdown.next().is_some_and(|next| next > at(3, 55)));
        assert_eq!(countdown.look(&[], four, at(3, 56)), 0..0);
        assert_eq!(countdown.next(), None);
    }
}
