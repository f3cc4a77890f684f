//! Copies of the database: how often they are made, how many are kept, and what a damaged database means.

use std::time::Duration;

/// `[store.backup]` and `store.when_damaged`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// From one to the next.
    pub every: Duration,
    /// The newest that stay; none: none are made.
    pub keep: usize,
    /// What takes the place of a damaged database at the start.
    pub when_damaged: WhenDamaged,
}

impl BackupSettings {
    /// None are made.
    pub const NONE: Self = Self {
        every: Duration::from_hours(24),
        keep: 0,
        when_damaged: WhenDamaged::BeginAnew,
    };
}

/// What takes the place of a damaged database, which is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDamaged {
    /// A new, empty one.
    BeginAnew,
    /// The newest good backup; a new one where there is none.
    Restore,
}
