//! Windows begin and end at their times, once, over restarts and reloads too.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::model::calendar::{Calendar, Line};

const DAY: u64 = 86_400;

fn wall(seconds: u64) -> Wall {
    Wall::from_millis(i64::try_from(seconds * 1_000).unwrap_or(i64::MAX))
}

fn spec(at: &str, hours: u64) -> MaintenanceSpec {
    MaintenanceSpec {
        programs: vec!["web".to_owned()],
        schedule: Calendar {
            lines: vec![Line::parse(at).expect("a time")],
            zone: TimeZone::UTC,
        },
        lasts: Duration::from_hours(hours),
        reason: Some("backup".to_owned()),
    }
}

fn windows(specs: &[MaintenanceSpec]) -> Windows {
    let mut windows = Windows::default();
    windows.configure(specs);
    windows
}

#[test]
fn a_window_is_one_silence_from_its_time_to_its_end() {
    let mut windows = windows(&[spec("03:00", 2)]);
    assert_eq!(
        windows.next(),
        Some(Wall::default()),
        "to be looked at once"
    );
    assert_eq!(windows.due(wall(DAY), &[]), []);
    let three = wall(DAY + 3 * 3_600);
    assert_eq!(windows.next(), Some(three));
    let silence = windows.due(three, &[]).remove(0);
    assert_eq!(
        (silence.since, silence.until),
        (three, wall(DAY + 5 * 3_600))
    );
    assert_eq!(silence.by, "maintenance at 03:00 for 2h");
    for later in 1..24 {
        assert_eq!(windows.due(wall(DAY + (3 + later) * 3_600), &[]), []);
    }
    assert_eq!(windows.due(wall(2 * DAY + 3 * 3_600), &[]).len(), 1);
}

#[test]
fn a_start_in_the_middle_begins_it_unless_it_is_in_force() {
    let four = wall(DAY + 4 * 3_600);
    let silence = windows(&[spec("03:00", 2)]).due(four, &[]).remove(0);
    assert_eq!(
        (silence.since, silence.until),
        (four, wall(DAY + 5 * 3_600))
    );
    let mut again = windows(&[spec("03:00", 2)]);
    assert_eq!(again.due(four, std::slice::from_ref(&silence)), []);
    assert_eq!(again.orphan(&[silence]), None);
}

#[test]
fn one_that_a_person_ends_stays_ended_over_a_reload_and_one_that_left_is_an_orphan() {
    let mut windows = windows(&[spec("03:00", 2)]);
    let three = wall(DAY + 3 * 3_600);
    let silence = windows.due(three, &[]).remove(0);
    windows.configure(&[spec("03:00", 2)]);
    assert_eq!(windows.due(three + Duration::from_mins(1), &[]), []);
    windows.configure(&[spec("03:00", 3)]);
    assert_eq!(
        windows.orphan(std::slice::from_ref(&silence)),
        Some(silence.id)
    );
    let longer = windows.due(three + Duration::from_mins(2), &[silence]);
    assert_eq!(longer[0].until, wall(DAY + 6 * 3_600));
    let by_hand = Silence {
        by: "uid 0".to_owned(),
        ..longer[0].clone()
    };
    windows.configure(&[]);
    assert_eq!(windows.orphan(&[by_hand]), None);
}

#[test]
fn one_that_overlaps_follows_and_one_that_a_start_found_stays_ended_too() {
    let often = MaintenanceSpec {
        schedule: Calendar {
            lines: ["03:00", "04:00"]
                .map(|at| Line::parse(at).expect("a time"))
                .into(),
            zone: TimeZone::UTC,
        },
        ..spec("03:00", 2)
    };
    let hour = |h: u64| wall(DAY + h * 3_600);
    let mut windows = windows(&[often]);
    let first = windows.due(hour(3), &[]).remove(0);
    assert_eq!(windows.due(hour(4), std::slice::from_ref(&first)), []);
    windows.look_again();
    let second = windows.due(hour(5), &[]).remove(0);
    assert_eq!((first.until, second.until), (hour(5), hour(6)));
    let mut next = super::Windows::default();
    next.configure(&[windows.windows[0].spec.clone()]);
    assert_eq!(next.due(hour(5), &[second]), []);
    next.look_again();
    assert_eq!(next.due(hour(5) + Duration::from_mins(1), &[]), []);
}

#[test]
fn at_any_second_it_is_in_a_window_exactly_when_the_plain_model_says_so() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..500 {
        let (hour, hours) = (rng.u64(0..24), rng.u64(1..24));
        let spec = spec(&format!("{hour:02}:00"), hours);
        let now = 10 * DAY + rng.u64(0..DAY);
        // Of today's and yesterday's the later that has begun.
        let today = 10 * DAY + hour * 3_600;
        let began = if today <= now { today } else { today - DAY };
        let expected = (now < began + hours * 3_600).then(|| wall(began));
        assert_eq!(spec.began(wall(now)), expected, "{hour} {hours} {now}");
    }
}
