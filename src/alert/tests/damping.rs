//! What a chat hears of trouble that goes on, comes and goes, or was asked for.

use super::*;
use crate::alert::damping::{Case, Wanted, Word, word};
use crate::model::event::EventKind as K;
use crate::model::settings::MaxAge;
use crate::model::write::Told;

const DAY: u64 = 24 * 3_600;

fn settings(min_severity: Severity, events: &[&str]) -> Settings {
    let route = RouteSpec {
        programs: vec![],
        events: events.iter().map(|e| (*e).to_owned()).collect(),
        min_severity,
        targets: vec![Arc::from("hook"), Arc::from("chat")],
        group_wait: Some(Duration::ZERO),
    };
    let age = Duration::from_hours(6);
    let max_age = MaxAge {
        info: age,
        warning: age,
        critical: age,
    };
    crate::alert::fixture::settings(vec![route], max_age)
}

/// What the targets of a fold got, second by second.
struct Ear {
    alert: Alert,
    now: u64,
}

impl Ear {
    fn new(settings: &Settings) -> Self {
        Self {
            alert: Alert::new(settings, vec![]),
            now: 100,
        }
    }

    fn happens(&mut self, kind: K) -> Vec<Consequence> {
        self.alert
            .next(Input::Event(Box::new(event(kind, self.now))), at(self.now))
    }

    /// Whether the chat has a delivery of it that is due at once.
    fn is_told(&mut self, kind: K) -> bool {
        let now = self.now;
        let all = self.happens(kind);
        assert!(
            all.iter().all(|c| rows(c, "hook") == 1 || !has_row(c)),
            "machines hear all that anybody hears"
        );
        all.iter().any(|c| chat(c).any(|d| d.due <= wall(now)))
    }

    fn waits(&mut self, seconds: u64) -> Vec<Consequence> {
        self.now += seconds;
        self.alert.next(Input::Tick(wall(self.now)), at(self.now))
    }
}

fn has_row(consequence: &Consequence) -> bool {
    !consequence.deliveries.is_empty()
}

fn rows(consequence: &Consequence, target: &str) -> usize {
    let of_it = |d: &&NewDelivery| &*d.target == target;
    consequence.deliveries.iter().filter(of_it).count()
}

fn chat(consequence: &Consequence) -> impl Iterator<Item = &NewDelivery> {
    consequence
        .deliveries
        .iter()
        .filter(|d| &*d.target == "chat")
}

#[test]
fn a_crash_loop_is_told_on_the_1st_2nd_5th_and_12th_failure_then_by_time_and_at_its_end() {
    let mut ear = Ear::new(&settings(Severity::Warning, &[]));
    let mut told = vec![];
    for failure in 1..=3_600_u64 {
        if ear.is_told(K::ProgramCrashed) {
            told.push((failure, ear.now - 100));
        }
        ear.now += 10;
    }
    let counts: Vec<u64> = told.iter().map(|t| t.0).collect();
    assert_eq!(counts[..4], [1, 2, 5, 12]);
    let pauses: Vec<u64> = told.windows(2).skip(3).map(|w| w[1].1 - w[0].1).collect();
    assert_eq!(pauses[..4], [900; 4], "every quarter of an hour at first");
    assert!(pauses[4..].iter().all(|p| *p == 3_600), "{pauses:?}");
    assert!(pauses.len() > 8, "{pauses:?}");
    assert!(ear.is_told(K::ProgramFatal), "it became worse");
    assert!(!ear.is_told(K::ProgramStarted));
    let ends = ear.waits(DAY);
    assert_eq!(ends[0].event.kind, K::ProgramRecovered);
    assert_eq!(rows(&ends[0], "chat"), 1);
}

#[test]
fn a_slow_crash_loop_is_not_silent_for_an_hour() {
    let mut ear = Ear::new(&settings(Severity::Warning, &[]));
    let told: Vec<bool> = (0..12)
        .map(|_| {
            let is_told = ear.is_told(K::ProgramCrashed);
            ear.now += 3_600;
            is_told
        })
        .collect();
    assert_eq!(told, [true; 12]);
}

