//! What it costs to sample processes: one round of ours against one of sysinfo alone.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jikimi::ids::RunId;
use jikimi::metrics::{Member, Sampler};
use jikimi::model::name::InstanceName;
use jikimi::procfs::{self, tree::OwnIds};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::measure::{median, micros, system_calls, time};

/// `ROUNDS PID…`: samples these processes and ends.
pub const PART: &str = "__rounds";
const ROUNDS: usize = 21;

pub fn run() {
    for count in [100, 500, 1_000] {
        let mut sleepers: Vec<Child> = (0..count).map(|_| sleeper()).collect();
        let pids: Vec<u32> = sleepers.iter().map(Child::id).collect();
        compare(&pids);
        for sleeper in &mut sleepers {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }
}

fn sleeper() -> Child {
    Command::new("/bin/sleep")
        .arg("600")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sleep is everywhere")
}

fn members(pids: &[u32]) -> Vec<Arc<Member>> {
    let member = |pid: &u32| {
        let stat = procfs::read_stat(*pid).expect("readable").expect("alive");
        Arc::new(Member {
            instance: InstanceName::single(format!("p{pid}")),
            run: RunId::new(),
            pid: *pid,
            start_ticks: stat.start_ticks,
        })
    };
    pids.iter().map(member).collect()
}

fn sampler() -> Sampler {
    Sampler::new(OwnIds::current(), Arc::default()).expect("/proc is there")
}

fn compare(pids: &[u32]) {
    let members = members(pids);
    let mut looker = sampler();
    let mut system = System::new().expect("a system sysinfo knows");
    let some: Vec<Pid> = pids.iter().map(|pid| Pid::from_u32(*pid)).collect();
    let kind = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_disk_usage()
        .without_tasks();
    let (mut ours, mut listed, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let mut sampled = 0;
    // The first round opens files; it is no measure of the others.
    for _ in 0..=ROUNDS {
        ours.push(time(|| {
            sampled = looker
                .round(&members)
                .expect("/proc is there")
                .samples
                .len();
        }));
        listed.push(time(|| {
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&some), true, kind);
        }));
        all.push(time(|| {
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        }));
    }
    assert_eq!(sampled, pids.len(), "every process was sampled");
    let each = |times: &[std::time::Duration]| micros(median(&times[1..])) / pids.len() as f64;
    let (ours, listed, all) = (each(&ours), each(&listed), each(&all));
    let calls = calls(pids).map_or_else(
        || "system calls not counted: strace is not here or not allowed".to_owned(),
        |calls| format!("{calls:.1} system calls a process"),
    );
    println!(
        "  {} processes, median of {ROUNDS} rounds in turns: ours (trees by one scan of /proc, CPU, memory, threads, \
         open files, disk) {ours:.1} us a process; sysinfo given the pids (CPU, memory, disk, no trees) {listed:.1}: \
         {:.2}x of it; sysinfo over all processes, as trees need {all:.1}: {:.2}x of it; {calls}",
        pids.len(),
        ours / listed,
        ours / all,
    );
}

/// A process and a round: two runs that differ in nothing but their rounds.
fn calls(pids: &[u32]) -> Option<f64> {
    let (few, many) = (3, 5);
    let count = |rounds: usize| {
        let pids = pids.iter().map(u32::to_string);
        let args = [PART.to_owned(), rounds.to_string()];
        system_calls(&args.into_iter().chain(pids).collect::<Vec<_>>())
    };
    let more = count(many)?.checked_sub(count(few)?)?;
    Some(more as f64 / (many - few) as f64 / pids.len() as f64)
}

/// See [`PART`].
pub fn rounds(args: &[String]) {
    let numbers: Vec<u32> = args.iter().map(|a| a.parse().expect("a number")).collect();
    let members = members(&numbers[1..]);
    let mut looker = sampler();
    for _ in 0..numbers[0] {
        looker.round(&members).expect("/proc is there");
    }
}
