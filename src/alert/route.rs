//! Routes: which targets hear of an event. Pure. Never decides what is an incident, nor when a target is
//! well enough to be sent to.
//!
//! A route whose programs, events and `min_severity` fit begins a message at its targets. Once a target has
//! been told of an incident it hears of the rest whatever the routes say, but for one thing: a chat is spared
//! the routine of an open incident (restarting, started, ready), unless a route asks for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wildmatch::WildMatch;

use super::incident::Fold;
use crate::ids::DeliveryId;
use crate::model::delivery::NewDelivery;
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::IncidentState;
use crate::model::name;
use crate::model::route::RouteSpec;
use crate::model::settings::{MaxAge, Settings};
use crate::model::target::ProviderSpec;

/// The routes and targets of the configuration, ready to be asked.
#[derive(Clone, Debug)]
pub struct Router {
    routes: Vec<Route>,
    targets: Vec<Destination>,
    tags: HashMap<Arc<str>, Vec<String>>,
    max_age: MaxAge,
}

#[derive(Clone, Debug)]
struct Route {
    spec: RouteSpec,
    events: Vec<WildMatch>,
}

#[derive(Clone, Debug)]
struct Destination {
    name: Arc<str>,
    audience: Audience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// Hears every event of what it was told.
    Machine,
    /// Hears what is news to a person.
    Chat,
}

const fn audience(provider: &ProviderSpec) -> Audience {
    match provider {
        ProviderSpec::Webhook { .. } => Audience::Machine,
        ProviderSpec::Discord { .. }
        | ProviderSpec::Slack { .. }
        | ProviderSpec::Telegram { .. } => Audience::Chat,
    }
}

impl Router {
    /// The routes of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            routes: settings.routes.iter().map(Route::new).collect(),
            targets: settings
                .targets
                .iter()
                .map(|t| Destination {
                    name: Arc::clone(&t.name),
                    audience: audience(&t.provider),
                })
                .collect(),
            tags: settings
                .programs
                .iter()
                .map(|p| (Arc::clone(&p.name), p.tags.clone()))
                .collect(),
            max_age: settings.notify.max_age,
        }
    }

    /// A delivery for every target that hears of `fold`, each once, in the order of the configuration.
    /// `told` are the targets that have heard of its incident before.
    #[must_use]
    pub fn route(&self, fold: &Fold, told: &[Arc<str>]) -> Vec<NewDelivery> {
        self.targets
            .iter()
            .filter(|target| self.hears(target, fold, told))
            .map(|target| self.delivery(target, fold))
            .collect()
    }

    fn hears(&self, target: &Destination, fold: &Fold, told: &[Arc<str>]) -> bool {
        let event = &fold.event;
        let is_about_it = event.facts.target.as_deref() == Some(&*target.name);
        match event.kind {
            // A person tries one target out; the routes have no say.
            EventKind::NotifyTest => return is_about_it,
            // Telling a target that it fails would fail, and restored is what it sees by itself.
            EventKind::TargetFailing | EventKind::TargetRestored if is_about_it => return false,
            _ => {}
        }
        self.begins(target, event) || (told.contains(&target.name) && continues(target, fold))
    }

    fn begins(&self, target: &Destination, event: &Event) -> bool {
        self.routes.iter().any(|route| {
            event.severity >= route.spec.min_severity
                && route.spec.targets.contains(&target.name)
                && route.fits_event(event.kind)
                && self.fits_program(route, event)
        })
    }

    fn fits_program(&self, route: &Route, event: &Event) -> bool {
        if route.spec.programs.is_empty() {
            return true;
        }
        let Some(instance) = &event.instance else {
            return false;
        };
        let tags = self.tags.get(instance.program()).map_or(&[][..], |t| t);
        let mut patterns = route.spec.programs.iter();
        patterns.any(|pattern| name::matches(pattern, instance, tags))
    }

    fn delivery(&self, target: &Destination, fold: &Fold) -> NewDelivery {
        NewDelivery {
            id: DeliveryId::new(),
            event: fold.event.id,
            incident: fold.incident.as_ref().map(|i| i.id),
            target: Arc::clone(&target.name),
            severity: fold.event.severity,
            due: fold.event.time,
            expires_at: fold.event.time + self.age(fold),
        }
    }

    /// How long `fold` is worth telling. The end of an incident is worth as much as its worst moment, or a
    /// target that was away would hear of the failure and not of its end.
    fn age(&self, fold: &Fold) -> Duration {
        let severity = match &fold.incident {
            Some(i) if i.state == IncidentState::Resolved => i.severity.max(fold.event.severity),
            Some(_) | None => fold.event.severity,
        };
        match severity {
            Severity::Info => self.max_age.info,
            Severity::Warning => self.max_age.warning,
            Severity::Critical => self.max_age.critical,
        }
    }
}

impl Route {
    fn new(spec: &RouteSpec) -> Self {
        Self {
            spec: spec.clone(),
            events: spec.events.iter().map(|e| WildMatch::new(e)).collect(),
        }
    }

    fn fits_event(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.iter().any(|glob| glob.matches(kind.as_str()))
    }
}

/// Whether a target that has been told of the incident hears of this event of it.
fn continues(target: &Destination, fold: &Fold) -> bool {
    let Some(incident) = &fold.incident else {
        return false;
    };
    match target.audience {
        Audience::Machine => true,
        Audience::Chat => {
            incident.state == IncidentState::Resolved || fold.event.severity > Severity::Info
        }
    }
}
