//! The API over TCP: who is let in, what everybody else is told, and that nobody can keep others out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::{PATIENCE, wait_for};

const TOKEN: &str = "full-0123456789abcdef";
const READ_TOKEN: &str = "read-0123456789abcdef";

/// An answer: status, headers (with their names in lower case) and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    /// Of everything that came over a connection.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, body) = text.split_once("\r\n\r\n").ok_or(text)?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok(Self {
            status: status.ok_or(head)?,
            headers: head.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A refusal as RFC 9457 has it, with this status.
    pub fn assert_refused(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.headers
                .contains("content-type: application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        for key in ["type", "title", "detail"] {
            assert!(problem[key].is_string(), "{self:?}");
        }
        assert_ne!(problem["title"], "Internal Server Error");
        problem
    }
}

/// Where the supervisor answers over TCP.
pub fn address(supervisor: &Supervisor) -> SocketAddr {
    wait_for("an address over TCP", || {
        let status = supervisor.status();
        let http = status["supervisor"]["http"].as_str();
        let address = http.and_then(|text| text.parse().ok());
        address.ok_or_else(|| status["supervisor"].to_string())
    })
}

/// Sends these bytes and reads to the end.
pub fn exchange(to: SocketAddr, bytes: &[u8]) -> Result<Answer, String> {
    let mut stream = TcpStream::connect(to).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // It may answer, and close, before it has read everything.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    Answer::parse(&text).map_err(|seen| format!("{seen:?} {read:?}"))
}

/// One request with these headers, to `localhost`.
pub fn ask(to: SocketAddr, line: &str, headers: &[(&str, &str)]) -> Answer {
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        text.extend([*name, ": ", *value, "\r\n"]);
    }
    text.push_str("\r\n");
    exchange(to, text.as_bytes()).unwrap_or_else(|seen| panic!("{line}: {seen}"))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

const PROGRAM: &str = "[program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n";

fn with_tokens() -> String {
    format!(
        "[control]\nhttp = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\nread_token = \"{READ_TOKEN}\"\n{PROGRAM}"
    )
}

#[test]
fn without_a_token_http_is_for_reading() {
    let supervisor = Supervisor::running(&format!("[control]\nhttp = \"localhost:0\"\n{PROGRAM}"));
    let to = address(&supervisor);
    let status = ask(to, "GET /api/v1/status", &[]);
    assert_eq!(status.status, 200);
    assert_eq!(status.json()["programs"][0]["name"], "web");
    let stop = ask(to, "POST /api/v1/programs/web/stop", &[]);
    stop.assert_refused(403);
    assert_eq!(ask(to, "GET /healthz", &[]).json()["status"], "healthy");
    supervisor.wait_phase("web", "running");
}

#[test]
fn a_token_steers_and_the_other_one_looks() {
    let supervisor = Supervisor::running(&with_tokens());
    let to = address(&supervisor);
    let (full, read) = (bearer(TOKEN), bearer(READ_TOKEN));
    let none = ask(to, "GET /api/v1/status", &[]);
    none.assert_refused(401);
    assert!(
        none.headers.contains("www-authenticate: bearer"),
        "{none:?}"
    );
    let look = ask(to, "GET /api/v1/status", &[("Authorization", &read)]);
    assert_eq!(look.status, 200);
    for secret in [TOKEN, READ_TOKEN] {
        assert!(!look.body.contains(secret));
    }
    let stop = "POST /api/v1/programs/web/stop";
    ask(to, stop, &[("Authorization", &read)]).assert_refused(403);
    let stopped = ask(to, stop, &[("Authorization", &full)]);
    assert_eq!((stopped.status, &stopped.json()["ok"]), (200, &true.into()));
    assert_eq!(supervisor.program("web")["phase"], "stopped");
    assert_eq!(ask(to, "GET /healthz", &[]).status, 200);
    let (_, log) = supervisor.output();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn every_refusal_says_what_is_wrong() {
    let supervisor = Supervisor::running(&with_tokens());
    let to = address(&supervisor);
    let full = bearer(TOKEN);
    let asked = |line: &str| ask(to, line, &[("Authorization", &full)]);
    asked("GET /api/v1/nothing").assert_refused(404);
    asked("POST /api/v1/programs/wbe/start").assert_refused(404);
    for hostile in ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "%00", "/etc"] {
        let line = format!("GET /api/v1/programs/{hostile}/explain");
        asked(&line).assert_refused(404);
    }
    asked("GET /../../etc/passwd").assert_refused(404);
    let wrong = asked("DELETE /api/v1/status");
    wrong.assert_refused(405);
    assert!(wrong.headers.contains("allow: get"), "{wrong:?}");
    asked("GET /api/v1/events?limit=many").assert_refused(400);
    asked("POST /api/v1/programs/web/signal?signal=NONE").assert_refused(400);
    let large = ask(
        to,
        "POST /api/v1/programs/web/send",
        &[("Authorization", &full), ("Content-Length", "99999999")],
    );
    large.assert_refused(413);
    let heavy = "x".repeat(20_000);
    ask(to, "GET /api/v1/status", &[("Cookie", &heavy)]).assert_refused(431);
    supervisor.write("jikimi.toml", &format!("{}nonsense = 1\n", with_tokens()));
    let refused = asked("POST /api/v1/reload").assert_refused(422);
    assert!(refused["faults"].is_array(), "{refused}");
    for line in ["get /", "GET http://localhost/api/v1/status", "GET status"] {
        let status = asked(line).status;
        assert!((400..500).contains(&status), "{line}: {status}");
    }
}

