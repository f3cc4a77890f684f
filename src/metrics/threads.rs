//! The registry of sampling threads and the thread that keeps it: starts a thread when an interval comes
//! into use, lets go of it with its last member, joins it once it says that it ends, and so never waits for
//! one that hangs. It reads no process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use parking_lot::RwLock;

use super::pulse::{Pulse, Roster, Shared};
use super::sampler::Member;
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::thread::spawn_named;

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Message {
    Watch(Arc<Member>, Duration),
    Unwatch(InstanceName, RunId),
    Forget(InstanceName),
    /// Sample the host that often.
    Host(Duration),
    /// Nobody of this run is alive, and nobody said that it ended.
    Gone(Arc<Member>),
    /// The sampling thread with this number has nothing left to do but to return.
    Ended(u64),
    Finish(Mono, Sender<Finished>),
}

/// A message in the inbox. Boxed: there is room for thousands, all of it touched at the start.
pub(super) type Letter = Box<Message>;

/// How sampling ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Threads that were running and have been joined.
    pub joined: usize,
    /// Threads that hung and were left behind.
    pub left: usize,
}

/// One interval in use.
struct Post {
    id: u64,
    interval: Duration,
    roster: Arc<RwLock<Arc<Roster>>>,
    /// None while the system has no room for the thread, or after it failed.
    thread: Option<Thread>,
}

struct Thread {
    /// Dropped, it ends the thread.
    stop: Sender<()>,
    handle: JoinHandle<()>,
}

impl Post {
    fn edit(&self, change: impl FnOnce(&mut Roster)) {
        let mut next = Roster::clone(&self.roster.read());
        change(&mut next);
        *self.roster.write() = Arc::new(next);
    }

    fn is_empty(&self) -> bool {
        self.roster.read().is_empty()
    }
}

/// The keeper.
pub(super) struct Keeper {
    shared: Shared,
    /// For the threads, to tell us.
    to_us: Sender<Letter>,
    posts: Vec<Post>,
    ending: HashMap<u64, JoinHandle<()>>,
    /// Where each watched instance is, and with which run.
    places: HashMap<InstanceName, (u64, RunId)>,
    next_id: u64,
    retry_at: Option<Mono>,
}

impl Keeper {
    pub(super) fn new(shared: Shared, to_us: Sender<Letter>) -> Self {
        Self {
            shared,
            to_us,
            posts: Vec::new(),
            ending: HashMap::new(),
            places: HashMap::new(),
            next_id: 0,
            retry_at: None,
        }
    }

    /// The thread's body. `host` is the interval at which the host is sampled, if it is.
    pub(super) fn run(mut self, inbox: &Receiver<Letter>, host: Option<Duration>) {
        if let Some(interval) = host {
            let at = self.post_for(interval);
            self.posts[at].edit(|roster| roster.host = true);
            self.ensure_threads();
        }
        loop {
            self.count();
            match self.receive(inbox) {
                Some(Message::Finish(deadline, reply)) => {
                    let finished = self.finish(inbox, deadline);
                    self.count();
                    // Who asked may have given up waiting.
                    let _ = reply.send(finished);
                    return;
                }
                Some(message) => self.take(message),
                None => self.ensure_threads(),
            }
        }
    }

    /// The next message, or none when it is time to try again to start a thread.
    fn receive(&mut self, inbox: &Receiver<Letter>) -> Option<Message> {
        let Some(retry_at) = self.retry_at else {
            // We hold a sender ourselves, so this never fails.
            return inbox.recv().ok().map(|letter| *letter);
        };
        match inbox.recv_timeout(retry_at.since(clock::mono())) {
            Ok(letter) => Some(*letter),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.retry_at = None;
                None
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Watch(member, interval) => self.watch(member, interval),
            Message::Unwatch(instance, run) => self.unwatch(&instance, run),
            Message::Gone(member) => self.unwatch(&member.instance, member.run),
            Message::Forget(instance) => {
                self.leave(&instance);
                self.shared.memory.forget(&instance);
            }
            Message::Host(interval) => self.watch_host(interval),
            Message::Ended(id) => self.reap(id),
            Message::Finish(..) => {}
        }
    }

    fn watch(&mut self, member: Arc<Member>, interval: Duration) {
        let wanted = interval.clamp(limits::SAMPLE_INTERVAL_MIN, limits::SAMPLE_INTERVAL_MAX);
        self.shared.memory.begin(&member.instance, member.run);
        // The place that is left keeps its thread until the new one is taken: it may be the same.
        let left = self.places.remove(&member.instance);
        if let Some((id, _)) = left {
            self.strike(id, &member.instance);
        }
        let at = self.post_for(wanted);
        let id = self.posts[at].id;
        self.places
            .insert(member.instance.clone(), (id, member.run));
        self.posts[at].edit(|roster| roster.members.push(member));
        self.release_empty();
        self.ensure_threads();
    }

    fn watch_host(&mut self, interval: Duration) {
        let wanted = interval.clamp(limits::SAMPLE_INTERVAL_MIN, limits::SAMPLE_INTERVAL_MAX);
        for post in &self.posts {
            post.edit(|roster| roster.host = false);
        }
        let at = self.post_for(wanted);
        self.posts[at].edit(|roster| roster.host = true);
        self.release_empty();
        self.ensure_threads();
    }

    fn unwatch(&mut self, instance: &InstanceName, run: RunId) {
        // A late word about an earlier run must not end the watch of the present one.
        if self.places.get(instance).is_some_and(|(_, r)| *r == run) {
            self.leave(instance);
            self.shared.memory.end(instance, run);
        }
    }

