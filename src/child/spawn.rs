//! Spawning: from a resolved command to a process in a group of its own. Owns no state.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};

use super::REGISTER;
use super::mark::Marking;
use crate::procfs;

/// A process to be.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The file to execute, absolute: with a bare name std would fork, which costs milliseconds in a large
    /// process (see [`resolve`]).
    pub file: &'a Path,
    /// The argument vector, as configured; never empty.
    pub argv: &'a [String],
    /// Working directory.
    pub directory: &'a Path,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Standard input; `/dev/null` when absent.
    pub stdin: Option<OwnedFd>,
    /// Standard output; `/dev/null` when absent.
    pub stdout: Option<OwnedFd>,
    /// Standard error; `/dev/null` when absent.
    pub stderr: Option<OwnedFd>,
    /// The limit on open files it gets, when it is not ours.
    pub file_limit: Option<Rlimit>,
    /// Whether it leads a process group of its own, as every run does. A process that is to make a session
    /// of its own must not.
    pub has_own_group: bool,
    /// Whether its standard input is a terminal that it is to own, in a session of its own. Only [`super::launch`]
    /// sees to that.
    pub has_terminal: bool,
    /// Not a run but a helper: see `child::mark`.
    pub is_helper: bool,
}

/// A process of ours. Dropping it neither ends nor reaps it.
#[derive(Debug)]
pub struct Child {
    /// Its pid, and its process group.
    pub pid: u32,
    /// Becomes readable when it ends.
    pub pidfd: OwnedFd,
    /// Field 22 of `/proc/PID/stat`; 0 when it could not be read.
    pub start_ticks: u64,
    /// It is a child of this process, which alone reaps it: until then its pid is nobody else's.
    pub is_ours: bool,
}

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No such command.
    #[error("command not found: {0}")]
    NotFound(String),
    /// It is there, but it is no program this user may run.
    #[error("command is not executable: {0}")]
    NotExecutable(String),
    /// The working directory is missing or not ours to enter.
    #[error("directory {path}: {source}", path = .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that the program was to have was refused.
    #[error("{what}: {why}")]
    Refused {
        /// What.
        what: String,
        /// Why, in words.
        why: String,
        /// Whether it would be refused again.
        is_final: bool,
    },
    /// It did not begin in time.
    #[error("did not begin within {} s", .0.as_secs())]
    Late(std::time::Duration),
    /// The kernel did not do it.
    #[error("cannot start {command}: {source}")]
    System {
        /// The command as configured.
        command: String,
        /// Why.
        source: io::Error,
    },
}

impl SpawnError {
    /// A refusal of the kernel's, of what `what` says.
    pub(super) fn refused(what: String, source: &io::Error) -> Self {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(source);
        let uid = nix::unistd::geteuid();
        Self::Refused {
            what,
            why: if errno == Some(Errno::PERM) {
                format!("not permitted (jikimi runs as uid {uid})")
            } else {
                source.to_string()
            },
            is_final: !matches!(errno, Some(Errno::AGAIN | Errno::NOMEM | Errno::INTR)),
        }
    }

    /// Whether trying again cannot help until a person changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NotFound(_) | Self::NotExecutable(_) | Self::Directory { .. } => true,
            Self::Refused { is_final, .. } => *is_final,
            Self::Late(_) => false,
            Self::System { source, .. } => matches!(
                rustix::io::Errno::from_io_error(source),
                Some(
                    rustix::io::Errno::NOEXEC
                        | rustix::io::Errno::TOOBIG
                        | rustix::io::Errno::NOENT
                )
            ),
        }
    }
}

