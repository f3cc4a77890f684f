//! Which processes belong to which run, from one scan. Pure: it reads nothing; even an environment is
//! looked up by the caller, and only for processes that nothing else accounts for.
//!
//! A process belongs to a run when, in this order: it is the run's main process, or was known before; its
//! parent belongs to it; it is in the main process's group; the leader of its session belongs to it; it
//! was orphaned and carries the run's mark. The nearest claim wins, so nobody belongs to two runs.
//! The supervisor itself never belongs to any, nor does a process that is older than the run; the
//! supervisor's own session and group, which programs share until they leave them, claim nothing.

use super::ProcStat;

/// One run, and what is known of it. Its place in the slice is its index.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    /// The main process, which may have ended.
    pub pid: u32,
    /// When it started: nothing older belongs to the run.
    pub start_ticks: u64,
    /// The group it was started in.
    pub pgrp: u32,
    /// Pids and start times of processes that were members before. Whatever has gone is passed over.
    pub known: &'a [(u32, u64)],
}

/// The supervisor itself.
#[derive(Clone, Copy, Debug)]
pub struct OwnIds {
    /// Its pid; as a subreaper it is the parent of its orphans.
    pub pid: u32,
    /// Its process group; 0 when that lies outside our pid namespace.
    pub pgrp: u32,
    /// Its session; 0 when that lies outside our pid namespace.
    pub session: u32,
}

impl OwnIds {
    /// Those of this process. Without `/proc` it belongs to no group and no session.
    #[must_use]
    pub fn current() -> Self {
        // Not getsid and getpgrp: in a container that was entered from outside both answer 0, which
        // rustix takes for a bug.
        let pid = std::process::id();
        let stat = super::read_stat(pid).ok().flatten().unwrap_or_default();
        Self {
            pid,
            pgrp: stat.pgrp,
            session: stat.session,
        }
    }
}

/// Every process of `scan` that belongs to one of `roots`, as (index of the root, index in the scan), in
/// the order of the scan. Zombies are among them. `mark` says whose mark a process carries; it is asked
/// only for processes that nothing else claims, that are no older than every run, and whose parent is a
/// process that orphans go to: we, pid 1, or the parent of an adopted main process.
pub fn members(
    scan: &[ProcStat],
    roots: &[Root<'_>],
    own: OwnIds,
    mark: impl FnMut(&ProcStat) -> Option<usize>,
) -> Vec<(usize, usize)> {
    let index = PidIndex::new(scan);
    let reapers = reapers(scan, roots, own, &index);
    let mut walk = Walk {
        scan,
        roots,
        own,
        owners: vec![Owner::Unvisited; scan.len()],
        groups: groups(scan, roots, own, &index),
        oldest: roots.iter().map(|r| r.start_ticks).min().unwrap_or(0),
        reapers,
        index,
        mark,
    };
    walk.settle_known();
    for at in 0..scan.len() {
        walk.settle(at);
    }
    let owned = walk.owners.iter().enumerate();
    owned
        .filter_map(|(at, owner)| match owner {
            Owner::Root(root) => Some((*root, at)),
            Owner::Unvisited | Owner::Visiting | Owner::Nobody => None,
        })
        .collect()
}

/// Finds processes of a scan by pid. Sorting is cheap: scans come nearly sorted.
struct PidIndex(Vec<(u32, usize)>);

impl PidIndex {
    fn new(scan: &[ProcStat]) -> Self {
        let mut pids: Vec<_> = scan.iter().enumerate().map(|(i, p)| (p.pid, i)).collect();
        pids.sort_unstable();
        Self(pids)
    }

    fn find(&self, pid: u32) -> Option<usize> {
        let at = self.0.binary_search_by_key(&pid, |(p, _)| *p).ok()?;
        Some(self.0[at].1)
    }
}

/// The processes that orphans of a run are handed to, sorted. An adopted main process was handed over
/// itself, so its parent is one (a user's service manager takes orphans in place of pid 1).
fn reapers(scan: &[ProcStat], roots: &[Root<'_>], own: OwnIds, index: &PidIndex) -> Vec<u32> {
    let mut reapers = vec![1, own.pid];
    for root in roots {
        let main = index.find(root.pid).map(|at| &scan[at]);
        reapers.extend(
            main.filter(|p| p.start_ticks == root.start_ticks && p.ppid != 0)
                .map(|p| p.ppid),
        );
    }
    reapers.sort_unstable();
    reapers.dedup();
    reapers
}

/// Process groups and the roots they speak for, sorted.
fn groups(
    scan: &[ProcStat],
    roots: &[Root<'_>],
    own: OwnIds,
    index: &PidIndex,
) -> Vec<(u32, usize)> {
    // The number of a group is not given to a new process while the group has members. So a stranger at
    // the number says that the run's group has ended, and that whoever is in it now is his.
    let is_strangers = |root: &Root<'_>| {
        root.pgrp == root.pid
            && index
                .find(root.pid)
                .is_some_and(|at| scan[at].start_ticks != root.start_ticks)
    };
    let mut groups: Vec<_> = roots
        .iter()
        .enumerate()
        .filter(|(_, r)| r.pgrp != 0 && r.pgrp != own.pgrp && !is_strangers(r))
        .map(|(i, r)| (r.pgrp, i))
        .collect();
    groups.sort_unstable();
    groups
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Unvisited,
    /// Waits for its parent or its session's leader to be settled.
    Visiting,
    Nobody,
    Root(usize),
}

/// What is to be done about one process next.
enum Step {
    Settled(Owner),
    /// The process at this place of the scan has to be settled first.
    After(usize),
}

struct Walk<'a, F> {
    scan: &'a [ProcStat],
    roots: &'a [Root<'a>],
    own: OwnIds,
    owners: Vec<Owner>,
    groups: Vec<(u32, usize)>,
    /// The start of the oldest run.
    oldest: u64,
    reapers: Vec<u32>,
    index: PidIndex,
    mark: F,
}

