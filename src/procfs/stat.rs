//! `/proc/PID/stat`, of one process or of all. The format is that of `proc_pid_stat(5)`.

use std::ffi::CStr;
use std::io::{self, Write};
use std::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RawDir};

use super::is_gone;
use crate::limits;

/// What the kernel says of one process, as far as anybody here needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcStat {
    /// Its number.
    pub pid: u32,
    /// Its parent; 0 has none.
    pub ppid: u32,
    /// Its process group; 0 when it lies outside our pid namespace.
    pub pgrp: u32,
    /// Its session; 0 when it lies outside our pid namespace.
    pub session: u32,
    /// The letter of its state, such as `R` or `Z`.
    pub state: u8,
    /// When it was started, in ticks since boot.
    pub start_ticks: u64,
    /// Time in its own code, in ticks.
    pub utime_ticks: u64,
    /// Time in the kernel, in ticks.
    pub stime_ticks: u64,
    /// Time of the children it has reaped, and of theirs, in ticks.
    pub reaped_ticks: u64,
    /// Resident set in pages.
    pub rss_pages: u64,
    /// Its threads.
    pub threads: u32,
    /// The wait status of a zombie. Zero may mean that we lack the right to know, so it is never success.
    pub exit_code: Option<i32>,
}

impl ProcStat {
    /// Whether it has ended and only waits to be reaped.
    #[must_use]
    pub const fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Processor time it has used, in ticks.
    #[must_use]
    pub const fn cpu_ticks(&self) -> u64 {
        self.utime_ticks.saturating_add(self.stime_ticks)
    }
}

/// Reads one line of `/proc/PID/stat`; none when it is not one.
#[must_use]
pub fn parse_stat(line: &[u8]) -> Option<ProcStat> {
    // The name is the program's to choose and may hold spaces, parentheses and line feeds; nothing behind
    // it holds a parenthesis.
    let open = line.iter().position(|b| *b == b'(')?;
    let close = line.iter().rposition(|b| *b == b')')?;
    let mut stat = ProcStat {
        pid: u32::try_from(number(line.get(..open)?.trim_ascii())?).ok()?,
        ..ProcStat::default()
    };
    let mut last_field = 2;
    let fields = line.get(close + 1..)?.split(u8::is_ascii_whitespace);
    for (field, word) in (3_u8..).zip(fields.filter(|w| !w.is_empty())) {
        set_field(&mut stat, field, word)?;
        last_field = field;
        if field == 52 {
            break;
        }
    }
    // Up to the resident set every kernel has every field.
    (last_field >= 24).then_some(stat)
}

fn set_field(stat: &mut ProcStat, field: u8, word: &[u8]) -> Option<()> {
    match field {
        3 => stat.state = *word.first()?,
        4 => stat.ppid = small(word)?,
        5 => stat.pgrp = small(word)?,
        6 => stat.session = small(word)?,
        14 => stat.utime_ticks = unsigned(word)?,
        15 => stat.stime_ticks = unsigned(word)?,
        16 | 17 => stat.reaped_ticks = stat.reaped_ticks.saturating_add(unsigned(word)?),
        20 => stat.threads = small(word)?,
        22 => stat.start_ticks = unsigned(word)?,
        24 => stat.rss_pages = unsigned(word)?,
        52 if stat.is_zombie() => stat.exit_code = i32::try_from(number(word)?).ok(),
        _ => {}
    }
    Some(())
}

/// A negative number stands for "none" in these fields.
fn small(word: &[u8]) -> Option<u32> {
    u32::try_from(number(word)?.max(0)).ok()
}

fn unsigned(word: &[u8]) -> Option<u64> {
    u64::try_from(number(word)?.max(0)).ok()
}

fn number(word: &[u8]) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value: u128 = 0;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|d| *d <= 9)?;
        value = value * 10 + u128::from(digit);
    }
    let value = i128::try_from(value).ok()?;
    Some(if negative { -value } else { value })
}

/// Reads one process; none when it is gone.
pub fn read_stat(pid: u32) -> io::Result<Option<ProcStat>> {
    let mut path = PathBuffer::default();
    read_at(CWD, path.write(format_args!("/proc/{pid}/stat"))?)
}

/// Reads every process there is, once; those that go meanwhile are left out. Who does this again and again
/// keeps a [`Scanner`].
pub fn scan() -> io::Result<Vec<ProcStat>> {
    let mut found = Vec::new();
    Scanner::new()?.scan(&mut found)?;
    Ok(found)
}

/// Reads the whole table of processes again and again without allocating per process.
#[derive(Debug)]
pub struct Scanner {
    names: Box<[MaybeUninit<u8>]>,
}

