//! What the journal hands to the store: one record with all that follows from it, for one transaction.

use std::sync::Arc;

use super::delivery::NewDelivery;
use super::incident::Incident;
use super::record::Record;

/// One record, the incident as it stands after it, and the deliveries it causes. Committed together or not
/// at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The event, with the changes of state that go with it.
    pub record: Record,
    /// The incident the event belongs to, as it stands after it.
    pub incident: Option<Incident>,
    /// One for every target it goes to.
    pub deliveries: Vec<NewDelivery>,
}

impl From<Record> for Write {
    fn from(record: Record) -> Self {
        Self {
            record,
            incident: None,
            deliveries: Vec::new(),
        }
    }
}

/// An incident that was open when the supervisor before ended, with the targets that have been told of it
/// (those that have a delivery of it, in whatever state).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// As it was stored last.
    pub incident: Incident,
    /// Names of targets.
    pub told: Vec<Arc<str>>,
}
