//! Requests and judgements of all providers, by their documented limits and answers.

use std::time::Duration;

use serde_json::Value;

use super::testing::{
    NOW, body_of, context, hostile, judge, judgement_of, request_of, text, units,
};
use super::*;
use crate::model::event::{Event, EventKind};
use crate::model::incident::IncidentState;
use crate::model::target::{Discord, Slack, Telegram, Webhook};
use crate::notify::testing::{crash, delivery};

fn discord() -> ProviderSpec {
    ProviderSpec::Discord(Discord {
        url: Secret::new("https://discord.com/api/webhooks/1/tok"),
    })
}

fn slack() -> ProviderSpec {
    ProviderSpec::Slack(Slack {
        url: Secret::new("https://hooks.slack.com/services/T/B/x"),
    })
}

fn telegram() -> ProviderSpec {
    ProviderSpec::Telegram(Telegram {
        token: Secret::new("123:abc"),
        chat_id: "-1001".to_owned(),
        api_url: "https://api.telegram.org/".to_owned(),
    })
}

fn webhook() -> ProviderSpec {
    ProviderSpec::Webhook(Webhook {
        url: Secret::new("https://example.test/hook"),
        secrets: Vec::new(),
        headers: Vec::new(),
    })
}

// --- webhook ---

#[test]
fn a_key_pair_signs_as_the_standards_test_vector_says_beside_a_secret() {
    let pair = Secret::new(
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    );
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let signed = webhook::sign(&pair, id, 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(
        signed.as_deref(),
        Some(
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        )
    );
    // Never taken for the key of the other kind of signature.
    assert_eq!(webhook::sign(&Secret::new("whsk_AAAA"), id, 0, b""), None);
    assert_eq!(webhook::key(&pair), None);
}

#[test]
fn signatures_are_those_of_the_standards_test_vectors() {
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    for (key, id, at, body, expected) in [
        (
            first,
            id,
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            first,
            id,
            1_614_265_330,
            "",
            "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=",
        ),
        (
            first,
            "evt_01",
            1_700_000_000,
            r#"{"program":"wörker","msg":"🔥 crashed"}"#,
            "v1,D28ehDCmc0ZnCXpd9yyTldxcfOy6s213+3brFycdexo=",
        ),
    ] {
        let signature = webhook::sign(&Secret::new(key), id, at, body.as_bytes());
        assert_eq!(signature.as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn a_key_may_lack_its_padding_but_not_its_bytes() {
    let padded = webhook::key(&Secret::new("whsec_aGVsbG8="));
    assert_eq!(padded.as_deref(), Some(b"hello".as_slice()));
    assert_eq!(webhook::key(&Secret::new("whsec_aGVsbG8")), padded);
    for bad in ["", "whsec_", "whsec_!!"] {
        assert_eq!(webhook::key(&Secret::new(bad)), None, "{bad}");
    }
}

#[test]
fn the_webhook_body_is_the_contracts() {
    let leased = delivery("ops");
    let event = &leased.event;
    let incident = leased.incident.as_ref().expect("it has one");
    let expected = format!(
        r#"{{"type":"program.crashed","timestamp":"2026-01-02T03:04:05.123Z","data":{{"id":"{}","severity":"warning","host":"box-1","summary":{},"program":"web","instance":"web:0","run":"{}","pid":4242,"exit":{{"code":1}},"cause":"exit code 1","uptime_s":12.5,"restarts":3,"next_restart_s":4.0,"peak_memory_bytes":1048576,"log_tail":["starting","panic: it broke"],"incident":{{"id":"{}","seq":7,"state":"open","opened_at":"2026-01-02T03:04:00.000Z","events":2}}}}}}"#,
        event.id,
        serde_json::to_string(&crate::alert::summary(event)).expect("text"),
        event.run.expect("it has one"),
        incident.id,
    );
    assert_eq!(webhook::body(&leased, "box-1"), expected);
}

#[test]
fn a_webhook_body_has_only_what_applies() {
    let mut leased = delivery("ops");
    leased.event = Event::new(EventKind::SupervisorStarted, NOW);
    leased.incident = None;
    let body = body_of(&leased, &webhook(), Tier::Rich);
    let data = body["data"].as_object().expect("an object");
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    let mut wanted = vec!["id", "severity", "host", "summary"];
    wanted.sort_unstable();
    let mut found = keys.clone();
    found.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn a_webhook_repeats_the_bytes_of_its_first_attempt_and_signs_anew() {
    let mut leased = delivery("ops");
    leased.frozen_body = Some("{\"as\": \"sent\"}".to_owned());
    let target = ProviderSpec::Webhook(Webhook {
        url: Secret::new("https://example.test/"),
        secrets: vec![Secret::new("whsec_b25l"), Secret::new("whsec_dHdv")],
        headers: vec![
            ("x-team".to_owned(), Secret::new("a")),
            ("User-Agent".to_owned(), Secret::new("mine")),
            ("Webhook-Id".to_owned(), Secret::new("forged")),
            ("content-length".to_owned(), Secret::new("0")),
        ],
    });
    let request = request_of(&leased, &target, &context(Tier::Rich));
    assert_eq!(request.body, "{\"as\": \"sent\"}");
    let header = |name: &str| {
        let found: Vec<&str> = request
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.expose())
            .collect();
        found.join("|")
    };
    let id = leased.id.to_string();
    let sign = |key: &str| {
        webhook::sign(
            &Secret::new(key),
            &id,
            1_767_323_050,
            request.body.as_bytes(),
        )
        .expect("a key")
    };
    assert_eq!(header("webhook-id"), id);
    assert_eq!(header("webhook-timestamp"), "1767323050");
    assert_eq!(
        header("webhook-signature"),
        format!("{} {}", sign("whsec_b25l"), sign("whsec_dHdv"))
    );
    assert_eq!(header("x-team"), "a");
    assert_eq!(header("user-agent"), "mine");
    assert_eq!(header("content-length"), "");
}

#[test]
fn a_webhook_body_stays_small_whatever_a_program_prints() {
    let mut leased = delivery("ops");
    leased.event.facts.log_tail = (0..5_000).map(|n| format!("line {n}")).collect();
    let body = webhook::body(&leased, "box-1");
    assert!(body.len() < 40_000, "{}", body.len());
    assert!(body.contains("line 4999") && !body.contains("\"line 1\""));
}

// --- requests of chat providers ---

#[test]
fn discords_address_is_pinned_to_its_version_and_waits_for_the_message() {
    for (pasted, used) in [
        (
            "https://discord.com/api/webhooks/1/tok",
            "https://discord.com/api/v10/webhooks/1/tok?wait=true",
        ),
        (
            "https://discordapp.com/api/webhooks/1/tok/",
            "https://discord.com/api/v10/webhooks/1/tok?wait=true",
        ),
        (
            "https://canary.discord.com/api/v8/webhooks/1/tok?wait=false",
            "https://discord.com/api/v10/webhooks/1/tok?wait=true",
        ),
        (
            "https://ptb.discord.com/api/webhooks/1/tok?thread_id=42",
            "https://discord.com/api/v10/webhooks/1/tok?wait=true&thread_id=42",
        ),
        (
            "https://discord.com/api/webhooks/1/tok/slack",
            "https://discord.com/api/v10/webhooks/1/tok?wait=true",
        ),
        (
            "http://127.0.0.1:9/api/webhooks/1/tok",
            "http://127.0.0.1:9/api/v10/webhooks/1/tok?wait=true",
        ),
        ("http://127.0.0.1:9/any", "http://127.0.0.1:9/any?wait=true"),
    ] {
        assert_eq!(
            discord::address(&Secret::new(pasted)).expose(),
            used,
            "{pasted}"
        );
    }
}

#[test]
fn discord_messages_keep_all_limits_and_ping_nobody() {
    for leased in [hostile(), delivery("ops")] {
        let body = body_of(&leased, &discord(), Tier::Rich);
        assert_eq!(body["allowed_mentions"], serde_json::json!({ "parse": [] }));
        let embed = &body["embeds"][0];
        let fields = embed["fields"].as_array().expect("a list");
        assert!(fields.len() <= 25);
        let mut sum = 0;
        for (pointer, max) in [
            ("/title", 256),
            ("/description", 4_096),
            ("/footer/text", 2_048),
        ] {
            let length = units(text(embed, pointer));
            assert!((1..=max).contains(&length), "{pointer}: {length}");
            sum += length;
        }
        for field in fields {
            let (name, value) = (units(text(field, "/name")), units(text(field, "/value")));
            assert!((1..=256).contains(&name) && (1..=1_024).contains(&value));
            sum += name + value;
        }
        assert!(sum <= 6_000, "{sum}");
        for tier in [Tier::Plain, Tier::Line] {
            let body = body_of(&leased, &discord(), tier);
            assert_eq!(body["allowed_mentions"], serde_json::json!({ "parse": [] }));
            let length = units(text(&body, "/content"));
            assert!((1..=2_000).contains(&length), "{tier:?}: {length}");
        }
    }
}

#[test]
fn discord_output_cannot_leave_its_fence_and_text_is_no_markdown() {
    let body = body_of(&hostile(), &discord(), Tier::Rich);
    let fenced = text(&body, "/embeds/0/description");
    let inner = fenced.trim_start_matches("```\n").trim_end_matches("\n```");
    assert!(fenced.starts_with("```\n") && fenced.ends_with("\n```"));
    assert!(!inner.contains("```"), "{inner}");
    assert!(!inner.contains('\u{1b}'));
    let title = text(&body, "/embeds/0/title");
    assert!(
        title.contains("\\@everyone") || !title.contains("@everyone"),
        "{title}"
    );
    assert!(!title.contains("](http"), "{title}");
}

#[test]
fn discord_is_told_who_we_are_in_its_own_form() {
    let request = request_of(&delivery("ops"), &discord(), &context(Tier::Rich));
    let agent = request
        .headers
        .iter()
        .find(|(n, _)| n == "user-agent")
        .map(|(_, v)| v.expose().to_owned());
    let agent = agent.unwrap_or_default();
    assert!(
        agent.starts_with("DiscordBot (https://") && agent.ends_with(')'),
        "{agent}"
    );
}

#[test]
fn slack_messages_keep_their_limits_and_escape_what_is_markup() {
    for leased in [hostile(), delivery("ops")] {
        let body = body_of(&leased, &slack(), Tier::Rich);
        let blocks = body["blocks"].as_array().expect("a list");
        assert!(blocks.len() <= 50);
        assert_eq!(text(&body, "/blocks/0/text/type"), "plain_text");
        assert!((1..=150).contains(&units(text(&body, "/blocks/0/text/text"))));
        let total: usize = blocks.iter().map(|b| b.to_string().len()).sum();
        assert!(total < 40_000, "{total}");
        for tier in [Tier::Rich, Tier::Plain, Tier::Line] {
            let body = body_of(&leased, &slack(), tier);
            let fallback = text(&body, "/text");
            assert!((1..=4_000).contains(&units(fallback)));
            assert!(
                !fallback.contains('<') && !fallback.contains('>'),
                "{fallback}"
            );
            assert_eq!(body["mrkdwn"], Value::Bool(false));
            assert_eq!(body["link_names"], Value::Bool(false));
        }
        let whole = body.to_string();
        assert!(!whole.contains("\"mrkdwn\":true") && !whole.contains("\"type\":\"mrkdwn\""));
    }
}

#[test]
fn telegram_entities_cover_exactly_their_text_in_utf16_units() {
    for leased in [hostile(), delivery("ops")] {
        let body = body_of(&leased, &telegram(), Tier::Rich);
        assert_eq!(body["chat_id"], serde_json::json!(-1001));
        assert_eq!(
            body["link_preview_options"]["is_disabled"],
            Value::Bool(true)
        );
        assert!(body.get("parse_mode").is_none());
        let message: Vec<u16> = text(&body, "/text").encode_utf16().collect();
        assert!((1..=4_096).contains(&message.len()), "{}", message.len());
        assert!(text(&body, "/text").len() <= 32_768);
        let entities = body["entities"].as_array().expect("a list");
        assert!(entities.len() <= 100);
        for entity in entities {
            let at = |key: &str| usize::try_from(entity[key].as_u64().unwrap_or(0)).unwrap_or(0);
            let (offset, length) = (at("offset"), at("length"));
            assert!(length > 0 && offset + length <= message.len());
            let covered = String::from_utf16(&message[offset..offset + length]);
            assert!(covered.is_ok(), "an entity halves a character");
        }
        let first = &entities[0];
        assert_eq!(first["type"], "bold");
        assert_eq!(first["offset"], 3, "the sign is two units, the blank one");
        for tier in [Tier::Plain, Tier::Line] {
            let body = body_of(&leased, &telegram(), tier);
            assert!(body.get("entities").is_none());
            assert!((1..=4_096).contains(&units(text(&body, "/text"))));
            assert!(!text(&body, "/text").contains("@user"));
        }
    }
}

#[test]
fn telegram_output_stands_in_a_preformatted_entity() {
    let body = body_of(&delivery("ops"), &telegram(), Tier::Rich);
    let message: Vec<u16> = text(&body, "/text").encode_utf16().collect();
    let entities = body["entities"].as_array().expect("a list");
    let pre = entities
        .iter()
        .find(|e| e["type"] == "pre")
        .expect("there is output");
    let offset = usize::try_from(pre["offset"].as_u64().unwrap_or(0)).unwrap_or(0);
    let length = usize::try_from(pre["length"].as_u64().unwrap_or(0)).unwrap_or(0);
    let covered = String::from_utf16_lossy(&message[offset..offset + length]);
    assert_eq!(covered, "starting\npanic: it broke");
}

#[test]
fn telegrams_token_is_part_of_the_address_and_a_moved_chat_is_used() {
    let mut context = context(Tier::Rich);
    context.moved_to = Some("-100777");
    let request = request_of(&delivery("ops"), &telegram(), &context);
    assert_eq!(
        request.url.expose(),
        "https://api.telegram.org/bot123:abc/sendMessage"
    );
    assert!(request.body.contains("\"chat_id\":-100777"));
    let named = ProviderSpec::Telegram(Telegram {
        token: Secret::new("t"),
        chat_id: "@ops".to_owned(),
        api_url: "http://127.0.0.1:1".to_owned(),
    });
    assert_eq!(
        body_of(&delivery("ops"), &named, Tier::Rich)["chat_id"],
        "@ops"
    );
}

#[test]
fn every_kind_of_event_makes_a_message_for_every_provider() {
    for kind in EventKind::ALL {
        let mut leased = delivery("ops");
        leased.event = Event {
            kind: *kind,
            ..crash()
        };
        leased.event.instance = None;
        if let Some(incident) = &mut leased.incident {
            incident.state = IncidentState::Resolved;
        }
        for target in [webhook(), discord(), slack(), telegram()] {
            for tier in [Tier::Rich, Tier::Plain, Tier::Line] {
                let body = body_of(&leased, &target, tier);
                assert!(body.is_object(), "{kind} {}", target.kind());
            }
        }
    }
}

#[test]
fn a_host_is_shared_by_the_targets_at_it_and_holds_no_secret() {
    let alias = ProviderSpec::Discord(Discord {
        url: Secret::new("https://canary.discord.com/api/webhooks/2/b"),
    });
    assert_eq!(host(&discord()), "https://discord.com");
    assert_eq!(host(&alias), host(&discord()));
    assert_eq!(host(&telegram()), "https://api.telegram.org");
    let user = ProviderSpec::Slack(Slack {
        url: Secret::new("https://me:secret@Hooks.test:8/x"),
    });
    assert_eq!(host(&user), "https://hooks.test:8");
}

// --- judgements ---

#[test]
fn webhook_answers_mean_what_their_status_says() {
    for (status, expected) in [
        (200, "ok -"),
        (204, "ok -"),
        (299, "ok -"),
        (301, "retry"),
        (307, "retry"),
        (400, "dead"),
        (401, "dead"),
        (403, "dead"),
        (404, "dead"),
        (408, "retry"),
        (410, "gone"),
        (413, "dead"),
        (422, "dead"),
        (425, "retry"),
        (429, "wait 30"),
        (500, "retry"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
    ] {
        assert_eq!(judge(&webhook(), status, &[], ""), expected, "{status}");
    }
    let hour = [("retry-after", "3600")];
    assert_eq!(judge(&webhook(), 503, &hour, ""), "wait 3600");
    assert_eq!(judge(&webhook(), 429, &hour, ""), "wait 3600");
    assert_eq!(
        judge(&webhook(), 500, &hour, ""),
        "retry",
        "it counts on 429 and 503 alone"
    );
}

#[test]
fn discord_answers_mean_what_its_codes_say() {
    let limited = r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#;
    let global = r#"{"message":"You are being rate limited.","retry_after":2,"global":true}"#;
    for (status, body, expected) in [
        (200, r#"{"id":"123","channel_id":"4"}"#, "ok 123"),
        (204, "", "ok -"),
        (429, limited, "wait 64.57"),
        (429, global, "wait 2 host"),
        (429, "<html>Cloudflare</html>", "wait 900 host"),
        (404, r#"{"code":10015,"message":"Unknown Webhook"}"#, "gone"),
        (404, "", "gone"),
        (
            401,
            r#"{"code":50027,"message":"Invalid Webhook Token"}"#,
            "gone",
        ),
        (
            403,
            r#"{"code":50013,"message":"Missing Permissions"}"#,
            "dead",
        ),
        (
            400,
            r#"{"code":50035,"message":"Invalid Form Body"}"#,
            "plainer",
        ),
        (
            400,
            r#"{"code":50006,"message":"Cannot send an empty message"}"#,
            "plainer",
        ),
        (400, r#"{"code":240000,"message":"blocked"}"#, "plainer"),
        (400, r#"{"code":220001,"message":"forum"}"#, "dead"),
        (413, "", "plainer"),
        (500, "", "retry"),
        (502, "<html>", "retry"),
    ] {
        assert_eq!(
            judge(&discord(), status, &[], body),
            expected,
            "{status} {body}"
        );
    }
    let scoped = [("x-ratelimit-scope", "global"), ("retry-after", "7")];
    assert_eq!(judge(&discord(), 429, &scoped, "{}"), "wait 7 host");
}

#[test]
fn a_used_up_rate_at_discord_holds_the_next_message() {
    let response = Response {
        status: 200,
        headers: vec![
            ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
            ("x-ratelimit-reset-after".to_owned(), "1.5".to_owned()),
        ],
        body: b"{}".to_vec(),
    };
    let judgement = judgement_of(&discord(), &response);
    assert_eq!(judgement.pause, Some(Duration::from_millis(1_500)));
}

#[test]
fn slack_answers_mean_what_their_word_says() {
    for (status, body, expected) in [
        (200, "ok", "ok -"),
        (200, "ok\n", "ok -"),
        (200, "<html>portal</html>", "retry"),
        (200, "", "retry"),
        (400, "invalid_payload", "plainer"),
        (400, "invalid_blocks", "plainer"),
        (400, "no_text", "plainer"),
        (400, "msg_too_long", "plainer"),
        (400, "user_not_found", "dead"),
        (400, "invalid_token", "gone"),
        (403, "invalid_token", "gone"),
        (403, "action_prohibited", "dead"),
        (404, "channel_not_found", "dead"),
        (404, "no_service", "gone"),
        (410, "channel_is_archived", "gone"),
        (413, "", "plainer"),
        (500, "rollup_error", "retry"),
        (503, "", "retry"),
    ] {
        assert_eq!(
            judge(&slack(), status, &[], body),
            expected,
            "{status} {body}"
        );
    }
    assert_eq!(judge(&slack(), 429, &[("retry-after", "9")], ""), "wait 9");
}

#[test]
fn telegram_answers_mean_what_their_description_says() {
    let error = |code: u16, said: &str| {
        format!(r#"{{"ok":false,"error_code":{code},"description":"{said}"}}"#)
    };
    for (status, body, expected) in [
        (200, r#"{"ok":true,"result":{"message_id":123}}"#.to_owned(), "ok 123"),
        (200, "<html>".to_owned(), "retry"),
        (401, error(401, "Unauthorized"), "gone"),
        (404, error(404, "Not Found"), "gone"),
        (403, error(403, "Forbidden: bot was blocked by the user"), "dead"),
        (400, error(400, "Bad Request: chat not found"), "dead"),
        (400, error(400, "Bad Request: can't parse entities: x"), "plainer"),
        (400, error(400, "Bad Request: message is too long"), "plainer"),
        (200, error(403, "Forbidden: bot was kicked"), "dead"),
        (500, error(500, "Internal Server Error"), "retry"),
        (502, String::new(), "retry"),
        (
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}"#.to_owned(),
            "moved -1009",
        ),
        (
            429,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#.to_owned(),
            "wait 35",
        ),
    ] {
        assert_eq!(judge(&telegram(), status, &[], &body), expected, "{status} {body}");
    }
}

#[test]
fn a_reason_is_one_printable_line() {
    let said = format!(r#"{{"message":"a\u001b[31m\nb{}"}}"#, "x".repeat(5_000));
    let response = Response {
        status: 403,
        headers: Vec::new(),
        body: said.into_bytes(),
    };
    let Outcome::Permanent { reason, .. } = judgement_of(&discord(), &response).outcome else {
        panic!("a refusal");
    };
    assert!(!reason.contains(['\u{1b}', '\n']), "{reason}");
}
