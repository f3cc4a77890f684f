//! What the tests of sampling share: a real run, waiting, and a process of its own for a test.

mod life;
mod trees;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;
use crate::clock::mono;
use crate::metrics::proc::FileBudget;
use crate::procfs::tree::OwnIds;

const PATIENCE: Duration = Duration::from_secs(20);

/// A real run: a shell with its own group and its mark, ended as a group.
struct Run {
    child: Child,
    out: BufReader<ChildStdout>,
    member: Member,
}

impl Run {
    fn start(script: &str) -> Self {
        let run = RunId::new();
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .env(crate::procfs::RUN_MARK, run.to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell is everywhere");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let stat = crate::procfs::read_stat(child.id())
            .expect("readable")
            .expect("not reaped");
        let member = Member {
            instance: InstanceName::single(format!("p{}", child.id())),
            run,
            pid: child.id(),
            start_ticks: stat.start_ticks,
        };
        Self { child, out, member }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a pipe");
        line.trim().to_owned()
    }

    fn end(&mut self) {
        let group = i32::try_from(self.child.id()).expect("a pid fits");
        if let Some(group) = rustix::process::Pid::from_raw(group) {
            // Whoever is left of it; there may be nobody.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        self.child.wait().expect("our child");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

fn until<T: std::fmt::Debug>(
    what: &str,
    mut state: impl FnMut() -> T,
    done: impl Fn(&T) -> bool,
) -> T {
    let deadline = mono() + PATIENCE;
    let (_keep, never) = channel::bounded::<()>(0);
    loop {
        let last = state();
        if done(&last) {
            return last;
        }
        assert!(mono() < deadline, "{what}: {last:?}");
        let _ = never.recv_timeout(Duration::from_millis(2));
    }
}

fn sampler() -> Sampler {
    Sampler::new(OwnIds::current(), Arc::new(FileBudget::default())).expect("/proc is there")
}

fn look(sampler: &mut Sampler, member: &Arc<Member>) -> Option<Sample> {
    let round = sampler
        .round(&[Arc::clone(member)])
        .expect("/proc is there");
    round.samples.into_iter().next()
}

/// Set in the process that [`pass_alone`] starts.
const ALONE: &str = "JIKIMI_TEST_ALONE";

/// Whether this process is one that runs a single test.
fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs a test in a process of its own.
fn pass_alone(name: &str) {
    let output = Command::new(std::env::current_exe().expect("we run"))
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("we can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        text.contains("1 passed"),
        "the test has another name: {text}"
    );
}
