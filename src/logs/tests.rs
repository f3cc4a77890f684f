//! The room as a whole: real pipes, real programs, real holders, and supervisors killed with -9. Owns nothing.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::never;
use parking_lot::Mutex;

use super::index::Mark;
use super::pump::Pump;
use super::*;
use crate::model::log::LogBatch;

const PATIENCE: Duration = Duration::from_secs(20);
const ROLE: &str = "JIKIMI_LOGS_TEST_ROLE";
const DIR: &str = "JIKIMI_LOGS_TEST_DIR";
const LINES: usize = 200_000;

fn pause(time: Duration) {
    let _ = never::<()>().recv_timeout(time);
}

/// Looks until `what` is true; the last state is in the failure.
fn wait_for(mut what: impl FnMut() -> Result<(), String>) {
    let until = clock::mono() + PATIENCE;
    loop {
        match what() {
            Ok(()) => return,
            Err(state) => assert!(clock::mono() < until, "still: {state}"),
        }
        pause(Duration::from_millis(5));
    }
}

/// A room with everything it hands on collected.
struct Room {
    dir: tempfile::TempDir,
    shown: Arc<Mutex<Vec<String>>>,
    batches: Arc<Mutex<Vec<LogBatch>>>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Room {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            shown: Arc::default(),
            batches: Arc::default(),
            notices: Arc::default(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&self) -> (Logs, Started) {
        let (shown, batches, notices) = (
            Arc::clone(&self.shown),
            Arc::clone(&self.batches),
            Arc::clone(&self.notices),
        );
        let line = move |line: Vec<u8>| {
            shown
                .lock()
                .push(String::from_utf8_lossy(&line).into_owned());
        };
        let setup = Setup {
            state_dir: self.path().to_owned(),
            keeping: Rules::default(),
            cursors: Vec::new(),
            records: Box::new(move |batch| {
                batches.lock().push(batch);
                true
            }),
            notices: Box::new(move |notice| notices.lock().push(notice)),
            terminal: Some(Terminal {
                line: Box::new(move |text| {
                    line(text);
                    true
                }),
                room: Box::new(|_| {}),
                has_colour: false,
            }),
        };
        Logs::start(setup).expect("the folder can be used")
    }

    fn read(&self, instance: &InstanceName, stream: Stream) -> String {
        let path = segment_path(self.path(), instance, stream);
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    fn wait_for_text(&self, instance: &InstanceName, text: &str) {
        wait_for(|| {
            let all = self.read(instance, Stream::Stdout);
            if all.contains(text) { Ok(()) } else { Err(all) }
        });
    }

    fn pipes(&self) -> Vec<PipeId> {
        PipeDir::open(self.path())
            .and_then(|dir| dir.list())
            .expect("listed")
    }

    fn wait_for_no_pipes(&self) {
        wait_for(|| match self.pipes() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        });
    }
}

fn in_time() -> Mono {
    clock::mono() + PATIENCE
}

/// Runs a shell script as a run of `instance`.
fn spawn_script(logs: &Logs, instance: &InstanceName, script: &str) -> (Child, RunId) {
    let run = RunId::new();
    let pipes = logs.open_run(instance, run).expect("pipes");
    let child = Process::new("/bin/sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(pipes.stdout)
        .stderr(pipes.stderr)
        .spawn()
        .expect("a shell");
    (child, run)
}

fn web() -> InstanceName {
    InstanceName::indexed("web", 0)
}

#[test]
fn what_a_program_prints_is_in_its_files_on_the_terminal_and_in_the_records() {
    let room = Room::new();
    let (logs, started) = room.start();
    assert_eq!((started.adopted, started.holder), (vec![], None));
    let script = "echo one; echo ERROR two >&2; printf three";
    let (mut child, run) = spawn_script(&logs, &web(), script);
    child.wait().expect("ended");
    logs.run_over(run);
    assert_eq!(
        logs.tail(&web(), run, 10),
        ["one", "three", "ERROR two"],
        "the last lines"
    );
    room.wait_for_no_pipes();
    let drained = logs.finish(in_time());
    assert_eq!(room.read(&web(), Stream::Stdout), "one\nthree");
    assert_eq!(room.read(&web(), Stream::Stderr), "ERROR two\n");
    let mut shown = room.shown.lock().clone();
    shown.sort();
    assert_eq!(shown, ["web:0 ! ERROR two", "web:0 | one", "web:0 | three"]);
    let records: Vec<_> = room
        .batches
        .lock()
        .iter()
        .flat_map(|b| b.records.clone())
        .collect();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0].line[..], records[0].run),
        (&b"ERROR two"[..], Some(run))
    );
    let whole = Drained {
        is_behind: false,
        bytes: 19,
        pipes: 2,
        records: 1,
        dropped: 0,
        is_complete: true,
    };
    assert_eq!(drained, whole);
    assert_eq!(logs.finish(in_time()), Drained::default());
}

