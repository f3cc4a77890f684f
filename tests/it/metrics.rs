//! What is measured: whole trees, in `status` and in the database, to the last sample before the end.

use std::collections::BTreeSet;

use crate::support::database;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const DATABASE: &str = ".jikimi/jikimi.db";

/// A shell with three below it: one in its own group, one in a session of its own, and a hungry one.
const TREE: &str = r#"
[metrics]
interval = "200ms"

[program.tree]
shell = true
command = '''
sleep 1000 &
setsid sleep 1000 &
sh -c 'while :; do :; done' &
head -c 20000000 /dev/zero | tail -n 1 > /dev/null
touch ready
wait
'''
"#;

fn threads(sup: &Supervisor) -> BTreeSet<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", sup.pid())).expect("it runs");
    let names = tasks.filter_map(|task| {
        let task = task.ok()?;
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        Some(format!(
            "{} {}",
            task.file_name().to_string_lossy(),
            name.trim()
        ))
    });
    // Those of the control server come and go with the asking.
    names
        .filter(|name| !name.ends_with("control-conn"))
        .collect()
}

#[test]
fn status_shows_the_whole_tree_with_what_left_the_session() {
    let mut sup = Supervisor::running(TREE);
    let view = sup.wait_program("tree", "four processes that work", |view| {
        view["processes"] == 4 && view["cpu_percent"].as_f64().is_some_and(|cpu| cpu > 1.0)
    });
    // Four processes take more than one does, and less than they were given.
    let memory = view["memory_bytes"].as_u64().expect("measured");
    assert!((1 << 20..1 << 30).contains(&memory), "{view}");
    assert!(
        view["cpu_percent"].as_f64().is_some_and(|cpu| cpu < 400.0),
        "{view}"
    );
    assert_eq!(sup.stop(), 0);
}

#[test]
fn no_sample_is_lost_at_a_clean_end_and_none_is_touched_by_the_next_start() {
    let mut sup = Supervisor::running(TREE);
    sup.wait_program("tree", "a sample", |view| view["processes"] == 4);
    let count = |sup: &Supervisor| {
        database::value::<i64>(&sup.file(DATABASE), "SELECT count(*) FROM samples")
            .expect("a table of samples")
    };
    assert_eq!(sup.stop(), 0);
    let (_, log) = sup.output();
    let flushed = log.lines().find(|line| line.contains(" samples, "));
    assert!(
        flushed.is_some_and(|line| line.contains(" 0 left")),
        "{log}"
    );
    let before = count(&sup);
    assert!(
        before >= 1,
        "the sample that status showed is there: {before}"
    );
    // The shells that make the tree fork for a moment, so a look may see more; the whole tree is four.
    let whole = "SELECT count(*) FROM samples WHERE processes = 4";
    assert!(database::value::<i64>(&sup.file(DATABASE), whole).is_ok_and(|rows| rows >= 1));
    let runs = "SELECT count(DISTINCT run) FROM series";
    assert_eq!(database::value::<i64>(&sup.file(DATABASE), runs), Ok(1));
    sup.write(
        "jikimi.toml",
        "[program.other]\ncommand = \"sleep 1000\"\n[metrics]\ninterval = \"1h\"\n",
    );
    sup.start();
    sup.wait_phase("other", "running");
    assert_eq!(sup.stop(), 0);
    let of_tree = "SELECT count(*) FROM samples JOIN series ON series.id = samples.series WHERE program = 'tree'";
    assert_eq!(
        database::value::<i64>(&sup.file(DATABASE), of_tree),
        Ok(before)
    );
}

#[test]
fn a_hundred_starts_and_stops_leave_the_threads_there_were() {
    let mut sup = Supervisor::running(
        r#"
[metrics]
interval = "100ms"

[program.steady]
command = "sleep 1000"

[program.other]
command = "sleep 1000"
start_confirm = "0s"
autostart = false
metrics.interval = "150ms"
"#,
    );
    sup.wait_program("steady", "a sample", |view| view["processes"] == 1);
    let round = |sup: &Supervisor| {
        for verb in ["start", "stop"] {
            let done = sup.cli(&[verb, "other"]);
            assert!(done.status.success(), "{done:?}");
        }
    };
    // Once, so that what is started on first use is there.
    round(&sup);
    let names = |of: &BTreeSet<String>| {
        let mut names: Vec<String> = of
            .iter()
            .filter_map(|t| Some(t.split_once(' ')?.1.to_owned()))
            .collect();
        names.sort();
        names
    };
    let before = wait_for("the sampling thread of the other to end", || {
        let now = names(&threads(&sup));
        let samplers = now.iter().filter(|n| n.starts_with("sample-")).count();
        if samplers == 1 {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    });
    for _ in 0..100 {
        round(&sup);
    }
    wait_for("the same threads", || {
        let now = names(&threads(&sup));
        if now == before {
            Ok(())
        } else {
            Err(format!("{now:?}, before {before:?}"))
        }
    });
    let view = sup.program("steady");
    assert_eq!(view["processes"], 1, "and it is measured still");
    assert_eq!(sup.stop(), 0);
}

#[test]
fn processes_that_vanish_while_they_are_measured_disturb_nothing() {
    let mut sup = Supervisor::running(
        r#"
[metrics]
interval = "100ms"

[program.flicker]
shell = true
command = '''
n=0
while :; do
  (sh -c 'true' & true) &
  setsid true &
  n=$((n + 1))
  echo $n > count.new; mv count.new count
done
'''

[program.gone]
command = "true"
restart = "always"
start_confirm = "0s"
backoff = { initial = "20ms", max = "20ms" }
restart_limit = { count = 100000 }

[program.steady]
command = "sleep 1000"
"#,
    );
    let samples = |sup: &Supervisor, name: &str| {
        let sql = format!(
            "SELECT count(*) FROM samples JOIN series ON series.id = samples.series WHERE program = '{name}'"
        );
        database::value::<i64>(&sup.file(DATABASE), &sql).unwrap_or_default()
    };
    for name in ["flicker", "steady"] {
        wait_for(&format!("samples of {name}"), || {
            let now = samples(&sup, name);
            if now >= 50 {
                Ok(())
            } else {
                Err(now.to_string())
            }
        });
    }
    let made: u64 = sup.read("count").trim().parse().unwrap_or_default();
    assert!(made > 100, "many came and went: {made}");
    let (_, log) = sup.output();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let ended = sup.stop();
    assert_eq!(ended, 0);
    let odd = "SELECT count(*) FROM samples WHERE cpu_percent < 0 OR cpu_percent > 100000 OR processes < 1";
    assert_eq!(database::value::<i64>(&sup.file(DATABASE), odd), Ok(0));
}
