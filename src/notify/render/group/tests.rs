//! Messages about several programs, word for word.

use std::sync::Arc;

use super::super::{Message, Mood};
use crate::limits;
use crate::model::delivery::Leased;
use crate::model::event::{Event, EventKind, Exit};
use crate::model::group::Member;
use crate::model::incident::IncidentState;
use crate::model::language::Language;
use crate::model::name::InstanceName;
use crate::model::voice::Voice;
use crate::notify::testing::{delivery, incident};

fn member(name: &str, needs: &[&str], is_open: bool) -> Member {
    let mut incident = incident(crate::ids::IncidentId::new());
    incident.instance = Some(InstanceName::single(name));
    incident.failures = 1;
    if !is_open {
        incident.state = IncidentState::Resolved;
        incident.cause = Some("recovered".to_owned());
    }
    let mut event = Event::new(EventKind::ProgramCrashed, incident.opened_at);
    event.instance.clone_from(&incident.instance);
    event.facts.exit = Some(Exit::Code(3));
    event.facts.log_tail = vec![format!("last of {name}")];
    Member {
        incident,
        event: Some(event),
        needs: needs.iter().map(|n| Arc::from(*n)).collect(),
    }
}

fn group(members: Vec<Member>) -> Leased {
    let mut leased = delivery("ops");
    let is_open = members.iter().any(super::is_open);
    if let Some(incident) = &mut leased.incident {
        incident.state = if is_open {
            IncidentState::Open
        } else {
            IncidentState::Resolved
        };
    }
    leased.known.members = members;
    leased
}

fn told(leased: &Leased, language: Language) -> Message {
    Message::of(
        leased,
        "box-1",
        &Voice {
            language,
            ..Voice::PLAIN
        },
    )
}

fn lines(leased: &Leased, language: Language) -> Vec<String> {
    let mut lines = told(leased, language).lines();
    lines.pop();
    lines
}

#[test]
fn the_likely_cause_and_who_depends_on_it_stand_first() {
    let leased = group(vec![
        member("api", &["web", "db"], true),
        member("web", &["db"], true),
        member("db", &[], true),
    ]);
    assert_eq!(
        lines(&leased, Language::En),
        [
            "🟠 db crashed; api and web depend on it",
            "Likely cause: db crashed; api and web depend on it",
            "Program: api: crashed, exit code 3",
            "Program: web: crashed, exit code 3",
            "Program: db: crashed, exit code 3",
        ]
    );
    assert_eq!(told(&leased, Language::En).tail, ["last of db"]);
    assert_eq!(
        lines(&leased, Language::Ko)[..3],
        [
            "🟠 db: 비정상 종료; 의존하는 프로그램: api, web",
            "추정 원인: db: 비정상 종료; 의존하는 프로그램: api, web",
            "프로그램: api: 비정상 종료, 종료 코드 3",
        ]
    );
}

#[test]
fn programs_that_have_nothing_to_do_with_one_another_have_no_cause() {
    let mut leased = group(vec![member("a", &["x"], true), member("b", &[], true)]);
    leased.known.members[1].incident.failures = 4;
    assert_eq!(
        lines(&leased, Language::En),
        [
            "🟠 a and b failed together",
            "Program: a: crashed, exit code 3",
            "Program: b: crashed, exit code 3, 4 times",
        ]
    );
}

#[test]
fn some_are_over_and_then_all() {
    let leased = group(vec![member("a", &[], true), member("b", &[], false)]);
    assert_eq!(
        lines(&leased, Language::En),
        [
            "🟠 a and b failed together; 1 of 2 over",
            "Program: a: crashed, exit code 3",
            "Program: [recovered] b: crashed, exit code 3",
        ]
    );
    let leased = group(vec![member("a", &[], false), member("b", &[], false)]);
    let message = told(&leased, Language::En);
    assert_eq!(message.title, "a and b recovered");
    assert!(message.mood == Mood::Good);
}

#[test]
fn a_crowd_is_counted_and_not_listed() {
    for count in 2..40_usize {
        let members: Vec<Member> = (0..count)
            .map(|n| member(&format!("p{n}"), &[], true))
            .collect();
        let leased = group(members);
        for language in Language::ALL {
            let message = told(&leased, *language);
            assert!(message.facts.len() <= limits::GROUP_NAMED + 1, "{count}");
            let listed = message
                .facts
                .iter()
                .filter(|f| f.1.starts_with('p'))
                .count();
            assert_eq!(listed, count.min(limits::GROUP_NAMED));
        }
        let title = told(&leased, Language::En).title;
        if count > 5 {
            let more = count - limits::GROUP_TITLE_NAMES;
            assert!(
                title.contains(&format!(" and {more} more failed")),
                "{title}"
            );
        }
    }
}