    fn leave(&mut self, instance: &InstanceName) {
        if let Some((id, _)) = self.places.remove(instance) {
            self.strike(id, instance);
            self.release_empty();
        }
    }

    fn strike(&mut self, id: u64, instance: &InstanceName) {
        if let Some(post) = self.posts.iter().find(|p| p.id == id) {
            post.edit(|roster| roster.members.retain(|m| m.instance != *instance));
        }
    }

    /// The place of the post for `interval`: that interval's, or a new one, or the nearest there is.
    fn post_for(&mut self, interval: Duration) -> usize {
        let distance = |p: &Post| p.interval.abs_diff(interval);
        let nearest = self
            .posts
            .iter()
            .enumerate()
            .min_by_key(|(_, p)| distance(p))
            .map(|(at, p)| (at, distance(p)));
        match nearest {
            Some((at, Duration::ZERO)) => at,
            Some((at, _)) if self.posts.len() >= limits::SAMPLE_THREADS => {
                let shown = self.posts[at].interval;
                log::info!("sampling every {shown:?} instead of {interval:?}: too many intervals");
                at
            }
            _ => {
                self.next_id += 1;
                self.posts.push(Post {
                    id: self.next_id,
                    interval,
                    roster: Arc::default(),
                    thread: None,
                });
                self.posts.len() - 1
            }
        }
    }

    /// Lets go of the threads without members.
    fn release_empty(&mut self) {
        let (empty, kept) = self.posts.drain(..).partition(Post::is_empty);
        self.posts = kept;
        self.let_go(empty);
    }

    fn let_go(&mut self, posts: Vec<Post>) {
        for post in posts {
            if let Some(thread) = post.thread {
                drop(thread.stop);
                self.ending.insert(post.id, thread.handle);
            }
        }
    }

    fn ensure_threads(&mut self) {
        if self.retry_at.is_some() {
            return;
        }
        for post in self.posts.iter_mut().filter(|p| p.thread.is_none()) {
            // Never sent to: only its end is heard.
            let (stop, stopped) = channel::bounded(0);
            let pulse = Pulse {
                id: post.id,
                interval: post.interval,
                roster: Arc::clone(&post.roster),
                stop: stopped,
                keeper: self.to_us.clone(),
                shared: self.shared.clone(),
            };
            match spawn_named(&thread_name(post.interval), move || pulse.run()) {
                Ok(handle) => {
                    self.shared.tallies.threads_started.fetch_add(1, Relaxed);
                    post.thread = Some(Thread { stop, handle });
                }
                Err(error) => {
                    self.shared.tallies.threads_failed.fetch_add(1, Relaxed);
                    log::warn!("a sampling thread cannot be started, trying again: {error}");
                    self.retry_at = Some(clock::mono() + limits::SAMPLE_SPAWN_RETRY);
                }
            }
        }
    }

    /// Joins a thread that said that it ends; it returns within moments.
    fn reap(&mut self, id: u64) {
        if let Some(handle) = self.ending.remove(&id) {
            self.join(handle);
            return;
        }
        let post = self.posts.iter_mut().find(|p| p.id == id);
        if let Some(thread) = post.and_then(|p| p.thread.take()) {
            log::error!("a sampling thread ended though it had work; it is started again");
            self.shared.tallies.threads_failed.fetch_add(1, Relaxed);
            self.retry_at = Some(clock::mono() + limits::SAMPLE_SPAWN_RETRY);
            self.join(thread.handle);
        }
    }

    fn join(&self, handle: JoinHandle<()>) {
        // A panic was caught and logged where it happened.
        let _ = handle.join();
        self.shared.tallies.threads_reaped.fetch_add(1, Relaxed);
    }

    fn finish(&mut self, inbox: &Receiver<Letter>, deadline: Mono) -> Finished {
        let posts = std::mem::take(&mut self.posts);
        self.let_go(posts);
        self.places.clear();
        let mut finished = Finished::default();
        while !self.ending.is_empty() {
            let letter = inbox.recv_timeout(deadline.since(clock::mono()));
            match letter.map(|letter| *letter) {
                Ok(Message::Ended(id)) => {
                    let waiting = self.ending.len();
                    self.reap(id);
                    finished.joined += waiting - self.ending.len();
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        finished.left = self.ending.len();
        finished
    }

    fn count(&self) {
        let tallies = &self.shared.tallies;
        tallies.threads.store(self.posts.len() as u64, Relaxed);
        tallies
            .threads_ending
            .store(self.ending.len() as u64, Relaxed);
        tallies.members.store(self.places.len() as u64, Relaxed);
    }
}

/// At most 15 bytes, for an interval of at most a day.
fn thread_name(interval: Duration) -> String {
    match interval.as_millis() {
        millis @ 0..=999_999 => format!("sample-{millis}ms"),
        _ => format!("sample-{}s", interval.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_has_a_name_the_kernel_can_show() {
        for (interval, name) in [
            (limits::SAMPLE_INTERVAL_MIN, "sample-100ms"),
            (Duration::from_secs(5), "sample-5000ms"),
            (Duration::from_millis(999_999), "sample-999999ms"),
            (limits::SAMPLE_INTERVAL_MAX, "sample-86400s"),
        ] {
            assert_eq!(thread_name(interval), name);
            assert!(name.len() <= limits::THREAD_NAME_BYTES);
        }
    }
}
