//! Incidents by an exhaustive walk over short histories, and routes by table.

mod condition;
mod damping;
mod silence;

use std::time::Duration;

use super::*;
use crate::clock::Wall;
use crate::ids::{IncidentId, RunId};
use crate::model::event::{EventKind, Severity};
use crate::model::incident::{Condition, IncidentState};
use crate::model::route::RouteSpec;
use crate::model::trigger::Trigger;

const RECOVER: u64 = 5;
const RESET: u64 = 20;

fn web() -> InstanceName {
    InstanceName::single("web")
}

fn at(seconds: u64) -> Mono {
    Mono::from_nanos(seconds * 1_000_000_000)
}

fn wall(seconds: u64) -> Wall {
    Wall::from_millis(i64::try_from(seconds * 1_000).unwrap_or(i64::MAX))
}

fn event(kind: EventKind, seconds: u64) -> Event {
    let mut event = Event::new(kind, wall(seconds));
    event.instance = Some(web());
    event
}

fn incidents() -> Incidents {
    Incidents::new(known(), vec![])
}

fn known() -> BTreeMap<InstanceName, RecoveryPolicy> {
    let policy = RecoveryPolicy {
        recover_after: Duration::from_secs(RECOVER),
        reset_after: Duration::from_secs(RESET),
    };
    [(web(), policy)].into()
}

/// What a history is made of: an event, or time that passes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Move {
    Happens(EventKind),
    Waits(u64),
}

const MOVES: [Move; 10] = [
    Move::Happens(EventKind::ProgramStarted),
    Move::Happens(EventKind::ProgramCrashed),
    Move::Happens(EventKind::ProgramFatal),
    Move::Happens(EventKind::ProgramExited),
    Move::Happens(EventKind::ProgramStopped),
    Move::Happens(EventKind::ProgramKilled),
    Move::Happens(EventKind::ProgramReady),
    Move::Happens(EventKind::ProgramUnhealthy),
    Move::Waits(RECOVER),
    Move::Waits(2 * RESET),
];

const DEPTH: usize = 5;

/// Follows one history and checks, after each move, what must hold of every history.
struct Walk {
    incidents: Incidents,
    now: u64,
    started: Option<u64>,
    last: Option<Incident>,
}

impl Walk {
    fn step(&mut self, step: Move, history: &[Move]) {
        let (input, is_up_before) = match step {
            Move::Happens(kind) => (Input::Event(Box::new(event(kind, self.now))), self.started),
            Move::Waits(seconds) => {
                self.now += seconds;
                (Input::Tick(wall(self.now)), self.started)
            }
        };
        let folds = self.incidents.next(input, at(self.now));
        for fold in &folds {
            let condition = fold.incident.as_ref().map(|i| i.condition);
            if condition.is_none_or(|c| c == Condition::Crash) {
                self.check(fold, is_up_before, history);
            }
        }
        if let Move::Happens(kind) = step {
            assert_eq!(
                folds.last().map(|f| f.event.kind),
                Some(kind),
                "{history:?}"
            );
            match kind {
                EventKind::ProgramStarted => self.started = Some(self.now),
                EventKind::ProgramReady | EventKind::ProgramUnhealthy => {}
                _ => self.started = None,
            }
        }
        let is_crash = |i: &&Incident| i.condition == Condition::Crash;
        let open: Vec<&Incident> = self.incidents.open().filter(is_crash).collect();
        assert!(open.len() <= 1, "two open incidents: {history:?}");
        assert!(
            open.iter().all(|i| i.state == IncidentState::Open),
            "{history:?}"
        );
        let may_recover = !open.is_empty() && self.started.is_some();
        assert_eq!(
            self.incidents.next_deadline().is_some(),
            may_recover,
            "{history:?}"
        );
        assert!(
            self.incidents
                .next_deadline()
                .is_none_or(|d| d > at(self.now))
                || !matches!(step, Move::Waits(_)),
            "a tick leaves nothing due: {history:?}"
        );
    }

