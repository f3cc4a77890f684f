//! Deliveries: one event on its way to one target, a durable row; and the outcome of an attempt.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::deed::Deed;
use super::event::{Event, Severity};
use super::group::Seat;
use super::hold::Hold;
use super::incident::Incident;
use super::living::{Effect, Known};
use crate::clock::Wall;
use crate::ids::{DeliveryId, EventId, IncidentId};

/// A delivery as the journal makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Also the `webhook-id`: the same on every retry.
    pub id: DeliveryId,
    /// What is told.
    pub event: EventId,
    /// The incident it belongs to: in order per incident.
    pub incident: Option<IncidentId>,
    /// The target's name in the configuration.
    pub target: Arc<str>,
    /// Of the event.
    pub severity: Severity,
    /// The first moment it may be sent.
    pub due: Wall,
    /// Why it waits until then, when it is held back on purpose.
    pub held: Option<Hold>,
    /// Past this it is given up as expired.
    pub expires_at: Wall,
    /// How it is told with others.
    pub seat: Option<Seat>,
}

/// A delivery taken by the dispatcher, with all it takes to render it.
#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    /// The row.
    pub id: DeliveryId,
    /// Where it goes.
    pub target: Arc<str>,
    /// Attempts made before this one that count against the schedule.
    pub attempts: u32,
    /// Past this it is not tried again.
    pub expires_at: Wall,
    /// What is told.
    pub event: Event,
    /// The incident as it stood when the event was recorded, when it belongs to one.
    pub incident: Option<Incident>,
    /// The bytes of the first attempt, for targets whose id and body must stay the same.
    pub frozen_body: Option<String>,
    /// How often the target has taken it, for one that is kept up ([`Verdict::Standing`]).
    pub confirmed: u32,
    /// What is known from earlier ones.
    pub known: Known,
}

/// A target that a delivery is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub target: Arc<str>,
    /// Of several that wait for one incident the newest is given, and the older ones with it.
    pub newest: bool,
    /// Which incident comes first.
    pub pick: Pick,
    /// Of the claims that have the same here, only the first that finds a row gets it.
    pub alone: Option<String>,
}

/// Which of the rows that wait for a target is taken. A row that stands behind others of its incident brings the first
/// of those in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// The oldest.
    #[default]
    Oldest,
    /// The oldest critical one; without any the oldest.
    CriticalFirst,
    /// The oldest critical one, and no other.
    CriticalOnly,
}

/// How much may wait for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Deliveries; at least 1.
    pub queue: usize,
    /// Whether of those of an incident the first and the newest are enough.
    pub merges: bool,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its time.
    Pending,
    /// A worker has it.
    Leased,
    /// The target took it.
    Delivered,
    /// The target refused it for good.
    Dead,
    /// It became too old.
    Expired,
}

impl DeliveryState {
    /// The name in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Pending,
            Self::Leased,
            Self::Delivered,
            Self::Dead,
            Self::Expired,
        ]
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or(())
    }
}

/// A message as its target knows it: what it takes to edit, answer or delete it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageRef {
    /// Its id.
    pub id: String,
    /// The chat, channel or thread it is in, where its provider needs that to find it again.
    pub place: Option<String>,
}

impl MessageRef {
    /// A message that is found by its id alone.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            place: None,
        }
    }

    /// The same, in `place`.
    #[must_use]
    pub fn within(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target took it, as this message if it said so.
    Delivered {
        /// What the target calls it.
        message: Option<MessageRef>,
    },
    /// It may pass next time.
    Retryable {
        /// What went wrong; never holds a secret.
        reason: String,
        /// The wait the target asked for. A wait does not count as an attempt.
        after: Option<Duration>,
    },
    /// It will never pass.
    Permanent {
        /// What went wrong; never holds a secret.
        reason: String,
        /// The target itself is gone (unknown webhook, revoked token), not just this message.
        target_gone: bool,
    },
}

/// How a leased delivery goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Delivered {
        /// What the target calls the message.
        message: Option<MessageRef>,
    },
    /// Back to pending, due at `due`.
    RetryAt {
        /// The next moment it may be sent.
        due: Wall,
        /// Whether the attempt counts against the schedule (a 429 does not).
        counts: bool,
    },
    /// Taken, and to be said again: back to pending with fresh attempts, unless a later delivery of its incident
    /// waits for the target. Then it is done.
    Standing {
        /// When it is said again.
        due: Wall,
        /// Past this it expires, if the target does not take it again before.
        expires_at: Wall,
    },
    /// Given up.
    Dead,
    /// Too old.
    Expired,
}

/// The result of an attempt, to be committed with the delivery's new state in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The leased row.
    pub id: DeliveryId,
    /// How it goes on.
    pub verdict: Verdict,
    /// When the attempt began.
    pub started_at: Wall,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if something did; never holds a secret.
    pub error: Option<String>,
    /// The body that was sent, to be kept for the next attempt (signed webhooks).
    pub frozen_body: Option<String>,
    /// Older rows that share its fate.
    pub with: Vec<DeliveryId>,
    /// Whether the target may have taken it without our hearing of it.
    pub is_doubtful: bool,
    /// What it changes in what is known of the target.
    pub effect: Effect,
    /// What it did there, for people.
    pub deed: Deed,
}

/// What the database knows of one target's deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Pending or leased.
    pub pending: u64,
    /// Delivered since the database began.
    pub delivered: u64,
    /// Dead or expired.
    pub failed: u64,
    /// Of these, dropped because too many waited.
    pub dropped: u64,
}
