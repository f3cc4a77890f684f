//! The whole room against real servers on loopback, over an outbox in memory.

use std::time::Duration;

use super::limit::reserved;
use super::testing::*;
use crate::clock;
use crate::ids::IncidentId;
use crate::model::delivery::{DeliveryState, MessageRef, Verdict};
use crate::model::event::{EventKind, Severity};
use crate::model::target::{
    BreakerPolicy, Discord, ProviderSpec, RatePolicy, Slack, TargetSpec, TargetState, Telegram,
    Webhook,
};
use crate::secret::Secret;

fn count(rig: &Rig, target: &str, state: DeliveryState) -> usize {
    rig.outbox.read(|t| {
        t.rows
            .iter()
            .filter(|r| &*r.leased.target == target && r.state == state)
            .count()
    })
}

#[test]
fn a_delivery_that_is_due_is_sent_once_and_settled() {
    let server = Server::always(Answer::status(204));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/hook")))], 2);
    let leased = delivery("ops");
    let id = leased.id;
    rig.add(leased);
    rig.outbox.wait_settled(1);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("webhook-id"), id.to_string());
    assert_eq!(count(&rig, "ops", DeliveryState::Delivered), 1);
    let settlement = rig.outbox.read(|t| t.settlements[0].clone());
    assert_eq!(settlement.status, Some(204));
    assert_eq!(
        settlement.frozen_body.as_deref(),
        Some(seen[0].body.as_str())
    );
}

#[test]
fn what_can_pass_is_tried_again_with_the_same_id_and_bytes() {
    let server = Server::start(|_, n| Answer::status(if n == 0 { 500 } else { 200 }));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.add(delivery("ops"));
    let seen = server.wait_for(2);
    rig.outbox.wait_settled(2);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    let (first, second) = rig
        .outbox
        .read(|t| (t.settlements[0].clone(), t.settlements[1].clone()));
    assert!(matches!(
        first.verdict,
        Verdict::RetryAt { counts: true, .. }
    ));
    assert_eq!(first.error.as_deref(), Some("status 500"));
    assert_eq!(second.verdict, Verdict::Delivered { message: None });
    assert_eq!(second.frozen_body, None, "kept already");
}

#[test]
fn what_cannot_pass_is_given_up_at_once_and_its_reason_kept() {
    let server = Server::always(Answer::status(400));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(1);
    assert_eq!(count(&rig, "ops", DeliveryState::Dead), 1);
    assert_eq!(server.seen().len(), 1);
    let views = rig.notify.board().targets();
    assert_eq!(views.len(), 1);
}

#[test]
fn an_answer_of_429_holds_the_target_and_is_no_attempt() {
    let server = Server::start(|_, n| match n {
        0 => Answer::header(429, "retry-after", "1"),
        _ => Answer::status(200),
    });
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 2);
    let started = clock::mono();
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(3);
    assert!(
        clock::mono().since(started) >= Duration::from_millis(900),
        "the second delivery waits as well"
    );
    let first = rig.outbox.read(|t| t.settlements[0].clone());
    assert!(matches!(
        first.verdict,
        Verdict::RetryAt { counts: false, .. }
    ));
    let told = std::sync::Arc::clone(&rig.told);
    drop(rig);
    assert!(told.wait(0).is_empty());
}

#[test]
fn a_dead_target_does_not_delay_another() {
    let hanging = Server::always(Answer::Hang);
    let fine = Server::always(Answer::status(200));
    let rig = Rig::start(
        vec![
            target("hanging", webhook_to(hanging.url("/"))),
            target("fine", webhook_to(fine.url("/"))),
        ],
        2,
    );
    for _ in 0..10 {
        rig.add(delivery("hanging"));
    }
    hanging.wait_for(1);
    for _ in 0..50 {
        rig.add(delivery("fine"));
    }
    rig.outbox.wait_settled(50);
    assert_eq!(count(&rig, "fine", DeliveryState::Delivered), 50);
    assert_eq!(
        count(&rig, "hanging", DeliveryState::Leased),
        1,
        "one in flight"
    );
    assert_eq!(count(&rig, "hanging", DeliveryState::Pending), 9);
    let views = rig.notify.board().targets();
    let state = |name: &str| views.iter().find(|v| v.name == name).map(|v| v.state);
    assert_eq!(state("hanging"), Some(TargetState::Busy));
    drop(hanging);
}

