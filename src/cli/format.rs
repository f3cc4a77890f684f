//! How times and figures look to people. Pure.

use std::time::Duration;

use crate::clock::Wall;
use crate::text;

/// `22:13:20Z`, with the date before it when it was not on the day of `now` (both in UTC).
pub fn when(time: Wall, now: Wall) -> String {
    let (text, today) = (time.to_string(), now.to_string());
    let Some((date, clock)) = text.split_once('T') else {
        return text;
    };
    let clock = clock.split_once('.').map_or(clock, |(seconds, _)| seconds);
    if today.starts_with(date) {
        format!("{clock}Z")
    } else {
        format!("{date} {clock}Z")
    }
}

/// Seconds as a duration for people.
pub fn seconds(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // Tenths of a second are noise in a table.
    text::duration(match duration.as_secs() {
        0 => duration,
        whole => Duration::from_secs(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_shown_when_it_is_not_today() {
        let time = Wall::from_millis(1_700_000_000_123);
        assert_eq!(when(time, time + Duration::from_mins(1)), "22:13:20Z");
        assert_eq!(
            when(time, time + Duration::from_hours(2)),
            "2023-11-14 22:13:20Z"
        );
    }

    #[test]
    fn seconds_are_whole_from_the_first_on() {
        assert_eq!(seconds(0.25), "250ms");
        assert_eq!(seconds(4.9), "4s");
        assert_eq!(seconds(-1.0), "0ms");
        assert_eq!(seconds(192.4), "3m 12s");
    }
}
