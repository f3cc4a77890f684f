//! The notify sockets of runs (`sd_notify`): programs that say themselves that they are ready and alive. Owns a
//! run's socket and the deadline of its watchdog. Part of the actor.

use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};
use rustix::fs::{Mode, fchmod};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};

use super::actor::{Actor, Source};
use super::machine::health::{Sign, Vitals};
use super::said::Said;
use super::slot::{Live, Slot};
use super::words::{self, Word};
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::health::Aspect;
use crate::model::program::ProgramSpec;
use crate::model::status::Health;
use crate::procfs;
use crate::text;

/// Variables of a run, in order; of two of one name the later one stands.
type Variables = Vec<(OsString, OsString)>;

/// Where a run's socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    File(PathBuf),
    /// Without a file: for users who do not come into our folder, and where the path would be too long.
    Abstract(Vec<u8>),
}

impl Address {
    /// The same for a run whoever asks: the next supervisor finds it again.
    fn of(path: PathBuf, spec: &ProgramSpec, run: RunId) -> Self {
        let fits = path.as_os_str().len() <= limits::SOCKET_PATH_BYTES_MAX;
        if fits && spec.os.owner().is_none() {
            Self::File(path)
        } else {
            Self::Abstract(format!("jikimi/{run}").into_bytes())
        }
    }

    fn socket_address(&self) -> rustix::io::Result<SocketAddrUnix> {
        match self {
            Self::File(path) => SocketAddrUnix::new(path),
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        }
    }

    /// As programs are told.
    fn variable(&self) -> OsString {
        match self {
            Self::File(path) => path.as_os_str().to_owned(),
            Self::Abstract(name) => {
                let mut text = OsString::from("@");
                text.push(std::ffi::OsStr::from_bytes(name));
                text
            }
        }
    }
}

/// A run's socket; its file goes with it.
pub(super) struct Notify {
    socket: OwnedFd,
    address: Address,
    token: Option<u64>,
    /// Then the program must have said that it is alive.
    alive_by: Option<Mono>,
    /// That somebody else spoke has been said.
    has_warned: bool,
    /// What else it said.
    pub(super) said: Said,
}

impl Drop for Notify {
    fn drop(&mut self) {
        if let Address::File(path) = &self.address {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        log::warn!("cannot remove a notify socket: {error}");
    }
}

impl Notify {
    fn open(address: Address) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        set_socket_passcred(&socket, true)?;
        if let Address::File(path) = &address {
            // An earlier supervisor's.
            remove(path);
            // The file gets the mode that its socket has: it is never open to others, not for a moment.
            fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        }
        bind(&socket, &address.socket_address()?)?;
        Ok(Self {
            socket,
            address,
            token: None,
            alive_by: None,
            has_warned: false,
            said: Said::default(),
        })
    }

    /// When [`Actor::tick_notify`] is wanted.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let times = [self.alive_by, self.said.deadline()];
        times.into_iter().flatten().min()
    }

    /// What a program is told of it.
    pub(super) fn variables(&self, spec: &ProgramSpec) -> Variables {
        let mut variables = vec![("NOTIFY_SOCKET".into(), self.address.variable())];
        let watchdog = spec.health.watchdog();
        variables.extend(watchdog.map(|within| {
            let micros = within.as_micros().to_string();
            ("WATCHDOG_USEC".into(), micros.into())
        }));
        variables
    }

    /// The next message and who sent it; none when there is no more. Descriptors sent along are closed by the
    /// kernel, there being no room for them, and such a message says nothing.
    fn receive(&self, buffer: &mut [u8]) -> Option<(usize, Option<u32>)> {
        let mut room = nix::cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut parts, Some(&mut room), flags).ok()?;
        let is_whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
        let sender = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
                _ => None,
            })
        });
        let sender = sender.filter(|_| is_whole);
        Some((
            message.bytes,
            sender.and_then(|pid| u32::try_from(pid).ok()),
        ))
    }
}

impl Actor {
    /// Makes the socket of a run of a program that speaks.
    pub(super) fn open_notify(&self, slot: usize, run: RunId) -> io::Result<Option<Notify>> {
        let spec = &self.slots[slot].spec;
        if !spec.health.notifies() {
            return Ok(None);
        }
        let path = self.ports.notify_path(run);
        Notify::open(Address::of(path, spec, run)).map(Some)
    }

    /// The socket of a run that is about to be spawned, and that run's environment.
    pub(super) fn prepare(
        &self,
        slot: usize,
        run: RunId,
        output: &[PathBuf],
    ) -> io::Result<(Option<Notify>, Variables)> {
        let notify = self
            .open_notify(slot, run)
            .inspect_err(|_| self.pipes_unused(slot, run))?;
        let slot = &self.slots[slot];
        let mut environment = slot.environment(run, output);
        let variables = notify.iter().flat_map(|n| n.variables(&slot.spec));
        environment.extend(variables);
        Ok((notify, environment))
    }

    /// Hears what a new run says; without its socket it is not to be.
    pub(super) fn hear_new(
        &mut self,
        slot: usize,
        run: RunId,
        notify: Option<Notify>,
    ) -> io::Result<()> {
        self.hear_notify(slot, notify).inspect_err(|_| {
            self.drop_main(slot);
            self.pipes_unused(slot, run);
        })
    }

