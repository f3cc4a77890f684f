//! Who is told instead, when a target cannot be.

use std::sync::Arc;
use std::time::Duration;

/// The `fallback` of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The other target.
    pub to: Arc<str>,
    /// How long the target may fail before what waits for it goes there. What it is given up for goes at once.
    pub after: Duration,
}
