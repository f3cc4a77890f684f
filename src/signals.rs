//! Signals: turns what the system and the person at the keyboard send into messages. Owns the thread
//! `signals` and the process's signal handlers; decides nothing about what follows, and never blocks.
//!
//! INT and TERM raise the urgency: first clean, then now, then exit. From the third on this room ends the
//! process by itself: after [`limits::EXIT_GRACE`] in which the app may say what is left, or at once with
//! a fourth signal, in the handler, whatever hangs. The thread does nothing that could hang it: it reads
//! its pipe, sets a flag and sends without waiting.
//!
//! HUP, TSTP, TTIN and TTOU are caught, so they neither end nor stop the supervisor; they are caught and
//! not ignored because an ignored signal stays ignored in the programs it starts. For the same reason every
//! signal that whoever started us had ignored (`nohup`, a shell's `trap ''`) is caught and passed over. PIPE is
//! ignored by std before `main`, which gives the programs its default back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use rustix::fd::{AsFd, BorrowedFd};
use signal_hook::SigId;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::iterator::backend::Handle as IncomingHandle;
use signal_hook::{flag, low_level};

use crate::limits;
use crate::model::program::Signal;
use crate::model::urgency::Urgency;
use crate::procfs;
use crate::thread::spawn_named;

/// The status of a process that leaves with work undone.
const EXIT_STATUS: i32 = 1;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalMessage {
    /// End, this urgently.
    Stop {
        /// How urgently: rises with every signal.
        urgency: Urgency,
        /// Which signal said so.
        signal: Signal,
    },
    /// SIGHUP.
    Hangup {
        /// A terminal that was there at the start is gone: a closed ssh, not a request to reload.
        is_terminal_gone: bool,
    },
    /// SIGTSTP: Ctrl-Z, which does not stop a supervisor.
    Suspend,
}

impl SignalMessage {
    /// What to say to the person who sent it.
    #[must_use]
    pub const fn sentence(&self) -> &'static str {
        match self {
            Self::Stop { urgency, .. } => match urgency {
                Urgency::Clean => "stopping; a second signal kills at once",
                Urgency::Now => "killing what still runs; a third signal leaves at once",
                Urgency::Exit => "leaving at once",
            },
            Self::Hangup {
                is_terminal_gone: true,
            } => "the terminal is gone; going on without terminal output",
            Self::Hangup {
                is_terminal_gone: false,
            } => "reading the configuration again",
            Self::Suspend => {
                "not suspended: programs are running and need their supervisor; Ctrl-C stops everything"
            }
        }
    }
}

/// What a caught signal does next; counts the ones that end. Pure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Escalation {
    last: Option<Urgency>,
}

impl Escalation {
    fn next(&mut self) -> Urgency {
        let urgency = self.last.map_or(Urgency::Clean, Urgency::raised);
        self.last = Some(urgency);
        urgency
    }
}

/// The running signal thread. Dropping it ends the thread and takes the fourth signal's exit away; the
/// handlers stay, so that a late signal does not end the process half way through its end.
#[derive(Debug)]
pub struct Signals {
    incoming: IncomingHandle,
    exits: Vec<SigId>,
    is_leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Catches the signals and starts the thread `signals`, which sends to `messages` without ever waiting.
    /// `messages` should have room for [`limits::SIGNAL_QUEUE`].
    ///
    /// # Errors
    /// A handler cannot be set, or the system has no room for another thread.
    pub fn start(messages: Sender<SignalMessage>) -> io::Result<Self> {
        Self::start_with(messages, || low_level::exit(EXIT_STATUS))
    }

    fn start_with(
        messages: Sender<SignalMessage>,
        leave: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        catch_ignored();
        let is_leaving = Arc::new(AtomicBool::new(false));
        // Before the handlers of `incoming`: the order of registration is the order of running.
        let exits = [SIGINT, SIGTERM]
            .into_iter()
            .map(|s| flag::register_conditional_shutdown(s, EXIT_STATUS, Arc::clone(&is_leaving)))
            .collect::<io::Result<Vec<SigId>>>()?;
        let caught = Incoming::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU])?;
        let incoming = caught.handle();
        let catcher = Catcher {
            messages,
            is_leaving: Arc::clone(&is_leaving),
            terminals: terminals(),
        };
        let thread = spawn_named("signals", move || {
            if catcher.run(caught) {
                wait_out_the_grace();
                leave();
            }
        })?;
        Ok(Self {
            incoming,
            exits,
            is_leaving,
            thread: Some(thread),
        })
    }
}

