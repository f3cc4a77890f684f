//! How bad a line says it is: the common forms of levels, found by looking at bytes. Pure; no pattern engine,
//! for it sees every line of every program.

use crate::model::log::Level;

/// Where levels stand: a line's beginning, after which text may say "error" and mean nothing.
const LOOK: usize = 160;

/// The level a line states, if it states one.
#[must_use]
pub fn detect(line: &[u8]) -> Option<Level> {
    let line = line.trim_ascii();
    let head = &line[..line.len().min(LOOK)];
    known_beginning(head)
        .or_else(|| keyed(line))
        .or_else(|| word(head))
}

/// Beginnings that only a fault has, and the one-letter forms of glog and klog (`E0102 03:04:05.678`).
fn known_beginning(head: &[u8]) -> Option<Level> {
    const BEGINNINGS: [(&[u8], Level); 8] = [
        (b"Traceback (most recent call last)", Level::Error),
        (b"panic: ", Level::Fatal),
        (b"fatal error: ", Level::Fatal),
        (b"Segmentation fault", Level::Fatal),
        (b"Exception in thread ", Level::Error),
        (b"Unhandled ", Level::Error),
        (b"Uncaught ", Level::Error),
        (b"Caused by: ", Level::Error),
    ];
    if let Some((_, level)) = BEGINNINGS.iter().find(|(b, _)| head.starts_with(b)) {
        return Some(*level);
    }
    // Rust: thread 'main' panicked at src/main.rs:2:5
    if head.starts_with(b"thread '") && find(head, b"panicked at").is_some() {
        return Some(Level::Fatal);
    }
    let [letter, digits @ ..] = head else {
        return None;
    };
    let is_dated = digits.len() > 5
        && digits[..4].iter().all(u8::is_ascii_digit)
        && digits[4] == b' '
        && digits[5].is_ascii_digit();
    match letter {
        b'I' if is_dated => Some(Level::Info),
        b'W' if is_dated => Some(Level::Warn),
        b'E' if is_dated => Some(Level::Error),
        b'F' if is_dated => Some(Level::Fatal),
        _ => None,
    }
}

/// `level=error`, `"level":"error"`, `"severity": "ERROR"`, `lvl=eror`, and pino's and bunyan's `"level":50`.
fn keyed(line: &[u8]) -> Option<Level> {
    const KEYS: [&[u8]; 4] = [b"level", b"severity", b"lvl", b"loglevel"];
    let line = &line[..line.len().min(crate::limits::LOG_LINE_BYTES)];
    let mut at = 0;
    // A key is followed by `=` or `:`; everything else is passed over quickly.
    while let Some(found) = line[at..].iter().position(|b| matches!(b, b'=' | b':')) {
        let here = at + found;
        at = here + 1;
        let before = line[..here].trim_ascii_end();
        let before = before.strip_suffix(b"\"").unwrap_or(before);
        let key = tail_word(before);
        if KEYS.iter().any(|k| key.eq_ignore_ascii_case(k)) {
            let value = line[at..].trim_ascii_start();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            return named(head_word(value)).or_else(|| numbered(head_word(value)));
        }
    }
    None
}

/// A level in capitals standing alone (`ERROR`), or in any case at the beginning or between brackets
/// (`[error]`, `<warn>`, `error:`).
fn word(head: &[u8]) -> Option<Level> {
    let mut at = 0;
    while at < head.len() {
        if !is_letter(head[at]) {
            at += 1;
            continue;
        }
        let word = head_word(&head[at..]);
        let before = at.checked_sub(1).map(|i| head[i]);
        let after = head.get(at + word.len()).copied();
        let is_capital = word.iter().all(u8::is_ascii_uppercase);
        // `[Server thread/INFO]` is how game servers write it.
        let is_framed = matches!(before, Some(b'[' | b'<' | b'(' | b'|' | b'/'))
            && matches!(after, Some(b']' | b'>' | b')' | b'|'));
        let is_label = after == Some(b':') && (before.is_none() || before == Some(b' '));
        let is_alone = !matches!(before, Some(b'-' | b'/' | b'\'' | b'"' | b'.'))
            && !matches!(after, Some(b'-' | b'/' | b'\'' | b'"' | b'.' | b'='));
        if (is_capital && is_alone) || is_framed || is_label {
            // One letter is a level between brackets only.
            if let Some(level) = named(word).or_else(|| is_framed.then(|| letter(word)).flatten()) {
                return Some(level);
            }
        }
        at += word.len();
    }
    None
}

