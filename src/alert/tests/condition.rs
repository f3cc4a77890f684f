//! What is wrong without a crash: openings and ends that belong together.

use super::*;
use crate::alert::condition::Known;
use crate::model::event::EventKind as K;

const OPENINGS: [(K, Condition, K); 6] = [
    (K::ProgramUnhealthy, Condition::Unhealthy, K::ProgramHealthy),
    (K::ProgramStalled, Condition::Stalled, K::ProgramHealthy),
    (K::RuleFired, Condition::Rule, K::RuleCleared),
    (K::TargetFailing, Condition::Target, K::TargetRestored),
    (K::StorageDegraded, Condition::Storage, K::StorageRestored),
    (
        K::SupervisorDegraded,
        Condition::Supervisor,
        K::SupervisorRestored,
    ),
];

fn about(kind: K, seconds: u64) -> Event {
    let mut event = Event::new(kind, wall(seconds));
    match kind {
        K::TargetFailing | K::TargetRestored => event.facts.target = Some("chat".to_owned()),
        K::RuleFired | K::RuleCleared => {
            event.instance = Some(web());
            event.facts.rule = Some("memory > 1GiB".to_owned());
        }
        K::StorageDegraded | K::StorageRestored | K::SupervisorDegraded | K::SupervisorRestored => {
        }
        _ => event.instance = Some(web()),
    }
    event
}

fn give(incidents: &mut Incidents, event: Event) -> Vec<Fold> {
    let now = u64::try_from(event.time.millis() / 1_000).unwrap_or(0);
    incidents.next(Input::Event(Box::new(event)), at(now))
}

fn watched() -> Incidents {
    let mut incidents = Incidents::new(known(), vec![]);
    incidents.configure(known(), [Arc::from("chat")]);
    incidents
}

#[test]
fn each_condition_opens_counts_and_ends_as_one_incident() {
    for (begins, condition, ends) in OPENINGS {
        let mut incidents = watched();
        let first = give(&mut incidents, about(begins, 10));
        let opened = first[0].incident.clone().expect("opened");
        assert_eq!(opened.condition, condition);
        assert_eq!((opened.seq, opened.failures), (1, 1));
        let again = give(&mut incidents, about(begins, 11));
        let counted = again[0].incident.clone().expect("the same");
        assert_eq!((counted.id, counted.failures), (opened.id, 2));
        let last = give(&mut incidents, about(ends, 12));
        assert_eq!(last.len(), 1, "{ends}");
        let resolved = last[0].incident.clone().expect("ended");
        assert_eq!(resolved.id, opened.id);
        assert_eq!(resolved.state, IncidentState::Resolved);
        assert_eq!(resolved.cause.as_deref(), Some("recovered"));
        let nothing = give(&mut incidents, about(ends, 13));
        assert_eq!(nothing[0].incident, None, "an end of nothing");
        let relapse = give(&mut incidents, about(begins, 14));
        let relapse = relapse[0].incident.clone().expect("a new one");
        assert_eq!(relapse.cycle, 2);
        assert_ne!(relapse.id, opened.id);
    }
}

