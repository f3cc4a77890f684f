//! A scripted HTTP server on loopback for tests: it answers, refuses, hangs, trickles or closes as told. Bounded
//! in connections and in time; ends with its owner.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};

use crate::secret::Secret;

/// Connections at a time; a test that needs more is wrong.
const CONNECTIONS_MAX: usize = 256;
/// How long any wait of the server or for it may last.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Between two bytes of a trickle.
const TICK: Duration = Duration::from_millis(5);

/// A request as the server read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// `POST`, say.
    pub(crate) method: String,
    /// The request target.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Seen {
    /// The header called `name`, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Answers and keeps the connection.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// Answers, promises to keep the connection, and closes it with the next request on it unread.
    ReplyAndLeave(u16),
    /// Never answers.
    Hang,
    /// A byte of a header now and then, for ever.
    TrickleHeaders,
    /// A byte of the body now and then, for ever.
    TrickleBody,
    /// A body without end, as fast as it can.
    Endless,
    /// Closes without an answer.
    Close,
    /// Not HTTP.
    Garbage,
}

impl Answer {
    /// A status with an empty body.
    pub(crate) fn status(status: u16) -> Self {
        Self::Reply(status, Vec::new(), String::new())
    }

    /// A status with a body.
    pub(crate) fn body(status: u16, body: &str) -> Self {
        Self::Reply(status, Vec::new(), body.to_owned())
    }

    /// A status with one header.
    pub(crate) fn header(status: u16, name: &'static str, value: &str) -> Self {
        Self::Reply(status, vec![(name, value.to_owned())], String::new())
    }
}

type Script = dyn Fn(&Seen, usize) -> Answer + Send + Sync;

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    script: Box<Script>,
    stop: Receiver<()>,
    reads: Reads,
}

/// How the server reads its connections.
#[derive(Clone, Copy)]
enum Reads {
    Requests,
    Sips,
    Nothing,
}

/// The server; ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    accept: Option<JoinHandle<()>>,
}

impl Server {
    /// A server that does what `script` says for a request and its number, from 0.
    pub(crate) fn start(script: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::launch(Box::new(script), Reads::Requests)
    }

    /// A server that always answers the same.
    pub(crate) fn always(answer: Answer) -> Self {
        Self::start(move |_, _| answer.clone())
    }

    /// A server that accepts and never reads.
    pub(crate) fn deaf() -> Self {
        Self::launch(Box::new(|_, _| Answer::Hang), Reads::Nothing)
    }

    /// A server that reads a few bytes now and then, for ever.
    pub(crate) fn sipping() -> Self {
        Self::launch(Box::new(|_, _| Answer::Hang), Reads::Sips)
    }

    fn launch(script: Box<Script>, reads: Reads) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = bounded(0);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            script,
            stop: stopped,
            reads,
        });
        let theirs = Arc::clone(&shared);
        let accept = crate::thread::spawn_named("t-accept", move || accept_all(&listener, &theirs))
            .expect("room for a thread");
        Self {
            address,
            shared,
            stop: Some(stop),
            accept: Some(accept),
        }
    }

    /// `http://127.0.0.1:PORT` and `path`.
    pub(crate) fn url(&self, path: &str) -> Secret {
        Secret::new(self.base() + path)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().threads.len()
    }

    /// The requests, once there are `count`.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Seen> {
        let mut state = self.shared.state.lock();
        while state.seen.len() < count {
            let late = self
                .shared
                .changed
                .wait_for(&mut state, WAIT_MAX)
                .timed_out();
            assert!(!late, "waited for {count} requests, saw {:?}", state.seen);
        }
        state.seen.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Wakes the accepting thread, which then finds the stop.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accept.take() {
            let _ = thread.join();
        }
        let (streams, threads) = {
            let mut state = self.shared.state.lock();
            (
                std::mem::take(&mut state.streams),
                std::mem::take(&mut state.threads),
            )
        };
        for stream in streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_stopped(&self, wait: Duration) -> bool {
        !matches!(
            self.stop.recv_timeout(wait),
            Err(crossbeam::channel::RecvTimeoutError::Timeout)
        )
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten().take(CONNECTIONS_MAX) {
        if shared.is_stopped(Duration::ZERO) {
            return;
        }
        let (Ok(kept), theirs) = (stream.try_clone(), Arc::clone(shared)) else {
            return;
        };
        let _ = stream.set_read_timeout(Some(WAIT_MAX));
        let _ = stream.set_write_timeout(Some(WAIT_MAX));
        let Ok(thread) = crate::thread::spawn_named("t-connection", move || {
            converse(&stream, &theirs);
            // The server's own copy of the socket would keep it open.
            let _ = stream.shutdown(Shutdown::Both);
        }) else {
            return;
        };
        let mut state = shared.state.lock();
        state.streams.push(kept);
        state.threads.push(thread);
    }
}

fn converse(mut stream: &TcpStream, shared: &Shared) {
    match shared.reads {
        Reads::Requests => {}
        Reads::Sips => {
            let mut sip = [0; 512];
            while !shared.is_stopped(TICK) && stream.read(&mut sip).is_ok_and(|n| n > 0) {}
            return;
        }
        Reads::Nothing => {
            shared.is_stopped(WAIT_MAX);
            return;
        }
    }
    while let Some(seen) = read_request(&mut stream) {
        let number = {
            let mut state = shared.state.lock();
            state.seen.push(seen.clone());
            state.seen.len() - 1
        };
        shared.changed.notify_all();
        let answer = (shared.script)(&seen, number);
        if !perform(&mut stream, shared, &answer) {
            return;
        }
    }
}

/// Whether the connection goes on.
fn perform(stream: &mut &TcpStream, shared: &Shared, answer: &Answer) -> bool {
    match answer {
        Answer::Reply(status, headers, body) => reply(stream, *status, headers, body),
        Answer::ReplyAndLeave(status) => {
            reply(stream, *status, &[], "");
            // Waits until the next request is there and closes on it unread, as a server does whose idle
            // time ran out in that moment.
            let _ = (*stream).peek(&mut [0]);
            false
        }
        Answer::Hang => {
            shared.is_stopped(WAIT_MAX);
            false
        }
        Answer::TrickleHeaders => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ");
            while stream.write_all(b"a").is_ok() && !shared.is_stopped(TICK) {}
            false
        }
        Answer::TrickleBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
            while stream.write_all(b"a").is_ok() && !shared.is_stopped(TICK) {}
            false
        }
        Answer::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'a'; 8192]).is_ok() && !shared.is_stopped(Duration::ZERO) {}
            false
        }
        Answer::Close => false,
        Answer::Garbage => {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n");
            false
        }
    }
}

fn reply(stream: &mut &TcpStream, status: u16, headers: &[(&str, String)], body: &str) -> bool {
    use std::fmt::Write as _;
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "\r\n{body}");
    stream.write_all(text.as_bytes()).is_ok()
}

fn read_request(stream: &mut &TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
        .collect();
    let mut seen = Seen {
        method,
        path,
        headers,
        body: String::new(),
    };
    let mut body = vec![0; seen.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8_lossy(&body).into_owned();
    Some(seen)
}
