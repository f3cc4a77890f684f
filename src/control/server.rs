//! The server: one thread that accepts, a bounded number that answer one request each, and an end that leaves
//! none behind. Owns those threads; knows no route.
//!
//! Threads: `NAME` accepts and joins; `NAME-conn` serves one connection. A connection tells the accepting
//! thread over a channel that it is done, so that it is joined at once.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::ControlError;
use super::conn::{Conn, Listener, Peer};
use super::http::{ReadError, Request, read_request};
use super::response::{Problem, Response};
use crate::clock::mono;
use crate::limits;
use crate::thread::spawn_named;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Whether this peer may ask this at all. Runs before [`Handler::handle`].
    ///
    /// # Errors
    /// The refusal to answer with.
    fn admit(&self, request: &Request, peer: &Peer) -> Result<(), Problem>;

    /// The answer. May block as long as [`Call::is_wanted`] says so.
    fn handle(&self, request: &Request, call: &Call) -> Response;
}

/// One request's surroundings; a stream keeps a clone for as long as it writes.
#[derive(Clone)]
pub struct Call {
    /// Who asks.
    pub peer: Peer,
    conn: Arc<Conn>,
    shared: Arc<Shared>,
}

impl Call {
    /// Somebody still waits for the answer, and the server is not ending.
    pub fn is_wanted(&self) -> bool {
        !self.shared.stop.load(Ordering::SeqCst) && !self.conn.is_abandoned()
    }

    /// Room for a request that lasts; nothing when there are too many. Given back when dropped.
    pub fn long_slot(&self) -> Option<LongSlot> {
        let taken = self
            .shared
            .long
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < limits::CONTROL_LONG).then_some(n + 1)
            });
        taken.ok().map(|_| LongSlot(Arc::clone(&self.shared)))
    }
}

/// A place among the requests that last.
pub struct LongSlot(Arc<Shared>);

impl Drop for LongSlot {
    fn drop(&mut self) {
        self.0.long.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The accepting thread's name; connections add `-conn`.
    pub thread: &'static str,
    /// Connections at once, at most [`limits::CONTROL_CONNECTIONS`].
    pub connections: usize,
    /// A request must arrive within this.
    pub request: Duration,
    /// Its body.
    pub body_bytes: usize,
}

impl Bounds {
    /// Those of the control socket.
    pub const CONTROL: Self = Self {
        thread: "control",
        connections: limits::CONTROL_CONNECTIONS,
        request: limits::CONTROL_REQUEST,
        body_bytes: limits::CONTROL_BODY_BYTES,
    };

    /// Those of the same over TCP.
    pub const HTTP: Self = Self {
        thread: "http",
        connections: limits::HTTP_CONNECTIONS,
        ..Self::CONTROL
    };
}

struct Shared {
    handler: Arc<dyn Handler>,
    bounds: Bounds,
    stop: AtomicBool,
    long: AtomicUsize,
    wake: OwnedFd,
}

impl Shared {
    fn wake(&self) {
        // The counter being full is the only failure, and then it is readable anyhow.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to answer what comes over `listener`.
    pub fn start(
        listener: Listener,
        bounds: Bounds,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, ControlError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| ControlError::Thread(e.into()))?;
        let shared = Arc::new(Shared {
            handler,
            bounds,
            stop: AtomicBool::new(false),
            long: AtomicUsize::new(0),
            wake,
        });
        let (done_tx, done) = bounded(limits::CONTROL_CONNECTIONS);
        let acceptor = Acceptor {
            listener,
            shared: Arc::clone(&shared),
            live: Vec::new(),
            done_tx,
            done,
            next: 0,
        };
        let accept =
            spawn_named(bounds.thread, move || acceptor.run()).map_err(ControlError::Thread)?;
        Ok(Self {
            shared,
            accept: Some(accept),
        })
    }

    /// Takes no more connections, lets answers under way end for [`limits::CONTROL_STOP_GRACE`], cuts the rest,
    /// and returns when no thread is left. A socket file is gone then.
    pub fn stop(mut self) {
        self.end();
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(accept) = self.accept.take() {
            // A panic in it was logged where it happened.
            let _ = accept.join();
        }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

struct Live {
    id: u64,
    conn: Arc<Conn>,
    /// The request has not arrived whole, so this one may be cut to make room. Who takes it down writes the answer.
    reading: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Acceptor {
    listener: Listener,
    shared: Arc<Shared>,
    /// Oldest first.
    live: Vec<Live>,
    done_tx: Sender<u64>,
    done: Receiver<u64>,
    next: u64,
}

impl Acceptor {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            self.wait();
            self.join_finished();
            if let Err(error) = self.listener.renew_if_removed() {
                log::warn!("{}: {error}", self.shared.bounds.thread);
            }
            match self.listener.accept() {
                Ok(conn) => self.serve(conn),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.pause(&error),
            }
        }
        self.finish();
    }

    fn wait(&self) {
        let mut fds = [
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.shared.wake, PollFlags::IN),
        ];
        let look = Timespec {
            tv_sec: limits::CONTROL_LOOK_SECONDS,
            tv_nsec: 0,
        };
        if let Err(error) = poll(&mut fds, Some(&look))
            && error != rustix::io::Errno::INTR
        {
            self.pause(&error.into());
        }
        let mut counter = [0; 8];
        // Nothing to read is the usual case.
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
    }

