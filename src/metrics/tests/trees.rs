//! The figures of real trees.

use super::*;
use crate::clock::Mono;

/// The moment, and what the kernel says that a process and its reaped children have used by then.
fn used(pid: u32) -> (Mono, u64) {
    let stat = crate::procfs::read_stat(pid)
        .expect("readable")
        .expect("alive");
    (mono(), stat.cpu_ticks() + stat.reaped_ticks)
}

/// The share of a core that the sampler sees of `script`, against what the kernel counts of it meanwhile: however
/// little of the machine is left for it, the two agree.
fn assert_share_is_the_kernels(script: &str) {
    let run = Run::start(script);
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    let pid = run.child.id();
    let before = used(pid);
    let first = look(&mut sampler, &member).expect("it is alive");
    assert!(
        first.figures.cpu_percent.abs() < 1e-9,
        "nothing to compare with"
    );
    let after = used(pid);
    let until_used = until("30 ticks", || used(pid), |now| now.1 >= after.1 + 30);
    let sample = look(&mut sampler, &member).expect("it is alive");
    let last = used(pid);
    let per_second =
        f64::from(u32::try_from(crate::procfs::clock_ticks_per_second()).expect("100"));
    let percent = |ticks: u64, over: Duration| {
        let ticks = f64::from(u32::try_from(ticks).expect("few"));
        100.0 * ticks / per_second / over.as_secs_f64()
    };
    // The two ticks are the ones that are not over when they are counted.
    let lowest = percent(until_used.1 - after.1 - 2, last.0.since(before.0));
    let highest = percent(last.1 - before.1 + 2, until_used.0.since(after.0));
    let seen = sample.figures.cpu_percent;
    assert!(
        (lowest..=highest).contains(&seen),
        "{lowest} {seen} {highest}"
    );
}

#[test]
fn a_busy_loop_uses_what_the_kernel_counts_of_it() {
    assert_share_is_the_kernels("while :; do :; done");
}

#[test]
fn short_commands_that_no_scan_sees_are_charged_to_their_shell() {
    assert_share_is_the_kernels("while :; do /bin/true; done");
}

#[test]
fn memory_threads_and_files_are_those_of_the_whole_tree() {
    // tail holds the last line of what it reads: 32 MB without a line feed, until the shell's input ends.
    let script = "{ head -c 32000000 /dev/zero; read x; } | tail -n 1 >/dev/null";
    let mut run = Run::start(script);
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    let sample = until(
        "the tree never grew",
        || look(&mut sampler, &member).expect("it is alive").figures,
        |f| f.memory_bytes > 32_000_000,
    );
    assert!(sample.processes >= 2, "{sample:?}");
    assert!(sample.threads >= sample.processes, "{sample:?}");
    assert!(sample.open_files >= 6, "{sample:?}");
    let main = crate::procfs::read_stat(run.child.id())
        .expect("readable")
        .expect("alive");
    assert!(
        main.rss_pages * crate::procfs::page_size() < 16_000_000,
        "not the shell's own"
    );
    run.end();
}

#[test]
fn a_child_in_a_session_of_its_own_counts_and_so_does_its_orphan() {
    let mut run = Run::start("setsid sh -c 'echo $$; sleep 60 & exec sleep 60' & read x");
    let daemon: i32 = run.line().parse().expect("the script prints a pid");
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    until(
        "main, daemon and its child",
        || {
            look(&mut sampler, &member)
                .expect("it is alive")
                .figures
                .processes
        },
        |n| *n == 3,
    );
    run.end();
    // Known from before: the main process has gone, its daemon has not.
    let left = look(&mut sampler, &member).expect("two are alive").figures;
    let session = rustix::process::Pid::from_raw(daemon).expect("a pid");
    rustix::process::kill_process_group(session, rustix::process::Signal::KILL).expect("alive");
    assert_eq!(left.processes, 2);
}

#[test]
fn an_orphan_that_left_group_and_session_counts_by_its_mark() {
    let mut run = Run::start("(setsid sh -c 'echo $$; exec sleep 60' &); read x");
    let daemon: u32 = run.line().parse().expect("the script prints a pid");
    // In the midst of its exec it carries no mark.
    let parent = || {
        let stat = crate::procfs::read_stat(daemon)
            .expect("readable")
            .expect("it sleeps");
        crate::procfs::environ_mark(daemon, crate::procfs::RUN_MARK)?;
        crate::procfs::read_stat(stat.ppid).expect("readable")
    };
    let group = run.child.id();
    let reaper = until("orphaned", parent, |p| p.is_some_and(|p| p.pgrp != group));
    // Whoever takes orphans here stands in for a supervisor that is a subreaper.
    let own = OwnIds {
        pid: reaper.expect("just seen").pid,
        ..OwnIds::current()
    };
    let mut sampler = Sampler::new(own, Arc::default()).expect("/proc is there");
    let member = Arc::new(run.member.clone());
    let processes = look(&mut sampler, &member)
        .expect("alive")
        .figures
        .processes;
    let daemon = rustix::process::Pid::from_raw(i32::try_from(daemon).expect("a pid fits"));
    rustix::process::kill_process(daemon.expect("a pid"), rustix::process::Signal::KILL)
        .expect("alive");
    assert_eq!(processes, 2);
}

#[test]
fn a_tree_that_vanishes_between_two_looks_is_no_error_and_is_let_go_of() {
    let mut run = Run::start("while :; do :; done");
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    assert!(look(&mut sampler, &member).is_some());
    run.end();
    for n in 1..=limits::SAMPLE_EMPTY_ROUNDS {
        let round = sampler.round(&[Arc::clone(&member)]).expect("no error");
        assert_eq!((round.samples.len(), round.unreadable), (0, 0));
        assert_eq!(
            round.gone.len(),
            usize::from(n == limits::SAMPLE_EMPTY_ROUNDS)
        );
    }
}

#[test]
fn processes_that_come_and_go_while_they_are_read_never_fail_a_look() {
    let run = Run::start("while :; do /bin/true & /bin/true; done");
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    let mut most = 0;
    for _ in 0..300 {
        let figures = look(&mut sampler, &member)
            .expect("the shell is alive")
            .figures;
        assert!(
            figures.cpu_percent >= 0.0 && figures.processes >= 1,
            "{figures:?}"
        );
        most = most.max(figures.processes);
    }
    assert!(most > 1, "its commands were never seen");
}

#[test]
fn without_room_for_kept_files_they_are_opened_each_time() {
    let run = Run::start("read x");
    let member = Arc::new(run.member.clone());
    let (rich, poor) = (
        Arc::new(FileBudget::default()),
        Arc::new(FileBudget::default()),
    );
    poor.use_up();
    let look_with = |budget: &Arc<FileBudget>| {
        let mut sampler =
            Sampler::new(OwnIds::current(), Arc::clone(budget)).expect("/proc is there");
        let figures = look(&mut sampler, &member).expect("it is alive").figures;
        (figures.open_files, budget.kept(), sampler)
    };
    let (files, before) = (look_with(&poor).0, poor.kept());
    let (files_kept, kept, sampler) = look_with(&rich);
    assert_eq!(files, files_kept);
    assert_eq!((poor.kept(), kept), (before, 2));
    drop(sampler);
    assert_eq!(rich.kept(), 0, "a sampler gives its room back");
}
