//! Spawning by way of our own binary, which sets what the system is asked for: the supervisor's side of it. Owns the
//! socket that tells how it went; decides nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, MemfdFlags, Mode, fchmod, fchown, fstat, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::Rlimit;

use super::exec::SUBCOMMAND;
use super::plan::{Plan, REFUSAL_BYTES, Refusal, Step};
use super::spawn::{Child, Spawn, SpawnError, spawn};
use crate::model::os::{Limit, OsSettings};
use crate::procfs;

/// A process that is about to become its program.
#[derive(Debug)]
pub struct Launch {
    socket: OwnedFd,
    plan: Facts,
}

/// What sentences need.
#[derive(Debug)]
struct Facts {
    os: OsSettings,
    command: String,
    directory: std::path::PathBuf,
}

impl Launch {
    /// Becomes readable when the program has begun, or could not.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the program has begun; none while that is not known. A process that was killed on the way counts as
    /// begun: how it ended is told as its end.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), SpawnError>> {
        let mut bytes = [0; REFUSAL_BYTES];
        match rustix::io::read(&self.socket, &mut bytes) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            Ok(0) | Err(_) => Some(Ok(())),
            Ok(n) => Some(match bytes.get(..n).and_then(Refusal::decode) {
                Some(refusal) => Err(self.plan.sentence(refusal)),
                None => Ok(()),
            }),
        }
    }
}

/// Starts `launch.command` as `os` says, by way of our own binary. The child is registered as with
/// [`super::spawn`], which has begun when [`Launch::outcome`] says so: its pid and start time are the program's.
///
/// # Errors
/// There is no process; what the process itself could not do comes later.
pub fn launch(spawn_as: Spawn<'_>, os: &OsSettings) -> Result<(Child, Launch), SpawnError> {
    let facts = Facts {
        os: os.clone(),
        command: spawn_as.argv[0].clone(),
        directory: spawn_as.directory.to_owned(),
    };
    let fail = |source: io::Error| SpawnError::System {
        command: facts.command.clone(),
        source,
    };
    for output in [&spawn_as.stdout, &spawn_as.stderr, &spawn_as.stdin]
        .into_iter()
        .flatten()
    {
        give(output, os).map_err(fail)?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| fail(errno.into()))?;
    let plan = plan_of(&spawn_as, os).encode();
    send(&ours, &plan, spawn_as.stdin.as_ref()).map_err(fail)?;
    let child = spawn(Spawn {
        // Not the path of the binary: it may have been replaced by another version since we started.
        file: Path::new("/proc/self/exe"),
        argv: &["jikimi".to_owned(), SUBCOMMAND.to_owned()],
        directory: Path::new("/"),
        environment: marks(&spawn_as.environment),
        stdin: Some(theirs),
        stdout: spawn_as.stdout,
        stderr: spawn_as.stderr,
        file_limit: None,
        // A leader of a group cannot begin a session.
        has_own_group: spawn_as.has_own_group && !os.new_session && !spawn_as.has_terminal,
        has_terminal: false,
        is_helper: spawn_as.is_helper,
    })?;
    let launch = Launch {
        socket: ours,
        plan: facts,
    };
    Ok((child, launch))
}

/// A pipe or terminal of the run belongs to the user of the run: a program may open its output again by its
/// descriptor (`/dev/stdout`). Nothing else is given away.
fn give(pipe: &OwnedFd, os: &OsSettings) -> io::Result<()> {
    let Some(owner) = os.owner() else {
        return Ok(());
    };
    let is_ours = match FileType::from_raw_mode(fstat(pipe)?.st_mode) {
        FileType::Fifo => true,
        FileType::CharacterDevice => rustix::termios::isatty(pipe),
        _ => false,
    };
    if is_ours {
        fchown(pipe, Some(rustix::fs::Uid::from_raw(owner)), None)?;
        fchmod(pipe, Mode::RUSR | Mode::WUSR)?;
    }
    Ok(())
}

