//! The process between a spawn and the program: our own binary again, which sets what the system is asked for and then
//! becomes the program. It has one thread, starts nothing and prints nothing; what it cannot do it says on its
//! socket, which closes by itself when the program begins.
//!
//! The order is the one in which each step still has the rights it needs: session, terminal, limits, priority, mask, groups,
//! group, user; then, as that user, the directory, the command, and the program.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;

use nix::unistd::{Gid, Uid};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg};
use rustix::process::{Resource, Rlimit};

use super::plan::{Plan, Refusal, Step};
use super::spawn::{SpawnError, resolve};
use crate::model::os::{Identity, Limit};

/// The hidden subcommand that runs [`main`].
pub const SUBCOMMAND: &str = "__exec";

/// Becomes the program of the plan that comes through standard input. Returns only when that failed; whoever waits
/// at the other end of the socket knows why.
#[must_use]
pub fn main() -> ExitCode {
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return ExitCode::from(2);
    };
    let Err(refusal) = begin(&socket);
    // Not `write`: a person who calls this by hand has a terminal there.
    let _ = rustix::net::send(&socket, &refusal.encode(), SendFlags::NOSIGNAL);
    ExitCode::FAILURE
}

fn begin(socket: &OwnedFd) -> Result<Infallible, Refusal> {
    let (plan, stdin) = receive(socket).map_err(at(Step::Plan))?;
    stdin
        .map_or_else(|| File::open("/dev/null").map(OwnedFd::from), Ok)
        .and_then(|stdin| Ok(rustix::stdio::dup2_stdin(&stdin)?))
        .map_err(|error| refuse(Step::Plan, errno_of(&error)))?;
    set(&plan)?;
    rustix::process::chdir(&plan.directory).map_err(at(Step::Directory))?;
    execute(&plan)
}

fn refuse(step: Step, errno: Errno) -> Refusal {
    Refusal {
        step,
        errno: errno.raw_os_error(),
    }
}

fn at(step: Step) -> impl FnOnce(Errno) -> Refusal {
    move |errno| refuse(step, errno)
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The plan, which is a file in memory, and what is to be the program's standard input.
fn receive(socket: &OwnedFd) -> Result<(Plan, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        flags,
    )?;
    let mut fds = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let file = File::from(fds.next().ok_or(Errno::BADMSG)?);
    let stdin = fds.next();
    let mut bytes = Vec::new();
    let length = file.metadata().map_err(|e| errno_of(&e))?.len();
    let length = usize::try_from(length).map_err(|_| Errno::TOOBIG)?;
    bytes.resize(length, 0);
    file.read_exact_at(&mut bytes, 0)
        .map_err(|e| errno_of(&e))?;
    let plan = Plan::decode(&bytes).ok_or(Errno::BADMSG)?;
    Ok((plan, stdin))
}

fn set(plan: &Plan) -> Result<(), Refusal> {
    let os = &plan.os;
    if os.new_session || plan.has_terminal {
        rustix::process::setsid().map_err(at(Step::Session))?;
    }
    if plan.has_terminal {
        let stdin = rustix::stdio::stdin();
        rustix::process::ioctl_tiocsctty(stdin).map_err(at(Step::Terminal))?;
    }
    for (place, limit) in os.limits.iter().enumerate() {
        let place = u8::try_from(place).unwrap_or(u8::MAX);
        set_limit(limit).map_err(at(Step::Limit(place)))?;
    }
    if let Some(nice) = os.nice {
        rustix::process::setpriority_process(None, nice).map_err(at(Step::Nice))?;
    }
    if let Some(umask) = os.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
    os.identity.as_ref().map_or(Ok(()), become_them)
}

fn set_limit(limit: &Limit) -> Result<(), Errno> {
    let resource = resource(limit.name).ok_or(Errno::INVAL)?;
    let new = Rlimit {
        current: limit.soft,
        maximum: limit.hard,
    };
    rustix::process::setrlimit(resource, new)
}

