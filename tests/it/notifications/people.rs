//! Chats and phones that are reached by a token or a webhook: what people are told of an incident, and that it
//! keeps to what each of them takes.

use super::FAST;
use super::fakes::google_chat::GoogleChat;
use super::fakes::gotify::Gotify;
use super::fakes::matrix::Matrix;
use super::fakes::mattermost::Mattermost;
use super::fakes::ntfy::Ntfy;
use super::fakes::pushover::Pushover;
use super::fakes::teams::Teams;
use super::fakes::{Chat, Fake, Trouble};
use crate::support::receiver::{Received, Reply};
use crate::support::supervisor::Supervisor;

/// Crashes twice, with words that are meant for the chat rather than for people, and stays up the third time.
const CRASHES_TWICE: &str = r#"
[program.web]
shell = true
command = '''
[ -e second ] && exec sleep 1000
[ -e first ] && touch second
touch first
head -c 20000 /dev/zero | tr '\0' '`'; echo
for i in 1 2 3 4 5 6; do
  printf '@everyone @channel <!channel> <users/all> <at>x</at> ```out``` [x](http://evil.test) <b>&amp; "\\n"\n' >&2
done
printf '\033[31mred\007 \377\376 \342\200\256desrever ``` </code></pre>' >&2
exit 3
'''
start_confirm = "50ms"
backoff = { initial = "50ms", jitter = 0.0 }
recover_after = "300ms"
"#;

const KEY: &str = "aaaaaaaaaabbbbbbbbbbcccccccccc";
const USER: &str = "uuuuuuuuuuvvvvvvvvvvwwwwwwwwww";
const NTFY: Ntfy = Ntfy {
    topic: "ops",
    token: "tk_1",
    has_sequences: true,
};
const PUSHOVER: Pushover = Pushover {
    token: KEY,
    user: USER,
};

fn ntfy(fake: &Fake) -> String {
    format!(
        "kind = \"ntfy\"\nurl = \"{}\"\ntopic = \"ops\"\ntoken = \"tk_1\"",
        fake.url("")
    )
}

fn mattermost(fake: &Fake) -> String {
    format!(
        "kind = \"mattermost\"\nurl = \"{}\"",
        fake.url("/hooks/key")
    )
}

fn google_chat(fake: &Fake) -> String {
    let url = fake.url("/v1/spaces/AAA/messages?key=K&token=T");
    format!("kind = \"google_chat\"\nurl = \"{url}\"")
}

fn teams(fake: &Fake) -> String {
    let url = fake.url("/workflows/w1/triggers/manual/paths/invoke?api-version=2016-06-01&sig=S");
    format!("kind = \"teams\"\nurl = \"{url}\"")
}

fn matrix(fake: &Fake) -> String {
    let url = fake.url("");
    format!(
        "kind = \"matrix\"\nurl = \"{url}\"\ntoken = \"syt_token\"\nroom = \"!ops:example.org\""
    )
}

fn gotify(fake: &Fake) -> String {
    let url = fake.url("");
    format!("kind = \"gotify\"\nurl = \"{url}\"\ntoken = \"Aapp\"\nclient_token = \"Cclient\"")
}

fn pushover(fake: &Fake) -> String {
    let url = fake.url("");
    format!("kind = \"pushover\"\nurl = \"{url}\"\ntoken = \"{KEY}\"\nuser = \"{USER}\"")
}

fn config(target: &str, more: &str) -> String {
    format!(
        "{CRASHES_TWICE}\n[target.chat]\n{target}\n{FAST}\n{more}\n[[route]]\ntargets = [\"chat\"]\ngroup_wait = \"0s\"\n"
    )
}

