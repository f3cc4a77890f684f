//! The outbox: who is leased what, in which order, and what settling makes of it.

use std::time::Duration;

use super::{Bench, LONG, at, bench, claims, delivery, event, incident, targets, told, write};
use crate::clock::Wall;
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::{
    DeliveryCounts, DeliveryState, Leased, MessageRef, Pick, Settlement, Verdict,
};
use crate::model::event::{EventKind, Severity};
use crate::model::living::Effect;
use crate::model::record::Record;
use crate::store::{DeliveryFilter, Store, StoreError, Write};

fn settlement(id: DeliveryId, verdict: Verdict) -> Settlement {
    Settlement {
        id,
        verdict,
        started_at: at(50),
        took: Duration::from_millis(120),
        status: Some(503),
        error: Some("no".to_owned()),
        frozen_body: Some("{}".to_owned()),
        with: Vec::new(),
        is_doubtful: false,
        effect: Effect::default(),
        deed: crate::model::deed::Deed::default(),
    }
}

fn retry_at(seconds: u32, counts: bool) -> Verdict {
    let due = at(seconds);
    Verdict::RetryAt { due, counts }
}

fn delivered() -> Verdict {
    let message = Some(MessageRef::new("m1"));
    Verdict::Delivered { message }
}

impl Bench {
    fn lease(&self, names: &[&str], now: u32) -> Vec<Leased> {
        self.store
            .lease_due(&claims(names), at(now))
            .expect("the database answers")
    }

    fn settle(&self, id: DeliveryId, verdict: Verdict) {
        self.store
            .settle(&settlement(id, verdict))
            .expect("the database answers");
    }

    fn state(&self, id: DeliveryId) -> DeliveryState {
        let view = self.store.delivery(id).expect("the database answers");
        view.expect("it exists").state
    }

    fn due(&self, names: &[&str]) -> Option<Wall> {
        self.store
            .next_due(&claims(names))
            .expect("the database answers")
    }
}

#[test]
fn an_event_its_incident_and_its_deliveries_are_committed_and_then_the_dispatcher_is_woken() {
    let bench = bench();
    let write = told(IncidentId::new(), 1, &["ops", "chat"]);
    bench.store.record(write.clone());
    bench.due.recv_timeout(LONG).expect("woken");
    let mut leased = bench.lease(&["ops", "chat"], 1);
    leased.sort_by_key(|l| l.id);
    assert_eq!(leased.len(), 2);
    for (leased, new) in leased.iter().zip(&write.deliveries) {
        assert_eq!((leased.id, &leased.target), (new.id, &new.target));
        assert_eq!(leased.event, write.record.event);
        assert_eq!(leased.incident, write.incident);
        assert_eq!((leased.attempts, leased.expires_at), (0, new.expires_at));
        assert_eq!(leased.frozen_body, None);
    }
    assert!(bench.lease(&["ops", "chat"], 1).is_empty(), "leased once");
}

#[test]
fn an_event_without_deliveries_does_not_wake_the_dispatcher() {
    let bench = bench();
    bench.record(write(EventKind::ProgramStarted, 1));
    assert!(bench.due.try_recv().is_err());
}

#[test]
fn a_delivery_shows_the_incident_as_it_stood_when_its_event_was_recorded() {
    let bench = bench();
    let id = IncidentId::new();
    bench.record(told(id, 1, &["ops"]));
    bench.record(told(id, 2, &["ops"]));
    let first = bench.lease(&["ops"], 9).remove(0);
    assert_eq!(first.incident, Some(incident(id, 1)));
    assert_eq!(
        bench.store.open_incidents().expect("read"),
        [incident(id, 2)]
    );
}

