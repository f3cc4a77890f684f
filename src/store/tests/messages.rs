//! Messages that live: what is told together, what is known of a target afterwards, and by whom it is found.

use std::time::Duration;

use super::{Bench, at, bench, claims, told};
use crate::ids::{DeliveryId, IncidentId};
use crate::model::delivery::{Claim, DeliveryState, Leased, MessageRef, Pick, Settlement, Verdict};
use crate::model::event::Severity;
use crate::model::living::{Effect, Living, Place};

fn settlement(leased: &Leased, verdict: Verdict) -> Settlement {
    Settlement {
        id: leased.id,
        verdict,
        started_at: at(50),
        took: Duration::from_millis(1),
        status: Some(200),
        error: None,
        frozen_body: None,
        with: leased.known.with.clone(),
        is_doubtful: false,
        effect: Effect::default(),
        deed: crate::model::deed::Deed::default(),
    }
}

fn message() -> MessageRef {
    MessageRef::new("77").within("-100")
}

fn living(seq: u64) -> Living {
    Living {
        message: Some(message()),
        seq,
        severity: Severity::Warning,
        created_at: at(40),
        digest: "d".to_owned(),
        settings: "s".to_owned(),
    }
}

impl Bench {
    fn newest(&self, now: u32) -> Vec<Leased> {
        let claim = Claim {
            target: "ops".into(),
            newest: true,
            pick: Pick::Oldest,
            alone: None,
        };
        let leased = self.store.lease_due(&[claim], at(now));
        leased.expect("the database answers")
    }

    fn settle_as(&self, settlement: &Settlement) {
        let settled = self.store.settle(settlement);
        settled.expect("the database answers");
    }

    fn state_of(&self, id: DeliveryId) -> (DeliveryState, Option<String>, u32) {
        let view = self.store.delivery(id).expect("the database answers");
        let view = view.expect("it exists");
        (view.state, view.message_id, view.attempts)
    }
}

fn taken() -> Verdict {
    Verdict::Delivered {
        message: Some(message()),
    }
}

#[test]
fn of_several_that_wait_the_newest_is_told_and_the_others_with_it() {
    let bench = bench();
    let incident = IncidentId::new();
    for seconds in 1..=3 {
        bench.record(told(incident, seconds, &["ops"]));
    }
    bench.record(told(IncidentId::new(), 4, &["ops"]));
    let one = bench.newest(20).remove(0);
    assert_eq!(one.known.with.len(), 2);
    assert!(one.known.with.iter().all(|older| *older < one.id));
    assert_eq!(one.known.living, None);
    // One of a machine comes by itself.
    let retry = Verdict::RetryAt {
        due: at(51),
        counts: true,
    };
    bench.settle_as(&settlement(&one, retry));
    for id in one.known.with.iter().chain([&one.id]) {
        assert_eq!(bench.state_of(*id), (DeliveryState::Pending, None, 1));
    }
    let again = bench.newest(52);
    let again = again.iter().find(|l| l.id == one.id);
    // The other incident was due earlier than the retry.
    let again = match again {
        Some(again) => again.clone(),
        None => bench.newest(52).remove(0),
    };
    assert_eq!((again.id, again.attempts), (one.id, 1));
    bench.settle_as(&settlement(&again, taken()));
    let delivered = (DeliveryState::Delivered, Some("77".to_owned()), 2);
    for id in one.known.with.iter().chain([&one.id]) {
        assert_eq!(bench.state_of(*id), delivered);
    }
    let attempts = bench.store.attempts(one.known.with[0]).expect("answers");
    let with = format!("told with {}", one.id);
    assert_eq!(attempts[1].error.as_deref(), Some(with.as_str()));
}

#[test]
fn machines_are_told_one_after_the_other() {
    let bench = bench();
    let incident = IncidentId::new();
    for seconds in 1..=2 {
        bench.record(told(incident, seconds, &["ops"]));
    }
    let leased = bench.store.lease_due(&claims(&["ops"]), at(20));
    let leased = leased.expect("the database answers").remove(0);
    assert!(leased.known.with.is_empty());
    bench.settle_as(&settlement(&leased, taken()));
    let next = bench.store.lease_due(&claims(&["ops"]), at(20));
    assert!(next.expect("the database answers")[0].id > leased.id);
}

#[test]
fn a_message_is_known_with_the_next_delivery_and_found_from_either_side() {
    let bench = bench();
    let incident = IncidentId::new();
    bench.record(told(incident, 1, &["ops"]));
    let first = bench.newest(20).remove(0);
    let mut told_first = settlement(&first, taken());
    told_first.effect = Effect {
        living: Some(living(5)),
        found: Some(Place {
            program: "web".into(),
            id: "topic".to_owned(),
            settings: "s".to_owned(),
        }),
        lost: None,
        dropped: 0,
    };
    bench.settle_as(&told_first);
    let found = bench.store.incident_of_message("ops", "77");
    assert_eq!(found.expect("answers"), Some(incident));
    let none = bench.store.incident_of_message("others", "77");
    assert_eq!(none.expect("answers"), None);
    bench.record(told(incident, 2, &["ops"]));
    let second = bench.newest(21).remove(0);
    assert_eq!(second.known.living, Some(living(5)));
    let place = second.known.place.as_ref().map(|p| p.id.as_str());
    assert_eq!(place, Some("topic"));
    // An older change does not take its place, and a lost place is forgotten.
    let mut stale = settlement(&second, taken());
    stale.effect.living = Some(Living {
        message: None,
        ..living(4)
    });
    stale.effect.lost = Some("web".into());
    bench.settle_as(&stale);
    let known = bench.store.living("ops", incident).expect("answers");
    assert_eq!(known, Some(living(5)));
    bench.record(told(incident, 3, &["ops"]));
    assert_eq!(bench.newest(22).remove(0).known.place, None);
}

#[test]
fn an_attempt_that_ended_in_the_dark_is_remembered() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let first = bench.newest(20).remove(0);
    assert!(!first.known.is_doubtful);
    let retry = Verdict::RetryAt {
        due: at(21),
        counts: true,
    };
    let mut dark = settlement(&first, retry.clone());
    dark.is_doubtful = true;
    bench.settle_as(&dark);
    let again = bench.newest(30).remove(0);
    assert!(again.known.is_doubtful);
    bench.settle_as(&settlement(&again, retry));
    assert!(bench.newest(40).remove(0).known.is_doubtful, "still");
}
