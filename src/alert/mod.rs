//! Alert: from an event to its incident to the targets that are told. Pure: no clock, no I/O, no log; ids
//! are the one thing it makes up. Never renders and never sends.

#[cfg(test)]
pub(crate) mod fixture;
pub mod incident;
pub mod route;
pub mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use incident::{Fold, Incidents, Input, RecoveryPolicy};
pub use route::Router;
pub use summary::summary;

use crate::clock::Mono;
use crate::ids::IncidentId;
use crate::model::delivery::NewDelivery;
use crate::model::event::Event;
use crate::model::incident::{Incident, IncidentState};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::settings::Settings;
use crate::model::write::OpenIncident;

/// The whole fold: incidents, who was told of each, and the routes.
#[derive(Debug)]
pub struct Alert {
    incidents: Incidents,
    told: HashMap<IncidentId, Vec<Arc<str>>>,
    router: Router,
}

/// An event in its place with what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Consequence {
    /// What happened.
    pub event: Event,
    /// The incident it belongs to, as it stands after it.
    pub incident: Option<Incident>,
    /// One for every target it goes to.
    pub deliveries: Vec<NewDelivery>,
}

impl Alert {
    /// The fold under `settings`, with what was `open` when the supervisor before ended.
    #[must_use]
    pub fn new(settings: &Settings, open: Vec<OpenIncident>) -> Self {
        let told = open
            .iter()
            .map(|o| (o.incident.id, o.told.clone()))
            .collect();
        let incidents = open.into_iter().map(|o| o.incident).collect();
        Self {
            incidents: Incidents::new(policies(&settings.programs), incidents),
            told,
            router: Router::new(settings),
        }
    }

    /// From now on `settings` count. Incidents of instances they do not name end with the next tick; who was told of
    /// one hears how it goes on.
    pub fn configure(&mut self, settings: &Settings) {
        self.incidents.configure(policies(&settings.programs));
        self.router = Router::new(settings);
    }

    /// Takes `input` at `now` and gives what is to be recorded, in order. An event that came in is always
    /// the last of what it gives.
    #[must_use]
    pub fn next(&mut self, input: Input, now: Mono) -> Vec<Consequence> {
        let folds = self.incidents.next(input, now);
        folds.into_iter().map(|fold| self.tell(fold)).collect()
    }

    /// When to tick at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.incidents.next_deadline()
    }

    fn tell(&mut self, fold: Fold) -> Consequence {
        let told: &[Arc<str>] = fold
            .incident
            .as_ref()
            .and_then(|i| self.told.get(&i.id))
            .map_or(&[], Vec::as_slice);
        let deliveries = self.router.route(&fold, told);
        if let Some(incident) = &fold.incident {
            self.remember(incident, &deliveries);
        }
        Consequence {
            event: fold.event,
            incident: fold.incident,
            deliveries,
        }
    }

    fn remember(&mut self, incident: &Incident, deliveries: &[NewDelivery]) {
        if incident.state == IncidentState::Resolved {
            self.told.remove(&incident.id);
            return;
        }
        let told = self.told.entry(incident.id).or_default();
        for delivery in deliveries {
            if !told.contains(&delivery.target) {
                told.push(Arc::clone(&delivery.target));
            }
        }
    }
}

fn policies(programs: &[Arc<ProgramSpec>]) -> BTreeMap<InstanceName, RecoveryPolicy> {
    programs
        .iter()
        .flat_map(|p| {
            let policy = RecoveryPolicy {
                recover_after: p.recover_after,
                reset_after: p.backoff.reset_after,
            };
            p.instance_names().map(move |name| (name, policy))
        })
        .collect()
}
