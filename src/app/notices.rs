//! What the pump has told and the relay has not looked at. Owns no thread; nobody who tells waits, and nothing
//! that is told is lost: of the disk and the holder the last word counts, losses add up by instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::logs::Notice;
use crate::model::name::InstanceName;

/// What was told since the last look.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is wrong with the log disk, or that nothing is any more.
    pub disk: Option<Result<(), String>>,
    pub is_holder_lost: bool,
    /// Bytes of output that were lost.
    pub dropped: BTreeMap<InstanceName, u64>,
}

/// The place to tell it; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    told: Arc<Mutex<Told>>,
    bell: Sender<()>,
}

impl Notices {
    /// With the bell that rings for each.
    pub fn new() -> (Self, Receiver<()>) {
        let (bell, rung) = bounded(1);
        let told = Arc::default();
        (Self { told, bell }, rung)
    }

    /// Never waits.
    pub fn put(&self, notice: Notice) {
        self.told.lock().add(notice);
        // Full: it rings already.
        let _ = self.bell.try_send(());
    }

    pub fn take(&self) -> Told {
        std::mem::take(&mut *self.told.lock())
    }
}

impl Told {
    fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Dropped { instance, bytes } => {
                *self.dropped.entry(instance).or_default() += bytes;
            }
            Notice::DiskFailed { path, error } => {
                self.disk = Some(Err(format!("{}: {error}", path.display())));
            }
            Notice::DiskBack => self.disk = Some(Ok(())),
            Notice::HolderLost => self.is_holder_lost = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_losses_takes_no_word_about_the_disk_or_the_holder_away() {
        let (notices, bell) = Notices::new();
        notices.put(Notice::DiskFailed {
            path: "/x".into(),
            error: "full".to_owned(),
        });
        for n in 0..20_000 {
            notices.put(Notice::Dropped {
                instance: InstanceName::indexed("web", n % 1_000),
                bytes: 1,
            });
        }
        notices.put(Notice::HolderLost);
        notices.put(Notice::DiskBack);
        assert_eq!(bell.try_iter().count(), 1);
        let told = notices.take();
        assert_eq!(told.disk, Some(Ok(())));
        assert!(told.is_holder_lost);
        assert_eq!(told.dropped.len(), 1_000);
        assert_eq!(told.dropped.values().sum::<u64>(), 20_000);
        assert!(notices.take().dropped.is_empty());
    }
}