    fn check(&mut self, fold: &Fold, started: Option<u64>, history: &[Move]) {
        let kind = fold.event.kind;
        if kind == EventKind::ProgramRecovered {
            let up = started.map(|s| self.now - s);
            assert!(
                up.is_some_and(|up| up >= RECOVER),
                "recovered while down: {history:?}"
            );
            assert!(
                fold.incident.is_some(),
                "recovered from nothing: {history:?}"
            );
        }
        let Some(incident) = &fold.incident else {
            assert!(
                !matches!(kind, EventKind::ProgramCrashed | EventKind::ProgramFatal),
                "a failure without an incident: {history:?}"
            );
            return;
        };
        if let Some(last) = self
            .last
            .as_ref()
            .filter(|l| l.state == IncidentState::Open)
        {
            assert_eq!(incident.id, last.id, "{history:?}");
            assert_eq!(incident.seq, last.seq + 1, "{history:?}");
            assert_eq!(incident.events, last.events + 1, "{history:?}");
            assert!(
                incident.severity >= last.severity,
                "severity fell: {history:?}"
            );
        } else {
            assert_eq!(
                incident.state,
                IncidentState::Open,
                "a resolve without an opening: {history:?}"
            );
            assert_eq!((incident.seq, incident.failures), (1, 1), "{history:?}");
            let is_new = self.last.as_ref().is_none_or(|l| l.id != incident.id);
            assert!(is_new, "a resolved incident opened again: {history:?}");
        }
        let is_resolved = incident.state == IncidentState::Resolved;
        assert_eq!(incident.resolved_at.is_some(), is_resolved, "{history:?}");
        assert_eq!(incident.cause.is_some(), is_resolved, "{history:?}");
        assert!(kind != EventKind::ProgramFatal || incident.severity == Severity::Critical);
        self.last = Some(incident.clone());
    }
}

#[test]
fn no_short_history_breaks_what_an_incident_promises() {
    let total = MOVES.len().pow(u32::try_from(DEPTH).unwrap_or(0));
    let (mut opened, mut recovered) = (0_u32, 0_u32);
    for number in 0..total {
        let mut rest = number;
        let history: Vec<Move> = (0..DEPTH)
            .map(|_| {
                let step = MOVES[rest % MOVES.len()];
                rest /= MOVES.len();
                step
            })
            .collect();
        let mut walk = Walk {
            incidents: incidents(),
            now: 100,
            started: None,
            last: None,
        };
        for step in &history {
            walk.step(*step, &history);
        }
        if let Some(last) = walk.last {
            opened += 1;
            recovered += u32::from(last.cause.as_deref() == Some("recovered"));
        }
    }
    assert!(opened > 10_000 && recovered > 100, "{opened} {recovered}");
}

fn run_through(history: &[Move]) -> Vec<Fold> {
    let mut incidents = incidents();
    let mut now = 100;
    let mut all = vec![];
    for step in history {
        let input = match step {
            Move::Happens(kind) => Input::Event(Box::new(event(*kind, now))),
            Move::Waits(seconds) => {
                now += seconds;
                Input::Tick(wall(now))
            }
        };
        all.extend(incidents.next(input, at(now)));
    }
    all
}

#[test]
fn the_wait_for_recovery_doubles_with_each_crash_up_to_reset_after() {
    let policy = RecoveryPolicy {
        recover_after: Duration::from_secs(5),
        reset_after: Duration::from_mins(1),
    };
    for (failures, seconds) in [
        (0, 5),
        (1, 5),
        (2, 10),
        (3, 20),
        (4, 40),
        (5, 60),
        (u32::MAX, 60),
    ] {
        assert_eq!(
            policy.wait(failures).as_secs(),
            seconds,
            "{failures} failures"
        );
    }
    let short = RecoveryPolicy {
        reset_after: Duration::from_secs(1),
        ..policy
    };
    assert_eq!(short.wait(3).as_secs(), 5, "never less than recover_after");
}

#[test]
fn an_instance_that_keeps_running_recovers_and_its_next_crash_is_a_new_incident() {
    use EventKind::{ProgramCrashed as Crash, ProgramStarted as Start};
    let folds = run_through(&[
        Move::Happens(Crash),
        Move::Happens(Start),
        Move::Happens(Crash),
        Move::Happens(Start),
        Move::Waits(RECOVER),
        Move::Waits(RECOVER),
        Move::Happens(Crash),
    ]);
    let kinds: Vec<EventKind> = folds.iter().map(|f| f.event.kind).collect();
    assert_eq!(
        kinds,
        [
            Crash,
            Start,
            Crash,
            Start,
            EventKind::ProgramRecovered,
            Crash
        ]
    );
    let recovery = &folds[4];
    assert_eq!(recovery.event.severity, Severity::Warning);
    assert_eq!(
        recovery.event.time,
        wall(110),
        "two failures take ten seconds"
    );
    let ids: Vec<_> = folds
        .iter()
        .filter_map(|f| f.incident.as_ref().map(|i| i.id))
        .collect();
    assert_eq!(ids.len(), 6);
    assert_ne!(ids[4], ids[5]);
}

