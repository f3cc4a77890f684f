//! How the output of each program is kept, from its definition to the room of logs. Owns nothing.

use std::sync::Arc;

use crate::logs::Rules;
use crate::model::program::ProgramSpec;

/// Of all programs.
pub(super) fn rules(programs: &[Arc<ProgramSpec>]) -> Rules {
    let rules = programs
        .iter()
        .map(|spec| (Arc::clone(&spec.name), spec.rotation));
    rules.collect()
}
