//! `inbox`: a small local receiver that prints the notifications it gets. Keeps nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::Sha256;

use super::args::InboxArgs;
use super::format::when;
use super::output::{Failure, Out, chain, complain};
use crate::clock::{Wall, wall};
use crate::control::conn::{Listener, Peer};
use crate::control::http::Request;
use crate::control::response::{Problem, Response};
use crate::control::server::{Bounds, Call, Handler, Server};
use crate::limits;
use crate::text;

/// `jikimi inbox`: until a signal ends it.
pub fn inbox(asked: &InboxArgs) -> Result<(), Failure> {
    let key = asked.secret.as_deref().map(signing_key).transpose()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, asked.port));
    let listener = Listener::tcp(address).map_err(|e| Failure::Failed(chain(&e)))?;
    let shown = listener.tcp_address().unwrap_or(address);
    let mut out = Out::stdout();
    out.line(&format!("inbox: listening on http://{shown}/"))?;
    let inbox = Inbox {
        out: Mutex::new(out),
        json: asked.json,
        key,
    };
    let server = Server::start(listener, BOUNDS, Arc::new(inbox));
    server.map_err(|e| Failure::Failed(chain(&e)))?.wait();
    Ok(())
}

const BOUNDS: Bounds = Bounds {
    thread: "inbox",
    connections: limits::INBOX_CONNECTIONS,
    request: limits::CONTROL_REQUEST,
    body_bytes: limits::INBOX_BODY_BYTES,
};

struct Inbox {
    out: Mutex<Out>,
    json: bool,
    key: Option<Vec<u8>>,
}

