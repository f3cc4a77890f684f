//! From two looks at a tree to its figures. Pure: no clock, no files.

use std::time::Duration;

use crate::model::sample::Figures;

/// The rising counters of one process. Slices of them are sorted by pid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Which process.
    pub pid: u32,
    /// And which of all that had this pid.
    pub start_ticks: u64,
    /// Its parent.
    pub parent: u32,
    /// Processor time of its own.
    pub own_ticks: u64,
    /// The same, and that of children it has reaped.
    pub all_ticks: u64,
    /// Bytes read from storage. The kernel adds those of a child when it is reaped.
    pub read_bytes: u64,
    /// Bytes written to storage, likewise.
    pub write_bytes: u64,
}

/// What a tree holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Resident set of all.
    pub memory_bytes: u64,
    /// Processes that have not ended.
    pub processes: u32,
    /// Their threads.
    pub threads: u32,
    /// Their open files.
    pub open_files: u32,
}

/// How far the counters of a tree rose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rise {
    /// Processor time.
    pub cpu_ticks: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Bytes written to storage.
    pub write_bytes: u64,
}

/// How far the tree rose from `before` to `after`. `newest_before` is the start of the youngest process of
/// the whole machine at the earlier look.
///
/// A process born since counts in full; one that was there but joined the tree only now counts from now.
/// One that vanished was counted while it lived. If somebody of the tree reaped it, his counters jumped by
/// all it ever used, so that is taken off again: what remains is what it used unseen, and so a shell that
/// runs a thousand short commands is charged for them. Nothing ever falls below zero.
#[must_use]
pub fn rise(before: &[Counters], after: &[Counters], newest_before: u64) -> Rise {
    let (mut own, mut all, mut read, mut write) = (0_u64, 0_u64, 0_u64, 0_u64);
    for process in after {
        let base = match find(before, process.pid) {
            Some(b) if b.start_ticks == process.start_ticks => *b,
            _ if process.start_ticks > newest_before => Counters::default(),
            _ => *process,
        };
        own += process.own_ticks.saturating_sub(base.own_ticks);
        all += process.all_ticks.saturating_sub(base.all_ticks);
        read += process.read_bytes.saturating_sub(base.read_bytes);
        write += process.write_bytes.saturating_sub(base.write_bytes);
    }
    for gone in before {
        if !is_in(after, gone) && was_reaped_inside(gone, before, after) {
            all = all.saturating_sub(gone.all_ticks);
            read = read.saturating_sub(gone.read_bytes);
            write = write.saturating_sub(gone.write_bytes);
        }
    }
    Rise {
        // A parent that ignores SIGCHLD inherits nothing; what the living used themselves is certain.
        cpu_ticks: own.max(all),
        read_bytes: read,
        write_bytes: write,
    }
}

fn find(sorted: &[Counters], pid: u32) -> Option<&Counters> {
    let at = sorted.binary_search_by_key(&pid, |c| c.pid).ok()?;
    sorted.get(at)
}

fn is_in(sorted: &[Counters], process: &Counters) -> bool {
    find(sorted, process.pid).is_some_and(|c| c.start_ticks == process.start_ticks)
}

/// Whether the counters of `gone` can have come to a process that still lives: through its parent, or
/// through its parent's parent when that one is gone as well.
fn was_reaped_inside(gone: &Counters, before: &[Counters], after: &[Counters]) -> bool {
    let mut parent = gone.parent;
    for _ in 0..before.len() {
        let Some(above) = find(before, parent) else {
            return false;
        };
        if is_in(after, above) {
            return true;
        }
        parent = above.parent;
    }
    false
}

/// The figures of a tree that rose by `rise` in `elapsed`; rates are zero when no time passed.
#[must_use]
pub fn figures(holding: Holding, rise: Rise, elapsed: Duration, ticks_per_second: u64) -> Figures {
    Figures {
        cpu_percent: percent(rise.cpu_ticks, elapsed, ticks_per_second),
        memory_bytes: holding.memory_bytes,
        processes: holding.processes,
        threads: holding.threads,
        open_files: holding.open_files,
        read_bytes: per_second(rise.read_bytes, elapsed),
        write_bytes: per_second(rise.write_bytes, elapsed),
    }
}