impl<F: FnMut(&ProcStat) -> Option<usize>> Walk<'_, F> {
    /// Main processes first: one that was known as a member of another run is still a main process.
    fn settle_known(&mut self) {
        for (root, r) in self.roots.iter().enumerate() {
            self.claim(root, (r.pid, r.start_ticks));
        }
        for (root, r) in self.roots.iter().enumerate() {
            for known in r.known {
                self.claim(root, *known);
            }
        }
    }

    fn claim(&mut self, root: usize, (pid, start_ticks): (u32, u64)) {
        let Some(at) = self.index.find(pid) else {
            return;
        };
        let same = self.scan[at].start_ticks == start_ticks;
        if same && self.may_own(root, at) && self.owners[at] == Owner::Unvisited {
            self.owners[at] = Owner::Root(root);
        }
    }

    fn may_own(&self, root: usize, at: usize) -> bool {
        let process = &self.scan[at];
        process.pid != self.own.pid
            && self
                .roots
                .get(root)
                .is_some_and(|r| process.start_ticks >= r.start_ticks)
    }

    /// Settles one process and everything it hangs on. A chain of forks can be as long as the scan, so the
    /// stack is on the heap.
    fn settle(&mut self, at: usize) {
        let mut stack = vec![at];
        while let Some(&top) = stack.last() {
            if let Owner::Nobody | Owner::Root(_) = self.owners[top] {
                stack.pop();
                continue;
            }
            self.owners[top] = Owner::Visiting;
            match self.step(top) {
                Step::Settled(owner) => self.owners[top] = owner,
                Step::After(other) => stack.push(other),
            }
        }
    }

    fn step(&mut self, at: usize) -> Step {
        let process = self.scan[at];
        if process.pid == self.own.pid {
            return Step::Settled(Owner::Nobody);
        }
        match self.owner_of(process.ppid, at) {
            Step::Settled(Owner::Root(root)) => return Step::Settled(Owner::Root(root)),
            Step::After(parent) => return Step::After(parent),
            Step::Settled(_) => {}
        }
        if let Some(root) = self.group_owner(at) {
            return Step::Settled(Owner::Root(root));
        }
        if process.session != self.own.session {
            match self.owner_of(process.session, at) {
                Step::Settled(Owner::Root(root)) => return Step::Settled(Owner::Root(root)),
                Step::After(leader) => return Step::After(leader),
                Step::Settled(_) => {}
            }
        }
        Step::Settled(self.mark_owner(at).map_or(Owner::Nobody, Owner::Root))
    }

    /// Who owns the parent or session leader `pid` of the process at `at`. One that is younger is not the
    /// one that was meant: the number was given away between two reads of the scan.
    fn owner_of(&self, pid: u32, at: usize) -> Step {
        let found = self.index.find(pid).filter(|other| {
            *other != at && self.scan[*other].start_ticks <= self.scan[at].start_ticks
        });
        match found {
            None => Step::Settled(Owner::Nobody),
            Some(other) => match self.owners[other] {
                Owner::Unvisited => Step::After(other),
                // A circle is no family tree; only a torn scan has one.
                Owner::Visiting | Owner::Nobody => Step::Settled(Owner::Nobody),
                Owner::Root(root) => Step::Settled(Owner::Root(root)),
            },
        }
    }

    fn group_owner(&self, at: usize) -> Option<usize> {
        let pgrp = self.scan[at].pgrp;
        let first = self.groups.partition_point(|(g, _)| *g < pgrp);
        let same = self.groups[first..].iter().take_while(|(g, _)| *g == pgrp);
        same.map(|(_, root)| *root)
            .find(|root| self.may_own(*root, at))
    }

    fn mark_owner(&mut self, at: usize) -> Option<usize> {
        let process = self.scan[at];
        // The machine's own services are older than any run, and not worth a look into each.
        if process.start_ticks < self.oldest {
            return None;
        }
        self.reapers.binary_search(&process.ppid).ok()?;
        (self.mark)(&process).filter(|root| self.may_own(*root, at))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
