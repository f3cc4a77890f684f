//! The heartbeat: the sign of life that the supervisor gives to somebody who watches it.

use std::time::Duration;

use crate::secret::Secret;

/// `[heartbeat]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSpec {
    /// Where it goes. Whoever knows it can speak for us.
    pub url: Secret,
    /// From one sign to the next.
    pub interval: Duration,
    /// A whole attempt, from looking the name up to the status.
    pub timeout: Duration,
    /// How it is asked.
    pub method: HeartbeatMethod,
}

/// The method of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatMethod {
    /// Understood everywhere.
    Get,
    /// With a line of text as its body, which some services keep: how many programs are up.
    Post,
}
