//! One bounded stream to a descriptor, with the thread that writes it. Never blocks a caller, never sets a
//! flag on the descriptor, and logs nothing but its own end: the log goes through here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};
use nix::sys::signal::{SigSet, Signal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::clock::{self, Mono};
use crate::limits;
use crate::thread::spawn_named;

/// Figures of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines that were not shown since the start.
    pub dropped: u64,
    /// It is gone (EPIPE, EIO) and nothing is shown any more.
    pub is_gone: bool,
}

/// A handle to a stream; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    queue: Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    /// Lines dropped since the start.
    dropped: AtomicU64,
    /// Those of them the person at the terminal has not been told of.
    untold: AtomicU64,
    is_gone: AtomicBool,
}

#[derive(Debug)]
enum Item {
    /// A line, and how many are missing before it.
    Line { missing: u64, bytes: Vec<u8> },
    /// Answer when everything before it is written.
    Flush(Sender<()>),
}

impl Stream {
    pub(super) fn start(name: &str, to: OwnedFd) -> io::Result<Self> {
        let (queue, items) = bounded(limits::TERMINAL_LINES);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            name: name.to_owned(),
            to,
            shared: Arc::clone(&shared),
        };
        // Ends when the last handle is dropped; the logger's lives as long as the process, so at the
        // end nobody waits for this thread but with a flush.
        drop(spawn_named(name, move || writer.run(&items))?);
        Ok(Self { queue, shared })
    }

    /// A line for which there is no room is missing, and is counted.
    pub(super) fn line(&self, bytes: Vec<u8>) {
        if !self.offer(bytes) {
            self.shared.miss(1);
        }
    }

    /// Whether there was room. Where nobody will ever read again there is, and the line is missing.
    pub(super) fn offer(&self, mut bytes: Vec<u8>) -> bool {
        if self.shared.is_gone.load(Ordering::Relaxed) {
            self.shared.miss(1);
            return true;
        }
        if bytes.len() > limits::TERMINAL_LINE_BYTES {
            bytes.truncate(limits::TERMINAL_LINE_BYTES);
            bytes.extend_from_slice("…".as_bytes());
        }
        bytes.push(b'\n');
        let size = bytes.len();
        if !self.reserve(size) {
            return false;
        }
        let missing = self.shared.untold.swap(0, Ordering::Relaxed);
        let is_taken = self.queue.try_send(Item::Line { missing, bytes }).is_ok();
        if !is_taken {
            self.shared.release(size);
            self.shared.untold.fetch_add(missing, Ordering::Relaxed);
        }
        is_taken
    }

    /// Room for `size` more bytes. Two callers at once may both be refused the last place; neither waits.
    fn reserve(&self, size: usize) -> bool {
        let before = self.shared.queued_bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before + size <= limits::TERMINAL_BYTES;
        if !fits {
            self.shared.release(size);
        }
        fits
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            is_gone: self.shared.is_gone.load(Ordering::Relaxed),
        }
    }

    pub(super) fn flush(&self, deadline: Mono) -> bool {
        let (done, is_done) = bounded(1);
        let left = || deadline.since(clock::mono());
        self.queue.send_timeout(Item::Flush(done), left()).is_ok()
            && is_done.recv_timeout(left()).is_ok()
    }
}

impl Shared {
    fn miss(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.untold.fetch_add(lines, Ordering::Relaxed);
    }

    fn release(&self, size: usize) {
        self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

struct Writer {
    name: String,
    to: OwnedFd,
    shared: Arc<Shared>,
}

/// Lines gathered for one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    /// Bytes that came from the queue.
    queued: usize,
    flushed: Vec<Sender<()>>,
}

impl Writer {
    fn run(self, items: &Receiver<Item>) {
        block_ttou();
        let mut batch = Batch::default();
        // The end of the queue is the only end; what was sent before it is still written.
        for first in items {
            batch.take(first);
            while batch.bytes.len() < limits::TERMINAL_BATCH_BYTES
                && let Ok(item) = items.try_recv()
            {
                batch.take(item);
            }
            if items.is_empty() {
                // Nobody may come who could bring the count along.
                batch.say_missing(self.shared.untold.swap(0, Ordering::Relaxed));
            }
            self.put(&mut batch);
        }
    }

    fn put(&self, batch: &mut Batch) {
        let is_gone = self.shared.is_gone.load(Ordering::Relaxed);
        match if is_gone {
            Err(Fate::Gone)
        } else {
            self.write(&batch.bytes)
        } {
            Ok(()) => {}
            Err(Fate::Gone) => {
                if !self.shared.is_gone.swap(true, Ordering::Relaxed) {
                    // Said once, where somebody may still see it; where not, it is counted.
                    log::warn!(
                        "{}: nobody reads it any more; going on without it",
                        self.name
                    );
                }
                self.shared.miss(batch.lines);
            }
            Err(Fate::Refused) => self.shared.miss(batch.lines),
        }
        self.shared.release(batch.queued);
        for flushed in batch.flushed.drain(..) {
            // Who waited may have given up.
            let _ = flushed.try_send(());
        }
        batch.bytes.clear();
        (batch.lines, batch.queued) = (0, 0);
    }

    /// Writes all of it, however long that takes: only this thread waits.
    fn write(&self, mut bytes: &[u8]) -> Result<(), Fate> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.to, bytes) {
                Ok(0) => return Err(Fate::Refused),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // Somebody else who has this terminal made it non-blocking.
                Err(Errno::AGAIN) => self.wait_for_room()?,
                Err(errno) => return Err(fate(errno)),
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> Result<(), Fate> {
        let fd = self.to.as_fd();
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(fate(errno)),
        }
    }
}

impl Batch {
    fn take(&mut self, item: Item) {
        match item {
            Item::Line { missing, bytes } => {
                self.say_missing(missing);
                self.queued += bytes.len();
                self.lines += 1;
                self.bytes.extend_from_slice(&bytes);
            }
            Item::Flush(done) => self.flushed.push(done),
        }
    }

    fn say_missing(&mut self, lines: u64) {
        match lines {
            0 => {}
            1 => self.bytes.extend_from_slice(b"[1 line not shown]\n"),
            n => self
                .bytes
                .extend_from_slice(format!("[{n} lines not shown]\n").as_bytes()),
        }
    }
}

/// What a failed write means.
enum Fate {
    /// Nobody will ever read again.
    Gone,
    /// Not this time: a full disk behind a redirection.
    Refused,
}

fn fate(errno: Errno) -> Fate {
    if matches!(errno, Errno::PIPE | Errno::IO | Errno::BADF | Errno::NXIO) {
        Fate::Gone
    } else {
        Fate::Refused
    }
}

/// A background process that writes to a terminal with `tostop` set gets TTOU, which stops it; with a handler
/// the write is tried again for ever. Where TTOU is blocked the kernel lets the write through. Only this
/// thread: what it starts would inherit it, and it starts nothing.
fn block_ttou() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTTOU);
    if let Err(errno) = set.thread_block() {
        log::warn!("output may stall in the background: {errno}");
    }
}
