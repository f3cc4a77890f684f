//! The heartbeat: the thread `heartbeat`, which gives a sign of life at an interval as long as supervision takes
//! its turns, so that whoever waits for it notices when nobody can tell him anything any more.
//!
//! There is a thread only while there is somebody to give it to. Nothing waits for it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::facts::Issues;
use crate::clock::{self, Mono};
use crate::fetch::{Client, Request, Response};
use crate::limits;
use crate::model::heartbeat::{HeartbeatMethod, HeartbeatSpec};
use crate::model::status::Desired;
use crate::model::via::Via;
use crate::secret::Secret;
use crate::supervise::Supervisor;
use crate::supervise::board::{Board, Snapshot};

/// Where its trouble stands in `status`.
const PART: &str = "heartbeat";

/// What it tells of.
struct Life {
    issues: Issues,
    board: Arc<Board>,
    /// None once everything is being stopped: a handle of ours would keep the actor alive.
    supervisor: Mutex<Option<Supervisor>>,
}

/// A thread that gives signs of life.
struct Beating {
    spec: HeartbeatSpec,
    stop: Sender<()>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// The heartbeat, if there is to be one. Dropping it without [`Heartbeat::stop`] leaves the thread to end by itself.
pub(super) struct Heartbeat {
    life: Arc<Life>,
    beating: Mutex<Option<Beating>>,
}

impl Heartbeat {
    /// One that is not configured yet.
    pub fn new(supervisor: Supervisor, board: Arc<Board>, issues: Issues) -> Self {
        let life = Life {
            issues,
            board,
            supervisor: Mutex::new(Some(supervisor)),
        };
        Self {
            life: Arc::new(life),
            beating: Mutex::new(None),
        }
    }

    /// From now on `spec` counts. What is as it was goes on as it was.
    pub fn configure(&self, spec: Option<&HeartbeatSpec>) {
        let mut beating = self.beating.lock();
        if beating.as_ref().map(|b| &b.spec) == spec {
            return;
        }
        if let Some(old) = beating.take() {
            old.end();
            self.life.issues.set(PART, None);
        }
        *beating = spec.and_then(|spec| match self.begin(spec) {
            Ok(new) => Some(new),
            Err(error) => {
                log::error!("no thread for the heartbeat: {error}");
                let issue = format!("no sign of life is given: {error}");
                self.life.issues.set(PART, Some(issue));
                None
            }
        });
    }

    /// No more signs of life.
    pub fn stop(&self) {
        *self.life.supervisor.lock() = None;
        if let Some(beating) = self.beating.lock().take() {
            beating.end();
        }
    }

    fn begin(&self, spec: &HeartbeatSpec) -> io::Result<Beating> {
        let (stop, stopped) = bounded(0);
        let (end, ended) = bounded(0);
        let (life, own) = (Arc::clone(&self.life), spec.clone());
        let thread = crate::thread::spawn_named("heartbeat", move || {
            life.beat(&own, &stopped);
            drop(end);
        })?;
        Ok(Beating {
            spec: spec.clone(),
            stop,
            ended,
            thread,
        })
    }
}

impl Beating {
    /// Ends it. One in the middle of a request is left to that request's time-out.
    fn end(self) {
        drop(self.stop);
        if self.ended.recv_timeout(limits::HEARTBEAT_END_MAX) == Err(RecvTimeoutError::Disconnected)
        {
            let _ = self.thread.join();
        } else {
            log::debug!("the heartbeat is in the middle of a request; leaving it");
        }
    }
}

impl Life {
    fn beat(&self, spec: &HeartbeatSpec, stopped: &Receiver<()>) {
        let client = Client::default();
        let mut due = clock::mono();
        loop {
            let wait = due.since(clock::mono());
            if stopped.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let trouble = self.give(&client, spec).err();
            due = next_due(trouble.is_none(), (due, clock::mono()), spec.interval);
            self.say(trouble);
        }
    }

    /// One sign of life, if there is life; else why not.
    fn give(&self, client: &Client, spec: &HeartbeatSpec) -> Result<(), String> {
        let supervisor = self.supervisor.lock().clone();
        // Everything is being stopped, and so is this.
        let Some(supervisor) = supervisor else {
            return Ok(());
        };
        if !supervisor.answers(limits::HEARTBEAT_ANSWER) {
            return Err(
                "supervision does not answer, so no sign of life is given (a bug of ours)".into(),
            );
        }
        drop(supervisor);
        match ask(client, spec, &words(&self.board.read())) {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!("it was refused with status {status}")),
            Err(error) => Err(error),
        }
    }

    fn say(&self, trouble: Option<String>) {
        let line = trouble.clone();
        let is_news = self.issues.set(PART, trouble);
        match line {
            Some(why) if is_news => log::warn!("heartbeat: {why}"),
            Some(why) => log::debug!("heartbeat: {why}"),
            None if is_news => log::info!("heartbeat: it is taken again"),
            None => {}
        }
    }
}

/// The status that `spec` answers with; a fault never holds the address.
fn ask(client: &Client, spec: &HeartbeatSpec, words: &str) -> Result<u16, String> {
    let headers = [
        (
            "user-agent".to_owned(),
            Secret::new(concat!("jikimi/", env!("CARGO_PKG_VERSION"))),
        ),
        (
            "content-type".to_owned(),
            Secret::new("text/plain; charset=utf-8"),
        ),
    ];
    let (headers, body) = match spec.method {
        HeartbeatMethod::Get => (&headers[..1], ""),
        HeartbeatMethod::Post => (&headers[..], words),
    };
    let request = Request {
        url: &spec.url,
        headers,
        body: body.as_bytes(),
        timeout: spec.timeout,
        via: &Via::DIRECT,
    };
    let answer = match spec.method {
        HeartbeatMethod::Get => client.status(&request),
        HeartbeatMethod::Post => client.post(&request).map(|r: Response| r.status),
    };
    answer.map_err(|error| error.to_string())
}

/// How it stands with the programs, in a line.
pub(super) fn words(snapshot: &Snapshot) -> String {
    let wanted = snapshot
        .instances
        .iter()
        .filter(|i| i.desired == Desired::Up);
    let (mut total, mut ready) = (0_usize, 0_usize);
    for instance in wanted {
        total += 1;
        ready += usize::from(instance.ready);
    }
    format!("{ready} of {total} programs that are to be up are up")
}

/// When the next one is due, after one that was due at `due` came to its end at `now`: at the beat when all is well,
/// sooner when it is not; a beat that was slept through is not made up for.
fn next_due(is_well: bool, (due, now): (Mono, Mono), interval: Duration) -> Mono {
    if !is_well {
        return now + interval.min(limits::HEARTBEAT_RETRY);
    }
    let next = due + interval;
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_its_beat_and_comes_back_soon_after_a_failure() {
        let at = |s: u64| Mono::from_nanos(s * 1_000_000_000);
        let minute = Duration::from_mins(1);
        assert_eq!(next_due(true, (at(100), at(103)), minute), at(160));
        assert_eq!(
            next_due(true, (at(100), at(500)), minute),
            at(560),
            "after a sleep of the machine there is one, not seven"
        );
        let retry = limits::HEARTBEAT_RETRY.as_secs();
        assert_eq!(next_due(false, (at(100), at(110)), minute), at(110 + retry));
        let second = Duration::from_secs(1);
        assert_eq!(next_due(false, (at(100), at(110)), second), at(111));
    }
}
