//! Marking runs: a child is born with the mark that [`procfs::limit_mark`] describes. Owns our own limit while
//! a child is being spawned.

use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::ids::RunId;
use crate::procfs;

/// What this process was started with: perhaps the mark of a run of another supervisor's, for we may be one.
static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// To be called before anything is spawned.
pub(super) fn remember_original() -> Rlimit {
    *ORIGINAL.get_or_init(|| getrlimit(Resource::Locks))
}

/// While it lives our children are born with the mark. Set on ourselves and not on the child: a child that forks at
/// once could be faster than us.
#[must_use]
pub(super) struct Marking {
    /// What the child is to have.
    limit: Rlimit,
    is_set: bool,
}

impl Marking {
    /// The mark of the run whose environment this is; none for a process that is no run. A helper gets its own when it
    /// has been born: our limit is one for all threads, and only the thread that spawns runs may change it, or runs
    /// would be born with the marks of helpers.
    pub(super) fn of(environment: &[(OsString, OsString)], is_helper: bool) -> Self {
        let original = remember_original();
        let run = environment
            .iter()
            .find(|(name, _)| name == OsStr::new(procfs::RUN_MARK));
        let run: Option<RunId> = run.and_then(|(_, run)| run.to_str()?.parse().ok());
        let limit = run.map(|run| Rlimit {
            current: Some(procfs::limit_mark(run)),
            maximum: original.maximum,
        });
        // Where somebody lowered the hard limit there is only the environment to know runs by.
        let is_set = limit.is_some_and(|l| !is_helper && setrlimit(Resource::Locks, l).is_ok());
        let limit = limit.unwrap_or(original);
        Self { limit, is_set }
    }

    /// `pid` has been born. A helper that another thread spawned just then must not look like a part of the run.
    pub(super) fn settle(&self, pid: Option<Pid>) {
        if !self.is_set {
            // It may have ended already.
            let _ = prlimit(pid, Resource::Locks, self.limit);
        }
    }
}

impl Drop for Marking {
    fn drop(&mut self) {
        if self.is_set {
            let _ = setrlimit(Resource::Locks, remember_original());
        }
    }
}
