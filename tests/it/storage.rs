//! Bad days of the storage: a locked, full, damaged or deleted database, a state directory that goes away, and
//! two supervisors at one. Supervision goes on in all of them.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const DATABASE: &str = ".jikimi/jikimi.db";

/// One that stays, and one that crashes a few times a second.
const BUSY: &str = r#"
[program.web]
command = "sleep 1000"
start_confirm = "10ms"
backoff = { initial = "10ms", max = "10ms" }
restart_limit = { count = 1000 }

[program.crasher]
shell = true
command = 'echo "ERROR: out of luck"; sleep 0.1; exit 7'
start_confirm = "10ms"
backoff = { initial = "100ms", max = "100ms" }
restart_limit = { count = 100000 }
"#;

fn health(status: &Value) -> String {
    status["supervisor"]["health"]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

fn wait_degraded(sup: &Supervisor) -> Value {
    wait_for(
        "degraded health with an issue that names the storage",
        || {
            let status = sup.try_status()?;
            let issues = status["supervisor"]["issues"].to_string();
            if health(&status) == "degraded" && issues.contains("storage") {
                Ok(status)
            } else {
                Err(status["supervisor"].to_string())
            }
        },
    )
}

fn wait_healthy(sup: &Supervisor) {
    wait_for("health again", || {
        let status = sup.try_status()?;
        let is_well = health(&status) == "healthy"
            && status["supervisor"]["issues"] == Value::from(Vec::<Value>::new());
        if is_well {
            Ok(())
        } else {
            Err(status["supervisor"].to_string())
        }
    });
}

/// Verbs, restarts and exits all work.
fn supervision_goes_on(sup: &Supervisor) {
    let before = sup.program("web");
    let restart = sup.cli(&["restart", "web"]);
    assert!(restart.status.success(), "{restart:?}");
    let after = sup.wait_phase("web", "running");
    assert_ne!(before["pid"], after["pid"]);
    more_restarts(sup, 3);
}

fn more_restarts(sup: &Supervisor, more: u64) {
    let restarts = |view: &Value| view["restarts"].as_u64().unwrap_or_default();
    let before = restarts(&sup.program("crasher"));
    sup.wait_program("crasher", "more restarts", |view| {
        restarts(view) >= before + more
    });
}

/// After the end: every start of the crasher was recorded, in order, and the outage was told once.
fn all_is_recorded(sup: &Supervisor, restarts: u64) {
    let events = sup.events();
    let ids: Vec<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
    assert!(ids.is_sorted(), "in the order in which they happened");
    let count = |kind: &str, name: &str| {
        let of = events
            .iter()
            .filter(|e| e["type"] == kind && (name.is_empty() || e["instance"] == name));
        of.count() as u64
    };
    assert!(count("program.crashed", "crasher") >= restarts);
    let crashes = count("program.crashed", "crasher");
    let started = count("program.started", "crasher");
    assert!(
        started == crashes || started == crashes + 1,
        "{started} starts, {crashes} crashes"
    );
    assert_eq!(count("storage.degraded", ""), 1);
    assert_eq!(count("storage.restored", ""), 1);
}

fn restarts(sup: &Supervisor) -> u64 {
    sup.program("crasher")["restarts"]
        .as_u64()
        .expect("a number")
}

#[test]
fn a_locked_database_delays_nothing_and_what_happened_meanwhile_is_stored_afterwards() {
    let mut sup = Supervisor::running(BUSY);
    more_restarts(&sup, 1);
    let other = rusqlite::Connection::open(sup.file(DATABASE)).expect("it is there");
    other
        .busy_timeout(std::time::Duration::from_secs(20))
        .expect("an option");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    wait_degraded(&sup);
    supervision_goes_on(&sup);
    other.execute_batch("ROLLBACK").expect("let go");
    wait_healthy(&sup);
    more_restarts(&sup, 1);
    let restarts = restarts(&sup);
    assert_eq!(sup.stop(), 0);
    all_is_recorded(&sup, restarts);
}

#[test]
fn a_database_that_stays_locked_does_not_hold_up_the_end_and_what_is_left_is_said() {
    let mut sup = Supervisor::running(BUSY);
    more_restarts(&sup, 1);
    let other = rusqlite::Connection::open(sup.file(DATABASE)).expect("it is there");
    other
        .busy_timeout(std::time::Duration::from_secs(20))
        .expect("an option");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    more_restarts(&sup, 3);
    assert_eq!(sup.stop(), 1, "not all of it was done");
    let (_, log) = sup.output();
    assert!(log.contains("left undone: "), "{log}");
    assert!(log.contains(" left"), "{log}");
}

/// A small file system of its own; gone with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where mounting is not permitted.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("our own folder");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(&at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            other => {
                eprintln!("skipped: a file system cannot be mounted here: {other:?}");
                None
            }
        }
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).expect("our own file system");
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a test that fails may leave something open.
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(&self.0)
            .status();
    }
}

