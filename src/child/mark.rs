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
    is_set: bool,
}

impl Marking {
    /// The mark of the run whose environment this is; none for a process that is no run.
    pub(super) fn of(environment: &[(OsString, OsString)]) -> Self {
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
        let is_set = limit.is_some_and(|limit| setrlimit(Resource::Locks, limit).is_ok());
        Self { is_set }
    }

    /// A helper that another thread spawned just then must not look like a part of the run.
    pub(super) fn is_not_for(&self, pid: Option<Pid>) {
        if !self.is_set {
            // It may have ended already.
            let _ = prlimit(pid, Resource::Locks, remember_original());
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