#[test]
fn messages_of_an_incident_keep_their_order_through_failures() {
    let server = Server::start(|_, n| Answer::status(if n == 1 { 503 } else { 200 }));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 4);
    let incident_id = IncidentId::new();
    let mut sent = Vec::new();
    for _ in 0..3 {
        let mut leased = delivery("ops");
        leased.incident = Some(incident(incident_id));
        sent.push(leased.id.to_string());
        rig.add(leased);
    }
    let other = delivery("ops");
    let other_id = other.id.to_string();
    rig.add(other);
    rig.outbox.wait_settled(5);
    let seen: Vec<String> = server
        .seen()
        .iter()
        .map(|s| s.header("webhook-id").to_owned())
        .collect();
    let of_incident: Vec<String> = seen.iter().filter(|id| **id != other_id).cloned().collect();
    assert_eq!(of_incident, [&*sent[0], &*sent[1], &*sent[1], &*sent[2]]);
    let place = seen.iter().position(|id| *id == other_id);
    assert_eq!(
        place,
        Some(2),
        "a failure of one message holds only its incident"
    );
}

#[test]
fn five_hundred_deliveries_use_the_same_threads_as_one() {
    let server = Server::always(Answer::status(200));
    let names: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
    let targets = names
        .iter()
        .map(|n| target(n, webhook_to(server.url("/"))))
        .collect();
    let rig = Rig::start(targets, 4);
    for n in 0..500 {
        rig.outbox.add(delivery(&names[n % 10]));
    }
    rig.notify.waker().wake();
    rig.outbox.wait_settled(500);
    let threads = rig.outbox.read(|t| t.settled_by.len());
    assert!(threads <= 4, "{threads} threads settled");
    let workers = rig.notify.board().workers();
    assert_eq!(workers.len(), 4);
    assert_eq!(workers.iter().map(|w| w.attempts).sum::<u64>(), 500);
    assert!(server.connections() <= 4, "connections are kept");
}

#[test]
fn failures_in_a_row_open_the_breaker_and_a_probe_closes_it() {
    let server = Server::start(|_, n| Answer::status(if n < 2 { 500 } else { 200 }));
    let mut spec = target("ops", webhook_to(server.url("/")));
    spec.breaker = BreakerPolicy {
        failures: 2,
        cooldown: Duration::from_millis(200),
        cooldown_max: Duration::from_secs(1),
    };
    let rig = Rig::start(vec![spec], 1);
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.outbox.wait_until("all delivered", |t| {
        t.rows.iter().all(|r| r.state == DeliveryState::Delivered)
    });
    let told = rig.told.wait(2);
    let kinds: Vec<(EventKind, Severity)> = told.iter().map(|e| (e.kind, e.severity)).collect();
    assert_eq!(
        kinds,
        [
            (EventKind::TargetFailing, Severity::Warning),
            (EventKind::TargetRestored, Severity::Warning)
        ]
    );
    assert_eq!(told[0].facts.cause.as_deref(), Some("status 500"));
}

#[test]
fn a_target_that_is_gone_is_left_alone_and_its_other_rows_wait() {
    let server = Server::always(Answer::status(410));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(1);
    let told = std::sync::Arc::clone(&rig.told);
    let pass = rig.notify.last_pass(Duration::from_secs(5));
    assert_eq!(pass.kept, Some(1));
    assert_eq!(server.seen().len(), 1);
    assert_eq!(told.wait(1)[0].severity, Severity::Critical);
}

#[test]
fn a_changed_configuration_revives_a_target_that_was_gone() {
    let gone = Server::always(Answer::status(410));
    let fine = Server::always(Answer::status(200));
    let rig = Rig::start(vec![target("ops", webhook_to(gone.url("/")))], 1);
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.told.wait(1);
    let changed = target("ops", webhook_to(fine.url("/")));
    rig.notify
        .configure(vec![std::sync::Arc::new(changed)], "box-1".into());
    rig.outbox.wait_settled(2);
    assert_eq!(count(&rig, "ops", DeliveryState::Delivered), 1);
    let kinds: Vec<EventKind> = rig.told.wait(2).iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EventKind::TargetFailing, EventKind::TargetRestored]);
}

#[test]
fn a_nudge_goes_behind_a_stated_wait() {
    let server = Server::start(|_, n| match n {
        0 => Answer::header(429, "retry-after", "3600"),
        _ => Answer::status(200),
    });
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.add(delivery("ops"));
    rig.wait_state("ops", TargetState::Waiting);
    rig.add(delivery("ops"));
    rig.notify.waker().nudge(Some("ops".into()));
    rig.outbox.wait_settled(2);
    assert_eq!(count(&rig, "ops", DeliveryState::Delivered), 1);
}

