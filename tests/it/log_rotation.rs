//! Output is put aside in numbered files, compressed and removed by the rules, and not a line is lost or doubled:
//! through kill -9 of the supervisor, with the holder at work, and while it is being read.

use crate::support::database::value;
use crate::support::processes::files;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Writes `ERROR 1` to `ERROR <count>`, a few at a time.
fn counting(count: usize, logs: &str) -> String {
    format!(
        "[program.count]\nlogs = {logs}\ncommand = ['sh', '-c', 'i=0; while [ $i -lt {count} ]; do i=$((i+1)); \
         echo \"ERROR $i\"; [ $((i % 50)) = 0 ] && sleep 0.02; done; sleep 600']\n"
    )
}

/// How many lines there are; they are the first ones, in order.
fn counted(supervisor: &Supervisor) -> usize {
    let output = supervisor.cli(&["logs", "count"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("we wrote text");
    for (n, line) in (1..).zip(text.lines()) {
        // The last one may not be whole yet.
        if line != format!("ERROR {n}") {
            assert!(n == text.lines().count(), "line {n} is {line:?}");
            return n - 1;
        }
    }
    text.lines().count()
}

fn wait_counted(supervisor: &Supervisor, least: usize) {
    wait_for("more lines", || {
        let count = counted(supervisor);
        (count >= least)
            .then_some(())
            .ok_or(format!("{count} of {least}"))
    });
}

fn names(supervisor: &Supervisor) -> Vec<String> {
    let folder = supervisor.file(".jikimi/logs/count");
    let names = files(&folder).into_iter();
    names
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with("out."))
        .collect()
}

#[test]
fn no_line_is_lost_or_doubled_through_rotation_compression_and_kill_9() {
    const LINES: usize = 8_000;
    let logs = "{ max_size = '4KiB', keep = 1000 }";
    let mut supervisor = Supervisor::running(&counting(LINES, logs));
    for part in 1..=3 {
        wait_counted(&supervisor, part * LINES / 4 - LINES / 8);
        supervisor.kill();
        // The holder goes on, and puts files aside, too.
        wait_counted(&supervisor, part * LINES / 4);
        supervisor.start();
    }
    wait_counted(&supervisor, LINES);
    assert_eq!(counted(&supervisor), LINES);
    wait_for("all older files are compressed", || {
        let names = names(&supervisor);
        let plain = names
            .iter()
            .filter(|name| name.strip_suffix(".log").is_some())
            .count();
        let packed = names
            .iter()
            .filter(|name| name.ends_with(".log.zst"))
            .count();
        (plain == 1 && packed > 3)
            .then_some(())
            .ok_or(format!("{names:?}"))
    });
    assert_eq!(counted(&supervisor), LINES);
    let database = supervisor.file(".jikimi/jikimi.db");
    let sql = "SELECT count(*) - count(DISTINCT line) FROM log_records";
    assert_eq!(value(&database, sql), Ok(0), "no record is there twice");
}

#[test]
fn no_more_older_files_stay_than_are_to_be_kept_and_the_newest_do() {
    let logs = "{ max_size = '4KiB', keep = 2, compress = false }";
    let supervisor = Supervisor::running(&counting(4_000, logs));
    wait_for("the last line", || {
        let output = supervisor.cli(&["logs", "count", "-n", "1"]);
        (output.stdout == b"ERROR 4000\n")
            .then_some(())
            .ok_or(format!("{output:?}"))
    });
    wait_for("the oldest are gone", || {
        let names = names(&supervisor);
        let older = names
            .iter()
            .filter(|name| name.strip_suffix(".log").is_some())
            .count();
        (older == 3 && !names.contains(&"out.000001.log".to_owned()))
            .then_some(())
            .ok_or(format!("{names:?}"))
    });
}

#[test]
fn all_files_of_an_instance_keep_within_their_total_and_a_reload_changes_the_rules() {
    let loose = counting(
        4_000,
        "{ max_size = '4KiB', keep = 1000, compress = false }",
    );
    let supervisor = Supervisor::running(&loose);
    wait_counted(&supervisor, 1_000);
    let tight = "{ max_size = '4KiB', keep = 1000, compress = false, max_total = '12KiB' }";
    supervisor.write("jikimi.toml", &counting(4_000, tight));
    let reloaded = supervisor.cli(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    wait_for("what is kept fits", || {
        let folder = supervisor.file(".jikimi/logs/count");
        let logs = files(&folder).into_iter();
        let logs = logs.filter(|path| path.extension().is_some_and(|e| e == "log"));
        let total: u64 = logs
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum();
        let last = supervisor.cli(&["logs", "count", "-n", "1"]).stdout;
        let is_over = last == b"ERROR 4000\n";
        // What is being written comes on top of what was left at the last turn.
        (is_over && total <= 12 * 1024 + 8 * 1024)
            .then_some(())
            .ok_or(format!("{total} bytes"))
    });
    assert_eq!(supervisor.program("count")["restarts"], 0);
}
