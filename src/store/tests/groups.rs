//! What is told together: one message for several incidents, one request for several events.

use super::{Bench, at, bench, claims, delivery, event, incident};
use crate::ids::{EventId, IncidentId};
use crate::model::delivery::{Claim, Leased, MessageRef, NewDelivery, Pick, Settlement, Verdict};
use crate::model::event::{EventKind, Severity};
use crate::model::group::Seat;
use crate::model::hold::Hold;
use crate::model::incident::IncidentState;
use crate::model::living::{Effect, Living};
use crate::model::record::Record;
use crate::model::write::Write;

fn newest(bench: &Bench, now: u32) -> Vec<Leased> {
    let claim = Claim {
        target: "ops".into(),
        newest: true,
        pick: Pick::Oldest,
        alone: None,
    };
    let leased = bench.store.lease_due(&[claim], at(now));
    leased.expect("the database answers")
}

/// Incident `id` opens at `seconds`, and shares the message of `lead`, which is due at second 10.
fn opens(bench: &Bench, (id, lead): (IncidentId, IncidentId), seconds: u32) -> NewDelivery {
    let event = event(EventKind::ProgramCrashed, seconds);
    let row = NewDelivery {
        held: Some(Hold::Group),
        seat: Some(Seat::Beside {
            lead,
            needs: vec!["db".into()],
        }),
        ..delivery(event.id, Some(id), "ops", 10)
    };
    bench.record(Write {
        incident: Some(incident(id, 1)),
        deliveries: vec![row.clone()],
        ..Write::from(Record::from(event))
    });
    row
}

fn resolves(bench: &Bench, id: IncidentId, seconds: u32) {
    let event = event(EventKind::ProgramRecovered, seconds);
    let mut over = incident(id, 2);
    over.state = IncidentState::Resolved;
    over.resolved_at = Some(at(seconds));
    bench.record(Write {
        incident: Some(over),
        deliveries: vec![delivery(event.id, Some(id), "ops", seconds)],
        ..Write::from(Record::from(event))
    });
}

fn taken(bench: &Bench, leased: &Leased) {
    let told = leased.incident.as_ref().expect("it has one");
    let message = Some(MessageRef::new("77"));
    let settlement = Settlement {
        deed: crate::model::deed::Deed::default(),
        id: leased.id,
        verdict: Verdict::Delivered {
            message: message.clone(),
        },
        started_at: at(50),
        took: std::time::Duration::from_millis(1),
        status: Some(200),
        error: None,
        frozen_body: None,
        with: leased.known.with.clone(),
        is_doubtful: false,
        effect: Effect {
            living: Some(Living {
                message,
                seq: told.seq,
                severity: Severity::Warning,
                created_at: at(40),
                digest: "d".to_owned(),
                settings: "s".to_owned(),
            }),
            ..Effect::default()
        },
    };
    let settled = bench.store.settle(&settlement);
    settled.expect("the database answers");
}

#[test]
fn incidents_of_a_group_are_one_message_until_the_last_of_them_is_over() {
    let bench = bench();
    let ids = [IncidentId::new(), IncidentId::new(), IncidentId::new()];
    for (id, seconds) in ids.into_iter().zip(1..) {
        opens(&bench, (id, ids[0]), seconds);
    }
    assert_eq!(newest(&bench, 9), []);
    let first = newest(&bench, 10).remove(0);
    assert_eq!(first.known.with.len(), 2, "all three with one message");
    let of: Vec<IncidentId> = first.known.members.iter().map(|m| m.incident.id).collect();
    assert_eq!(of, ids);
    assert!(
        first
            .known
            .members
            .iter()
            .all(|m| *m.needs == ["db".into()] && m.event.is_some())
    );
    let whole = first.incident.clone().expect("it has one");
    assert_eq!(
        (whole.id, whole.seq, whole.state),
        (ids[0], 3, IncidentState::Open)
    );
    taken(&bench, &first);
    assert_eq!(newest(&bench, 11), []);
    // Each update finds that message, and is told of all of them.
    for (nth, (id, seconds)) in ids.into_iter().zip(20..).enumerate() {
        resolves(&bench, id, seconds);
        let update = newest(&bench, 30).remove(0);
        assert!(update.known.with.is_empty());
        let living = update.known.living.clone().expect("it was told");
        assert_eq!(living.message, Some(MessageRef::new("77")));
        let whole = update.incident.clone().expect("it has one");
        assert!(whole.seq > living.seq);
        let is_over = whole.state == IncidentState::Resolved;
        assert_eq!(is_over, nth == 2);
        assert_eq!(whole.resolved_at.is_some(), is_over);
        let over = update
            .known
            .members
            .iter()
            .filter(|m| m.incident.state == IncidentState::Resolved);
        assert_eq!(over.count(), nth + 1);
        taken(&bench, &update);
    }
    let found = bench
        .store
        .living("ops", ids[2])
        .expect("the database answers");
    assert_eq!(found.expect("by the message of the group").seq, 6);
}