#[test]
fn the_rate_of_a_target_is_kept() {
    let server = Server::always(Answer::status(200));
    let mut spec = target("ops", webhook_to(server.url("/")));
    spec.rate = RatePolicy {
        burst: 2,
        per_minute: 300,
    };
    let rig = Rig::start(vec![spec], 4);
    let started = clock::mono();
    for _ in 0..5 {
        rig.add(delivery("ops"));
    }
    rig.outbox.wait_settled(5);
    let took = clock::mono().since(started);
    assert!(
        took >= Duration::from_millis(550),
        "two at once, three more 200 ms apart: {took:?}"
    );
}

#[test]
fn a_storm_of_warnings_leaves_a_critical_one_its_tokens() {
    for burst in [1, 3, 10] {
        let server = Server::always(Answer::status(200));
        let mut spec = target("ops", webhook_to(server.url("/")));
        // One more only after a minute, which is longer than anything here waits.
        spec.rate = RatePolicy {
            burst,
            per_minute: 1,
        };
        let reserved = reserved(spec.rate);
        let outbox = std::sync::Arc::new(Memory::default());
        for _ in 0..50 {
            outbox.add(delivery("ops"));
        }
        let mut critical = delivery("ops");
        critical.event.severity = Severity::Critical;
        if reserved == 0 {
            outbox.add(critical.clone());
        }
        let rig = Rig::resume(outbox, vec![spec], 2);
        if reserved > 0 {
            // The warnings have taken what they may.
            let others = usize::try_from(burst - reserved).expect("a small number");
            rig.outbox.wait_settled(others);
            rig.wait_state("ops", TargetState::Waiting);
            rig.add(critical.clone());
        }
        let id = critical.id;
        rig.outbox.wait_until("the critical one", |t| {
            let mut rows = t.rows.iter();
            rows.any(|r| r.leased.id == id && r.state == DeliveryState::Delivered)
        });
        assert!(count(&rig, "ops", DeliveryState::Pending) >= 40);
    }
}

#[test]
fn an_outcome_that_cannot_be_stored_is_kept_and_stored_later() {
    let server = Server::always(Answer::status(200));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.outbox.fail_next(3);
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(2);
    assert_eq!(
        server.seen().len(),
        2,
        "nothing is sent twice for want of a store"
    );
    assert_eq!(count(&rig, "ops", DeliveryState::Delivered), 2);
}

#[test]
fn a_row_that_is_too_old_is_expired_and_not_sent() {
    let server = Server::always(Answer::status(200));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    let mut old = delivery("ops");
    old.expires_at = clock::wall();
    rig.add(old);
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(2);
    assert_eq!(count(&rig, "ops", DeliveryState::Expired), 1);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_row_that_becomes_due_later_is_sent_then() {
    let server = Server::always(Answer::status(200));
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    let due = clock::wall() + Duration::from_millis(300);
    rig.outbox.add_due(delivery("ops"), due);
    rig.notify.waker().wake();
    rig.outbox.wait_settled(1);
    assert!(clock::wall() >= due);
}

#[test]
fn the_last_pass_sends_what_is_due_and_keeps_the_rest() {
    let fine = Server::always(Answer::status(200));
    let broken = Server::always(Answer::status(500));
    let rig = Rig::start(
        vec![
            target("fine", webhook_to(fine.url("/"))),
            target("broken", webhook_to(broken.url("/"))),
        ],
        2,
    );
    for _ in 0..5 {
        rig.outbox.add(delivery("fine"));
    }
    rig.outbox.add(delivery("broken"));
    let pass = rig.notify.last_pass(WAIT_MAX);
    assert_eq!((pass.delivered, pass.kept, pass.in_flight), (5, Some(1), 0));
}

#[test]
fn the_last_pass_waits_for_a_rate_that_allows_the_rest_in_time() {
    let server = Server::always(Answer::status(200));
    let mut spec = target("ops", webhook_to(server.url("/")));
    spec.rate = RatePolicy {
        burst: 1,
        per_minute: 300,
    };
    let rig = Rig::start(vec![spec], 1);
    for _ in 0..3 {
        rig.outbox.add(delivery("ops"));
    }
    let pass = rig.notify.last_pass(WAIT_MAX);
    assert_eq!((pass.delivered, pass.kept), (3, Some(0)));
}

#[test]
fn what_waits_is_sent_after_the_next_start_and_a_dead_target_stays_dead() {
    let server =
        Server::start(|seen, _| Answer::status(if seen.path == "/gone" { 410 } else { 200 }));
    let targets = || {
        vec![
            target("gone", webhook_to(server.url("/gone"))),
            target("fine", webhook_to(server.url("/fine"))),
        ]
    };
    let first = Rig::start(targets(), 1);
    first.add(delivery("gone"));
    first.wait_state("gone", TargetState::Dead);
    let outbox = std::sync::Arc::clone(&first.outbox);
    drop(first);
    outbox.add(delivery("gone"));
    outbox.add(delivery("fine"));
    let second = Rig::resume(outbox, targets(), 1);
    second.outbox.wait_settled(2);
    let pass = second.notify.last_pass(WAIT_MAX);
    assert_eq!(pass.kept, Some(1));
    let paths: Vec<String> = server.seen().into_iter().map(|s| s.path).collect();
    assert_eq!(paths, ["/gone", "/fine"]);
}

#[test]
fn a_hanging_target_does_not_hold_the_last_pass_beyond_its_deadline() {
    let server = Server::always(Answer::Hang);
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 2);
    rig.add(delivery("ops"));
    server.wait_for(1);
    let started = clock::mono();
    let pass = rig.notify.last_pass(Duration::from_millis(200));
    let took = clock::mono().since(started);
    assert_eq!((pass.delivered, pass.kept, pass.in_flight), (0, Some(1), 1));
    assert!(
        took < Duration::from_secs(8),
        "its own time-out is 10 s; took {took:?}"
    );
}

