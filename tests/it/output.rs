//! Programs' output: every byte in its file, the last words with a crash, and nothing left behind.

use std::collections::BTreeMap;

use crate::support::database;
use crate::support::supervisor::Supervisor;
use crate::support::{lines_of, wait_for};

const DATABASE: &str = ".jikimi/jikimi.db";

/// Waits until a segment has exactly these bytes.
fn wait_bytes(sup: &Supervisor, segment: &str, whole: &[u8]) {
    wait_for(&format!("{} bytes in {segment}", whole.len()), || {
        let kept = std::fs::read(sup.file(segment)).unwrap_or_default();
        if kept == whole {
            return Ok(());
        }
        let same = kept.iter().zip(whole).take_while(|(a, b)| a == b).count();
        Err(format!(
            "{} bytes, the first {same} of them right",
            kept.len()
        ))
    });
}

/// Pipes of runs in the state directory.
fn pipes(sup: &Supervisor) -> Vec<String> {
    let entries = std::fs::read_dir(sup.file(".jikimi/pipes")).expect("the folder of pipes");
    let names = entries.map(|e| {
        e.expect("listed")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let mut names: Vec<String> = names
        .filter(|n| n != "pump.lock" && n != "keeping")
        .collect();
    names.sort();
    names
}

#[test]
fn every_byte_a_program_writes_is_in_its_files_and_no_other() {
    let mut sup = Supervisor::configured(
        r#"
[program.raw]
shell = true
command = "cat blob; cat blob blob >&2"
restart = "never"
"#,
    );
    let mut blob: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    // A line longer than a pipe, than a terminal line, than a read; UTF-8 cut in the middle; no last newline.
    blob.extend(std::iter::repeat_n(b'x', 2_000_000));
    blob.extend_from_slice(b"\xff\xfe\xed\xa0\x80\r\n\0\x1b[2J last line \xe2\x82");
    std::fs::write(sup.file("blob"), &blob).expect("our own folder");
    sup.start();
    sup.wait_phase("raw", "exited");
    wait_bytes(&sup, ".jikimi/logs/raw/out.log", &blob);
    wait_bytes(&sup, ".jikimi/logs/raw/err.log", &blob.repeat(2));
    assert_eq!(sup.stop(), 0);
}

#[test]
fn what_a_grandchild_writes_after_the_main_process_ended_is_kept() {
    let mut sup = Supervisor::running(
        r#"
[program.parent]
shell = true
command = '''
(while [ ! -e go ]; do sleep 0.02; done; echo late) &
echo early
'''
restart = "never"
"#,
    );
    sup.wait_phase("parent", "exited");
    sup.write("go", "");
    wait_bytes(&sup, ".jikimi/logs/parent/out.log", b"early\nlate\n");
    assert_eq!(sup.stop(), 0);
    let kept = sup.read(".jikimi/logs/parent/out.log");
    assert_eq!(kept, "early\nlate\n");
}

/// Fails as fast as it is started.
const HASTY: &str = r#"
start_confirm = "0s"
backoff = { initial = "1ms", max = "1ms", jitter = 0.0 }
restart_limit = { count = 100000 }
"#;

#[test]
fn each_run_goes_on_in_the_file_of_the_last_one_also_after_a_clean_restart_of_the_supervisor() {
    let config = format!(
        r#"
[program.again]
shell = true
command = 'echo run >> runs; n=$(wc -l < runs); echo "run $n"; [ $((n % 20)) -eq 0 ]'
{HASTY}
"#
    );
    let mut sup = Supervisor::running(&config);
    for round in 1..=2 {
        if round == 2 {
            sup.start();
        }
        sup.wait_phase("again", "exited");
        let whole = lines_of((1..=20 * round).map(|n| format!("run {n}")));
        wait_bytes(&sup, ".jikimi/logs/again/out.log", whole.as_bytes());
        assert_eq!(sup.stop(), 0);
    }
}

#[test]
fn a_flood_of_output_costs_no_memory_and_loses_nothing() {
    const BYTES: u64 = 400_000_000;
    let mut sup = Supervisor::running(&format!(
        r#"
[program.flood]
command = ["sh", "-c", "yes 'all work and no play' | head -c {BYTES}"]
restart = "never"
autostart = false
logs = {{ max_size = "1GiB" }}
"#
    ));
    let rss = |sup: &Supervisor| {
        let status = sup.status();
        status["supervisor"]["rss_bytes"].as_u64().expect("a size")
    };
    let before = rss(&sup);
    assert!(sup.cli(&["start", "flood"]).status.success());
    let segment = sup.file(".jikimi/logs/flood/out.log");
    let mut most = before;
    wait_for("all of it", || {
        most = most.max(rss(&sup));
        match std::fs::metadata(&segment) {
            Ok(file) if file.len() == BYTES => Ok(()),
            other => Err(format!("{:?} of {BYTES}", other.map(|f| f.len()))),
        }
    });
    sup.wait_phase("flood", "exited");
    most = most.max(rss(&sup));
    // One buffer of each room in between, and no more, whatever the program writes.
    let grown = most - before;
    assert!(grown < 48 << 20, "grown by {grown} bytes from {before}");
    assert_eq!(sup.stop(), 0);
    let kept = std::fs::read(&segment).expect("it is there");
    let line = b"all work and no play\n";
    assert!(kept.chunks(line.len()).all(|c| line.starts_with(c)));
}

#[test]
fn two_hundred_short_runs_leave_no_pipe_and_no_descriptor() {
    let mut sup = Supervisor::running(&format!(
        r#"
[program.steady]
command = "sleep 1000"

[program.brief]
command = "false"
autostart = false
{HASTY}
"#
    ));
    sup.wait_phase("steady", "running");
    let open = |sup: &Supervisor| {
        let status = sup.status();
        let files = status["supervisor"]["open_files"].as_u64();
        files.expect("a number")
    };
    let (before, of_steady) = (open(&sup), pipes(&sup));
    assert_eq!(of_steady.len(), 2, "{of_steady:?}");
    assert!(sup.cli(&["start", "--no-wait", "brief"]).status.success());
    sup.wait_program("brief", "200 restarts", |view| {
        view["restarts"].as_u64().is_some_and(|n| n >= 200)
    });
    assert!(sup.cli(&["stop", "brief"]).status.success());
    wait_for("no pipe of them", || {
        let left = pipes(&sup);
        if left == of_steady {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    // The pool of readers may have opened the rest of its connections: three files each.
    let after = open(&sup);
    assert!(after <= before + 16, "{before} before, {after} after");
    assert_eq!(sup.stop(), 0);
    assert_eq!(pipes(&sup), Vec::<String>::new());
}

#[test]
fn the_last_words_before_a_crash_are_in_its_event_every_time() {
    let mut sup = Supervisor::running(&format!(
        r#"
[program.gasp]
shell = true
command = 'echo "$$ goes"; echo "$$ is gone" >&2; exit 3'
{HASTY}
"#
    ));
    sup.wait_program("gasp", "60 restarts", |view| {
        view["restarts"].as_u64().is_some_and(|n| n >= 60)
    });
    assert_eq!(sup.stop(), 0);
    let crashes = sup.events_of("program.crashed", "gasp");
    assert!(crashes.len() >= 60, "{}", crashes.len());
    for crash in crashes {
        let (pid, tail) = (&crash["data"]["pid"], &crash["data"]["log_tail"]);
        let words = [format!("{pid} goes"), format!("{pid} is gone")];
        assert_eq!(*tail, serde_json::json!(words), "{crash}");
    }
}

#[test]
fn instances_have_folders_of_their_own() {
    let mut sup = Supervisor::running(
        r#"
[program.many]
shell = true
command = 'echo "I am $JIKIMI_INSTANCE"; exec sleep 1000'
instances = 3
"#,
    );
    for n in 0..3 {
        let segment = format!(".jikimi/logs/many:{n}/out.log");
        wait_bytes(&sup, &segment, format!("I am {n}\n").as_bytes());
    }
    assert_eq!(sup.stop(), 0);
}

#[test]
fn lines_that_say_something_is_wrong_are_recorded_exactly_once_whenever_the_supervisor_is_killed() {
    let mut sup = Supervisor::running(
        r#"
[program.moaner]
shell = true
command = '''
i=0
while :; do
  i=$((i + 1))
  echo "$$ ERROR number $i"
  echo "$$ nothing special"
  echo "$$ WARN number $i" >&2
  [ $((i % 40)) -eq 0 ] && sleep 0.02
done
'''
"#,
    );
    let count = |sup: &Supervisor| {
        let rows = database::value::<i64>(&sup.file(DATABASE), "SELECT count(*) FROM log_records");
        rows.unwrap_or_default()
    };
    for _ in 0..4 {
        let before = count(&sup);
        wait_for("more records", || {
            let now = count(&sup);
            if now > before + 500 {
                Ok(())
            } else {
                Err(format!("{now} after {before}"))
            }
        });
        sup.kill();
        sup.start();
    }
    assert!(sup.cli(&["stop", "moaner"]).status.success());
    assert_eq!(sup.stop(), 0);
    let mut lines = sup.lines(".jikimi/logs/moaner/out.log");
    lines.retain(|line| line.contains("ERROR"));
    lines.extend(sup.lines(".jikimi/logs/moaner/err.log"));
    let recorded: Vec<Vec<u8>> =
        database::column(&sup.file(DATABASE), "SELECT line FROM log_records")
            .expect("it was closed");
    let mut times: BTreeMap<String, i64> = BTreeMap::new();
    for line in &lines {
        *times.entry(line.clone()).or_default() += 1;
    }
    for line in recorded {
        *times
            .entry(String::from_utf8_lossy(&line).into_owned())
            .or_default() -= 1;
    }
    times.retain(|_, times| *times != 0);
    assert!(lines.len() > 2_000, "{}", lines.len());
    let wrong: Vec<_> = times.iter().take(10).collect();
    assert!(
        times.is_empty(),
        "{} of {} lines are missing (1) or doubled (-1): {wrong:?}",
        times.len(),
        lines.len()
    );
}
