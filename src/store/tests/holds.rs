//! Deliveries that are held back: they wait for their time, are counted, and are taken back or replaced.

use super::{Bench, LONG, at, bench, claims, delivery, event, incident};
use crate::ids::IncidentId;
use crate::model::delivery::{DeliveryState, NewDelivery};
use crate::model::event::EventKind;
use crate::model::hold::{Hold, Withdrawal};
use crate::model::record::Record;
use crate::model::write::Write;
use crate::store::DeliveryFilter;

/// A crash of an incident with a delivery that is held back until second 50.
fn held(bench: &Bench, id: IncidentId) -> NewDelivery {
    let event = event(EventKind::ProgramCrashed, 1);
    let row = NewDelivery {
        held: Some(Hold::Flapping),
        ..delivery(event.id, Some(id), "ops", 50)
    };
    bench.record(Write {
        incident: Some(incident(id, 1)),
        deliveries: vec![row.clone()],
        ..Write::from(Record::from(event))
    });
    row
}

/// Its end, which takes `row` back or is told instead.
fn end(bench: &Bench, id: IncidentId, row: &NewDelivery) -> NewDelivery {
    let event = event(EventKind::ProgramRecovered, 2);
    let instead = delivery(event.id, Some(id), "ops", 2);
    bench.record(Write {
        incident: Some(incident(id, 2)),
        withdrawn: vec![Withdrawal {
            row: row.id,
            or_else: Some(instead.clone()),
        }],
        ..Write::from(Record::from(event))
    });
    instead
}

fn pending(bench: &Bench) -> u64 {
    let counts = bench.store.delivery_counts().expect("read");
    counts.get("ops").map_or(0, |c| c.pending)
}

#[test]
fn what_is_held_back_waits_and_nothing_is_left_of_it_when_it_is_taken_back() {
    let bench = bench();
    let id = IncidentId::new();
    let row = held(&bench, id);
    let view = bench.store.delivery(row.id).expect("read").expect("there");
    assert_eq!(view.held, Some(Hold::Flapping));
    assert_eq!(pending(&bench), 1);
    let leased = bench.store.lease_due(&claims(&["ops"]), at(49));
    assert!(leased.expect("a lease").is_empty());
    end(&bench, id, &row);
    let all = bench.store.deliveries(&DeliveryFilter::default());
    assert_eq!(all.expect("read"), []);
    assert_eq!(pending(&bench), 0);
}

#[test]
fn what_has_gone_out_when_it_is_taken_back_gets_its_end() {
    let bench = bench();
    let id = IncidentId::new();
    let row = held(&bench, id);
    let leased = bench.store.lease_due(&claims(&["ops"]), at(50));
    assert_eq!(leased.expect("a lease").len(), 1);
    let instead = end(&bench, id, &row);
    assert!(
        bench.due.recv_timeout(LONG).is_ok(),
        "somebody is woken for it"
    );
    let end = bench.store.delivery(instead.id).expect("read");
    assert_eq!(end.map(|d| d.state), Some(DeliveryState::Pending));
    assert_eq!(pending(&bench), 2);
}
