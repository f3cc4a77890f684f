//! The holder: a small process that keeps the pipes of running programs open, and pumps them while there is no
//! supervisor. It starts nothing, signals nobody, and writes nothing but segments and their index. It also keeps
//! their main processes, so that how they end is not lost with the supervisor.
//!
//! It guards (keeps descriptors, reads nothing) while its supervisor lives. When the supervisor's socket closes
//! without a goodbye it is orphaned: with the pump's lock it runs the same pump. A supervisor that connects and
//! says so takes over: the holder stops between two splices, hands the pipes over and guards again, for that
//! supervisor. Should this one die in between, its socket closes, and it all begins again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use super::ends::Ends;
use super::index::Mark;
use super::keeping::Keeping;
use super::link;
use super::lock::PumpLock;
use super::pipes::PipeId;
use super::ptys::Masters;
use super::pump::Pump;
use super::wire::{self, Message, Received};
use crate::clock::{self, Mono};
use crate::limits;

/// The hidden subcommand that runs [`main`].
pub const SUBCOMMAND: &str = "__holder";

/// What is needed to start a holder. It must not be made leader of a process group: it makes a session of its
/// own, which a leader cannot.
#[derive(Debug)]
pub struct HolderSeat {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Becomes its standard input; nothing else is inherited.
    pub stdin: OwnedFd,
}

/// The command of a holder for `state_dir`.
pub(super) fn argv(state_dir: &Path) -> Vec<OsString> {
    // Not the path of the binary: it may have been replaced by another version since we started.
    vec![
        OsString::from("/proc/self/exe"),
        OsString::from(SUBCOMMAND),
        state_dir.as_os_str().to_owned(),
    ]
}

/// The holder's process. `args`: the state directory. Its standard input is the socket to the supervisor.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let [state_dir] = args else {
        return ExitCode::from(2);
    };
    let state_dir = Path::new(state_dir);
    if state_dir.is_absolute() {
        // A folder that a holder stands in could not be unmounted.
        let _ = std::env::set_current_dir("/");
    }
    let ran = settle().and_then(|link| Holder::new(state_dir, link)?.run());
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens to a holder: the supervisor sees that it ended.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Leaves the terminal and its signals; standard input becomes the link.
fn settle() -> io::Result<OwnedFd> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGTSTP};
    // A leader of a group cannot; its own group and the ignored signals then have to do.
    let _ = setsid();
    for signal in [SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGPIPE] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let files = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    // Three descriptors a run, and files to write; short of them the pump says which pipe it cannot open.
    let _ = setrlimit(Resource::Nofile, most);
    let _ = rustix::thread::set_name(c"jikimi-holder");
    Ok(link)
}

struct Holder {
    state_dir: PathBuf,
    listener: OwnedFd,
    /// The socket file's inode: another holder's is not ours to remove.
    inode: Option<u64>,
    link: Option<OwnedFd>,
    held: BTreeMap<PipeId, OwnedFd>,
    /// The terminals that some of them get their bytes from.
    masters: Masters,
    ends: Ends,
}

/// How a time of guarding ended.
enum Guarded {
    Bye,
    Orphaned,
}

/// How a time alone ended.
enum Alone {
    TakenOver,
    /// Another process pumps, or the state directory is gone.
    NotNeeded,
}

