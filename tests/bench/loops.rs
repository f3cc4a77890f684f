//! What ten programs that crash again and again take of the machine: backoff makes a storm into a trickle.

use std::fmt::Write as _;
use std::time::Duration;

use crate::measure::{Usage, rest};
use crate::support::supervisor::Supervisor;

const PROGRAMS: usize = 10;
const WATCHED: Duration = Duration::from_mins(1);

pub fn run() {
    for (words, settings) in [
        ("the defaults", ""),
        (
            "no restart limit, pauses of at most 1 s",
            "backoff = { max = \"1s\" }\nrestart_limit = { count = 1000000 }\n",
        ),
    ] {
        watch(words, settings);
    }
}

fn watch(words: &str, settings: &str) {
    let mut config = "[supervisor]\nstate_dir = \"state\"\n".to_owned();
    for number in 0..PROGRAMS {
        writeln!(
            config,
            "[program.p{number}]\nshell = true\ncommand = \"echo $$ >> starts; exit 1\"\n{settings}"
        )
        .expect("memory takes it");
    }
    let mut supervisor = Supervisor::running(&config);
    let before = Usage::of(supervisor.pid());
    let starts = supervisor.lines("starts").len();
    rest(WATCHED);
    let (cpu, wakeups) = Usage::of(supervisor.pid()).since(before);
    let starts = supervisor.lines("starts").len() - starts;
    println!(
        "  {PROGRAMS} programs that crash at once, {words}: {cpu:.2} % of a core over {} s with {starts} restarts, \
         {wakeups:.1} wake-ups a second",
        WATCHED.as_secs(),
    );
    supervisor.stop();
}
