//! When each run last wrote something: the pump notes it, others ask. Owns a word of memory for each run that has a
//! pipe, and who wants to hear of the next byte; holds no output.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::clock::{self, Mono};
use crate::ids::RunId;

/// Called once, by the pump: must not wait.
pub(super) type Call = Box<dyn FnOnce() + Send>;

/// One run's; both of its pipes share it.
pub(super) struct Ear {
    last: AtomicU64,
    /// Looked at for every piece of output, so that the lock below is not.
    is_awaited: AtomicBool,
    awaited: Mutex<Option<Call>>,
}

impl Ear {
    fn new(now: Mono) -> Self {
        Self {
            last: AtomicU64::new(now.nanos()),
            is_awaited: AtomicBool::new(false),
            awaited: Mutex::new(None),
        }
    }

    /// It wrote.
    pub(super) fn note(&self, now: Mono) {
        self.last.store(now.nanos(), Ordering::SeqCst);
        if self.is_awaited.swap(false, Ordering::SeqCst) {
            self.call();
        }
    }

    fn last(&self) -> Mono {
        Mono::from_nanos(self.last.load(Ordering::SeqCst))
    }

    fn call(&self) {
        let call = self.awaited.lock().take();
        if let Some(call) = call {
            call();
        }
    }

    /// The flag is set before the time is read: a byte that comes in between is seen by one side at the least.
    fn await_next(&self, since: Mono, call: Call) {
        *self.awaited.lock() = Some(call);
        self.is_awaited.store(true, Ordering::SeqCst);
        if self.last() > since && self.is_awaited.swap(false, Ordering::SeqCst) {
            self.call();
        }
    }
}

/// Of all runs that have a pipe; clones share it.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<HashMap<RunId, Weak<Ear>>>>);

impl Heard {
    /// The one of a run that has a pipe; counts from now when it is new.
    pub(super) fn ear(&self, run: RunId) -> Arc<Ear> {
        let mut ears = self.0.lock();
        if let Some(ear) = ears.get(&run).and_then(Weak::upgrade) {
            return ear;
        }
        let ear = Arc::new(Ear::new(clock::mono()));
        ears.insert(run, Arc::downgrade(&ear));
        ear
    }

    /// A pipe of the run was closed.
    pub(super) fn forget(&self, run: RunId) {
        let mut ears = self.0.lock();
        if ears.get(&run).is_some_and(|ear| ear.strong_count() == 0) {
            ears.remove(&run);
        }
    }

    /// When the run last wrote, or its pipes were taken on; none when it has none.
    pub(super) fn last(&self, run: RunId) -> Option<Mono> {
        self.find(run).map(|ear| ear.last())
    }

    /// Calls when the run writes, at once if it did after `since`.
    pub(super) fn await_next(&self, run: RunId, since: Mono, call: Call) {
        if let Some(ear) = self.find(run) {
            ear.await_next(since, call);
        }
    }

    fn find(&self, run: RunId) -> Option<Arc<Ear>> {
        self.0.lock().get(&run)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Call) {
        let count = Arc::<AtomicUsize>::default();
        let calls = Arc::clone(&count);
        let call = move || {
            let count = Arc::clone(&calls);
            let call: Call = Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            });
            call
        };
        (count, call)
    }

    #[test]
    fn the_next_byte_is_told_once_even_if_it_came_before_somebody_waited() {
        let (heard, run) = (Heard::default(), RunId::new());
        let (count, call) = counter();
        heard.await_next(run, Mono::default(), call());
        assert_eq!(heard.last(run), None, "it has no pipe");
        let ear = heard.ear(run);
        let begun = ear.last();
        heard.await_next(run, begun, call());
        assert_eq!(count.load(Ordering::SeqCst), 0);
        let later = Mono::from_nanos(begun.nanos() + 5);
        ear.note(later);
        ear.note(later);
        assert_eq!(
            (count.load(Ordering::SeqCst), heard.last(run)),
            (1, Some(later))
        );
        heard.await_next(run, begun, call());
        ear.note(later);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_run_is_remembered_as_long_as_it_has_a_pipe() {
        let (heard, run) = (Heard::default(), RunId::new());
        let (out, err) = (heard.ear(run), heard.ear(run));
        assert!(Arc::ptr_eq(&out, &err));
        drop(out);
        heard.forget(run);
        assert!(heard.last(run).is_some());
        drop(err);
        heard.forget(run);
        assert!(heard.last(run).is_none() && heard.0.lock().is_empty());
    }
}