/// The kernel's limit of that name.
fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

/// Groups, group, user: once the user is another, nothing before it could be set any more.
fn become_them(identity: &Identity) -> Result<(), Refusal> {
    let gid = Gid::from_raw(identity.group.id);
    if let Some(user) = &identity.user {
        let name =
            CString::new(user.name.as_str()).map_err(|_| refuse(Step::Groups, Errno::INVAL))?;
        let mut groups = nix::unistd::getgrouplist(&name, gid).map_err(of_nix(Step::Groups))?;
        groups.extend(identity.further.iter().map(|id| Gid::from_raw(*id)));
        nix::unistd::setgroups(&groups).map_err(of_nix(Step::Groups))?;
    } else if !identity.further.is_empty() {
        let groups: Vec<Gid> = identity
            .further
            .iter()
            .map(|id| Gid::from_raw(*id))
            .collect();
        nix::unistd::setgroups(&groups).map_err(of_nix(Step::Groups))?;
    }
    nix::unistd::setresgid(gid, gid, gid).map_err(of_nix(Step::Group))?;
    let Some(user) = &identity.user else {
        return Ok(());
    };
    let uid = Uid::from_raw(user.id);
    nix::unistd::setresuid(uid, uid, uid).map_err(of_nix(Step::User))?;
    if uid.is_root() || is_given_up(uid, gid) {
        return Ok(());
    }
    Err(refuse(Step::Regained, Errno::PERM))
}

/// Whether the kernel has taken every right of root's away: odd security bits can make it keep some.
fn is_given_up(uid: Uid, gid: Gid) -> bool {
    let users = nix::unistd::getresuid();
    let groups = nix::unistd::getresgid();
    let is_other = users.is_ok_and(|u| [u.real, u.effective, u.saved] == [uid; 3])
        && groups.is_ok_and(|g| [g.real, g.effective, g.saved] == [gid; 3]);
    let root = Uid::from_raw(0);
    let has_none = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.is_empty() && sets.permitted.is_empty());
    is_other && has_none && nix::unistd::setresuid(root, root, root).is_err()
}

fn of_nix(step: Step) -> impl FnOnce(nix::errno::Errno) -> Refusal {
    move |errno| Refusal {
        step,
        errno: errno as i32,
    }
}

fn execute(plan: &Plan) -> Result<Infallible, Refusal> {
    let command = plan.command.to_string_lossy();
    let file =
        resolve(&command, &plan.directory, plan.variable("PATH")).map_err(|error| match error {
            SpawnError::NotFound(_) => refuse(Step::NotFound, Errno::NOENT),
            SpawnError::NotExecutable(_) => refuse(Step::NotExecutable, Errno::ACCESS),
            SpawnError::Directory { source, .. } => refuse(Step::Directory, errno_of(&source)),
            SpawnError::System { source, .. } => refuse(Step::Execute, errno_of(&source)),
            SpawnError::Refused { .. } | SpawnError::Late(_) => refuse(Step::Execute, Errno::INVAL),
        })?;
    let file = c_string(file.as_os_str())?;
    let argv = plan
        .argv
        .iter()
        .map(|a| c_string(a))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = plan
        .environment
        .iter()
        .map(|v| c_string(v))
        .collect::<Result<Vec<_>, _>>()?;
    // std ignores PIPE before `main`, and what is ignored stays so across an `execve`.
    // SAFETY: it sets no handler; this process has one thread and is about to be another program.
    #[expect(unsafe_code, reason = "there is no safe call that sets a signal back")]
    let _ = unsafe {
        nix::sys::signal::signal(
            nix::sys::signal::SIGPIPE,
            nix::sys::signal::SigHandler::SigDfl,
        )
    };
    nix::unistd::execve(&file, &argv, &environment).map_err(of_nix(Step::Execute))
}

fn c_string(text: &OsStr) -> Result<CString, Refusal> {
    CString::new(text.as_bytes()).map_err(|_| refuse(Step::Execute, Errno::INVAL))
}