/// Runs the program that crashes twice and gives the fake when its recovery was told. Nothing may be refused.
fn told(chat: impl Chat, target: fn(&Fake) -> String) -> Fake {
    let fake = Fake::start(chat);
    let mut supervisor = Supervisor::running(&config(&target(&fake), ""));
    fake.wait_said("web recovered");
    supervisor.stop();
    assert_eq!(fake.refused(), Vec::<String>::new());
    let said: Vec<String> = fake.shown().into_iter().flat_map(|m| m.said).collect();
    assert!(said[0].contains("web crashed"), "{said:#?}");
    // On a slow machine the second crash comes before the first was told: then one message tells both.
    let crashes = said.iter().filter(|s| s.contains("web crashed")).count();
    assert!(crashes >= 2 || said[0].contains("Restarts: 1"), "{said:#?}");
    assert!(
        said[0].contains("evil.test"),
        "its last words are there: {}",
        said[0]
    );
    assert!(
        said[0].contains("exit code 3") || said[0].contains("exit code"),
        "{}",
        said[0]
    );
    for text in &said {
        let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
    }
    fake
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_at_ntfy() {
    let fake = told(NTFY, ntfy);
    assert!(
        fake.requests()
            .iter()
            .all(|r| r.path == "/" || r.method == "DELETE")
    );
    for message in fake.shown() {
        assert!(
            message
                .said
                .iter()
                .all(|s| !s.contains("@everyone") && !s.contains("://")),
            "{message:?}"
        );
    }
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_at_an_ntfy_that_knows_no_sequences() {
    let old = Ntfy {
        has_sequences: false,
        ..NTFY
    };
    let fake = told(old, ntfy);
    assert!(
        fake.shown().len() >= 3,
        "each is a message of its own: {:#?}",
        fake.shown()
    );
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_at_mattermost() {
    let fake = told(Mattermost, mattermost);
    // The colour, as an incident looks and as its end does.
    let colours: Vec<String> = fake
        .requests()
        .iter()
        .filter_map(|r| {
            r.json()["attachments"][0]["color"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(colours.first().map(String::as_str), Some("#E67E22"));
    assert_eq!(colours.last().map(String::as_str), Some("#2ECC71"));
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_one_thread_at_google_chat() {
    let fake = told(GoogleChat::default(), google_chat);
    let threads: Vec<_> = fake.shown().into_iter().map(|m| m.answers).collect();
    assert!(
        threads.windows(2).all(|pair| pair[0] == pair[1]),
        "{threads:?}"
    );
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_in_teams() {
    told(Teams, teams);
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_in_a_matrix_room() {
    told(Matrix::default(), matrix);
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_at_gotify() {
    told(Gotify, gotify);
}

#[test]
fn a_crash_that_comes_again_and_its_end_are_told_at_pushover() {
    told(PUSHOVER, pushover);
}

/// Loses the answer to the first request.
fn loses_first(count: usize, _: &Received) -> Trouble {
    if count == 0 {
        Trouble::LostAnswer
    } else {
        Trouble::None
    }
}

/// How often the first crash is to be seen when the answer to its message was lost.
fn seen_after_a_lost_answer(chat: impl Chat, target: fn(&Fake) -> String) -> usize {
    let fake = Fake::troubled(chat, loses_first);
    let mut supervisor = Supervisor::running(&config(&target(&fake), ""));
    fake.wait_said("web recovered");
    supervisor.stop();
    assert_eq!(fake.refused(), Vec::<String>::new());
    let first = fake.shown()[0].said[0].clone();
    let footer = first.lines().last().unwrap_or_default().to_owned();
    assert!(!footer.is_empty(), "{first}");
    // The event's id stands in the last line, by which a double is recognised.
    // What came after it may be told in its place, and is marked then.
    let is_same = |s: &String| s.lines().last() == Some(&footer) || s.contains("may be told twice");
    let again = |m: &super::fakes::Shown| m.said.iter().any(is_same);
    fake.shown().iter().filter(|m| again(m)).count()
}

#[test]
fn a_message_whose_answer_was_lost_is_seen_once_where_messages_have_keys() {
    assert_eq!(seen_after_a_lost_answer(NTFY, ntfy), 1);
    assert_eq!(
        seen_after_a_lost_answer(GoogleChat::default(), google_chat),
        1
    );
    assert_eq!(seen_after_a_lost_answer(Matrix::default(), matrix), 1);
}

#[test]
fn a_message_whose_answer_was_lost_is_seen_twice_rather_than_never_where_they_have_none() {
    assert_eq!(seen_after_a_lost_answer(Gotify, gotify), 2);
    assert_eq!(seen_after_a_lost_answer(PUSHOVER, pushover), 2);
    assert_eq!(seen_after_a_lost_answer(Teams, teams), 2);
    assert_eq!(seen_after_a_lost_answer(Mattermost, mattermost), 2);
}

/// Refuses the form of the first message twice, as if the chat took less than is said of it.
fn takes_only_lines(
    refusal: (u16, &'static str),
) -> impl FnMut(usize, &Received) -> Trouble + Send {
    move |count, _| match count {
        0 | 1 => Trouble::Instead(Reply::Status(refusal.0, vec![], refusal.1.to_owned())),
        _ => Trouble::None,
    }
}

#[test]
fn a_message_that_is_refused_for_its_form_is_told_in_a_line_rather_than_not_at_all() {
    fn first_line(fake: &Fake, target: &str) {
        let mut supervisor = Supervisor::running(&config(target, ""));
        fake.wait_said("web recovered");
        supervisor.stop();
        assert_eq!(fake.refused(), Vec::<String>::new());
        let first = fake.shown()[0].said[0].trim().to_owned();
        assert!(
            first.contains("web crashed") && !first.contains("evil"),
            "{first}"
        );
    }
    let fake = Fake::troubled(
        NTFY,
        takes_only_lines((413, r#"{"code":41303,"http":413}"#)),
    );
    first_line(&fake, &ntfy(&fake));
    let fake = Fake::troubled(
        Mattermost,
        takes_only_lines((400, r#"{"id":"web.incoming_webhook.parse.app_error"}"#)),
    );
    first_line(&fake, &mattermost(&fake));
    let fake = Fake::troubled(GoogleChat::default(), takes_only_lines((400, "{}")));
    first_line(&fake, &google_chat(&fake));
    let fake = Fake::troubled(Teams, takes_only_lines((413, "")));
    first_line(&fake, &teams(&fake));
    let fake = Fake::troubled(
        Matrix::default(),
        takes_only_lines((413, r#"{"errcode":"M_TOO_LARGE"}"#)),
    );
    first_line(&fake, &matrix(&fake));
    let fake = Fake::troubled(Gotify, takes_only_lines((400, "{}")));
    first_line(&fake, &gotify(&fake));
    let fake = Fake::troubled(
        PUSHOVER,
        takes_only_lines((400, r#"{"message":"invalid","status":0}"#)),
    );
    first_line(&fake, &pushover(&fake));
}

#[test]
fn a_token_that_is_taken_back_stops_its_target_and_shows_in_no_message() {
    let fake = Fake::start(Ntfy {
        token: "tk_another",
        ..NTFY
    });
    let mut supervisor = Supervisor::running(&config(&ntfy(&fake), ""));
    let target = supervisor.wait_target("chat", "dead", |t| t["state"] == "dead");
    assert!(
        target["last_error"]
            .as_str()
            .is_some_and(|e| e.contains("40101")),
        "{target}"
    );
    supervisor.stop();
    let (out, err) = supervisor.output();
    assert!(!out.contains("tk_1") && !err.contains("tk_1"), "{err}");
}
