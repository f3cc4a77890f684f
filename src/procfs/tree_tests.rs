//! Membership: tables, a property against a naive model, and real processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::procfs::{environ_mark, read_stat, scan};

const OWN: OwnIds = OwnIds {
    pid: 100,
    pgrp: 100,
    session: 90,
};

fn process(pid: u32, parent: u32, pgrp: u32, session: u32) -> ProcStat {
    ProcStat {
        pid,
        ppid: parent,
        pgrp,
        session,
        state: b'S',
        start_ticks: u64::from(pid),
        ..ProcStat::default()
    }
}

fn root(pid: u32) -> Root<'static> {
    Root {
        pid,
        start_ticks: u64::from(pid),
        pgrp: pid,
        known: &[],
    }
}

/// Pids by root.
fn owned(scan: &[ProcStat], roots: &[Root<'_>], marks: &[(u32, usize)]) -> Vec<(usize, u32)> {
    members(scan, roots, OWN, |p| {
        marks.iter().find(|m| m.0 == p.pid).map(|m| m.1)
    })
    .into_iter()
    .map(|(root, at)| (root, scan[at].pid))
    .collect()
}

#[test]
fn descendants_belong_to_the_nearest_main_process_above_them() {
    let scan = [
        process(100, 50, 100, 90),
        process(200, 100, 200, 90),
        process(201, 200, 201, 90),
        process(202, 201, 202, 202),
        process(300, 100, 300, 90),
        process(301, 300, 300, 90),
    ];
    let found = owned(&scan, &[root(200), root(300)], &[]);
    assert_eq!(found, [(0, 200), (0, 201), (0, 202), (1, 300), (1, 301)]);
}

#[test]
fn the_supervisor_its_session_and_its_group_are_nobodys() {
    let scan = [
        process(90, 1, 90, 90),
        process(100, 90, 100, 90),
        process(200, 100, 200, 90),
        process(201, 90, 100, 90),
        process(202, 100, 100, 90),
    ];
    // A root that was left in our group must not draw in the user's pipeline.
    let in_our_group = Root {
        pgrp: 100,
        ..root(200)
    };
    assert_eq!(owned(&scan, &[in_our_group], &[]), [(0, 200)]);
    // Not even when a run's shell started this supervisor.
    assert_eq!(
        owned(&scan, &[root(90)], &[]),
        [(0, 90), (0, 201)],
        "we, and our own other children, are not of the run"
    );
}

#[test]
fn an_orphan_in_the_group_belongs_also_when_the_main_process_has_gone() {
    let scan = [process(205, 100, 200, 90), process(206, 205, 206, 206)];
    assert_eq!(owned(&scan, &[root(200)], &[]), [(0, 205), (0, 206)]);
}

#[test]
fn a_group_number_that_was_given_to_a_stranger_claims_nobody() {
    let mut stranger = process(200, 1, 200, 90);
    stranger.start_ticks = 9_000;
    let mut his_child = process(9_001, 1, 200, 90);
    his_child.start_ticks = 9_001;
    assert_eq!(owned(&[stranger, his_child], &[root(200)], &[]), []);
}

#[test]
fn a_session_belongs_when_its_leader_does() {
    let scan = [
        process(200, 100, 200, 90),
        process(210, 200, 210, 210),
        process(211, 1, 211, 210),
        process(212, 211, 212, 210),
    ];
    assert_eq!(
        owned(&scan, &[root(200)], &[]),
        [(0, 200), (0, 210), (0, 211), (0, 212)]
    );
}

#[test]
fn a_marked_orphan_belongs_with_its_children_and_nobody_older_than_the_run_does() {
    let old = process(150, 1, 150, 150);
    let scan = [
        old,
        process(200, 100, 200, 90),
        process(220, 1, 220, 220),
        process(221, 220, 221, 221),
        process(230, 100, 230, 230),
    ];
    let marks = [(150, 0), (220, 0), (230, 0)];
    assert_eq!(
        owned(&scan, &[root(200)], &marks),
        [(0, 200), (0, 220), (0, 221), (0, 230)]
    );
}

#[test]
fn environments_are_looked_into_only_for_orphans_nobody_claims() {
    let scan = [
        process(1, 0, 1, 1),
        process(50, 1, 50, 50),
        process(60, 50, 60, 60),
        process(100, 60, 100, 90),
        process(200, 100, 200, 90),
        process(201, 200, 200, 90),
        process(202, 1, 200, 90),
        process(300, 60, 300, 300),
        process(301, 60, 301, 301),
        process(302, 1, 302, 302),
    ];
    let asked = RefCell::new(Vec::new());
    // 300 was adopted: its parent 60 is the service manager to which its orphans go as well.
    let roots = [root(200), root(300)];
    members(&scan, &roots, OWN, |p| {
        asked.borrow_mut().push(p.pid);
        None
    });
    assert_eq!(*asked.borrow(), [301, 302], "50 is older than both runs");
}

#[test]
fn members_known_from_before_stay_and_a_reused_pid_does_not() {
    let known = [(400, 400), (401, 77)];
    let roots = [Root {
        known: &known,
        ..root(200)
    }];
    let scan = [
        process(400, 1, 400, 400),
        process(401, 1, 401, 401),
        process(402, 400, 402, 402),
    ];
    assert_eq!(owned(&scan, &roots, &[]), [(0, 400), (0, 402)]);
}

#[test]
fn a_scan_torn_into_a_circle_ends_and_claims_nobody() {
    let mut a = process(300, 301, 300, 300);
    let mut b = process(301, 300, 301, 300);
    a.start_ticks = 500;
    b.start_ticks = 500;
    assert_eq!(owned(&[a, b], &[root(200)], &[]), []);
}

#[test]
fn a_chain_of_forks_as_long_as_the_scan_does_not_exhaust_the_stack() {
    // The youngest comes first, so that settling it walks the whole chain.
    let scan: Vec<_> = (0..200_000_u32)
        .rev()
        .map(|i| process(1_000 + i, 999 + i, 1_000 + i, 1_000 + i))
        .collect();
    assert_eq!(owned(&scan, &[root(1_000)], &[]).len(), 200_000);
}

/// The rules as sentences, applied again and again until nothing changes.
fn naive(
    scan: &[ProcStat],
    roots: &[Root<'_>],
    marks: &BTreeMap<u32, usize>,
) -> BTreeSet<(usize, usize)> {
    let place = |pid: u32| scan.iter().position(|p| p.pid == pid);
    let old_enough = |r: usize, p: &ProcStat| p.start_ticks >= roots[r].start_ticks;
    let reaper = |pid: u32| {
        pid == 1
            || pid == OWN.pid
            || roots.iter().any(|r| {
                place(r.pid).is_some_and(|at| {
                    scan[at].start_ticks == r.start_ticks && scan[at].ppid == pid && pid != 0
                })
            })
    };
    // Settled from the oldest on, each by the first rule that applies: parents and leaders are older.
    let mut owner: Vec<Option<usize>> = vec![None; scan.len()];
    let mut order: Vec<usize> = (0..scan.len()).collect();
    order.sort_by_key(|at| scan[*at].start_ticks);
    for at in order {
        let p = &scan[at];
        if p.pid == OWN.pid {
            continue;
        }
        let main = roots
            .iter()
            .position(|r| (r.pid, r.start_ticks) == (p.pid, p.start_ticks));
        let known = || {
            (0..roots.len())
                .find(|r| roots[*r].known.contains(&(p.pid, p.start_ticks)) && old_enough(*r, p))
        };
        let parent = || place(p.ppid).and_then(|parent| owner[parent]);
        let group = || {
            (0..roots.len()).find(|r| {
                let stranger = place(roots[*r].pid)
                    .is_some_and(|at| scan[at].start_ticks != roots[*r].start_ticks);
                p.pgrp != 0
                    && p.pgrp != OWN.pgrp
                    && roots[*r].pgrp == p.pgrp
                    && !stranger
                    && old_enough(*r, p)
            })
        };
        let session = || {
            (p.session != OWN.session)
                .then(|| place(p.session).and_then(|leader| owner[leader]))
                .flatten()
        };
        let mark = || {
            (reaper(p.ppid))
                .then(|| marks.get(&p.pid).copied())
                .flatten()
                .filter(|r| old_enough(*r, p))
        };
        owner[at] = main
            .or_else(known)
            .or_else(parent)
            .or_else(group)
            .or_else(session)
            .or_else(mark);
    }
    owner
        .iter()
        .enumerate()
        .filter_map(|(at, owner)| owner.map(|root| (root, at)))
        .collect()
}

fn random_scan(rng: &mut fastrand::Rng) -> Vec<ProcStat> {
    let mut scan: Vec<ProcStat> = vec![process(1, 0, 1, 1), process(100, 1, 100, 90)];
    let count = rng.u32(3..40);
    for i in 0..count {
        let pid = 101 + i;
        let any = |rng: &mut fastrand::Rng, scan: &[ProcStat]| scan[rng.usize(..scan.len())].pid;
        let parent = any(rng, &scan);
        let pgrp = if rng.bool() { pid } else { any(rng, &scan) };
        let session = match rng.u8(..3) {
            0 => pid,
            1 => 90,
            _ => any(rng, &scan),
        };
        scan.push(process(pid, parent, pgrp, session));
    }
    // Some have gone, and the kernel's order need not be by age.
    scan.retain(|p| p.pid <= 100 || rng.u8(..5) > 0);
    rng.shuffle(&mut scan);
    scan
}

#[test]
fn membership_equals_the_naive_model_on_random_families() {
    let mut claimed = 0;
    for seed in 0..5_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let scan = random_scan(&mut rng);
        let mut mains: Vec<u32> = (0..rng.usize(1..5)).map(|_| rng.u32(101..140)).collect();
        mains.sort_unstable();
        mains.dedup();
        let known: Vec<(u32, u64)> = (0..rng.usize(..3))
            .map(|_| {
                let pid = rng.u32(101..140);
                (pid, u64::from(pid) + u64::from(rng.u8(..4) / 3))
            })
            .collect();
        let roots: Vec<Root<'_>> = mains
            .iter()
            .enumerate()
            .map(|(i, pid)| Root {
                start_ticks: u64::from(*pid) - u64::from(rng.u8(..8) / 7),
                known: if i == 0 { &known } else { &[] },
                ..root(*pid)
            })
            .collect();
        let marks: BTreeMap<u32, usize> = (0..rng.usize(..8))
            .map(|_| (rng.u32(101..140), rng.usize(..roots.len())))
            .collect();
        let wanted = naive(&scan, &roots, &marks);
        let got = members(&scan, &roots, OWN, |p| marks.get(&p.pid).copied());
        claimed += got.len();
        assert!(got.is_sorted_by_key(|(_, at)| *at));
        assert_eq!(
            got.into_iter().collect::<BTreeSet<_>>(),
            wanted,
            "seed {seed}"
        );
    }
    assert!(claimed > 5_000, "the families have members: {claimed}");
}

fn shell(script: &str, mark: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", script])
        .env("JIKIMI_RUN", mark)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell is everywhere");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, out)
}

fn pid_line(out: &mut impl BufRead) -> u32 {
    let mut line = String::new();
    out.read_line(&mut line).expect("a pipe");
    line.trim().parse().expect("the script prints a pid")
}

fn root_of(child: &Child) -> Root<'static> {
    let main = read_stat(child.id())
        .expect("readable")
        .expect("not reaped");
    Root {
        pid: main.pid,
        start_ticks: main.start_ticks,
        pgrp: main.pid,
        known: &[],
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = pid.expect("a pid that a process printed");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("still there");
}

#[test]
fn a_real_child_that_left_its_session_is_found_by_descent() {
    let (mut child, mut out) = shell("setsid sh -c 'echo $$; exec sleep 60' & wait", "unused");
    let daemon = pid_line(&mut out);
    let all = scan().expect("readable");
    let found = members(&all, &[root_of(&child)], OwnIds::current(), |_| None);
    let pids: Vec<u32> = found.iter().map(|(_, at)| all[*at].pid).collect();
    kill(daemon);
    child.wait().expect("our child");
    assert!(
        pids.contains(&daemon) && pids.contains(&child.id()),
        "{pids:?}"
    );
    assert!(!pids.contains(&std::process::id()));
}

#[test]
fn a_real_double_fork_into_a_new_session_is_found_by_its_mark_alone() {
    let mark = format!("tree-test-{}", std::process::id());
    // The subshell ends at once, so the sleeper is an orphan with a session and a group of its own.
    let (mut child, mut out) = shell("(setsid sh -c 'echo $$; exec sleep 60' &); read x", &mark);
    let daemon = pid_line(&mut out);
    let deadline = crate::clock::mono() + std::time::Duration::from_secs(20);
    let orphan = loop {
        let stat = read_stat(daemon).expect("readable").expect("it sleeps");
        let parent = read_stat(stat.ppid).expect("readable");
        // In the midst of its exec it has no environment.
        let is_marked = environ_mark(daemon, "JIKIMI_RUN").is_some();
        if is_marked && parent.is_some_and(|p| p.pgrp != child.id()) {
            break stat;
        }
        assert!(crate::clock::mono() < deadline, "never orphaned: {stat:?}");
        std::thread::yield_now();
    };
    let all = scan().expect("readable");
    // Whoever takes orphans here stands in for a supervisor that is a subreaper.
    let own = OwnIds {
        pid: orphan.ppid,
        ..OwnIds::current()
    };
    let find = |with_mark: bool| {
        let found = members(&all, &[root_of(&child)], own, |p| {
            let carried = environ_mark(p.pid, "JIKIMI_RUN");
            (with_mark && carried.as_deref() == Some(&mark)).then_some(0)
        });
        found.iter().any(|(_, at)| all[*at].pid == daemon)
    };
    let (with, without) = (find(true), find(false));
    kill(daemon);
    child.kill().expect("our child");
    child.wait().expect("our child");
    assert!(with, "the mark was not followed");
    assert!(!without, "something else than the mark claimed it");
}
