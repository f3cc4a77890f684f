//! The store as the control room reads it. Owns nothing.

use std::time::Duration;

use super::api::DeliveryLine;
use super::sources::{End, EventQuery, SourceError, StoreView};
use crate::history::explain::{self, Account};
use crate::ids::{DeliveryId, SilenceId};
use crate::model::event::Event;
use crate::model::name::InstanceName;
use crate::model::silence::Silence;
use crate::model::status::PhaseName;
use crate::store::{DeliveryView, EventFilter, Store, StoreError};

impl StoreView for Store {
    fn events(&self, query: &EventQuery) -> Result<Vec<Event>, SourceError> {
        let filter = EventFilter {
            after: query.after,
            since: query.since,
            kinds: query.kinds.clone(),
            limit: Some(query.limit),
            is_newest: query.end == End::Newest,
            ..EventFilter::default()
        };
        Store::events(self, &filter).map_err(|e| said(&e))
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryLine>, SourceError> {
        let found = Store::delivery(self, id).map_err(|e| said(&e))?;
        Ok(found.map(DeliveryLine::from))
    }

    fn states(&self) -> Result<Vec<(InstanceName, PhaseName)>, SourceError> {
        let states = self.instance_states().map_err(|e| said(&e))?;
        Ok(states.into_iter().map(|s| (s.instance, s.phase)).collect())
    }

    fn account(&self, name: &InstanceName, last: usize) -> Result<Account, SourceError> {
        explain::account(self, name, last).map_err(|e| said(&e))
    }

    fn silence(&self, id: SilenceId) -> Result<Option<Silence>, SourceError> {
        Store::silence(self, id).map_err(|e| said(&e))
    }

    fn generation(&self) -> u64 {
        Store::generation(self)
    }

    fn wait_change(&self, seen: u64, timeout: Duration) -> u64 {
        Store::wait_change(self, seen, timeout)
    }
}

/// The error with its causes, on one line.
pub(super) fn said(error: &StoreError) -> SourceError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    SourceError(text)
}

impl From<DeliveryView> for DeliveryLine {
    fn from(view: DeliveryView) -> Self {
        Self {
            id: view.id,
            event: view.event,
            incident: view.incident,
            target: view.target,
            state: view.state,
            attempts: view.attempts,
            next_attempt_at: view.next_attempt_at,
            last_error: view.last_error,
        }
    }
}
