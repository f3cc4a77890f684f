//! How long a program may write nothing, and what then. Plain data.

use std::time::Duration;

/// `log_silence` of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSilence {
    /// Nothing written for so long is a stall.
    pub after: Duration,
    /// What becomes of the run, besides that it is told.
    pub then: SilenceAct,
}

/// What follows a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceAct {
    /// Nothing more.
    Alert,
    /// The run has failed and is ended.
    Restart,
}
