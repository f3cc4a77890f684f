//! Reading `/proc`: single processes, the whole table in one scan, and the machine's constants. It decides
//! nothing about what it reads (which process belongs to whom is [`tree`]'s), and never writes or signals.
//!
//! A process that is gone, or goes while it is read, is an ordinary answer and never an error.

mod mark;
pub mod oom;
pub mod ports;
mod stat;
pub mod tree;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::clock;
use crate::limits;

pub use mark::{has_limit_mark, limit_mark, read_limit_mark};
pub use stat::{ProcStat, Scanner, parse_stat, read_stat, scan};

/// The variable in which every process of a run carries the run's id.
pub const RUN_MARK: &str = "JIKIMI_RUN";

/// The variable in which every process of a run carries the path of the run's output pipe: it names the state
/// directory, the run and the instance.
pub const OUTPUT_MARK: &str = "JIKIMI_OUTPUT";

/// The identity of this boot; with a pid and a start time it names a process for good.
pub fn boot_id() -> io::Result<String> {
    let text = read_bounded("/proc/sys/kernel/random/boot_id", limits::PROC_TEXT_BYTES)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Units of the times in [`ProcStat`] per second.
#[must_use]
pub fn clock_ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// How long ago a process was started whose start time is `start_ticks`.
#[must_use]
pub fn age(start_ticks: u64) -> Duration {
    let per_second = clock_ticks_per_second().max(1);
    let nanos = u128::from(start_ticks) * 1_000_000_000 / u128::from(per_second);
    let started = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    clock::since_boot().saturating_sub(started)
}

/// Bytes of one page, the unit of [`ProcStat::rss_pages`].
#[must_use]
pub fn page_size() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}

/// The value of `key` in the environment `pid` was started with. None when it has none, is gone, has
/// overwritten its environment, or may not be looked into; none, too, in the midst of an `execve`, so the
/// first "none" of a young process is not to be kept ([`mark`] tells these apart).
#[must_use]
pub fn environ_mark(pid: u32, key: &str) -> Option<String> {
    match mark(pid, key) {
        Mark::Is(value) => Some(value),
        Mark::Missing | Mark::Empty => None,
    }
}

/// What one look at the environment of a process showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The variable's value.
    Is(String),
    /// There is an environment without it.
    Missing,
    /// There is none, or none to be had: the process is in the last part of an `execve`, was started with
    /// none, or is another user's. Only the first passes.
    Empty,
}

/// Looks for the variable `key` in the environment that `pid` was started with.
#[must_use]
pub fn mark(pid: u32, key: &str) -> Mark {
    match read_bounded(&format!("/proc/{pid}/environ"), limits::ENVIRON_BYTES) {
        Ok(environ) if !environ.is_empty() => find_variable(&environ, key.as_bytes())
            .and_then(|value| String::from_utf8(value.to_vec()).ok())
            .map_or(Mark::Missing, Mark::Is),
        Ok(_) | Err(_) => Mark::Empty,
    }
}

/// The variables that `pid` was started with, each a name and a value, both as bytes.
///
/// # Errors
/// It is gone, or not ours to look into.
pub fn environ(pid: u32) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let bytes = read_bounded(&format!("/proc/{pid}/environ"), limits::ENVIRON_BYTES)?;
    let entries = bytes.split(|b| *b == 0).filter_map(|entry| {
        let at = entry.iter().position(|b| *b == b'=')?;
        Some((entry[..at].to_vec(), entry[at + 1..].to_vec()))
    });
    Ok(entries.collect())
}

fn find_variable<'a>(environ: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    environ
        .split(|b| *b == 0)
        .find_map(|entry| entry.strip_prefix(key)?.strip_prefix(b"="))
}

/// Whether we may look into `pid`, also when it is a zombie: only then its wait status is shown.
#[must_use]
pub fn may_inspect(pid: u32) -> bool {
    // Asks for the same right, and is there for a zombie too.
    read_bounded(&format!("/proc/{pid}/io"), limits::PROC_TEXT_BYTES).is_ok()
}

/// What descriptor `fd` of `pid` leads to. None when it is closed, or `pid` is gone or may not be looked into.
#[must_use]
pub fn descriptor_path(pid: u32, fd: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()
}

/// The children that thread `tid` of this process forked or was given as subreaper. Children of other
/// threads are not in it.
pub fn children_of_thread(tid: u32) -> io::Result<Vec<u32>> {
    let path = format!("/proc/self/task/{tid}/children");
    let text = read_bounded(&path, limits::PROC_TEXT_BYTES)?;
    Ok(text
        .split(u8::is_ascii_whitespace)
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .collect())
}

/// The signals this process ignores, as a set: bit 0 stands for signal 1.
pub fn ignored_signals() -> io::Result<u64> {
    let text = read_bounded("/proc/self/status", limits::PROC_TEXT_BYTES)?;
    let text = String::from_utf8_lossy(&text);
    let mask = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether `pid` is still the process that started at `start_ticks`, and runs. A zombie does not.
/// A process that cannot be read counts as alive: nothing is restarted on a doubt.
#[must_use]
pub fn is_alive(pid: u32, start_ticks: u64) -> bool {
    match read_stat(pid) {
        Ok(Some(stat)) => stat.start_ticks == start_ticks && !stat.is_zombie(),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Whether an error of reading `/proc/PID` says that the process is gone.
#[must_use]
pub fn is_gone(errno: Errno) -> bool {
    errno == Errno::NOENT || errno == Errno::SRCH
}

fn read_bounded(path: &str, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_process_is_found_whole_and_only_under_its_own_name() {
        let environ = b"PATH=/bin\0XJIKIMI_RUN=no\0JIKIMI_RUNS=no\0JIKIMI_RUN=yes=1\0";
        assert_eq!(
            find_variable(environ, b"JIKIMI_RUN"),
            Some(&b"yes=1"[..]),
            "neither a suffix nor a prefix of the name counts"
        );
        assert_eq!(find_variable(environ, b"HOME"), None);
    }

    #[test]
    fn a_child_carries_its_mark_and_is_alive_until_it_ends() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .env("JIKIMI_RUN", "some-run")
            .spawn()
            .expect("sleep is everywhere");
        let pid = child.id();
        // A spawn returns as soon as the child has its new memory, a little before its environment is there.
        let deadline = crate::clock::mono() + std::time::Duration::from_secs(20);
        let mut mark = None;
        while mark.is_none() && crate::clock::mono() < deadline {
            mark = environ_mark(pid, "JIKIMI_RUN");
        }
        assert_eq!(mark.as_deref(), Some("some-run"));
        let start = read_stat(pid)
            .expect("readable")
            .expect("alive")
            .start_ticks;
        assert!(is_alive(pid, start));
        assert!(!is_alive(pid, start + 1), "another process at this pid");
        child.kill().expect("our child");
        child.wait().expect("our child");
        assert!(!is_alive(pid, start));
        assert_eq!(environ_mark(pid, "JIKIMI_RUN"), None);
        assert_eq!(read_stat(pid).expect("gone is no error"), None);
    }

    #[test]
    fn the_children_of_the_thread_that_forked_are_listed() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .expect("sleep is everywhere");
        let tid = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        let children = children_of_thread(tid);
        child.kill().expect("our child");
        child.wait().expect("our child");
        assert!(children.expect("readable").contains(&child.id()));
    }

    #[test]
    fn the_machine_has_a_boot_id_ticks_and_pages() {
        assert_eq!(boot_id().expect("readable").len(), 36);
        assert!(clock_ticks_per_second() >= 1);
        assert!(page_size().is_power_of_two());
    }
}
