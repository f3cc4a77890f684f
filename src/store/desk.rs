//! Deliveries as people ask for them: listed, found by the beginning of an id, and cleared away.

use super::error::StoreError;
use super::queries::deliveries::DeliveryView;
use super::queries::desk;
use super::{Store, queries};
use crate::ids::DeliveryId;
use crate::model::delivery::DeliveryState;
use crate::model::event::Event;
use crate::model::incident::Incident;

impl Store {
    /// The newest `limit` deliveries to `target` (none: to all) in one of `states` (empty: all), newest first.
    pub fn deliveries_to(
        &self,
        target: Option<&str>,
        (states, limit): (&[DeliveryState], usize),
    ) -> Result<Vec<DeliveryView>, StoreError> {
        self.read(|db| desk::list(db, target, (states, limit)))
    }

    /// The first `limit` deliveries whose id begins like this.
    pub fn deliveries_beginning(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<DeliveryView>, StoreError> {
        self.read(|db| desk::beginning(db, beginning, limit))
    }

    /// The first `limit` events whose id begins like this, each with its incident as it stood then.
    pub fn events_beginning(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<(Event, Option<Incident>)>, StoreError> {
        self.read(|db| desk::events(db, beginning, limit))
    }

    /// Removes the deliveries in one of `states` that were made before `before`, with their attempts, a bite a
    /// transaction; says how many. None that is just being sent.
    ///
    /// # Errors
    /// Some may be removed already; ask again.
    pub fn purge_deliveries(
        &self,
        states: &[DeliveryState],
        before: DeliveryId,
    ) -> Result<usize, StoreError> {
        let mut removed = 0;
        loop {
            let states = states.to_vec();
            match self.call(move |tx| queries::desk::purge(tx, &states, before))? {
                0 => return Ok(removed),
                bite => removed += bite,
            }
        }
    }
}
