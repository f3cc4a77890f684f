//! What was told of incidents, as people ask for it.

use super::Store;
use super::error::StoreError;
use super::queries::deliveries::{AttemptView, DeliveryView};
use super::queries::told::{self, TargetOf};
use crate::ids::{DeliveryId, IncidentId};
use crate::model::event::Event;
use crate::model::incident::Incident;

impl Store {
    /// The first `limit` incidents whose id begins like this.
    pub fn incidents_beginning(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        self.read(|db| told::beginning(db, beginning, limit))
    }

    /// The newest `limit` open incidents, newest first.
    pub fn newest_open_incidents(&self, limit: usize) -> Result<Vec<Incident>, StoreError> {
        self.read(|db| told::open(db, limit))
    }

    /// The first `limit` events of an incident, in the order of their commits.
    pub fn events_of_incident(
        &self,
        incident: IncidentId,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(|db| told::events(db, incident, limit))
    }

    /// The first `limit` deliveries of an incident, to whichever targets.
    pub fn deliveries_of_incident(
        &self,
        incident: IncidentId,
        limit: usize,
    ) -> Result<Vec<DeliveryView>, StoreError> {
        self.read(|db| told::deliveries(db, incident, limit))
    }

    /// The first `limit` attempts at `deliveries`, those of one delivery together and in their order.
    pub fn attempts_at(
        &self,
        deliveries: &[DeliveryId],
        limit: usize,
    ) -> Result<Vec<(DeliveryId, AttemptView)>, StoreError> {
        self.read(|db| told::attempts(db, deliveries, limit))
    }

    /// How each target stands with each of `incidents`.
    pub fn targets_of(&self, incidents: &[IncidentId]) -> Result<Vec<TargetOf>, StoreError> {
        self.read(|db| told::targets(db, incidents))
    }
}