#[test]
fn a_run_that_was_not_spawned_leaves_no_pipe() {
    let room = Room::new();
    let (logs, _) = room.start();
    let run = RunId::new();
    let pipes = logs.open_run(&web(), run).expect("pipes");
    assert_eq!(room.pipes().len(), 2);
    assert!(pipes.paths.iter().all(|p| p.exists()));
    logs.spawn_failed(run);
    room.wait_for_no_pipes();
    drop(pipes);
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn a_grandchild_that_writes_after_the_program_ended_is_heard() {
    let room = Room::new();
    let (logs, _) = room.start();
    let go = room.path().join("go");
    let script = format!(
        "(while ! [ -e {} ]; do sleep 0.01; done; echo late) & echo early",
        go.display()
    );
    let (mut child, _) = spawn_script(&logs, &web(), &script);
    child.wait().expect("ended");
    room.wait_for_text(&web(), "early\n");
    std::fs::write(go, "").expect("written");
    room.wait_for_text(&web(), "early\nlate\n");
    // Nobody has the pipe open any more: it ends without being told so.
    room.wait_for_no_pipes();
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn a_program_that_makes_its_output_non_blocking_or_closes_it_disturbs_nobody() {
    let room = Room::new();
    let (logs, _) = room.start();
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    rustix::io::ioctl_fionbio(&pipes.stdout, true).expect("it is a pipe");
    let (mut other, _) = spawn_script(
        &logs,
        &InstanceName::single("other"),
        "echo said; exec >&-; exec 2>&-; read nothing; exit 3",
    );
    rustix::io::write(&pipes.stdout, b"non-blocking\n").expect("room");
    room.wait_for_text(&web(), "non-blocking\n");
    room.wait_for_text(&InstanceName::single("other"), "said\n");
    assert_eq!(other.wait().expect("ended").code(), Some(3));
    drop(pipes);
    room.wait_for_no_pipes();
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn thousands_of_short_runs_leave_no_pipe_and_no_descriptor() {
    let room = Room::new();
    let (logs, _) = room.start();
    for i in 0..2_000 {
        let run = RunId::new();
        let pipes = logs.open_run(&web(), run).expect("pipes");
        let line = format!("{i}\n");
        rustix::io::write(&pipes.stdout, line.as_bytes()).expect("room");
        drop(pipes);
        logs.run_over(run);
        // The pump keeps up, as it does behind a real spawn.
        if i % 100 == 0 {
            room.wait_for_no_pipes();
        }
    }
    room.wait_for_no_pipes();
    let whole: Vec<String> = (0..2_000).map(|i| i.to_string()).collect();
    let written = room.read(&web(), Stream::Stdout);
    assert_eq!(written.lines().collect::<Vec<_>>(), whole);
    let ours = || {
        let fds = std::fs::read_dir("/proc/self/fd")
            .expect("listed")
            .flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .filter(|to| {
                PipeId::of_path(room.path(), to).is_some()
                    || to.starts_with(room.path().join("logs"))
            })
            .count()
    };
    assert_eq!(ours(), 0, "descriptors are left");
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn a_slow_terminal_is_told_what_it_missed_and_the_file_has_it_all() {
    let room = Room::new();
    let (gate, wait) = bounded::<()>(0);
    let shown = Arc::new(Mutex::new(Vec::<String>::new()));
    let to = Arc::clone(&shown);
    let setup = Setup {
        state_dir: room.path().to_owned(),
        keeping: Rules::default(),
        cursors: Vec::new(),
        records: Box::new(|_| true),
        notices: Box::new(|_| {}),
        terminal: Some(Terminal {
            line: Box::new(move |line| {
                // A stopped terminal, until the gate is gone.
                let _ = wait.recv();
                to.lock().push(String::from_utf8_lossy(&line).into_owned());
                true
            }),
            room: Box::new(|_| {}),
            has_colour: false,
        }),
    };
    let (logs, _) = Logs::start(setup).expect("started");
    let script = "echo first; i=0; while [ $i -lt 40000 ]; do \
                  echo $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done; echo last";
    let (mut child, run) = spawn_script(&logs, &web(), script);
    child
        .wait()
        .expect("a program never waits for the terminal");
    logs.run_over(run);
    room.wait_for_no_pipes();
    drop(gate);
    assert!(logs.finish(in_time()).is_complete);
    let shown = shown.lock().clone();
    assert_eq!(shown.last().map(String::as_str), Some("web:0 | last"));
    let skipped = shown.iter().find(|l| l.contains("not shown here"));
    let path = segment_path(room.path(), &web(), Stream::Stdout);
    assert!(skipped.is_some_and(|l| l.contains(&path.display().to_string())));
    assert_eq!(room.read(&web(), Stream::Stdout).lines().count(), 40_002);
}

#[test]
fn an_unfinished_line_is_shown_after_a_while() {
    let room = Room::new();
    let (logs, _) = room.start();
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    rustix::io::write(&pipes.stdout, b"name? ").expect("room");
    wait_for(|| match room.shown.lock().clone() {
        shown if shown == ["web:0 | name? "] => Ok(()),
        shown => Err(format!("{shown:?}")),
    });
    drop(pipes);
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn a_pipe_that_did_not_fit_into_the_inbox_is_found_by_its_name() {
    let room = Room::new();
    let (logs, _) = room.start();
    let id = PipeId {
        run: RunId::new(),
        instance: web(),
        stream: Stream::Stdout,
    };
    let made = logs.0.pipes.make(id).expect("a pipe");
    rustix::io::write(&made.writer, b"missed\n").expect("room");
    logs.0.was_full.store(true, Ordering::Release);
    logs.0.wake();
    room.wait_for_text(&web(), "missed\n");
    assert!(logs.finish(in_time()).is_complete);
}

/// A pump of its own, and a pipe to write into.
fn pump_and_pipe(dir: &Path) -> (Pump, OwnedFd, Source) {
    let mut pump = Pump::new(dir, Vec::new()).expect("the folder can be used");
    let id = PipeId {
        run: RunId::new(),
        instance: web(),
        stream: Stream::Stdout,
    };
    let source = id.source();
    let made = PipeDir::open(dir).and_then(|d| d.make(id)).expect("a pipe");
    pump.add(made.id, made.reader, Mark::Start);
    (pump, made.writer, source)
}

#[test]
fn a_full_disk_stops_no_program_and_loses_only_the_oldest_and_counts_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut pump, writer, source) = pump_and_pipe(dir.path());
    let put = |pump: &mut Pump, text: &str| {
        for part in text.as_bytes().chunks(4_096) {
            rustix::io::write(&writer, part).expect("room");
            pump.drain_instance(&web());
        }
    };
    put(&mut pump, "before\n");
    pump.is_disk_full.store(true, Ordering::SeqCst);
    put(&mut pump, "kept\n");
    assert!(matches!(
        pump.take_notices()[..],
        [Notice::DiskFailed { .. }]
    ));
    let retry = pump.next_deadline().expect("the disk is tried again");
    pump.tend(retry);
    assert_eq!(
        pump.take_notices(),
        [],
        "it is still full, and that was said"
    );
    pump.is_disk_full.store(false, Ordering::SeqCst);
    put(&mut pump, "during\n");
    pump.tend(retry + limits::LOG_DISK_RETRY);
    put(&mut pump, "after\n");
    assert_eq!(pump.take_notices(), [Notice::DiskBack]);
    let path = source.segment(dir.path());
    let read = || std::fs::read_to_string(&path).expect("it is there");
    assert_eq!(read(), "before\nkept\nduring\nafter\n");

    pump.is_disk_full.store(true, Ordering::SeqCst);
    let line = format!("{}\n", "x".repeat(4_095));
    for _ in 0..=limits::SPILL_BYTES / line.len() {
        put(&mut pump, &line);
    }
    let now = clock::mono();
    pump.tend(now);
    let told = pump.take_notices();
    assert!(
        told.iter()
            .any(|n| matches!(n, Notice::Dropped { bytes: 4_096, .. })),
        "{told:?}"
    );
    pump.is_disk_full.store(false, Ordering::SeqCst);
    let totals = pump.finish(now);
    assert_eq!(totals.dropped, 4_096);
    assert_eq!(read().len(), 25 + limits::SPILL_BYTES);
}

#[test]
fn a_real_full_disk_is_survived_where_one_may_be_mounted() {
    let dir = tempfile::tempdir().expect("a folder");
    let mounted = Process::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "none"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    let (mut pump, writer, source) = pump_and_pipe(dir.path());
    let line = format!("{}\n", "y".repeat(1_023));
    for _ in 0..1_024 {
        rustix::io::write(&writer, line.as_bytes()).expect("room");
        pump.drain_instance(&web());
    }
    let told = pump.take_notices();
    let path = source.segment(dir.path());
    if mounted {
        assert!(matches!(told[..], [Notice::DiskFailed { .. }]), "{told:?}");
        let bigger = Process::new("mount")
            .args(["-o", "remount,size=4m"])
            .arg(dir.path())
            .status();
        assert!(bigger.is_ok_and(|s| s.success()));
        pump.tend(pump.next_deadline().expect("tried again"));
    }
    drop(writer);
    assert_eq!(pump.finish(clock::mono()).dropped, 0);
    let whole = std::fs::read_to_string(&path).expect("it is there");
    drop(pump);
    if mounted {
        let gone = Process::new("umount").arg("-l").arg(dir.path()).status();
        assert!(gone.is_ok_and(|s| s.success()));
    }
    assert_eq!(whole.len(), 1 << 20);
    assert!(whole.lines().all(|l| l.len() == 1_023));
}

#[test]
fn a_pipe_seen_full_grows_and_the_others_do_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut pump, writer, _) = pump_and_pipe(dir.path());
    let size = |fd: &OwnedFd| rustix::pipe::fcntl_getpipe_size(fd).expect("it is a pipe");
    rustix::io::write(&writer, b"little").expect("room");
    pump.settle();
    assert_eq!(size(&writer), limits::PIPE_BYTES);
    rustix::io::write(&writer, &vec![b'x'; limits::PIPE_BYTES]).expect("room");
    pump.settle();
    assert_eq!(size(&writer), limits::PIPE_BYTES_GROWN);
    assert_eq!(
        pump.finish(clock::mono()).bytes,
        6 + limits::PIPE_BYTES as u64
    );
}

/// What the helper processes of these tests do; in the tests' own process, nothing.
#[test]
fn helper_processes_do_as_they_are_told() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let dir = std::env::var_os(DIR).expect("given with the role");
    if role == "holder" {
        let _ = holder::main(&[dir]);
        return;
    }
    let setup = Setup {
        state_dir: PathBuf::from(&dir),
        keeping: Rules::default(),
        cursors: Vec::new(),
        records: Box::new(|_| true),
        notices: Box::new(|_| {}),
        terminal: None,
    };
    let (logs, started) = Logs::start(setup).expect("started");
    let holder = started.holder.is_none().then(|| {
        let seat = logs.holder_seat().expect("a seat");
        helper("holder", Path::new(&dir), seat.stdin.into())
    });
    if role == "first" {
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do echo \"line $i of the numbered output\"; i=$((i+1)); done"
        );
        // It outlives this process, as programs do.
        drop(spawn_script(&logs, &web(), &script));
    }
    writeln!(std::io::stdout(), "ready").expect("somebody reads");
    let mut told = String::new();
    std::io::stdin()
        .read_line(&mut told)
        .expect("told to finish");
    assert!(logs.finish(in_time()).is_complete);
    if let Some(mut holder) = holder {
        assert!(holder.wait().expect("it ends with us").success());
    }
}

