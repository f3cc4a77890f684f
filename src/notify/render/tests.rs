//! Whole messages, word for word, in each language; and whatever programs say, clean.

use super::*;
use crate::ids::IncidentId;
use crate::model::clues::{Change, Usage};
use crate::model::incident::IncidentState;
use crate::model::language::Language;
use crate::notify::testing::{delivery, incident};

fn full() -> Leased {
    let mut leased = delivery("ops");
    let facts = &mut leased.event.facts;
    facts.cause = None;
    facts.uptime_s = Some(11_520.0);
    facts.usage = Some(Usage {
        over_s: 95.0,
        cpu_percent: vec![3.2, 50.0, 98.4],
        memory_bytes: vec![120 << 20, 240 << 20, 480 << 20],
    });
    facts.changed = vec![
        Change::Config("environment.PORT".to_owned()),
        Change::File("server.jar".to_owned()),
    ];
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

#[test]
fn a_crash_is_told_word_for_word() {
    let leased = full();
    let footer = format!("box-1 · {}", leased.event.id);
    assert_eq!(
        told(&leased, Language::En).lines(),
        [
            "🟠 web:0 crashed: exit code 1 after 3h 12m; restart 4 in 4s",
            "Program: web:0",
            "Exit: exit code 1",
            "Changed since it did well: environment.PORT, server.jar (file)",
            "Uptime: 3h 12m",
            "Restarts: 3",
            "Next restart in: 4s",
            "Memory before: ▃▅█ 120.0 MiB → 480.0 MiB, 1m 35s",
            "CPU before: ▁▅█ 3% → 98%, 1m 35s",
            "Peak memory: 1.0 MiB",
            "Incident: open for 5.1s, 2 events",
            footer.as_str(),
        ]
    );
    assert_eq!(
        told(&leased, Language::Ko).lines(),
        [
            "🟠 web:0: 비정상 종료했습니다: 종료 코드 1 (실행 시간 3시간 12분); 4초 후 4번째 재시작",
            "프로그램: web:0",
            "종료 상태: 종료 코드 1",
            "정상 실행 이후 바뀐 것: environment.PORT, server.jar (파일)",
            "실행 시간: 3시간 12분",
            "재시작 횟수: 3",
            "다음 재시작까지: 4초",
            "종료 전 메모리: ▃▅█ 120.0 MiB → 480.0 MiB, 1분 35초",
            "종료 전 프로세서: ▁▅█ 3% → 98%, 1분 35초",
            "최대 메모리: 1.0 MiB",
            "장애: 5.1초째 진행 중, 이벤트 2건",
            footer.as_str(),
        ]
    );
}

#[test]
fn an_incident_is_told_as_it_goes() {
    let mut leased = full();
    let mut story = |failures, state, after_ms: Option<i64>, cause: Option<&str>| {
        let mut told_of = incident(IncidentId::new());
        told_of.failures = failures;
        told_of.state = state;
        let opened = told_of.opened_at.millis();
        told_of.resolved_at = after_ms.map(|ms| Wall::from_millis(opened + ms));
        told_of.cause = cause.map(str::to_owned);
        leased.incident = Some(told_of);
        [Language::En, Language::Ko].map(|language| {
            let facts = told(&leased, language).facts;
            facts
                .last()
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        })
    };
    assert_eq!(
        story(12, IncidentState::Open, None, None),
        [
            "crash-looping: 12 times in 5.1s",
            "비정상 종료 반복: 5.1초 동안 12번"
        ]
    );
    assert_eq!(
        story(
            12,
            IncidentState::Resolved,
            Some(252_000),
            Some("recovered")
        ),
        [
            "recovered after 4m 12s, 2 events",
            "4분 12초 만에 복구, 이벤트 2건"
        ]
    );
    assert_eq!(
        story(1, IncidentState::Resolved, Some(60_000), Some("stopped")),
        ["ended after 1m, 2 events", "1분 만에 끝남, 이벤트 2건"]
    );
    assert_eq!(
        story(1, IncidentState::Resolved, Some(-60_000), None),
        [
            "recovered after 0ms, 2 events",
            "0밀리초 만에 복구, 이벤트 2건"
        ]
    );
}

#[test]
fn a_moment_is_given_only_where_people_can_still_read_it_in_time() {
    let mut leased = full();
    assert!(told(&leased, Language::En).moment.is_none(), "in 4 s");
    leased.event.facts.next_restart_s = Some(300.0);
    let at = Wall::from_millis(leased.event.time.millis() + 300_000);
    let message = told(&leased, Language::Ko);
    assert_eq!(message.moment, Some(("다음 재시작까지", at)));
    assert!(
        message
            .facts
            .iter()
            .any(|(label, _)| *label == "다음 재시작까지")
    );
    for never in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        leased.event.facts.next_restart_s = Some(never);
        assert!(told(&leased, Language::En).moment.is_none(), "{never}");
    }
}

