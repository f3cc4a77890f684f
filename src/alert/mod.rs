//! Alert: from an event to its incident to the targets that are told. Pure: no clock, no I/O, no log; ids
//! are the one thing it makes up. Never renders and never sends.

pub mod condition;
pub mod damping;
#[cfg(test)]
pub(crate) mod fixture;
pub mod flap;
pub mod incident;
pub mod route;
pub mod summary;
pub mod telling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use incident::{Fold, Incidents, Input, RecoveryPolicy};
pub use route::Router;
pub use summary::{summary, summary_in};
use telling::Telling;

use crate::clock::Mono;
use crate::model::delivery::NewDelivery;
use crate::model::event::Event;
use crate::model::hold::Withdrawal;
use crate::model::incident::Incident;
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::settings::Settings;
use crate::model::write::OpenIncident;

/// The whole fold: incidents, who was told of each, and the routes.
#[derive(Debug)]
pub struct Alert {
    incidents: Incidents,
    telling: Telling,
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
    /// Held ones that are taken back.
    pub withdrawn: Vec<Withdrawal>,
}

impl Alert {
    /// The fold under `settings`, with what was `stored` when the supervisor before ended: incidents that were open,
    /// and those that had resolved lately.
    #[must_use]
    pub fn new(settings: &Settings, stored: Vec<OpenIncident>) -> Self {
        let telling = Telling::new(&stored);
        let incidents = stored.into_iter().map(|o| o.incident).collect();
        let mut alert = Self {
            incidents: Incidents::new(BTreeMap::new(), incidents),
            telling,
            router: Router::new(settings),
        };
        alert.configure(settings);
        alert
    }

    /// From now on `settings` count. Incidents of what they do not name end with the next tick; who was told of
    /// one hears how it goes on.
    pub fn configure(&mut self, settings: &Settings) {
        let targets = settings.targets.iter().map(|t| Arc::clone(&t.name));
        self.incidents
            .configure(policies(&settings.programs), targets);
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
        let following = self.telling.follow(&self.router, &fold);
        Consequence {
            event: fold.event,
            incident: fold.incident,
            deliveries: following.deliveries,
            withdrawn: following.withdrawn,
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
