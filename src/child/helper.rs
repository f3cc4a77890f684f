//! Short helpers: commands that must end soon, run on the thread that wants their answer. Each has a process
//! group of its own, a deadline, a bound on what it may write, and is killed as a tree.
//!
//! A helper is no run: the supervision actor neither signals nor reaps it, and its processes carry a mark of
//! their own. What it forked and left behind is ended with it, however it ended.

use std::ffi::OsString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::RwLock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::end::{Watched, is_registered, orphans, reap, signal_group, signal_process, watch};
use super::feed::Feed;
use super::launch::{Launch, launch};
use super::original_file_limit;
use super::spawn::{Child, Spawn, SpawnError, resolve, spawn};
use crate::clock::{Mono, mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::event::Exit;
use crate::model::os::OsSettings;
use crate::model::program::Signal;
use crate::procfs::{self, Mark};

/// Held for reading between the fork of a helper and its entry in the register, and for writing by a sweep of
/// zombies that could take it for an orphan in that moment.
pub(super) static SPAWNING: RwLock<()> = RwLock::new(());

/// A helper to be.
#[derive(Debug)]
pub struct Helper<'a> {
    /// The argument vector; never empty. The command is found as that of a program is.
    pub argv: &'a [String],
    /// Working directory.
    pub directory: &'a Path,
    /// The whole environment, but for its own mark.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads from its standard input before the end of it, [`limits::HELPER_INPUT`] bytes at most;
    /// `/dev/null` when absent. One that does not read it fails at nothing.
    pub input: Option<&'a [u8]>,
    /// Whom it runs as, and what else it asks of the system.
    pub os: &'a OsSettings,
    /// Then it is killed.
    pub deadline: Mono,
    /// Becomes readable when nobody wants its answer any more; then it is killed too.
    pub cancel: BorrowedFd<'a>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperEnd {
    /// How it ended; none when it was killed for want of time, or because nobody wanted it any more.
    pub exit: Option<Exit>,
    /// The last of what it wrote to both outputs, [`limits::HELPER_OUTPUT`] bytes at most.
    pub output: Vec<u8>,
}

/// Runs it to its end, which is its deadline at the latest. Whatever it left is dead when this returns, but for
/// what left its group and its session and wrote over its environment.
///
/// # Errors
/// It could not be started, or it was to read more than a helper may.
pub fn run_helper(helper: Helper<'_>) -> Result<HelperEnd, SpawnError> {
    let fail = |source: io::Error| SpawnError::System {
        command: helper.argv[0].clone(),
        source,
    };
    let (reader, writer) =
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| fail(e.into()))?;
    // Its own end must block, as programs expect; the flag belongs to each end apart.
    rustix::io::ioctl_fionbio(&writer, false).map_err(|e| fail(e.into()))?;
    let copy = writer.try_clone().map_err(fail)?;
    let id = RunId::new();
    let (deadline, cancel) = (helper.deadline, helper.cancel);
    let (feed, stdin) = Feed::of(helper.input).map_err(fail)?.unzip();
    let (child, launch) = begin(helper, id, stdin, [writer, copy])?;
    let mut running = Running {
        child,
        reader,
        output: Vec::new(),
        feed,
    };
    let exit = running.wait(deadline, cancel);
    running.end(id);
    if let Some(Err(error)) = launch.and_then(|launch| launch.outcome()) {
        return Err(error);
    }
    running.read_all();
    Ok(HelperEnd {
        exit,
        output: running.output,
    })
}

/// Spawns it, directly or by way of our own binary.
fn begin(
    helper: Helper<'_>,
    id: RunId,
    stdin: Option<OwnedFd>,
    [stdout, stderr]: [OwnedFd; 2],
) -> Result<(Child, Option<Launch>), SpawnError> {
    let mut environment = helper.environment;
    environment.retain(|(name, _)| name != procfs::RUN_MARK && name != procfs::OUTPUT_MARK);
    environment.push((procfs::RUN_MARK.into(), id.to_string().into()));
    // Its group is what it is killed by.
    let os = OsSettings {
        new_session: false,
        ..helper.os.clone()
    };
    let file = if os.is_plain() {
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str());
        resolve(&helper.argv[0], helper.directory, path)?
    } else {
        // Found with the rights of its user, on the way.
        PathBuf::new()
    };
    let to_spawn = Spawn {
        file: &file,
        argv: helper.argv,
        directory: helper.directory,
        environment,
        stdin,
        stdout: Some(stdout),
        stderr: Some(stderr),
        file_limit: original_file_limit(),
        has_own_group: true,
        has_terminal: false,
        is_helper: true,
    };
    let _registering = SPAWNING.read();
    if os.is_plain() {
        spawn(to_spawn).map(|child| (child, None))
    } else {
        launch(to_spawn, &os).map(|(child, launch)| (child, Some(launch)))
    }
}

struct Running<'a> {
    child: Child,
    reader: OwnedFd,
    output: Vec<u8>,
    /// Until it has read all, or wants no more.
    feed: Option<Feed<'a>>,
}

