//! The published view: how targets and workers are seen from outside. Owns two locks, each held only to swap or
//! copy.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::clock::Wall;
use crate::model::delivery::DeliveryCounts;
use crate::model::target::TargetView;

/// A worker as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Its thread's name.
    pub name: String,
    /// The target it is sending to.
    pub target: Option<Arc<str>>,
    /// The beginning or end of its last attempt.
    pub last_activity: Option<Wall>,
    /// Attempts so far.
    pub attempts: u64,
}

/// Holds the latest views.
#[derive(Debug, Default)]
pub struct Board {
    targets: RwLock<Arc<Vec<TargetView>>>,
    workers: RwLock<Vec<WorkerView>>,
}

impl Board {
    /// Every target in the order of the configuration, without what only the database knows: its counts are 0.
    #[must_use]
    pub fn targets(&self) -> Arc<Vec<TargetView>> {
        Arc::clone(&self.targets.read())
    }

    /// The same with the counts of the database filled in.
    #[must_use]
    pub fn targets_with(&self, counts: impl Fn(&str) -> DeliveryCounts) -> Vec<TargetView> {
        let mut views = self.targets().as_ref().clone();
        for view in &mut views {
            let known = counts(&view.name);
            view.pending = known.pending;
            view.delivered = known.delivered;
            view.failed = known.failed;
            view.detail.dropped = known.dropped;
        }
        views
    }

    /// Every worker.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerView> {
        self.workers.read().clone()
    }

    pub(super) fn publish(&self, targets: Vec<TargetView>) {
        let next = Arc::new(targets);
        drop(std::mem::replace(&mut *self.targets.write(), next));
    }

    /// Adds a worker and returns its place.
    pub(super) fn enlist(&self, name: &str) -> usize {
        let mut workers = self.workers.write();
        workers.push(WorkerView {
            name: name.to_owned(),
            target: None,
            last_activity: None,
            attempts: 0,
        });
        workers.len() - 1
    }

    /// The worker at `place` begins with `target`, or ends its attempt.
    pub(super) fn mark(&self, place: usize, target: Option<Arc<str>>, now: Wall) {
        if let Some(view) = self.workers.write().get_mut(place) {
            view.attempts += u64::from(target.is_some());
            view.target = target;
            view.last_activity = Some(now);
        }
    }
}
