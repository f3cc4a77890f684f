//! Times by the calendar: lines of cron in a time zone, and the first moment after another. Pure.
//!
//! Where the clock is set forward, a time that does not exist that day comes at the moment after the gap; where it is
//! set back, a time that exists twice comes once, the first time. A line of every hour (`*`) is another thing: it goes
//! by elapsed time, through both hours of the same name and past the one that is not there.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::clock::Wall;
use crate::limits;

/// Times that come again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// As they were written, for people.
    pub lines: Vec<Line>,
    /// Whose days and hours.
    pub zone: TimeZone,
}

impl Calendar {
    /// The first of its times after `now`; none when there is none for years.
    #[must_use]
    pub fn next_after(&self, now: Wall) -> Option<Wall> {
        let lines = self.lines.iter();
        lines
            .filter_map(|line| next_after(line, &self.zone, now))
            .min()
    }

    /// As people read it: `04:00, 16:00`.
    #[must_use]
    pub fn words(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| &*line.written).collect();
        lines.join(", ")
    }
}

/// One line of cron, or one time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As written.
    written: String,
    /// The minutes, hours, days of the month, months and days of the week (0 is Sunday) it has, a bit each.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both days of the month and days of the week are limited: a day of either kind will do.
    is_either_day: bool,
}

/// A field of a line: its name, its least and greatest value, and the names of its values from the least on.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 8] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const FIELDS: [Field; 5] = [
    Field::new("minute", 0, 59),
    Field::new("hour", 0, 23),
    Field::new("day of the month", 1, 31),
    Field {
        names: &MONTHS,
        ..Field::new("month", 1, 12)
    },
    // 7 is Sunday too.
    Field {
        names: &WEEKDAYS,
        ..Field::new("day of the week", 0, 7)
    },
];

/// What crons know by a name.
const NAMED: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const EVERY_HOUR: u64 = (1 << 24) - 1;
const MINUTES_OF_A_DAY: u32 = 24 * 60;

impl Field {
    const fn new(name: &'static str, min: u8, max: u8) -> Self {
        Self {
            name,
            min,
            max,
            names: &[],
        }
    }

    /// The bits of `text`: `*`, `5`, `1-5`, `mon-fri`, `*/15`, `0-30/10`, and lists of these.
    fn bits(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.bits_of_part(part)?;
        }
        Ok(bits)
    }

    fn bits_of_part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(part, step)?)),
            None => (part, None),
        };
        let (from, to) = if range == "*" {
            (self.min, self.max)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.value(from)?, self.end(to)?)
        } else {
            let from = self.value(range)?;
            // `5/15` is from 5 on.
            (from, step.map_or(from, |_| self.max))
        };
        if from > to {
            return Err(format!("{part} of the {} goes backwards", self.name));
        }
        let values = (from..=to).step_by(usize::from(step.unwrap_or(1)));
        Ok(values.fold(0, |bits, value| bits | 1 << value))
    }

    fn step(&self, part: &str, step: &str) -> Result<u8, String> {
        let step = step.parse().ok().filter(|step| *step > 0);
        step.ok_or_else(|| format!("{part} of the {} has no step", self.name))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let lower = text.to_ascii_lowercase();
        let named = self
            .names
            .iter()
            .zip(self.min..)
            .find(|(n, _)| **n == lower);
        let value = named.map(|(_, value)| value).or_else(|| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        });
        let value = value.filter(|value| (self.min..=self.max).contains(value));
        value.ok_or_else(|| {
            let (text, name) = (crate::text::printable(text.as_bytes()), self.name);
            let (min, max) = (self.min, self.max);
            format!("\"{text}\" is no {name}, which goes from {min} to {max}")
        })
    }

    /// The end of a range: Sunday is its last day, as in `fri-sun`.
    fn end(&self, text: &str) -> Result<u8, String> {
        let value = self.value(text)?;
        let is_sunday = self.max == 7 && value == 0 && !text.starts_with('0');
        Ok(if is_sunday { self.max } else { value })
    }
}

