//! The client: asks a running supervisor over its socket file. One connection a request, blocking. Owns no
//! knowledge of where the socket is; see [`super::discover`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::EventLine;
use super::conn::connect;
use super::peer;
use crate::limits;

/// A supervisor's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no supervisor answers at {}", socket.display())]
    NotRunning {
        /// The socket file.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It belongs to somebody else.
    #[error("the supervisor at {} belongs to another user; try as that user or as root", socket.display())]
    NotYours {
        /// The socket file.
        socket: PathBuf,
    },
    /// It answered that it will not.
    #[error("{detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its sentence.
        detail: String,
        /// What is wrong in detail, a line each, when it says so.
        faults: Vec<String>,
    },
    /// The connection ended without an answer: most likely the supervisor did.
    #[error("the supervisor ended before it answered")]
    Lost(#[source] io::Error),
    /// It does not answer.
    #[error("the supervisor does not answer within {} s", limits::CLIENT_TIMEOUT.as_secs())]
    TimedOut,
    /// What answered does not speak as a supervisor does.
    #[error("what answers at the socket is no supervisor this version understands: {0}")]
    Strange(String),
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// [`limits::CLIENT_TIMEOUT`].
    Short,
    /// As long as the supervisor lives: the answer comes when programs are up or down.
    Unlimited,
}

impl Client {
    /// The supervisor behind the socket file `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket file.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether somebody listens there.
    pub fn is_alive(&self) -> bool {
        self.open().is_ok()
    }

    /// `GET target`.
    pub fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, ClientError> {
        self.ask("GET", target, Patience::Short)
    }

    /// `POST target`, without a body.
    pub fn post<T: DeserializeOwned>(
        &self,
        target: &str,
        patience: Patience,
    ) -> Result<T, ClientError> {
        self.ask("POST", target, patience)
    }

    /// `POST target`, with `body`.
    pub fn post_body<T: DeserializeOwned>(
        &self,
        target: &str,
        body: &[u8],
    ) -> Result<T, ClientError> {
        answer_of(self.exchange_body(("POST", target), body, Patience::Short)?)
    }

    /// The server-sent events of `target`, which may be quiet for long.
    pub fn follow(&self, target: &str) -> Result<Follow, ClientError> {
        let (reader, head) = self.exchange("GET", target, Patience::Short)?;
        if head.status != 200 {
            return Err(refusal(&head, &read_body(reader, &head)?));
        }
        // The server gives a sign of life four times within this.
        let quiet = limits::CONTROL_HEARTBEAT * 4;
        let timeout = reader.get_ref().set_read_timeout(Some(quiet));
        timeout.map_err(ClientError::Lost)?;
        Ok(Follow { reader })
    }

    /// A watch on the process behind the socket, to be taken before it is told to end.
    pub fn watch(&self) -> Result<Watch, ClientError> {
        let stream = self.open()?;
        // For the connecting side the kernel tells who called listen(2).
        let peer = peer::credentials(&stream).map_err(ClientError::Lost)?;
        let pid = Pid::from_raw(peer.pid).ok_or_else(|| {
            let words = "the supervisor is outside of this container; use --no-wait";
            ClientError::Lost(io::Error::other(words))
        })?;
        let pidfd =
            pidfd_open(pid, PidfdFlags::empty()).map_err(|e| ClientError::Lost(e.into()))?;
        Ok(Watch {
            pid: peer.pid,
            pidfd,
        })
    }

    fn open(&self) -> Result<UnixStream, ClientError> {
        connect(&self.socket, limits::CLIENT_TIMEOUT).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotYours {
                socket: self.socket.clone(),
            },
            io::ErrorKind::WouldBlock => ClientError::TimedOut,
            _ => ClientError::NotRunning {
                socket: self.socket.clone(),
                source,
            },
        })
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        patience: Patience,
    ) -> Result<T, ClientError> {
        answer_of(self.exchange(method, target, patience)?)
    }

    fn exchange(
        &self,
        method: &str,
        target: &str,
        patience: Patience,
    ) -> Result<Answer, ClientError> {
        self.exchange_body((method, target), b"", patience)
    }

    fn exchange_body(
        &self,
        (method, target): (&str, &str),
        body: &[u8],
        patience: Patience,
    ) -> Result<Answer, ClientError> {
        let mut stream = self.open()?;
        let read_timeout = match patience {
            Patience::Short => Some(limits::CLIENT_TIMEOUT),
            Patience::Unlimited => None,
        };
        stream.set_read_timeout(read_timeout).map_err(lost)?;
        let length = body.len();
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: jikimi\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        // A server that is full answers and closes without having read: the answer counts, not this.
        let written = stream.write_all(&request);
        let mut reader = BufReader::new(stream);
        match (read_head(&mut reader), written) {
            (Ok(head), _) => Ok((reader, head)),
            (Err(ClientError::Lost(_)), Err(error)) => Err(ClientError::Lost(error)),
            (Err(error), _) => Err(error),
        }
    }
}

