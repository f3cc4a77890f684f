//! How long a target asks to be left alone, in all the forms in which it may say so. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Wall;
use crate::fetch::Response;

/// The wait that `response` states: in its JSON body (Discord's `retry_after`, Telegram's
/// `parameters.retry_after`), in `Retry-After` as seconds or as a date (RFC 9110 §10.2.3), or in Discord's
/// `X-RateLimit-Reset-After`.
pub(super) fn stated(response: &Response, now: Wall) -> Option<Duration> {
    from_body(response)
        .or_else(|| retry_after(response, now))
        .or_else(|| reset_after(response))
}

/// Discord's relative end of a used-up rate; the absolute one depends on both clocks.
pub(super) fn reset_after(response: &Response) -> Option<Duration> {
    seconds(response.header("x-ratelimit-reset-after")?)
}

fn from_body(response: &Response) -> Option<Duration> {
    let body: Value = super::json(response)?;
    let value = body
        .get("retry_after")
        .or_else(|| body.pointer("/parameters/retry_after"))?;
    let seconds = value
        .as_f64()
        .or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()))?;
    from_seconds(seconds)
}

fn retry_after(response: &Response, now: Wall) -> Option<Duration> {
    let text = response.header("retry-after")?;
    if let Some(wait) = seconds(text) {
        return Some(wait);
    }
    let at = http_date(text)?;
    // Counted on the server's own clock where it tells the time: ours may be wrong.
    let from = response.header("date").and_then(http_date).unwrap_or(now);
    Some(at.since(from))
}

fn seconds(text: &str) -> Option<Duration> {
    from_seconds(text.trim().parse().ok()?)
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).unwrap_or(Duration::ZERO))
}

/// The three forms of RFC 9110 §5.6.7, all in UTC: `Sun, 06 Nov 1994 08:49:37 GMT`,
/// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
fn http_date(text: &str) -> Option<Wall> {
    let parts: Vec<&str> = text
        .split([' ', ',', '-'])
        .filter(|part| !part.is_empty())
        .collect();
    // The weekday is not looked at. The last form has no zone and the year at its end.
    let ([_, day, month, year, clock, "GMT" | "UTC"] | [_, month, day, clock, year]) =
        *parts.as_slice()
    else {
        return None;
    };
    let mut hms = clock.split(':').map(str::parse::<i8>);
    let (hour, minute, second) = (hms.next()?.ok()?, hms.next()?.ok()?, hms.next()?.ok()?);
    let date =
        jiff::civil::Date::new(full_year(year)?, month_number(month)?, day.parse().ok()?).ok()?;
    // A leap second is shown as 60.
    let time = jiff::civil::Time::new(hour, minute, second.min(59), 0).ok()?;
    let utc = date
        .to_datetime(time)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?;
    Some(Wall::from_millis(utc.timestamp().as_millisecond()))
}

/// Two digits are of this century: no wait is stated by a date long past.
fn full_year(text: &str) -> Option<i16> {
    let year: i16 = text.parse().ok()?;
    Some(if text.len() == 2 { 2000 + year } else { year })
}

fn month_number(name: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let at = NAMES.iter().position(|n| name.eq_ignore_ascii_case(n))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-06T08:49:00Z";

    fn wait(headers: &[(&str, &str)], body: &str) -> Option<f64> {
        let response = Response {
            status: 429,
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
        };
        let now = Wall::parse(NOW).expect("a time");
        stated(&response, now).map(|d| d.as_secs_f64())
    }

    #[test]
    fn seconds_may_be_whole_or_not_and_nonsense_is_no_wait() {
        for (text, expected) in [
            ("120", Some(120.0)),
            ("1.5", Some(1.5)),
            (" 7 ", Some(7.0)),
            ("0", Some(0.0)),
            ("-5", Some(0.0)),
            ("inf", Some(1e9)),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(&[("retry-after", text)], ""), expected, "{text}");
        }
    }

    #[test]
    fn dates_come_in_three_forms() {
        for date in [
            "Fri, 06 Nov 2026 08:49:37 GMT",
            "Friday, 06-Nov-26 08:49:37 GMT",
            "Fri Nov  6 08:49:37 2026",
        ] {
            assert_eq!(wait(&[("retry-after", date)], ""), Some(37.0), "{date}");
        }
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait(&[("retry-after", past)], ""), Some(0.0));
        for bad in [
            "Fri, 36 Nov 2026 08:49:37 GMT",
            "Fri, 06 Nox 2026 08:49:37 GMT",
            "Fri, 06 Nov 2026 28:49:37 GMT",
            "Fri, 06 Nov 2026 08:49 GMT",
        ] {
            assert_eq!(wait(&[("retry-after", bad)], ""), None, "{bad}");
        }
    }

    #[test]
    fn a_date_is_counted_on_the_servers_own_clock() {
        let headers = [
            ("retry-after", "Fri, 06 Nov 2026 12:00:10 GMT"),
            ("date", "Fri, 06 Nov 2026 12:00:00 GMT"),
        ];
        assert_eq!(wait(&headers, ""), Some(10.0));
    }

    #[test]
    fn the_body_says_it_more_exactly_than_the_header() {
        assert_eq!(
            wait(
                &[("retry-after", "65")],
                r#"{"retry_after": 64.57, "global": false}"#
            ),
            Some(64.57)
        );
        assert_eq!(
            wait(&[], r#"{"ok":false,"parameters":{"retry_after":35}}"#),
            Some(35.0)
        );
        assert_eq!(
            wait(&[("x-ratelimit-reset-after", "0.25")], "<html>"),
            Some(0.25)
        );
    }
}