#[test]
fn one_target_gets_its_oldest_and_an_incident_keeps_its_order() {
    let bench = bench();
    let (a, b) = (IncidentId::new(), IncidentId::new());
    bench.record(told(a, 1, &["ops"]));
    bench.record(told(a, 2, &["ops"]));
    bench.record(told(b, 3, &["ops"]));
    let first = bench.lease(&["ops"], 9).remove(0);
    assert_eq!(first.event.time, at(1));
    bench.settle(first.id, retry_at(30, true));
    // The second of the same incident waits behind the first; the other incident does not.
    let other = bench.lease(&["ops"], 9).remove(0);
    assert_eq!(other.event.time, at(3));
    bench.settle(other.id, delivered());
    assert!(bench.lease(&["ops"], 9).is_empty());
    assert_eq!(bench.due(&["ops"]), Some(at(30)));
    let again = bench.lease(&["ops"], 30).remove(0);
    assert_eq!((again.id, again.attempts), (first.id, 1));
    assert_eq!(again.frozen_body.as_deref(), Some("{}"));
    bench.settle(again.id, delivered());
    assert_eq!(bench.lease(&["ops"], 30).remove(0).event.time, at(2));
}

#[test]
fn what_is_critical_goes_first_where_the_claim_says_so_and_keeps_the_order_of_its_incident() {
    let bench = bench();
    let (a, b, c) = (IncidentId::new(), IncidentId::new(), IncidentId::new());
    let critical = |incident, second| {
        let mut write = told(incident, second, &["ops"]);
        write.deliveries[0].severity = Severity::Critical;
        write
    };
    for write in [
        told(a, 1, &["ops"]),
        told(b, 2, &["ops"]),
        critical(b, 3),
        critical(c, 40),
    ] {
        bench.record(write);
    }
    let claim = |pick| {
        let mut claims = claims(&["ops"]);
        claims[0].pick = pick;
        claims
    };
    let lease = |pick, now| {
        let leased = bench
            .store
            .lease_due(&claim(pick), at(now))
            .expect("leased");
        leased.first().map(|l| (l.id, l.event.time))
    };
    let (first, time) = lease(Pick::CriticalOnly, 9).expect("what stands before the critical one");
    assert_eq!(time, at(2));
    bench.settle(first, retry_at(20, true));
    assert_eq!(lease(Pick::CriticalOnly, 9), None, "its incident waits");
    let due = bench.store.next_due(&claim(Pick::CriticalOnly));
    assert_eq!(due.expect("read"), Some(at(20)));
    let (again, _) = lease(Pick::CriticalFirst, 20).expect("the incident again");
    assert_eq!(again, first);
    bench.settle(first, delivered());
    let (second, time) = lease(Pick::CriticalFirst, 20).expect("the critical one itself");
    assert_eq!(time, at(3));
    bench.settle(second, delivered());
    let (oldest, time) = lease(Pick::CriticalFirst, 20).expect("no critical one is due");
    assert_eq!(time, at(1));
    bench.settle(oldest, delivered());
    assert_eq!(lease(Pick::CriticalOnly, 20), None);
    assert_eq!(
        lease(Pick::CriticalOnly, 40).map(|(_, time)| time),
        Some(at(40))
    );
}

#[test]
fn targets_are_leased_apart_and_only_those_named() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["a", "b", "c"]));
    let names: Vec<String> = bench
        .lease(&["a", "c", "nobody"], 9)
        .iter()
        .map(|l| l.target.to_string())
        .collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(bench.due(&["a", "c"]), None);
    assert_eq!(bench.due(&["a", "b"]), Some(at(1)));
    assert!(bench.lease(&[], 9).is_empty());
}

#[test]
fn a_wait_does_not_count_as_an_attempt_and_the_first_body_stays() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let id = bench.lease(&["ops"], 9).remove(0).id;
    bench.settle(id, retry_at(10, false));
    let again = bench.lease(&["ops"], 10).remove(0);
    assert_eq!(again.attempts, 0);
    let mut other = settlement(id, Verdict::Dead);
    other.frozen_body = Some("other".to_owned());
    bench.store.settle(&other).expect("settled");
    assert_eq!(bench.state(id), DeliveryState::Dead);
    let attempts = bench.store.attempts(id).expect("read");
    let outcomes: Vec<&str> = attempts.iter().map(|a| a.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retry", "dead"]);
    assert_eq!((attempts[0].took_ms, attempts[0].status), (120, Some(503)));
    let count = bench.store.retry_delivery(Some(id), at(60), at(99));
    assert_eq!(count.expect("done"), 1);
    assert!(bench.due.recv_timeout(LONG).is_ok(), "woken");
    let back = bench.lease(&["ops"], 60).remove(0);
    assert_eq!(back.frozen_body.as_deref(), Some("{}"));
}

