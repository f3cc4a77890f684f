//! What a real supervisor takes while its programs are idle: memory, threads, open files, processor time.

use std::fmt::Write as _;
use std::time::Duration;

use jikimi::limits::SAMPLE_RING;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::measure::{Usage, file_limit, rest, status};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// What a start leaves to do is over by then.
const SETTLING: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(20);

/// The soft limit the supervisor is started with, as a login shell has it; far too low for 500 programs.
const FILES: u64 = 1_024;

pub fn run() {
    let own = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(FILES),
        ..own
    };
    setrlimit(Resource::Nofile, low).expect("lower is allowed");
    for programs in [1, 100, 500] {
        watch(programs);
    }
    full_rings(500);
    setrlimit(Resource::Nofile, own).expect("as before");
}

fn watch(programs: usize) {
    let (mut supervisor, pids) = start(programs, "5s");
    rest(SETTLING);
    let pid = supervisor.pid();
    let before = Usage::of(pid);
    rest(WATCHED);
    let (cpu, wakeups) = Usage::of(pid).since(before);
    let holder = holder(pid).map_or_else(String::new, |holder| {
        format!("; its holder process {:.1} MiB more", mib(holder, "VmRSS"))
    });
    println!(
        "  {programs} idle, a sample every 5 s: {}{holder}; {} threads with 4 workers; {cpu:.3} % of a core over {} s \
         with {wakeups:.1} wake-ups a second",
        memory(pid),
        status(pid, "Threads"),
        WATCHED.as_secs(),
    );
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .count();
    println!(
        "    started with a limit of {FILES} open files: raised to {}, of which {files} are used; its programs have {}",
        file_limit(pid),
        file_limit(pids[0]),
    );
    supervisor.stop();
}

/// Samples in memory grow for five minutes; a shorter interval gets there sooner.
fn full_rings(programs: usize) {
    const INTERVAL: Duration = Duration::from_millis(100);
    let (mut supervisor, _) = start(programs, "100ms");
    rest(INTERVAL * u32::try_from(SAMPLE_RING + 20).expect("small"));
    println!(
        "  {programs} idle, after {SAMPLE_RING} samples of each, when memory holds all it will: {}",
        memory(supervisor.pid()),
    );
    supervisor.stop();
}

fn memory(pid: u32) -> String {
    format!(
        "{:.1} MiB resident (VmRSS), of it {:.1} MiB its own (RssAnon)",
        mib(pid, "VmRSS"),
        mib(pid, "RssAnon"),
    )
}

fn mib(pid: u32, key: &str) -> f64 {
    status(pid, key) as f64 / 1024.0
}

/// A supervisor with that many programs, and their pids once all run.
fn start(programs: usize, interval: &str) -> (Supervisor, Vec<u32>) {
    let supervisor = Supervisor::running(&configuration(programs, interval));
    let pids = wait_for("all programs to run", || running(&supervisor, programs));
    (supervisor, pids)
}

/// A configuration of so many idle programs.
pub fn configuration(programs: usize, interval: &str) -> String {
    let mut config =
        format!("[supervisor]\nstate_dir = \"state\"\n[metrics]\ninterval = \"{interval}\"\n");
    for number in 0..programs {
        writeln!(
            config,
            "[program.p{number}]\ncommand = [\"/bin/sleep\", \"3600\"]"
        )
        .expect("memory takes it");
    }
    config
}

/// Their pids, once so many run.
pub fn running(supervisor: &Supervisor, programs: usize) -> Result<Vec<u32>, String> {
    let status = supervisor.try_status()?;
    let views = status["programs"].as_array().expect("a list");
    let pids: Vec<u32> = views
        .iter()
        .filter(|view| view["phase"] == "running")
        .filter_map(|view| u32::try_from(view["pid"].as_u64()?).ok())
        .collect();
    if pids.len() == programs {
        Ok(pids)
    } else {
        Err(format!("{} of {programs} run", pids.len()))
    }
}

/// The process that keeps the pipes.
fn holder(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let mut children = children.split_whitespace().filter_map(|c| c.parse().ok());
    children.find(|child| {
        let name = std::fs::read_to_string(format!("/proc/{child}/comm"));
        name.is_ok_and(|name| name.trim() == "jikimi-holder")
    })
}
