//! Deliveries that are held back on purpose: why, and what becomes of them.

use super::delivery::NewDelivery;
use crate::clock::Wall;
use crate::ids::{DeliveryId, SilenceId};

/// Why a delivery waits although its target could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Trouble of this kind comes and goes: it is told when it stays.
    Flapping,
    /// Its program is silenced.
    Silence(SilenceId),
    /// Others may fail with it, and are told with it.
    Group,
}

impl Hold {
    /// The form in the database.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Flapping => "flapping".to_owned(),
            Self::Silence(id) => format!("silence:{id}"),
            Self::Group => "group".to_owned(),
        }
    }

    /// Reads what [`Hold::to_text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "flapping" => return Some(Self::Flapping),
            "group" => return Some(Self::Group),
            _ => {}
        }
        let id = text.strip_prefix("silence:")?;
        id.parse().ok().map(Self::Silence)
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

/// A held delivery that waits for something else from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The held row.
    pub row: DeliveryId,
    /// What it waits for.
    pub to: Hold,
    /// Until when at the most.
    pub due: Wall,
}