#[test]
fn labels_are_short_and_each_stands_for_one_thing() {
    for language in Language::ALL {
        let mut leased = full();
        let facts = &mut leased.event.facts;
        facts.cause = Some("x".to_owned());
        facts.target = Some("ops".to_owned());
        facts.asked_by = Some("uid 0".to_owned());
        facts.count = Some(3);
        let message = told(&leased, *language);
        let labels: std::collections::HashSet<_> = message.facts.iter().map(|f| f.0).collect();
        assert_eq!(labels.len(), message.facts.len());
        assert_eq!(labels.len(), 14, "all that there is");
        let is_korean = *language == Language::Ko;
        for (label, _) in &message.facts {
            assert!(
                label.encode_utf16().count() <= limits::MESSAGE_LABEL,
                "{label}"
            );
            let has_english = label.contains(|c: char| c.is_ascii_alphabetic());
            assert!(has_english != is_korean, "{label}");
        }
    }
}

/// Bytes of every kind, the same ones each time.
fn hostile(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes: Vec<u8> = (0..random.usize(..700)).map(|_| random.u8(..)).collect();
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    for piece in [
        "\u{202e}",
        "\r\n",
        "\x1b[31m",
        "```",
        "<!channel>",
        "@everyone",
        "{{ x }}",
        "{} {}",
    ] {
        if random.bool() {
            let at = text
                .char_indices()
                .map(|(i, _)| i)
                .nth(random.usize(..20))
                .unwrap_or(0);
            text.insert_str(at, piece);
        }
    }
    text
}

#[test]
fn whatever_programs_say_stays_in_its_line_and_in_its_bounds() {
    for seed in 0..200 {
        let mut leased = full();
        let facts = &mut leased.event.facts;
        facts.cause = Some(hostile(seed));
        facts.asked_by = Some(hostile(seed + 1_000));
        facts.target = Some(hostile(seed + 2_000));
        facts.changed = vec![
            Change::File(hostile(seed + 3_000)),
            Change::Config(hostile(seed)),
        ];
        facts.log_tail = (0..40).map(|n| hostile(seed + 4_000 + n)).collect();
        for language in Language::ALL {
            let message = told(&leased, *language);
            let units = |text: &str| text.encode_utf16().count();
            assert!(units(&message.title) <= limits::MESSAGE_TITLE);
            assert!(
                message
                    .facts
                    .iter()
                    .all(|(_, v)| units(v) <= limits::MESSAGE_VALUE)
            );
            assert!(message.tail.len() <= limits::MESSAGE_TAIL_LINES);
            assert!(units(&message.tail_within(500)) <= 500);
            for text in message.lines().iter().chain(&message.tail) {
                let bad = |c: char| (c.is_control() && c != '\t') || c == '\u{202e}';
                assert!(!text.contains(bad), "{seed}: {text:?}");
            }
        }
    }
}
