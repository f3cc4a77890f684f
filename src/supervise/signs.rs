//! The letter box for signs of life: what others learn of a run, on its way to the actor. Owns what has not been
//! taken out. Putting something in waits for nobody, and of several words about one thing the last one stands, so
//! that it needs no more room than there are runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use crate::ids::RunId;
use crate::model::health::Aspect;
use crate::model::status::Health;

/// What somebody learned of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A probe's verdict changed.
    Verdict {
        /// To this.
        health: Health,
        /// Why it is unhealthy.
        cause: Option<String>,
    },
}

/// About which run, and in what respect.
pub type About = (RunId, Aspect);

/// For those who have something to say; clones share one box. It keeps nobody alive.
#[derive(Clone)]
pub struct Signs(Arc<LetterBox>);

struct LetterBox {
    waiting: Mutex<BTreeMap<About, Sign>>,
    /// Runs that wrote what was waited for.
    wrote: Mutex<BTreeSet<RunId>>,
    bell: Arc<OwnedFd>,
}

impl Signs {
    /// An empty box.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(LetterBox {
            waiting: Mutex::default(),
            wrote: Mutex::default(),
            bell: Arc::new(bell),
        })))
    }

    /// Puts `sign` in; an earlier one about the same that was not taken out yet is replaced.
    pub fn put(&self, about: About, sign: Sign) {
        self.0.waiting.lock().insert(about, sign);
        // EAGAIN means the counter is full: the actor is as good as woken.
        let _ = rustix::io::write(&*self.0.bell, &1_u64.to_ne_bytes());
    }

    /// The run wrote something, which was waited for.
    pub fn wrote(&self, run: RunId) {
        self.0.wrote.lock().insert(run);
        let _ = rustix::io::write(&*self.0.bell, &1_u64.to_ne_bytes());
    }

    /// The runs that did.
    pub(super) fn take_wrote(&self) -> BTreeSet<RunId> {
        std::mem::take(&mut self.0.wrote.lock())
    }

    /// What wakes the actor; it is woken by the same for everything else.
    pub(super) fn bell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.0.bell)
    }

    /// Everything that waits.
    pub(super) fn take(&self) -> BTreeMap<About, Sign> {
        std::mem::take(&mut *self.0.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_words_about_one_thing_the_last_one_stands() {
        let signs = Signs::new().expect("a descriptor");
        let (run, other) = (RunId::new(), RunId::new());
        let sign = |health| Sign::Verdict {
            health,
            cause: None,
        };
        for health in [Health::Unhealthy, Health::Healthy, Health::Unhealthy] {
            signs.put((run, Aspect::Liveness), sign(health));
        }
        signs.put((run, Aspect::Readiness), sign(Health::Healthy));
        signs.put((other, Aspect::Liveness), sign(Health::Healthy));
        let taken = signs.take();
        assert_eq!(taken.len(), 3);
        assert_eq!(
            taken.get(&(run, Aspect::Liveness)),
            Some(&sign(Health::Unhealthy))
        );
        assert!(signs.take().is_empty());
    }
}
