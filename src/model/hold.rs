//! Deliveries that are held back on purpose: why, and what becomes of them.

use super::delivery::NewDelivery;
use crate::ids::DeliveryId;

/// Why a delivery waits although its target could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Trouble of this kind comes and goes: it is told when it stays.
    Flapping,
}

impl Hold {
    /// The form in the database.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Flapping => "flapping".to_owned(),
        }
    }

    /// Reads what [`Hold::to_text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text == "flapping").then_some(Self::Flapping)
    }
}

/// A held delivery that is taken back, because a newer one stands for it or nothing is left to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The held row.
    pub row: DeliveryId,
    /// What is told instead when the row has gone its way already: it was begun, and must be ended.
    pub or_else: Option<NewDelivery>,
}
