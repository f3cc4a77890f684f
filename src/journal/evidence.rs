//! What a crash leaves to be found: whether the kernel ended it for want of memory, and who holds the port it wanted.
//! Looks, within bounds of time and number; what the signs mean is decided in `oom` and `port`. Runs on the
//! journal's thread, where nothing waits but the record itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::oom::{self, Rise, Rises, Signs, Verdict};
use super::port::{self, Hints, Sign, Who};
use crate::clock::{self, Mono};
use crate::limits;
use crate::model::event::{Event, EventKind, Exit, Facts};
use crate::model::name::InstanceName;
use crate::procfs::oom::{OomCounters, OomKills, kernel_log_names};
use crate::procfs::ports::{self, Bound, Holder};

/// Whose a process is, when it is an instance's.
pub type Owner = Box<dyn Fn(u32) -> Option<InstanceName> + Send>;

/// What an instance was given that may name its port.
pub type HintsOf = Box<dyn Fn(&InstanceName) -> Hints + Send>;

/// The kernel's counters of processes ended for want of memory; clones share what was seen. To be looked at now and
/// then: the shorter ago that was, the surer is the verdict.
#[derive(Clone, Debug)]
pub struct OutOfMemory {
    counters: Arc<OomCounters>,
    rises: Arc<Mutex<Rises>>,
}

impl OutOfMemory {
    /// Begins with the counters as they are.
    #[must_use]
    pub fn watch() -> Self {
        let this = Self {
            counters: Arc::new(OomCounters::own()),
            rises: Arc::default(),
        };
        this.look();
        this
    }

    /// Reads the counters.
    pub fn look(&self) {
        let kills: OomKills = self.counters.read();
        self.rises.lock().note(clock::mono(), kills);
    }

    fn signs(&self, facts: &Facts, may_look: impl Fn() -> bool) -> Signs {
        self.look();
        let now = clock::mono();
        let (group, machine) = self.rises.lock().at(now);
        // The log is long; it is asked only when the counters leave it open.
        let is_open = matches!(group, Rise::Unknown | Rise::Vague) && machine != Rise::No;
        let since = oom::begun(now, facts.uptime_s);
        let is_named = facts
            .pid
            .filter(|_| is_open && may_look())
            .and_then(|pid| kernel_log_names(pid, since));
        Signs {
            group,
            machine,
            is_named,
        }
    }
}

/// Adds to a crash what can be found out about it.
pub struct Evidence {
    memory: OutOfMemory,
    owner: Owner,
    hints: HintsOf,
    /// When ports and the kernel's log were looked through lately.
    looks: RefCell<VecDeque<Mono>>,
}

impl Evidence {
    /// With those who know whose a process is, and what an instance was given.
    #[must_use]
    pub fn new(memory: OutOfMemory, owner: Owner, hints: HintsOf) -> Self {
        Self {
            memory,
            owner,
            hints,
            looks: RefCell::default(),
        }
    }

    /// Adds to `event`, which has its last lines already, what is found. Only a crash by itself is looked into: what
    /// the supervisor ended for a reason of its own needs no other.
    pub fn add(&self, event: &mut Event) {
        if event.kind != EventKind::ProgramCrashed || event.facts.trigger.is_some() {
            return;
        }
        let found = self
            .out_of_memory(&mut event.facts)
            .or_else(|| self.taken_port(event));
        if let Some(found) = found {
            let known = event.facts.cause.take();
            event.facts.cause = Some(match known {
                Some(known) => format!("{found}; {known}"),
                None => found,
            });
        }
    }

    fn out_of_memory(&self, facts: &mut Facts) -> Option<String> {
        let exit = facts.exit.clone().filter(oom::is_suspect)?;
        let verdict = oom::verdict(&exit, self.memory.signs(facts, || self.may_look()));
        if let (Verdict::Certain, Some(Exit::Signal { oom, .. })) = (verdict, &mut facts.exit) {
            *oom = true;
        }
        oom::words(&exit, verdict).map(str::to_owned)
    }

    fn taken_port(&self, event: &Event) -> Option<String> {
        let instance = event.instance.as_ref()?;
        let lines = &event.facts.log_tail;
        let sign = port::sign(lines)?;
        let candidates = port::candidates(lines, &(self.hints)(instance));
        if candidates.is_empty() || !self.may_look() {
            return None;
        }
        let bound = ports::bound(&candidates).unwrap_or_else(|error| {
            log::debug!("the tables of sockets cannot be read: {error}");
            Vec::new()
        });
        let listened = candidates
            .iter()
            .find(|port| bound.iter().any(|b| b.port == **port && b.is_listening));
        match (listened, sign) {
            (Some(port), _) => {
                let who = self.who(&bound, *port, event);
                let is_blamed = sign == Sign::Strong || !matches!(who, Who::Itself(..));
                is_blamed.then(|| port::words(*port, &who))
            }
            // Only what the output itself says of its port is believed without anybody on it.
            (None, Sign::Strong) => {
                let said = port::candidates(lines, &Hints::default());
                said.first()
                    .map(|port| port::words(*port, &rest(&bound, *port)))
            }
            (None, Sign::Weak) => None,
        }
    }

    /// Crash loops of many programs must not keep the journal busy with looking.
    fn may_look(&self) -> bool {
        let now = clock::mono();
        let mut looks = self.looks.borrow_mut();
        while looks
            .front()
            .is_some_and(|at| now.since(*at) > limits::PORT_LOOKS_WITHIN)
        {
            looks.pop_front();
        }
        let may = looks.len() < limits::PORT_LOOKS;
        if may {
            looks.push_back(now);
        }
        may
    }