#[test]
fn settling_again_does_nothing_and_an_unknown_delivery_is_an_error() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let id = bench.lease(&["ops"], 9).remove(0).id;
    bench.settle(id, delivered());
    bench.settle(id, Verdict::Dead);
    assert_eq!(bench.state(id), DeliveryState::Delivered);
    assert_eq!(bench.store.attempts(id).expect("read").len(), 1);
    let unknown = bench
        .store
        .settle(&settlement(DeliveryId::new(), Verdict::Dead));
    assert!(matches!(unknown, Err(StoreError::NoSuchDelivery(_))));
}

#[test]
fn what_is_too_old_expires_and_makes_room_for_the_next_of_its_incident() {
    let bench = bench();
    let id = IncidentId::new();
    bench.record(told(id, 1, &["ops"]));
    bench.record(told(id, 500, &["ops"]));
    let oldest = bench
        .store
        .deliveries(&DeliveryFilter::default())
        .expect("read")
        .pop()
        .expect("two");
    assert_eq!(bench.store.expire_due(at(1_000)).expect("done"), 0);
    // The lease itself expires what is past its time.
    assert_eq!(bench.lease(&["ops"], 1_001).remove(0).event.time, at(500));
    assert_eq!(bench.state(oldest.id), DeliveryState::Expired);
    assert_eq!(
        bench.store.attempts(oldest.id).expect("read")[0].outcome,
        "expired"
    );
    assert_eq!(
        bench.store.expire_due(at(9_000)).expect("done"),
        0,
        "leased"
    );
}

#[test]
fn counts_are_kept_by_target_through_every_change() {
    let bench = bench();
    for n in 1..=5 {
        bench.record(told(IncidentId::new(), n, &["ops"]));
    }
    let ends = [
        delivered(),
        Verdict::Dead,
        Verdict::Expired,
        retry_at(70, true),
    ];
    for verdict in ends {
        let id = bench.lease(&["ops"], 9).remove(0).id;
        bench.settle(id, verdict);
    }
    let counts = |store: &Store| store.delivery_counts().expect("read")["ops"];
    let expected = DeliveryCounts {
        pending: 2,
        delivered: 1,
        failed: 2,
        dropped: 0,
    };
    assert_eq!(counts(&bench.store), expected);
    assert_eq!(
        bench
            .store
            .retry_delivery(None, at(80), at(90))
            .expect("done"),
        4
    );
    let expected = DeliveryCounts {
        pending: 4,
        delivered: 1,
        failed: 0,
        dropped: 0,
    };
    assert_eq!(counts(&bench.store), expected);
}

#[test]
fn deliveries_to_targets_no_longer_configured_are_given_up_with_the_reason() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["old", "ops"]));
    let given_up = bench
        .store
        .abandon_unknown_targets(&targets(&["ops", "new"]), at(2));
    assert_eq!(given_up.expect("done"), 1);
    let dead = bench.store.deliveries(&DeliveryFilter {
        states: vec![DeliveryState::Dead],
        limit: None,
    });
    let dead = dead.expect("read").remove(0);
    assert_eq!(dead.target, "old");
    assert_eq!(
        dead.last_error.as_deref(),
        Some("the target is no longer configured")
    );
    assert_eq!(bench.lease(&["ops"], 2).len(), 1);
}

#[test]
fn a_lease_whose_caller_has_gone_is_put_back_by_the_next() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let id = bench.lease(&["ops"], 9).remove(0).id;
    bench.store.inner.shared.stranded.lock().push(id);
    assert_eq!(bench.lease(&["ops"], 9).remove(0).id, id);
    assert!(bench.store.inner.shared.stranded.lock().is_empty());
}

#[test]
fn a_delivery_whose_event_is_gone_is_given_up_and_does_not_stand_in_the_way() {
    let bench = bench();
    let lost = event(EventKind::ProgramCrashed, 1);
    let kept = event(EventKind::ProgramCrashed, 2);
    let deliveries = vec![
        delivery(lost.id, None, "ops", 1),
        delivery(kept.id, None, "ops", 2),
    ];
    bench.record(Write {
        deliveries,
        ..Write::from(Record::from(kept.clone()))
    });
    assert!(bench.lease(&["ops"], 9).is_empty());
    let next = bench.lease(&["ops"], 9).remove(0);
    assert_eq!((next.event, next.incident), (kept, None));
    assert_eq!(
        bench.store.delivery_counts().expect("read")["ops"].failed,
        1
    );
}