#[test]
fn the_routine_of_a_crash_loop_is_told_to_who_asks_for_it_until_it_loops() {
    let mut ear = Ear::new(&settings(Severity::Info, &[]));
    for kind in [K::ProgramCrashed, K::ProgramRestarting, K::ProgramStarted] {
        assert!(ear.is_told(kind), "{kind}");
    }
    assert!(ear.is_told(K::ProgramCrashed));
    for kind in [K::ProgramRestarting, K::ProgramStarted] {
        assert!(!ear.is_told(kind), "{kind}");
    }
    assert!(!ear.is_told(K::ProgramCrashed), "the third");
}

/// One crash and its recovery; whether each was told at once.
fn relapse(ear: &mut Ear) -> (bool, bool) {
    let began = ear.is_told(K::ProgramCrashed);
    ear.now += 1;
    let _ = ear.happens(K::ProgramStarted);
    let ends = ear.waits(RECOVER);
    assert_eq!(ends[0].event.kind, K::ProgramRecovered);
    (began, rows(&ends[0], "chat") == 1)
}

#[test]
fn a_program_that_flaps_is_told_of_now_and_then_and_each_beginning_has_its_end() {
    let mut ear = Ear::new(&settings(Severity::Warning, &[]));
    let mut told = vec![];
    for cycle in 1..=40 {
        let (began, ended) = relapse(&mut ear);
        assert_eq!(began, ended, "cycle {cycle}");
        if began {
            told.push(cycle);
        }
        ear.now += 24;
    }
    assert_eq!(told, [1, 2, 5, 12], "40 crashes in 20 minutes");
    ear.now += 3_600;
    assert_eq!(relapse(&mut ear), (true, true), "it had been well for long");
}

#[test]
fn a_relapse_that_is_not_told_at_once_is_told_when_it_stays_or_gets_worse() {
    for worse in [K::ProgramCrashed, K::ProgramFatal] {
        let mut ear = Ear::new(&settings(Severity::Warning, &[]));
        for _ in 0..2 {
            relapse(&mut ear);
        }
        let held = ear.happens(K::ProgramCrashed);
        let row = chat(&held[0]).next().expect("held back").clone();
        assert_eq!(row.due, wall(ear.now) + crate::limits::FLAP_HOLD);
        assert!(row.held.is_some());
        let next = ear.happens(worse);
        assert_eq!(next[0].withdrawn.len(), 1);
        assert_eq!(
            next[0].withdrawn[0].row, row.id,
            "the newer one stands for it"
        );
        let told = chat(&next[0]).next().expect("told now");
        assert_eq!((told.due, told.held), (wall(ear.now), None), "{worse}");
    }
}

#[test]
fn the_end_of_a_relapse_takes_its_beginning_back_unless_that_has_gone_out() {
    let mut ear = Ear::new(&settings(Severity::Warning, &[]));
    for _ in 0..2 {
        relapse(&mut ear);
    }
    let held = ear.happens(K::ProgramCrashed);
    let row = chat(&held[0]).next().expect("held back").id;
    let _ = ear.happens(K::ProgramStarted);
    let ends = ear.waits(RECOVER);
    assert_eq!(rows(&ends[0], "chat"), 0);
    let withdrawn = &ends[0].withdrawn[0];
    assert_eq!(withdrawn.row, row);
    let instead = withdrawn.or_else.as_ref().expect("the end, then");
    assert_eq!(instead.event, ends[0].event.id);
    assert_eq!(&*instead.target, "chat");
}

#[test]
fn a_relapse_is_known_as_one_after_a_restart_of_the_supervisor() {
    let settings = settings(Severity::Warning, &[]);
    let ended = Incident {
        state: IncidentState::Resolved,
        severity: Severity::Warning,
        opened_at: wall(90),
        resolved_at: Some(wall(99)),
        cause: Some("recovered".to_owned()),
        cycle: 2,
        ..stored()
    };
    let told = Told {
        target: Arc::from("chat"),
        at: wall(90),
        severity: Severity::Warning,
        times: 3,
    };
    let before = OpenIncident {
        incident: ended,
        told: vec![told],
        held: vec![],
    };
    let mut ear = Ear {
        alert: Alert::new(&settings, vec![before]),
        now: 100,
    };
    let crash = ear.happens(K::ProgramCrashed);
    assert_eq!(crash[0].incident.as_ref().map(|i| i.cycle), Some(3));
    assert!(chat(&crash[0]).all(|d| d.held.is_some()));
}