    fn who(&self, bound: &[Bound], port: u16, event: &Event) -> Who {
        let of_port: Vec<&Bound> = bound
            .iter()
            .filter(|b| b.port == port && b.is_listening)
            .collect();
        let inodes: Vec<u64> = of_port.iter().map(|b| b.inode).collect();
        let holders = ports::holders(&inodes, clock::mono() + limits::PORT_LOOK);
        match (holders.first, of_port.first()) {
            (Some(holder), _) => self.whose(&holder, event),
            // A process of our own user could be looked into: it has ended meanwhile.
            (None, Some(socket)) if holders.is_denied && socket.uid != own_uid() => {
                Who::Hidden(socket.uid)
            }
            (None, _) => Who::Unfound,
        }
    }

    fn whose(&self, holder: &Holder, event: &Event) -> Who {
        let name = String::from_utf8_lossy(&holder.name).into_owned();
        match (self.owner)(holder.pid) {
            Some(instance) if event.instance.as_ref() == Some(&instance) => {
                Who::Itself(name, holder.pid)
            }
            Some(instance) => Who::Program(instance, name, holder.pid),
            None => Who::Stranger(name, holder.pid),
        }
    }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Nobody listens on `port`: what is left of connections keeps it, or nothing.
fn rest(bound: &[Bound], port: u16) -> Who {
    match bound
        .iter()
        .filter(|b| b.port == port && b.inode == 0)
        .count()
    {
        0 => Who::Free,
        count => Who::Lingering(count),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::program::Signal;
    use crate::model::trigger::Trigger;

    fn evidence(owner: Option<&'static str>, command: &[&str]) -> Evidence {
        let hints = Hints {
            command: command.iter().map(|w| (*w).to_owned()).collect(),
            variables: vec![],
        };
        Evidence::new(
            OutOfMemory::watch(),
            Box::new(move |_| owner.map(InstanceName::single)),
            Box::new(move |_| hints.clone()),
        )
    }

    fn crash(lines: &[&str]) -> Event {
        let mut event = Event::new(EventKind::ProgramCrashed, clock::wall());
        event.instance = Some(InstanceName::single("web"));
        event.facts.exit = Some(Exit::Code(1));
        event.facts.log_tail = lines.iter().map(|l| (*l).to_owned()).collect();
        event
    }

    fn cause(evidence: &Evidence, mut event: Event) -> Option<String> {
        evidence.add(&mut event);
        event.facts.cause
    }

    #[test]
    fn the_holder_of_a_port_is_named_from_output_or_command() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let pid = std::process::id();
        let said = format!("bind 127.0.0.1:{port}: address already in use");
        let found = cause(&evidence(None, &[]), crash(&[&said])).expect("found");
        assert!(
            found.starts_with(&format!("port {port} is held by ")),
            "{found}"
        );
        assert!(found.ends_with(&format!("(pid {pid})")), "{found}");
        let command = evidence(Some("api"), &["server", &port.to_string()]);
        let found = cause(
            &command,
            crash(&["OSError: [Errno 98] Address already in use"]),
        );
        let found = found.expect("found");
        assert!(
            found.starts_with(&format!("port {port} is held by the program api (")),
            "{found}"
        );
        let own = cause(&evidence(Some("web"), &[]), crash(&[&said])).expect("found");
        assert!(own.contains("an earlier run of it"), "{own}");
        let weak = format!("failed to bind {port}, port {port}");
        assert_eq!(
            cause(&evidence(Some("web"), &[]), crash(&[&weak])),
            None,
            "its own socket"
        );
    }

    #[test]
    fn what_is_known_already_stays_and_other_crashes_are_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let said = format!("address already in use: port {port}");
        let mut limited = crash(&[&said]);
        limited.facts.cause = Some("restart limit reached".to_owned());
        let found = cause(&evidence(None, &[]), limited).expect("found");
        assert!(found.ends_with("; restart limit reached"), "{found}");
        let mut ended = crash(&[&said]);
        ended.facts.trigger = Some(Trigger::Liveness);
        assert_eq!(cause(&evidence(None, &[]), ended), None);
        let mut stopped = crash(&[&said]);
        stopped.kind = EventKind::ProgramStopped;
        assert_eq!(cause(&evidence(None, &[]), stopped), None);
        assert_eq!(
            cause(&evidence(None, &[&port.to_string()]), crash(&["no memory"])),
            None
        );
    }

    #[test]
    fn a_port_that_is_free_again_is_said_to_be_and_looking_has_a_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let said = format!("bind 127.0.0.1:{port}: address already in use");
        let evidence = evidence(None, &[]);
        for _ in 0..limits::PORT_LOOKS {
            assert_eq!(
                cause(&evidence, crash(&[&said])),
                Some(format!("port {port} was in use and is free again"))
            );
        }
        assert_eq!(cause(&evidence, crash(&[&said])), None, "enough was looked");
    }

    #[test]
    fn a_kill_without_any_sign_of_the_kernel_is_just_a_kill() {
        let mut killed = crash(&[]);
        killed.facts.pid = Some(u32::MAX);
        let exit = Exit::Signal {
            signal: Signal::KILL,
            core: false,
            oom: false,
        };
        killed.facts.exit = Some(exit.clone());
        evidence(None, &[]).add(&mut killed);
        assert_eq!((killed.facts.exit, killed.facts.cause), (Some(exit), None));
    }
}