type Answer = (BufReader<UnixStream>, Head);

fn answer_of<T: DeserializeOwned>((reader, head): Answer) -> Result<T, ClientError> {
    let body = read_body(reader, &head)?;
    if !(200..300).contains(&head.status) {
        return Err(refusal(&head, &body));
    }
    serde_json::from_slice(&body).map_err(|e| ClientError::Strange(e.to_string()))
}

struct Head {
    status: u16,
    length: Option<usize>,
}

fn lost(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::TimedOut,
        _ => ClientError::Lost(error),
    }
}

fn strange(what: &str) -> ClientError {
    ClientError::Strange(what.to_owned())
}

fn read_head(reader: &mut BufReader<UnixStream>) -> Result<Head, ClientError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > limits::CONTROL_HEAD_BYTES {
            return Err(strange("its headers do not end"));
        }
        let room = u64::try_from(limits::CONTROL_HEAD_BYTES).unwrap_or(u64::MAX);
        let read = reader.by_ref().take(room).read_until(b'\n', &mut head);
        if read.map_err(lost)? == 0 {
            return Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let mut slots = [httparse::EMPTY_HEADER; limits::CONTROL_HEADERS];
    let mut parsed = httparse::Response::new(&mut slots);
    parsed
        .parse(&head)
        .map_err(|e| ClientError::Strange(e.to_string()))?;
    let length = parsed
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"))
        .and_then(|h| std::str::from_utf8(h.value).ok()?.parse().ok());
    let status = parsed.code.ok_or_else(|| strange("it sends no status"))?;
    Ok(Head { status, length })
}

fn read_body(reader: BufReader<UnixStream>, head: &Head) -> Result<Vec<u8>, ClientError> {
    let want = head.length.unwrap_or(0);
    if want > limits::CLIENT_BODY_BYTES {
        return Err(strange("its answer is too large"));
    }
    let mut body = Vec::new();
    let most = u64::try_from(want).unwrap_or(u64::MAX);
    let got = reader.take(most).read_to_end(&mut body).map_err(lost)?;
    if got < want {
        return Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body)
}

fn refusal(head: &Head, body: &[u8]) -> ClientError {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = match problem.get("detail").and_then(Value::as_str) {
        Some(detail) => detail.to_owned(),
        None => format!("the supervisor answered with status {}", head.status),
    };
    let faults = problem.get("faults").and_then(Value::as_array);
    let faults = faults.into_iter().flatten().filter_map(Value::as_str);
    ClientError::Refused {
        status: head.status,
        detail,
        faults: faults.map(str::to_owned).collect(),
    }
}

/// Events as they come.
pub struct Follow {
    reader: BufReader<UnixStream>,
}

impl Follow {
    /// The next event; nothing when the supervisor has ended.
    ///
    /// # Errors
    /// The connection broke, or what came is no event.
    pub fn next_event(&mut self) -> Result<Option<EventLine>, ClientError> {
        loop {
            let mut line = String::new();
            let room = u64::try_from(limits::CLIENT_LINE_BYTES).unwrap_or(u64::MAX);
            match self.reader.by_ref().take(room).read_line(&mut line) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(lost(e)),
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event = serde_json::from_str(data);
                return event
                    .map(Some)
                    .map_err(|e| ClientError::Strange(e.to_string()));
            }
        }
    }
}

/// A process that is watched to its end.
#[derive(Debug)]
pub struct Watch {
    /// Its id.
    pub pid: i32,
    pidfd: std::os::fd::OwnedFd,
}

impl Watch {
    /// Waits until the process is gone.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
