//! Answers of the chats that are reached by a token or a webhook, and what their requests are, by their documents.

use serde_json::json;

use super::testing::{NOW, body_of, context, judge, request_of, text, word};
use super::{Abilities, Context, Task, Tier, of};
use crate::fetch::{Method, Response};
use crate::model::delivery::MessageRef;
use crate::model::target::{
    GoogleChat, Gotify, Matrix, Mattermost, Ntfy, ProviderSpec, Pushover, Teams,
};
use crate::notify::testing::delivery;
use crate::secret::Secret;

pub(super) fn ntfy() -> ProviderSpec {
    ProviderSpec::Ntfy(Ntfy {
        url: "https://ntfy.example.org/".to_owned(),
        topic: Secret::new("ops"),
        token: Some(Secret::new("tk_1")),
    })
}

pub(super) fn mattermost() -> ProviderSpec {
    ProviderSpec::Mattermost(Mattermost {
        url: Secret::new("https://chat.example.org/hooks/k"),
    })
}

pub(super) fn google_chat() -> ProviderSpec {
    ProviderSpec::GoogleChat(GoogleChat {
        url: Secret::new("https://chat.googleapis.com/v1/spaces/A/messages?key=K&token=T"),
    })
}

pub(super) fn teams() -> ProviderSpec {
    ProviderSpec::Teams(Teams {
        url: Secret::new(
            "https://x.logic.azure.com/workflows/w/triggers/manual/paths/invoke?sig=S",
        ),
    })
}

pub(super) fn matrix() -> ProviderSpec {
    ProviderSpec::Matrix(Matrix {
        url: "https://matrix.example.org".to_owned(),
        token: Secret::new("syt"),
        room: "!a:example.org".to_owned(),
    })
}

pub(super) fn gotify() -> ProviderSpec {
    ProviderSpec::Gotify(Gotify {
        url: "https://gotify.example.org/push/".to_owned(),
        token: Secret::new("A1"),
        client_token: Some(Secret::new("C1")),
    })
}

pub(super) fn pushover() -> ProviderSpec {
    ProviderSpec::Pushover(Pushover {
        url: "https://api.pushover.net".to_owned(),
        token: Secret::new("a"),
        user: Secret::new("u"),
    })
}

pub(super) fn all() -> [ProviderSpec; 7] {
    [
        ntfy(),
        mattermost(),
        google_chat(),
        teams(),
        matrix(),
        gotify(),
        pushover(),
    ]
}

