//! The life of sampling threads, and what they leave in memory.

use std::sync::atomic::AtomicUsize;

use super::*;

fn quiet() -> Metrics {
    Metrics::start(None, Box::new(|_, _| {})).expect("room for a thread")
}

#[test]
fn latest_ring_peak_and_sink_tell_of_a_watched_run_also_after_it_ended() {
    let run = Run::start("read x");
    let sunk = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sunk);
    let metrics = Metrics::start(
        Some(Duration::from_millis(150)),
        Box::new(move |samples, _| {
            counter.fetch_add(samples.len(), Relaxed);
        }),
    )
    .expect("room for a thread");
    let Member {
        instance, run: id, ..
    } = run.member.clone();
    metrics.watch(run.member.clone(), Duration::from_millis(100));
    until(
        "three samples",
        || metrics.ring(&instance).len(),
        |n| *n >= 3,
    );
    until("the host", || metrics.host(), |h| h.memory_total_bytes > 0);
    let latest = metrics.latest(&instance).expect("just seen");
    assert_eq!((latest.run, latest.figures.processes), (id, 1));
    metrics.unwatch(&instance, RunId::new());
    metrics.unwatch(&instance, id);
    until(
        "unwatched",
        || metrics.stats(),
        |s| s.members == 0 && s.threads == 1 && s.threads_reaped + 1 == s.threads_started,
    );
    let largest = metrics
        .ring(&instance)
        .iter()
        .map(|s| s.figures.memory_bytes)
        .max();
    assert!(largest.is_some_and(|bytes| bytes > 0));
    assert_eq!(metrics.peak(id), largest);
    assert_eq!(metrics.finish(PATIENCE), Finished { joined: 1, left: 0 });
    let stats = metrics.stats();
    assert_eq!(stats.threads_reaped, stats.threads_started);
    assert_eq!(
        sunk.load(Relaxed) as u64,
        stats.samples,
        "all were handed on"
    );
    assert_eq!(stats.messages_dropped, 0);
    metrics.watch(run.member.clone(), Duration::from_millis(100));
    assert_eq!(
        metrics.stats().messages_dropped,
        1,
        "nobody is there to hear it"
    );
}

#[test]
fn a_changed_interval_moves_the_run_and_its_thread_ends() {
    let run = Run::start("read x");
    let metrics = quiet();
    metrics.watch(run.member.clone(), Duration::from_millis(100));
    until("sampled", || metrics.stats(), |s| s.samples > 0);
    metrics.watch(run.member.clone(), Duration::from_millis(110));
    let stats = until("moved", || metrics.stats(), |s| s.threads_reaped == 1);
    assert_eq!(
        (stats.threads, stats.members, stats.threads_started),
        (1, 1, 2)
    );
}

#[test]
fn a_run_whose_end_nobody_reported_is_let_go_of_with_its_thread() {
    let mut run = Run::start("read x");
    let metrics = quiet();
    metrics.watch(run.member.clone(), Duration::from_millis(100));
    until("sampled", || metrics.stats(), |s| s.samples > 0);
    run.end();
    until(
        "let go of",
        || metrics.stats(),
        |s| s.members == 0 && s.threads == 0 && s.threads_reaped == 1 && s.files_kept == 0,
    );
}

#[test]
fn more_intervals_than_threads_share_the_nearest_thread() {
    let metrics = quiet();
    let run = Run::start("read x");
    let count = u32::try_from(limits::SAMPLE_THREADS).expect("small") + 5;
    for i in 0..count {
        let member = Member {
            instance: InstanceName::single(format!("i{i}")),
            run: RunId::new(),
            ..run.member.clone()
        };
        metrics.watch(member, Duration::from_secs(60 + u64::from(i)));
    }
    let stats = until(
        "all watched",
        || metrics.stats(),
        |s| s.members == u64::from(count),
    );
    assert_eq!(stats.threads, limits::SAMPLE_THREADS as u64);
    assert_eq!(metrics.finish(PATIENCE).left, 0);
}

