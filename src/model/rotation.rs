//! How the output of a program is kept. Plain data.

use std::time::Duration;

/// `logs` of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Another file follows at this size.
    pub max_size: u64,
    /// Or when the first line is so old.
    pub max_age: Option<Duration>,
    /// Older files of each stream that stay.
    pub keep: usize,
    /// Whether they are compressed.
    pub is_packed: bool,
    /// What all files of an instance may take.
    pub max_total: Option<u64>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_size: 10 << 20,
            max_age: None,
            keep: 5,
            is_packed: true,
            max_total: None,
        }
    }
}
