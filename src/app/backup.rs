//! Copies of the database while it runs: the thread `backup`, which makes one when it is due. There is a thread only
//! where there are to be copies; nothing waits for it.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::facts::Issues;
use crate::clock::{self, Mono, Wall};
use crate::limits;
use crate::model::backup::BackupSettings;
use crate::store::Store;
use crate::store::backup::{self, BackupError, Made};
use crate::text;

/// Where its trouble stands in `status`.
const PART: &str = "backup";

struct Working {
    stop: Sender<()>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// The copies, if there are to be any.
pub(super) struct Backups {
    store: Store,
    issues: Issues,
    working: Mutex<(BackupSettings, Option<Working>)>,
}

impl Backups {
    /// None yet.
    pub fn new(store: Store, issues: Issues) -> Self {
        Self {
            store,
            issues,
            working: Mutex::new((BackupSettings::NONE, None)),
        }
    }

    /// From now on `settings` count.
    pub fn configure(&self, settings: BackupSettings) {
        let mut working = self.working.lock();
        if working.0 == settings {
            return;
        }
        end(working.1.take());
        self.issues.set(PART, None);
        *working = (settings, None);
        if settings.keep == 0 {
            return;
        }
        match self.begin(settings) {
            Ok(new) => working.1 = Some(new),
            Err(error) => {
                log::error!("no thread for backups: {error}");
                let issue = format!("none are made: {error}");
                self.issues.set(PART, Some(issue));
            }
        }
    }

    /// No more copies; one that is being made is broken off.
    pub fn stop(&self) {
        end(self.working.lock().1.take());
    }

    fn begin(&self, settings: BackupSettings) -> io::Result<Working> {
        let (stop, stopped) = bounded(0);
        let (end, ended) = bounded(0);
        let keeper = Keeper {
            store: self.store.clone(),
            issues: self.issues.clone(),
            settings,
        };
        let thread = crate::thread::spawn_named("backup", move || {
            keeper.run(&stopped);
            // A store that is closed while somebody holds it stays open.
            drop((keeper, end));
        })?;
        Ok(Working {
            stop,
            ended,
            thread,
        })
    }
}

fn end(working: Option<Working>) {
    let Some(Working {
        stop,
        ended,
        thread,
    }) = working
    else {
        return;
    };
    drop(stop);
    if ended.recv_timeout(limits::BACKUP_END_MAX) == Err(RecvTimeoutError::Disconnected) {
        let _ = thread.join();
    } else {
        log::warn!("the backup does not end: the disk hangs");
    }
}

struct Keeper {
    store: Store,
    issues: Issues,
    settings: BackupSettings,
}

impl Keeper {
    fn run(&self, stopped: &Receiver<()>) {
        let mut due = clock::mono() + self.first();
        while waited(stopped, due.since(clock::mono())) {
            let made = self.make(stopped);
            if matches!(made, Err(BackupError::Stopped)) {
                return;
            }
            due = next(self.settings.every, made.is_ok(), clock::mono());
            self.say(made);
        }
    }

    fn first(&self) -> Duration {
        let newest = backup::list(self.state_dir())
            .ok()
            .and_then(|list| list.first().map(|newest| newest.at));
        first(self.settings.every, newest, clock::wall())
    }

    fn state_dir(&self) -> &std::path::Path {
        self.store.path().parent().unwrap_or(self.store.path())
    }

    fn make(&self, stopped: &Receiver<()>) -> Result<Made, BackupError> {
        let to = backup::place(self.state_dir(), clock::wall());
        let made = backup::back_up(self.store.path(), &to, &mut |pause| waited(stopped, pause))?;
        // After it: a backup that fails costs no earlier one.
        backup::keep_newest(self.state_dir(), self.settings.keep)?;
        Ok(made)
    }

    fn say(&self, made: Result<Made, BackupError>) {
        match made {
            Ok(made) => {
                self.issues.set(PART, None);
                log::info!(
                    "the database was copied to {}: {} of {}",
                    made.path.display(),
                    text::size(made.bytes),
                    text::size(made.database_bytes),
                );
            }
            Err(error) => {
                let why = super::chain(&error);
                log::warn!("no backup of the database: {why}");
                self.issues.set(PART, Some(why));
            }
        }
    }
}

/// Waits for `time`; false when it is to end.
fn waited(stopped: &Receiver<()>, time: Duration) -> bool {
    stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

/// How long the first one after the start waits, with the newest copy there is.
fn first(every: Duration, newest: Option<Wall>, now: Wall) -> Duration {
    let soon = every.min(limits::BACKUP_FIRST);
    // A clock set back makes its age zero: then it is a whole interval.
    newest.map_or(soon, |at| every.saturating_sub(now.since(at)).max(soon))
}

fn next(every: Duration, is_made: bool, now: Mono) -> Mono {
    now + if is_made {
        every
    } else {
        every.min(limits::BACKUP_RETRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_is_soon_and_a_restart_changes_nothing_of_when_the_next_is_due() {
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        let now = Wall::from_millis(1_700_000_000_000);
        let ago = |time: Duration| {
            let millis = i64::try_from(time.as_millis()).expect("short");
            Some(Wall::from_millis(now.millis() - millis))
        };
        assert_eq!(first(day, None, now), limits::BACKUP_FIRST);
        assert_eq!(
            first(Duration::from_secs(3), None, now),
            Duration::from_secs(3)
        );
        assert_eq!(first(day, ago(hour), now), Duration::from_hours(23));
        assert_eq!(first(day, ago(day * 9), now), limits::BACKUP_FIRST);
        assert_eq!(first(day, Some(now + day), now), day);
        let at = Mono::default();
        assert_eq!(next(day, false, at), at + limits::BACKUP_RETRY);
        assert_eq!(next(day, true, at), at + day);
    }
}