#[test]
fn a_sink_that_hangs_is_left_behind_and_one_that_panics_is_started_again() {
    let run = Run::start("read x");
    let (release, held) = channel::bounded::<()>(0);
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let metrics = Metrics::start(
        None,
        Box::new(move |_, _| {
            assert!(seen.fetch_add(1, Relaxed) > 0, "the first call fails");
            let _ = held.recv();
        }),
    )
    .expect("room for a thread");
    metrics.watch(run.member.clone(), Duration::from_millis(100));
    until("a second call", || calls.load(Relaxed), |n| *n == 2);
    let stats = metrics.stats();
    assert_eq!((stats.threads_failed, stats.threads_started), (1, 2));
    let finished = metrics.finish(Duration::from_millis(50));
    drop(release);
    assert_eq!(finished, Finished { joined: 0, left: 1 });
}

/// A figure of `/proc/self/status`.
fn own_status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let line = text.lines().find_map(|l| l.strip_prefix(key));
    let word = line.and_then(|l| l.trim_start_matches(':').split_whitespace().next());
    word.and_then(|w| w.parse().ok())
        .expect("the kernel has it")
}

/// Waits out one thousand lives of an interval: each watch starts a thread, each unwatch ends it.
#[test]
fn cycles_in_a_process_of_their_own() {
    // It counts threads and memory of its whole process; the test below gives it one of its own.
    if !is_alone() {
        return;
    }
    let run = Run::start("read x");
    let metrics = quiet();
    let (mut threads, mut resident, mut mapped) = (0, 0, 0);
    for cycle in 1..=1_000 {
        let member = Member {
            instance: InstanceName::single(format!("i{cycle}")),
            run: RunId::new(),
            ..run.member.clone()
        };
        metrics.watch(member.clone(), Duration::from_secs(60 + cycle % 7));
        until("sampled", || metrics.stats(), |s| s.samples == cycle);
        assert!(metrics.latest(&member.instance).is_some());
        metrics.unwatch(&member.instance, member.run);
        metrics.forget(&member.instance);
        until("reaped", || metrics.stats(), |s| s.threads_reaped == cycle);
        if cycle == 100 {
            threads = own_status("Threads");
            (resident, mapped) = (own_status("VmRSS"), own_status("VmSize"));
        }
    }
    let stats = metrics.stats();
    assert_eq!(
        (stats.threads, stats.threads_ending, stats.members),
        (0, 0, 0)
    );
    assert_eq!(
        (stats.rings, stats.files_kept, stats.threads_started),
        (0, 0, 1_000)
    );
    assert!(stats.peaks <= limits::SAMPLE_PEAKS_KEPT);
    assert_eq!(own_status("Threads"), threads);
    let grown = own_status("VmRSS").saturating_sub(resident);
    assert!(grown < 2_048, "resident memory grew by {grown} KiB");
    // A thread nobody joined keeps its stack of 2 MiB mapped: 900 of them are 1.8 GB.
    let grown = own_status("VmSize").saturating_sub(mapped);
    assert!(grown < 200_000, "mapped memory grew by {grown} KiB");
}

#[test]
fn a_thousand_intervals_that_come_and_go_leave_no_thread_no_entry_and_no_memory() {
    pass_alone("metrics::tests::life::cycles_in_a_process_of_their_own");
}

#[test]
fn no_file_left_in_a_process_of_its_own() {
    // It takes all files of its whole process; the test below gives it one of its own.
    if !is_alone() {
        return;
    }
    let run = Run::start("read x");
    let member = Arc::new(run.member.clone());
    let mut sampler = sampler();
    assert!(look(&mut sampler, &member).is_some());
    let limit = |current| {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let limit = rustix::process::Rlimit { current, ..before };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)
            .expect("lowering is free");
        before.current
    };
    let before = limit(Some(3));
    let failed = (0..5).all(|_| sampler.round(&[Arc::clone(&member)]).is_err());
    limit(before);
    assert!(failed, "a table that cannot be read must not look empty");
    let round = sampler
        .round(&[Arc::clone(&member)])
        .expect("readable again");
    assert_eq!((round.samples.len(), round.gone.len()), (1, 0));
}

#[test]
fn without_a_file_left_no_run_is_taken_for_ended() {
    pass_alone("metrics::tests::life::no_file_left_in_a_process_of_its_own");
}
