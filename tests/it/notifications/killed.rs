//! A kill at every step of an attempt, for every kind of target that is asked over HTTP: none is lost, none is told more
//! than twice, and where the service knows doubles by a key both have the same one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::{FAST, database};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const KEY: &str = "0123456789abcdefghijABCDEFGHIJ";
const ROUTING: &str = "0123456789abcdef0123456789abcdef";

/// A kind of target: its settings behind `URL`, a success, and the key by which the service knows a double.
struct Kind {
    name: &'static str,
    settings: &'static str,
    success: (u16, &'static str),
    key: Option<fn(&Received) -> String>,
}

fn body(request: &Received, pointer: &str) -> String {
    let json = request.json();
    let found = json.pointer(pointer).and_then(|v| v.as_str());
    found.unwrap_or_default().to_owned()
}

const fn kind(
    name: &'static str,
    settings: &'static str,
    success: (u16, &'static str),
    key: Option<fn(&Received) -> String>,
) -> Kind {
    Kind {
        name,
        settings,
        success,
        key,
    }
}

fn kinds() -> Vec<Kind> {
    let mut all = first_kinds();
    all.extend(more_kinds());
    all
}

fn first_kinds() -> Vec<Kind> {
    vec![
        kind(
            "webhook",
            "url = \"URL/\"",
            (204, ""),
            Some(|r| r.headers["webhook-id"].clone()),
        ),
        kind(
            "discord",
            "url = \"URL/api/webhooks/1/t\"",
            (200, r#"{"id":"1","channel_id":"2"}"#),
            None,
        ),
        kind("slack", "url = \"URL/services/T/B/x\"", (200, "ok"), None),
        kind(
            "telegram",
            "token = \"1:AA\"\nchat_id = -100\napi_url = \"URL\"",
            (
                200,
                r#"{"ok":true,"result":{"message_id":7,"chat":{"id":-100}}}"#,
            ),
            None,
        ),
        kind(
            "ntfy",
            "url = \"URL\"\ntopic = \"ops\"",
            (
                200,
                r#"{"id":"a","time":1,"event":"message","topic":"ops"}"#,
            ),
            Some(|r| body(r, "/sequence_id")),
        ),
        kind("mattermost", "url = \"URL/hooks/key\"", (200, "ok"), None),
    ]
}

fn more_kinds() -> Vec<Kind> {
    vec![
        kind(
            "google_chat",
            "url = \"URL/v1/spaces/A/messages?key=K&token=T\"",
            (
                200,
                r#"{"name":"spaces/A/messages/1.1","thread":{"name":"spaces/A/threads/1"}}"#,
            ),
            Some(|r| r.path.clone()),
        ),
        kind(
            "teams",
            "url = \"URL/workflows/w/triggers/manual/paths/invoke?sig=S\"",
            (202, ""),
            None,
        ),
        kind(
            "matrix",
            "url = \"URL\"\ntoken = \"t\"\nroom = \"!ops:example.org\"",
            (200, r#"{"event_id":"$1"}"#),
            Some(|r| r.path.clone()),
        ),
        kind(
            "gotify",
            "url = \"URL\"\ntoken = \"Aapp\"",
            (200, r#"{"id":1}"#),
            None,
        ),
        kind(
            "pushover",
            "url = \"URL\"\ntoken = \"KEY\"\nuser = \"KEY\"",
            (200, r#"{"status":1,"request":"r"}"#),
            None,
        ),
        kind(
            "pagerduty",
            "url = \"URL\"\nrouting_key = \"ROUTING\"",
            (
                202,
                r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#,
            ),
            Some(|r| body(r, "/dedup_key")),
        ),
    ]
}

/// Where the kill falls.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// The row is leased, and nobody has read the request.
    Leased,
    /// The request was read and not answered.
    Sent,
    /// It was answered, and the answer could not be stored.
    Answered,
    /// It is stored.
    Settled,
}

/// All kinds at once, each with a receiver of its own that holds its answers while it is told to.
struct Bench {
    supervisor: Supervisor,
    receivers: HashMap<&'static str, Receiver>,
    is_held: Arc<AtomicUsize>,
    lock: Arc<Mutex<Option<Connection>>>,
}

const ANSWERS: usize = 0;
const HANGS: usize = 1;
const LOCKS: usize = 2;

impl Bench {
    fn new(step: Step) -> Self {
        let is_held = Arc::new(AtomicUsize::new(match step {
            Step::Leased | Step::Sent => HANGS,
            Step::Answered => LOCKS,
            Step::Settled => ANSWERS,
        }));
        let lock: Arc<Mutex<Option<Connection>>> = Arc::default();
        let path: Arc<Mutex<std::path::PathBuf>> = Arc::default();
        let mut config = "[program.web]\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n\
            restart = \"never\"\n[notify]\nworkers = 16\nattempt_timeout = \"2m\"\n"
            .to_owned();
        let mut receivers = HashMap::new();
        let mut names = Vec::new();
        for kind in kinds() {
            let (held, lock, path) = (Arc::clone(&is_held), Arc::clone(&lock), Arc::clone(&path));
            let (status, text) = kind.success;
            let receiver = Receiver::scripted(move |_| match held.load(Ordering::SeqCst) {
                HANGS => Reply::Hang,
                what => {
                    if what == LOCKS {
                        lock_out(&lock, &held, &path.lock().expect("no panic in it"));
                    }
                    Reply::Status(status, vec![], text.to_owned())
                }
            });
            let settings = kind
                .settings
                .replace("URL", &receiver.url(""))
                .replace("ROUTING", ROUTING)
                .replace("KEY", KEY);
            let name = kind.name;
            config.push_str(
                &[
                    "[target.",
                    name,
                    "]\nkind = \"",
                    name,
                    "\"\n",
                    &settings,
                    "\n",
                    FAST,
                    "\n",
                ]
                .concat(),
            );
            names.push(format!("\"{name}\""));
            receivers.insert(name, receiver);
        }
        config.push_str(
            &[
                "[[route]]\nprograms = [\"web\"]\ntargets = [",
                &names.join(", "),
                "]\n",
            ]
            .concat(),
        );
        let supervisor = Supervisor::configured(&config);
        *path.lock().expect("no panic in it") = supervisor.file(".jikimi/jikimi.db");
        Self {
            supervisor,
            receivers,
            is_held,
            lock,
        }
    }

    fn states(&self) -> Vec<String> {
        let db = database(&self.supervisor);
        let mut read = db
            .prepare("SELECT state FROM deliveries")
            .expect("our own table");
        let rows = read.query_map([], |row| row.get(0));
        rows.and_then(Iterator::collect).expect("our own table")
    }

    fn wait_all(&self, state: &str) {
        wait_for(&format!("all {state}"), || {
            let states = self.states();
            let is_all = states.len() == kinds().len() && states.iter().all(|s| s == state);
            is_all.then_some(()).ok_or_else(|| states.join(" "))
        });
    }

    fn wait_asked(&self) {
        wait_for("every target to be asked", || {
            let silent: Vec<&str> = self
                .receivers
                .iter()
                .filter(|(_, r)| r.count() == 0)
                .map(|(name, _)| *name)
                .collect();
            silent
                .is_empty()
                .then_some(())
                .ok_or_else(|| silent.join(" "))
        });
    }
}

/// Nothing is stored any more, from the first answer on.
fn lock_out(lock: &Mutex<Option<Connection>>, held: &AtomicUsize, path: &std::path::Path) {
    let mut lock = lock.lock().expect("no panic in it");
    // One that comes late finds the kill behind it.
    if lock.is_none() && held.load(Ordering::SeqCst) == LOCKS {
        let db = Connection::open(path).expect("the database");
        db.busy_timeout(std::time::Duration::from_secs(20))
            .expect("a setting");
        db.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        *lock = Some(db);
    }
}

/// Kills it at `step`, starts it again, and checks what every target was told. Says how often at most.
fn killed_at(step: Step, most: usize) {
    let mut bench = Bench::new(step);
    bench.supervisor.spawn(&["run"]);
    match step {
        Step::Leased => {
            wait_for("all leased", || {
                if !bench.supervisor.file(".jikimi/jikimi.db").exists() {
                    return Err("no database".to_owned());
                }
                bench.supervisor.try_status().map(drop)
            });
            bench.wait_all("leased");
        }
        Step::Sent => bench.wait_asked(),
        // Those that were not asked before the lock are asked after the kill alone.
        Step::Answered => {
            wait_for("an answer under the lock", || {
                let locked = bench.lock.lock().expect("no panic in it").is_some();
                let count = bench.receivers.values().map(Receiver::count).sum::<usize>();
                (locked && count > 0).then_some(()).ok_or(count.to_string())
            });
        }
        Step::Settled => {
            bench.wait_asked();
            bench.wait_all("delivered");
        }
    }
    bench.supervisor.kill();
    bench.is_held.store(ANSWERS, Ordering::SeqCst);
    drop(bench.lock.lock().expect("no panic in it").take());
    bench.supervisor.start();
    bench.wait_all("delivered");
    assert_eq!(bench.supervisor.stop(), 0);
    for kind in kinds() {
        let name = kind.name;
        let requests = bench.receivers[name].received();
        assert!(!requests.is_empty(), "{name}: lost");
        assert!(requests.len() <= most, "{name}: {} times", requests.len());
        if let Some(key) = kind.key {
            let first = key(&requests[0]);
            assert!(!first.is_empty(), "{name}: no key");
            assert!(
                requests.iter().all(|r| key(r) == first),
                "{name}: another key"
            );
        }
    }
}

#[test]
fn killed_after_the_lease_nothing_is_lost_and_nothing_told_twice_but_what_was_on_its_way() {
    killed_at(Step::Leased, 2);
}

#[test]
fn killed_before_the_answer_it_is_told_again_under_the_same_key() {
    killed_at(Step::Sent, 2);
}

#[test]
fn killed_before_the_answer_is_stored_it_is_told_again_under_the_same_key() {
    killed_at(Step::Answered, 2);
}

#[test]
fn killed_after_the_answer_is_stored_nothing_is_told_again() {
    killed_at(Step::Settled, 1);
}
