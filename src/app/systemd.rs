//! What systemd is told where it started us (`sd_notify`): ready, reloading, stopping, a line of status, and that
//! supervision takes its turns. The thread `sd-notify`, only where there is a `NOTIFY_SOCKET`. Nothing waits for it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::heartbeat::words;
use crate::clock;
use crate::limits;
use crate::supervise::Supervisor;
use crate::supervise::board::Board;

/// Where to tell it, and how often a sign of life is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// A path, or `@` and a name without a file.
    address: OsString,
    watchdog: Option<Duration>,
}

impl Told {
    /// From the variables that systemd sets for the process `own`.
    fn from(get: impl Fn(&str) -> Option<OsString>, own: u32) -> Option<Self> {
        let address = get("NOTIFY_SOCKET").filter(|a| !a.is_empty())?;
        let number = |name: &str| get(name)?.to_str()?.parse::<u64>().ok();
        // Meant for another process of the service.
        let is_ours =
            get("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(u64::from(own));
        let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours);
        Some(Self {
            address,
            watchdog: micros.map(Duration::from_micros),
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self.address.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name),
            Some((b'/', _)) => {
                SocketAddr::from_pathname(OsStr::from_bytes(self.address.as_bytes()))
            }
            _ => Err(io::Error::other("it is neither a path nor @ and a name")),
        }
    }

    /// How often there is something to say: twice in the watchdog's time.
    fn every(&self) -> Duration {
        self.watchdog
            .map_or(limits::SD_STATUS_EVERY, |time| time / 2)
    }
}

/// What has come to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Everything is started, or read again.
    Ready,
    /// The configuration is being read, or this process becomes another version.
    Reloading,
    /// The end has begun.
    Stopping,
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Reloading => {
                let micros = clock::mono().nanos() / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={micros}")
            }
            Self::Stopping => "STOPPING=1".to_owned(),
        }
    }
}

/// What it tells of.
struct Life {
    board: Arc<Board>,
    /// None once everything is being stopped: a handle of ours would keep the actor alive.
    supervisor: Mutex<Option<Supervisor>>,
}

struct Talk {
    words: Sender<Word>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Who tells systemd, if it started us.
pub(super) struct Systemd {
    life: Arc<Life>,
    talk: Mutex<Option<Talk>>,
}

impl Systemd {
    /// As the environment says. Without a `NOTIFY_SOCKET` nobody is told anything.
    pub fn new(supervisor: Supervisor, board: Arc<Board>) -> Self {
        let told = Told::from(|name| std::env::var_os(name), std::process::id());
        let life = Arc::new(Life {
            board,
            supervisor: Mutex::new(Some(supervisor)),
        });
        let talk = told.and_then(|told| match begin(&life, told) {
            Ok(talk) => Some(talk),
            Err(error) => {
                log::warn!("systemd is told nothing: {error}");
                None
            }
        });
        if talk.is_none() {
            *life.supervisor.lock() = None;
        }
        Self {
            life,
            talk: Mutex::new(talk),
        }
    }

    /// Says it, if anybody listens.
    pub fn say(&self, word: Word) {
        if let Some(talk) = self.talk.lock().as_ref()
            && talk.words.try_send(word).is_err()
        {
            log::warn!("systemd does not take what it is told; {word:?} is not said");
        }
    }

    /// Says the last word; from now on nothing is said.
    pub fn end(&self, word: Word) {
        self.say(word);
        *self.life.supervisor.lock() = None;
        let Some(talk) = self.talk.lock().take() else {
            return;
        };
        drop(talk.words);
        let ended = talk.ended.recv_timeout(limits::SD_END_MAX);
        if ended == Err(RecvTimeoutError::Disconnected) {
            let _ = talk.thread.join();
        } else {
            log::debug!("systemd does not take what it is told; leaving it");
        }
    }
}

fn begin(life: &Arc<Life>, told: Told) -> io::Result<Talk> {
    let address = told.address()?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(limits::SD_SEND))?;
    let (words, inbox) = bounded(limits::SD_WORDS);
    let (end, ended) = bounded(0);
    let life = Arc::clone(life);
    let thread = crate::thread::spawn_named("sd-notify", move || {
        let ear = Line {
            socket,
            address,
            told,
        };
        life.talk(&ear, &inbox);
        drop(end);
    })?;
    Ok(Talk {
        words,
        ended,
        thread,
    })
}

