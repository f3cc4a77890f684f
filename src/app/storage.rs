//! The storage a supervisor starts with, whatever the last one left: a damaged database is set aside, and another one
//! takes its place. Supervision begins in any case.

use std::path::Path;

use super::legacy::{self, Left};
use super::start::StartError;
use crate::clock;
use crate::journal::Journal;
use crate::model::backup::WhenDamaged;
use crate::model::event::{Event, EventKind};
use crate::model::settings::Settings;
use crate::store::backup::{self, BackupError};
use crate::store::{OpenError, Store, StoreError};

/// A storage that can be read, and what the last supervisor left in it.
pub(super) struct Opened {
    pub store: Store,
    pub left: Left,
    /// What happened to a damaged one.
    pub replaced: Option<String>,
}

/// Opens it with `open`; a damaged one is replaced first, as the settings say.
pub(super) fn open(
    settings: &Settings,
    open: impl Fn() -> Result<Store, OpenError>,
) -> Result<Opened, StartError> {
    let state_dir = &settings.supervisor.state_dir;
    let (mut opened, mut damage) = (read(&open, |s| legacy::read(s, state_dir)), String::new());
    if let Err(error) = &opened
        && let Some(what) = damage_of(error)
    {
        log::error!("{what}");
        damage = replace(state_dir, settings.store.backup.when_damaged)?;
        opened = read(&open, |s| legacy::read_lost(s, state_dir));
        // A copy that opens and cannot be read either: nothing is better than it.
        if opened.as_ref().is_err_and(|e| damage_of(e).is_some()) {
            damage = replace(state_dir, WhenDamaged::BeginAnew)?;
            opened = read(&open, |s| legacy::read_lost(s, state_dir));
        }
    }
    let (store, left) = opened?;
    let replaced = (!damage.is_empty()).then_some(damage);
    if let Some(how) = &replaced {
        log::error!("{how}");
    }
    Ok(Opened {
        store,
        left,
        replaced,
    })
}

/// Everything that the start reads, so that damage shows here and not later.
fn read(
    open: &impl Fn() -> Result<Store, OpenError>,
    left: impl Fn(&Store) -> Result<Left, StoreError>,
) -> Result<(Store, Left), StartError> {
    let store = open()?;
    let left = left(&store)?;
    legacy::earlier(&store)?;
    store.log_cursors()?;
    store.mark_clean(false)?;
    Ok((store, left))
}

fn damage_of(error: &StartError) -> Option<String> {
    match error {
        StartError::Open(error @ OpenError::Damaged { .. }) => Some(super::chain(error)),
        StartError::Legacy(error) if error.is_damage() => Some(super::chain(error)),
        StartError::Legacy(_)
        | StartError::Open(_)
        | StartError::Lock(_)
        | StartError::Backup(_)
        | StartError::Logs(_)
        | StartError::Metrics(_)
        | StartError::System(_) => None,
    }
}

/// Sets the database aside and says what takes its place.
fn replace(state_dir: &Path, how: WhenDamaged) -> Result<String, BackupError> {
    let aside = backup::set_aside(state_dir, "damaged")?;
    let place = match how {
        WhenDamaged::BeginAnew => None,
        WhenDamaged::Restore => backup::restore_newest(state_dir)?,
    };
    let began = match (place, how) {
        (Some(copy), _) => format!("the backup of {} takes its place", copy.at),
        (None, WhenDamaged::Restore) => "there is no good backup, so a new one is begun".to_owned(),
        (None, WhenDamaged::BeginAnew) => {
            "a new one is begun (`jikimi restore` takes a backup)".to_owned()
        }
    };
    Ok(format!(
        "the database was damaged and is kept as {}; {began}",
        aside.display()
    ))
}

/// Tells it like any other outage of the storage, which is over by now.
pub(super) fn tell(journal: &Journal, replaced: Option<String>) {
    let Some(cause) = replaced else {
        return;
    };
    let mut event = Event::new(EventKind::StorageDegraded, clock::wall());
    event.facts.cause = Some(cause);
    journal.record(event);
    journal.record(Event::new(EventKind::StorageRestored, clock::wall()));
}
