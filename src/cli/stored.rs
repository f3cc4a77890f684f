//! Reading the state folder when no supervisor answers, and saying so. Owns nothing.

use std::path::Path;

use super::output::{Failure, chain, complain};
use crate::store::{OpenError, Store};

/// The database in `state_dir`, opened for reading; standard error says that this is what is shown.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn open(state_dir: &Path) -> Result<Store, Failure> {
    let store = Store::open_read_only(state_dir).map_err(|error| {
        let text = format!("no supervisor answers, and {}", chain(&error));
        match error {
            OpenError::Missing { .. } => Failure::NotRunning(text),
            _ => Failure::Failed(text),
        }
    })?;
    complain(&format!(
        "no supervisor answers; this is what is stored in {}",
        state_dir.display()
    ));
    Ok(store)
}

/// Nobody answers, and nobody knows where the database would be.
#[must_use]
pub fn nowhere() -> Failure {
    Failure::NotRunning(
        "no supervisor answers, and where its database is is not known; say --config".to_owned(),
    )
}