#[test]
fn pages_and_names_of_others_are_refused_also_with_the_token() {
    let supervisor = Supervisor::running(&with_tokens());
    let to = address(&supervisor);
    let full = bearer(TOKEN);
    let origin = format!("http://{to}");
    for (header, expected) in [
        (("Host", "evil.example"), 403),
        (("Origin", "http://evil.example"), 403),
        (("Origin", "null"), 403),
        (("Sec-Fetch-Site", "cross-site"), 403),
        (("Sec-Fetch-Site", "same-origin"), 200),
    ] {
        for line in ["GET /api/v1/status", "POST /api/v1/programs/web/restart"] {
            let answer = ask(to, line, &[("Authorization", &full), header]);
            assert_eq!(answer.status, expected, "{line} {header:?}");
            assert!(!answer.headers.contains("access-control"), "{answer:?}");
        }
    }
    let own = [
        ("Host", &*to.to_string()),
        ("Origin", &*origin),
        ("Authorization", &*full),
    ];
    assert_eq!(ask(to, "GET /api/v1/status", &own).status, 200);
    let preflight = ask(
        to,
        "OPTIONS /api/v1/status",
        &[("Origin", "http://evil.example")],
    );
    preflight.assert_refused(403);
}

#[test]
fn who_guesses_is_told_to_wait_and_locks_nobody_out() {
    let supervisor = Supervisor::running(&with_tokens());
    let to = address(&supervisor);
    let guess = |n: usize| bearer(&format!("guess-{n:020}"));
    let found = wait_for("too many guesses", || {
        let answers =
            (0..30).map(|n| ask(to, "GET /api/v1/status", &[("Authorization", &guess(n))]));
        let answers: Vec<Answer> = answers.collect();
        let statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
        assert!(
            statuses.iter().all(|s| [401, 429].contains(s)),
            "{statuses:?}"
        );
        let late = answers.into_iter().find(|answer| answer.status == 429);
        late.ok_or_else(|| format!("{statuses:?}"))
    });
    found.assert_refused(429);
    assert!(found.headers.contains("retry-after: "), "{found:?}");
    let full = bearer(TOKEN);
    let holder = ask(to, "GET /api/v1/status", &[("Authorization", &full)]);
    assert_eq!(holder.status, 200);
}

#[test]
fn beyond_this_machine_nothing_is_opened_without_a_token() {
    let supervisor = Supervisor::configured("[control]\nhttp = \"0.0.0.0:0\"\n");
    let run = supervisor.cli(&["run"]);
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        said.contains("jikimi.toml:2:8: control.http: others could reach it"),
        "{said}"
    );
    supervisor.write(
        "jikimi.toml",
        &format!("[control]\nhttp = \"0.0.0.0:0\"\ntoken = \"{TOKEN}\"\n"),
    );
    assert!(supervisor.cli(&["check"]).status.success());
    supervisor.write(
        "jikimi.toml",
        "[control]\nhttp = \"127.0.0.1:0\"\ntoken = \"short\"\n",
    );
    let short = supervisor.cli(&["check"]);
    assert_eq!(short.status.code(), Some(3), "{short:?}");
    assert!(String::from_utf8_lossy(&short.stderr).contains("could be guessed"));
}

