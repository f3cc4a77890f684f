//! What an earlier supervisor left in the database, and the words for it. Owns nothing.

use std::sync::Arc;

use crate::clock::{self, Wall};
use crate::model::event::{Event, EventKind, Facts};
use crate::model::write::OpenIncident;
use crate::store::{Store, StoreError};
use crate::supervise::Legacy;

/// What was left: for supervision, and open incidents with who was told of them.
pub(super) struct Left {
    pub legacy: Legacy,
    pub incidents: Vec<OpenIncident>,
    /// The word to record, when the last end was no clean one.
    pub recovered: Option<Event>,
}

/// Reads it. After a clean end programs begin anew, so only incidents are taken over.
pub(super) fn read(store: &Store) -> Result<Left, StoreError> {
    let incidents = open_incidents(store)?;
    if store.was_clean() != Some(false) {
        return Ok(Left {
            legacy: Legacy::default(),
            incidents,
            recovered: None,
        });
    }
    let states = store.instance_states()?;
    let unfinished: Vec<_> = store
        .unfinished_runs()?
        .into_iter()
        .map(|run| run.start)
        .collect();
    let recovered = recovered(store.last_alive(), unfinished.len());
    Ok(Left {
        legacy: Legacy { states, unfinished },
        incidents,
        recovered: Some(recovered),
    })
}

fn open_incidents(store: &Store) -> Result<Vec<OpenIncident>, StoreError> {
    let open = store.open_incidents()?;
    let ids: Vec<_> = open.iter().map(|incident| incident.id).collect();
    let deliveries = store.deliveries_of(&ids)?;
    Ok(open
        .into_iter()
        .map(|incident| {
            let mut told: Vec<Arc<str>> = deliveries
                .iter()
                .filter(|delivery| delivery.incident == Some(incident.id))
                .map(|delivery| Arc::from(delivery.target.as_str()))
                .collect();
            told.sort();
            told.dedup();
            OpenIncident { incident, told }
        })
        .collect())
}

fn recovered(last_alive: Option<Wall>, runs: usize) -> Event {
    let now = clock::wall();
    let mut event = Event::new(EventKind::SupervisorRecovered, now);
    let gap = last_alive.map_or_else(
        || "an unknown time".to_owned(),
        |at| crate::text::duration(now.since(at)),
    );
    event.facts = Facts {
        cause: Some(format!("nobody watched for about {gap}")),
        count: Some(runs as u64),
        ..Facts::default()
    };
    event
}