impl Running<'_> {
    /// Until it has ended, the time is over, or nobody wants it any more. Its status is left where it is: the
    /// group is ours to signal until it is reaped.
    fn wait(&mut self, deadline: Mono, cancel: BorrowedFd<'_>) -> Option<Exit> {
        let mut has_output = true;
        loop {
            let left = deadline.since(mono());
            if left.is_zero() {
                return None;
            }
            let mut fds = vec![
                PollFd::new(&self.child.pidfd, PollFlags::IN),
                PollFd::from_borrowed_fd(cancel, PollFlags::IN),
            ];
            if has_output {
                fds.push(PollFd::new(&self.reader, PollFlags::IN));
            }
            if let Some(feed) = &self.feed {
                fds.push(feed.poll());
            }
            let is_over = wait_for(&mut fds, left);
            let (ended, cancelled) = (is_set(&fds, 0), is_set(&fds, 1));
            if is_over || cancelled {
                return None;
            }
            has_output = has_output && self.read();
            self.feed = self.feed.take().and_then(Feed::go_on);
            if ended {
                return self.reap();
            }
        }
    }

    /// False when nobody has the other end open any more.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.reader, &mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.output.extend_from_slice(&buffer[..n]);
                let surplus = self.output.len().saturating_sub(limits::HELPER_OUTPUT);
                self.output.drain(..surplus);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// What is left in the pipe: bounded, for whoever survived may still write.
    fn read_all(&mut self) {
        for _ in 0..limits::HELPER_LAST_READS {
            let before = rustix::io::ioctl_fionread(&self.reader).unwrap_or(0);
            if before == 0 || !self.read() {
                return;
            }
        }
    }

    fn reap(&self) -> Option<Exit> {
        match reap(&self.child) {
            Ok(exit) => exit,
            Err(error) => {
                log::error!("a helper's end cannot be read: {error}");
                Some(Exit::Unknown)
            }
        }
    }

    /// Ends everything of it.
    fn end(&self, id: RunId) {
        if is_registered(self.child.pid) {
            // Not reaped, so its group cannot be another's.
            let _ = signal_group(self.child.pid, Signal::KILL);
            let mut fds = [PollFd::new(&self.child.pidfd, PollFlags::IN)];
            if wait_for(&mut fds, limits::HELPER_KILLED) || self.reap().is_none() {
                // In a system call that cannot be interrupted: the sweep for orphans reaps it when it ends.
                super::end::abandon(&self.child);
            }
        } else if super::end::group_exists(self.child.pid) {
            // The number stays the group's as long as it has members.
            let _ = signal_group(self.child.pid, Signal::KILL);
        }
        end_marked(id);
    }
}

/// Kills what a helper left in other sessions. Its orphans come to us; those who are killed leave us theirs.
fn end_marked(id: RunId) {
    let until = mono() + limits::HELPER_KILLED;
    // One that is dying shows its mark no more, but has yet to leave us its children: it is held until it is gone.
    let mut held: Vec<Watched> = Vec::new();
    let mut quiet = 0;
    while quiet < limits::HELPER_QUIET_LOOKS && mono() < until {
        let found = marked(id, &held);
        quiet = if found.is_empty() && held.is_empty() {
            quiet + 1
        } else {
            0
        };
        for process in &found {
            let _ = signal_process(&process.pidfd, Signal::KILL);
        }
        held.extend(found);
        if held.is_empty() {
            continue;
        }
        let mut fds: Vec<PollFd<'_>> = held
            .iter()
            .map(|process| PollFd::new(&process.pidfd, PollFlags::IN))
            .collect();
        let _ = wait_for(&mut fds, until.since(mono()));
        let mut has_ended = fds
            .iter()
            .map(|fd| !fd.revents().is_empty())
            .collect::<Vec<_>>()
            .into_iter();
        held.retain(|_| !has_ended.next().unwrap_or_default());
    }
}

/// Those orphans of ours that the helper left, without those that are held already.
fn marked(id: RunId, held: &[Watched]) -> Vec<Watched> {
    let mark = Mark::Is(id.to_string());
    let is_its =
        |pid: u32| procfs::has_limit_mark(pid, id) || procfs::mark(pid, procfs::RUN_MARK) == mark;
    orphans()
        .unwrap_or_default()
        .into_iter()
        .filter(|pid| !is_registered(*pid) && held.iter().all(|process| process.pid != *pid))
        .filter(|pid| is_its(*pid))
        .filter_map(|pid| procfs::read_stat(pid).ok().flatten())
        .filter(|stat| !stat.is_zombie())
        .filter_map(|stat| watch(stat.pid, stat.start_ticks).ok().flatten())
        .collect()
}