impl Scanner {
    /// A scanner with its buffer.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            names: vec![MaybeUninit::uninit(); limits::PROC_DIR_BYTES].into_boxed_slice(),
        })
    }

    /// Replaces `found` by every process there is, in the kernel's order, which rises by pid.
    ///
    /// # Errors
    /// The table cannot be read in full, for want of files or memory; `found` then has holes.
    pub fn scan(&mut self, found: &mut Vec<ProcStat>) -> io::Result<()> {
        found.clear();
        // Opened anew: an open directory keeps its position, and one open call is nothing to a scan.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())?;
        let mut path = PathBuffer::default();
        let mut entries = RawDir::new(proc.as_fd(), &mut self.names);
        while let Some(entry) = entries.next() {
            let Some(pid) = as_pid(entry?.file_name()) else {
                continue;
            };
            match read_at(proc.as_fd(), path.write(format_args!("{pid}/stat"))?) {
                Ok(Some(stat)) => found.push(stat),
                Ok(None) => {}
                // One process that is closed to us must not hide all others.
                Err(error) if is_about_one(&error) => {}
                // Out of files or memory: a table with holes would look as if processes had ended.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_about_one(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::PermissionDenied || kind == io::ErrorKind::InvalidData
}

fn as_pid(name: &CStr) -> Option<u32> {
    small(name.to_bytes()).filter(|pid| *pid > 0)
}

fn read_at(dir: BorrowedFd<'_>, path: &CStr) -> io::Result<Option<ProcStat>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file: OwnedFd = match rustix::fs::openat(dir, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(errno) if is_gone(errno) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut line = [0; limits::PROC_STAT_BYTES];
    match rustix::io::read(&file, &mut line) {
        Ok(n) => parse_stat(&line[..n]).map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "not a line of process status")
        }),
        Err(errno) if is_gone(errno) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// A path under `/proc`, built without allocating.
#[derive(Debug, Default)]
struct PathBuffer {
    bytes: [u8; 32],
}

impl PathBuffer {
    fn write(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<&CStr> {
        let mut rest = &mut self.bytes[..];
        rest.write_fmt(text)?;
        rest.write_all(&[0])?;
        CStr::from_bytes_until_nul(&self.bytes).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"4242 (a) b (c\n) Z 7 8 9 0 -1 4194560 119 0 0 0 11 12 13 14 20 0 3 0 5150 \
        9961472 346 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 1792\n";

    #[test]
    fn a_name_with_parentheses_and_line_feeds_hides_nothing() {
        let stat = parse_stat(LINE).expect("a line as the kernel writes it");
        let wanted = ProcStat {
            pid: 4242,
            ppid: 7,
            pgrp: 8,
            session: 9,
            state: b'Z',
            start_ticks: 5150,
            utime_ticks: 11,
            stime_ticks: 12,
            reaped_ticks: 27,
            rss_pages: 346,
            threads: 3,
            exit_code: Some(1792),
        };
        assert_eq!(stat, wanted);
    }

    #[test]
    fn a_running_process_has_no_exit_code_and_a_foreign_group_is_zero() {
        let line = b"1 (x) S 0 -1 -1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 9 0 -5 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 \
            0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        let stat = parse_stat(line).expect("a line as the kernel writes it");
        assert_eq!((stat.pgrp, stat.session, stat.rss_pages), (0, 0, 0));
        assert_eq!(stat.exit_code, None);
    }

    #[test]
    fn a_line_cut_anywhere_or_with_any_byte_changed_never_panics() {
        let mut rng = fastrand::Rng::with_seed(7);
        let resident_set = LINE.windows(4).position(|w| w == b" 346");
        let needed = resident_set.expect("it is in the line") + 1;
        for end in 0..=LINE.len() {
            assert_eq!(parse_stat(&LINE[..end]).is_some(), end > needed, "{end}");
        }
        for _ in 0..20_000 {
            let mut line = LINE.to_vec();
            let at = rng.usize(..line.len());
            line[at] = rng.u8(..);
            // Any answer is right here; arithmetic that overflows would panic.
            let _ = parse_stat(&line);
        }
    }

    #[test]
    fn a_scan_finds_us_as_a_single_read_does() {
        let me = std::process::id();
        let all = scan().expect("readable");
        let from_scan = all.iter().find(|s| s.pid == me).expect("we are running");
        let single = read_stat(me).expect("readable").expect("we are running");
        assert_eq!(from_scan.start_ticks, single.start_ticks);
        assert_eq!(from_scan.ppid, single.ppid);
        assert!(single.threads >= 1 && single.rss_pages > 0);
        assert!(
            all.iter().any(|s| s.pid == 1 || s.ppid == 0),
            "the first one"
        );
    }

    #[test]
    fn a_scanner_used_again_sees_what_has_come_and_gone() {
        let mut scanner = Scanner::new().expect("no resource needed");
        let mut found = Vec::new();
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .expect("sleep is everywhere");
        scanner.scan(&mut found).expect("readable");
        assert!(found.iter().any(|s| s.pid == child.id()));
        child.kill().expect("our child");
        child.wait().expect("our child");
        scanner.scan(&mut found).expect("readable");
        assert!(!found.iter().any(|s| s.pid == child.id()));
    }
}
