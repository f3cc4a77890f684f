//! Names to addresses: one named thread asks the system, a short cache answers the rest, and a caller waits
//! no longer than its own deadline. Never a thread per lookup, and never an address that is refused.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::address;
use super::error::FetchError;
use super::exchange;
use crate::clock::{self, Mono};
use crate::limits;

/// How a name is looked up: the system's resolver, or a test's.
pub(crate) type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send;

type Answer = Result<Vec<SocketAddr>, FetchError>;

struct Question {
    host: String,
    deadline: Mono,
    reply: Sender<Answer>,
}

struct Cached {
    addresses: Vec<SocketAddr>,
    until: Mono,
}

type Cache = Arc<Mutex<HashMap<String, Cached>>>;

/// What ureq holds. Does not keep the thread alive beyond its [`Owner`].
#[derive(Clone)]
pub(super) struct Handle {
    questions: Sender<Question>,
    cache: Cache,
    unstarted: Arc<Mutex<Option<Unstarted>>>,
}

/// The thread to be, until there is a name to look up: addresses need none.
struct Unstarted {
    inbox: Receiver<Question>,
    cache: Cache,
    lookup: Arc<Mutex<Box<Lookup>>>,
    end: Sender<()>,
    thread: Thread,
}

type Thread = Arc<Mutex<Option<JoinHandle<()>>>>;

impl Unstarted {
    fn start(&self) -> io::Result<()> {
        let (inbox, cache) = (self.inbox.clone(), Arc::clone(&self.cache));
        let (lookup, end) = (Arc::clone(&self.lookup), self.end.clone());
        let thread = crate::thread::spawn_named("resolver", move || {
            answer_all(&inbox, &cache, &**lookup.lock());
            drop(end);
        })?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }
}

/// The thread's owner: ends it when dropped.
pub(super) struct Owner {
    thread: Thread,
    ended: Receiver<()>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The thread ends with the last handle. One that hangs in getaddrinfo cannot be ended by anybody.
        let _ = self.ended.recv_timeout(limits::RESOLVER_END_MAX);
        match self.thread.lock().take() {
            Some(thread)
                if thread.is_finished()
                    || self.ended.try_recv().is_err_and(|e| e.is_disconnected()) =>
            {
                let _ = thread.join();
            }
            Some(_) => log::warn!("the resolver hangs in the system's name lookup; leaving it"),
            None => {}
        }
    }
}

/// The system's own lookup, files and DNS.
pub(super) fn system_lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    (host, 0).to_socket_addrs().map(Iterator::collect)
}

/// A resolver; its thread starts with the first name.
pub(super) fn prepare(lookup: Box<Lookup>) -> (Handle, Owner) {
    let (questions, inbox) = bounded(limits::RESOLVER_QUEUE);
    let (end, ended) = bounded(0);
    let (cache, thread) = (Cache::default(), Thread::default());
    let unstarted = Unstarted {
        inbox,
        cache: Arc::clone(&cache),
        lookup: Arc::new(Mutex::new(lookup)),
        end,
        thread: Arc::clone(&thread),
    };
    let handle = Handle {
        questions,
        cache,
        unstarted: Arc::new(Mutex::new(Some(unstarted))),
    };
    (handle, Owner { thread, ended })
}

fn answer_all(inbox: &Receiver<Question>, cache: &Cache, lookup: &Lookup) {
    for question in inbox {
        // Whoever asked has given up; the next one may still wait.
        if question.deadline <= clock::mono() {
            continue;
        }
        let answer = if let Some(known) = cached(cache, &question.host) {
            Ok(known)
        } else {
            ask(cache, &question.host, lookup)
        };
        let _ = question.reply.try_send(answer);
    }
}

fn ask(cache: &Cache, host: &str, lookup: &Lookup) -> Answer {
    let found = lookup(host).map_err(|_| FetchError::NoSuchHost)?;
    let allowed = judge(found)?;
    let now = clock::mono();
    let mut cache = cache.lock();
    if cache.len() >= limits::RESOLVER_CACHE {
        cache.retain(|_, entry| entry.until > now);
    }
    if cache.len() < limits::RESOLVER_CACHE {
        cache.insert(
            host.to_owned(),
            Cached {
                addresses: allowed.clone(),
                until: now + limits::RESOLVER_TTL,
            },
        );
    }
    Ok(allowed)
}

fn cached(cache: &Cache, host: &str) -> Option<Vec<SocketAddr>> {
    let now = clock::mono();
    cache
        .lock()
        .get(host)
        .filter(|entry| entry.until > now)
        .map(|entry| entry.addresses.clone())
}

/// The addresses that may be contacted.
fn judge(found: Vec<SocketAddr>) -> Answer {
    if found.is_empty() {
        return Err(FetchError::NoSuchHost);
    }
    let allowed: Vec<SocketAddr> = found
        .into_iter()
        .filter(|a| !address::is_refused(a.ip()))
        .take(limits::RESOLVER_ADDRESSES)
        .collect();
    if allowed.is_empty() {
        return Err(FetchError::RefusedAddress);
    }
    Ok(allowed)
}

impl Handle {
    fn ensure_thread(&self) {
        let mut unstarted = self.unstarted.lock();
        match unstarted.as_ref().map(Unstarted::start) {
            Some(Ok(())) => *unstarted = None,
            // The question waits in vain and is asked again with the next attempt.
            Some(Err(error)) => log::error!("no thread to look names up: {error}"),
            None => {}
        }
    }

    /// Where `host` is, with no port; waits for `wait` at most.
    pub(super) fn addresses(&self, host: &str, wait: Duration) -> Answer {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return judge(vec![SocketAddr::new(ip, 0)]);
        }
        if let Some(known) = cached(&self.cache, host) {
            return Ok(known);
        }
        self.ensure_thread();
        let (reply, answer) = bounded(limits::REPLY);
        let question = Question {
            host: host.to_owned(),
            deadline: clock::mono() + wait,
            reply,
        };
        match self.questions.try_send(question) {
            Ok(()) => answer
                .recv_timeout(wait)
                .unwrap_or(Err(FetchError::ResolverStuck)),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                Err(FetchError::ResolverStuck)
            }
        }
    }
}

impl Resolver for Handle {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let fail = |e: FetchError| ureq::Error::Other(Box::new(e));
        let host = uri.host().ok_or_else(|| fail(FetchError::BadUrl))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let wait = exchange::remaining().min(limits::RESOLVE_MAX);
        let mut resolved = self.empty();
        // With a proxy configured it is the proxy that is looked up: it may well be in our own network.
        let allow_private = exchange::allows_private() || config.proxy().is_some();
        for mut address in self.addresses(host, wait).map_err(fail)? {
            if allow_private || !address::is_private(address.ip()) {
                address.set_port(port);
                resolved.push(address);
            }
        }
        if resolved.is_empty() {
            return Err(fail(FetchError::PrivateAddress));
        }
        Ok(resolved)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