fn plan_of(spawn: &Spawn<'_>, os: &OsSettings) -> Plan {
    let mut os = os.clone();
    // What we raised for ourselves is not for programs.
    if let Some(original) = spawn.file_limit
        && !os.limits.iter().any(|limit| limit.name == "nofile")
    {
        os.limits.push(files(original));
    }
    let variable = |(name, value): &(OsString, OsString)| {
        let mut text = name.clone();
        text.push("=");
        text.push(value);
        text
    };
    Plan {
        os,
        directory: spawn.directory.to_owned(),
        command: OsString::from(&spawn.argv[0]),
        argv: spawn.argv.iter().map(OsString::from).collect(),
        environment: spawn.environment.iter().map(variable).collect(),
        has_terminal: spawn.has_terminal,
    }
}

fn files(limit: Rlimit) -> Limit {
    Limit {
        name: "nofile",
        soft: limit.current,
        hard: limit.maximum,
    }
}

/// The marks alone: by them the process is known for the run's from its first moment.
fn marks(environment: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let marks = [procfs::RUN_MARK, procfs::OUTPUT_MARK].map(OsStr::new);
    let is_mark = |(name, _): &&(OsString, OsString)| marks.contains(&name.as_os_str());
    environment.iter().filter(is_mark).cloned().collect()
}

/// Before there is anybody to read it: nobody waits for anybody, and a supervisor that dies in between leaves no
/// process that waits.
fn send(socket: &OwnedFd, plan: &[u8], stdin: Option<&OwnedFd>) -> io::Result<()> {
    let mut file = std::fs::File::from(memfd_create(c"jikimi-plan", MemfdFlags::CLOEXEC)?);
    file.write_all(plan)?;
    let mut fds = vec![file.as_fd()];
    fds.extend(stdin.map(|fd| fd.as_fd()));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS.into());
    }
    sendmsg(
        socket,
        &[IoSlice::new(b"p")],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

impl Facts {
    fn sentence(&self, refusal: Refusal) -> SpawnError {
        let source = io::Error::from_raw_os_error(refusal.errno);
        let what = match refusal.step {
            Step::NotFound => {
                return SpawnError::NotFound(if self.command.contains('/') {
                    self.command.clone()
                } else {
                    format!("{} (not in the program's PATH)", self.command)
                });
            }
            Step::NotExecutable => return SpawnError::NotExecutable(self.command.clone()),
            Step::Directory => {
                return SpawnError::Directory {
                    path: self.directory.clone(),
                    source,
                };
            }
            Step::Execute | Step::Plan => {
                return SpawnError::System {
                    command: self.command.clone(),
                    source,
                };
            }
            Step::Session => "cannot begin a session".to_owned(),
            Step::Terminal => "cannot own its terminal".to_owned(),
            Step::Limit(place) => self.limit(place),
            Step::Nice => format!("cannot set nice to {}", self.os.nice.unwrap_or_default()),
            Step::Groups => format!("cannot take the groups of {}", self.user()),
            Step::Group => format!("cannot become {}", self.group()),
            Step::User => format!("cannot become {}", self.user()),
            Step::Regained => format!("{} could become root again", self.user()),
        };
        SpawnError::refused(what, &source)
    }

    fn user(&self) -> String {
        let identity = self.os.identity.as_ref();
        match identity.and_then(|identity| identity.user.as_ref()) {
            Some(user) => format!("user {}", user.name),
            None => self.group(),
        }
    }

    fn group(&self) -> String {
        let identity = self.os.identity.as_ref();
        identity.map_or_else(String::new, |identity| {
            format!("group {}", identity.group.name)
        })
    }

    fn limit(&self, place: u8) -> String {
        // The one behind those of the configuration is the limit on open files that we were started with.
        let limit = self.os.limits.get(usize::from(place));
        limit.map_or_else(
            || "cannot set the limit nofile back".to_owned(),
            |limit| {
                let word = |bound: Option<u64>| {
                    bound.map_or_else(|| "unlimited".to_owned(), |bound| bound.to_string())
                };
                let (soft, hard) = (word(limit.soft), word(limit.hard));
                format!("cannot set the limit {} to {soft}:{hard}", limit.name)
            },
        )
    }
}
