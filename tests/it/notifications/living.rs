//! One incident is one message that lives: made, edited, answered or taken away, over restarts and kills.

mod elsewhere;
pub mod services;
mod told;

use serde_json::Value;

use self::services::{Discord, Slack, Telegram};
use super::{FAST, crashes_on_demand, crashes_once, database};
use crate::support::receiver::Received;
use crate::support::supervisor::Supervisor;

fn chat(target: &str) -> String {
    format!(
        "\n[target.chat]\n{target}\n{FAST}\n[[route]]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n"
    )
}

fn settled(supervisor: &Supervisor) {
    supervisor.wait_target("chat", "nothing waits", |t| t["pending"] == 0);
}

/// Method and path, and what was said.
fn requests(received: &[Received]) -> Vec<(String, String, String)> {
    received
        .iter()
        .map(|r| (r.method.clone(), r.path.clone(), r.body.clone()))
        .collect()
}

fn states(supervisor: &Supervisor) -> Vec<(String, Option<String>)> {
    let db = database(supervisor);
    let mut read = db
        .prepare("SELECT state, message_id FROM deliveries ORDER BY id")
        .expect("our own tables");
    let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.and_then(Iterator::collect).expect("our own tables")
}

#[test]
fn an_incident_is_one_message_at_discord_also_after_a_kill() {
    let discord = Discord::start(false);
    let config = crashes_once("web").replace("\"300ms\"", "\"3s\"") + &chat(&discord.target());
    let mut supervisor = Supervisor::running(&config);
    discord
        .receiver
        .wait_for("the crash", |r| r.body.contains("web crashed"));
    settled(&supervisor);
    supervisor.kill();
    supervisor.start();
    discord
        .receiver
        .wait_for("its end", |r| r.body.contains("web recovered"));
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let sent = requests(&discord.receiver.received());
    let about_web: Vec<_> = sent
        .iter()
        .filter(|(.., body)| body.contains("web "))
        .collect();
    assert_eq!(about_web[0].0, "POST", "{sent:#?}");
    let edits = &about_web[1..];
    assert!(!edits.is_empty(), "{sent:#?}");
    for (method, path, _) in edits {
        let edited = "/api/v10/webhooks/1/tok/messages/1001";
        assert_eq!((method.as_str(), path.as_str()), ("PATCH", edited));
    }
    let all = states(&supervisor);
    let ids: Vec<_> = all.iter().filter_map(|(_, id)| id.as_deref()).collect();
    assert!(
        ids.len() >= 2 && ids.iter().all(|id| *id == "1001"),
        "{all:?}"
    );
}

#[test]
fn the_end_is_an_answer_too_when_it_is_to_be_heard() {
    let telegram = Telegram::start(|_| false);
    let target = telegram.target("on_resolve = \"edit_and_reply\"");
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &chat(&target)));
    let answer = telegram.receiver.wait_for("the answer", |r| {
        r.path.ends_with("/sendMessage") && r.body.contains("web recovered")
    });
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(answer.json()["reply_parameters"]["message_id"], 501);
    let edited = telegram.receiver.received();
    let edited = edited.iter().find(|r| r.path.ends_with("/editMessageText"));
    let edited = edited.expect("it was edited first").json();
    assert_eq!(
        (&edited["message_id"], &edited["chat_id"]),
        (&501.into(), &Value::from(-100))
    );
}

#[test]
fn a_kill_while_a_message_is_on_its_way_makes_one_double_at_most_and_it_says_so() {
    let mut is_first = true;
    // Taken, and never answered.
    let telegram = Telegram::start(move |_| std::mem::replace(&mut is_first, false));
    let config = crashes_once("web").replace("\"300ms\"", "\"3s\"") + &chat(&telegram.target(""));
    let mut supervisor = Supervisor::running(&config);
    telegram
        .receiver
        .wait_for("the crash", |r| r.body.contains("web crashed"));
    supervisor.kill();
    supervisor.start();
    telegram
        .receiver
        .wait_for("its end", |r| r.body.contains("web recovered"));
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let received = telegram.receiver.received();
    let made: Vec<&Received> = received
        .iter()
        .filter(|r| r.path.ends_with("/sendMessage") && r.body.contains("web "))
        .collect();
    assert_eq!(made.len(), 2, "{:#?}", requests(&received));
    assert!(!made[0].body.contains("may be told twice"));
    assert!(
        made[1].body.contains("may be told twice"),
        "{}",
        made[1].body
    );
    for edit in received
        .iter()
        .filter(|r| r.path.ends_with("/editMessageText"))
    {
        assert_eq!(edit.json()["message_id"], 502, "the one that is known");
    }
}

