//! The mark of a run that no program takes off: the soft limit on file locks, which Linux has kept as a number since
//! 2.4 and enforces nowhere. It passes to every descendant, whatever becomes of its parent, group, session,
//! descriptors and environment; only a program that sets this very limit loses it.

use std::fs::File;
use std::io::Read as _;

use crate::ids::RunId;
use crate::limits;

/// The limit of a run's processes. No person sets such a number, and no two runs have the same.
#[must_use]
pub fn limit_mark(run: RunId) -> u64 {
    (1 << 62) | (run.low_bits() & ((1 << 61) - 1))
}

/// Whether `pid` carries the mark of `run`.
#[must_use]
pub fn has_limit_mark(pid: u32, run: RunId) -> bool {
    read_limit_mark(pid) == Some(limit_mark(run))
}

/// The mark of a run that `pid` carries, if any. Unlike an environment it can be read of every user's processes, and
/// in the midst of an `execve` too.
#[must_use]
pub fn read_limit_mark(pid: u32) -> Option<u64> {
    let mut text = Vec::new();
    let file = File::open(format!("/proc/{pid}/limits")).ok()?;
    file.take(limits::PROC_TEXT_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    parse(&text)
}

fn parse(limits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(limits).ok()?;
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Max file locks"))?;
    let soft: u64 = line.split_whitespace().next()?.parse().ok()?;
    (soft >> 61 == 2).then_some(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_no_ordinary_limit_is_one() {
        let (one, other) = (limit_mark(RunId::new()), limit_mark(RunId::new()));
        assert_ne!(one, other, "of one millisecond");
        let line = |soft: &str| {
            format!(
                "Max cpu time  1  1  seconds\nMax file locks            {soft}            unlimited            locks     \n"
            )
        };
        assert_eq!(parse(line(&one.to_string()).as_bytes()), Some(one));
        for ordinary in ["unlimited", "1024", "9223372036854775807", "0"] {
            assert_eq!(parse(line(ordinary).as_bytes()), None, "{ordinary}");
        }
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_process_that_was_not_started_as_a_run_has_no_mark() {
        let own = std::process::id();
        assert!(!has_limit_mark(own, RunId::new()));
        assert_eq!(read_limit_mark(u32::MAX), None, "no such process");
    }
}
