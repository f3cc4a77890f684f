//! A real `jikimi run` in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

use super::wait_for;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_jikimi");

/// A directory with a configuration, and perhaps a supervisor running in it. Dropping it kills whatever of
/// it is left.
pub struct Supervisor {
    dir: tempfile::TempDir,
    child: Option<Child>,
    starts: usize,
}

impl Supervisor {
    /// A directory with `config` as its `jikimi.toml`; nothing runs yet.
    pub fn configured(config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let this = Self {
            dir,
            child: None,
            starts: 0,
        };
        this.write("jikimi.toml", config);
        this
    }

    /// [`Supervisor::configured`], started and answering.
    pub fn running(config: &str) -> Self {
        let mut this = Self::configured(config);
        this.start();
        this
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file in the directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("our own folder");
        std::fs::write(path, text).expect("a file in our own folder");
    }

    /// Reads a file of the directory; empty when it is not there.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.path().join(name)).unwrap_or_default())
            .into_owned()
    }

    /// The lines of a file of the directory.
    pub fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    /// A command of the binary, in the directory, seeing no other supervisor of this machine.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path().join("run"))
            .env("XDG_CONFIG_HOME", self.dir.path().join("etc"))
            .env_remove("JIKIMI_SOCKET")
            .env_remove("JIKIMI_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// Starts `jikimi run` and waits until it answers.
    pub fn start(&mut self) {
        self.spawn(&["run"]);
        wait_for("the supervisor to answer", || self.try_status().map(drop));
    }

    /// Starts `jikimi` with `args` in the background, its output going to files ([`Supervisor::output`]).
    pub fn spawn(&mut self, args: &[&str]) {
        self.spawn_with(args, &[]);
    }

    /// [`Supervisor::spawn`] with more environment variables.
    pub fn spawn_with(&mut self, args: &[&str], variables: &[(&str, &str)]) {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        self.spawn_command(command);
    }

    /// Starts `command` in the background as the supervisor, its output going to files.
    pub fn spawn_command(&mut self, command: Command) {
        self.spawn_to(command, true);
    }

    pub(super) fn spawn_to(&mut self, mut command: Command, takes_output: bool) {
        self.starts += 1;
        std::fs::create_dir_all(self.dir.path().join("run")).expect("our own folder");
        let file =
            |name: &str| std::fs::File::create(self.dir.path().join(name)).expect("our own folder");
        let (out, err) = (
            file(&format!("run-{}.out", self.starts)),
            file(&format!("run-{}.err", self.starts)),
        );
        if takes_output {
            command.stdout(out);
        }
        let child = command.stderr(err).spawn().expect("the binary runs");
        self.child = Some(child);
    }

    /// What the latest start printed: standard output and standard error.
    pub fn output(&self) -> (String, String) {
        (
            self.read(&format!("run-{}.out", self.starts)),
            self.read(&format!("run-{}.err", self.starts)),
        )
    }

    /// Takes on a supervisor that the test has started itself, with [`Supervisor::command`].
    pub fn adopt(&mut self, child: Child) {
        self.child = Some(child);
        wait_for("the supervisor to answer", || self.try_status().map(drop));
    }

    /// The pid of the supervisor.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    /// `status --json`, or why there is none.
    pub fn try_status(&self) -> Result<Value, String> {
        let output = self.cli(&["status", "--json"]);
        if !output.status.success() {
            let (_, log) = self.output();
            return Err(format!(
                "{} {}\nlog:\n{log}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.try_status().expect("it answers")
    }

    /// One instance of `status --json`; null when there is none of that name.
    pub fn program(&self, name: &str) -> Value {
        let status = self.status();
        let programs = status["programs"].as_array().expect("a list");
        programs
            .iter()
            .find(|p| p["name"] == name)
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// Waits until the instance's view passes `is_so`, and returns it.
    pub fn wait_program(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{name}: {what}"), || {
            let view = self.program(name);
            if is_so(&view) {
                Ok(view)
            } else {
                Err(view.to_string())
            }
        })
    }

    /// Waits until the instance is in `phase`.
    pub fn wait_phase(&self, name: &str, phase: &str) -> Value {
        self.wait_program(name, phase, |view| view["phase"] == phase)
    }

    /// `events --json`, all of them, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let output = self.cli(&["events", "--json"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect()
    }

    /// Events of `kind` about `instance`.
    pub fn events_of(&self, kind: &str, instance: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|e| e["type"] == kind && e["instance"] == instance);
        events
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, name: &str) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a pid"))
            .expect("a pid");
        let signal = match name {
            "INT" => rustix::process::Signal::INT,
            "TERM" => rustix::process::Signal::TERM,
            "HUP" => rustix::process::Signal::HUP,
            "TSTP" => rustix::process::Signal::TSTP,
            "KILL" => rustix::process::Signal::KILL,
            "STOP" => rustix::process::Signal::STOP,
            "CONT" => rustix::process::Signal::CONT,
            other => panic!("no such signal here: {other}"),
        };
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits for the supervisor's end.
    pub fn wait(&mut self) -> ExitStatus {
        let what = "the supervisor to end";
        let status = wait_for(what, || {
            let child = self.child.as_mut().expect("it was started");
            match child.try_wait().expect("our own child") {
                Some(status) => Ok(status),
                None => Err(self.output().1),
            }
        });
        self.child = None;
        status
    }

    /// Stops it with INT and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal("INT");
        self.wait().code().expect("it exits by itself")
    }

    /// Kills it with -9 and reaps it.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait();
    }

    /// Processes on this machine whose environment marks them as started from this directory's supervisor.
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("TEST_DIR={}", self.dir.path().display()).into_bytes();
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|b| *b == 0).any(|variable| variable == mark)
        })
        .collect()
    }

    /// Absolute path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Twice to stop now; then it is killed.
            for _ in 0..2 {
                let pid = rustix::process::Pid::from_child(&child);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            let start = std::time::Instant::now();
            while matches!(child.try_wait(), Ok(None))
                && start.elapsed() < std::time::Duration::from_secs(5)
            {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let (out, err) = self.output();
                eprintln!("--- supervisor's output\n{out}\n--- supervisor's log\n{err}");
            }
        }
        // What a supervisor that was killed on purpose left, when the test ended before the next one.
        for pid in self.processes().into_iter().chain(self.holders()) {
            super::processes::kill(pid);
        }
    }
}

impl Supervisor {
    /// [`Supervisor::start`] with these variables in the environment as well.
    pub fn start_with(&mut self, variables: &[(&str, &str)]) {
        self.starts += 1;
        std::fs::create_dir_all(self.dir.path().join("run")).expect("our own folder");
        let file =
            |name: &str| std::fs::File::create(self.dir.path().join(name)).expect("our own folder");
        let (out, err) = (
            file(&format!("run-{}.out", self.starts)),
            file(&format!("run-{}.err", self.starts)),
        );
        let child = self
            .command(&["run"])
            .envs(variables.iter().copied())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("the binary runs");
        self.child = Some(child);
        wait_for("the supervisor to answer", || self.try_status().map(drop));
    }

    /// One target of `status --json`; null when there is none of that name.
    pub fn target(&self, name: &str) -> Value {
        let status = self.status();
        let targets = status["targets"].as_array().expect("a list");
        targets
            .iter()
            .find(|t| t["name"] == name)
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// Waits until the target's view passes `is_so`, and returns it.
    pub fn wait_target(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("target {name}: {what}"), || {
            let view = self.target(name);
            if is_so(&view) {
                Ok(view)
            } else {
                Err(view.to_string())
            }
        })
    }
}