fn percent(ticks: u64, elapsed: Duration, ticks_per_second: u64) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    let used = Duration::from_micros(ticks.saturating_mul(1_000_000) / ticks_per_second.max(1));
    let percent = 100.0 * used.as_secs_f64() / elapsed.as_secs_f64();
    // Finer than the kernel counts; the rest is noise that would be kept for years.
    (percent * 100.0).round() / 100.0
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos();
    if nanos == 0 {
        return 0;
    }
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, own: u64, reaped: u64) -> Counters {
        Counters {
            pid,
            start_ticks: u64::from(pid),
            parent,
            own_ticks: own,
            all_ticks: own + reaped,
            read_bytes: (own + reaped) * 10,
            write_bytes: (own + reaped) * 100,
        }
    }

    fn cpu(before: &[Counters], after: &[Counters]) -> u64 {
        let rise = rise(before, after, 50);
        assert_eq!(rise.write_bytes, rise.read_bytes * 10);
        rise.cpu_ticks
    }

    #[test]
    fn processes_seen_twice_count_what_they_used_between() {
        let before = [process(10, 1, 100, 0), process(11, 10, 5, 0)];
        let after = [process(10, 1, 130, 0), process(11, 10, 9, 0)];
        assert_eq!(cpu(&before, &after), 34);
    }

    #[test]
    fn a_newborn_counts_in_full_and_a_late_joiner_from_when_it_joined() {
        let before = [process(10, 1, 100, 0)];
        let newborn = process(60, 10, 7, 0);
        let joiner = process(40, 10, 7_000, 0);
        assert_eq!(cpu(&before, &[process(10, 1, 100, 0), newborn]), 7);
        assert_eq!(
            cpu(&before, &[process(10, 1, 100, 0), joiner]),
            0,
            "it was on the machine before"
        );
    }

    #[test]
    fn a_child_that_ended_is_neither_lost_nor_counted_twice() {
        let before = [process(10, 1, 100, 0), process(11, 10, 40, 0)];
        // It used 5 more before it ended, and its parent reaped all 45.
        let after = [process(10, 1, 101, 45)];
        let rise = rise(&before, &after, 50);
        assert_eq!(rise.cpu_ticks, 6);
        assert_eq!(rise.read_bytes, 60);
        // Parent and grandchild end in one interval: the grandparent inherits both.
        let before = [
            process(10, 1, 0, 0),
            process(11, 10, 40, 0),
            process(12, 11, 30, 0),
        ];
        assert_eq!(cpu(&before, &[process(10, 1, 0, 75)]), 5);
    }

    #[test]
    fn short_commands_nobody_saw_are_charged_to_who_ran_them() {
        let (before, after) = ([process(10, 1, 2, 100)], [process(10, 1, 3, 190)]);
        assert_eq!(cpu(&before, &after), 91);
    }

    #[test]
    fn a_child_that_nobody_inside_reaped_takes_nothing_from_the_others() {
        // An orphan that ended: its parent is the supervisor.
        let before = [process(10, 1, 100, 0), process(11, 1, 4_000, 0)];
        assert_eq!(cpu(&before, &[process(10, 1, 120, 0)]), 20);
        // A parent that ignores SIGCHLD inherits nothing: never negative, and its own time stays.
        let before = [process(10, 1, 100, 0), process(11, 10, 4_000, 0)];
        let got = rise(&before, &[process(10, 1, 120, 0)], 50);
        assert_eq!((got.cpu_ticks, got.read_bytes), (20, 0));
        assert_eq!(cpu(&before, &[]), 0, "all gone");
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let before = [process(10, 1, 500, 0)];
        let mut other = process(10, 1, 3, 0);
        other.start_ticks = 900;
        assert_eq!(cpu(&before, &[other]), 3);
    }

    #[test]
    fn one_core_in_use_is_a_hundred_percent_and_rates_are_per_second() {
        let rise = Rise {
            cpu_ticks: 500,
            read_bytes: 10_000,
            write_bytes: 1,
        };
        let got = figures(Holding::default(), rise, Duration::from_secs(5), 100);
        assert!((got.cpu_percent - 100.0).abs() < 1e-9, "{got:?}");
        assert_eq!((got.read_bytes, got.write_bytes), (2_000, 0));
        let at_once = figures(Holding::default(), rise, Duration::ZERO, 100);
        assert_eq!((at_once.read_bytes, at_once.write_bytes), (0, 0));
        assert!(at_once.cpu_percent.abs() < 1e-9);
    }
}