/// Catches what was ignored when we were started. Not the real-time signals: the first of them are the C
/// library's own, and no shell can ignore the others.
fn catch_ignored() {
    let ignored = procfs::ignored_signals().unwrap_or_else(|error| {
        log::warn!("programs inherit the signals that are ignored here: {error}");
        0
    });
    for number in (1..=31).filter(|number| ignored & (1 << (number - 1)) != 0) {
        if number == SIGPIPE || signal_hook::consts::FORBIDDEN.contains(&number) {
            continue;
        }
        // Nobody reads the flag: that there is a handler is the point.
        if let Err(error) = flag::register(number, Arc::default()) {
            log::warn!("programs inherit that signal {number} is ignored: {error}");
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for exit in self.exits.drain(..) {
            low_level::unregister(exit);
        }
        self.incoming.close();
        if self.is_leaving.load(Ordering::SeqCst) {
            // It is in the grace before the exit, which nobody waits for.
            return;
        }
        if let Some(thread) = self.thread.take() {
            // A panic in it has been logged.
            let _ = thread.join();
        }
    }
}

struct Catcher {
    messages: Sender<SignalMessage>,
    is_leaving: Arc<AtomicBool>,
    terminals: Vec<Standard>,
}

impl Catcher {
    /// Serves until it is closed (false) or asked to leave at once (true).
    fn run(&self, mut caught: Incoming) -> bool {
        let mut escalation = Escalation::default();
        for number in &mut caught {
            match number {
                SIGINT | SIGTERM => {
                    let urgency = escalation.next();
                    if urgency == Urgency::Exit {
                        // First of all, so that the next signal leaves even if the rest of this hangs.
                        self.is_leaving.store(true, Ordering::SeqCst);
                    }
                    if let Some(signal) = Signal::from_number(number) {
                        self.send(SignalMessage::Stop { urgency, signal });
                    }
                    if urgency == Urgency::Exit {
                        return true;
                    }
                }
                SIGHUP => self.send(SignalMessage::Hangup {
                    is_terminal_gone: self.terminals.iter().any(|t| is_gone(*t)),
                }),
                SIGTSTP => self.send(SignalMessage::Suspend),
                // TTIN and TTOU: caught so that they do not stop us, and of no interest.
                _ => {}
            }
        }
        false
    }

    /// The last places are for the signals that end: a burst of HUP must not cost one of those.
    fn send(&self, message: SignalMessage) {
        let free = self
            .messages
            .capacity()
            .map_or(usize::MAX, |c| c.saturating_sub(self.messages.len()));
        let is_end = matches!(message, SignalMessage::Stop { .. });
        if (is_end || free > limits::SIGNAL_RESERVE) && self.messages.try_send(message).is_ok() {
            return;
        }
        log::warn!("a signal was not handled in time: {}", message.sentence());
    }
}

fn wait_out_the_grace() {
    // A wait with an end and nothing to wait for: the sender lives, and sends nothing.
    let (_never, grace) = bounded::<()>(1);
    let _ = grace.recv_timeout(limits::EXIT_GRACE);
}

/// One of the three descriptors a process is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standard {
    Input,
    Output,
    Error,
}

/// Those of the three that are a terminal.
fn terminals() -> Vec<Standard> {
    [Standard::Input, Standard::Output, Standard::Error]
        .into_iter()
        .filter(|s| with_fd(*s, |fd| rustix::termios::isatty(fd)))
        .collect()
}

fn is_gone(standard: Standard) -> bool {
    with_fd(standard, is_hung_up)
}

fn with_fd<T>(standard: Standard, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    match standard {
        Standard::Input => look(io::stdin().as_fd()),
        Standard::Output => look(io::stdout().as_fd()),
        Standard::Error => look(io::stderr().as_fd()),
    }
}

/// The kernel answers every question to a terminal that was hung up with EIO, and has done so before it
/// sends HUP.
fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    matches!(rustix::termios::tcgetattr(fd), Err(rustix::io::Errno::IO))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal as Raw, getpid, kill_process};
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    #[test]
    fn the_urgency_rises_with_each_signal_and_stays_at_exit() {
        let mut escalation = Escalation::default();
        let all: Vec<Urgency> = (0..5).map(|_| escalation.next()).collect();
        assert_eq!(all[..3], Urgency::ALL);
        assert_eq!(all[3..], [Urgency::Exit; 2]);
    }

    #[test]
    fn a_terminal_that_was_closed_is_known_to_be_gone() {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let terminal = ioctl_tiocgptpeer(&master, flags).expect("its other side");
        assert!(!is_hung_up(terminal.as_fd()));
        drop(master);
        assert!(is_hung_up(terminal.as_fd()));
    }

    #[test]
    fn hangups_never_take_the_place_of_the_signals_that_end() {
        let (tx, rx) = bounded(limits::SIGNAL_QUEUE);
        let catcher = Catcher {
            messages: tx,
            is_leaving: Arc::default(),
            terminals: vec![],
        };
        for _ in 0..2 * limits::SIGNAL_QUEUE {
            catcher.send(SignalMessage::Suspend);
        }
        for urgency in Urgency::ALL {
            catcher.send(SignalMessage::Stop {
                urgency,
                signal: Signal::TERM,
            });
        }
        let stops = rx
            .try_iter()
            .filter(|m| matches!(m, SignalMessage::Stop { .. }));
        assert_eq!(stops.count(), 3);
    }

    // One test with real signals: they belong to the whole process.
    #[test]
    fn real_signals_become_messages_and_the_third_leaves_by_itself() {
        let (tx, rx) = bounded(limits::SIGNAL_QUEUE);
        let (left, has_left) = bounded(1);
        let signals = Signals::start_with(tx, move || {
            let _ = left.try_send(());
        })
        .expect("handlers can be set");
        let send = |signal: Raw| kill_process(getpid(), signal).expect("a signal to oneself");
        let next = || rx.recv_timeout(WAIT).expect("a message for the signal");
        send(Raw::TTIN);
        send(Raw::TTOU);
        send(Raw::TSTP);
        assert_eq!(next(), SignalMessage::Suspend, "and nobody was stopped");
        send(Raw::HUP);
        let gone = SignalMessage::Hangup {
            is_terminal_gone: false,
        };
        assert_eq!(next(), gone);
        for (signal, urgency) in [
            (Raw::INT, Urgency::Clean),
            (Raw::TERM, Urgency::Now),
            (Raw::INT, Urgency::Exit),
        ] {
            assert!(has_left.is_empty(), "left before {urgency}");
            send(signal);
            let signal = Signal::from_number(signal.as_raw()).expect("a real signal");
            assert_eq!(next(), SignalMessage::Stop { urgency, signal });
        }
        has_left.recv_timeout(WAIT).expect("the third leaves");
        drop(signals);
    }
}
