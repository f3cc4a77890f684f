//! Chats that refuse: each provider's documented answers, and what is done about them.

use serde_json::{Value, json};

use super::{FAST, attempts, crashes_on_demand, hook};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn answer(status: u16, body: &Value) -> Reply {
    Reply::Status(status, vec![], body.to_string())
}

/// A chat that gives `answers` in turn, and takes everything after them.
fn scripted(answers: Vec<Reply>, taken: Reply) -> Receiver {
    let mut answers = answers.into_iter();
    Receiver::scripted(move |_| answers.next().unwrap_or_else(|| taken.clone()))
}

/// One program that crashes once and recovers, told to the chat; what the chat was sent until it took both.
fn told(target: &str, receiver: &Receiver) -> (Supervisor, Vec<Received>) {
    let config = format!(
        "{}\n[target.chat]\n{target}\n{FAST}\n[[route]]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n",
        super::crashes_once("web")
    );
    let supervisor = Supervisor::running(&config);
    supervisor.wait_target("chat", "both are delivered", |t| t["delivered"] == 2);
    let requests = receiver.received();
    (supervisor, requests)
}

fn discord(receiver: &Receiver) -> String {
    let url = receiver.url("/api/webhooks/1/t");
    format!("kind = \"discord\"\nurl = \"{url}\"")
}

fn slack(receiver: &Receiver) -> String {
    let url = receiver.url("/services/T/B/x");
    format!("kind = \"slack\"\nurl = \"{url}\"")
}

fn telegram(receiver: &Receiver) -> String {
    let url = receiver.url("");
    format!("kind = \"telegram\"\ntoken = \"1:AA\"\nchat_id = -100\napi_url = \"{url}\"")
}

fn discord_took() -> Reply {
    answer(200, &json!({ "id": "9", "channel_id": "7" }))
}

fn slack_took() -> Reply {
    Reply::Status(200, vec![], "ok".to_owned())
}

fn telegram_took() -> Reply {
    answer(
        200,
        &json!({ "ok": true, "result": { "message_id": 4, "chat": { "id": -100 } } }),
    )
}

#[test]
fn a_form_that_discord_refuses_is_sent_plainer_and_then_as_one_line() {
    let bad =
        json!({ "code": 50035, "message": "Invalid Form Body", "errors": { "embeds": ["0"] } });
    let receiver = scripted(vec![answer(400, &bad), answer(400, &bad)], discord_took());
    let (_supervisor, requests) = told(&discord(&receiver), &receiver);
    let bodies: Vec<Value> = requests.iter().map(Received::json).collect();
    assert!(bodies[0]["embeds"].is_array(), "{}", bodies[0]);
    for body in &bodies[1..3] {
        assert!(
            body["content"].is_string() && body.get("embeds").is_none(),
            "{body}"
        );
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    }
    let lengths = [&bodies[1], &bodies[2]].map(|b| b["content"].as_str().map_or(0, str::len));
    assert!(lengths[0] > lengths[1], "one line at last: {lengths:?}");
    assert!(
        bodies[3]["embeds"].is_array(),
        "the next message is rich again: {}",
        bodies[3]
    );
}

/// What was refused for now is told after it: the same, or what has become of it meanwhile.
fn assert_told_later(requests: &[Received]) {
    let (first, second) = (&requests[0].body, &requests[1].body);
    assert!(first.contains("web crashed"), "{first}");
    assert!(
        first == second || second.contains("web recovered"),
        "{second}"
    );
}

#[test]
fn a_429_of_discord_is_waited_for_and_counts_as_no_attempt() {
    let limited =
        json!({ "message": "You are being rate limited.", "retry_after": 1.25, "global": false });
    let receiver = scripted(vec![answer(429, &limited)], discord_took());
    let (supervisor, requests) = told(&discord(&receiver), &receiver);
    assert_told_later(&requests);
    let attempts = attempts(&supervisor, "chat", "program.crashed");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert_eq!(
        (attempts[0].outcome.as_str(), attempts[0].status),
        ("retry", Some(429))
    );
    let pause = attempts[1].started_at - attempts[0].started_at;
    assert!(pause >= 1_250, "asked for 1.25 s, waited {pause} ms");
    let counted: i64 = super::database(&supervisor)
        .query_row(
            "SELECT max(attempts) FROM deliveries WHERE target = 'chat'",
            [],
            |row| row.get(0),
        )
        .expect("our own table");
    assert_eq!(counted, 1, "only the one that was taken");
}

#[test]
fn a_webhook_that_discord_no_longer_knows_is_never_tried_again_and_others_hear_of_it() {
    let gone = json!({ "message": "Unknown Webhook", "code": 10015 });
    let chat = Receiver::scripted(move |_| answer(404, &gone));
    let ops = Receiver::start();
    let config = format!(
        "{}{}\n[target.chat]\n{}\n{FAST}\n[[route]]\nmin_severity = \"info\"\nevents = [\"program.crashed\", \"target.*\"]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n",
        super::crashes_once("web"),
        crashes_on_demand("db"),
        discord(&chat)
    ) + &hook("ops", &ops.url("/"), "");
    let mut supervisor = Supervisor::running(&config);
    let failing = ops.wait_for("word of the chat's end", |r| {
        r.json()["type"] == "target.failing"
    });
    let data = &failing.json()["data"];
    assert_eq!(
        data["severity"], "critical",
        "a target that is given up: {data}"
    );
    assert_eq!(data["target"], "chat");
    assert!(
        data["cause"].as_str().is_some_and(|c| c.contains("10015")),
        "{data}"
    );
    let view = supervisor.target("chat");
    assert_eq!(
        (&view["state"], &view["failed"], &view["delivered"]),
        (&json!("dead"), &json!(1), &json!(0)),
        "{view}"
    );
    supervisor.write("db.go", "");
    ops.wait_type("program.recovered", "db");
    let view = supervisor.target("chat");
    assert_eq!(
        view["pending"], 3,
        "its other messages wait for a person: {view}"
    );
    // A stop tries once more to deliver whatever may go.
    supervisor.stop();
    assert_eq!(chat.received().len(), 1, "{:?}", chat.received());
    supervisor.start();
    assert_eq!(
        supervisor.target("chat")["state"],
        "dead",
        "also after the next start"
    );
    supervisor.stop();
    assert_eq!(chat.received().len(), 1);
}

