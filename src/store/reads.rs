//! What others read: events, incidents, runs, instances, samples, logs. Each is one statement from the pool.

use std::collections::HashMap;
use std::time::Duration;

use super::error::StoreError;
use super::queries::ends::StoredEnd;
use super::queries::events::EventFilter;
use super::queries::incidents::IncidentFilter;
use super::queries::runs::StoredRun;
use super::{Store, Subject, queries};
use crate::clock::Wall;
use crate::ids::{EventId, SilenceId};
use crate::model::event::{Event, EventKind};
use crate::model::incident::Incident;
use crate::model::log::{LogCursor, LogRecord};
use crate::model::name::InstanceName;
use crate::model::record::InstanceState;
use crate::model::sample::{HostSample, Sample};
use crate::model::silence::Silence;

impl Store {
    /// A number that rises right after every commit that changed `subject`. Take it before reading, and what
    /// was read is good for as long as the number stays.
    #[must_use]
    pub fn version(&self, subject: Subject) -> u64 {
        self.inner.shared.counters.versions.of(subject)
    }

    /// The events that match, in the order of their commits. To follow, read after the last one seen.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        self.read(|db| queries::events::list(db, filter))
    }

    /// The newest `limit` events of one instance that are of `kinds`, in the order of their commits.
    pub fn events_of(
        &self,
        name: &InstanceName,
        kinds: &[EventKind],
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(|db| queries::ends::events(db, name, kinds, limit))
    }

    /// The newest `limit` events about no program that are of `kinds`, newest first.
    pub fn supervisor_events(
        &self,
        kinds: &[EventKind],
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(|db| queries::ends::of_supervisor(db, kinds, limit))
    }

    /// The newest `limit` ends of runs of one instance, without the details, newest first.
    pub fn ends_of(&self, name: &InstanceName, limit: usize) -> Result<Vec<StoredEnd>, StoreError> {
        self.read(|db| queries::ends::list(db, name, limit))
    }

    /// The event committed last.
    pub fn newest_event(&self) -> Result<Option<EventId>, StoreError> {
        self.read(queries::events::newest)
    }

    /// The newest incidents that match, newest first.
    pub fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError> {
        self.read(|db| queries::incidents::list(db, filter))
    }

    /// The open incidents, oldest first.
    pub fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.read(queries::incidents::open)
    }

    /// The incidents that resolved at `since` or later, the latest first.
    pub fn resolved_since(&self, since: Wall) -> Result<Vec<Incident>, StoreError> {
        self.read(|db| queries::incidents::resolved_since(db, since))
    }

    /// The silences in force, oldest first.
    pub fn active_silences(&self) -> Result<Vec<Silence>, StoreError> {
        self.read(queries::silences::active)
    }

    /// One silence, whether or not it has ended.
    pub fn silence(&self, id: SilenceId) -> Result<Option<Silence>, StoreError> {
        self.read(|db| queries::silences::one(db, id))
    }

    /// The state of every known instance, in one statement.
    pub fn instance_states(&self) -> Result<Vec<InstanceState>, StoreError> {
        self.read(queries::instances::every)
    }

    /// Removes the state of an instance that has left the configuration.
    pub fn forget_instance(&self, name: &InstanceName) -> Result<(), StoreError> {
        let name = name.clone();
        self.call(move |tx| queries::instances::forget(tx, &name))
    }

    /// The last run of every known instance, in one statement.
    pub fn last_runs(&self) -> Result<Vec<StoredRun>, StoreError> {
        self.read(queries::runs::last)
    }

    /// The last run of every known instance that ended after at least `lasted`.
    pub fn runs_of(&self, lasted: Duration) -> Result<Vec<StoredRun>, StoreError> {
        let millis = i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX);
        self.read(|db| queries::runs::lasting(db, millis))
    }

    /// The runs whose end nobody has seen, oldest first.
    pub fn unfinished_runs(&self) -> Result<Vec<StoredRun>, StoreError> {
        self.read(queries::runs::unfinished)
    }

    /// The stored samples of an instance from `from` to `to`, both included, oldest first.
    pub fn stored_samples(
        &self,
        name: &InstanceName,
        from: Wall,
        to: Wall,
    ) -> Result<Vec<Sample>, StoreError> {
        self.read(|db| queries::samples::range(db, name, from, to))
    }

    /// The stored samples of the host from `from` to `to`, both included, oldest first.
    pub fn stored_host_samples(&self, from: Wall, to: Wall) -> Result<Vec<HostSample>, StoreError> {
        self.read(|db| queries::samples::host_range(db, from, to))
    }

    /// The stored log records of an instance from `from` to `to`, both included, oldest first.
    pub fn log_records(
        &self,
        name: &InstanceName,
        from: Wall,
        to: Wall,
    ) -> Result<Vec<LogRecord>, StoreError> {
        self.read(|db| queries::logs::range(db, name, from, to))
    }

    /// How far every segment file has been read.
    pub fn log_cursors(&self) -> Result<Vec<LogCursor>, StoreError> {
        self.read(queries::logs::cursors)
    }

    /// The values of the last checkpoint.
    pub fn checkpoint(&self) -> Result<HashMap<String, String>, StoreError> {
        self.read(queries::meta::checkpoint)
    }
}
