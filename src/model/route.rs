//! Routes: which events go to which targets.

use std::sync::Arc;
use std::time::Duration;

use super::event::Severity;

/// One `[[route]]` table, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Patterns over programs and tags; empty: all, and events about no program.
    pub programs: Vec<String>,
    /// Globs over event names; empty: all.
    pub events: Vec<String>,
    /// Events below it do not begin a message.
    pub min_severity: Severity,
    /// Names of targets.
    pub targets: Vec<Arc<str>>,
    /// How long the first message waits for what happens with it; none: as long as is usual for the target.
    pub group_wait: Option<Duration>,
}