#[test]
fn leasing_for_many_targets_costs_the_same_statements_as_for_one() {
    let bench = bench();
    let names: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.record(told(IncidentId::new(), 1, &names));
    let cost = |names: &[&str]| {
        let before = bench.store.stats();
        let leased = bench.lease(names, 9).len();
        let after = bench.store.stats();
        let statements = |s: crate::store::StoreStats| s.statements_read + s.statements_written;
        (leased, statements(after) - statements(before))
    };
    let (one, few) = cost(&names[..1]);
    let (many, more) = cost(&names[1..]);
    assert_eq!((one, many), (1, 199));
    assert_eq!(few, more);
}

#[test]
fn what_a_target_must_remember_is_kept() {
    let bench = bench();
    bench
        .store
        .remember_target("ops", "{\"open\":1}")
        .expect("kept");
    bench
        .store
        .remember_target("ops", "{\"open\":2}")
        .expect("kept");
    assert_eq!(
        bench.store.target_memories().expect("read")["ops"],
        "{\"open\":2}"
    );
}

fn standing(due: u32) -> Verdict {
    Verdict::Standing {
        due: at(due),
        expires_at: at(due + 5_000),
    }
}

#[test]
fn what_is_kept_up_is_leased_again_and_again_and_counts_as_one_attempt() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["alerts"]));
    for round in 0..4_u32 {
        let leased = bench.lease(&["alerts"], 1 + 60 * round).remove(0);
        assert_eq!((leased.confirmed, leased.attempts), (round, 0));
        bench.settle(leased.id, standing(1 + 60 * (round + 1)));
        assert_eq!(bench.state(leased.id), DeliveryState::Pending);
        assert!(
            bench.lease(&["alerts"], 60 * (round + 1)).is_empty(),
            "not before its time"
        );
    }
    // Far beyond the end of the row as it was made.
    let last = bench.lease(&["alerts"], 4_000).remove(0);
    assert_eq!(bench.store.attempts(last.id).expect("read").len(), 1);
    bench.settle(last.id, retry_at(4_001, true));
    assert_eq!(bench.store.attempts(last.id).expect("read").len(), 2);
    let again = bench.lease(&["alerts"], 4_001).remove(0);
    assert_eq!((again.confirmed, again.attempts), (4, 1));
    bench.settle(again.id, delivered());
    assert_eq!(bench.state(again.id), DeliveryState::Delivered);
    assert_eq!(bench.due(&["alerts"]), None);
}

#[test]
fn what_is_kept_up_gives_way_to_the_next_of_its_incident_at_once() {
    let bench = bench();
    let (a, b) = (IncidentId::new(), IncidentId::new());
    bench.record(told(a, 1, &["alerts", "chat"]));
    bench.record(told(b, 2, &["alerts"]));
    let first = bench.lease(&["alerts"], 9).remove(0);
    bench.settle(first.id, standing(100));
    let other = bench.lease(&["alerts"], 9).remove(0);
    bench.settle(other.id, standing(100));
    bench.record(told(a, 10, &["alerts", "chat"]));
    assert_eq!(bench.state(first.id), DeliveryState::Delivered);
    assert_eq!(
        bench.state(other.id),
        DeliveryState::Pending,
        "another incident"
    );
    let second = bench.lease(&["alerts"], 10).remove(0);
    assert_eq!(second.event.time, at(10));
    // In flight while the next one comes: it is done with its settlement.
    bench.record(told(a, 11, &["alerts"]));
    bench.settle(second.id, standing(110));
    assert_eq!(bench.state(second.id), DeliveryState::Delivered);
    assert_eq!(bench.lease(&["alerts"], 11).remove(0).event.time, at(11));
    // What waits and was never taken keeps its place.
    let chat = bench.lease(&["chat"], 11).remove(0);
    assert_eq!(chat.event.time, at(1));
}