#[test]
fn an_answer_of_slack_that_is_not_ok_is_no_success() {
    let portal = Reply::Status(200, vec![], "<html>please log in</html>".to_owned());
    let receiver = scripted(vec![portal], slack_took());
    let (supervisor, requests) = told(&slack(&receiver), &receiver);
    assert_told_later(&requests);
    let attempts = attempts(&supervisor, "chat", "program.crashed");
    let outcomes: Vec<&str> = attempts.iter().map(|a| a.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retry", "delivered"], "{attempts:?}");
}

#[test]
fn blocks_that_slack_refuses_are_sent_as_text() {
    let refused = Reply::Status(400, vec![], "invalid_blocks".to_owned());
    let receiver = scripted(vec![refused], slack_took());
    let (_supervisor, requests) = told(&slack(&receiver), &receiver);
    let (rich, plain) = (requests[0].json(), requests[1].json());
    assert!(rich["blocks"].is_array(), "{rich}");
    assert!(
        plain.get("blocks").is_none() && plain["text"].is_string(),
        "{plain}"
    );
}

#[test]
fn a_webhook_that_slack_has_revoked_is_dead() {
    for (status, word) in [
        (404, "no_service"),
        (403, "invalid_token"),
        (410, "channel_is_archived"),
    ] {
        let receiver = Receiver::scripted(move |_| Reply::Status(status, vec![], word.to_owned()));
        let config = format!(
            "[target.chat]\n{}\n[[route]]\nmin_severity = \"info\"\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n",
            slack(&receiver)
        );
        let supervisor = Supervisor::running(&config);
        let view = supervisor.wait_target("chat", word, |t| t["state"] == "dead");
        assert_eq!(view["failed"], 1, "{view}");
        assert!(
            view["last_error"]
                .as_str()
                .is_some_and(|e| e.contains(word)),
            "{view}"
        );
    }
}

#[test]
fn a_429_of_telegram_is_waited_for() {
    let limited = json!({
        "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 2",
        "parameters": { "retry_after": 2 },
    });
    let receiver = scripted(vec![answer(429, &limited)], telegram_took());
    let (supervisor, requests) = told(&telegram(&receiver), &receiver);
    assert_told_later(&requests);
    let attempts = attempts(&supervisor, "chat", "program.crashed");
    let pause = attempts[1].started_at - attempts[0].started_at;
    assert!(pause >= 2_000, "asked for 2 s, waited {pause} ms");
}

#[test]
fn entities_that_telegram_cannot_parse_are_left_out() {
    let refused = json!({
        "ok": false, "error_code": 400,
        "description": "Bad Request: can't parse entities: entity beginning at byte offset 3",
    });
    let receiver = scripted(vec![answer(400, &refused)], telegram_took());
    let (_supervisor, requests) = told(&telegram(&receiver), &receiver);
    assert!(requests[0].json()["entities"].is_array());
    assert!(
        requests[1].json().get("entities").is_none(),
        "{}",
        requests[1].body
    );
}

#[test]
fn a_telegram_group_that_moved_is_followed_for_good() {
    let moved = json!({
        "ok": false, "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": { "migrate_to_chat_id": -100_999_i64 },
    });
    // A message says which chat it is in.
    let took = json!({ "ok": true, "result": { "message_id": 4, "chat": { "id": -100_999_i64 } } });
    let receiver = scripted(vec![answer(400, &moved)], answer(200, &took));
    let (mut supervisor, requests) = told(&telegram(&receiver), &receiver);
    let chats = |requests: &[Received]| -> Vec<i64> {
        requests
            .iter()
            .filter_map(|r| r.json()["chat_id"].as_i64())
            .collect()
    };
    assert_eq!(chats(&requests), [-100, -100_999, -100_999]);
    supervisor.kill();
    supervisor.start();
    let test = supervisor.cli(&["notify", "test", "chat"]);
    assert!(test.status.success(), "{test:?}");
    assert_eq!(
        chats(&receiver.received()).last(),
        Some(&-100_999),
        "also after a kill -9"
    );
    supervisor.stop();
}

#[test]
fn a_token_that_telegram_does_not_know_makes_the_target_dead_and_an_answer_without_ok_is_tried_again()
 {
    let strange = answer(200, &json!({ "ok": false }));
    let unknown = json!({ "ok": false, "error_code": 401, "description": "Unauthorized" });
    let receiver = scripted(vec![strange], answer(401, &unknown));
    let config = format!(
        "[target.chat]\n{}\n[[route]]\nmin_severity = \"info\"\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n",
        telegram(&receiver)
    );
    let supervisor = Supervisor::running(&config);
    let view = supervisor.wait_target("chat", "dead", |t| t["state"] == "dead");
    assert_eq!(view["failed"], 1, "{view}");
    wait_for("two attempts", || {
        let attempts = attempts(&supervisor, "chat", "supervisor.started");
        match attempts.as_slice() {
            [first, second] if first.outcome == "retry" && second.outcome == "dead" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}
