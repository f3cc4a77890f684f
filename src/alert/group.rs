//! Groups: what begins at about the same time is told together. Pure: no clock, no I/O.
//!
//! People: the first word about an incident of a program waits for the route's `group_wait`, and the incidents of other
//! programs that open meanwhile share its message, from then on and until all of them are over. Each stays an incident
//! of its own; only the message is one. Where each program has a thread of its own only its instances are grouped.
//!
//! Machines, only where a route says how long: every event that comes within the wait after the first is told by the
//! request of the first, which names them all and says the worst of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::incident::Fold;
use crate::clock::Wall;
use crate::ids::{DeliveryId, IncidentId};
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Severity;
use crate::model::group::Seat;
use crate::model::hold::Hold;
use crate::model::incident::IncidentState;
use crate::model::target::Audience;

/// How a target wants to be told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who it is.
    pub audience: Audience,
    /// How long to wait for others; none when no route leads there, and nothing begins.
    pub wait: Option<Duration>,
    /// It has a thread for each program.
    pub is_apart: bool,
    /// The programs that the event's depends on, directly or not.
    pub needs: Vec<Arc<str>>,
}

/// What is being waited for.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    people: HashMap<Place, Window<IncidentId>>,
    machines: HashMap<Arc<str>, Window<DeliveryId>>,
}

/// A target, and the program whose thread it is.
type Place = (Arc<str>, Option<Arc<str>>);

/// What begins until then is told with the first.
#[derive(Clone, Copy, Debug)]
struct Window<T> {
    first: T,
    since: Wall,
    until: Wall,
    size: usize,
    /// The worst of them.
    severity: Severity,
}

impl<T: Copy> Window<T> {
    fn new(first: T, (now, wait): (Wall, Duration), severity: Severity) -> Self {
        Self {
            first,
            since: now,
            until: now + wait,
            size: 1,
            severity,
        }
    }

    /// Events may be out of order a little; a clock that was set back ends it too.
    fn is_open(&self, now: Wall) -> bool {
        let is_sane = self.until.since(now) <= self.until.since(self.since) * 2;
        now < self.until && is_sane && self.size < limits::GROUP_MAX
    }
}

impl Groups {
    /// Gives `delivery`, which tells `fold` at once, its place among others. `is_first` is that its target has not been
    /// told of the incident before.
    pub fn seat(
        &mut self,
        delivery: &mut NewDelivery,
        (fold, is_first): (&Fold, bool),
        wish: Wish,
    ) {
        match wish.audience {
            Audience::Chat if is_first => self.beside(delivery, fold, wish),
            Audience::Machine => self.within(delivery, fold, wish.wait),
            // What keeps states is told of each.
            Audience::Chat | Audience::State => {}
        }
    }

    fn beside(&mut self, delivery: &mut NewDelivery, fold: &Fold, wish: Wish) {
        let wait = wish.wait.unwrap_or_default();
        let open = fold
            .incident
            .as_ref()
            .filter(|i| i.state == IncidentState::Open);
        let (Some(incident), Some(instance)) = (open, &fold.event.instance) else {
            return;
        };
        if wait.is_zero() {
            return;
        }
        let now = fold.event.time;
        let place = (
            Arc::clone(&delivery.target),
            wish.is_apart.then(|| Arc::clone(instance.program())),
        );
        self.people.retain(|_, window| window.is_open(now));
        let window = self
            .people
            .entry(place)
            .and_modify(|window| window.size += 1)
            .or_insert_with(|| Window::new(incident.id, (now, wait), fold.event.severity));
        put_off(delivery, window.until);
        delivery.seat = Some(Seat::Beside {
            lead: window.first,
            needs: wish.needs,
        });
    }

    fn within(&mut self, delivery: &mut NewDelivery, fold: &Fold, wait: Option<Duration>) {
        let (now, severity) = (fold.event.time, fold.event.severity);
        self.machines.retain(|_, window| window.is_open(now));
        if let Some(window) = self.machines.get_mut(&delivery.target) {
            let is_worse = severity > window.severity;
            window.severity = window.severity.max(severity);
            window.size += 1;
            delivery.seat = Some(Seat::In {
                row: window.first,
                is_worse,
            });
            return;
        }
        let Some(wait) = wait.filter(|wait| !wait.is_zero()) else {
            return;
        };
        let window = Window::new(delivery.id, (now, wait), severity);
        put_off(delivery, window.until);
        self.machines.insert(Arc::clone(&delivery.target), window);
    }
}

/// The time it is worth telling begins only then.
fn put_off(delivery: &mut NewDelivery, until: Wall) {
    let age = delivery.expires_at.since(delivery.due);
    delivery.due = delivery.due.max(until);
    delivery.expires_at = delivery.due + age;
    delivery.held = Some(Hold::Group);
}

#[cfg(test)]
mod tests;
