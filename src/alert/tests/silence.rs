//! What chats hear of programs that are silenced: nothing before the end, and then once.

use super::*;
use crate::ids::{DeliveryId, SilenceId};
use crate::model::event::EventKind as K;
use crate::model::hold::Hold;
use crate::model::settings::MaxAge;
use crate::model::silence::Silence;
use crate::model::write::Held;

fn settings() -> Settings {
    let route = RouteSpec {
        programs: vec![],
        events: vec![],
        min_severity: Severity::Warning,
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

fn silence(programs: &[&str], until: u64) -> Silence {
    Silence {
        id: SilenceId::new(),
        programs: programs.iter().map(|p| (*p).to_owned()).collect(),
        reason: Some("deploy".to_owned()),
        by: "uid 0".to_owned(),
        since: wall(100),
        until: wall(until),
        ended_at: None,
        past: BTreeMap::new(),
    }
}

/// The outbox of the chat, as the database would have it.
struct Box {
    alert: Alert,
    rows: Vec<NewDelivery>,
    silences: Vec<Silence>,
}

impl Box {
    fn new() -> Self {
        Self {
            alert: Alert::new(&settings(), vec![]),
            rows: vec![],
            silences: vec![],
        }
    }

    fn silenced(programs: &[&str], until: u64) -> (Self, SilenceId) {
        let mut this = Self::new();
        let id = this.begin(silence(programs, until));
        (this, id)
    }

    fn begin(&mut self, silence: Silence) -> SilenceId {
        let id = silence.id;
        let begun = self.alert.begin_silence(silence).expect("there is room");
        self.store(begun);
        id
    }

    fn end(&mut self, id: SilenceId, seconds: u64) -> Consequence {
        let ended = self.alert.end_silence(id, wall(seconds), None);
        let ended = ended.expect("it is in force");
        self.store(ended.clone());
        ended
    }

    fn happens(&mut self, kind: K, seconds: u64) -> Vec<Consequence> {
        self.give(event(kind, seconds), seconds)
    }

    fn give(&mut self, event: Event, seconds: u64) -> Vec<Consequence> {
        self.take(Input::Event(std::boxed::Box::new(event)), seconds)
    }

    fn take(&mut self, input: Input, seconds: u64) -> Vec<Consequence> {
        let all = self.alert.next(input, at(seconds));
        for consequence in &all {
            self.store(consequence.clone());
        }
        all
    }

    /// What the store does with it.
    fn store(&mut self, consequence: Consequence) {
        for withdrawal in consequence.withdrawn {
            self.rows.retain(|r| r.id != withdrawal.row);
        }
        for moved in consequence.moved {
            let row = self.rows.iter_mut().find(|r| r.id == moved.row);
            let row = row.expect("a row that is held");
            (row.held, row.due) = (Some(moved.to), moved.due);
        }
        for silence in consequence.silences {
            if let Some(ended) = silence.ended_at {
                let held = Some(Hold::Silence(silence.id));
                for row in self.rows.iter_mut().filter(|r| r.held == held) {
                    (row.held, row.due) = (None, row.due.min(ended));
                }
            }
            self.silences.push(silence);
        }
        let chat = |d: &NewDelivery| &*d.target == "chat";
        let rows = consequence.deliveries.into_iter().filter(chat);
        self.rows.extend(rows);
    }

    /// Events whose rows may go at `seconds`.
    fn told(&self, seconds: u64) -> Vec<crate::ids::EventId> {
        let due = self.rows.iter().filter(|r| r.due <= wall(seconds));
        due.map(|r| r.event).collect()
    }
}

#[test]
fn what_is_still_open_at_the_end_is_told_once_as_it_stands() {
    let (mut chat, id) = Box::silenced(&["web"], 3_600);
    let mut last = None;
    for seconds in 110..120 {
        last = chat.happens(K::ProgramCrashed, seconds).pop();
    }
    let last = last.expect("a crash");
    assert_eq!(chat.told(3_600), [], "until its end");
    assert_eq!(chat.rows.len(), 1, "the newest stands for all");
    assert!(last.event.facts.silenced);
    assert!(
        summary(&last.event).contains("deploy"),
        "it is said in the message"
    );
    assert_eq!(
        last.deliveries
            .iter()
            .filter(|d| &*d.target == "hook")
            .count(),
        1
    );
    let ended = chat.end(id, 200);
    assert_eq!(chat.told(200), [last.event.id]);
    assert_eq!(last.incident.map(|i| i.failures), Some(10));
    assert!(ended.deliveries.is_empty(), "nothing else is to be said");
    // From here on it goes on as any incident.
    let end = chat.happens(K::ProgramStopped, 210);
    assert_eq!(end[0].deliveries.len(), 2);
    assert!(!end[0].event.facts.silenced);
}

#[test]
fn what_has_passed_by_the_end_is_one_line() {
    let (mut chat, _) = Box::silenced(&["tag:game"], 200);
    for seconds in [110, 130, 150] {
        let _ = chat.happens(K::ProgramCrashed, seconds);
        let _ = chat.happens(K::ProgramStarted, seconds + 1);
        let _ = chat.take(Input::Tick(wall(seconds + 10)), seconds + 10);
    }
    assert!(chat.rows.is_empty());
    assert!(chat.alert.next_deadline().is_some_and(|d| d <= at(200)));
    let ends = chat.take(Input::Tick(wall(200)), 200);
    assert_eq!(ends[0].event.kind, K::SilenceEnded);
    assert_eq!(chat.told(200), [ends[0].event.id]);
    let line = summary(&ends[0].event);
    assert!(line.contains("web had 3 failures and recovered"), "{line}");
    assert!(line.contains("deploy"), "{line}");
    assert_eq!(chat.alert.next_deadline(), None);
}

#[test]
fn when_nothing_happened_nothing_is_told() {
    let (mut chat, id) = Box::silenced(&["web"], 200);
    let _ = chat.happens(K::ProgramStarted, 110);
    let ended = chat.end(id, 120);
    assert!(ended.deliveries.is_empty());
    assert!(chat.rows.is_empty());
}

#[test]
fn the_end_of_what_was_told_before_the_silence_is_told_after_it() {
    let mut chat = Box::new();
    let crash = chat.happens(K::ProgramCrashed, 100);
    let id = chat.begin(silence(&["web"], 3_600));
    let _ = chat.happens(K::ProgramCrashed, 105);
    let stop = chat.happens(K::ProgramStopped, 110);
    assert_eq!(chat.told(3_600), [crash[0].event.id]);
    let ended = chat.end(id, 120);
    assert_eq!(chat.told(120), [crash[0].event.id, stop[0].event.id]);
    assert!(ended.deliveries.is_empty());
}

#[test]
fn an_event_of_no_incident_is_counted_and_other_programs_are_not_silenced() {
    let (mut chat, id) = Box::silenced(&["web"], 3_600);
    let mut dropped = event(K::LogsDropped, 110);
    let _ = chat.give(dropped.clone(), 110);
    assert!(chat.rows.is_empty());
    dropped.id = crate::ids::EventId::new();
    dropped.instance = Some(InstanceName::single("db"));
    let _ = chat.give(dropped, 111);
    let disk = Event::new(K::StorageDegraded, wall(112));
    let _ = chat.give(disk, 112);
    assert_eq!(chat.told(112).len(), 2, "another program, and none");
    let ended = chat.end(id, 120);
    assert!(summary(&ended.event).contains("web had 1 other event"));
    assert_eq!(ended.deliveries.len(), 1);
}

#[test]
fn of_two_silences_the_longer_one_counts_and_the_shorter_one_when_that_is_ended() {
    let (mut chat, short) = Box::silenced(&["web"], 300);
    let crash = chat.happens(K::ProgramCrashed, 110);
    let long = chat.begin(silence(&["all"], 3_600));
    chat.end(short, 120);
    assert_eq!(chat.told(3_600), [], "the longer one holds it still");
    let other = chat.begin(silence(&["w*"], 400));
    chat.end(long, 130);
    assert_eq!(chat.told(400), [], "and now the shorter one");
    chat.end(other, 140);
    assert_eq!(chat.told(140), [crash[0].event.id]);
}

#[test]
fn a_silence_and_what_it_holds_back_survive_the_supervisor() {
    let crash = Incident {
        failures: 4,
        severity: Severity::Warning,
        ..stored()
    };
    let kept = silence(&["web"], 3_600);
    let row = DeliveryId::new();
    let open = OpenIncident {
        incident: crash,
        told: vec![],
        held: vec![Held {
            target: Arc::from("chat"),
            row,
            by: Hold::Silence(kept.id),
            until: kept.until,
        }],
    };
    let id = kept.id;
    let mut alert = Alert::new(&settings(), vec![open]).with_silences(vec![kept]);
    assert!(alert.next_deadline().is_some(), "its end is waited for");
    let stop = event(K::ProgramStopped, 110);
    let all = alert.next(Input::Event(std::boxed::Box::new(stop)), at(110));
    assert_eq!(
        all[0].withdrawn.iter().map(|w| w.row).collect::<Vec<_>>(),
        [row]
    );
    assert!(
        all[0].withdrawn[0].or_else.is_some(),
        "unless it has gone out"
    );
    let ended = alert.end_silence(id, wall(120), None).expect("in force");
    assert!(summary(&ended.event).contains("web had 4 failures and recovered"));
}

#[test]
fn there_is_a_bound_to_silences() {
    let mut alert = Alert::new(&settings(), vec![]);
    for _ in 0..crate::limits::SILENCES_MAX {
        assert!(alert.begin_silence(silence(&["web"], 200)).is_some());
    }
    assert!(alert.begin_silence(silence(&["web"], 200)).is_none());
    assert_eq!(alert.silences().len(), crate::limits::SILENCES_MAX);
    let over = alert.next(Input::Tick(wall(200)), at(200));
    assert_eq!(over.len(), crate::limits::SILENCES_MAX);
    assert!(alert.silences().is_empty());
}
