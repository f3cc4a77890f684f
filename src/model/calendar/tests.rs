//! Lines read and refused, and the walk between settings of the clock against one that goes minute by minute.

use std::collections::BTreeSet;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone of the database")
}

fn calendar(lines: &[&str], zone_name: &str) -> Calendar {
    let lines = lines.iter().map(|line| Line::parse(line).expect("a line"));
    Calendar {
        lines: lines.collect(),
        zone: zone(zone_name),
    }
}

fn wall(text: &str) -> Wall {
    Wall::parse(text).expect("a time")
}

#[track_caller]
fn assert_follows(calendar: &Calendar, now: &str, times: &[&str]) {
    let mut now = wall(now);
    for time in times {
        let next = calendar.next_after(now).expect("there is one");
        assert_eq!(next, wall(time), "{} after {now}: {next}", calendar.words());
        now = next;
    }
}

#[test]
fn times_follow_one_another_in_the_zone_they_are_of() {
    assert_follows(
        &calendar(&["04:00"], "Asia/Seoul"),
        "2026-03-01T18:59:59.999Z",
        &["2026-03-01T19:00:00Z", "2026-03-02T19:00:00Z"],
    );
    assert_follows(
        &calendar(&["4:00", "16:30"], "UTC"),
        "2026-03-01T04:00:00Z",
        &["2026-03-01T16:30:00Z", "2026-03-02T04:00:00Z"],
    );
    assert_follows(
        &calendar(&["0 4 * * mon"], "UTC"),
        "2026-03-01T00:00:00Z",
        &["2026-03-02T04:00:00Z", "2026-03-09T04:00:00Z"],
    );
    // The 13th and every Friday: when both are limited either will do.
    assert_follows(
        &calendar(&["0 0 13 * fri"], "UTC"),
        "2026-01-08T12:00:00Z",
        &[
            "2026-01-09T00:00:00Z",
            "2026-01-13T00:00:00Z",
            "2026-01-16T00:00:00Z",
        ],
    );
    assert_follows(
        &calendar(&["59 23 29 2 *"], "UTC"),
        "2026-01-01T00:00:00Z",
        &["2028-02-29T23:59:00Z", "2032-02-29T23:59:00Z"],
    );
    assert_follows(
        &calendar(&["@hourly"], "Asia/Kolkata"),
        "2026-01-01T00:00:00Z",
        &["2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z"],
    );
}

#[test]
fn a_time_that_is_not_there_comes_after_the_gap_and_one_that_is_there_twice_comes_once() {
    // Spring: 02:00 to 03:00 is not there on 29 March in Berlin.
    assert_follows(
        &calendar(&["02:30"], "Europe/Berlin"),
        "2026-03-28T00:00:00Z",
        &[
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        ],
    );
    // Several of the gap, and the moment after it: once.
    assert_follows(
        &calendar(&["02:10", "02:50", "03:00"], "Europe/Berlin"),
        "2026-03-29T00:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z"],
    );
    // Autumn: 02:00 to 03:00 is there twice on 25 October.
    assert_follows(
        &calendar(&["02:30"], "Europe/Berlin"),
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    // Started between the two.
    assert_follows(
        &calendar(&["02:30"], "Europe/Berlin"),
        "2026-10-25T01:00:00Z",
        &["2026-10-26T01:30:00Z"],
    );
    // Every hour stays every hour, in both.
    assert_follows(
        &calendar(&["30 * * * *"], "Europe/Berlin"),
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:30:00Z",
        ],
    );
    assert_follows(
        &calendar(&["30 * * * *"], "Europe/Berlin"),
        "2026-03-29T00:00:00Z",
        &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
    );
}

/// How long each zone is walked through.
const DAYS: i64 = 3;

/// What a person would do: look at every minute, and remember what the clock has shown.
fn naive(line: &Line, zone: &TimeZone, from: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let civil = |at: i64| {
        let at = from
            .saturating_add(SignedDuration::from_mins(at))
            .expect("in range");
        (at, zone.to_datetime(at))
    };
    let one = SignedDuration::from_mins(1);
    let has = |time: DateTime| line.first_in(time, time.saturating_add(one)) == Some(time);
    let mut shown: BTreeSet<DateTime> = BTreeSet::new();
    let mut found = Vec::new();
    // What was shown before `from` counts too.
    let before = -2 * 24 * 60;
    let mut last = civil(before - 1).1;
    for minute in before..minutes {
        let (at, time) = civil(minute);
        let is_new = shown.insert(time);
        let mut is_due = has(time) && (is_new || line.is_of_every_hour());
        if !line.is_of_every_hour() {
            let mut passed = last.saturating_add(one);
            while passed < time {
                is_due |= has(passed);
                passed = passed.saturating_add(one);
            }
        }
        last = time;
        if is_due && minute > 0 {
            found.push(at);
        }
    }
    found
}

