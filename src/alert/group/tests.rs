//! Windows, against a plain model: what begins within the wait after the first shares its place.

use super::*;
use crate::ids::{EventId, IncidentId};
use crate::model::event::{Event, EventKind};
use crate::model::incident::{Condition, Incident};
use crate::model::name::InstanceName;

fn wall(millis: u64) -> Wall {
    Wall::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn fold(program: &str, at: u64) -> Fold {
    let mut event = Event::new(EventKind::ProgramCrashed, wall(at));
    event.instance = Some(InstanceName::single(program));
    let incident = Incident {
        id: IncidentId::new(),
        instance: event.instance.clone(),
        condition: Condition::Crash,
        subject: None,
        severity: Severity::Warning,
        state: IncidentState::Open,
        opened_at: event.time,
        resolved_at: None,
        events: 1,
        seq: 1,
        failures: 1,
        cycle: 1,
        cause: None,
    };
    Fold {
        event,
        incident: Some(incident),
    }
}

fn delivery(fold: &Fold, target: &str) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        event: fold.event.id,
        incident: fold.incident.as_ref().map(|i| i.id),
        target: Arc::from(target),
        severity: fold.event.severity,
        due: fold.event.time,
        held: None,
        expires_at: fold.event.time + Duration::from_mins(1),
        seat: None,
    }
}

fn wish(audience: Audience, wait_ms: u64) -> Wish {
    Wish {
        audience,
        wait: Some(Duration::from_millis(wait_ms)),
        is_apart: false,
        needs: vec![Arc::from("db")],
    }
}

fn seated(groups: &mut Groups, fold: &Fold, wish: Wish) -> NewDelivery {
    let mut delivery = delivery(fold, "ops");
    groups.seat(&mut delivery, (fold, true), wish);
    delivery
}

fn lead(delivery: &NewDelivery) -> Option<IncidentId> {
    match delivery.seat {
        Some(Seat::Beside { lead, .. }) => Some(lead),
        Some(Seat::In { .. }) | None => None,
    }
}

#[test]
fn those_that_open_within_the_wait_of_the_first_go_with_it_at_its_time() {
    let mut groups = Groups::default();
    let folds = [
        fold("a", 1_000),
        fold("b", 2_999),
        fold("c", 3_000),
        fold("d", 4_999),
    ];
    let rows: Vec<NewDelivery> = folds
        .iter()
        .map(|fold| seated(&mut groups, fold, wish(Audience::Chat, 2_000)))
        .collect();
    let leads: Vec<_> = rows.iter().map(lead).collect();
    let of = |n: usize| folds[n].incident.as_ref().map(|i| i.id);
    assert_eq!(leads, [of(0), of(0), of(2), of(2)]);
    let due: Vec<i64> = rows.iter().map(|row| row.due.millis()).collect();
    assert_eq!(due, [3_000, 3_000, 5_000, 5_000]);
    for row in &rows {
        assert_eq!(row.held, Some(Hold::Group));
        assert_eq!(row.expires_at, row.due + Duration::from_mins(1));
    }
}

#[test]
fn what_is_not_to_wait_is_left_as_it_is() {
    let mut groups = Groups::default();
    let crash = fold("a", 1_000);
    let mut alone = fold("a", 1_000);
    alone.incident = None;
    let mut over = fold("a", 1_000);
    if let Some(incident) = &mut over.incident {
        incident.state = IncidentState::Resolved;
    }
    let mut storage = fold("a", 1_000);
    storage.event.instance = None;
    for (fold, is_first, wish) in [
        (&crash, true, wish(Audience::Chat, 0)),
        (&crash, false, wish(Audience::Chat, 2_000)),
        (&crash, true, wish(Audience::State, 2_000)),
        (&crash, true, wish(Audience::Machine, 0)),
        (&alone, true, wish(Audience::Chat, 2_000)),
        (&over, true, wish(Audience::Chat, 2_000)),
        (&storage, true, wish(Audience::Chat, 2_000)),
    ] {
        let before = delivery(fold, "ops");
        let mut after = before.clone();
        groups.seat(&mut after, (fold, is_first), wish);
        assert_eq!(after, before);
    }
}

#[test]
fn threads_for_each_program_keep_programs_apart_and_a_clock_set_back_ends_a_wait() {
    let mut groups = Groups::default();
    let apart = || Wish {
        is_apart: true,
        ..wish(Audience::Chat, 2_000)
    };
    let (a, b, other_a) = (fold("a", 10_000), fold("b", 10_100), fold("a", 10_200));
    let first = seated(&mut groups, &a, apart());
    let second = seated(&mut groups, &b, apart());
    let third = seated(&mut groups, &other_a, apart());
    assert_ne!(lead(&first), lead(&second));
    assert_eq!(lead(&first), lead(&third));
    let long_ago = fold("a", 1_000);
    let row = seated(&mut groups, &long_ago, apart());
    assert_eq!(lead(&row), row.incident);
    assert_eq!(row.due, wall(3_000));
}

#[test]
fn a_machine_is_told_the_worst_of_them_by_the_first() {
    let mut groups = Groups::default();
    let tell = |groups: &mut Groups, at, severity| {
        let mut fold = fold("a", at);
        fold.event.severity = severity;
        fold.event.id = EventId::new();
        seated(groups, &fold, wish(Audience::Machine, 500))
    };
    let first = tell(&mut groups, 1_000, Severity::Info);
    assert_eq!((first.due, first.seat.clone()), (wall(1_500), None));
    let seat = |is_worse| {
        Some(Seat::In {
            row: first.id,
            is_worse,
        })
    };
    assert_eq!(tell(&mut groups, 1_100, Severity::Info).seat, seat(false));
    assert_eq!(
        tell(&mut groups, 1_200, Severity::Critical).seat,
        seat(true)
    );
    assert_eq!(
        tell(&mut groups, 1_300, Severity::Warning).seat,
        seat(false)
    );
    assert_eq!(tell(&mut groups, 1_500, Severity::Warning).seat, None);
}

/// The plain model: one list of what was seen.
struct Model {
    groups: Vec<(u64, Vec<IncidentId>)>,
}

#[test]
fn any_sequence_is_grouped_as_the_plain_model_does() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let wait = rng.u64(1..3_000);
        let mut groups = Groups::default();
        let mut model = Model { groups: vec![] };
        let mut now = 1_000;
        for _ in 0..rng.usize(1..700) {
            now += rng.u64(0..400) * u64::from(rng.bool());
            let fold = fold("p", now);
            let row = seated(&mut groups, &fold, wish(Audience::Chat, wait));
            let id = fold.incident.as_ref().map(|i| i.id).expect("it has one");
            match model.groups.last_mut() {
                Some((since, members))
                    if now < *since + wait && members.len() < limits::GROUP_MAX =>
                {
                    members.push(id);
                }
                _ => model.groups.push((now, vec![id])),
            }
            let (since, members) = model.groups.last().expect("one was added");
            assert_eq!(lead(&row), members.first().copied(), "seed {seed}");
            assert_eq!(row.due, wall(since + wait), "seed {seed}");
        }
    }
}
