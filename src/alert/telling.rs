//! Telling: who has been told what of each incident, and from that which deliveries an event makes and takes back.
//! Pure: no clock, no I/O; ids of deliveries are the one thing it makes up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::damping::{Case, Wanted, Word, word};
use super::flap::Key;
use super::incident::Fold;
use super::route::{Destination, Router};
use crate::clock::Wall;
use crate::ids::IncidentId;
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Severity;
use crate::model::hold::{Hold, Withdrawal};
use crate::model::incident::{Incident, IncidentState};
use crate::model::target::Audience;
use crate::model::write::{Held, OpenIncident, Told};

/// What follows from an event for its targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Following {
    /// One for every target that is told.
    pub deliveries: Vec<NewDelivery>,
    /// Held ones that are taken back.
    pub withdrawn: Vec<Withdrawal>,
}

/// Who has been told what.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    open: HashMap<IncidentId, Thread>,
    /// Of those that resolved lately, until a new one of the kind is not a relapse any more.
    past: BTreeMap<Key, (Wall, Vec<Told>)>,
}

/// One incident as its targets know it.
#[derive(Clone, Debug, Default)]
struct Thread {
    /// Of the incident.
    severity: Option<Severity>,
    told: Vec<Told>,
    held: Vec<Held>,
}

impl Telling {
    /// With what is stored of `incidents`, open or resolved lately.
    #[must_use]
    pub fn new(incidents: &[OpenIncident]) -> Self {
        let mut telling = Self::default();
        for stored in incidents {
            let (told, held) = (stored.told.clone(), stored.held.clone());
            if let Some(at) = stored.incident.resolved_at {
                telling.past.insert(Key::of(&stored.incident), (at, told));
                continue;
            }
            let severity = Some(stored.incident.severity);
            let thread = Thread {
                severity,
                told,
                held,
            };
            telling.open.insert(stored.incident.id, thread);
        }
        telling
    }

    /// What follows from `fold`, under `router`.
    pub fn follow(&mut self, router: &Router, fold: &Fold) -> Following {
        let mut following = Following::default();
        let mut thread = self.take(fold);
        for target in router.targets() {
            let Some(wanted) = router.wanted(target, &fold.event) else {
                continue;
            };
            let heard = self.word(target, fold, (wanted, &thread));
            thread.act(heard, router.delivery(target, fold), &mut following);
        }
        self.put(fold, thread);
        following
    }

    fn word(&self, target: &Destination, fold: &Fold, known: (Wanted, &Thread)) -> Word {
        let (wanted, thread) = known;
        let told = thread.of(&target.name);
        match target.audience {
            Audience::Machine => tell_if(told.is_some() || wanted != Wanted::No),
            // What keeps states learns nothing from a start between two crashes.
            Audience::State => {
                let is_news = told.is_some() && changes(fold);
                tell_if(is_news || wanted != Wanted::No)
            }
            Audience::Chat => word(&Case {
                event: &fold.event,
                incident: fold.incident.as_ref(),
                wanted,
                told,
                before: told.or_else(|| self.before(fold, &target.name)),
            }),
        }
    }

    /// What `target` was told of the incidents before this one, when it is a relapse.
    fn before(&self, fold: &Fold, target: &str) -> Option<&Told> {
        let incident = fold.incident.as_ref().filter(|i| i.cycle > 1)?;
        let (_, told) = self.past.get(&Key::of(incident))?;
        told.iter().find(|t| &*t.target == target)
    }

    fn take(&mut self, fold: &Fold) -> Thread {
        let Some(incident) = &fold.incident else {
            return Thread::default();
        };
        let mut thread = self.open.remove(&incident.id).unwrap_or_default();
        thread.severity = Some(incident.severity);
        thread
    }

    fn put(&mut self, fold: &Fold, thread: Thread) {
        let Some(incident) = &fold.incident else {
            return;
        };
        match incident.state {
            IncidentState::Open => {
                self.open.insert(incident.id, thread);
            }
            IncidentState::Resolved => self.end(incident, thread.told),
        }
    }

    /// What was told of a series adds up, so that the pauses between words grow with it.
    fn end(&mut self, incident: &Incident, mut told: Vec<Told>) {
        let now = incident.resolved_at.unwrap_or(incident.opened_at);
        let key = Key::of(incident);
        if let Some((_, before)) = self.past.remove(&key).filter(|_| incident.cycle > 1) {
            for old in before {
                match told.iter_mut().find(|t| t.target == old.target) {
                    Some(known) => known.times = known.times.saturating_add(old.times),
                    None => told.push(old),
                }
            }
        }
        self.past
            .retain(|_, (at, _)| now.since(*at) <= limits::FLAP_WINDOW);
        self.past.insert(key, (now, told));
    }
}

impl Thread {
    fn of(&self, target: &str) -> Option<&Told> {
        self.told.iter().find(|t| &*t.target == target)
    }

    fn act(&mut self, word: Word, delivery: NewDelivery, following: &mut Following) {
        match word {
            Word::Nothing => {}
            Word::Tell => {
                self.withdraw(&delivery, None, following);
                self.note(&delivery);
                following.deliveries.push(delivery);
            }
            Word::Hold(until) => {
                let held = hold(delivery, until, Hold::Flapping);
                self.withdraw(&held, None, following);
                self.held.push(Held {
                    target: Arc::clone(&held.target),
                    row: held.id,
                    by: Hold::Flapping,
                });
                following.deliveries.push(held);
            }
            Word::Drop => {
                let instead = delivery.clone();
                self.withdraw(&delivery, Some(instead), following);
            }
        }
    }

    /// Takes back what is held for the target of `delivery`.
    fn withdraw(
        &mut self,
        delivery: &NewDelivery,
        or_else: Option<NewDelivery>,
        following: &mut Following,
    ) {
        let Some(at) = self.held.iter().position(|h| h.target == delivery.target) else {
            return;
        };
        let row = self.held.swap_remove(at).row;
        following.withdrawn.push(Withdrawal { row, or_else });
    }

    fn note(&mut self, delivery: &NewDelivery) {
        let at = delivery.due;
        let severity = self.severity.unwrap_or(delivery.severity);
        match self.told.iter_mut().find(|t| t.target == delivery.target) {
            Some(told) => {
                told.at = at;
                told.severity = told.severity.max(severity);
                told.times = told.times.saturating_add(1);
            }
            None => self.told.push(Told {
                target: Arc::clone(&delivery.target),
                at,
                severity,
                times: 1,
            }),
        }
    }
}

/// `delivery` put off until then; the time it is worth telling begins only there.
fn hold(mut delivery: NewDelivery, until: Wall, by: Hold) -> NewDelivery {
    let age = delivery.expires_at.since(delivery.due);
    delivery.due = until.max(delivery.due);
    delivery.expires_at = delivery.due + age;
    delivery.held = Some(by);
    delivery
}

fn tell_if(is_told: bool) -> Word {
    if is_told { Word::Tell } else { Word::Nothing }
}

/// Whether the incident is another one after it: worse, failed again, or over.
fn changes(fold: &Fold) -> bool {
    let is_over = |incident: &Incident| incident.state == IncidentState::Resolved;
    fold.event.severity > Severity::Info || fold.incident.as_ref().is_some_and(is_over)
}
