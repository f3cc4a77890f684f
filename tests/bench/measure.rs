//! What several benchmarks measure with: medians, figures of processes, system calls counted by strace.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The middle one; the upper of two.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The value below which `percent` of a hundred lie.
pub fn percentile<T: Copy + PartialOrd>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("figures compare"));
    let at = sorted.len() * percent / 100;
    sorted[at.min(sorted.len() - 1)]
}

/// How long `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// In microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Lets the machine come to rest between two measurements.
pub fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

/// What a process has taken so far.
#[derive(Clone, Copy)]
pub struct Usage {
    at: Instant,
    cpu: Duration,
    switches: u64,
}

impl Usage {
    /// Of `pid`, all its threads together; those that ended since do not count.
    pub fn of(pid: u32) -> Self {
        let (mut nanos, mut switches) = (0, 0);
        for task in fs::read_dir(format!("/proc/{pid}/task")).expect("it runs") {
            let path = task.expect("listed").path();
            let text = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
            let first = text("schedstat");
            let first = first.split_whitespace().next();
            nanos += first.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            switches += field(&text("status"), "voluntary_ctxt_switches").unwrap_or(0);
        }
        Self {
            at: Instant::now(),
            cpu: Duration::from_nanos(nanos),
            switches,
        }
    }

    /// Since `before`: the share of one core in percent, and how often its threads went to sleep a second.
    pub fn since(self, before: Self) -> (f64, f64) {
        let elapsed = self.at.duration_since(before.at).as_secs_f64();
        let cpu = self.cpu.saturating_sub(before.cpu).as_secs_f64();
        let switches = self.switches.saturating_sub(before.switches);
        (100.0 * cpu / elapsed, switches as f64 / elapsed)
    }
}

/// A line of `/proc/PID/status`, for example `VmRSS` in KiB.
pub fn status(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    field(&text, key).unwrap_or(0)
}

fn field(text: &str, key: &str) -> Option<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The soft limit on open files of `pid`.
pub fn file_limit(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    text.lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(u64::MAX)
}

/// System calls that this program makes when it is started with `args`; none where strace is not there or not
/// allowed.
pub fn system_calls(args: &[String]) -> Option<usize> {
    let calls = tempfile::NamedTempFile::new().expect("a temporary file");
    let exe = std::env::current_exe().expect("we run from a file");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(calls.path())
        .arg(exe)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|s| s.success()) {
        return None;
    }
    let text = fs::read_to_string(calls.path()).expect("strace wrote it");
    Some(text.lines().filter(|line| line.contains('(')).count())
}
