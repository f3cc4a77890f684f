//! What is alive of each run, from at most one scan of `/proc` a round. Owns the cached answer.

use std::collections::HashMap;

use crate::child::{self, Watched};
use crate::ids::RunId;
use crate::procfs::{self, Mark, ProcStat, tree};

/// A run whose processes are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub run: RunId,
    pub pid: u32,
    pub start_ticks: u64,
}

/// The members of every run, as of one scan. Zombies are not among them.
#[derive(Debug, Default)]
pub(super) struct Members {
    of: HashMap<RunId, Vec<ProcStat>>,
    /// An orphan was between two programs (`execve`), so that it could not be asked whose it is.
    pub is_undecided: bool,
}

impl Members {
    pub fn of(&self, run: RunId) -> Vec<ProcStat> {
        self.of.get(&run).cloned().unwrap_or_default()
    }
}

/// Looks at `/proc` once for all `roots`. A `/proc` that cannot be read gives no members, and says so.
pub(super) fn find(roots: &[Root]) -> Members {
    let scan = procfs::scan().unwrap_or_else(|error| {
        log::error!("the process table cannot be read: {error}");
        Vec::new()
    });
    let by_run: HashMap<String, usize> = roots
        .iter()
        .enumerate()
        .map(|(i, r)| (r.run.to_string(), i))
        .collect();
    let places: Vec<tree::Root> = roots
        .iter()
        .map(|r| tree::Root {
            pid: r.pid,
            start_ticks: r.start_ticks,
            pgrp: r.pid,
            known: &[],
        })
        .collect();
    let own = tree::OwnIds::current();
    let mut members = Members::default();
    let is_undecided = &mut members.is_undecided;
    let by_limit: HashMap<u64, usize> = roots
        .iter()
        .enumerate()
        .map(|(i, r)| (procfs::limit_mark(r.run), i))
        .collect();
    let mark = |stat: &ProcStat| {
        let of_limit = procfs::read_limit_mark(stat.pid).and_then(|m| by_limit.get(&m).copied());
        if of_limit.is_some() {
            return of_limit;
        }
        // One look: between two the process may have become another program.
        let marked = match procfs::mark(stat.pid, procfs::RUN_MARK) {
            Mark::Is(run) => Some(run),
            Mark::Missing => None,
            Mark::Empty => {
                // Of ours alone: in pid 1's care there may be any number of strangers.
                *is_undecided |= stat.ppid == own.pid && !stat.is_zombie();
                None
            }
        };
        marked
            .or_else(|| run_written_to(stat.pid))
            .and_then(|run| by_run.get(&run).copied())
    };
    for (root, at) in tree::members(&scan, &places, own, mark) {
        if !scan[at].is_zombie() {
            members
                .of
                .entry(roots[root].run)
                .or_default()
                .push(scan[at]);
        }
    }
    members
}

/// The run whose pipe the process writes to: a daemon may have overwritten its environment.
fn run_written_to(pid: u32) -> Option<String> {
    [1, 2].into_iter().find_map(|fd| {
        let path = procfs::descriptor_path(pid, fd)?;
        let (run, _) = path.file_name()?.to_str()?.split_once('.')?;
        Some(run.to_owned())
    })
}

/// Whether the process carries a mark of the run.
pub(super) fn is_marked(pid: u32, run: RunId) -> bool {
    procfs::has_limit_mark(pid, run)
        || procfs::mark(pid, procfs::RUN_MARK) == Mark::Is(run.to_string())
}

/// Takes hold of every process of `members` but `main`; those that ended meanwhile are passed over.
pub(super) fn hold(members: &[ProcStat], main: Option<u32>) -> Vec<Watched> {
    let others = members.iter().filter(|stat| Some(stat.pid) != main);
    others
        .filter_map(|stat| match child::watch(stat.pid, stat.start_ticks) {
            Ok(watched) => watched,
            Err(error) => {
                log::error!("process {} cannot be watched: {error}", stat.pid);
                None
            }
        })
        .collect()
}