/// [`BUSY`], with one that counts lines into its output and, as a witness, into a file elsewhere.
fn with_counter() -> String {
    format!(
        r#"
[supervisor]
state_dir = "small/state"

[program.counter]
shell = true
command = '''
i=0
while [ ! -e enough ]; do
  i=$((i + 1))
  echo "line $i"
  echo $i > witness.new; mv witness.new witness
  sleep 0.01
done
exec sleep 1000
'''
{BUSY}"#
    )
}

/// What the counter has printed, as it says itself.
fn counted(sup: &Supervisor) -> u64 {
    sup.read("witness").trim().parse().unwrap_or_default()
}

fn wait_counted(sup: &Supervisor, more: u64) {
    let from = counted(sup);
    wait_for("the counter to go on", || {
        let now = counted(sup);
        if now >= from + more {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
}

#[test]
fn on_a_full_disk_supervision_goes_on_and_nothing_is_lost_when_there_is_room_again() {
    let mut sup = Supervisor::configured(&with_counter());
    let Some(disk) = SmallDisk::mount(sup.file("small")) else {
        return;
    };
    sup.start();
    wait_counted(&sup, 10);
    disk.fill();
    wait_degraded(&sup);
    supervision_goes_on(&sup);
    wait_counted(&sup, 100);
    disk.make_room();
    wait_healthy(&sup);
    wait_counted(&sup, 10);
    sup.write("enough", "");
    let restarts = restarts(&sup);
    assert_eq!(sup.stop(), 0);
    all_is_recorded(&sup, restarts);
    let lines = sup.lines("small/state/logs/counter/out.log");
    let whole: Vec<String> = (1..=counted(&sup)).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, whole, "every line, once, in order");
    drop(disk);
}

#[test]
fn a_program_louder_than_memory_on_a_full_disk_is_not_held_up_and_its_loss_is_told() {
    let mut sup = Supervisor::configured(
        r#"
[supervisor]
state_dir = "small/state"

[program.loud]
shell = true
command = 'while [ ! -e go ]; do sleep 0.05; done; head -c 40000000 /dev/zero; touch through; exec sleep 1000'
"#,
    );
    let Some(disk) = SmallDisk::mount(sup.file("small")) else {
        return;
    };
    sup.start();
    disk.fill();
    sup.write("go", "");
    wait_for("the program to get rid of its output", || {
        if sup.file("through").exists() {
            Ok(())
        } else {
            Err(sup.output().1)
        }
    });
    wait_degraded(&sup);
    disk.make_room();
    // 40 MB, less what memory holds and what one second's worth of pipe may be.
    wait_for("word of the whole loss", || {
        let events = sup.events_of("logs.dropped", "loud");
        let counts = events.iter().filter_map(|e| e["data"]["count"].as_u64());
        if counts.sum::<u64>() > 25_000_000 {
            Ok(())
        } else {
            Err(format!("{events:?}"))
        }
    });
    drop(sup);
    drop(disk);
}

#[test]
fn the_end_on_a_full_disk_takes_bounded_time_and_says_what_is_left() {
    let mut sup = Supervisor::configured(&with_counter());
    let Some(disk) = SmallDisk::mount(sup.file("small")) else {
        return;
    };
    sup.start();
    wait_counted(&sup, 10);
    disk.fill();
    wait_degraded(&sup);
    more_restarts(&sup, 3);
    assert_eq!(sup.stop(), 1, "not all of it was done");
    let (_, log) = sup.output();
    assert!(log.contains("left undone: "), "{log}");
    drop(disk);
}

fn damage(database: &Path) {
    let file = File::options().write(true).open(database).expect("there");
    let len = file.metadata().expect("there").len();
    file.write_all_at(&vec![0x5a; usize::try_from(len).expect("small")], 0)
        .expect("room");
}

#[test]
fn a_database_damaged_while_it_is_used_ends_nothing() {
    let mut sup = Supervisor::running(BUSY);
    more_restarts(&sup, 1);
    damage(&sup.file(DATABASE));
    damage(&sup.file(".jikimi/jikimi.db-wal"));
    supervision_goes_on(&sup);
    sup.stop();
}

#[test]
fn a_database_deleted_while_it_is_used_ends_nothing() {
    let mut sup = Supervisor::running(BUSY);
    more_restarts(&sup, 1);
    for name in ["jikimi.db", "jikimi.db-wal", "jikimi.db-shm"] {
        std::fs::remove_file(sup.file(".jikimi").join(name)).expect("there");
    }
    supervision_goes_on(&sup);
    wait_for("word of the removal in a new database", || {
        let mut events = sup.events();
        events.retain(|e| e["type"] == "storage.restored");
        if events.is_empty() {
            Err(sup.output().1)
        } else {
            Ok(())
        }
    });
    supervision_goes_on(&sup);
    let restarts = restarts(&sup);
    assert_eq!(sup.stop(), 0);
    let crashes = sup.events_of("program.crashed", "crasher");
    assert!(crashes.len() >= 3, "{} of {restarts}", crashes.len());
    sup.start();
    supervision_goes_on(&sup);
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_state_directory_that_is_removed_ends_nothing() {
    let mut sup = Supervisor::running(&format!("[control]\nsocket = \"outside.sock\"\n{BUSY}"));
    more_restarts(&sup, 1);
    std::fs::remove_dir_all(sup.file(".jikimi")).expect("our own folder");
    supervision_goes_on(&sup);
    wait_for("output in a new folder", || {
        let kept = sup.read(".jikimi/logs/crasher/out.log");
        if kept.contains("out of luck") {
            Ok(())
        } else {
            Err(sup.output().1)
        }
    });
    sup.stop();
}

#[test]
fn a_control_socket_that_is_removed_comes_back() {
    let mut sup = Supervisor::running(BUSY);
    std::fs::remove_file(sup.file(".jikimi/jikimi.sock")).expect("there");
    wait_for("an answer", || sup.try_status().map(drop));
    supervision_goes_on(&sup);
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_second_supervisor_is_refused_with_the_pid_of_the_first_and_does_it_no_harm() {
    let mut sup = Supervisor::running(BUSY);
    let second = sup.cli(&["run"]);
    assert_eq!(second.status.code(), Some(4));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let pid = format!("in use by the supervisor with pid {}", sup.pid());
    assert!(said.contains(&pid), "{said}");
    supervision_goes_on(&sup);
    assert_eq!(sup.stop(), 0);
}

/// Processes that are children of the supervisor and holders.
fn holders(sup: &Supervisor) -> Vec<(i32, bool)> {
    let entries = std::fs::read_dir("/proc").expect("Linux");
    let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        let is_ours = parent == sup.pid().to_string() && name.ends_with("(jikimi-holder");
        is_ours.then(|| (pid, state == "Z"))
    })
    .collect()
}

#[test]
fn a_holder_that_is_killed_is_replaced_and_leaves_no_zombie() {
    let mut sup = Supervisor::running(&format!("[checkpoint]\ninterval = \"1s\"\n{BUSY}"));
    let only = |what: &str, not: i32| {
        wait_for(what, || match holders(&sup)[..] {
            [(pid, false)] if pid != not => Ok(pid),
            ref others => Err(format!("{others:?}")),
        })
    };
    let mut holder = only("a holder", 0);
    for _ in 0..3 {
        let pid = rustix::process::Pid::from_raw(holder).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        holder = only("another holder, and only that", holder);
    }
    supervision_goes_on(&sup);
    assert_eq!(sup.stop(), 0);
    assert!(
        !Path::new(&format!("/proc/{holder}")).exists(),
        "it ends too"
    );
}

#[test]
fn a_line_that_says_ready_on_a_full_disk_counts_when_there_is_room_again() {
    let mut sup = Supervisor::configured(
        r#"
[supervisor]
state_dir = "small/state"

[program.web]
shell = true
command = 'while [ ! -e go ]; do sleep 0.05; done; echo ready; touch said; exec sleep 1000'
start_confirm = "10ms"
readiness = { log_line = "^ready$" }
"#,
    );
    let Some(disk) = SmallDisk::mount(sup.file("small")) else {
        return;
    };
    sup.start();
    let before = sup.wait_phase("web", "running");
    disk.fill();
    sup.write("go", "");
    wait_for("the program to say it", || {
        if sup.file("said").exists() {
            Ok(())
        } else {
            Err(sup.output().1)
        }
    });
    wait_degraded(&sup);
    assert_eq!(sup.program("web")["ready"], false);
    disk.make_room();
    let ready = sup.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(
        (&ready["run"], &ready["restarts"]),
        (&before["run"], &Value::from(0))
    );
    assert_eq!(sup.lines("small/state/logs/web/out.log"), ["ready"]);
    drop(sup);
    drop(disk);
}