fn helper(role: &str, dir: &Path, stdin: Stdio) -> Child {
    Process::new(std::env::current_exe().expect("known"))
        .args([
            "--exact",
            "logs::tests::helper_processes_do_as_they_are_told",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

fn wait_until_ready(child: &mut Child) {
    // Kept open: what the helper prints afterwards must not fail.
    let out = child.stdout.as_mut().expect("piped");
    let ready = BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .any(|l| l.contains("ready"));
    assert!(ready, "the helper ended");
}

#[test]
fn a_supervisor_killed_again_and_again_loses_no_line_and_doubles_none() {
    let room = Room::new();
    let mut supervisor = helper("first", room.path(), Stdio::piped());
    wait_until_ready(&mut supervisor);
    let mut random = fastrand::Rng::with_seed(7);
    let last = format!("line {} of", LINES - 1);
    let whole_len: usize = (0..LINES)
        .map(|i| format!("line {i} of the numbered output\n").len())
        .sum();
    let (mut in_the_middle, mut is_ready) = (0, true);
    for _ in 0..12 {
        pause(Duration::from_millis(random.u64(1..60)));
        supervisor.kill().expect("killed");
        supervisor.wait().expect("reaped");
        let len = room.read(&web(), Stream::Stdout).len();
        in_the_middle += usize::from(len < whole_len);
        // Sometimes the holder has the pipes for a while, sometimes the next one comes at once.
        pause(Duration::from_millis(random.u64(0..40)));
        supervisor = helper("next", room.path(), Stdio::piped());
        // Sometimes it is killed while it takes over.
        is_ready = random.bool();
        if is_ready {
            wait_until_ready(&mut supervisor);
        }
    }
    room.wait_for_text(&web(), &last);
    assert!(in_the_middle >= 3, "only {in_the_middle} kills mattered");
    if !is_ready {
        wait_until_ready(&mut supervisor);
    }
    let mut stdin = supervisor.stdin.take().expect("piped");
    stdin.write_all(b"finish\n").expect("it listens");
    assert!(supervisor.wait().expect("ended").success());
    let whole = room.read(&web(), Stream::Stdout);
    for (i, line) in whole.lines().enumerate() {
        assert_eq!(line, format!("line {i} of the numbered output"));
    }
    assert_eq!(whole.lines().count(), LINES);
    // The holder ended with the clean end.
    wait_for(|| {
        let is_there = link::address(room.path()).exists();
        (!is_there)
            .then_some(())
            .ok_or("the holder is there".to_owned())
    });
    assert_eq!(room.pipes(), []);
}

/// A holder for `logs`, as the application would start it.
fn start_holder(room: &Room, logs: &Logs) -> Child {
    let seat = logs.holder_seat().expect("a seat");
    let holder = helper("holder", room.path(), seat.stdin.into());
    wait_for(|| {
        let is_there = link::address(room.path()).exists();
        is_there
            .then_some(())
            .ok_or("the holder does not listen".to_owned())
    });
    holder
}

#[test]
fn the_holder_pumps_while_there_is_no_supervisor_and_hands_over_to_the_next() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let run = RunId::new();
    let pipes = logs.open_run(&web(), run).expect("pipes");
    rustix::io::write(&pipes.stdout, b"one\n").expect("room");
    room.wait_for_text(&web(), "one\n");
    drop(logs);
    rustix::io::write(&pipes.stdout, b"two\n").expect("room");
    room.wait_for_text(&web(), "one\ntwo\n");
    let (logs, started) = room.start();
    assert!(started.holder.is_some());
    let adopted: HashSet<_> = started
        .adopted
        .iter()
        .map(|id| (id.run, id.stream))
        .collect();
    assert_eq!(
        adopted,
        HashSet::from([(run, Stream::Stdout), (run, Stream::Stderr)])
    );
    rustix::io::write(&pipes.stdout, b"three\n").expect("room");
    room.wait_for_text(&web(), "one\ntwo\nthree\n");
    assert_eq!(logs.tail(&web(), run, 5), ["one", "two", "three"]);
    drop(pipes);
    assert!(logs.finish(in_time()).is_complete);
    assert!(holder.wait().expect("it ends with a clean end").success());
    assert_eq!(room.read(&web(), Stream::Stdout), "one\ntwo\nthree\n");
}

#[test]
fn a_stranger_at_the_holders_door_changes_nothing() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    drop(logs);
    for words in [&b"hello"[..], b"T\xff", b"B"] {
        let door = link::dial(room.path()).expect("it listens");
        rustix::net::send(&door, words, rustix::net::SendFlags::empty()).expect("sent");
        rustix::io::write(&pipes.stdout, words).expect("room");
        let said = String::from_utf8_lossy(words).into_owned();
        room.wait_for_text(&web(), &said);
        wait_for(|| match wire::receive(&door) {
            wire::Received::Closed => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    let (logs, started) = room.start();
    assert!(started.holder.is_some());
    drop(pipes);
    assert!(logs.finish(in_time()).is_complete);
    assert!(holder.wait().expect("ended").success());
}

#[test]
fn a_forced_end_sends_the_holder_away_too() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    rustix::io::write(&pipes.stdout, b"said\n").expect("room");
    let drained = logs.finish(clock::mono());
    assert_eq!((drained.bytes, drained.pipes), (5, 2));
    assert!(holder.wait().expect("ended").success());
    assert_eq!(room.pipes(), []);
}

#[test]
fn a_program_that_ends_while_nobody_supervises_has_its_last_words_kept() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    let reply = logs.tail(&web(), RunId::new(), 1);
    assert_eq!(reply, Vec::<String>::new());
    drop(logs);
    rustix::io::write(&pipes.stdout, b"last words\n").expect("room");
    drop(pipes);
    room.wait_for_text(&web(), "last words\n");
    room.wait_for_no_pipes();
    let (logs, started) = room.start();
    assert_eq!(
        (started.adopted, started.holder),
        (vec![], Some(holder.id()))
    );
    assert!(logs.finish(in_time()).is_complete);
    assert!(holder.wait().expect("ended").success());
}

#[test]
fn without_supervisor_and_holder_the_next_one_finds_the_pipes_by_itself() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let (living, gone) = (RunId::new(), RunId::new());
    let alive = logs.open_run(&web(), living).expect("pipes");
    let dead = logs
        .open_run(&InstanceName::single("dead"), gone)
        .expect("pipes");
    rustix::io::write(&alive.stdout, b"one\n").expect("room");
    room.wait_for_text(&web(), "one\n");
    holder.kill().expect("killed");
    holder.wait().expect("reaped");
    wait_for(|| match room.notices.lock().clone() {
        n if n == [Notice::HolderLost] => Ok(()),
        n => Err(format!("{n:?}")),
    });
    drop(logs);
    drop(dead);
    rustix::io::write(&alive.stdout, b"two\n").expect("room");
    let (logs, started) = room.start();
    assert!(started.holder.is_none());
    let runs: HashSet<_> = started.adopted.iter().map(|id| id.run).collect();
    assert_eq!(runs, HashSet::from([living]));
    room.wait_for_text(&web(), "one\ntwo\n");
    assert_eq!(room.pipes().len(), 2, "the pipes nobody had open are gone");
    drop(alive);
    room.wait_for_no_pipes();
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn an_orphaned_holder_ends_when_its_state_directory_is_removed() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    drop(logs);
    // It pumps when the lock is its own.
    wait_for(|| match lock::PumpLock::try_take(room.path()) {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    std::fs::remove_dir_all(room.path()).expect("removed");
    wait_for(|| match holder.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_holder_that_does_not_answer_is_gone_without_and_stops() {
    let room = Room::new();
    let (logs, _) = room.start();
    let mut holder = start_holder(&room, &logs);
    let pipes = logs.open_run(&web(), RunId::new()).expect("pipes");
    drop(logs);
    rustix::io::write(&pipes.stdout, b"one\n").expect("room");
    room.wait_for_text(&web(), "one\n");
    let pid = rustix::process::Pid::from_child(&holder);
    let signal = |name| rustix::process::kill_process(pid, name).expect("it lives");
    signal(rustix::process::Signal::STOP);
    // The signal is taken by one thread, which then stops the others.
    wait_for(|| match crate::procfs::read_stat(holder.id()) {
        Ok(Some(stat)) if stat.state == b'T' => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let (logs, started) = room.start();
    assert!(started.holder.is_none());
    rustix::io::write(&pipes.stdout, b"two\n").expect("room");
    room.wait_for_text(&web(), "one\ntwo\n");
    signal(rustix::process::Signal::CONT);
    rustix::io::write(&pipes.stdout, b"three\n").expect("room");
    room.wait_for_text(&web(), "one\ntwo\nthree\n");
    wait_for(|| match holder.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(pipes);
    assert!(logs.finish(in_time()).is_complete);
}

#[test]
fn messages_to_a_pump_that_is_gone_are_refused() {
    let room = Room::new();
    let (logs, _) = room.start();
    assert!(logs.finish(in_time()).is_complete);
    assert!(logs.holder_seat().is_err());
    let (a, _b) = link::pair().expect("a pair");
    assert!(wire::wait_readable(&[a.as_fd()], Some(Duration::ZERO)) == [false]);
}