    /// Hears what the slot's run says from now on.
    pub(super) fn hear_notify(&mut self, slot: usize, notify: Option<Notify>) -> io::Result<()> {
        let Some(mut notify) = notify else {
            return Ok(());
        };
        notify.token = Some(self.listen(notify.socket.as_fd(), Source::Notify(slot))?);
        if let Some(live) = self.slots[slot].live.as_mut() {
            live.notify = Some(notify);
        }
        Ok(())
    }

    /// The same for a run that outlived an earlier supervisor. Without its socket it goes on unheard.
    pub(super) fn hear_notify_again(&mut self, slot: usize, run: RunId) {
        let heard = self
            .open_notify(slot, run)
            .and_then(|notify| self.hear_notify(slot, notify));
        if let Err(error) = heard {
            let name = &self.slots[slot].name;
            log::error!("{name}: its notify socket cannot be had again: {error}");
        }
    }

    /// The run is over, or was not to be.
    pub(super) fn close_notify(&mut self, live: &mut Live) {
        let Some(notify) = live.notify.take() else {
            return;
        };
        if let Some(token) = notify.token {
            self.forget(notify.socket.as_fd(), token);
        }
    }

    /// A run has said something: so much of it is heard in one round that others have theirs.
    pub(super) fn notified(&mut self, slot: usize) {
        // Whoever speaks has begun.
        self.launch_settled(slot);
        let mut buffer = [0; limits::NOTIFY_BYTES];
        for _ in 0..limits::NOTIFY_MESSAGES {
            let live = self.slots[slot].live.as_ref();
            let notify = live.and_then(|live| live.notify.as_ref());
            let Some((length, sender)) = notify.and_then(|notify| notify.receive(&mut buffer))
            else {
                return;
            };
            let Some(pid) = sender else {
                continue;
            };
            if self.slots[slot].is_its_own(pid) {
                for word in words::parse(buffer.get(..length).unwrap_or_default()) {
                    self.said(slot, word);
                }
            }
        }
    }

    fn said(&mut self, slot: usize, word: Word) {
        let health = self.slots[slot].spec.health.clone();
        match word {
            Word::Ready if health.is_notified(Aspect::Readiness) => {
                self.pass(slot, Aspect::Readiness, None);
            }
            Word::Alive => {
                if let Some((within, notify)) = health.watchdog().zip(self.slots[slot].notify_mut())
                    && notify.alive_by.is_some()
                {
                    notify.alive_by = Some(clock::mono() + within);
                    self.pass(slot, Aspect::Liveness, None);
                }
            }
            Word::Failed if health.is_notified(Aspect::Liveness) => {
                let cause = "the program said that it does not work (WATCHDOG=trigger)".to_owned();
                self.pass(slot, Aspect::Liveness, Some(cause));
            }
            Word::Extend(by) => self.heard_extend(slot, by),
            Word::Status(status) => self.heard_status(slot, &status),
            Word::Stopping => self.heard_stopping(slot),
            Word::Ready | Word::Failed => {}
        }
    }

    /// The verdict on one aspect of what is up: healthy, or why not.
    fn pass(&mut self, slot: usize, aspect: Aspect, cause: Option<String>) {
        let health = match cause {
            None => Health::Healthy,
            Some(_) => Health::Unhealthy,
        };
        let live = self.slots[slot].live.as_ref().map(|live| live.root.run);
        if live.is_some() && live == self.slots[slot].vitals().map(Vitals::run) {
            let sign = Sign::Verdict {
                aspect,
                health,
                cause,
            };
            self.judge(slot, sign);
        }
    }

    /// The watchdog of a run that is ready begins.
    pub(super) fn await_alive(&mut self, slot: usize, within: Duration) {
        if let Some(notify) = self.slots[slot].notify_mut() {
            notify.alive_by = Some(clock::mono() + within);
        }
    }

    /// The watchdog of a run that ends is over.
    pub(super) fn await_alive_no_more(&mut self, slot: usize) {
        if let Some(notify) = self.slots[slot].notify_mut() {
            notify.alive_by = None;
        }
    }

    /// The time of a watchdog, or of what said that it ends, may be over.
    pub(super) fn tick_notify(&mut self, slot: usize, now: Mono) {
        self.tick_leaving(slot, now);
        let Some(notify) = self.slots[slot].notify_mut() else {
            return;
        };
        if notify.alive_by.is_none_or(|at| at > now) {
            return;
        }
        notify.alive_by = None;
        let within = self.slots[slot].spec.health.watchdog().unwrap_or_default();
        let cause = format!("no WATCHDOG=1 within {}", text::duration(within));
        self.pass(slot, Aspect::Liveness, Some(cause));
    }
}

impl Slot {
    fn notify_mut(&mut self) -> Option<&mut Notify> {
        self.live.as_mut()?.notify.as_mut()
    }

    /// Whether `pid` belongs to what is alive here; says so once when it does not.
    fn is_its_own(&mut self, pid: u32) -> bool {
        let Some(run) = self.live.as_ref().map(|live| live.root.run) else {
            return false;
        };
        if self.pid() == Some(pid) || procfs::has_limit_mark(pid, run) {
            return true;
        }
        let name = self.name.clone();
        if let Some(notify) = self.notify_mut().filter(|notify| !notify.has_warned) {
            notify.has_warned = true;
            log::warn!(
                "{name}: pid {pid}, which is not of this run, spoke on its notify socket; not heeded"
            );
        }
        false
    }
}