fn doing(task: Task<'_>) -> Context<'_> {
    Context {
        task,
        ..context(Tier::Rich)
    }
}

/// What an answer to a deletion means.
fn deleted(target: &ProviderSpec, status: u16, body: &str) -> String {
    let response = Response {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let message = MessageRef::new("m");
    word(&of(target).classify(&response, &doing(Task::Delete(&message))))
}

fn table(target: &ProviderSpec, answers: &[(u16, &str, &str)]) {
    for (status, body, expected) in answers {
        assert_eq!(
            &judge(target, *status, &[], body),
            expected,
            "{status} {body}"
        );
    }
    // What all have in common.
    for (status, expected) in [
        (500, "retry"),
        (502, "retry"),
        (408, "retry"),
        (302, "retry"),
    ] {
        assert_eq!(judge(target, status, &[], "<html>"), expected, "{status}");
    }
    let named = [("retry-after", "7")];
    let limited = judge(target, 429, &named, "");
    assert!(limited.starts_with("wait 7"), "{limited}");
    assert_eq!(judge(target, 503, &named, ""), "wait 7");
}

#[test]
fn ntfys_answers_mean_what_its_codes_say() {
    let error = |code: u32| format!(r#"{{"code":{code},"http":{},"error":"x"}}"#, code / 100);
    table(
        &ntfy(),
        &[
            (
                200,
                r#"{"id":"a","event":"message","sequence_id":"s"}"#,
                "ok s",
            ),
            // Before 2.16: there will be nothing to edit.
            (200, r#"{"id":"a","event":"message"}"#, "ok -"),
            (200, "<html>portal</html>", "retry"),
            (400, &error(40_007), "plainer"),
            (400, &error(40_009), "gone"),
            (400, &error(40_010), "gone"),
            (400, &error(40_014), "plainer"),
            (400, &error(40_017), "dead"),
            (401, &error(40_101), "gone"),
            (403, &error(40_301), "dead"),
            (404, &error(40_401), "dead"),
            (413, &error(41_303), "plainer"),
            (429, &error(42_901), "wait 10 host"),
            // The moment of the attempt is 03:04:10 UTC.
            (429, &error(42_908), "wait 75350 host"),
            (500, &error(50_001), "retry"),
            (507, &error(50_701), "dead"),
        ],
    );
    assert_eq!(
        deleted(&ntfy(), 200, r#"{"event":"message_delete"}"#),
        "ok -"
    );
    assert_eq!(deleted(&ntfy(), 404, ""), "ok -");
    assert_eq!(deleted(&ntfy(), 429, ""), "wait 10 host");
}

#[test]
fn mattermosts_answers_mean_what_their_names_say() {
    table(
        &mattermost(),
        &[
            (200, "ok", "ok -"),
            (200, "<html>", "retry"),
            (
                400,
                r#"{"id":"web.incoming_webhook.invalid.app_error"}"#,
                "gone",
            ),
            (
                400,
                r#"{"id":"web.incoming_webhook.channel.app_error"}"#,
                "dead",
            ),
            (
                400,
                r#"{"id":"web.incoming_webhook.text.app_error"}"#,
                "plainer",
            ),
            (
                400,
                r#"{"id":"web.incoming_webhook.parse.app_error"}"#,
                "plainer",
            ),
            (
                403,
                r#"{"id":"web.incoming_webhook.permissions.app_error"}"#,
                "dead",
            ),
            (413, "", "plainer"),
            (
                501,
                r#"{"id":"web.incoming_webhook.disabled.app_error"}"#,
                "retry",
            ),
            (429, "", "wait 30"),
        ],
    );
}

#[test]
fn google_chats_answers_mean_what_their_words_say() {
    let error = |status: &str, said: &str| {
        format!(r#"{{"error":{{"status":"{status}","message":"{said}"}}}}"#)
    };
    table(
        &google_chat(),
        &[
            (
                200,
                r#"{"name":"spaces/A/messages/B","thread":{"name":"t"}}"#,
                "ok -",
            ),
            (200, "<html>", "retry"),
            (
                400,
                &error("INVALID_ARGUMENT", "Message cannot be empty"),
                "plainer",
            ),
            (
                400,
                &error("INVALID_ARGUMENT", "API key not valid. Please pass one"),
                "gone",
            ),
            (401, &error("UNAUTHENTICATED", ""), "gone"),
            (403, &error("PERMISSION_DENIED", ""), "dead"),
            (404, &error("NOT_FOUND", ""), "gone"),
            (429, &error("RESOURCE_EXHAUSTED", ""), "wait 30"),
            (503, &error("UNAVAILABLE", ""), "retry"),
        ],
    );
}

#[test]
fn a_workflows_answers_mean_what_their_codes_say() {
    let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#);
    table(
        &teams(),
        &[
            (202, "", "ok -"),
            (200, "", "ok -"),
            (400, &error("InvalidRequestContent"), "plainer"),
            (400, &error("WorkflowTriggerIsNotEnabled"), "dead"),
            (401, &error("DirectApiAuthorizationRequired"), "gone"),
            (403, "", "dead"),
            (404, &error("WorkflowNotFound"), "gone"),
            (413, "", "plainer"),
            (429, "", "wait 30"),
        ],
    );
}

#[test]
fn a_homeservers_answers_mean_what_their_codes_say() {
    let error = |code: &str| format!(r#"{{"errcode":"{code}","error":"x"}}"#);
    table(
        &matrix(),
        &[
            (200, r#"{"event_id":"$e"}"#, "ok $e"),
            (200, "<html>", "retry"),
            (400, &error("M_BAD_JSON"), "plainer"),
            (413, &error("M_TOO_LARGE"), "plainer"),
            (401, &error("M_UNKNOWN_TOKEN"), "gone"),
            (403, &error("M_FORBIDDEN"), "dead"),
            (403, &error("M_USER_DEACTIVATED"), "gone"),
            (404, &error("M_NOT_FOUND"), "dead"),
            (
                429,
                r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2500}"#,
                "wait 2.5",
            ),
            (429, &error("M_LIMIT_EXCEEDED"), "wait 30"),
        ],
    );
    assert_eq!(deleted(&matrix(), 200, r#"{"event_id":"$r"}"#), "ok -");
    assert_eq!(deleted(&matrix(), 404, &error("M_NOT_FOUND")), "ok -");
}

#[test]
fn gotifys_answers_mean_what_their_status_says() {
    table(
        &gotify(),
        &[
            (200, r#"{"id":25,"appid":5}"#, "ok 25"),
            (200, "<html>", "retry"),
            (400, r#"{"error":"Bad Request"}"#, "plainer"),
            (401, r#"{"error":"Unauthorized"}"#, "gone"),
            (403, "", "dead"),
            (404, "", "dead"),
            (429, "", "wait 30"),
        ],
    );
    assert_eq!(deleted(&gotify(), 200, ""), "ok -");
    assert_eq!(deleted(&gotify(), 404, ""), "ok -");
    assert_eq!(
        deleted(&gotify(), 401, ""),
        "dead",
        "the application is well"
    );
}

#[test]
fn pushovers_answers_mean_what_they_name() {
    let invalid = |field: &str| format!(r#"{{"{field}":"invalid","errors":["x"],"status":0}}"#);
    table(
        &pushover(),
        &[
            (200, r#"{"status":1,"request":"r"}"#, "ok -"),
            (200, r#"{"status":0,"errors":["x"]}"#, "retry"),
            (200, "<html>", "retry"),
            (400, &invalid("message"), "plainer"),
            (400, &invalid("token"), "gone"),
            (400, &invalid("user"), "gone"),
            (413, "", "plainer"),
            (429, "", "wait 30"),
        ],
    );
    let reset = (NOW.millis() / 1_000 + 600).to_string();
    let headers = [("x-limit-app-reset", reset.as_str())];
    assert_eq!(judge(&pushover(), 429, &headers, ""), "wait 600");
}

#[test]
fn what_can_be_done_with_a_message_is_said_and_what_is_said_can_be_done() {
    let (message, leased) = (MessageRef::new("m1"), delivery("ops"));
    for target in all() {
        let Abilities {
            edits,
            deletes,
            replies,
            places,
            ..
        } = of(&target).abilities();
        let kind = target.kind();
        assert_eq!(edits, matches!(kind, "ntfy" | "matrix"), "{kind}");
        assert_eq!(
            deletes,
            matches!(kind, "ntfy" | "matrix" | "gotify"),
            "{kind}"
        );
        let is_matrix = kind == "matrix";
        assert_eq!((replies, places), (is_matrix, is_matrix), "{kind}");
        if deletes {
            let request = request_of(&leased, &target, &doing(Task::Delete(&message)));
            let named = request.url.expose().contains("/m1");
            assert!(named, "{kind}: {}", request.url.expose());
        }
    }
    let without = ProviderSpec::Gotify(Gotify {
        url: "https://gotify.example.org".to_owned(),
        token: Secret::new("A1"),
        client_token: None,
    });
    assert!(!of(&without).abilities().deletes);
}

#[test]
fn a_message_sent_again_has_the_same_key_and_another_message_another() {
    let (first, second) = (delivery("ops"), delivery("ops"));
    for target in [ntfy(), google_chat(), matrix()] {
        assert!(of(&target).abilities().keyed);
        let key = |leased| {
            let request = request_of(leased, &target, &context(Tier::Rich));
            let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
            (
                request.url.expose().to_owned(),
                text(&body, "/sequence_id").to_owned(),
            )
        };
        assert_eq!(key(&first), key(&first), "{}", target.kind());
        assert_ne!(key(&first), key(&second), "{}", target.kind());
    }
}

#[test]
fn ntfy_is_published_at_the_root_and_edited_by_the_sequence() {
    let (leased, message) = (delivery("ops"), MessageRef::new("s1"));
    let pasted = ProviderSpec::Ntfy(Ntfy {
        url: "https://ntfy.example.org/ops".to_owned(),
        topic: Secret::new("ops"),
        token: None,
    });
    let request = request_of(&leased, &pasted, &context(Tier::Rich));
    assert_eq!(request.url.expose(), "https://ntfy.example.org/");
    assert!(request.headers.iter().all(|(n, _)| n != "authorization"));
    let body = body_of(&leased, &ntfy(), Tier::Rich);
    assert_eq!(text(&body, "/sequence_id"), leased.id.to_string());
    let edit = request_of(&leased, &ntfy(), &doing(Task::Edit(&message)));
    assert_eq!(
        (edit.method, edit.url.expose()),
        (Method::Post, "https://ntfy.example.org/")
    );
    assert!(edit.body.contains(r#""sequence_id":"s1""#), "{}", edit.body);
    let delete = request_of(&leased, &ntfy(), &doing(Task::Delete(&message)));
    assert_eq!(delete.method, Method::Delete);
    assert_eq!(delete.url.expose(), "https://ntfy.example.org/ops/s1");
}

#[test]
fn matrix_edits_answers_and_redacts_by_the_specification() {
    let (leased, root) = (delivery("ops"), MessageRef::new("$r:x/y"));
    let base = "https://matrix.example.org/_matrix/client/v3/rooms/%21a%3Aexample.org/";
    let sent = |task| {
        let request = request_of(&leased, &matrix(), &doing(task));
        assert_eq!(request.method, Method::Put);
        let rest = request
            .url
            .expose()
            .strip_prefix(base)
            .expect("the room")
            .to_owned();
        let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        (rest, body)
    };
    let (path, edit) = sent(Task::Edit(&root));
    assert_eq!(path, format!("send/m.room.message/{}-edit-rich", leased.id));
    assert!(text(&edit, "/body").starts_with("* "));
    let relation = json!({ "rel_type": "m.replace", "event_id": "$r:x/y" });
    assert_eq!(edit["m.relates_to"], relation);
    assert_eq!(edit["m.new_content"]["m.mentions"], json!({}));
    assert!(!text(&edit, "/m.new_content/body").starts_with("* "));
    let (path, reply) = sent(Task::Create {
        place: None,
        reply_to: Some(&root),
    });
    assert_eq!(
        path,
        format!("send/m.room.message/{}-reply-rich", leased.id)
    );
    assert_eq!(reply["m.relates_to"]["rel_type"], "m.thread");
    let (path, _) = sent(Task::Delete(&root));
    assert_eq!(
        path,
        format!("redact/%24r%3Ax%2Fy/{}-delete-rich", leased.id)
    );
}

#[test]
fn gotify_may_be_at_a_path_and_deletes_as_a_client() {
    let (leased, message) = (delivery("ops"), MessageRef::new("25"));
    let key = |request: &super::HttpRequest| {
        let found = request.headers.iter().find(|(n, _)| n == "x-gotify-key");
        found.map(|(_, v)| v.expose().to_owned())
    };
    let create = request_of(&leased, &gotify(), &context(Tier::Rich));
    assert_eq!(
        create.url.expose(),
        "https://gotify.example.org/push/message"
    );
    assert_eq!(key(&create).as_deref(), Some("A1"));
    let delete = request_of(&leased, &gotify(), &doing(Task::Delete(&message)));
    assert_eq!(
        delete.url.expose(),
        "https://gotify.example.org/push/message/25"
    );
    assert_eq!(
        (delete.method, key(&delete).as_deref()),
        (Method::Delete, Some("C1"))
    );
}

#[test]
fn messages_of_an_incident_are_one_thread_of_google_chat() {
    let mut leased = delivery("ops");
    let incident = leased.incident.as_ref().expect("it has one").id.to_string();
    let body = body_of(&leased, &google_chat(), Tier::Rich);
    assert_eq!(text(&body, "/thread/threadKey"), incident);
    leased.incident = None;
    let body = body_of(&leased, &google_chat(), Tier::Rich);
    assert_eq!(text(&body, "/thread/threadKey"), leased.id.to_string());
}
