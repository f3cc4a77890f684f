//! After kill -9 of the supervisor programs go on: same process, same run, output without a gap, exits seen.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::processes::{is_alive, kill, wait_gone, wait_reaped};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that does what the files of its directory say.
const OBEDIENT: &str = r#"
shell = true
command = '''
echo $$ >> "$JIKIMI_PROGRAM.pids"
while :; do
  [ -e "$JIKIMI_PROGRAM.exit" ] && { rm "$JIKIMI_PROGRAM.exit"; exit 7; }
  sleep 0.02
done
'''
start_confirm = "10ms"
backoff = { initial = "20ms", max = "20ms", jitter = 0.0 }
"#;

fn last_event(supervisor: &Supervisor, kind: &str, instance: &str) -> Value {
    wait_for(&format!("{kind} of {instance}"), || {
        supervisor
            .events_of(kind, instance)
            .pop()
            .ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

/// Kills the supervisor when the database knows that `instance` runs.
fn kill_when_known(supervisor: &mut Supervisor, instance: &str) {
    last_event(supervisor, "program.ready", instance);
    supervisor.kill();
}

#[test]
fn the_exit_of_an_adopted_run_is_noticed_and_told_with_its_code() {
    let mut supervisor = Supervisor::marked(&format!("[program.web]\n{OBEDIENT}"));
    let before = supervisor.wait_phase("web", "running");
    kill_when_known(&mut supervisor, "web");
    supervisor.start_marked();
    let adopted = supervisor.wait_phase("web", "running");
    assert_eq!(
        (&adopted["pid"], &adopted["run"]),
        (&before["pid"], &before["run"])
    );
    let uptime = adopted["uptime_s"].as_f64().expect("it is up");
    assert!(uptime > 0.0, "{uptime}");
    supervisor.write("web.exit", "");
    let crashed = last_event(&supervisor, "program.crashed", "web");
    assert_eq!(crashed["run"], before["run"]);
    assert_eq!(crashed["data"]["exit"], json!({ "code": 7 }));
    supervisor.wait_program("web", "another run", |web| {
        web["phase"] == "running" && web["run"] != before["run"]
    });
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn an_adopted_tree_is_stopped_whole_and_nobody_else_with_it() {
    let mut supervisor = Supervisor::marked(
        r#"
        [program.web]
        shell = true
        command = '''
        trap 'echo term >> web.term; exit 0' TERM
        sleep 1d & echo $! >> web.pids
        setsid sh -c 'echo $$ >> web.pids; exec sleep 1d' &
        setsid sh -c 'setsid sh -c "echo \$\$ >> web.pids; exec sleep 1d" & exit 0' &
        while :; do sleep 0.02; done
        '''
        start_confirm = "10ms"
        "#,
    );
    let mut bystander = std::process::Command::new("sleep")
        .arg("1d")
        .spawn()
        .expect("sleep is everywhere");
    let main = supervisor.pid_in("web", "running");
    let pids = supervisor.wait_lines("web.pids", 3);
    kill_when_known(&mut supervisor, "web");
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("web", "running"), main);
    assert!(supervisor.cli(&["stop", "web"]).status.success());
    assert_eq!(
        supervisor.read("web.term"),
        "term\n",
        "asked before it is killed"
    );
    for pid in pids {
        assert!(!is_alive(pid.parse().expect("a pid")), "{pid} is left");
    }
    assert!(is_alive(bystander.id()));
    let _ = bystander.kill();
    let _ = bystander.wait();
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn what_was_configured_differently_meanwhile_is_started_anew_once_and_nothing_else_is() {
    let mut supervisor = Supervisor::marked(&format!(
        "[program.kept]\n{OBEDIENT}\n[program.changed]\n{OBEDIENT}\n\
         [program.live]\n{OBEDIENT}\nstop_timeout = \"9s\"\n"
    ));
    let pids = ["kept", "changed", "live"].map(|name| supervisor.pid_in(name, "running"));
    for name in ["kept", "changed"] {
        last_event(&supervisor, "program.ready", name);
    }
    kill_when_known(&mut supervisor, "live");
    let config = supervisor.read("jikimi.toml").replace("9s", "8s").replace(
        "[program.changed]",
        "[program.changed]\nenvironment = { SECRET_PLACE = \"hush\" }",
    );
    supervisor.write("jikimi.toml", &config);
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("kept", "running"), pids[0]);
    assert_eq!(supervisor.pid_in("live", "running"), pids[2]);
    let stopped = last_event(&supervisor, "program.stopped", "changed");
    assert_eq!(stopped["data"]["trigger"], "reload");
    let cause = stopped["data"]["cause"].as_str().expect("words");
    assert!(cause.contains("environment.SECRET_PLACE"), "{cause}");
    assert!(!cause.contains("hush"), "{cause}");
    wait_gone(pids[1]);
    supervisor.wait_program("changed", "another run", |view| {
        view["phase"] == "running" && view["pid"] != pids[1]
    });
    let lines = supervisor.wait_lines("changed.pids", 2);
    assert_eq!(lines.len(), 2);
    // The changed configuration is the present one: another kill changes nothing more.
    let again = supervisor.pid_in("changed", "running");
    wait_for("the second start in the database", || {
        match supervisor.events_of("program.ready", "changed").len() {
            2.. => Ok(()),
            n => Err(format!("{n}")),
        }
    });
    supervisor.kill();
    supervisor.start_marked();
    assert_eq!(supervisor.pid_in("changed", "running"), again);
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn an_end_that_nobody_saw_is_told_as_unknown_and_what_runs_once_is_not_run_again() {
    let mut supervisor = Supervisor::marked(&format!(
        "[program.job]\n{OBEDIENT}\nrestart = \"never\"\n[program.web]\n{OBEDIENT}\n"
    ));
    let pids = ["job", "web"].map(|name| supervisor.pid_in(name, "running"));
    last_event(&supervisor, "program.ready", "job");
    last_event(&supervisor, "program.ready", "web");
    // With the holder nobody is left who keeps them.
    let holders = supervisor.holders();
    supervisor.kill();
    for pid in holders.into_iter().chain(pids) {
        kill(pid);
        wait_gone(pid);
    }
    // Until whoever inherited them has reaped them, the kernel still tells.
    wait_reaped(&pids);
    supervisor.start_marked();
    supervisor.wait_program("web", "another run", |view| {
        view["phase"] == "running" && view["pid"] != pids[1]
    });
    let job = supervisor.wait_phase("job", "exited");
    assert_eq!(job["last_exit"], json!({ "unknown": true }));
    let missed = last_event(&supervisor, "program.adopted", "job");
    assert_eq!(missed["severity"], "warning");
    assert_eq!(missed["data"]["exit"], json!({ "unknown": true }));
    assert_eq!(supervisor.lines("job.pids").len(), 1);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_stranger_with_the_pid_of_a_run_is_neither_adopted_nor_signalled() {
    let mut supervisor = Supervisor::marked(&format!("[program.web]\n{OBEDIENT}"));
    let main = supervisor.pid_in("web", "running");
    kill_when_known(&mut supervisor, "web");
    kill(main);
    wait_gone(main);
    let mut stranger = std::process::Command::new("sleep")
        .arg("1d")
        .spawn()
        .expect("sleep is everywhere");
    // As if the number had been given away: the start time is not the stranger's.
    let database = rusqlite::Connection::open(supervisor.file(".jikimi/jikimi.db"));
    database
        .expect("it is there")
        .execute("UPDATE runs SET pid = ?1", [stranger.id()])
        .expect("nobody holds it");
    supervisor.start_marked();
    let web = supervisor.wait_phase("web", "running");
    assert_ne!(web["pid"], stranger.id());
    assert!(supervisor.cli(&["restart", "web"]).status.success());
    assert_eq!(supervisor.stop(), 0);
    assert!(is_alive(stranger.id()));
    let _ = stranger.kill();
    let _ = stranger.wait();
}

/// Numbers its lines, and says when another of its kind lives: nothing but its own records is believed.
const COUNTING: &str = r#"
shell = true
command = '''
for pid in $(cat "$JIKIMI_PROGRAM.pids" 2>/dev/null); do
  case "$(cut -d ' ' -f 3 /proc/$pid/stat 2>/dev/null)" in ''|Z) ;; *) echo "$JIKIMI_PROGRAM $pid" >> doubled ;; esac
done
echo $$ >> "$JIKIMI_PROGRAM.pids"
trap 'stop=yes' TERM
i=0
while [ -z "$stop" ] && [ "$i" -lt LIMIT ]; do i=$((i + 1)); echo "$$ $i"; [ $((i % 20)) = 0 ] && sleep 0.01; done
echo "$$ last $i"
exit CODE
'''
start_confirm = "10ms"
backoff = { initial = "0ms", max = "0ms", jitter = 0.0 }
restart_limit = { count = 100000 }
"#;

/// Each run's lines are 1, 2, 3 … last, runs follow one another whole; how many runs there were.
fn runs_are_whole(lines: &[String]) -> usize {
    let (mut next, mut of, mut runs) = (1_u64, String::new(), 0);
    for line in lines {
        let (pid, word) = line.split_once(' ').expect("a pid and a word");
        if next == 1 {
            pid.clone_into(&mut of);
            runs += 1;
        }
        assert_eq!(pid, of, "two runs write at once: {line}");
        if let Some(last) = word.strip_prefix("last ") {
            assert_eq!(last, (next - 1).to_string(), "lost before {line}");
            next = 1;
        } else {
            assert_eq!(word, next.to_string(), "lost or doubled before {line}");
            next += 1;
        }
    }
    assert_eq!(next, 1, "the last words are missing");
    runs
}

#[test]
fn fifty_kills_at_random_moments_double_no_run_and_lose_no_line() {
    let steady = COUNTING.replace("LIMIT", "100000000").replace("CODE", "0");
    let short = COUNTING.replace("LIMIT", "400").replace("CODE", "1");
    let mut supervisor = Supervisor::configured(&format!(
        "[program.steady]\n{steady}\n[program.short]\n{short}\n[program.job]\ncommand = [\"true\"]\n\
         restart = \"always\"\nbackoff = {{ initial = \"0ms\", max = \"0ms\" }}\nrestart_limit = {{ count = 100000 }}\n"
    ));
    for _ in 0..50 {
        supervisor.spawn_marked();
        let moment = Duration::from_millis(fastrand::u64(0..250));
        let _ = crossbeam::channel::never::<()>().recv_timeout(moment);
        supervisor.kill();
    }
    supervisor.start_marked();
    supervisor.wait_phase("steady", "running");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
    assert_eq!(supervisor.read("doubled"), "", "ran twice");
    let steady = supervisor.lines(".jikimi/logs/steady/out.log");
    assert_eq!(runs_are_whole(&steady), 1, "one run through all of it");
    assert_eq!(supervisor.lines("steady.pids").len(), 1);
    let short = supervisor.lines(".jikimi/logs/short/out.log");
    let runs = runs_are_whole(&short);
    assert_eq!(runs, supervisor.lines("short.pids").len());
    assert!(runs > 1, "{runs}");
}

/// A program that writes a number now and then until it is stopped, and says so.
const TALKING: &str = r#"
shell = true
command = '''
trap 'echo bye; exit 0' TERM
i=0
while :; do i=$((i + 1)); echo "n $i"; sleep 0.02; done
'''
start_confirm = "10ms"
"#;

fn assert_counts_without_a_gap(lines: &[String]) {
    let (last, numbers) = lines.split_last().expect("it wrote");
    for (at, line) in numbers.iter().enumerate() {
        assert_eq!(line, &format!("n {}", at + 1));
    }
    assert_eq!(last, "bye");
}

#[test]
fn a_shutdown_that_leaves_programs_running_ends_well_and_the_next_start_adopts_them() {
    let mut supervisor = Supervisor::marked(&format!("[program.web]\n{TALKING}"));
    let before = supervisor.wait_phase("web", "running");
    let pid = supervisor.pid_in("web", "running");
    let log = ".jikimi/logs/web/out.log";
    supervisor.wait_lines(log, 3);
    let left = supervisor.cli(&["shutdown", "--leave-running"]);
    assert!(left.status.success(), "{left:?}");
    assert!(supervisor.wait().success());
    assert!(is_alive(pid));
    assert_eq!(supervisor.holders().len(), 1);
    let so_far = supervisor.lines(log).len();
    supervisor.wait_lines(log, so_far + 5);
    supervisor.start_marked();
    let after = supervisor.wait_phase("web", "running");
    assert_eq!(
        (&after["pid"], &after["run"]),
        (&before["pid"], &before["run"])
    );
    let recovered = last_event_of(&supervisor, "supervisor.recovered");
    let cause = recovered["data"]["cause"].as_str().expect("words");
    assert!(cause.contains("left running"), "{cause}");
    let stopped = supervisor.events_of("program.stopped", "web");
    assert_eq!(stopped, [Value::Null; 0]);
    assert_eq!(supervisor.stop(), 0);
    assert_counts_without_a_gap(&supervisor.lines(log));
    supervisor.assert_nothing_left();
}

fn last_event_of(supervisor: &Supervisor, kind: &str) -> Value {
    wait_for(kind, || {
        let events = supervisor.events();
        let found = events.iter().rev().find(|e| e["type"] == kind);
        found.cloned().ok_or_else(|| format!("{events:#?}"))
    })
}

#[test]
fn an_upgrade_stops_no_program_and_the_new_version_has_everything_the_old_one_had() {
    let mut supervisor = Supervisor::marked(&format!(
        "[program.web]\n{TALKING}\n[program.job]\n{OBEDIENT}\n\
         [program.daemon]\nshell = true\nstart_confirm = \"10ms\"\n\
         command = 'setsid sh -c \"sleep 1d & echo \\$! > daemon.pid; exec sleep 1d\" & exec sleep 1d'\n"
    ));
    let before = supervisor.status();
    let pids = ["web", "job", "daemon"].map(|name| supervisor.pid_in(name, "running"));
    for name in ["web", "job", "daemon"] {
        last_event(&supervisor, "program.ready", name);
    }
    supervisor.wait_lines("daemon.pid", 1);
    for round in 1..=2 {
        let upgraded = supervisor.cli(&["upgrade"]);
        assert!(upgraded.status.success(), "round {round}: {upgraded:?}");
        let after = supervisor.status();
        assert_eq!(after["supervisor"]["pid"], before["supervisor"]["pid"]);
        assert_ne!(
            after["supervisor"]["started_at"],
            before["supervisor"]["started_at"]
        );
        for (name, pid) in ["web", "job", "daemon"].iter().zip(pids) {
            let view = supervisor.wait_phase(name, "running");
            assert_eq!(view["pid"], pid, "round {round}: {name}");
        }
        assert_eq!(supervisor.holders().len(), 1);
    }
    // They are still its children: how one ends is known on any kernel.
    supervisor.write("job.exit", "");
    let crashed = last_event(&supervisor, "program.crashed", "job");
    assert_eq!(crashed["data"]["exit"], json!({ "code": 7 }));
    supervisor.wait_program("job", "another run", |view| {
        view["phase"] == "running" && view["pid"] != pids[1]
    });
    assert_eq!(supervisor.stop(), 0);
    assert_counts_without_a_gap(&supervisor.lines(".jikimi/logs/web/out.log"));
    supervisor.assert_nothing_left();
}

#[test]
fn an_upgrade_to_a_version_that_would_refuse_the_configuration_changes_nothing() {
    let mut supervisor = Supervisor::marked(&format!("[program.web]\n{OBEDIENT}"));
    let pid = supervisor.pid_in("web", "running");
    let before = supervisor.status();
    let config = supervisor.read("jikimi.toml");
    supervisor.write("jikimi.toml", &format!("{config}\nnonsense = 1\n"));
    let refused = supervisor.cli(&["upgrade"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("nonsense"), "{said}");
    let after = supervisor.status();
    assert_eq!(
        after["supervisor"]["started_at"],
        before["supervisor"]["started_at"]
    );
    assert_eq!(supervisor.pid_in("web", "running"), pid);
    assert_eq!(supervisor.stop(), 0);
}