#[test]
fn an_attempt_begun_in_the_last_pass_ends_with_it() {
    let server = Server::start(|_, n| match n {
        0 => Answer::header(429, "retry-after", "1"),
        _ => Answer::Hang,
    });
    let mut spec = target("ops", webhook_to(server.url("/")));
    spec.timeout = Duration::from_mins(1);
    let rig = Rig::start(vec![spec], 1);
    rig.add(delivery("ops"));
    rig.wait_state("ops", TargetState::Waiting);
    rig.outbox.add(delivery("ops"));
    let outbox = std::sync::Arc::clone(&rig.outbox);
    let pass = rig.notify.last_pass(Duration::from_millis(1_600));
    assert_eq!(pass.kept, Some(2));
    assert_eq!(
        server.seen().len(),
        2,
        "the stated wait ended within the pass"
    );
    outbox.wait_settled(2);
    let error = outbox.read(|t| t.settlements[1].error.clone());
    assert_eq!(
        error.as_deref(),
        Some("time-out while waiting for the answer")
    );
}

#[test]
fn a_form_that_is_refused_is_sent_plainer_in_the_same_attempt() {
    let server = Server::start(|_, n| match n {
        0 => Answer::body(400, r#"{"code": 50035, "message": "Invalid Form Body"}"#),
        1 => Answer::body(400, r#"{"code": 240000, "message": "Blocked"}"#),
        _ => Answer::body(200, r#"{"id": "99"}"#),
    });
    let url = server.url("/api/webhooks/1/PLANTED-TOKEN");
    let rig = Rig::start(
        vec![target("ops", ProviderSpec::Discord(Discord { url }))],
        1,
    );
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(1);
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].body.contains("embeds"));
    assert!(seen[1].body.contains("content") && seen[1].body.contains("panic"));
    assert!(!seen[2].body.contains("panic"));
    let verdict = rig.outbox.read(|t| t.settlements[0].verdict.clone());
    assert_eq!(
        verdict,
        Verdict::Delivered {
            message: Some(MessageRef::new("99"))
        }
    );
}

#[test]
fn a_chat_that_moved_is_followed_and_remembered() {
    let server = Server::start(|_, n| match n {
        0 => Answer::body(
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-100777}}"#,
        ),
        _ => Answer::body(200, r#"{"ok":true,"result":{"message_id":5}}"#),
    });
    let provider = ProviderSpec::Telegram(Telegram {
        token: Secret::new("1:PLANTED"),
        chat_id: "-12".to_owned(),
        api_url: server.base(),
    });
    let rig = Rig::start(vec![target("ops", provider)], 1);
    rig.add(delivery("ops"));
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(2);
    let chats: Vec<bool> = server
        .seen()
        .iter()
        .map(|s| s.body.contains("-100777"))
        .collect();
    assert_eq!(chats, [false, true, true]);
}