fn named(word: &[u8]) -> Option<Level> {
    const NAMES: [(&[u8], Level); 22] = [
        (b"error", Level::Error),
        (b"info", Level::Info),
        (b"debug", Level::Debug),
        (b"warn", Level::Warn),
        (b"warning", Level::Warn),
        (b"trace", Level::Trace),
        (b"fatal", Level::Fatal),
        (b"err", Level::Error),
        (b"eror", Level::Error),
        (b"erro", Level::Error),
        (b"critical", Level::Fatal),
        (b"crit", Level::Fatal),
        (b"panic", Level::Fatal),
        (b"emerg", Level::Fatal),
        (b"emergency", Level::Fatal),
        (b"alert", Level::Fatal),
        (b"severe", Level::Error),
        (b"notice", Level::Info),
        (b"information", Level::Info),
        (b"wrn", Level::Warn),
        (b"inf", Level::Info),
        (b"dbg", Level::Debug),
    ];
    if !(3..=11).contains(&word.len()) {
        return None;
    }
    NAMES
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, level)| *level)
}

fn letter(word: &[u8]) -> Option<Level> {
    match word {
        b"E" => Some(Level::Error),
        b"W" => Some(Level::Warn),
        b"I" => Some(Level::Info),
        b"D" => Some(Level::Debug),
        b"F" | b"C" => Some(Level::Fatal),
        _ => None,
    }
}

/// The numbers of pino and bunyan.
fn numbered(word: &[u8]) -> Option<Level> {
    match word {
        b"10" => Some(Level::Trace),
        b"20" => Some(Level::Debug),
        b"30" => Some(Level::Info),
        b"40" => Some(Level::Warn),
        b"50" => Some(Level::Error),
        b"60" => Some(Level::Fatal),
        _ => None,
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn head_word(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().take_while(|b| is_letter(**b)).count();
    &bytes[..len]
}

fn tail_word(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rev().take_while(|b| is_letter(**b)).count();
    &bytes[bytes.len() - len..]
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_common_programs_are_found() {
        for (line, level) in [
            ("2026-01-02 03:04:05 ERROR it broke", Level::Error),
            ("2026-01-02T03:04:05Z  WARN app: slow", Level::Warn),
            ("[error] 12#0: *1 open() failed", Level::Error),
            ("2026/01/02 03:04:05 [crit] 12#0: no", Level::Fatal),
            ("[12:00:01] [Server thread/INFO]: Done", Level::Info),
            ("[12:00:01 WARN]: Can't keep up!", Level::Warn),
            ("ERROR:root:it broke", Level::Error),
            ("error: cannot open", Level::Error),
            ("ts=1 level=error msg=\"x\"", Level::Error),
            (
                "{\"time\":1,\"level\":\"error\",\"msg\":\"x\"}",
                Level::Error,
            ),
            ("{\"severity\": \"WARNING\"}", Level::Warn),
            ("{\"level\":50,\"msg\":\"x\"}", Level::Error),
            (
                "{\"level\":\"info\",\"msg\":\"ERROR in text\"}",
                Level::Info,
            ),
            ("E0102 03:04:05.678 1 main.go:1] no", Level::Error),
            ("W1231 23:59:59.000 1 x.cc:1] no", Level::Warn),
            ("Traceback (most recent call last):", Level::Error),
            ("thread 'main' panicked at src/main.rs:2:5:", Level::Fatal),
            ("panic: runtime error: index out of range", Level::Fatal),
            ("Exception in thread \"main\" java.lang.X", Level::Error),
            ("[W] low disk", Level::Warn),
            ("  \t ERROR indented", Level::Error),
            ("DEBUG polling", Level::Debug),
        ] {
            assert_eq!(detect(line.as_bytes()), Some(level), "{line}");
        }
    }

    #[test]
    fn ordinary_text_is_not_taken_for_a_level() {
        for line in [
            "",
            "no errors found",
            "0 error(s), all well",
            "GET /error/404 200",
            "the error rate is low",
            "E is a letter",
            "ERROR_COUNT=0",
            "saved to ERROR.txt",
            "info about an \"ERROR\"",
            "\u{1f525}\u{ff}",
            "level up!",
            "sea level: 12",
        ] {
            assert_eq!(detect(line.as_bytes()), None, "{line}");
        }
        assert_eq!(detect(b"\xff\xfe ERROR \xff"), Some(Level::Error));
        assert_eq!(detect("=".repeat(70_000).as_bytes()), None);
    }
}