#[test]
fn a_taken_port_is_an_issue_and_is_tried_until_it_is_free() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("bound");
    let supervisor = Supervisor::running(&format!(
        "[control]\nhttp = \"{taken}\"\n[checkpoint]\ninterval = \"200ms\"\n{PROGRAM}"
    ));
    supervisor.wait_phase("web", "running");
    let own = supervisor.status()["supervisor"].clone();
    assert_eq!(own["health"], "degraded", "{own}");
    assert!(
        own["issues"]
            .to_string()
            .contains("is taken by another program"),
        "{own}"
    );
    assert!(own["http"].is_null(), "{own}");
    drop(holder);
    assert_eq!(address(&supervisor), taken);
    assert_eq!(ask(taken, "GET /healthz", &[]).json()["status"], "healthy");
    assert_eq!(supervisor.status()["supervisor"]["health"], "healthy");
}

#[test]
fn tokens_change_with_a_reload() {
    let supervisor = Supervisor::running(&with_tokens());
    let to = address(&supervisor);
    let other = "another-0123456789abcdef";
    supervisor.write("jikimi.toml", &with_tokens().replace(TOKEN, other));
    let reloaded = supervisor.cli(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    let said = String::from_utf8_lossy(&reloaded.stdout);
    assert!(
        said.contains("control.token") && !said.contains(other),
        "{said}"
    );
    let of = |token: &str| {
        let value = bearer(token);
        ask(to, "GET /api/v1/status", &[("Authorization", &value)]).status
    };
    assert_eq!((of(TOKEN), of(other)), (401, 200));
}

/// Raises this process's own limit, for the many sockets.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("within the hard limit");
}

#[test]
fn a_thousand_who_say_nothing_are_sent_away_politely_and_keep_nobody_out() {
    allow_many_files();
    let supervisor = Supervisor::running(&format!("[control]\nhttp = \"127.0.0.1:0\"\n{PROGRAM}"));
    let to = address(&supervisor);
    let idle: Vec<TcpStream> = (0..1_000)
        .map(|_| TcpStream::connect(to).expect("it listens"))
        .collect();
    wait_for("an answer among them", || {
        let answer = exchange(to, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        match answer.status {
            200 => Ok(()),
            _ => Err(format!("{answer:?}")),
        }
    });
    // The first ones were the first to go.
    let mut first = &idle[0];
    first.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut text = String::new();
    first
        .read_to_string(&mut text)
        .expect("an answer and an end");
    let refused = Answer::parse(&text).expect("a whole answer");
    refused.assert_refused(503);
    assert!(refused.headers.contains("retry-after: "), "{refused:?}");
    let threads = supervisor.status()["supervisor"]["threads"].as_u64();
    assert!(threads.is_some_and(|n| n < 150), "{threads:?}");
    assert_eq!(supervisor.cli(&["status"]).status.code(), Some(0));
}

#[test]
fn who_sends_slowly_is_cut_and_told_so() {
    let supervisor = Supervisor::running(&format!("[control]\nhttp = \"127.0.0.1:0\"\n{PROGRAM}"));
    let to = address(&supervisor);
    let mut slow = TcpStream::connect(to).expect("it listens");
    slow.set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a socket");
    let mut text = String::new();
    let answer = wait_for("an end to its patience", || {
        // A byte at a time keeps no connection alive.
        let _ = slow.write_all(b"G");
        let mut chunk = [0; 512];
        match slow.read(&mut chunk) {
            Ok(0) => Answer::parse(&text),
            Ok(n) => {
                text.push_str(&String::from_utf8_lossy(&chunk[..n]));
                Answer::parse(&text)
            }
            Err(error) => Err(error.to_string()),
        }
    });
    answer.assert_refused(408);
}