impl Holder {
    fn new(state_dir: &Path, link: OwnedFd) -> io::Result<Self> {
        let path = link::address(state_dir);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        bind(&listener, &SocketAddrUnix::new(&path)?)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listen(&listener, 4)?;
        Ok(Self {
            state_dir: state_dir.to_owned(),
            listener,
            inode: std::fs::metadata(&path).ok().map(|m| m.ino()),
            link: Some(link),
            held: BTreeMap::new(),
            masters: Masters::default(),
            ends: Ends::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            if matches!(self.guard(), Guarded::Bye) {
                break;
            }
            self.link = None;
            if matches!(self.alone()?, Alone::NotNeeded) {
                break;
            }
        }
        let path = link::address(&self.state_dir);
        if std::fs::metadata(&path).ok().map(|m| m.ino()) == self.inode {
            // Best effort: the next holder removes it too.
            let _ = std::fs::remove_file(&path);
        }
        Ok(())
    }

    fn guard(&mut self) -> Guarded {
        let Some(link) = self.link.take() else {
            return Guarded::Orphaned;
        };
        loop {
            let ready = wire::wait_readable(&[link.as_fd(), self.listener.as_fd()], None);
            if let Some(end) = self.listen_to(&link) {
                return end;
            }
            if ready.get(1) == Some(&true) {
                // Somebody has the state directory's lock, so ours is dead, whatever its socket says yet.
                return Guarded::Orphaned;
            }
        }
    }

    fn listen_to(&mut self, link: &OwnedFd) -> Option<Guarded> {
        loop {
            match wire::receive(link) {
                Received::Message(Message::Hold(id), Some(fd)) => {
                    self.held.insert(id, fd);
                    self.ends.make_room(self.held.len());
                }
                Received::Message(Message::Terminal(id), Some(fd)) => self.masters.insert(id, fd),
                Received::Message(Message::Drop(id), _) => {
                    self.held.remove(&id);
                    self.masters.remove(&id);
                }
                Received::Message(Message::Watch(run, _), Some(fd)) => {
                    self.ends.keep(run, fd, self.held.len());
                }
                Received::Message(Message::Forget(run), _) => self.ends.forget(run),
                Received::Message(Message::Bye, _) => return Some(Guarded::Bye),
                Received::Message(..) | Received::Nonsense => {}
                Received::Nothing => return None,
                Received::Closed => return Some(Guarded::Orphaned),
            }
        }
    }

    fn alone(&mut self) -> io::Result<Alone> {
        let since = clock::mono();
        let mut work: Option<(Pump, PumpLock)> = None;
        loop {
            self.ends.look(clock::wall());
            if let Some(link) = self.caller() {
                if let Some((pump, lock)) = work.take() {
                    self.held.extend(pump.hand_over(clock::mono()));
                    drop(lock);
                }
                if self.give_to(&link).is_ok() {
                    self.link = Some(link);
                    return Ok(Alone::TakenOver);
                }
            }
            let Some((pump, lock)) = &mut work else {
                match PumpLock::try_take(&self.state_dir)? {
                    Some(lock) => work = Some((self.start_pump()?, lock)),
                    None if clock::mono().since(since) > limits::HOLDER_LOCK_WAIT => {
                        return Ok(Alone::NotNeeded);
                    }
                    None => {
                        wire::wait_readable(
                            &[self.listener.as_fd()],
                            Some(limits::PUMP_LOCK_RETRY),
                        );
                    }
                }
                continue;
            };
            if !lock.is_held() {
                return Ok(Alone::NotNeeded);
            }
            round(pump, &self.listener, self.ends.fd());
        }
    }

    fn start_pump(&mut self) -> io::Result<Pump> {
        let pump = Pump::new(&self.state_dir, Vec::new())?;
        let pump = pump.with_keeping(Keeping::stored(&self.state_dir));
        let mut pump = pump.with_terminals(self.masters.clone());
        for (id, fd) in std::mem::take(&mut self.held) {
            pump.add(id, fd, Mark::Running);
        }
        // What the supervisor had no time to give.
        pump.add_leftovers()?;
        Ok(pump)
    }

    /// A supervisor that waits to take over, if there is one.
    fn caller(&self) -> Option<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = accept_with(&self.listener, flags).ok()?;
        wire::wait_readable(&[socket.as_fd()], Some(limits::HANDOVER_MAX / 4));
        match wire::receive(&socket) {
            Received::Message(Message::Takeover, _) => Some(socket),
            Received::Message(..) | Received::Nothing | Received::Nonsense | Received::Closed => {
                None
            }
        }
    }

    fn give_to(&self, link: &OwnedFd) -> io::Result<()> {
        let max = limits::HANDOVER_MAX / 2;
        for (id, fd) in &self.held {
            if let Some(master) = self.masters.get(id) {
                let message = Message::Terminal(id.clone());
                wire::send_patiently(link, &message, Some(master.as_fd()), max)?;
            }
            wire::send_patiently(link, &Message::Hold(id.clone()), Some(fd.as_fd()), max)?;
        }
        for end in self.ends.all() {
            let watch = Message::Watch(end.run, end.at);
            wire::send_patiently(link, &watch, Some(end.pidfd.as_fd()), max)?;
        }
        wire::send_patiently(link, &Message::Complete, None, max)
    }
}

/// One look at the pipes, and the rest after it; a caller at the door ends the rest.
fn round(pump: &mut Pump, listener: &OwnedFd, ends: Option<BorrowedFd<'_>>) {
    let until = pump.next_deadline().map(|at| until(at, clock::mono()));
    let longest = until.map_or(limits::HOLDER_LOOK, |t| t.min(limits::HOLDER_LOOK));
    let mut fds = vec![listener.as_fd(), pump.epoll()];
    fds.extend(ends);
    let ready = wire::wait_readable(&fds, Some(longest));
    if ready.first() == Some(&true) {
        return;
    }
    if ready.get(1) == Some(&true) {
        for token in pump.wait(Some(Duration::ZERO)) {
            pump.visit(token);
        }
        wire::wait_readable(&[listener.as_fd()], Some(limits::PUMP_NAP));
    }
    pump.tend(clock::mono());
    // Nobody to tell: the next supervisor's own pump says it when it is still so.
    drop(pump.take_notices());
    drop(pump.take_closed());
}

fn until(at: Mono, now: Mono) -> Duration {
    at.since(now)
}
