//! What the journal hands to the store: one record with all that follows from it, for one transaction.

use std::sync::Arc;

use super::delivery::NewDelivery;
use super::event::Severity;
use super::hold::{Hold, Move, Withdrawal};
use super::incident::Incident;
use super::record::Record;
use super::silence::Silence;
use crate::clock::Wall;
use crate::ids::DeliveryId;

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
    /// Held deliveries that are taken back with it; before the others are added.
    pub withdrawn: Vec<Withdrawal>,
    /// Held deliveries that wait for something else; before a silence that has ended lets go of the rest.
    pub moved: Vec<Move>,
    /// Silences that began, changed or ended with it.
    pub silences: Vec<Silence>,
}

impl From<Record> for Write {
    fn from(record: Record) -> Self {
        Self {
            record,
            incident: None,
            deliveries: Vec::new(),
            withdrawn: Vec::new(),
            moved: Vec::new(),
            silences: Vec::new(),
        }
    }
}

/// An incident that was open when the supervisor before ended, or had resolved shortly before, with the targets
/// that have been told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// As it was stored last.
    pub incident: Incident,
    /// Those that have a delivery of it that was not held back, in whatever state.
    pub told: Vec<Told>,
    /// Those that wait to be told of it.
    pub held: Vec<Held>,
}

/// What a target has been told of an incident, or of several that came one soon after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub target: Arc<str>,
    /// When last.
    pub at: Wall,
    /// The worst it was told.
    pub severity: Severity,
    /// How often.
    pub times: u32,
}

/// A delivery that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The target's name.
    pub target: Arc<str>,
    /// The row.
    pub row: DeliveryId,
    /// Why.
    pub by: Hold,
    /// Until when.
    pub until: Wall,
}