/// The socket and what goes over it.
struct Line {
    socket: UnixDatagram,
    address: SocketAddr,
    told: Told,
}

impl Line {
    fn send(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            log::debug!("systemd was not told {text:?}: {error}");
        }
    }
}

impl Life {
    fn talk(&self, line: &Line, words: &Receiver<Word>) {
        let mut due = clock::mono();
        let mut said = String::new();
        loop {
            match words.recv_timeout(due.since(clock::mono())) {
                Ok(word) => line.send(&word.text()),
                Err(RecvTimeoutError::Timeout) => {
                    // From when it was due, so that the beats do not drift towards the watchdog's time.
                    due = (due + line.told.every()).max(clock::mono());
                    self.beat(line, &mut said);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A sign of life, if supervision answers; and how it stands, if that is news.
    fn beat(&self, line: &Line, said: &mut String) {
        let Some(supervisor) = self.supervisor.lock().clone() else {
            return;
        };
        let within = (line.told.every() / 2).min(limits::HEARTBEAT_ANSWER);
        let lives = supervisor.answers(within);
        drop(supervisor);
        let status = if lives {
            words(&self.board.read())
        } else {
            "supervision does not answer".to_owned()
        };
        let mut text = String::new();
        if lives && line.told.watchdog.is_some() {
            text.push_str("WATCHDOG=1\n");
        }
        if *said != status {
            text.extend(["STATUS=", &status, "\n"]);
        }
        if !text.is_empty() {
            line.send(&text);
        }
        *said = status;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> Option<Told> {
        let get = |name: &str| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Told::from(get, 7)
    }

    #[test]
    fn the_watchdog_is_ours_only_when_it_names_us_or_nobody() {
        let socket = ("NOTIFY_SOCKET", "/run/s");
        let time = ("WATCHDOG_USEC", "20000000");
        let of = |pairs: &[(&str, &str)]| told(pairs).and_then(|t| t.watchdog);
        assert_eq!(of(&[socket, time]), Some(Duration::from_secs(20)));
        assert_eq!(
            of(&[socket, time, ("WATCHDOG_PID", "7")]),
            Some(Duration::from_secs(20))
        );
        assert_eq!(of(&[socket, time, ("WATCHDOG_PID", "8")]), None);
        assert_eq!(of(&[socket, time, ("WATCHDOG_PID", "x")]), None);
        assert_eq!(of(&[socket, ("WATCHDOG_USEC", "0")]), None);
        assert_eq!(told(&[time]), None);
        assert_eq!(told(&[("NOTIFY_SOCKET", ""), time]), None);
    }

    #[test]
    fn an_address_is_a_path_or_a_name_without_a_file() {
        let of = |address: &str| told(&[("NOTIFY_SOCKET", address)]).map(|t| t.address());
        let path = of("/run/s").expect("told").expect("a path");
        assert_eq!(path.as_pathname(), Some(std::path::Path::new("/run/s")));
        let name = of("@x/y").expect("told").expect("a name");
        assert_eq!(name.as_abstract_name(), Some(&b"x/y"[..]));
        assert!(of("vsock:2:1").expect("told").is_err());
        assert!(of(&format!("/{}", "x".repeat(200))).expect("told").is_err());
    }

    #[test]
    fn a_sign_is_given_twice_in_the_watchdogs_time() {
        let told = told(&[("NOTIFY_SOCKET", "/s"), ("WATCHDOG_USEC", "3000000")]);
        assert_eq!(told.map(|t| t.every()), Some(Duration::from_millis(1_500)));
    }
}
