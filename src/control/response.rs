//! Answers: JSON, problems (RFC 9457), streams, and how they are written. Knows no route.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::conn::Conn;
use crate::clock::mono;
use crate::limits;

/// A fault as the client sees it (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// One sentence for people.
    pub detail: String,
    /// More keys of the object.
    pub extra: Map<String, Value>,
    /// The methods that would do, with a 405.
    pub allow: Option<&'static str>,
    /// More headers of the answer.
    pub headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A fault with no more keys.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            extra: Map::new(),
            allow: None,
            headers: Vec::new(),
        }
    }

    /// The same with this header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with the key `key`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }
}

/// The bytes of an answer's body.
pub enum Body {
    /// All of it.
    Bytes(Vec<u8>),
    /// Pieces, written by this until it returns; the end of the connection is the end of the body.
    Stream(StreamBody),
}

/// Writes a body piece by piece.
pub type StreamBody =
    Box<dyn FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> + Send>;

/// An answer.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The methods that would do, with a 405.
    pub allow: Option<&'static str>,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// What follows the headers.
    pub body: Body,
}

impl Response {
    /// `value` as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::bytes(status, "application/json", bytes),
            Err(error) => {
                log::error!("an answer could not be written as JSON (a bug of ours): {error}");
                Problem::new(500, "the answer could not be written").into()
            }
        }
    }

    /// Nothing but the status.
    pub fn empty(status: u16) -> Self {
        Self::bytes(status, "text/plain", Vec::new())
    }

    /// These bytes.
    pub fn bytes(status: u16, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            status,
            content_type,
            allow: None,
            headers: Vec::new(),
            body: Body::Bytes(bytes),
        }
    }

    /// Server-sent events.
    pub fn event_stream(body: StreamBody) -> Self {
        Self {
            status: 200,
            content_type: "text/event-stream",
            allow: None,
            headers: Vec::new(),
            body: Body::Stream(body),
        }
    }

    /// Writes the answer; each piece of it within [`limits::CONTROL_WRITE`].
    pub fn write(self, conn: &Conn) -> io::Result<()> {
        let mut head = self.head();
        match self.body {
            Body::Bytes(bytes) => {
                head.extend_from_slice(&bytes);
                conn.write_all(&head, mono() + limits::CONTROL_WRITE)
            }
            Body::Stream(stream) => {
                conn.write_all(&head, mono() + limits::CONTROL_WRITE)?;
                stream(&mut |bytes| conn.write_all(bytes, mono() + limits::CONTROL_WRITE))
            }
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} {}", self.status, reason(self.status))];
        if let Some(allow) = self.allow {
            lines.push(format!("Allow: {allow}"));
        }
        for (name, value) in &self.headers {
            lines.push(format!("{name}: {value}"));
        }
        // 204 must not say a length (RFC 9110 section 8.6).
        if self.status != 204 {
            lines.push(format!("Content-Type: {}", self.content_type));
            if let Body::Bytes(bytes) = &self.body {
                lines.push(format!("Content-Length: {}", bytes.len()));
            }
        }
        lines.push("X-Content-Type-Options: nosniff".to_owned());
        lines.push("Cache-Control: no-store\r\nConnection: close\r\n\r\n".to_owned());
        lines.join("\r\n").into_bytes()
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let mut object = problem.extra;
        object.insert("type".to_owned(), json!("about:blank"));
        object.insert("title".to_owned(), json!(reason(problem.status)));
        object.insert("status".to_owned(), json!(problem.status));
        object.insert("detail".to_owned(), json!(problem.detail));
        let bytes = Value::Object(object).to_string().into_bytes();
        Self {
            allow: problem.allow,
            headers: problem.headers,
            ..Self::bytes(problem.status, "application/problem+json", bytes)
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
