//! Telling: who has been told what of each incident, and from that which deliveries an event makes and takes back.
//! Pure: no clock, no I/O; ids of deliveries are the one thing it makes up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::damping::{Case, Wanted, Word, word};
use super::flap::Key;
use super::group::Groups;
use super::incident::Fold;
use super::route::{Destination, Router};
use super::silence::Silences;
use crate::clock::Wall;
use crate::ids::{IncidentId, SilenceId};
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Severity;
use crate::model::hold::{Hold, Move, Withdrawal};
use crate::model::incident::{Incident, IncidentState};
use crate::model::name::InstanceName;
use crate::model::silence::Silence;
use crate::model::target::Audience;
use crate::model::write::{Held, OpenIncident, Told};

/// What follows from an event for its targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Following {
    /// One for every target that is told.
    pub deliveries: Vec<NewDelivery>,
    /// Held ones that are taken back.
    pub withdrawn: Vec<Withdrawal>,
    /// Targets for which it is only counted, because of a silence.
    pub counted: Vec<Arc<str>>,
}

/// The silence an event happens in, and its end.
pub type Quiet = Option<(SilenceId, Wall)>;

/// Who has been told what.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    open: HashMap<IncidentId, Thread>,
    /// Of those that resolved lately, until a new one of the kind is not a relapse any more.
    past: BTreeMap<Key, (Wall, Vec<Told>)>,
    groups: Groups,
}

/// One incident as its targets know it.
#[derive(Clone, Debug, Default)]
struct Thread {
    instance: Option<InstanceName>,
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
                instance: stored.incident.instance.clone(),
                severity,
                told,
                held,
            };
            telling.open.insert(stored.incident.id, thread);
        }
        telling
    }

    /// What follows from `fold`, under `router`, in `quiet`.
    pub fn follow(&mut self, router: &Router, fold: &Fold, quiet: Quiet) -> Following {
        let mut following = Following::default();
        let mut thread = self.take(fold);
        for target in router.targets() {
            let Some(wanted) = router.wanted(target, &fold.event) else {
                continue;
            };
            let heard = self.word(target, fold, (wanted, &thread));
            let mut delivery = router.delivery(target, fold);
            let is_quiet = quiet.is_some() && target.audience != Audience::Machine;
            if heard == Word::Tell && !is_quiet {
                let is_first = thread.of(&target.name).is_none();
                let wish = router.wish(target, &fold.event);
                self.groups.seat(&mut delivery, (fold, is_first), wish);
            }
            match quiet.filter(|_| target.audience != Audience::Machine) {
                Some(silence) => thread.keep_quiet(heard, (delivery, silence), &mut following),
                None => thread.act(heard, delivery, &mut following),
            }
        }
        self.put(fold, thread);
        following
    }

    /// What is held back and is about a program of `silence` waits for its end, if that comes later.
    pub fn hold_longer(&mut self, router: &Router, silence: &Silence) -> Vec<Move> {
        let mut moved = Vec::new();
        for thread in self.open.values_mut() {
            let covered = thread.instance.as_ref();
            if !covered.is_some_and(|name| silence.covers(name, router.tags(name))) {
                continue;
            }
            for held in thread.held.iter_mut().filter(|h| h.until < silence.until) {
                held.by = Hold::Silence(silence.id);
                held.until = silence.until;
                moved.push(Move {
                    row: held.row,
                    to: held.by,
                    due: held.until + limits::SILENCE_GRACE,
                });
            }
        }
        moved
    }

    /// What `silence` held back is told; but for what another one holds back still.
    pub fn let_go(&mut self, silence: &Silence, others: &Silences, router: &Router) -> Vec<Move> {
        let mut moved = Vec::new();
        for thread in self.open.values_mut() {
            let name = thread.instance.clone();
            let other = name.and_then(|name| others.of(&name, router.tags(&name)));
            let (let_go, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut thread.held)
                .into_iter()
                .partition(|h| h.by == Hold::Silence(silence.id));
            for mut held in let_go {
                if let Some(other) = other {
                    held.by = Hold::Silence(other.id);
                    held.until = other.until;
                    moved.push(Move {
                        row: held.row,
                        to: held.by,
                        due: held.until + limits::SILENCE_GRACE,
                    });
                    kept.push(held);
                } else {
                    thread.note(&held.target, silence.ended_at.unwrap_or(silence.until));
                }
            }
            thread.held = kept;
        }
        moved
    }

    fn word(&self, target: &Destination, fold: &Fold, known: (Wanted, &Thread)) -> Word {
        let (wanted, thread) = known;
        let told = thread.of(&target.name);
        match target.audience {
            Audience::Machine => tell_if(told.is_some() || wanted != Wanted::No),
            // An end without a beginning is none.
            Audience::State if told.is_none() && is_over(fold) => Word::Drop,
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
        thread.instance.clone_from(&incident.instance);
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
                self.note(&delivery.target, delivery.due);
                following.deliveries.push(delivery);
            }
            Word::Hold(until) => {
                let held = hold(delivery, until, Hold::Flapping);
                self.put_by(held, until, following);
            }
            Word::Drop => {
                let instead = delivery.clone();
                self.withdraw(&delivery, Some(instead), following);
            }
        }
    }

    /// In a silence: the newest word waits for its end; what is over and was not told is only counted.
    fn keep_quiet(
        &mut self,
        word: Word,
        (delivery, (silence, until)): (NewDelivery, (SilenceId, Wall)),
        following: &mut Following,
    ) {
        let target = Arc::clone(&delivery.target);
        match word {
            Word::Nothing => {}
            Word::Tell | Word::Hold(_) if delivery.incident.is_none() => {
                following.counted.push(target);
            }
            Word::Tell | Word::Hold(_) => {
                let due = until + limits::SILENCE_GRACE;
                let held = hold(delivery, due, Hold::Silence(silence));
                self.put_by(held, until, following);
            }
            Word::Drop => {
                if self.held.iter().any(|h| h.target == target) {
                    following.counted.push(target);
                }
                let instead = delivery.clone();
                self.withdraw(&delivery, Some(instead), following);
            }
        }
    }

    fn put_by(&mut self, held: NewDelivery, until: Wall, following: &mut Following) {
        self.withdraw(&held, None, following);
        if let Some(by) = held.held {
            self.held.push(Held {
                target: Arc::clone(&held.target),
                row: held.id,
                by,
                until,
            });
        }
        following.deliveries.push(held);
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

    fn note(&mut self, target: &Arc<str>, at: Wall) {
        let severity = self.severity.unwrap_or(Severity::Info);
        match self.told.iter_mut().find(|t| t.target == *target) {
            Some(told) => {
                told.at = at;
                told.severity = told.severity.max(severity);
                told.times = told.times.saturating_add(1);
            }
            None => self.told.push(Told {
                target: Arc::clone(target),
                at,
                severity,
                times: 1,
            }),
        }
    }
}

fn is_over(fold: &Fold) -> bool {
    let incident = fold.incident.as_ref();
    incident.is_some_and(|i| i.state == IncidentState::Resolved)
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