#[test]
fn what_recovers_from_fatal_is_told_as_critical() {
    use EventKind::{ProgramCrashed as Crash, ProgramFatal as Fatal, ProgramStarted as Start};
    let folds = run_through(&[
        Move::Happens(Crash),
        Move::Happens(Fatal),
        Move::Happens(Start),
        Move::Waits(RECOVER),
    ]);
    let last = folds.last().map(|f| (f.event.kind, f.event.severity));
    assert_eq!(
        last,
        Some((EventKind::ProgramRecovered, Severity::Critical))
    );
}

#[test]
fn a_crash_after_the_wait_counts_as_recovered_first_even_if_the_tick_came_late() {
    let mut incidents = incidents();
    let run = Some(RunId::new());
    let _ = incidents.next(
        Input::Event(Box::new(event(EventKind::ProgramCrashed, 100))),
        at(100),
    );
    let mut start = event(EventKind::ProgramStarted, 100);
    start.run = run;
    let _ = incidents.next(Input::Event(Box::new(start)), at(100));
    let mut crash = event(EventKind::ProgramCrashed, 106);
    crash.run = run;
    crash.facts.uptime_s = Some(6.0);
    let folds = incidents.next(Input::Event(Box::new(crash)), at(130));
    let kinds: Vec<_> = folds.iter().map(|f| (f.event.kind, f.event.time)).collect();
    assert_eq!(
        kinds,
        [
            (EventKind::ProgramRecovered, wall(105)),
            (EventKind::ProgramCrashed, wall(106))
        ]
    );
    assert!(folds[0].event.id < folds[1].event.id, "ids rise with time");
}

#[test]
fn a_late_report_of_an_earlier_run_does_not_stop_the_present_one_from_recovering() {
    let mut incidents = incidents();
    let mut crash = event(EventKind::ProgramCrashed, 100);
    crash.run = Some(RunId::new());
    let _ = incidents.next(Input::Event(Box::new(crash.clone())), at(100));
    let mut start = event(EventKind::ProgramStarted, 100);
    start.run = Some(RunId::new());
    let _ = incidents.next(Input::Event(Box::new(start)), at(100));
    crash.kind = EventKind::ProgramExited;
    let _ = incidents.next(Input::Event(Box::new(crash)), at(101));
    assert_eq!(incidents.next_deadline(), Some(at(105)));
}

fn stored() -> Incident {
    Incident {
        id: IncidentId::new(),
        instance: Some(web()),
        condition: Condition::Crash,
        subject: None,
        severity: Severity::Critical,
        state: IncidentState::Open,
        opened_at: wall(1),
        resolved_at: None,
        events: 7,
        seq: 7,
        failures: 1,
        cycle: 1,
        cause: None,
    }
}

#[test]
fn an_incident_that_survived_the_supervisor_recovers_or_ends_with_its_program() {
    let mut gone = Incidents::new(BTreeMap::new(), vec![stored()]);
    assert!(gone.next_deadline().is_some_and(|d| d <= at(0)));
    let folds = gone.next(Input::Tick(wall(50)), at(50));
    let cause = folds[0].incident.as_ref().and_then(|i| i.cause.clone());
    assert_eq!(cause.as_deref(), Some("removed"));
    assert_eq!(folds[0].event.kind, EventKind::ProgramStopped);

    let mut kept = Incidents::new(known(), vec![stored()]);
    assert_eq!(kept.next_deadline(), None, "nothing runs yet");
    let mut adopted = event(EventKind::ProgramAdopted, 50);
    adopted.facts.uptime_s = Some(2.0);
    let _ = kept.next(Input::Event(Box::new(adopted)), at(50));
    assert_eq!(
        kept.next_deadline(),
        Some(at(53)),
        "it has already run for 2s"
    );
}

