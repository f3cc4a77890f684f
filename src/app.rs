//! app. STAND-IN, replaced at merge.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::Loaded;

/// STUB
#[must_use]
pub fn run(_loaded: Loaded) -> ExitCode {
    ExitCode::SUCCESS
}

/// STUB
#[must_use]
pub fn holder(_arguments: Vec<OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
