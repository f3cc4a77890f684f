//! What is told together: programs that fail at about the same time are one message to people, and one request to a
//! machine whose route wants that.

use std::sync::Arc;

use super::event::Event;
use super::incident::Incident;
use crate::ids::{DeliveryId, IncidentId};

/// How a new delivery is told with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seat {
    /// To people: its incident shares a message with that of `lead`, for good.
    Beside {
        /// The first of them; it may be its own.
        lead: IncidentId,
        /// The programs that its own one depends on, directly or not.
        needs: Vec<Arc<str>>,
    },
    /// To a machine: it is told by that row if nobody has tried that one yet, and else by itself.
    In {
        /// The first of them.
        row: DeliveryId,
        /// It is what that row says from now on; the others are only named there.
        is_worse: bool,
    },
}

/// One incident of those that share a message, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The incident.
    pub incident: Incident,
    /// What began it, if that is still known.
    pub event: Option<Event>,
    /// The programs that its own one depends on, directly or not.
    pub needs: Vec<Arc<str>>,
}
