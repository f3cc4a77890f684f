//! What deliveries are taken from and settled in: the durable table, behind a trait so that this room is tested
//! without a database.

use std::sync::Arc;

use super::host::HostMemory;
use super::lane::LaneMemory;
use crate::clock::Wall;
use crate::model::delivery::{Bound, Claim, Leased, Settlement};

/// The table is not to be had just now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outbox: {0}")]
pub struct OutboxError(pub String);

/// The durable table of deliveries. Calls may take as long as a commit; only threads of this room make them.
pub trait Outbox: Send + Sync {
    /// Takes what is due at `now` for `claims`: at most one row a target, oldest first, and none of an incident
    /// before its earlier ones are settled; where the newest is wanted, that with its earlier ones. Critical ones first
    /// or alone, as the claim says. The rows stay leased until they are settled.
    fn lease_due(&self, claims: &[Claim], now: Wall) -> Result<Vec<Leased>, OutboxError>;

    /// When the next row for one of `claims` becomes due; nothing when none waits.
    fn next_due(&self, claims: &[Claim]) -> Result<Option<Wall>, OutboxError>;

    /// Commits what came of an attempt, and gives the row back or ends it. A row that is there no longer is no
    /// error: an outcome that is refused is offered again for ever, and its target waits for that.
    fn settle(&self, settlement: &Settlement) -> Result<(), OutboxError>;

    /// Rows that wait, for the report at the end.
    fn pending(&self) -> Result<u64, OutboxError>;

    /// Keeps what `target`'s lane must know after a restart, in place of what was kept before. An outbox that
    /// keeps nothing lets every start find out anew.
    fn remember(&self, _target: &str, _memory: &LaneMemory) -> Result<(), OutboxError> {
        Ok(())
    }

    /// What was kept, by target.
    fn recall(&self) -> Result<Vec<(String, LaneMemory)>, OutboxError> {
        Ok(Vec::new())
    }

    /// Keeps who stands in for which target, in place of what was kept before. From then on what is given up or
    /// expires goes there in the same transaction.
    fn keep_fallbacks(&self, _fallbacks: &[(Arc<str>, Arc<str>)]) -> Result<(), OutboxError> {
        Ok(())
    }

    /// Keeps how much may wait for which target, in place of what was kept before.
    fn keep_bounds(&self, _bounds: &[(Arc<str>, Bound)]) -> Result<(), OutboxError> {
        Ok(())
    }

    /// How many deliveries of each target have been dropped since the database began.
    fn dropped(&self) -> Result<Vec<(String, u64)>, OutboxError> {
        Ok(Vec::new())
    }

    /// Hands what waits for `targets` to their fallbacks, and says how many deliveries that made.
    fn pass_on(&self, _targets: &[Arc<str>], _now: Wall) -> Result<usize, OutboxError> {
        Ok(0)
    }

    /// Keeps what must be known of a host after a restart.
    fn remember_host(&self, _host: &str, _memory: &HostMemory) -> Result<(), OutboxError> {
        Ok(())
    }

    /// What was kept, by host.
    fn recall_hosts(&self) -> Result<Vec<(String, HostMemory)>, OutboxError> {
        Ok(Vec::new())
    }
}