#[test]
fn a_global_limit_holds_every_target_at_that_host() {
    let server = Server::start(|seen, _| {
        if seen.path.contains("/1/") {
            Answer::body(
                429,
                r#"{"message":"slow","retry_after":60.0,"global":true}"#,
            )
        } else {
            Answer::body(200, "{}")
        }
    });
    let discord = |path: &str| {
        ProviderSpec::Discord(Discord {
            url: server.url(path),
        })
    };
    let rig = Rig::start(
        vec![
            target("one", discord("/api/webhooks/1/a")),
            target("two", discord("/api/webhooks/2/b")),
        ],
        1,
    );
    rig.add(delivery("one"));
    rig.wait_state("two", TargetState::Waiting);
    rig.outbox.add(delivery("two"));
    let pass = rig.notify.last_pass(Duration::from_secs(5));
    assert_eq!((pass.delivered, pass.kept), (0, Some(2)));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn servers_that_misbehave_are_left_at_the_time_out_and_tried_again() {
    for answer in [
        Answer::Hang,
        Answer::TrickleHeaders,
        Answer::TrickleBody,
        Answer::Close,
        Answer::Garbage,
        Answer::header(302, "location", "/elsewhere"),
    ] {
        let server = Server::always(answer.clone());
        let mut spec = target("ops", webhook_to(server.url("/")));
        spec.timeout = Duration::from_millis(200);
        let rig = Rig::start(vec![spec], 1);
        rig.add(delivery("ops"));
        rig.outbox.wait_settled(1);
        let first = rig.outbox.read(|t| t.settlements[0].clone());
        assert!(
            matches!(first.verdict, Verdict::RetryAt { counts: true, .. }),
            "{answer:?}: {first:?}"
        );
        assert!(first.error.is_some(), "{answer:?}");
    }
}

#[test]
fn a_body_without_end_is_an_answer_all_the_same() {
    let server = Server::always(Answer::Endless);
    let rig = Rig::start(vec![target("ops", webhook_to(server.url("/")))], 1);
    rig.add(delivery("ops"));
    rig.outbox.wait_settled(1);
    assert_eq!(count(&rig, "ops", DeliveryState::Delivered), 1);
}

fn targets_with_planted_secrets(server: &Server) -> Vec<TargetSpec> {
    let key = Secret::new("PLANTED_HEADER");
    vec![
        target(
            "discord",
            ProviderSpec::Discord(Discord {
                url: server.url("/api/webhooks/77/PLANTED_TOKEN"),
            }),
        ),
        target(
            "slack",
            ProviderSpec::Slack(Slack {
                url: server.url("/services/PLANTED_TOKEN"),
            }),
        ),
        target(
            "telegram",
            ProviderSpec::Telegram(Telegram {
                token: Secret::new("123:PLANTED_TOKEN"),
                chat_id: "5".to_owned(),
                api_url: server.base(),
            }),
        ),
        target(
            "webhook",
            ProviderSpec::Webhook(Webhook {
                url: server.url("/PLANTED_TOKEN?key=PLANTED_QUERY"),
                secrets: vec![Secret::new("whsec_UExBTlRFRF9LRVk=")],
                headers: vec![("x-key".to_owned(), key)],
            }),
        ),
        target(
            "nowhere",
            webhook_to(Secret::new("http://127.0.0.1:1/PLANTED_TOKEN")),
        ),
        target("broken", webhook_to(Secret::new("not a url PLANTED_TOKEN"))),
    ]
}

#[test]
fn planted_secrets_appear_in_no_outcome_view_or_event() {
    // A target that repeats everything it is sent, and says so as its own words.
    let server = Server::start(|seen, n| {
        let said = format!("no access to {} {}", seen.path, seen.header("x-key"));
        match n % 3 {
            0 => Answer::body(
                403,
                &format!(r#"{{"message": "{said}", "description": "{said}"}}"#),
            ),
            1 => Answer::body(403, "PLANTED_TOKEN"),
            _ => Answer::Close,
        }
    });
    let mut specs = targets_with_planted_secrets(&server);
    for spec in &mut specs {
        spec.breaker.failures = 1;
    }
    let names: Vec<String> = specs.iter().map(|s| s.name.to_string()).collect();
    let debugged = format!("{specs:?}");
    let rig = Rig::start(specs, 4);
    for name in &names {
        rig.add(delivery(name));
    }
    rig.outbox.wait_settled(names.len());
    let told = rig.told.wait(names.len());
    let board = rig.notify.board();
    let outcomes: Vec<_> = rig.outbox.read(|t| {
        t.settlements
            .iter()
            .map(|s| (s.error.clone(), s.verdict.clone()))
            .collect()
    });
    let (views, workers) = (board.targets(), board.workers());
    let shown = format!("{debugged} {outcomes:?} {views:?} {workers:?} {told:?}");
    assert!(shown.contains("status 403"), "{shown}");
    for secret in ["PLANTED", "UExBTlRFRF9LRVk"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