    /// Out of descriptors, for instance: accept(2) fails at once again and again until one is free.
    fn pause(&self, error: &io::Error) {
        log::warn!("{}: cannot accept: {error}", self.shared.bounds.thread);
        let (_keep, never) = bounded::<()>(limits::CONTROL_CONNECTIONS);
        let _ = never.recv_timeout(limits::CONTROL_SLICE);
    }

    fn join_finished(&mut self) {
        while let Ok(id) = self.done.try_recv() {
            self.join(id);
        }
    }

    fn join(&mut self, id: u64) {
        if let Some(at) = self.live.iter().position(|l| l.id == id) {
            let _ = self.live.remove(at).thread.join();
        }
    }

    fn serve(&mut self, conn: Conn) {
        let conn = Arc::new(conn);
        if self.live.len() >= self.limit() && !self.make_room() {
            refuse(&conn, "too many connections");
            return;
        }
        let reading = Arc::new(AtomicBool::new(true));
        let connection = Connection {
            conn: Arc::clone(&conn),
            reading: Arc::clone(&reading),
            shared: Arc::clone(&self.shared),
            done: self.done_tx.clone(),
            id: self.next,
        };
        let name = format!("{}-conn", self.shared.bounds.thread);
        match spawn_named(&name, move || connection.run()) {
            Ok(thread) => self.live.push(Live {
                id: self.next,
                conn,
                reading,
                thread,
            }),
            Err(error) => {
                log::warn!("{name}: no room for a thread: {error}");
                refuse(&conn, "no room for another connection");
            }
        }
        self.next += 1;
    }

    fn limit(&self) -> usize {
        self.shared
            .bounds
            .connections
            .min(limits::CONTROL_CONNECTIONS)
    }

    /// Cuts the oldest connection that has not sent its request, so that a pile of half requests does not keep
    /// real ones out.
    fn make_room(&mut self) -> bool {
        // Whoever takes the flag down answers.
        let idle = self
            .live
            .iter()
            .find(|l| l.reading.swap(false, Ordering::SeqCst));
        if let Some(idle) = idle {
            refuse(&idle.conn, "another connection needed the room");
        }
        // Without an idle one somebody may still be about to finish.
        let patience = match idle {
            Some(_) => limits::CONTROL_SLICE,
            None => Duration::ZERO,
        };
        match self.done.recv_timeout(patience) {
            Ok(id) => {
                self.join(id);
                true
            }
            Err(_) => false,
        }
    }

    fn finish(mut self) {
        drop(self.listener);
        for live in self
            .live
            .iter()
            .filter(|l| l.reading.load(Ordering::SeqCst))
        {
            live.conn.shutdown(Shutdown::Both);
        }
        let deadline = mono() + limits::CONTROL_STOP_GRACE;
        let mut left = self.live.len();
        while left > 0 && self.done.recv_timeout(deadline.since(mono())).is_ok() {
            left -= 1;
        }
        for live in self.live.drain(..) {
            // Wakes a write to a reader that does not read.
            live.conn.shutdown(Shutdown::Both);
            let _ = live.thread.join();
        }
    }
}

/// An answer from the accepting thread: one short write into an empty socket buffer, which cannot block.
fn refuse(conn: &Conn, why: &str) {
    let wait = limits::HTTP_RETRY_AFTER_SECONDS.to_string();
    let problem = Problem::new(503, why).header("Retry-After", wait);
    let _ = Response::from(problem).write(conn);
    conn.shutdown(Shutdown::Both);
}

/// What one connection's thread owns.
struct Connection {
    conn: Arc<Conn>,
    reading: Arc<AtomicBool>,
    shared: Arc<Shared>,
    done: Sender<u64>,
    id: u64,
}

impl Connection {
    fn run(self) {
        let read = self.read();
        if !self.reading.swap(false, Ordering::SeqCst) {
            // It was cut, and told so.
            return;
        }
        let (response, whole) = match read {
            Ok(request) => (self.answer(&request), true),
            Err(ReadError::Bad(problem)) => (problem.into(), false),
            Err(ReadError::Gone(_)) => return,
        };
        if let Err(error) = response.write(&self.conn) {
            log::debug!(
                "{}: an answer was not taken: {error}",
                self.shared.bounds.thread
            );
            return;
        }
        self.conn.shutdown(Shutdown::Write);
        if !whole {
            self.linger();
        }
    }

    fn read(&self) -> Result<Request, ReadError> {
        let bounds = &self.shared.bounds;
        read_request(&self.conn, bounds.body_bytes, mono() + bounds.request)
    }

    fn answer(&self, request: &Request) -> Response {
        let call = Call {
            peer: self.conn.peer(),
            conn: Arc::clone(&self.conn),
            shared: Arc::clone(&self.shared),
        };
        match self.shared.handler.admit(request, &call.peer) {
            Ok(()) => self.shared.handler.handle(request, &call),
            Err(problem) => problem.into(),
        }
    }

    fn linger(&self) {
        let deadline = mono() + limits::CONTROL_LINGER;
        let mut left = limits::CONTROL_BODY_BYTES;
        let mut chunk = [0; 4 * 1024];
        while left > 0 {
            match self.conn.read(&mut chunk, deadline) {
                Ok(0) | Err(_) => return,
                Ok(n) => left = left.saturating_sub(n),
            }
        }
    }
}

/// Also after a panic of the handler: the peer sees the end, and the thread is joined.
impl Drop for Connection {
    fn drop(&mut self) {
        self.conn.shutdown(Shutdown::Both);
        // Room for one message a connection, so this does not block.
        let _ = self.done.send(self.id);
        self.shared.wake();
    }
}
