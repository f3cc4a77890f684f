//! Routes: which events go to which targets.

use std::sync::Arc;

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
}