#[test]
fn conditions_of_one_instance_are_apart_from_each_other_and_from_its_crash() {
    let mut incidents = watched();
    let mut ids = vec![];
    for kind in [K::ProgramUnhealthy, K::RuleFired, K::ProgramCrashed] {
        let folds = give(&mut incidents, about(kind, 10));
        ids.extend(
            folds
                .iter()
                .filter_map(|f| f.incident.as_ref().map(|i| i.id)),
        );
    }
    let mut other = about(K::RuleFired, 11);
    other.facts.rule = Some("fds > 900".to_owned());
    let folds = give(&mut incidents, other);
    ids.extend(
        folds
            .iter()
            .filter_map(|f| f.incident.as_ref().map(|i| i.id)),
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!(incidents.open().count(), 4);
}

#[test]
fn a_rule_that_alerts_nobody_opens_nothing() {
    let mut incidents = watched();
    let mut event = about(K::RuleFired, 10);
    event.severity = Severity::Info;
    assert_eq!(give(&mut incidents, event)[0].incident, None);
}

#[test]
fn an_unhealthy_program_is_well_when_a_run_is_ready_and_a_crash_does_not_make_it_so() {
    let mut incidents = watched();
    let _ = give(&mut incidents, about(K::ProgramUnhealthy, 10));
    let _ = give(&mut incidents, about(K::ProgramCrashed, 11));
    let _ = give(&mut incidents, about(K::ProgramStarted, 12));
    assert_eq!(incidents.open().count(), 2);
    let ready = about(K::ProgramReady, 13);
    let folds = give(&mut incidents, ready);
    let kinds: Vec<K> = folds.iter().map(|f| f.event.kind).collect();
    assert_eq!(kinds, [K::ProgramHealthy, K::ProgramReady]);
    assert!(folds[0].event.id < folds[1].event.id, "ids rise with time");
    let conditions: Vec<_> = folds
        .iter()
        .filter_map(|f| f.incident.as_ref().map(|i| (i.condition, i.state)))
        .collect();
    assert_eq!(
        conditions,
        [
            (Condition::Unhealthy, IncidentState::Resolved),
            (Condition::Crash, IncidentState::Open)
        ]
    );
}

#[test]
fn a_stop_ends_everything_of_a_run_with_one_event_for_each() {
    for (has_crashed, is_stalled) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut incidents = watched();
        let _ = give(&mut incidents, about(K::ProgramUnhealthy, 10));
        if has_crashed {
            let _ = give(&mut incidents, about(K::ProgramCrashed, 11));
        }
        if is_stalled {
            let _ = give(&mut incidents, about(K::ProgramStalled, 11));
        }
        let open = incidents.open().count();
        let folds = give(&mut incidents, about(K::ProgramStopped, 12));
        assert_eq!(folds.len(), open);
        assert!(folds.iter().map(|f| f.event.id).is_sorted());
        assert!(folds.iter().all(|f| {
            let incident = f.incident.as_ref();
            incident.is_some_and(|i| {
                i.state == IncidentState::Resolved && i.cause.as_deref() == Some("stopped")
            })
        }));
        assert_eq!(folds.last().map(|f| f.event.kind), Some(K::ProgramStopped));
        assert_eq!(incidents.open().count(), 0);
    }
}

#[test]
fn what_leaves_the_configuration_ends_with_the_next_tick() {
    let mut incidents = watched();
    let _ = give(&mut incidents, about(K::TargetFailing, 10));
    let _ = give(&mut incidents, about(K::RuleFired, 10));
    let _ = give(&mut incidents, about(K::StorageDegraded, 10));
    assert_eq!(incidents.next_deadline(), None);
    incidents.configure(BTreeMap::new(), []);
    assert_eq!(incidents.next_deadline(), Some(at(0)));
    let folds = incidents.next(Input::Tick(wall(20)), at(20));
    let kinds: Vec<K> = folds.iter().map(|f| f.event.kind).collect();
    assert_eq!(kinds, [K::TargetRestored, K::RuleCleared]);
    assert!(folds.iter().all(|f| f.event.facts.cause.is_some()));
    assert_eq!(incidents.open().count(), 1, "the storage stays");
}

#[test]
fn what_an_earlier_supervisor_saw_is_over_when_nobody_sees_it_again() {
    let doubt = crate::limits::CONDITION_DOUBT.as_secs();
    for (begins, condition, _) in OPENINGS {
        for is_seen_again in [false, true] {
            let mut before = watched();
            let _ = give(&mut before, about(begins, 10));
            let left = before.open().cloned().collect();
            let mut incidents = Incidents::new(known(), left);
            incidents.configure(known(), [Arc::from("chat")]);
            assert!(incidents.next(Input::Tick(wall(20)), at(20)).is_empty());
            if is_seen_again {
                let _ = give(&mut incidents, about(begins, 21));
            }
            let folds = incidents.next(Input::Tick(wall(20 + doubt)), at(20 + doubt));
            let is_kept = is_seen_again || condition == Condition::Target;
            assert_eq!(folds.is_empty(), is_kept, "{condition:?} {is_seen_again}");
            assert_eq!(incidents.next_deadline(), None);
        }
    }
}

#[test]
fn nothing_known_is_nothing_to_wait_for() {
    let mut conditions = crate::alert::condition::Conditions::default();
    conditions.configure(Known::default());
    assert_eq!(conditions.next_deadline(), None);
}
