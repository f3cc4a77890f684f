//! What the kernel tells of processes it ended for want of memory: its counters, and its log. It decides nothing
//! about what it reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::read_bounded;
use crate::limits;

/// How many processes were ended so far; none where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OomKills {
    /// In our control group and those below it (version 2), or in it alone (version 1).
    pub group: Option<u64>,
    /// On the machine.
    pub machine: Option<u64>,
}

/// Where the counters are.
#[derive(Debug)]
pub struct OomCounters {
    group: Option<PathBuf>,
    machine: PathBuf,
}

impl OomCounters {
    /// Those of this process.
    #[must_use]
    pub fn own() -> Self {
        Self::under(Path::new("/"))
    }

    fn under(root: &Path) -> Self {
        let text = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let candidates = text.lines().flat_map(files);
        // In a container the path may be the host's, while the group itself is at the top.
        let tops = ["memory.events", "memory/memory.oom_control"].map(PathBuf::from);
        let group = candidates
            .chain(tops)
            .map(|file| root.join("sys/fs/cgroup").join(file))
            .find(|file| count(file, "oom_kill").is_some());
        Self {
            group,
            machine: root.join("proc/vmstat"),
        }
    }

    /// The counters at this moment. The machine's is read only where there is no nearer one.
    #[must_use]
    pub fn read(&self) -> OomKills {
        let group = self
            .group
            .as_deref()
            .and_then(|file| count(file, "oom_kill"));
        OomKills {
            group,
            machine: match group {
                Some(_) => None,
                None => count(&self.machine, "oom_kill"),
            },
        }
    }
}

/// The files that may count for a line of `/proc/self/cgroup`, below `/sys/fs/cgroup`.
fn files(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let path = path.trim_start_matches('/');
    if path.split('/').any(|part| part == "..") {
        return Vec::new();
    }
    if controllers.is_empty() {
        let file = Path::new(path).join("memory.events");
        return vec![file.clone(), Path::new("unified").join(file)];
    }
    if controllers.split(',').any(|name| name == "memory") {
        return vec![Path::new("memory").join(path).join("memory.oom_control")];
    }
    Vec::new()
}

/// The number after `key` in a file of `key number` lines.
fn count(file: &Path, key: &str) -> Option<u64> {
    let bytes = read_bounded(file.to_str()?, limits::PROC_TEXT_BYTES).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let value = |line: &str| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value)
}

/// Whether the kernel's log says that it ended process `pid` for want of memory, no earlier than
/// `since` after the boot. None when the log may not be read.
#[must_use]
pub fn kernel_log_names(pid: u32, since: Duration) -> Option<bool> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = rustix::fs::open("/dev/kmsg", flags, Mode::empty()).ok()?;
    let mut record = vec![0; limits::KMSG_RECORD_BYTES];
    for _ in 0..limits::KMSG_RECORDS {
        match rustix::io::read(&log, &mut record[..]) {
            Ok(0) | Err(Errno::AGAIN) => return Some(false),
            Ok(n) if names(&record[..n], pid, since) => return Some(true),
            // EPIPE: records were overwritten meanwhile, the next read goes on behind them.
            Ok(_) | Err(Errno::PIPE | Errno::INTR | Errno::INVAL) => {}
            Err(_) => return None,
        }
    }
    Some(false)
}

/// A record is `level,number,microseconds,flags;text`.
fn names(record: &[u8], pid: u32, since: Duration) -> bool {
    let text = String::from_utf8_lossy(record);
    let Some((head, text)) = text.split_once(';') else {
        return false;
    };
    let at = head.split(',').nth(2).and_then(|at| at.parse().ok());
    if at.is_none_or(|micros| Duration::from_micros(micros) < since) {
        return false;
    }
    // Programs may write here, too, but only with a level of their own: the kernel's facility is 0.
    let level = head
        .split(',')
        .next()
        .and_then(|level| level.parse::<u32>().ok());
    let is_kernels = level.is_some_and(|level| level < 8);
    let killed = format!("Killed process {pid} (");
    let task = format!(",pid={pid},");
    is_kernels && (text.contains(&killed) || text.starts_with("oom-kill:") && text.contains(&task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cgroup: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let all = files.iter().copied().chain([("proc/self/cgroup", cgroup)]);
        for (name, text) in all {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        dir
    }

    #[test]
    fn the_nearest_counter_is_read() {
        let events = "low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\noom_group_kill 0\n";
        let (two, one) = ("0::/app/web\n", "9:pids:/\n4:memory:/box/1\n0::/\n");
        let vmstat = ("proc/vmstat", "nr_free_pages 1\noom_kill 7\n");
        for (cgroup, file, text) in [
            (two, "sys/fs/cgroup/app/web/memory.events", events),
            (two, "sys/fs/cgroup/unified/app/web/memory.events", events),
            (two, "sys/fs/cgroup/memory.events", events),
            (
                one,
                "sys/fs/cgroup/memory/box/1/memory.oom_control",
                "under_oom 0\noom_kill 2\n",
            ),
        ] {
            let dir = machine(cgroup, &[(file, text), vmstat]);
            let kills = OomCounters::under(dir.path()).read();
            assert_eq!((kills.group, kills.machine), (Some(2), None), "{file}");
        }
        let dir = machine(two, &[vmstat]);
        let kills = OomCounters::under(dir.path()).read();
        assert_eq!((kills.group, kills.machine), (None, Some(7)));
        let dir = machine("0::/../..\nnonsense\n", &[("sys/fs/memory.events", events)]);
        assert_eq!(OomCounters::under(dir.path()).read(), OomKills::default());
    }

    #[test]
    fn a_record_of_the_kernel_names_its_victim() {
        let at = Duration::from_secs(100);
        let killed =
            b"3,881,100000001,-;Out of memory: Killed process 4242 (python3) total-vm:1kB\n";
        let task =
            b"6,880,100000001,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=python3,pid=4242,uid=0\n";
        assert!(names(killed, 4242, at) && names(task, 4242, at));
        assert!(!names(killed, 424, at) && !names(task, 424, at));
        assert!(
            !names(killed, 4242, Duration::from_secs(101)),
            "an earlier process of that number"
        );
        let forged = b"12,881,100000001,-;Killed process 4242 (python3)\n";
        assert!(!names(forged, 4242, at), "a program wrote it");
        for bad in [&b""[..], b";", b"x,y;Killed process 4242 (", b"\xff\xff"] {
            assert!(!names(bad, 4242, Duration::ZERO));
        }
    }

    #[test]
    fn what_is_there_on_this_machine_is_read_without_a_fault() {
        let kills = OomCounters::own().read();
        assert!(kills.group.is_none() || kills.machine.is_none());
        // Another process than any that was ever killed; not to be allowed to read is an answer, too.
        assert_ne!(kernel_log_names(u32::MAX, Duration::ZERO), Some(true));
    }
}