fn random_line() -> Line {
    let field = |min: u8, max: u8| {
        let value = || fastrand::u8(min..=max);
        match fastrand::u8(0..6) {
            0 | 1 => "*".to_owned(),
            2 => format!("*/{}", fastrand::u8(1..=max)),
            3 => {
                let (a, b) = (value(), value());
                format!("{}-{}", a.min(b), a.max(b))
            }
            4 => format!("{},{}", value(), value()),
            _ => value().to_string(),
        }
    };
    loop {
        let fields = [
            field(0, 59),
            // Mostly where clocks are set.
            field(0, if fastrand::bool() { 4 } else { 23 }),
            field(1, 31),
            field(1, 12),
            field(0, 7),
        ];
        let days = fastrand::u8(0..3);
        let text = match days {
            0 => format!("{} {} {} * {}", fields[0], fields[1], fields[2], fields[4]),
            1 => format!("{} {} * {} *", fields[0], fields[1], fields[3]),
            _ => format!("{} {} * * *", fields[0], fields[1]),
        };
        if let Ok(line) = Line::parse(&text) {
            return line;
        }
    }
}

#[test]
fn every_line_comes_when_a_walk_minute_by_minute_finds_it() {
    fastrand::seed(20_260_301);
    // Clocks set by an hour, by half of one, at midnight, a day left out, and never.
    let zones = [
        ("Europe/Berlin", "2026-03-27T00:00:00Z"),
        ("America/New_York", "2026-10-31T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
        ("America/Havana", "2026-03-07T00:00:00Z"),
        ("America/Havana", "2026-10-31T00:00:00Z"),
        ("Pacific/Apia", "2011-12-28T00:00:00Z"),
        ("Asia/Seoul", "2026-05-01T00:00:00Z"),
    ];
    for (name, from) in zones {
        let zone = zone(name);
        let from: Timestamp = from.parse().expect("a time");
        let end = from
            .saturating_add(SignedDuration::from_hours(24 * DAYS))
            .expect("in range");
        for _ in 0..12 {
            let line = random_line();
            let expected = naive(&line, &zone, from, DAYS * 24 * 60);
            let mut found = Vec::new();
            let mut now = Wall::from_millis(from.as_millisecond());
            while let Some(next) = next_after(&line, &zone, now) {
                assert!(
                    next > now,
                    "{} in {name} stands still at {now}",
                    line.written
                );
                if next.millis() >= end.as_millisecond() {
                    break;
                }
                found.push(Timestamp::from_millisecond(next.millis()).expect("in range"));
                now = next;
            }
            assert_eq!(found, expected, "{} in {name}", line.written);
        }
    }
}

#[test]
fn what_is_no_line_is_refused_in_words() {
    for (text, words) in [
        ("", "\"\" has 0 fields and is no time of day"),
        (
            "04:00:00",
            "\"04:00:00\" has 1 fields and is no time of day",
        ),
        ("25:00", "\"25\" is no hour, which goes from 0 to 23"),
        ("04:60", "\"60\" is no minute, which goes from 0 to 59"),
        ("0 4 * *", "\"0 4 * *\" has 4 fields and is no time of day"),
        (
            "0 4 * * mno",
            "\"mno\" is no day of the week, which goes from 0 to 7",
        ),
        (
            "0 4 32 * *",
            "\"32\" is no day of the month, which goes from 1 to 31",
        ),
        (
            "0 4 * foo *",
            "\"foo\" is no month, which goes from 1 to 12",
        ),
        ("*/0 * * * *", "*/0 of the minute has no step"),
        ("50-10 * * * *", "50-10 of the minute goes backwards"),
        ("0 0 31 2 *", "there is no such day"),
        ("0 -1 * * *", "\"\" is no hour, which goes from 0 to 23"),
    ] {
        assert_eq!(Line::parse(text), Err(words.to_owned()), "{text}");
    }
    for good in [
        "0 4 * * fri-sun",
        "0 4 * * 5-7",
        "@daily",
        "*/5 * * * *",
        "5/15 1-3,7 * jan-mar *",
    ] {
        assert!(Line::parse(good).is_ok(), "{good}");
    }
    let weekend = Line::parse("0 4 * * sat-sun").expect("a line");
    let same = Line::parse("0 4 * * 0,6").expect("a line");
    assert_eq!(weekend.weekdays & 0x7f, same.weekdays & 0x7f);
}
