//! Which segments grew: from the pump to those who read the files. Owns a set and a wake-up; holds no output.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::segments::Source;
use crate::limits;

/// What happened to one segment since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grown {
    /// The length before the first of these bytes.
    pub from: u64,
    /// A run's output ended: an unfinished last line is all there will be of it.
    pub has_ended: bool,
}

type Set = Arc<Mutex<HashMap<Source, Grown>>>;

/// The pump's side. Dropping it is the end: the reader sees its channel close after the last growth.
#[derive(Debug)]
pub(super) struct Progress {
    set: Set,
    wake: Sender<()>,
    is_wanted: Arc<AtomicBool>,
}

/// The reader's side.
#[derive(Debug)]
pub(super) struct Watch {
    set: Set,
    is_wanted: Arc<AtomicBool>,
    /// A message when something is there to be taken.
    pub(super) woken: Receiver<()>,
}

/// Both sides. The set is bounded by the number of sources.
pub(super) fn pair() -> (Progress, Watch) {
    let set = Set::default();
    let (wake, woken) = bounded(limits::LOG_ANSWER);
    let is_wanted = Arc::new(AtomicBool::new(true));
    let progress = Progress {
        set: Arc::clone(&set),
        wake,
        is_wanted: Arc::clone(&is_wanted),
    };
    let watch = Watch {
        set,
        is_wanted,
        woken,
    };
    (progress, watch)
}

impl Progress {
    /// Notes that `source` grew from the length `from`, or ended there.
    pub(super) fn note(&self, source: &Source, from: u64, has_ended: bool) {
        if !self.is_wanted.load(Ordering::SeqCst) {
            return;
        }
        {
            let mut set = self.set.lock();
            match set.get_mut(source) {
                Some(grown) => {
                    grown.from = grown.from.min(from);
                    grown.has_ended |= has_ended;
                }
                None => {
                    set.insert(source.clone(), Grown { from, has_ended });
                }
            }
        }
        match self.wake.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

impl Watch {
    /// Whether growth is noted at all. What grew before it was wanted is in the files.
    pub(super) fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::SeqCst);
    }

    /// What grew since the last call.
    pub(super) fn take(&self) -> HashMap<Source, Grown> {
        std::mem::take(&mut self.set.lock())
    }
}
