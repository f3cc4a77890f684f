//! The only place that spawns, signals and reaps. Owns the register of our children; decides nothing.
//!
//! Architecture invariant: runs are signalled and reaped by one thread, the supervision actor, so that no
//! signal can reach a pid that was reaped and given to somebody else in between. Once that thread has ended,
//! [`end_orphans`] does the same for what came to us without belonging to a run. Short helpers ([`run_helper`])
//! are no runs: whoever wants one signals and reaps it.

mod adopt;
mod end;
pub mod exec;
mod feed;
pub mod foreground;
mod helper;
mod launch;
mod mark;
mod orphans;
mod plan;
mod replace;
mod spawn;
mod stopped;

pub use adopt::{adopt, last_word, last_word_of};
pub use end::{
    Watched, abandon, group_exists, is_registered, orphans, reap, reap_orphans, signal_group,
    signal_process, watch,
};
pub use helper::{Helper, HelperEnd, run_helper};
pub use launch::{Launch, launch};
pub use orphans::end_orphans;
pub use replace::{REPLACES, replace};
pub use spawn::{Child, Spawn, SpawnError, resolve, spawn};
pub use stopped::{Pause, pauses};

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit, getrlimit, set_child_subreaper, setrlimit};

use crate::limits;

/// The children that somebody here waits for by pid. Every other zombie of ours is an orphan.
static REGISTER: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// The limit on open files that this process was started with, once it was raised.
static ORIGINAL_FILES: OnceLock<Rlimit> = OnceLock::new();

/// What helpers are given back, as programs are: none when it was not raised.
fn original_file_limit() -> Option<Rlimit> {
    ORIGINAL_FILES.get().copied()
}

/// Makes this process the one that orphans among its descendants come to, instead of pid 1.
///
/// # Errors
/// The kernel refuses, as one before 3.4 would.
pub fn adopt_orphans() -> std::io::Result<()> {
    orphans::note_strangers();
    mark::remember_original();
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Marks every descriptor this process was started with, but for the standard three, as close-on-exec: what
/// the caller's shell left open must not reach programs.
///
/// # Errors
/// `/proc/self/fd` cannot be read.
pub fn close_inherited_on_exec() -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        if fd > 2 {
            // SAFETY: the number was just listed; a descriptor closed since gives EBADF, which is no fault.
            #[expect(
                unsafe_code,
                reason = "the descriptors belong to nobody in this process"
            )]
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            let _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// The limit on open files that programs are to get: the one this process was started with.
#[derive(Clone, Copy, Debug)]
pub struct FileLimit {
    original: Rlimit,
    raised: u64,
}

impl FileLimit {
    /// Raises the soft limit of this process to what `instances` instances take, as far as the hard limit
    /// allows, and remembers the original for the programs.
    #[must_use]
    pub fn raise(instances: usize) -> Self {
        let original = getrlimit(Resource::Nofile);
        ORIGINAL_FILES.get_or_init(|| original);
        let wanted = limits::OPEN_FILES_BASE + limits::OPEN_FILES_PER_INSTANCE * instances as u64;
        let ceiling = original.maximum.unwrap_or(u64::MAX);
        let current = original.current.unwrap_or(u64::MAX);
        let raised = wanted.max(current).min(ceiling);
        let new = Rlimit {
            current: Some(raised),
            maximum: original.maximum,
        };
        match setrlimit(Resource::Nofile, new) {
            Ok(()) => Self { original, raised },
            Err(error) => {
                log::warn!("the limit on open files stays at {current}: {error}");
                Self {
                    original,
                    raised: current,
                }
            }
        }
    }

    /// Raises it further, when `instances` have become too many for it.
    pub fn raise_again(&self, instances: usize) {
        let _ = Self::raise(instances);
    }

    /// Sets the limit of this process back to what it was started with.
    pub(super) fn give_back(self) {
        if let Err(error) = setrlimit(Resource::Nofile, self.original) {
            log::warn!("the limit on open files stays raised: {error}");
        }
    }

    /// Open files this process may have.
    #[must_use]
    pub fn raised(&self) -> u64 {
        self.raised
    }

    /// What the programs get.
    #[must_use]
    pub fn original(&self) -> Rlimit {
        self.original
    }
}