#[test]
fn one_that_nobody_joined_is_told_as_itself_and_others_are_no_part_of_it() {
    let bench = bench();
    let (alone, other) = (IncidentId::new(), IncidentId::new());
    opens(&bench, (alone, alone), 1);
    opens(&bench, (other, other), 2);
    let first = newest(&bench, 10).remove(0);
    assert_eq!(first.incident.as_ref().map(|i| i.id), Some(alone));
    assert!(first.known.members.is_empty() && first.known.with.is_empty());
    taken(&bench, &first);
    let second = newest(&bench, 10).remove(0);
    assert_eq!(second.incident.as_ref().map(|i| i.id), Some(other));
    assert_eq!(second.known.living, None);
}

#[test]
fn what_waits_for_others_is_let_go_at_the_end() {
    let bench = bench();
    let id = IncidentId::new();
    let row = opens(&bench, (id, id), 1);
    assert_eq!(newest(&bench, 3), []);
    assert_eq!(bench.store.release_groups(at(3)).expect("answers"), 1);
    assert_eq!(newest(&bench, 3).remove(0).id, row.id);
}

/// An event for a machine, which `row` is to tell.
fn joins(bench: &Bench, row: Option<(&NewDelivery, bool)>, seconds: u32) -> NewDelivery {
    let event = event(EventKind::ProgramFatal, seconds);
    let new = NewDelivery {
        seat: row.map(|(row, is_worse)| Seat::In {
            row: row.id,
            is_worse,
        }),
        ..delivery(event.id, None, "ops", 10)
    };
    bench.record(Write {
        deliveries: vec![new.clone()],
        ..Write::from(Record::from(event))
    });
    new
}

#[test]
fn a_machine_gets_one_request_that_names_all_and_none_is_added_to_one_that_was_tried() {
    let bench = bench();
    let first = joins(&bench, None, 1);
    let second = joins(&bench, Some((&first, true)), 2);
    let third = joins(&bench, Some((&first, false)), 3);
    let lease = |now| {
        bench
            .store
            .lease_due(&claims(&["ops"]), at(now))
            .expect("answers")
    };
    let leased = lease(10).remove(0);
    assert_eq!(leased.id, first.id);
    assert_eq!(leased.event.id, second.event, "the worst of them is said");
    let all: Vec<EventId> = vec![first.event, second.event, third.event];
    assert_eq!(leased.known.events, all);
    // It is on its way: what comes now goes by itself.
    let late = joins(&bench, Some((&first, true)), 4);
    let settlement = Settlement {
        deed: crate::model::deed::Deed::default(),
        id: leased.id,
        verdict: Verdict::RetryAt {
            due: at(20),
            counts: false,
        },
        started_at: at(11),
        took: std::time::Duration::from_millis(1),
        status: Some(429),
        error: None,
        frozen_body: Some("the same bytes".to_owned()),
        with: vec![],
        is_doubtful: false,
        effect: Effect::default(),
    };
    bench.store.settle(&settlement).expect("answers");
    let later = joins(&bench, Some((&first, true)), 5);
    let again = lease(21);
    assert_eq!(again[0].id, first.id);
    assert_eq!(
        (again[0].event.id, again[0].known.events.clone()),
        (second.event, all)
    );
    bench
        .store
        .settle(&Settlement {
            verdict: Verdict::Delivered { message: None },
            ..settlement
        })
        .expect("answers");
    for own in [&late, &later] {
        let view = bench.store.delivery(own.id).expect("answers");
        assert!(view.is_some(), "a row of its own");
    }
}
