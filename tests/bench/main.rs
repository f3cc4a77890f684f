//! The benchmarks: counts, and ratios measured in one run; see `scripts/bench`. Each prints a few plain lines
//! that say what was measured and how. Nothing here passes or fails.
#![expect(
    clippy::cast_precision_loss,
    reason = "figures for people have three digits"
)]

mod children;
mod crowd;
mod deliveries;
mod ends;
mod footprint;
mod loops;
mod measure;
mod restart;
mod rows;
mod sampling;
mod state;

#[path = "../it/support/mod.rs"]
#[expect(
    dead_code,
    reason = "the benchmarks use a part of what the tests share"
)]
mod support;

use std::process::ExitCode;

struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn(),
}

const ALL: &[Benchmark] = &[
    Benchmark {
        name: "restart",
        about: "from the kill of a program to its replacement, against a bare loop",
        run: restart::run,
    },
    Benchmark {
        name: "crowd",
        about: "500 programs killed at once, against a bare loop",
        run: crowd::run,
    },
    Benchmark {
        name: "ends",
        about: "stop of 500 against a bare loop; adoption of 500 against starting them",
        run: ends::run,
    },
    Benchmark {
        name: "loops",
        about: "processor time of ten programs that crash again and again",
        run: loops::run,
    },
    Benchmark {
        name: "sampling",
        about: "cost a process of sampling 100, 500 and 1,000, against sysinfo alone",
        run: sampling::run,
    },
    Benchmark {
        name: "rows",
        about: "rows in batches against one by one; transactions of log records and checkpoints",
        run: rows::run,
    },
    Benchmark {
        name: "state",
        about: "saving one of 1,000 definitions; 10 M keys through the cache; a large backup; indexes at 1 M rows",
        run: state::run,
    },
    Benchmark {
        name: "deliveries",
        about: "deliveries a second to a server on loopback",
        run: deliveries::run,
    },
    Benchmark {
        name: "footprint",
        about: "memory, threads, open files and CPU with 1, 100 and 500 idle programs",
        run: footprint::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(part) = args.first().and_then(|arg| children::part(arg)) {
        part(&args[1..]);
        return ExitCode::SUCCESS;
    }
    if args.iter().any(|arg| arg == "--list") {
        for benchmark in ALL {
            println!("{:<10}  {}", benchmark.name, benchmark.about);
        }
        return ExitCode::SUCCESS;
    }
    // cargo adds options of its own.
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if let Some(name) = wanted.iter().find(|w| ALL.iter().all(|b| b.name != **w)) {
        eprintln!("no benchmark is called {name}; --list names them");
        return ExitCode::from(2);
    }
    for benchmark in ALL {
        if wanted.is_empty() || wanted.iter().any(|name| *name == benchmark.name) {
            println!("{}: {}", benchmark.name, benchmark.about);
            (benchmark.run)();
        }
    }
    ExitCode::SUCCESS
}