#[test]
fn a_forum_has_a_post_for_each_program_which_is_found_again() {
    let discord = Discord::start(true);
    let target = format!("{}\nthread = \"per-program\"", discord.target());
    let config = crashes_once("web") + &crashes_on_demand("db") + &chat(&target);
    let mut supervisor = Supervisor::running(&config);
    discord
        .receiver
        .wait_for("its end", |r| r.body.contains("web recovered"));
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    supervisor.write("db.go", "");
    let again = discord.receiver.count();
    std::fs::remove_file(supervisor.file("web.crashed")).expect("it crashed");
    supervisor.start();
    crate::support::wait_for("both to be told", || {
        let received = discord.receiver.received();
        let both = ["web recovered", "db recovered"];
        let told = |word: &&str| received[again..].iter().any(|r| r.body.contains(*word));
        both.iter()
            .all(told)
            .then_some(())
            .ok_or_else(|| format!("{:#?}", requests(&received)))
    });
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let received = discord.receiver.received();
    let opened: Vec<Value> = received
        .iter()
        .filter(|r| r.body.contains("thread_name"))
        .map(|r| r.json()["thread_name"].clone())
        .collect();
    let programs = opened.iter().filter(|n| *n == "web" || *n == "db").count();
    assert_eq!(programs, 2, "one each: {opened:?}");
    let in_threads = received.iter().filter(|r| r.body.contains("web crashed"));
    for request in in_threads {
        assert!(request.path.contains("thread_id="), "{}", request.path);
    }
}

#[test]
fn a_message_is_taken_away_at_slack_when_that_is_wanted() {
    let slack = Slack::start();
    let target = slack.target("on_resolve = \"delete\"");
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &chat(&target)));
    let taken = slack
        .receiver
        .wait_for("the end", |r| r.path == "/api/chat.delete");
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let taken = taken.json();
    assert_eq!(
        (&taken["channel"], &taken["ts"]),
        (&"C01".into(), &Value::from("1.001"))
    );
    assert_eq!(slack.left(), 0, "nothing is left");
}

#[test]
fn a_message_that_people_have_deleted_is_made_anew() {
    let discord = Discord::start(false);
    let config = crashes_once("web").replace("\"300ms\"", "\"2s\"") + &chat(&discord.target());
    let mut supervisor = Supervisor::running(&config);
    discord
        .receiver
        .wait_for("the crash", |r| r.body.contains("web crashed"));
    discord.forget();
    discord.receiver.wait_for("its end", |r| {
        r.method == "POST" && r.body.contains("web recovered")
    });
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let all = states(&supervisor);
    assert!(all.iter().all(|(state, _)| state == "delivered"), "{all:?}");
}

#[test]
fn what_happened_while_a_chat_was_away_is_told_in_one_message_that_says_so() {
    let discord = Discord::start(false);
    discord.be_away(true);
    let target = format!("{}\nbreaker = {{ failures = 1000 }}", discord.target());
    let mut supervisor = Supervisor::running(&(crashes_once("web") + &chat(&target)));
    crate::support::wait_for("the recovery to be recorded", || {
        let events = supervisor.events_of("program.recovered", "web");
        (!events.is_empty()).then_some(()).ok_or_else(String::new)
    });
    let before = discord.receiver.count();
    discord.be_away(false);
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    let received = discord.receiver.received();
    let told: Vec<&Received> = received[before..]
        .iter()
        .filter(|r| r.body.contains("web ") && !r.body.contains("supervis"))
        .collect();
    // An attempt at the crash alone may have been under way.
    let last = told.last().expect("it is told");
    assert!(last.body.contains("web recovered"), "{}", last.body);
    let all = states(&supervisor);
    let ids: Vec<_> = all.iter().filter_map(|(_, id)| id.clone()).collect();
    assert!(all.iter().all(|(state, _)| state == "delivered"), "{all:?}");
    assert!(
        ids.len() >= 2 && ids.windows(2).all(|w| w[0] == w[1]),
        "{all:?}"
    );
    if told.len() == 1 {
        assert!(last.body.contains("was not told before"), "{}", last.body);
    }
}
