//! Reloads: only what changed is touched, what cannot be is said, and a wrong configuration changes nothing.

use std::fmt::Write as _;
use std::process::Output;

use serde_json::Value;

use crate::support::processes::{is_alive, wait_gone};
use crate::support::receiver::{Received, Receiver};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A program that sleeps; `more` are keys.
fn sleeper(name: &str, more: &str) -> String {
    format!("[program.{name}]\ncommand = [\"sleep\", \"1000\"]\nstart_confirm = \"20ms\"\n{more}\n")
}

/// A target that hears of everything.
fn hook(name: &str, url: &str) -> String {
    format!(
        "[target.{name}]\nkind = \"webhook\"\nurl = {url}\nrate = {{ burst = 1000, per_minute = 10000 }}\n\
         breaker = {{ failures = 1, cooldown = \"10m\" }}\n"
    )
}

fn route(target: &str, more: &str) -> String {
    format!("[[route]]\nmin_severity = \"info\"\ntargets = [\"{target}\"]\n{more}\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

trait Reloads {
    /// Writes `config` and reloads; the output of a reload that went well.
    fn reload(&self, config: &str) -> String;
    /// The same as JSON.
    fn reload_json(&self, args: &[&str]) -> Value;
    fn pid_of(&self, name: &str) -> u32;
    fn names(&self) -> Vec<String>;
    fn environ(&self, name: &str) -> String;
}

impl Reloads for Supervisor {
    fn reload(&self, config: &str) -> String {
        self.write("jikimi.toml", config);
        let output = self.cli(&["reload"]);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    }

    fn reload_json(&self, args: &[&str]) -> Value {
        let output = self.cli(&[&["reload", "--json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    fn pid_of(&self, name: &str) -> u32 {
        self.pid_in(name, "running")
    }

    fn names(&self) -> Vec<String> {
        let status = self.status();
        let programs = status["programs"].as_array().expect("a list");
        let name = |p: &Value| p["name"].as_str().expect("a name").to_owned();
        programs.iter().map(name).collect()
    }

    fn environ(&self, name: &str) -> String {
        let environ = std::fs::read(format!("/proc/{}/environ", self.pid_of(name)));
        text(&environ.expect("our own process"))
    }
}

fn steps(answer: &Value) -> Vec<String> {
    let steps = answer["steps"].as_array().expect("a list of steps");
    let word = |step: &Value, key: &str| step[key].as_str().expect("a text").to_owned();
    let line = |step: &Value| {
        let keys = step["keys"].as_array().expect("a list");
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        format!(
            "{} {} [{}]",
            word(step, "action"),
            word(step, "name"),
            keys.join(", ")
        )
    };
    steps.iter().map(line).collect()
}

#[test]
fn only_what_changed_is_restarted_and_keys_that_need_no_restart_count_at_once() {
    let config = |word: &str, stop: &str| {
        sleeper("a", &format!("environment = {{ WORD = \"{word}\" }}"))
            + &sleeper(
                "b",
                &format!("stop_timeout = \"{stop}\"\ntags = [\"t{stop}\"]"),
            )
            + &sleeper("c", "")
    };
    let supervisor = Supervisor::running(&config("one", "9s"));
    let before = ["a", "b", "c"].map(|name| supervisor.pid_of(name));
    let said = supervisor.reload(&config("two", "8s"));
    assert!(
        said.contains("restart     a  configuration changed: environment.WORD\n"),
        "{said}"
    );
    assert!(
        said.contains("live        b  stop_timeout, tags: takes effect at once\n"),
        "{said}"
    );
    assert!(said.contains("a: restarted (pid "), "{said}");
    assert!(!said.contains("two"), "values are not shown: {said}");
    assert_ne!(supervisor.pid_of("a"), before[0]);
    assert_eq!(supervisor.pid_of("b"), before[1]);
    assert_eq!(supervisor.pid_of("c"), before[2]);
    assert!(!is_alive(before[0]));
    assert!(supervisor.environ("a").contains("WORD=two"));
    assert_eq!(supervisor.program("b")["tags"], serde_json::json!(["t8s"]));
    let stopping = supervisor.events_of("program.stopping", "a");
    assert_eq!(stopping.len(), 1);
    assert_eq!(stopping[0]["data"]["trigger"], "reload");
    assert_eq!(
        stopping[0]["data"]["cause"],
        "configuration changed: environment.WORD"
    );
    assert_eq!(supervisor.events_of("program.started", "a").len(), 2);
    let events = supervisor.events();
    let reloaded = events.iter().find(|e| e["type"] == "config.reloaded");
    let cause = &reloaded.expect("it is told")["data"]["cause"];
    assert_eq!(
        cause,
        "restart: a (environment.WORD); live: b (stop_timeout, tags)"
    );
    // The same again is nothing.
    let said = supervisor.reload(&config("two", "8s"));
    assert_eq!(said, "nothing changed; 3 instances are not touched\n");
}

#[test]
fn settings_of_the_operating_system_make_a_run_and_are_taken_up_also_while_it_is_spawned() {
    let config = |nice: u32| sleeper("a", &format!("nice = {nice}"));
    let supervisor = Supervisor::running(&config(3));
    supervisor.pid_of("a");
    // The second finds the first under way, perhaps in the midst of its spawn.
    for nice in 4..9 {
        supervisor.write("jikimi.toml", &config(nice));
        let begun = supervisor.cli(&["reload", "--no-wait"]);
        assert!(begun.status.success(), "{begun:?}");
    }
    wait_for("the last priority", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", supervisor.pid_of("a")));
        let stat = stat.map_err(|e| e.to_string())?;
        let after = stat.rsplit(')').next().unwrap_or_default();
        match after.split_whitespace().nth(16) {
            Some("8") => Ok(()),
            _ => Err(stat),
        }
    });
    supervisor.reload("");
    assert_eq!(supervisor.names(), [""; 0]);
}

#[test]
fn a_plan_says_what_would_happen_and_why_and_changes_nothing() {
    let supervisor = Supervisor::running(&(sleeper("a", "") + &sleeper("old", "")));
    let pids = ["a", "old"].map(|name| supervisor.pid_of(name));
    let changed = "store.pool = 2\nlog.level = \"debug\"\n".to_owned()
        + &sleeper("a", "environment = { PORT = \"1\" }")
        + &sleeper("fresh", "");
    supervisor.write("jikimi.toml", &changed);
    let answer = supervisor.reload_json(&["--plan"]);
    assert_eq!(
        steps(&answer),
        [
            "live log.level [log.level]",
            "needs_supervisor_restart store.pool [store.pool]",
            "restart a [environment.PORT]",
            "start fresh []",
            "stop old []",
        ]
    );
    assert_eq!(answer["is_plan"], true);
    let plain = text(&supervisor.cli(&["reload", "--plan"]).stdout);
    assert!(
        plain.contains("later       store.pool  takes effect at the next start of the supervisor"),
        "{plain}"
    );
    assert_eq!(["a", "old"].map(|name| supervisor.pid_of(name)), pids);
    assert_eq!(supervisor.names(), ["a", "old"]);
    assert!(
        supervisor
            .events()
            .iter()
            .all(|e| e["type"] != "config.reloaded")
    );
    // A wrong one is refused as well, and not told to anybody.
    supervisor.write("jikimi.toml", "nonsense = 1\n");
    assert_eq!(supervisor.cli(&["reload", "--plan"]).status.code(), Some(3));
    assert!(
        supervisor
            .events()
            .iter()
            .all(|e| e["type"] != "config.rejected")
    );
    // Done in earnest, what cannot be is said each time.
    let said = supervisor.reload(&changed);
    assert!(said.contains("later       store.pool"), "{said}");
    assert_eq!(supervisor.names(), ["a", "fresh"]);
    wait_gone(pids[1]);
    let again = supervisor.reload(&changed);
    assert_eq!(
        again,
        "later       store.pool  takes effect at the next start of the supervisor\n2 instances are not touched\n"
    );
    supervisor.wait_log("DEBUG");
}

#[test]
fn a_wrong_configuration_is_refused_with_every_fault_and_all_runs_on() {
    let supervisor = Supervisor::running(&sleeper("a", ""));
    let pid = supervisor.pid_of("a");
    let broken =
        sleeper("a", "stop_timeout = 5\nautostrat = true") + "[target.x]\nkind = \"fax\"\n";
    supervisor.write("jikimi.toml", &broken);
    let refused = supervisor.cli(&["reload"]);
    let checked = supervisor.cli(&["check"]);
    assert_eq!(refused.status.code(), Some(3));
    let faults = |output: &Output| {
        let text = text(&output.stderr);
        let faults = text.lines().filter(|line| line.starts_with("jikimi.toml:"));
        faults.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(faults(&refused).len(), 3, "{refused:?}");
    assert_eq!(faults(&refused), faults(&checked), "as check lists them");
    assert_eq!(supervisor.pid_of("a"), pid);
    let answer = supervisor.reload_json(&[]);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["faults"].as_array().map(Vec::len), Some(3));
    let rejected = wait_for("config.rejected", || {
        let events = supervisor.events();
        let rejected = events.into_iter().find(|e| e["type"] == "config.rejected");
        rejected.ok_or_else(|| "none".to_owned())
    });
    assert_eq!(rejected["severity"], "warning");
    assert_eq!(rejected["data"]["count"], 3);
    let cause = rejected["data"]["cause"].as_str().expect("a cause");
    assert!(
        cause.starts_with("3 faults, the first: jikimi.toml:"),
        "{cause}"
    );
    // A file that is not there is no end either, and what was mended counts.
    std::fs::remove_file(supervisor.file("jikimi.toml")).expect("it is there");
    assert_eq!(supervisor.cli(&["reload"]).status.code(), Some(3));
    assert_eq!(supervisor.pid_of("a"), pid);
    supervisor.reload(&(sleeper("a", "") + &sleeper("b", "")));
    assert_eq!(supervisor.pid_of("a"), pid);
    supervisor.pid_of("b");
}

#[test]
fn instances_come_and_go_and_those_that_stay_keep_their_processes() {
    let of = |n: u32| sleeper("web", &format!("instances = {n}"));
    let supervisor = Supervisor::running(&of(2));
    let (zero, one) = (supervisor.pid_of("web:0"), supervisor.pid_of("web:1"));
    supervisor.reload(&of(3));
    let two = supervisor.pid_of("web:2");
    assert_eq!(supervisor.pid_of("web:0"), zero);
    assert_eq!(supervisor.pid_of("web:1"), one);
    let said = supervisor.reload(&of(1));
    assert!(
        said.contains("stop        web:2  instances: 1, were 3"),
        "{said}"
    );
    assert!(said.contains("web: started"), "{said}");
    assert_eq!(supervisor.names(), ["web"]);
    assert!([zero, one, two].iter().all(|pid| !is_alive(*pid)));
    let single = supervisor.pid_of("web");
    supervisor.reload(&of(2));
    assert_eq!(supervisor.names(), ["web:0", "web:1"]);
    supervisor.pid_of("web:0");
    supervisor.pid_of("web:1");
    assert!(!is_alive(single));
    let gone = supervisor.cli(&["stop", "web:2"]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
}

#[test]
fn included_files_that_come_and_go_bring_their_programs_and_take_them_away() {
    let mut supervisor = Supervisor::configured("include = [\"programs.d/*.toml\"]\n");
    supervisor.write("programs.d/m.toml", &sleeper("m", ""));
    supervisor.start();
    let m = supervisor.pid_of("m");
    supervisor.write("programs.d/a.toml", &sleeper("a", "depends_on = [\"m\"]"));
    assert!(supervisor.cli(&["reload"]).status.success());
    let a = supervisor.pid_of("a");
    assert_eq!(supervisor.pid_of("m"), m);
    assert_eq!(supervisor.names(), ["a", "m"], "in the order of the files");
    std::fs::remove_file(supervisor.file("programs.d/m.toml")).expect("it is there");
    // Who needs it has the last word.
    assert_eq!(supervisor.cli(&["reload"]).status.code(), Some(3));
    assert_eq!(supervisor.pid_of("m"), m);
    supervisor.write("programs.d/a.toml", &sleeper("a", ""));
    assert!(supervisor.cli(&["reload"]).status.success());
    assert_eq!(supervisor.pid_of("a"), a);
    assert_eq!(supervisor.names(), ["a"]);
    wait_gone(m);
}

#[test]
fn files_of_variables_and_secrets_are_read_again() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut supervisor = Supervisor::configured(
        &(sleeper("a", "env_file = \"a.env\"")
            + &sleeper("b", "")
            + &hook("ops", "{ file = \"ops.url\" }")
            + &route("ops", "")),
    );
    supervisor.write("a.env", "LEVEL=1\n");
    supervisor.write("ops.url", &first.url("/one"));
    supervisor.start();
    let (a, b) = (supervisor.pid_of("a"), supervisor.pid_of("b"));
    first.wait_type("program.started", "b");
    supervisor.write("a.env", "LEVEL=2\n");
    supervisor.write("ops.url", &second.url("/two"));
    let output = supervisor.cli(&["reload"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("restart     a  configuration changed: environment.LEVEL"),
        "{said}"
    );
    assert!(
        said.contains("target ops  url: takes effect with the next attempt"),
        "{said}"
    );
    assert_ne!(supervisor.pid_of("a"), a);
    assert_eq!(supervisor.pid_of("b"), b);
    assert!(supervisor.environ("a").contains("LEVEL=2"));
    second.wait_type("program.stopped", "a");
    let everything = said + &supervisor.output().1;
    assert!(
        !everything.contains(&second.url("/two")),
        "a secret is shown"
    );
}

#[test]
fn a_changed_target_gets_the_next_event_though_the_one_before_was_given_up() {
    // Its breaker opens with the first failure, for ten minutes.
    let good = Receiver::start();
    let config =
        |url: &str| sleeper("a", "") + &hook("ops", &format!("\"{url}\"")) + &route("ops", "");
    let supervisor = Supervisor::running(&config("http://127.0.0.1:9/"));
    supervisor.wait_target("ops", "left alone", |t| t["state"] == "open");
    supervisor.reload(&config(&good.url("/")));
    // What waited for it, and what comes.
    good.wait_type("program.started", "a");
    supervisor.cli(&["restart", "a"]);
    good.wait_type("program.stopped", "a");
    supervisor.wait_target("ops", "ready", |t| t["state"] == "ready");
}

#[test]
fn changed_routes_count_from_the_next_event_on_and_removed_targets_get_nothing() {
    let (one, two) = (Receiver::start(), Receiver::start());
    let targets = hook("one", &format!("\"{}\"", one.url("/")))
        + &hook("two", &format!("\"{}\"", two.url("/")));
    let programs = sleeper("a", "");
    let supervisor = Supervisor::running(
        &(programs.clone()
            + &targets
            + &route("one", "")
            + &route("two", "events = [\"config.rejected\"]")),
    );
    one.wait_type("program.started", "a");
    supervisor.reload(&(programs.clone() + &targets + &route("two", "")));
    two.wait_for("word of the reload", |r| {
        r.json()["type"] == "config.reloaded"
    });
    supervisor.cli(&["restart", "a"]);
    let is_restart = |r: &Received| r.json()["type"] == "program.stopped";
    two.wait_for("the restart", is_restart);
    supervisor.cli(&["stop", "a"]);
    two.wait_for("the stop", |r| r.json()["type"] == "program.stopped");
    assert!(
        !one.received().iter().any(is_restart),
        "it has no route any more"
    );
    // A target that leaves: what waits for it is given up, its lane goes.
    let dead = hook("dead", "\"http://127.0.0.1:9/\"") + &route("dead", "");
    supervisor.reload(&(programs.clone() + &targets + &dead));
    supervisor.cli(&["start", "a"]);
    supervisor.wait_target("dead", "something waits", |t| {
        t["pending"].as_u64() > Some(0)
    });
    supervisor.reload(&(programs + &targets));
    supervisor.wait_target("dead", "gone", Value::is_null);
    let database = supervisor.file(".jikimi/jikimi.db");
    let sql =
        "SELECT count(*) FROM deliveries WHERE target = 'dead' AND state IN ('pending', 'leased')";
    wait_for(
        "nothing that waits for it",
        || match crate::support::database::value::<i64>(&database, sql)? {
            0 => Ok(()),
            n => Err(format!("{n} wait")),
        },
    );
}

#[test]
fn the_supervisors_own_name_and_pace_count_at_once_for_what_already_runs() {
    let hooked = Receiver::start();
    let rest =
        sleeper("a", "") + &hook("ops", &format!("\"{}\"", hooked.url("/"))) + &route("ops", "");
    let config = |name: &str, every: &str| {
        format!("supervisor.name = \"{name}\"\nmetrics.interval = \"{every}\"\n{rest}")
    };
    let supervisor = Supervisor::running(&config("old-box", "5s"));
    let pid = supervisor.pid_of("a");
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", supervisor.pid()));
        let tasks = tasks.expect("it runs").filter_map(Result::ok);
        tasks
            .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| name.starts_with("sample-"))
            .collect::<Vec<_>>()
    };
    wait_for("sampling", || match threads() {
        names if names == ["sample-5000ms"] => Ok(()),
        names => Err(format!("{names:?}")),
    });
    supervisor.reload(&config("new-box", "300ms"));
    wait_for("sampling at the other pace", || match threads() {
        names if names == ["sample-300ms"] => Ok(()),
        names => Err(format!("{names:?}")),
    });
    assert_eq!(supervisor.status()["supervisor"]["name"], "new-box");
    supervisor.wait_program("a", "measured", |p| p["memory_bytes"].as_u64() > Some(0));
    assert_eq!(supervisor.pid_of("a"), pid);
    supervisor.cli(&["stop", "a"]);
    let stopped = hooked.wait_type("program.stopped", "a");
    assert_eq!(stopped.json()["data"]["host"], "new-box");
}

#[test]
fn a_program_that_leaves_ends_its_incident_as_removed() {
    let hooked = Receiver::start();
    let tail = hook("ops", &format!("\"{}\"", hooked.url("/"))) + &route("ops", "");
    let bad =
        "[program.bad]\ncommand = [\"false\"]\nbackoff = { initial = \"10m\", max = \"10m\" }\n";
    let supervisor = Supervisor::running(&(bad.to_owned() + &sleeper("a", "") + &tail));
    hooked.wait_type("program.crashed", "bad");
    supervisor.reload(&(sleeper("a", "") + &tail));
    let last = hooked.wait_for("the end of the incident", |r| {
        r.json()["data"]["incident"]["state"] == "resolved"
    });
    assert_eq!(
        last.json()["data"]["cause"],
        "removed from the configuration"
    );
    let sql = "SELECT cause FROM incidents";
    let database = supervisor.file(".jikimi/jikimi.db");
    let cause: Result<String, _> = crate::support::database::value(&database, sql);
    assert_eq!(cause.as_deref(), Ok("removed"));
}

#[test]
fn hup_reloads() {
    let supervisor = Supervisor::running(&sleeper("a", ""));
    let a = supervisor.pid_of("a");
    supervisor.write("jikimi.toml", &(sleeper("a", "") + &sleeper("b", "")));
    supervisor.signal("HUP");
    supervisor.wait_program("b", "it came", |p| p["phase"] == "running");
    assert_eq!(supervisor.pid_of("a"), a);
    supervisor.write("jikimi.toml", "nonsense = 1\n");
    supervisor.signal("HUP");
    supervisor.wait_log("jikimi.toml:1:1: nonsense:");
    supervisor.wait_log("the configuration was refused and the old one stays");
    assert_eq!(supervisor.pid_of("a"), a);
}

#[test]
fn of_two_hundred_files_only_the_touched_one_is_parsed_again_and_looking_reads_no_file() {
    let config = "include = [\"programs.d/*.toml\"]\n";
    let mut supervisor = Supervisor::configured(config);
    let off = |name: &str, more: &str| sleeper(name, &format!("autostart = false\n{more}"));
    for n in 0..199 {
        supervisor.write(&format!("programs.d/p{n}.toml"), &off(&format!("p{n}"), ""));
    }
    supervisor.write("programs.d/live.toml", &sleeper("live", ""));
    supervisor.start();
    let live = supervisor.pid_of("live");
    let counts = || {
        let status = supervisor.status();
        let facts = &status["supervisor"]["configuration"];
        let count = |key: &str| facts[key].as_u64().expect("a count");
        (count("version"), count("scans"), count("parses"))
    };
    assert_eq!(counts(), (1, 1, 201));
    supervisor.write("programs.d/p7.toml", &off("p7", "tags = [\"x\"]"));
    let answer = supervisor.reload_json(&[]);
    assert_eq!(steps(&answer), ["live p7 [tags]"]);
    assert_eq!(answer["unchanged"], 199);
    assert_eq!(counts(), (2, 2, 202));
    // However often somebody looks.
    for _ in 0..20 {
        supervisor.status();
    }
    assert_eq!(counts(), (2, 2, 202));
    assert_eq!(supervisor.pid_of("live"), live);
}

#[test]
fn a_kill_in_the_middle_of_a_reload_leaves_each_program_once_and_as_configured() {
    let slow = |word: &str| {
        format!(
            "[program.slow]\nshell = true\ncommand = '''\ntrap 'sleep 1; exit 0' TERM\nwhile :; do sleep 0.05; done\n'''\n\
             start_confirm = \"20ms\"\nenvironment = {{ WORD = \"{word}\" }}\n"
        )
    };
    let mut supervisor =
        Supervisor::marked(&(slow("one") + &sleeper("old", "") + &sleeper("a", "")));
    let a = supervisor.pid_of("a");
    let old = supervisor.pid_of("old");
    supervisor.pid_of("slow");
    supervisor.write(
        "jikimi.toml",
        &(slow("two") + &sleeper("a", "") + &sleeper("fresh", "")),
    );
    let begun = supervisor.cli(&["reload", "--no-wait"]);
    assert!(begun.status.success(), "{begun:?}");
    supervisor.wait_program("slow", "stopping", |p| p["phase"] == "stopping");
    supervisor.kill();
    supervisor.start_marked();
    supervisor.wait_program("slow", "as configured", |p| p["phase"] == "running");
    wait_for("slow to have the new word", || {
        let environ = supervisor.environ("slow");
        if environ.contains("WORD=two") {
            Ok(())
        } else {
            Err(environ)
        }
    });
    supervisor.pid_of("fresh");
    assert_eq!(supervisor.pid_of("a"), a, "it went on all the time");
    wait_gone(old);
    assert_eq!(supervisor.names(), ["slow", "a", "fresh"]);
    wait_for("one process of each", || {
        // The loop of the slow one has a sleep of its own.
        let pids = supervisor.processes();
        let mains = [
            supervisor.pid_of("slow"),
            supervisor.pid_of("fresh"),
            a,
            supervisor.pid(),
        ];
        let holders = supervisor.holders();
        let others: Vec<u32> = pids
            .into_iter()
            .filter(|pid| !mains.contains(pid) && !holders.contains(pid))
            .collect();
        if others.len() <= 1 {
            Ok(())
        } else {
            Err(format!("{others:?}"))
        }
    });
    supervisor.stop();
    supervisor.assert_nothing_left();
}

#[test]
fn a_reload_during_the_shutdown_is_refused_and_without_a_supervisor_it_says_so() {
    let slow = "[program.slow]\nshell = true\ncommand = '''\ntrap 'sleep 2; exit 0' TERM\nwhile :; do sleep 0.05; done\n'''\n";
    let mut supervisor = Supervisor::running(slow);
    let pid = supervisor.pid_of("slow");
    supervisor.signal("TERM");
    supervisor.wait_phase("slow", "stopping");
    supervisor.write("jikimi.toml", &(slow.to_owned() + &sleeper("b", "")));
    let refused = supervisor.cli(&["reload"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("shutting down"),
        "{refused:?}"
    );
    supervisor.signal("HUP");
    supervisor.wait_log("the supervisor is stopping");
    assert!(is_alive(pid));
    supervisor.wait();
    assert_eq!(supervisor.cli(&["reload"]).status.code(), Some(5));
}

#[test]
fn reloads_at_the_same_time_wait_for_each_other_and_all_are_answered() {
    let config = |n: usize| {
        (0..4).fold(String::new(), |mut text, i| {
            let word = format!("environment = {{ WORD = \"{n}\" }}");
            let _ = write!(text, "{}", sleeper(&format!("p{i}"), &word));
            text
        })
    };
    let supervisor = Supervisor::running(&config(0));
    for n in 1..4 {
        supervisor.write("jikimi.toml", &config(n));
        let askers: Vec<_> = (0..3)
            .map(|_| {
                supervisor
                    .command(&["reload"])
                    .spawn()
                    .expect("the binary runs")
            })
            .collect();
        for mut asker in askers {
            assert!(asker.wait().expect("our own child").success());
        }
    }
    for name in ["p0", "p1", "p2", "p3"] {
        assert!(supervisor.environ(name).contains("WORD=3"));
        // The first start, and one restart for each change.
        assert_eq!(
            supervisor.events_of("program.started", name).len(),
            4,
            "{name}"
        );
    }
}