impl Line {
    /// Reads `04:00`, `0 4 * * mon` or `@daily`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(written: &str) -> Result<Self, String> {
        let written = written.trim();
        let text = NAMED.iter().find(|(name, _)| *name == written);
        let text = text.map_or(written, |(_, line)| line);
        if let Some(line) = time_of_day(text) {
            return Self::of_fields(written, &line);
        }
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let count = parts.len();
        let parts: [&str; 5] = parts.try_into().map_err(|_| {
            let shown = crate::text::printable(written.as_bytes());
            format!("\"{shown}\" has {count} fields and is no time of day")
        })?;
        Self::of_fields(written, &parts.map(str::to_owned))
    }

    fn of_fields(written: &str, parts: &[String; 5]) -> Result<Self, String> {
        let mut bits = [0; 5];
        for ((bits, field), part) in bits.iter_mut().zip(&FIELDS).zip(parts) {
            *bits = field.bits(part)?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let line = Self {
            written: written.to_owned(),
            minutes,
            hours,
            days,
            months,
            weekdays: weekdays | weekdays >> 7 & 1,
            is_either_day: !parts[2].starts_with('*') && !parts[4].starts_with('*'),
        };
        let any = Date::constant(2000, 1, 1).at(0, 0, 0, 0);
        let (from, end) = (
            any,
            any.saturating_add(SignedDuration::from_hours(HORIZON_HOURS)),
        );
        if line.first_in(from, end).is_none() {
            return Err("there is no such day".to_owned());
        }
        Ok(line)
    }

    /// Whether it goes by elapsed time.
    fn is_of_every_hour(&self) -> bool {
        self.hours == EVERY_HOUR
    }

    fn has_day(&self, date: Date) -> bool {
        let bit = |bits: u64, value: i8| bits & (1 << value) != 0;
        let day = bit(self.days, date.day());
        let weekday = bit(self.weekdays, date.weekday().to_sunday_zero_offset());
        let is_its_day = if self.is_either_day {
            day || weekday
        } else {
            day && weekday
        };
        bit(self.months, date.month()) && is_its_day
    }

    /// The first of its times of day that is not before `minute` of the day.
    fn time_from(&self, minute: u32) -> Option<Time> {
        let minutes = minute..MINUTES_OF_A_DAY;
        let is_its =
            |at: &u32| self.hours & (1 << (at / 60)) != 0 && self.minutes & (1 << (at % 60)) != 0;
        let at = minutes.into_iter().find(is_its)?;
        let (hour, minute) = (i8::try_from(at / 60).ok()?, i8::try_from(at % 60).ok()?);
        Time::new(hour, minute, 0, 0).ok()
    }

    /// The first of its times from `from` on and before `end`, by a clock that is never set.
    fn first_in(&self, from: DateTime, end: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let time = from.time();
        let is_whole = time.second() == 0 && time.subsec_nanosecond() == 0;
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute()) + i32::from(!is_whole);
        let mut minute = u32::try_from(minute).unwrap_or(0);
        while date <= end.date() {
            if self.has_day(date)
                && let Some(time) = self.time_from(minute)
            {
                let at = date.to_datetime(time);
                return (at < end).then_some(at);
            }
            date = date.tomorrow().ok()?;
            minute = 0;
        }
        None
    }
}

/// `04:00` as the fields of a line.
fn time_of_day(text: &str) -> Option<[String; 5]> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |text: &str, len: std::ops::RangeInclusive<usize>| {
        len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let is_time = is_number(hour, 1..=2) && is_number(minute, 2..=2);
    is_time.then(|| [minute, hour, "*", "*", "*"].map(str::to_owned))
}

const HORIZON_HOURS: i64 = 24 * limits::CALENDAR_DAYS;
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);

/// Walks the stretches of time between the settings of the zone's clock; within one of them the clock is never set.
fn next_after(line: &Line, zone: &TimeZone, now: Wall) -> Option<Wall> {
    let mut at = Timestamp::from_millisecond(now.millis().saturating_add(1)).ok()?;
    let horizon = at
        .saturating_add(SignedDuration::from_hours(HORIZON_HOURS))
        .ok()?;
    while at < horizon {
        let end = zone.following(at).next().map(|set| set.timestamp());
        let stretch = Stretch::new(zone, at, end);
        if let Some(found) = stretch.first_of(line) {
            return Some(Wall::from_millis(found.as_millisecond()));
        }
        at = end?;
    }
    None
}

/// From a moment to the next setting of the clock.
struct Stretch<'a> {
    zone: &'a TimeZone,
    from: Timestamp,
    end: Option<Timestamp>,
    /// When the clock was last set, at `from` or before.
    set: Option<Timestamp>,
}

impl<'a> Stretch<'a> {
    fn new(zone: &'a TimeZone, from: Timestamp, end: Option<Timestamp>) -> Self {
        let just_after = from.saturating_add(INSTANT).unwrap_or(from);
        let set = zone.preceding(just_after).next().map(|set| set.timestamp());
        Self {
            zone,
            from,
            end,
            set,
        }
    }

    fn first_of(&self, line: &Line) -> Option<Timestamp> {
        let offset = self.zone.to_offset(self.from);
        let mut from = offset.to_datetime(self.from);
        if let Some(set) = self.set
            && !line.is_of_every_hour()
        {
            let before = self
                .zone
                .to_offset(set.saturating_sub(INSTANT).unwrap_or(set));
            let (was, is) = (before.to_datetime(set), offset.to_datetime(set));
            // What the clock was set past comes now.
            if set == self.from && was < is && line.first_in(was, is).is_some() {
                return Some(set);
            }
            // What it shows for the second time has been.
            if is < was {
                from = from.max(was);
            }
        }
        let end = self
            .end
            .map_or(DateTime::MAX, |end| offset.to_datetime(end));
        offset.to_timestamp(line.first_in(from, end)?).ok()
    }
}

#[cfg(test)]
mod tests;
