//! kill -9 in the middle of writing: what was acknowledged is there, without gaps, and the file is whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{LONG, options, told};
use crate::ids::IncidentId;
use crate::store::{EventFilter, Store};

const DIR: &str = "JIKIMI_TEST_CRASH_DIR";

/// Writes for ever, and says what has been committed.
#[test]
fn child_that_writes_until_it_is_killed() {
    // It is the child of the test below, which says where to write; by itself it has nothing to show.
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let store = Store::open(Path::new(&dir), options()).expect("opens");
    let mut out = std::io::stderr().lock();
    for n in 1.. {
        store.record(told(IncidentId::new(), n, &["ops", "chat"]));
        if n % 7 == 0 {
            assert_eq!(store.flush(LONG).remaining, 0);
            writeln!(out, "committed {n}").expect("the parent listens");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    for round in 1..=5 {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(std::env::current_exe().expect("ours"))
            .args(["--exact", "--nocapture"])
            .arg("store::tests::crash::child_that_writes_until_it_is_killed")
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawned");
        let pipe = child.stderr.take().expect("piped");
        let mut acked: u32 = 0;
        for line in BufReader::new(pipe).lines() {
            let line = line.expect("text");
            let Some(number) = line.strip_prefix("committed ") else {
                continue;
            };
            acked = number.parse().expect("a number");
            if acked >= round * 70 {
                // Goes on reading until the pipe ends: what was said before the end counts too.
                child.kill().expect("it runs");
            }
        }
        child.wait().expect("it ended");
        check(dir.path(), acked);
    }
}

fn check(dir: &Path, acked: u32) {
    let store = Store::open(dir, options()).expect("the file is whole");
    assert_eq!(store.was_clean(), Some(false));
    let events = store.events(&EventFilter::default()).expect("read");
    let stored = u32::try_from(events.len()).expect("few");
    assert!(
        stored >= acked && acked > 0,
        "{stored} of {acked} acknowledged"
    );
    for (n, event) in (1..).zip(&events) {
        assert_eq!(event.time, super::at(n), "a gap");
    }
    let counts = store.delivery_counts().expect("read");
    for target in ["ops", "chat"] {
        assert_eq!(counts[target].pending, u64::from(stored), "half a write");
    }
    assert_eq!(store.open_incidents().expect("read").len(), events.len());
}
