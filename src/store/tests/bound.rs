//! How much may wait for a target, and what goes when it is more.

use super::{Bench, at, bench, claims, told};
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::{Bound, DeliveryState, Pick, Settlement, Verdict};
use crate::model::event::Severity;
use crate::model::living::Effect;
use crate::store::DeliveryFilter;

fn bounded(queue: usize, merges: bool) -> Bench {
    let bench = bench();
    let bound = Bound { queue, merges };
    bench
        .store
        .keep_bounds(&[("ops".into(), bound)])
        .expect("kept");
    bench
}

/// Records one delivery of an incident of its own, or of `incident`.
fn add(bench: &Bench, second: u32, severity: Severity, incident: Option<IncidentId>) -> DeliveryId {
    let mut write = told(incident.unwrap_or_else(IncidentId::new), second, &["ops"]);
    write.deliveries[0].severity = severity;
    let id = write.deliveries[0].id;
    bench.record(write);
    id
}

fn waiting(bench: &Bench) -> Vec<DeliveryId> {
    let filter = DeliveryFilter {
        states: vec![DeliveryState::Pending],
        limit: None,
    };
    let mut ids: Vec<_> = bench
        .store
        .deliveries(&filter)
        .expect("read")
        .iter()
        .map(|d| d.id)
        .collect();
    ids.sort();
    ids
}

fn dropped(bench: &Bench) -> u64 {
    bench.store.delivery_counts().expect("read")["ops"].dropped
}

#[test]
fn the_least_severe_go_first_the_oldest_of_them_and_are_counted() {
    use Severity::{Critical, Info, Warning};
    let bench = bounded(4, false);
    let critical = add(&bench, 1, Critical, None);
    let old = add(&bench, 2, Info, None);
    let warning = add(&bench, 3, Warning, None);
    let young = add(&bench, 4, Info, None);
    assert_eq!(dropped(&bench), 0);
    let more = add(&bench, 5, Warning, None);
    assert_eq!(waiting(&bench), [critical, warning, young, more]);
    let view = bench
        .store
        .delivery(old)
        .expect("read")
        .expect("it is still shown");
    assert_eq!(view.state, DeliveryState::Dead);
    assert!(view.last_error.is_some_and(|e| e.starts_with("dropped")));
    add(&bench, 6, Info, None);
    let last = add(&bench, 7, Info, None);
    assert!(
        waiting(&bench).contains(&last),
        "the older ones of its kind go before it"
    );
    for second in 8..12 {
        add(&bench, second, Critical, None);
    }
    let left = waiting(&bench);
    assert_eq!(left.len(), 4);
    assert!(!left.contains(&critical), "there is nothing else by then");
    assert_eq!(dropped(&bench), 7);
}

#[test]
fn a_chat_keeps_the_first_and_the_newest_of_an_incident() {
    let bench = bounded(6, true);
    let incident = IncidentId::new();
    let first = add(&bench, 1, Severity::Warning, Some(incident));
    let mut last = first;
    for second in 2..40 {
        last = add(&bench, second, Severity::Warning, Some(incident));
        assert!(waiting(&bench).len() <= 4);
    }
    assert_eq!(*waiting(&bench).first().expect("some"), first);
    assert_eq!(*waiting(&bench).last().expect("some"), last);
    assert_eq!(dropped(&bench), 0, "the newest stands for them");
}

#[test]
fn a_storm_of_ten_thousand_never_has_more_waiting_than_may() {
    let bench = bounded(100, false);
    let critical = add(&bench, 1, Severity::Critical, None);
    for _ in 0..100 {
        for _ in 0..100 {
            bench.store.record(told(IncidentId::new(), 2, &["ops"]));
        }
        bench.flush();
        assert!(waiting(&bench).len() <= 100);
    }
    assert!(waiting(&bench).contains(&critical));
    assert_eq!(dropped(&bench), 9_901);
}

#[test]
fn the_next_message_that_is_taken_says_how_many_there_were() {
    let bench = bounded(2, false);
    for second in 1..6 {
        add(&bench, second, Severity::Warning, None);
    }
    let mut claims = claims(&["ops"]);
    claims[0].pick = Pick::Oldest;
    let next = || {
        let leased = bench.store.lease_due(&claims, at(9)).expect("leased");
        let leased = leased.into_iter().next().expect("a row");
        let settlement = Settlement {
            deed: crate::model::deed::Deed::default(),
            id: leased.id,
            verdict: Verdict::Delivered { message: None },
            started_at: at(9),
            took: std::time::Duration::ZERO,
            status: Some(200),
            error: None,
            frozen_body: None,
            with: Vec::new(),
            is_doubtful: false,
            effect: Effect {
                dropped: leased.known.dropped,
                ..Effect::default()
            },
        };
        bench.store.settle(&settlement).expect("settled");
        leased.known.dropped
    };
    assert_eq!((next(), next()), (3, 0));
}