mod routes {
    use super::*;
    use crate::model::event::EventKind as K;
    use crate::model::settings::{MaxAge, Settings};
    use crate::model::write::Told;

    fn max_age() -> MaxAge {
        MaxAge {
            info: Duration::from_mins(30),
            warning: Duration::from_hours(6),
            critical: Duration::from_hours(48),
        }
    }

    fn settings(routes: Vec<RouteSpec>) -> Settings {
        crate::alert::fixture::settings(routes, max_age())
    }

    fn route(programs: &[&str], events: &[&str], min: Severity, targets: &[&str]) -> RouteSpec {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        RouteSpec {
            programs: own(programs),
            events: own(events),
            min_severity: min,
            targets: targets.iter().map(|t| Arc::from(*t)).collect(),
            group_wait: Some(Duration::ZERO),
        }
    }

    fn heard(settings: &Settings, event: Event) -> Vec<String> {
        let fold = Fold {
            event,
            incident: None,
        };
        let router = Router::new(settings);
        let following = Telling::default().follow(&router, &fold, None);
        following
            .deliveries
            .iter()
            .map(|d| d.target.to_string())
            .collect()
    }

    #[test]
    fn a_route_begins_by_program_tag_event_and_severity() {
        use EventKind::{
            ProgramCrashed as Crash, ProgramStarted as Start, StorageDegraded as Disk,
        };
        let about_nothing = |kind| Event::new(kind, wall(1));
        let warning = Severity::Warning;
        for (route, event, is_heard) in [
            (route(&[], &[], warning, &["hook"]), event(Crash, 1), true),
            (route(&[], &[], warning, &["hook"]), event(Start, 1), false),
            (
                route(&[], &[], Severity::Info, &["hook"]),
                event(Start, 1),
                true,
            ),
            (
                route(&[], &[], Severity::Critical, &["hook"]),
                event(Crash, 1),
                false,
            ),
            (
                route(&["w*"], &[], warning, &["hook"]),
                event(Crash, 1),
                true,
            ),
            (
                route(&["tag:game"], &[], warning, &["hook"]),
                event(Crash, 1),
                true,
            ),
            (
                route(&["tag:db", "db"], &[], warning, &["hook"]),
                event(Crash, 1),
                false,
            ),
            (
                route(&[], &["program.*"], warning, &["hook"]),
                event(Crash, 1),
                true,
            ),
            (
                route(&[], &["storage.*"], warning, &["hook"]),
                event(Crash, 1),
                false,
            ),
            (
                route(&[], &[], warning, &["hook"]),
                about_nothing(Disk),
                true,
            ),
            (
                route(&["all"], &[], warning, &["hook"]),
                about_nothing(Disk),
                false,
            ),
        ] {
            let said = format!("{route:?} {:?}", event.kind);
            let targets = heard(&settings(vec![route]), event);
            assert_eq!(
                targets,
                if is_heard { vec!["hook"] } else { vec![] },
                "{said}"
            );
        }
    }

    #[test]
    fn a_target_hears_an_event_once_however_many_routes_lead_to_it() {
        let both = route(&[], &[], Severity::Info, &["hook", "chat", "hook"]);
        let targets = heard(
            &settings(vec![both.clone(), both]),
            event(EventKind::ProgramCrashed, 1),
        );
        assert_eq!(targets, ["hook", "chat"]);
    }

    #[test]
    fn a_target_is_not_told_that_it_fails_and_a_test_goes_to_it_alone() {
        let settings = settings(vec![route(&[], &[], Severity::Info, &["hook", "chat"])]);
        for (kind, expected) in [
            (EventKind::TargetFailing, vec!["chat"]),
            (EventKind::TargetRestored, vec![]),
            (EventKind::NotifyTest, vec!["hook"]),
        ] {
            let mut event = Event::new(kind, wall(1));
            event.facts.target = Some("hook".to_owned());
            assert_eq!(heard(&settings, event), expected, "{kind}");
        }
        let silent = crate::alert::fixture::settings(vec![], max_age());
        let mut test = Event::new(EventKind::NotifyTest, wall(1));
        test.facts.target = Some("chat".to_owned());
        assert_eq!(heard(&silent, test), ["chat"], "no route leads to it");
    }

