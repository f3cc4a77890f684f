//! What is shown of a target beyond its state and its counts.

use serde::{Deserialize, Serialize};

use crate::clock::Wall;

/// What is only there when there is something to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDetail {
    /// Until when it is left alone, when its breaker or that of its host is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub open_until: Option<Wall>,
    /// Its host, when that cannot be reached and all targets there are left alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unreachable: Option<String>,
    /// Deliveries that were dropped because too many waited.
    #[serde(skip_serializing_if = "is_none", default)]
    pub dropped: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
