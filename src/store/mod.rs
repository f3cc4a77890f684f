//! The store: the only room with SQL.

use std::sync::Arc;

use crate::clock::Wall;
use crate::model::delivery::{Leased, Settlement};

/// The database is not to be had; the caller tries again later.
#[derive(Debug, thiserror::Error)]
#[error("store: {0}")]
pub struct StoreError(String);

/// A handle; clones share the database.
#[derive(Clone)]
pub struct Store;

impl Store {
    /// STUB
    pub fn lease_due(&self, _targets: &[Arc<str>], _now: Wall) -> Result<Vec<Leased>, StoreError> {
        Err(StoreError(String::new()))
    }
    /// STUB
    pub fn next_due(&self, _targets: &[Arc<str>]) -> Result<Option<Wall>, StoreError> {
        Err(StoreError(String::new()))
    }
    /// STUB
    pub fn settle(&self, _settlement: &Settlement) -> Result<(), StoreError> {
        Err(StoreError(String::new()))
    }
}
