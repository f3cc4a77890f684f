//! Text for people: durations, sizes, nearest names, cleaning of untrusted bytes, cutting at a length.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// Reads `500ms`, `10s`, `5m`, `2h`, `1d`, `2w`, `1y` (of 365 days), with a fraction if need be (`1.5s`). No unit is no duration.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "y" => 365.0 * 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Reads `64MiB`, `10KB`, `512` (bytes), with a fraction if need be.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let at = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale: f64 = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * scale;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    (bytes.is_finite() && (0.0..1.8e19).contains(&bytes)).then_some(bytes as u64)
}

/// `350ms`, `4.2s`, `3m 12s`, `2h 5m`, `3d 4h`: two units at most.
#[must_use]
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0 => format!("{}ms", d.as_millis()),
        1..60 => {
            let tenths = d.as_millis() / 100;
            if tenths.is_multiple_of(10) {
                format!("{s}s")
            } else {
                format!("{}.{}s", tenths / 10, tenths % 10)
            }
        }
        60..3_600 => two(s / 60, "m", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s % 3_600 / 60, "m"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

fn two(major: u64, major_unit: &str, minor: u64, minor_unit: &str) -> String {
    if minor == 0 {
        format!("{major}{major_unit}")
    } else {
        format!("{major}{major_unit} {minor}{minor_unit}")
    }
}

/// `512 B`, `1.5 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// The names like `wanted`, nearest first, three at most; none when nothing is near.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (likeness(&wanted, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// From 0 to 1.
fn likeness(a: &str, b: &str) -> f64 {
    let alike = strsim::jaro_winkler(a, b);
    // Jaro sees nothing in common between `wbe` and `web`: in short words it looks for no letter elsewhere.
    let is_slip = a.chars().count() >= 3 && strsim::osa_distance(a, b) == 1;
    if is_slip { alike.max(0.9) } else { alike }
}

/// Untrusted bytes as one line of text: invalid UTF-8 replaced, control characters (ESC among them) shown
/// as `\x1b`, tabs kept.
#[must_use]
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(is_hostile) {
        return text;
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hostile(c) {
            let _ = write!(clean, "\\x{:02x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Control characters, and the marks that reorder what a terminal or a chat shows.
fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
}

/// `text` cut to at most `max` units as `measure` counts a character, with `…` where something is missing.
#[must_use]
pub fn cut_by(text: &str, max: usize, measure: impl Fn(char) -> usize) -> Cow<'_, str> {
    let total: usize = text.chars().map(&measure).sum();
    if total <= max {
        return Cow::Borrowed(text);
    }
    let mut room = max.saturating_sub(measure('…'));
    let mut out = String::new();
    for c in text.chars() {
        match room.checked_sub(measure(c)) {
            Some(rest) => room = rest,
            None => break,
        }
        out.push(c);
    }
    if max >= measure('…') {
        out.push('…');
    }
    Cow::Owned(out)
}

/// `text` cut to at most `max` characters.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    cut_by(text, max, |_| 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_unit_that_exists() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("2d"), Some(Duration::from_hours(48)));
        for bad in [
            "",
            "10",
            "s",
            "10 parsecs",
            "-1s",
            "1e3s",
            "9999999999999999999999d",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("1.5KiB"), Some(1536));
        for bad in ["", "MiB", "1 mib", "-5"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_and_sizes_are_shown_short() {
        for (ms, text) in [
            (0, "0ms"),
            (350, "350ms"),
            (4_000, "4s"),
            (4_250, "4.2s"),
            (192_000, "3m 12s"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_572_864), "1.5 MiB");
    }

    #[test]
    fn hostile_bytes_become_harmless_text() {
        assert_eq!(printable(b"plain\ttext"), "plain\ttext");
        assert_eq!(printable(b"\x1b[31mred"), "\\x1b[31mred");
        assert_eq!(printable(b"bad \xff utf8"), "bad \u{fffd} utf8");
        assert_eq!(printable("evil \u{202e}txt".as_bytes()), "evil \\x202etxt");
    }

    #[test]
    fn cutting_keeps_whole_characters_and_says_that_something_is_missing() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("지킴이입니다", 4), "지킴이…");
        assert_eq!(cut_by("🔥🔥🔥", 5, char::len_utf16), "🔥🔥…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn the_nearest_name_comes_first_and_strangers_do_not_come() {
        let names = ["worker", "web", "database"];
        assert_eq!(nearest("wroker", names.into_iter()), ["worker"]);
        assert_eq!(nearest("wbe", names.into_iter()), ["web"]);
        assert!(nearest("zzz", names.into_iter()).is_empty());
    }
}
