//! What cannot be told goes to the fallback: once, with the rest of its incident, and nothing of less worth.

use std::sync::Arc;

use super::{Bench, at, bench, claims, targets, told};
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::{DeliveryState, Leased, Settlement, Verdict};
use crate::model::event::Severity;
use crate::model::living::Effect;
use crate::store::{DeliveryFilter, Write};

/// A store whose `ops` falls back to `pager`, and that to `phone`.
fn with_fallbacks() -> Bench {
    let bench = bench();
    let pairs = [("ops", "pager"), ("pager", "phone")];
    let pairs: Vec<(Arc<str>, Arc<str>)> = pairs
        .iter()
        .map(|(a, b)| (Arc::from(*a), Arc::from(*b)))
        .collect();
    bench.store.keep_fallbacks(&pairs).expect("kept");
    bench
}

fn lease(bench: &Bench, name: &str, now: u32) -> Option<Leased> {
    let leased = bench.store.lease_due(&claims(&[name]), at(now));
    leased.expect("leased").into_iter().next()
}

fn settle(bench: &Bench, id: DeliveryId, verdict: Verdict, now: u32) {
    let settlement = Settlement {
        deed: crate::model::deed::Deed::default(),
        id,
        verdict,
        started_at: at(now),
        took: std::time::Duration::ZERO,
        status: Some(404),
        error: Some("no".to_owned()),
        frozen_body: None,
        with: Vec::new(),
        is_doubtful: false,
        effect: Effect::default(),
    };
    bench.store.settle(&settlement).expect("settled");
}

fn pass(bench: &Bench, name: &str, now: u32) -> usize {
    bench
        .store
        .pass_on(&targets(&[name]), at(now))
        .expect("passed")
}

/// The targets of all deliveries, with their state.
fn all(bench: &Bench) -> Vec<(String, DeliveryState)> {
    let found = bench.store.deliveries(&DeliveryFilter::default());
    let mut all: Vec<_> = found
        .expect("read")
        .into_iter()
        .map(|d| (d.target, d.state))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn info(mut write: Write) -> Write {
    write.deliveries[0].severity = Severity::Info;
    write
}

#[test]
fn what_is_given_up_goes_to_the_fallback_in_the_same_transaction_and_says_whose_it_is() {
    let bench = with_fallbacks();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    bench.record(info(told(IncidentId::new(), 2, &["ops"])));
    for _ in 0..2 {
        let lost = lease(&bench, "ops", 5).expect("a row");
        settle(&bench, lost.id, Verdict::Dead, 5);
    }
    let stands_in = lease(&bench, "pager", 6).expect("the warning");
    assert_eq!(stands_in.known.instead_of.as_deref(), Some("ops"));
    assert_eq!(stands_in.event.time, at(1));
    assert!(stands_in.incident.is_some());
    assert!(lease(&bench, "pager", 6).is_none(), "info is not worth it");
    settle(&bench, stands_in.id, Verdict::Dead, 6);
    let last = lease(&bench, "phone", 7).expect("the fallback of the fallback");
    assert_eq!(last.known.instead_of.as_deref(), Some("pager"));
    settle(&bench, last.id, Verdict::Dead, 7);
    assert_eq!(all(&bench).len(), 4, "and there it ends");
}

#[test]
fn what_becomes_too_old_goes_to_the_fallback() {
    let bench = with_fallbacks();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    assert_eq!(bench.store.expire_due(at(2_000)).expect("expired"), 1);
    let stands_in = lease(&bench, "pager", 2_000).expect("the warning");
    assert_eq!(stands_in.known.instead_of.as_deref(), Some("ops"));
}

#[test]
fn what_waits_goes_once_and_the_rest_of_its_incident_follows() {
    let bench = with_fallbacks();
    let incident = IncidentId::new();
    bench.record(told(incident, 1, &["ops"]));
    bench.record(told(IncidentId::new(), 90, &["ops"]));
    assert_eq!(pass(&bench, "ops", 5), 1, "the other is not due");
    assert_eq!(pass(&bench, "ops", 6), 0, "once");
    let own = lease(&bench, "ops", 6).expect("it waits for its own target, too");
    settle(&bench, own.id, Verdict::Dead, 6);
    // However the target fares by then.
    bench.record(told(incident, 7, &["ops"]));
    let first = lease(&bench, "pager", 9).expect("the first");
    assert_eq!(first.event.time, at(1));
    settle(&bench, first.id, Verdict::Delivered { message: None }, 9);
    let second = lease(&bench, "pager", 9).expect("the rest");
    assert_eq!(second.event.time, at(7));
    assert_eq!(second.known.instead_of.as_deref(), Some("ops"));
    settle(&bench, second.id, Verdict::Delivered { message: None }, 9);
    assert!(lease(&bench, "pager", 9).is_none());
}

#[test]
fn a_fallback_that_is_told_anyway_is_not_told_twice() {
    let bench = with_fallbacks();
    bench.record(told(IncidentId::new(), 1, &["ops", "pager"]));
    let mut alone = told(IncidentId::new(), 2, &["ops", "pager"]);
    for delivery in &mut alone.deliveries {
        delivery.incident = None;
    }
    alone.incident = None;
    bench.record(alone);
    assert_eq!(pass(&bench, "ops", 5), 0);
    assert_eq!(all(&bench).len(), 4);
}