    fn told(alert: &mut Alert, kind: EventKind, seconds: u64) -> Vec<(EventKind, Vec<String>)> {
        flat(alert.next(Input::Event(Box::new(event(kind, seconds))), at(seconds)))
    }

    fn flat(consequences: Vec<Consequence>) -> Vec<(EventKind, Vec<String>)> {
        consequences
            .into_iter()
            .map(|c| {
                let targets = c.deliveries.iter().map(|d| d.target.to_string()).collect();
                (c.event.kind, targets)
            })
            .collect()
    }

    #[test]
    fn a_message_that_has_begun_is_updated_and_resolved_whatever_the_routes_say() {
        let only_crashes = route(
            &[],
            &["program.crashed"],
            Severity::Warning,
            &["hook", "chat"],
        );
        let mut alert = Alert::new(&settings(vec![only_crashes]), vec![]);
        let both = vec!["hook".to_owned(), "chat".to_owned()];
        let machine = vec!["hook".to_owned()];
        assert_eq!(
            told(&mut alert, K::ProgramStarted, 1),
            [(K::ProgramStarted, vec![])]
        );
        assert_eq!(
            told(&mut alert, K::ProgramCrashed, 2),
            [(K::ProgramCrashed, both.clone())]
        );
        assert_eq!(
            told(&mut alert, K::ProgramRestarting, 3),
            [(K::ProgramRestarting, machine.clone())]
        );
        assert_eq!(
            told(&mut alert, K::ProgramStarted, 4),
            [(K::ProgramStarted, machine)]
        );
        let resolved = flat(alert.next(Input::Tick(wall(9)), at(9)));
        assert_eq!(resolved, [(K::ProgramRecovered, both.clone())]);
        assert_eq!(
            told(&mut alert, K::ProgramStopping, 10),
            [(K::ProgramStopping, vec![])]
        );
        assert_eq!(
            told(&mut alert, K::ProgramCrashed, 11),
            [(K::ProgramCrashed, both.clone())]
        );
        assert_eq!(
            told(&mut alert, K::ProgramStopped, 12),
            [(K::ProgramStopped, both)]
        );
    }

    fn was_told(target: &str) -> Told {
        Told {
            target: Arc::from(target),
            at: wall(1),
            severity: Severity::Critical,
            times: 1,
        }
    }

    #[test]
    fn who_was_told_before_a_restart_is_told_the_end_after_it() {
        let open = OpenIncident {
            incident: stored(),
            told: vec![was_told("chat"), was_told("no longer configured")],
            held: vec![],
        };
        let mut alert = Alert::new(&settings(vec![]), vec![open]);
        assert_eq!(
            told(&mut alert, EventKind::ProgramStopped, 5),
            [(EventKind::ProgramStopped, vec!["chat".to_owned()])]
        );
    }

    #[test]
    fn the_end_of_an_incident_is_worth_telling_as_long_as_its_worst_moment() {
        let open = OpenIncident {
            incident: stored(),
            told: vec![was_told("chat")],
            held: vec![],
        };
        let mut alert = Alert::new(&settings(vec![]), vec![open]);
        let stopped = event(EventKind::ProgramStopped, 5);
        let all = alert.next(Input::Event(Box::new(stopped)), at(5));
        let delivery = &all[0].deliveries[0];
        assert_eq!(delivery.severity, Severity::Info);
        assert_eq!(delivery.due, wall(5));
        assert_eq!(delivery.expires_at, wall(5) + max_age().critical);
    }
}

#[test]
fn an_incident_outlives_a_run_that_is_ended_to_be_started_anew() {
    for (trigger, is_open) in [(Some(Trigger::Schedule), true), (None, false)] {
        let mut incidents = incidents();
        for (kind, seconds) in [
            (EventKind::ProgramCrashed, 1),
            (EventKind::ProgramStarted, 2),
            (EventKind::ProgramKilled, 3),
            (EventKind::ProgramStopped, 4),
        ] {
            let mut event = event(kind, seconds);
            if matches!(kind, EventKind::ProgramKilled | EventKind::ProgramStopped) {
                event.facts.trigger = trigger;
            }
            let _ = incidents.next(Input::Event(Box::new(event)), at(seconds));
        }
        assert_eq!(incidents.open().next().is_some(), is_open, "{trigger:?}");
    }
}