#[test]
fn what_a_person_stopped_does_not_count_as_flapping() {
    let mut ear = Ear::new(&settings(Severity::Warning, &[]));
    for _ in 0..6 {
        assert!(ear.is_told(K::ProgramCrashed));
        assert!(ear.is_told(K::ProgramStopped), "what began is ended");
        ear.now += 5;
    }
}

#[test]
fn what_was_asked_for_is_told_to_machines_and_to_who_names_it() {
    for (kind, trigger, wanted, expected) in [
        (K::ProgramKilled, None, Wanted::Yes, Word::Nothing),
        (K::ProgramKilled, None, Wanted::ByName, Word::Tell),
        (K::ProgramKilled, None, Wanted::No, Word::Nothing),
        (
            K::ProgramKilled,
            Some(Trigger::Rule),
            Wanted::Yes,
            Word::Tell,
        ),
        (K::ProgramHealthy, None, Wanted::Yes, Word::Nothing),
        (K::RuleCleared, None, Wanted::Yes, Word::Nothing),
        (K::TargetRestored, None, Wanted::Yes, Word::Nothing),
        (K::StorageRestored, None, Wanted::ByName, Word::Tell),
        (K::ConfigRejected, None, Wanted::Yes, Word::Tell),
        (K::ConfigRejected, None, Wanted::No, Word::Nothing),
    ] {
        let mut event = event(kind, 1);
        event.facts.trigger = trigger;
        let case = Case {
            event: &event,
            incident: None,
            wanted,
            told: None,
            before: None,
        };
        assert_eq!(word(&case), expected, "{kind} {trigger:?} {wanted:?}");
    }
    let mut ear = Ear::new(&settings(Severity::Warning, &["program.*"]));
    let killed = ear.happens(K::ProgramKilled);
    assert_eq!((rows(&killed[0], "hook"), rows(&killed[0], "chat")), (1, 0));
}

#[test]
fn a_crash_by_a_signal_that_a_person_sent_is_told_when_it_does_not_come_back() {
    for (next, is_told) in [(K::ProgramCrashed, true), (K::ProgramStarted, false)] {
        let mut ear = Ear::new(&settings(Severity::Warning, &[]));
        let mut crash = event(K::ProgramCrashed, ear.now);
        crash.facts.asked_by = Some("SIGKILL by uid 0".to_owned());
        let crash = ear.alert.next(Input::Event(Box::new(crash)), at(ear.now));
        assert!(chat(&crash[0]).all(|d| d.held.is_some()));
        assert_eq!(rows(&crash[0], "hook"), 1, "machines hear of it at once");
        assert_eq!(ear.is_told(next), is_told, "{next}");
    }
}

#[test]
fn no_history_gives_a_chat_an_end_without_a_beginning_or_a_beginning_without_an_end() {
    // Crashes, starts, waits, a person's stop: every history of seven of them.
    const STEPS: usize = 5;
    for number in 0..STEPS.pow(7) {
        let mut ear = Ear::new(&settings(Severity::Warning, &[]));
        let (mut rest, mut open, mut began) = (number, None, false);
        for _ in 0..7 {
            let all = match rest % STEPS {
                0 => ear.happens(K::ProgramCrashed),
                1 => ear.happens(K::ProgramStarted),
                2 => ear.waits(RECOVER),
                3 => ear.waits(2 * RESET),
                _ => ear.happens(K::ProgramStopped),
            };
            rest /= STEPS;
            for consequence in &all {
                let Some(incident) = &consequence.incident else {
                    assert_eq!(rows(consequence, "chat"), 0, "{number}");
                    continue;
                };
                if open != Some(incident.id) {
                    (open, began) = (Some(incident.id), false);
                }
                let is_over = incident.state == IncidentState::Resolved;
                let tells = chat(consequence).any(|d| d.held.is_none());
                assert!(!is_over || tells == began, "{number}");
                began |= tells;
            }
        }
    }
}