/// The absolute file that `command` means: a bare name is looked up in `search` (a PATH), a relative path is
/// taken from `directory`.
///
/// # Errors
/// The directory or the command is not there, or the command cannot be executed.
pub fn resolve(
    command: &str,
    directory: &Path,
    search: Option<&std::ffi::OsStr>,
) -> Result<PathBuf, SpawnError> {
    enter(directory).map_err(|source| SpawnError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    if command.contains('/') {
        let file = directory.join(command);
        return match runnable(&file) {
            Some(true) => Ok(file),
            Some(false) => Err(SpawnError::NotExecutable(command.to_owned())),
            None => Err(SpawnError::NotFound(command.to_owned())),
        };
    }
    let search = search.unwrap_or_else(|| std::ffi::OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    let mut found_other = false;
    for folder in std::env::split_paths(search) {
        // An empty entry means the working directory, which here is the program's.
        let file = directory.join(folder).join(command);
        match runnable(&file) {
            Some(true) => return Ok(file),
            Some(false) => found_other = true,
            None => {}
        }
    }
    Err(if found_other {
        SpawnError::NotExecutable(command.to_owned())
    } else {
        SpawnError::NotFound(format!("{command} (not in the program's PATH)"))
    })
}

fn enter(directory: &Path) -> io::Result<()> {
    if !std::fs::metadata(directory)?.is_dir() {
        return Err(rustix::io::Errno::NOTDIR.into());
    }
    Ok(access(directory, Access::EXEC_OK)?)
}

fn runnable(file: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(metadata.is_file() && access(file, Access::EXEC_OK).is_ok())
}

/// Starts it in a process group of its own, by std's `posix_spawn` path: no `pre_exec`, no uid, an absolute
/// file. The child is registered: only [`super::reap`] takes its status.
///
/// # Errors
/// The kernel refuses, or the file cannot be executed.
pub fn spawn(spawn: Spawn) -> Result<Child, SpawnError> {
    let fail = |source| SpawnError::System {
        command: spawn.argv[0].clone(),
        source,
    };
    let marking = Marking::of(&spawn.environment, spawn.is_helper);
    let mut command = Command::new(spawn.file);
    command
        .arg0(&spawn.argv[0])
        .args(&spawn.argv[1..])
        .env_clear()
        .envs(spawn.environment)
        .current_dir(spawn.directory)
        .stdin(spawn.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(spawn.stdout.map_or_else(Stdio::null, Stdio::from))
        .stderr(spawn.stderr.map_or_else(Stdio::null, Stdio::from));
    if spawn.has_own_group {
        command.process_group(0);
    }
    let spawned = command.spawn();
    let pid = spawned.map_err(fail)?.id();
    marking.settle(pid_of(pid));
    drop(marking);
    REGISTER.lock().insert(pid);
    if let Some(limit) = spawn.file_limit {
        // The program may have ended already; then it needs no limit.
        let _ = prlimit(pid_of(pid), Resource::Nofile, limit);
    }
    let Some(raw) = pid_of(pid) else {
        return Err(fail(io::Error::other("the kernel gave pid 0")));
    };
    // Cannot be another process: nobody else reaps it.
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => {
            let start_ticks = procfs::read_stat(pid)
                .ok()
                .flatten()
                .map_or(0, |stat| stat.start_ticks);
            Ok(Child {
                pid,
                pidfd,
                start_ticks,
                is_ours: true,
            })
        }
        Err(error) => {
            super::end::abandon_pid(pid);
            Err(fail(error.into()))
        }
    }
}

/// The kernel's type for a pid; none for 0, which would mean "this process group" to some calls.
pub(super) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_command_is_found_in_the_programs_path_or_from_its_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("tool");
        std::fs::write(&file, "#!/bin/sh\n").expect("a small file");
        let found = |command: &str, search: &str| {
            resolve(command, dir.path(), Some(OsStr::new(search))).map_err(|e| e.to_string())
        };
        assert_eq!(
            found("./tool", "/bin"),
            Err("command is not executable: ./tool".to_owned())
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
            .expect("our own file");
        assert_eq!(found("./tool", "/bin"), Ok(dir.path().join("./tool")));
        assert_eq!(found("tool", &dir.path().display().to_string()), Ok(file));
        assert_eq!(
            found("tool", "/nowhere"),
            Err("command not found: tool (not in the program's PATH)".into())
        );
        assert_eq!(
            found("sub/tool", "/bin"),
            Err("command not found: sub/tool".into())
        );
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error =
            resolve("sh", Path::new("/no/such/place"), None).expect_err("there is no such place");
        assert!(
            error
                .to_string()
                .starts_with("directory /no/such/place: No such file"),
            "{error}"
        );
        assert!(error.is_permanent());
    }
}
