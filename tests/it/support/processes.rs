//! What the kernel says of processes, and what a supervisor may not leave behind.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::supervisor::{BINARY, Supervisor};
use super::wait_for;

/// Processes whose command line passes `is_it`, which sees the arguments.
pub fn with_arguments(is_it: impl Fn(&[String]) -> bool) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<String> = line
            .split(|b| *b == 0)
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect();
        is_it(&arguments)
    })
    .collect()
}

/// The value of a line of `/proc/PID/status`; none when there is no such process.
pub fn status_field(pid: u32, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// Whether the process is there and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    status_field(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// Waits until the process has ended.
pub fn wait_gone(pid: u32) {
    wait_for(&format!("the end of pid {pid}"), || {
        if is_alive(pid) {
            Err("it runs".to_owned())
        } else {
            Ok(())
        }
    });
}

/// Waits until nothing is left of processes that have ended: not even a zombie, which tells how it ended.
pub fn wait_reaped(pids: &[u32]) {
    for pid in pids {
        wait_for("the last trace to go", || {
            match std::fs::metadata(format!("/proc/{pid}")) {
                Err(_) => Ok(()),
                Ok(_) => Err(format!("{pid} is a zombie")),
            }
        });
    }
}

/// Kills a process with -9; one that is gone is no fault.
pub fn kill(pid: u32) {
    let raw = i32::try_from(pid).expect("a pid");
    let raw = rustix::process::Pid::from_raw(raw).expect("a pid");
    let _ = rustix::process::kill_process(raw, rustix::process::Signal::KILL);
}

impl Supervisor {
    /// A command for `/bin/sh`, in which `"$JIKIMI"` is the binary; surroundings as of
    /// [`Supervisor::command`].
    pub fn shell(&self, script: &str) -> Command {
        let as_usual = self.command(&[]);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .current_dir(self.path())
            .stdin(std::process::Stdio::null())
            .env("JIKIMI", BINARY);
        for (name, value) in as_usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// The pid of the instance's main process; waits until it has one and passes `phase`.
    pub fn pid_in(&self, name: &str, phase: &str) -> u32 {
        let view = self.wait_phase(name, phase);
        u32::try_from(
            view["pid"]
                .as_u64()
                .unwrap_or_else(|| panic!("no pid: {view}")),
        )
        .expect("a pid")
    }

    /// The holder processes of the state directory.
    pub fn holders(&self) -> Vec<u32> {
        let state_dir = self.file(".jikimi").display().to_string();
        with_arguments(|arguments| {
            arguments.get(1).is_some_and(|a| a == "__holder")
                && arguments.get(2) == Some(&state_dir)
        })
    }

    /// Waits until the file has `count` lines, and returns them.
    pub fn wait_lines(&self, name: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} lines in {name}"), || {
            let lines = self.lines(name);
            if lines.len() >= count {
                Ok(lines)
            } else {
                Err(lines.join("\n"))
            }
        })
    }

    /// Waits until what the supervisor said on standard error has `text` in it.
    pub fn wait_log(&self, text: &str) -> String {
        wait_for(&format!("{text:?} in the log"), || {
            let (_, log) = self.output();
            if log.contains(text) {
                Ok(log)
            } else {
                Err(log)
            }
        })
    }

    /// Nothing of an ended supervisor is left: no process, no holder, no pipe, no socket, no registry entry.
    /// Programs are known by the variable that [`Supervisor::start_marked`] gives them.
    pub fn assert_nothing_left(&self) {
        // The holder ends by itself when it has been sent away.
        wait_for("the holder's end", || match self.holders() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?}")),
        });
        assert_eq!(self.processes(), [0; 0], "processes are left");
        let none: Vec<PathBuf> = Vec::new();
        let special: Vec<PathBuf> = files(self.path())
            .into_iter()
            .filter(|path| {
                let kind = std::fs::symlink_metadata(path).map(|m| m.file_type());
                kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
            })
            .collect();
        assert_eq!(special, none, "pipes or sockets are left");
        assert_eq!(files(&self.file("run")), none, "registry entries are left");
    }

    /// [`Supervisor::start`], with programs marked for [`Supervisor::processes`].
    pub fn start_marked(&mut self) {
        self.spawn_marked();
        wait_for("the supervisor to answer", || self.try_status().map(drop));
    }

    /// `jikimi run` in the background, marked; does not wait.
    pub fn spawn_marked(&mut self) {
        let mut command = self.command(&["run"]);
        command.env("TEST_DIR", self.path());
        self.spawn_command(command);
    }

    /// A directory with `config`, and a marked supervisor that answers.
    pub fn marked(config: &str) -> Self {
        let mut this = Self::configured(config);
        this.start_marked();
        this
    }
}

/// Every file below `folder`, folders apart.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

impl Supervisor {
    /// [`Supervisor::spawn_command`] for a command whose standard output leads somewhere else.
    pub fn spawn_with_output(&mut self, command: Command) {
        self.spawn_to(command, false);
    }
}