impl Handler for Inbox {
    fn admit(&self, request: &Request, _peer: &Peer) -> Result<(), Problem> {
        if !matches!(request.method.as_str(), "POST" | "PUT") {
            let mut problem = Problem::new(405, "send notifications with POST");
            problem.allow = Some("POST, PUT");
            return Err(problem);
        }
        match &self.key {
            Some(key) if !is_signed(request, key) => {
                complain("inbox: refused a message that is not signed with the secret");
                Err(Problem::new(401, "the signature is missing or wrong"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn handle(&self, request: &Request, _call: &Call) -> Response {
        let shown = show(&request.body, self.json, wall());
        let mut out = self.out.lock();
        for line in shown {
            if out.line(&line).is_err() {
                return Problem::new(503, "nobody reads this inbox any more").into();
            }
        }
        Response::empty(204)
    }
}

/// What is printed for one body.
fn show(body: &[u8], json: bool, now: Wall) -> Vec<String> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return vec![format!("{}  {}", when(now, now), text::printable(body))];
    };
    if json {
        // Strings are escaped by JSON; what else a terminal might obey is not in its grammar.
        let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
        return pretty
            .lines()
            .map(|l| text::printable(l.as_bytes()).into_owned())
            .collect();
    }
    let lines = notification(&value, now).unwrap_or_else(|| vec![value.to_string()]);
    lines
        .iter()
        .map(|line| text::printable(line.as_bytes()).into_owned())
        .collect()
}

/// A Standard Webhooks body as a line, and a second one about its incident.
fn notification(value: &Value, now: Wall) -> Option<Vec<String>> {
    let kind = value.get("type")?.as_str()?;
    let data = value.get("data")?;
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or("-");
    let time = value.get("timestamp").and_then(Value::as_str);
    let time = time.and_then(Wall::parse).unwrap_or(now);
    let first = format!(
        "{}  {:<8}  {kind:<19}  {} [{}]",
        when(time, now),
        text("severity"),
        text("summary"),
        text("host")
    );
    let second = data.get("incident").and_then(|incident| {
        let part = |key: &str| incident.get(key).map(plain).unwrap_or_default();
        (incident.is_object()).then(|| {
            format!(
                "           incident {} {}, {} event(s), opened {}",
                part("id"),
                part("state"),
                part("events"),
                part("opened_at")
            )
        })
    });
    Some(std::iter::once(first).chain(second).collect())
}

fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// The bytes of a `whsec_…` secret.
fn signing_key(secret: &str) -> Result<Vec<u8>, Failure> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    STANDARD
        .decode(encoded)
        .map_err(|_| Failure::Usage("the secret is not `whsec_` and base64".to_owned()))
}

/// Standard Webhooks: one of the space-separated `v1,<base64>` is the HMAC-SHA256 of `id.timestamp.body`.
fn is_signed(request: &Request, key: &[u8]) -> bool {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let signatures = header("webhook-signature").split(' ');
    let candidates = signatures.filter_map(|s| STANDARD.decode(s.strip_prefix("v1,")?).ok());
    candidates.into_iter().any(|signature| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return false;
        };
        mac.update(header("webhook-id").as_bytes());
        mac.update(b".");
        mac.update(header("webhook-timestamp").as_bytes());
        mac.update(b".");
        mac.update(&request.body);
        mac.verify_slice(&signature).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::cli::output::Memory;

    const BODY: &str = r#"{"type":"program.crashed","timestamp":"2023-11-14T22:13:20.000Z","data":{"id":"01A","severity":"warning","host":"box-1","summary":"web crashed: exit code 1","incident":{"id":"01B","seq":1,"state":"open","opened_at":"2023-11-14T22:13:20.000Z","events":1}}}"#;

    fn start(key: Option<Vec<u8>>) -> (Server, SocketAddr, Memory) {
        let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.tcp_address().expect("a port");
        let (seen, out) = Out::memory();
        let inbox = Inbox {
            out: Mutex::new(out),
            json: false,
            key,
        };
        let server = Server::start(listener, BOUNDS, Arc::new(inbox));
        (server.expect("room for a thread"), address, seen)
    }

    fn send(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("the inbox listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a live socket");
        stream
            .write_all(request.as_bytes())
            .expect("the inbox reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the inbox answers");
        answer
    }

    fn post(headers: &str) -> String {
        format!(
            "POST /any HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        )
    }

    fn seen_text(seen: &Memory) -> String {
        String::from_utf8_lossy(&seen.lock()).into_owned()
    }

    #[test]
    fn a_notification_is_printed_in_two_lines_and_acknowledged() {
        let (server, address, seen) = start(None);
        let answer = send(address, &post(""));
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let printed = seen_text(&seen);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            lines[0].ends_with(
                "22:13:20Z  warning   program.crashed      web crashed: exit code 1 [box-1]"
            ),
            "{printed}"
        );
        assert!(
            lines[1].contains("incident 01B open, 1 event(s)"),
            "{printed}"
        );
        assert!(send(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        server.stop();
    }

    #[test]
    fn with_a_secret_only_what_it_signed_is_taken() {
        let (server, address, seen) = start(Some(b"key".to_vec()));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length will do");
        mac.update(format!("msg_1.1700000000.{BODY}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let headers = |id: &str| {
            format!(
                "webhook-id: {id}\r\nwebhook-timestamp: 1700000000\r\nwebhook-signature: v1,AAAA v1,{signature}\r\n"
            )
        };
        assert!(send(address, &post("")).starts_with("HTTP/1.1 401 "));
        assert!(send(address, &post(&headers("msg_2"))).starts_with("HTTP/1.1 401 "));
        assert_eq!(seen_text(&seen), "");
        assert!(send(address, &post(&headers("msg_1"))).starts_with("HTTP/1.1 204 "));
        assert!(seen_text(&seen).contains("web crashed"));
        server.stop();
    }

    #[test]
    fn what_is_no_notification_is_shown_harmlessly() {
        let now = Wall::from_millis(0);
        assert_eq!(
            show(b"\x1b[2Jhi\n", false, now),
            ["00:00:00Z  \\x1b[2Jhi\\x0a"]
        );
        assert_eq!(show(b"[1]", false, now), ["[1]"]);
        assert_eq!(show(b"[1]", true, now), ["[", "  1", "]"]);
    }
}
