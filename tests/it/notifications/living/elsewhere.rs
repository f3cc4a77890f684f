//! Living messages in Matrix and ntfy: threads, edits, answers and deletions by `on_resolve`.

use super::super::crashes_once;
use super::super::fakes::matrix::Matrix;
use super::super::fakes::ntfy::Ntfy;
use super::super::fakes::{Fake, Shown};
use super::{chat, settled};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const NTFY: Ntfy = Ntfy {
    topic: "ops",
    token: "tk_1",
    has_sequences: true,
};

fn matrix(fake: &Fake, more: &str) -> String {
    let url = fake.url("");
    chat(&format!(
        "kind = \"matrix\"\nurl = \"{url}\"\ntoken = \"syt_token\"\nroom = \"!ops:example.org\"\n{more}"
    ))
}

fn ntfy(fake: &Fake, more: &str) -> String {
    let url = fake.url("");
    chat(&format!(
        "kind = \"ntfy\"\nurl = \"{url}\"\ntopic = \"ops\"\ntoken = \"tk_1\"\n{more}"
    ))
}

/// Lets the program crash and recover, until what is shown is as `is_done` wants it.
fn shown(fake: &Fake, config: &str, is_done: fn(&[Shown]) -> bool) -> Vec<Shown> {
    let mut supervisor = Supervisor::running(&(crashes_once("web") + config));
    wait_for("the end of the incident", || {
        let shown = fake.shown();
        if is_done(&shown) {
            Ok(())
        } else {
            Err(format!("{shown:#?}\n{:#?}", fake.refused()))
        }
    });
    settled(&supervisor);
    assert_eq!(supervisor.stop(), 0);
    fake.shown()
}

fn last(message: &Shown) -> &str {
    message.said.last().map_or("", String::as_str)
}

#[test]
fn a_program_has_a_thread_in_a_matrix_room_with_the_message_and_its_answer() {
    let fake = Fake::start(Matrix::default());
    let keys = "thread = \"per-program\"\non_resolve = \"edit_and_reply\"";
    let shown = shown(&fake, &matrix(&fake, keys), |shown| {
        shown.len() >= 3
            && shown
                .iter()
                .skip(1)
                .all(|m| last(m).contains("web recovered"))
    });
    let [root, message, answer] = shown.as_slice() else {
        panic!("{shown:#?}");
    };
    assert_eq!(
        (root.said.as_slice(), &root.answers),
        (&["web".to_owned()][..], &None)
    );
    assert!(message.said[0].contains("web crashed"), "{message:?}");
    for hanging in [message, answer] {
        assert_eq!(hanging.answers.as_ref(), Some(&root.id), "{hanging:?}");
    }
    assert_eq!(fake.refused(), Vec::<String>::new());
    let bodies = fake.requests();
    let relation = bodies.last().expect("the answer").json()["m.relates_to"].clone();
    assert_eq!(relation["m.in_reply_to"]["event_id"], message.id.as_str());
    assert_eq!(relation["is_falling_back"], false);
}

#[test]
fn what_belongs_into_a_matrix_thread_that_is_gone_goes_to_the_room_and_says_so() {
    let fake = Fake::start(Matrix::default());
    let shown = shown(&fake, &matrix(&fake, "thread = \"$gone\""), |shown| {
        shown.iter().any(|m| last(m).contains("web recovered"))
    });
    let [message] = shown.as_slice() else {
        panic!("{shown:#?}");
    };
    assert_eq!(message.answers, None);
    assert!(
        message.said[0].contains("a thread that is not there"),
        "{message:?}"
    );
}

#[test]
fn a_message_is_redacted_in_matrix_and_deleted_at_ntfy_when_that_is_wanted() {
    let keys = "on_resolve = \"delete\"";
    let (room, topic) = (Fake::start(Matrix::default()), Fake::start(NTFY));
    for (fake, config) in [(&room, matrix(&room, keys)), (&topic, ntfy(&topic, keys))] {
        let shown = shown(fake, &config, |shown| shown.iter().any(|m| m.is_deleted));
        let [message] = shown.as_slice() else {
            panic!("{shown:#?}");
        };
        assert!(message.said[0].contains("web crashed"), "{message:?}");
        assert_eq!(fake.refused(), Vec::<String>::new());
    }
}

#[test]
fn the_end_is_heard_at_ntfy_when_it_is_answered_or_sent_anew() {
    for (word, is_edited) in [("edit_and_reply", true), ("new", false)] {
        let fake = Fake::start(NTFY);
        let config = ntfy(&fake, &format!("on_resolve = \"{word}\""));
        let shown = shown(&fake, &config, |shown| {
            shown.len() >= 2 && last(&shown[1]).contains("web recovered")
        });
        let [first, second] = shown.as_slice() else {
            panic!("{shown:#?}");
        };
        assert!(first.said[0].contains("web crashed"), "{word}: {first:?}");
        assert_eq!(
            last(first).contains("web recovered"),
            is_edited,
            "{word}: {first:?}"
        );
        assert!(
            second.said[0].contains("web recovered"),
            "{word}: {second:?}"
        );
        assert_eq!(fake.refused(), Vec::<String>::new());
    }
}