/// Whether the time was over before anything happened. Interrupted is as good as an event: the caller looks.
fn wait_for(fds: &mut [PollFd<'_>], at_most: Duration) -> bool {
    let timeout = Timespec::try_from(at_most).ok();
    matches!(poll(fds, timeout.as_ref()), Ok(0))
}

fn is_set(fds: &[PollFd<'_>], at: usize) -> bool {
    !fds[at].revents().is_empty()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::clock;

    fn sh(script: &str, within: Duration, cancel: &OwnedFd) -> HelperEnd {
        sh_with(script, None, within, cancel).expect("a shell is everywhere")
    }

    fn sh_with(
        script: &str,
        input: Option<&[u8]>,
        within: Duration,
        cancel: &OwnedFd,
    ) -> Result<HelperEnd, SpawnError> {
        super::super::adopt_orphans().expect("Linux has had subreapers since 3.4");
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run_helper(Helper {
            os: &OsSettings::default(),
            argv: &argv,
            directory: Path::new("/"),
            environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
            input,
            deadline: clock::mono() + within,
            cancel: cancel.as_fd(),
        })
    }

    fn never() -> OwnedFd {
        eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor")
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn its_code_and_its_last_words_come_back() {
        let end = sh("echo one; echo two >&2; exit 3", LONG, &never());
        assert_eq!(end.exit, Some(Exit::Code(3)));
        assert_eq!(end.output, b"one\ntwo\n");
        let end = sh("seq 1 100000; echo the end", LONG, &never());
        assert_eq!(end.exit, Some(Exit::Code(0)));
        assert_eq!(end.output.len(), limits::HELPER_OUTPUT);
        assert!(end.output.ends_with(b"100000\nthe end\n"));
    }

    #[test]
    fn it_reads_what_it_is_given_to_the_end_of_it() {
        let end = sh_with("cat; echo .", Some(b"{\"a\":1}\n"), LONG, &never());
        assert_eq!(end.expect("a shell").output, b"{\"a\":1}\n.\n");
        // More than a pipe holds.
        let much = vec![b'x'; limits::HELPER_INPUT];
        let end = sh_with("wc -c", Some(&much), LONG, &never()).expect("a shell");
        let said = String::from_utf8_lossy(&end.output).trim().to_owned();
        assert_eq!(said, limits::HELPER_INPUT.to_string());
        assert_eq!(sh("wc -c", LONG, &never()).output.trim_ascii(), b"0");
    }

    #[test]
    fn one_that_does_not_read_is_waited_for_no_longer_than_any_other() {
        let much = vec![b'x'; limits::HELPER_INPUT];
        let end = sh_with("exit 4", Some(&much), LONG, &never()).expect("a shell");
        assert_eq!(end.exit, Some(Exit::Code(4)));
        let end = sh_with(
            "exec 0</dev/null; sleep 0.2; exit 5",
            Some(&much),
            LONG,
            &never(),
        );
        assert_eq!(end.expect("a shell").exit, Some(Exit::Code(5)));
        let short = Duration::from_millis(300);
        let end = sh_with("sleep 1000", Some(&much), short, &never()).expect("a shell");
        assert_eq!(end.exit, None);
    }

    #[test]
    fn what_is_too_much_to_read_starts_nothing() {
        let much = vec![b'x'; limits::HELPER_INPUT + 1];
        let error = sh_with("true", Some(&much), LONG, &never()).expect_err("it is too much");
        assert!(error.to_string().contains("standard input"), "{error}");
    }

    fn pids(output: &[u8]) -> Vec<u32> {
        let text = String::from_utf8_lossy(output);
        text.split_whitespace()
            .map(|word| word.parse().expect("a pid"))
            .collect()
    }

    /// Killed are they; until the kernel has taken them off there may be a moment.
    fn assert_dead(pids: &[u32]) {
        let until = mono() + Duration::from_secs(20);
        for pid in pids {
            let is_dead = || {
                let stat = procfs::read_stat(*pid).expect("readable");
                stat.is_none_or(|stat| stat.is_zombie())
            };
            while !is_dead() {
                assert!(mono() < until, "{pid} is alive");
                std::thread::yield_now();
            }
        }
    }

    /// In its group, in a session of its own, and orphaned there.
    const FAMILY: &str = "trap '' TERM; sleep 1000 & echo $!; setsid sh -c 'sleep 1000 & echo $! $$; wait' & \
                          sleep 0.3;";

    #[test]
    fn one_that_hangs_is_killed_at_its_deadline_with_all_it_forked() {
        let end = sh(&format!("{FAMILY} wait"), Duration::from_secs(2), &never());
        assert_eq!(end.exit, None);
        let pids = pids(&end.output);
        assert_eq!(pids.len(), 3);
        assert_dead(&pids);
    }

    #[test]
    fn what_one_that_ended_left_behind_is_killed_too() {
        let end = sh(&format!("{FAMILY} exit 0"), LONG, &never());
        assert_eq!(end.exit, Some(Exit::Code(0)));
        let pids = pids(&end.output);
        assert_eq!(pids.len(), 3);
        assert_dead(&pids);
    }

    #[test]
    fn one_that_nobody_wants_any_more_is_killed_at_once() {
        let cancel = never();
        rustix::io::write(&cancel, &1_u64.to_ne_bytes()).expect("room");
        assert_eq!(sh("sleep 1000", LONG, &cancel).exit, None);
    }

    #[test]
    fn a_writer_without_end_is_no_reason_to_grow() {
        let end = sh("yes", Duration::from_millis(300), &never());
        assert_eq!(end.exit, None);
        assert!(end.output.len() <= limits::HELPER_OUTPUT);
    }
}
