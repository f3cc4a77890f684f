//! Identifiers. All are ULIDs: 26 characters that sort by the time they were made, rising also within one
//! millisecond of one process.

use std::fmt;
use std::str::FromStr;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use ulid::{Generator, Ulid};

use crate::clock::Wall;

static GENERATOR: Mutex<Generator> = Mutex::new(Generator::new());

fn generate() -> Ulid {
    // Overflow of the random part within one millisecond takes 2^80 ids; a fresh one is right then too.
    GENERATOR
        .lock()
        .generate()
        .unwrap_or_else(|_| Ulid::generate())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Ulid);

        impl $name {
            /// A fresh one, greater than every earlier one of this process.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "two defaults would differ")]
            pub fn new() -> Self {
                Self(generate())
            }

            /// When it was made, by the wall clock of then.
            #[must_use]
            pub fn time(self) -> Wall {
                Wall::from_millis(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ulid::DecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ulid::from_string(text).map(Self)
            }
        }
    };
}

id!(
    /// One incarnation of an instance.
    RunId
);
impl RunId {
    /// The half of it that is random, and counted on within a millisecond.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    pub fn low_bits(self) -> u64 {
        u128::from(self.0) as u64
    }

    /// A number in 0..1 that belongs to the run for ever, evenly spread over runs.
    #[must_use]
    pub fn fraction(self) -> f64 {
        // The finishing steps of splitmix64: ids of one millisecond differ in their last bits only.
        #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
        let mut x = u128::from(self.0) as u64;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        let high = u32::try_from(x >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

id!(
    /// One recorded event.
    EventId
);
id!(
    /// One incident: an interval that opens and resolves.
    IncidentId
);
id!(
    /// One silence.
    SilenceId
);
id!(
    /// One event on its way to one target.
    DeliveryId
);

impl DeliveryId {
    /// Greater than all that are made.
    pub const LAST: Self = Self(Ulid(u128::MAX));

    /// The least that one made at `time` can be.
    #[must_use]
    pub fn first_of(time: Wall) -> Self {
        Self(Ulid::from_parts(
            u64::try_from(time.millis()).unwrap_or(0),
            0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_read_back() {
        let ids: Vec<EventId> = (0..1_000).map(|_| EventId::new()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[7].to_string().parse::<EventId>().ok(), Some(ids[7]));
        assert_eq!(ids[7].to_string().len(), 26);
    }
}
