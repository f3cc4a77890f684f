//! Routes: which targets hear of an event. Pure. Never decides what is an incident, nor when a target is
//! well enough to be sent to.
//!
//! A route whose programs, events and `min_severity` fit begins a message at its targets. Once a target has
//! been told of an incident it hears of the rest whatever the routes say; how much of it, `damping` decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wildmatch::WildMatch;

use super::damping::Wanted;
use super::group::Wish;
use super::incident::Fold;
use crate::ids::DeliveryId;
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::IncidentState;
use crate::model::living::Thread;
use crate::model::name::{self, InstanceName};
use crate::model::route::RouteSpec;
use crate::model::settings::{MaxAge, Settings};
use crate::model::target::Audience;

/// The routes and targets of the configuration, ready to be asked.
#[derive(Clone, Debug)]
pub struct Router {
    routes: Vec<Route>,
    targets: Vec<Destination>,
    tags: HashMap<Arc<str>, Vec<String>>,
    depends: HashMap<Arc<str>, Vec<Arc<str>>>,
    max_age: MaxAge,
}

#[derive(Clone, Debug)]
struct Route {
    spec: RouteSpec,
    events: Vec<WildMatch>,
}

#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) name: Arc<str>,
    pub(super) audience: Audience,
    /// It has a thread for each program.
    is_apart: bool,
    /// The targets that it stands in for.
    stands_for: Vec<Arc<str>>,
}

fn stands_for(settings: &Settings, name: &Arc<str>) -> Vec<Arc<str>> {
    let all = settings.targets.iter();
    all.filter(|t| t.fallback.as_ref().is_some_and(|f| f.to == *name))
        .map(|t| Arc::clone(&t.name))
        .collect()
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
                    audience: t.provider.audience(),
                    is_apart: t.chat.thread == Thread::PerProgram,
                    stands_for: stands_for(settings, &t.name),
                })
                .collect(),
            tags: settings
                .programs
                .iter()
                .map(|p| (Arc::clone(&p.name), p.tags.clone()))
                .collect(),
            depends: settings
                .programs
                .iter()
                .map(|p| (Arc::clone(&p.name), p.depends_on.clone()))
                .collect(),
            max_age: settings.notify.max_age,
        }
    }

    /// All targets, in the order of the configuration.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Destination> {
        self.targets.iter()
    }

    /// The tags of its program.
    pub(super) fn tags(&self, instance: &InstanceName) -> &[String] {
        self.tags.get(instance.program()).map_or(&[], |t| t)
    }

    /// What the routes say about `event` and `target`. None: it does not hear of it, even if it was told of the
    /// incident.
    pub(super) fn wanted(&self, target: &Destination, event: &Event) -> Option<Wanted> {
        let is_about_it = event.facts.target.as_deref() == Some(&*target.name);
        match event.kind {
            // A person tries one target out; the routes have no say.
            EventKind::NotifyTest => is_about_it.then_some(Wanted::ByName),
            // Telling a target that it fails would fail, and restored is what it sees by itself.
            EventKind::TargetFailing | EventKind::TargetRestored if is_about_it => None,
            // Who stands in for a target hears why, whatever the routes say.
            EventKind::TargetFailing | EventKind::TargetRestored => {
                let is_in_its_place = target
                    .stands_for
                    .iter()
                    .any(|name| event.facts.target.as_deref() == Some(name));
                let by_routes = self.by_routes(target, event);
                Some(if is_in_its_place {
                    by_routes.max(Wanted::Yes)
                } else {
                    by_routes
                })
            }
            _ => Some(self.by_routes(target, event)),
        }
    }

    fn by_routes(&self, target: &Destination, event: &Event) -> Wanted {
        self.fitting(target, event)
            .map(|route| {
                if route.names(event.kind) {
                    Wanted::ByName
                } else {
                    Wanted::Yes
                }
            })
            .max()
            .unwrap_or(Wanted::No)
    }

    fn fitting<'a>(
        &'a self,
        target: &'a Destination,
        event: &'a Event,
    ) -> impl Iterator<Item = &'a Route> {
        self.routes.iter().filter(move |route| {
            event.severity >= route.spec.min_severity
                && route.spec.targets.contains(&target.name)
                && route.fits_event(event.kind)
                && self.fits_program(route, event)
        })
    }

    /// How `target` wants to be told of `event` with others: by the most impatient of the routes that lead there.
    pub(super) fn wish(&self, target: &Destination, event: &Event) -> Wish {
        let usual = match target.audience {
            Audience::Chat => limits::GROUP_WAIT_CHAT,
            Audience::Machine | Audience::State => Duration::ZERO,
        };
        // A test is of one target and for a person who waits.
        let routes = self.fitting(target, event);
        let routes = routes.filter(|_| event.kind != EventKind::NotifyTest);
        Wish {
            audience: target.audience,
            wait: routes.map(|r| r.spec.group_wait.unwrap_or(usual)).min(),
            is_apart: target.is_apart,
            needs: event.program().map_or_else(Vec::new, |p| self.needs(p)),
        }
    }

    /// The programs that `program` depends on, directly or not, the nearest first.
    fn needs(&self, program: &Arc<str>) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        let mut next = vec![program];
        while let Some(name) = next.pop() {
            for needed in self.depends.get(name).into_iter().flatten() {
                let is_known = needed == program || found.contains(needed);
                if !is_known && found.len() < limits::GROUP_NEEDS {
                    found.push(Arc::clone(needed));
                    next.push(needed);
                }
            }
        }
        found
    }

    fn fits_program(&self, route: &Route, event: &Event) -> bool {
        if route.spec.programs.is_empty() {
            return true;
        }
        let Some(instance) = &event.instance else {
            return false;
        };
        let tags = self.tags(instance);
        let mut patterns = route.spec.programs.iter();
        patterns.any(|pattern| name::matches(pattern, instance, tags))
    }

    /// The delivery of `fold` to `target`, due at once.
    pub(super) fn delivery(&self, target: &Destination, fold: &Fold) -> NewDelivery {
        NewDelivery {
            id: DeliveryId::new(),
            event: fold.event.id,
            incident: fold.incident.as_ref().map(|i| i.id),
            target: Arc::clone(&target.name),
            severity: fold.event.severity,
            due: fold.event.time,
            held: None,
            expires_at: fold.event.time + self.age(target, fold),
            seat: None,
        }
    }

    /// How long `fold` is worth telling. The end of an incident is worth as much as its worst moment, or a
    /// target that was away would hear of the failure and not of its end.
    fn age(&self, target: &Destination, fold: &Fold) -> Duration {
        // What keeps states must learn how they stand, however late.
        if target.audience == Audience::State && fold.incident.is_some() {
            return self.max_age.critical;
        }
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

    fn names(&self, kind: EventKind) -> bool {
        self.spec.events.iter().any(|name| name == kind.as_str())
    }

    fn fits_event(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.iter().any(|glob| glob.matches(kind.as_str()))
    }
}
