//! Whole configurations: files, includes, defaults, references, and all faults at once.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::program::{LimitAction, RestartPolicy, Signal};
use crate::model::settings::{Durability, LogFormat};
use crate::model::stop::StopPlan;
use crate::model::target::RatePolicy;

mod damage;
mod environment;
mod examples;
mod mistakes;
mod plan;

/// A folder with files, and the surroundings to read them in.
struct Place {
    folder: TempDir,
    env: Env,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let env = Env {
            directory: folder.path().to_owned(),
            host_name: "test-host".to_owned(),
            ..Env::default()
        };
        let place = Self { folder, env };
        for (name, text) in files {
            place.write(name, text.as_bytes());
        }
        place.with(&[("JIKIMI_EXE", "/usr/bin/jikimi"), ("PATH", "/usr/bin:/bin")])
    }

    fn with(mut self, variables: &[(&str, &str)]) -> Self {
        let pairs = variables
            .iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v)));
        self.env.variables.extend(pairs);
        self
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("files are in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Faults> {
        load(Path::new("j.toml"), &self.env)
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(&self) -> Vec<String> {
        match self.load() {
            Ok(loaded) => panic!("no fault was found in {loaded:?}"),
            Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.loaded()
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn faults_of(text: &str) -> Vec<String> {
    Place::new(&[("j.toml", text)]).faults()
}

#[test]
fn a_route_names_events_that_exist() {
    let text = "[target.a]\nkind = \"slack\"\nurl = \"https://h\"\n[[route]]\ntargets = [\"b\"]\nevents = [\"program.crash\", \"program.*\"]\n";
    assert_eq!(
        faults_of(text),
        [
            "j.toml:5:12: route.targets: no target is called \"b\": there is a",
            "j.toml:6:11: route.events: no event is called \"program.crash\": did you mean \"program.crashed\"?",
        ]
    );
}

#[test]
fn programs_that_wait_for_each_other_are_spelled_out() {
    let text = "[program.a]\ncommand = \"x\"\ndepends_on = [\"b\"]\n[program.b]\ncommand = \"x\"\ndepends_on = { c = \"started\" }\n\
                [program.c]\ncommand = \"x\"\ndepends_on = [\"a\"]\n";
    assert_eq!(
        faults_of(text),
        [
            "j.toml:3:14: program.a.depends_on: these wait for each other, a -> b -> c -> a: take one of them out"
        ]
    );
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let place = Place::new(&[
        (
            "j.toml",
            "include = [\"d/*.toml\"]\n[supervisor]\nnmae = \"x\"\nshutdown_timeout = \"1\"\nbroken\n[program.a]\ncommand = \"x\"\nfoo = 1\n",
        ),
        (
            "d/1.toml",
            "[program.b]\ncommand = [\"x\"\nautostart = 1\n[notify]\nworkers = 0\n",
        ),
        (
            "d/2.toml",
            "[program.a]\ncommand = \"y\"\n[target.t]\nkind = \"discord\"\nurl = \"x\"\n",
        ),
    ]);
    let faults = place.faults();
    let heads: Vec<String> = faults
        .iter()
        .map(|f| f.splitn(5, ": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        heads,
        [
            "d/1.toml:2:11 syntax",
            "d/1.toml:3:13 program.b.autostart",
            "d/1.toml:5:11 notify.workers",
            "d/2.toml:1:1 program.a",
            "d/2.toml:5:7 target.t.url",
            "j.toml:3:1 supervisor.nmae",
            "j.toml:4:20 supervisor.shutdown_timeout",
            "j.toml:5:7 syntax",
            "j.toml:8:1 program.a.foo",
        ],
        "{faults:#?}"
    );
    assert_eq!(
        faults[3],
        "d/2.toml:1:1: program.a: it stands at j.toml:6 too: keep one of them"
    );
}

#[test]
fn a_missing_or_unreadable_file_is_one_sentence() {
    let place = Place::new(&[]);
    assert_eq!(
        place.faults(),
        [
            "j.toml:1:1: configuration: cannot be read, there is no such file: name a file that can be read"
        ]
    );
    place.write("j.toml", b"\xff");
    assert_eq!(
        place.faults(),
        ["j.toml:1:1: configuration: line 1 is not UTF-8 text: save the file as UTF-8"]
    );
}

#[test]
fn an_empty_configuration_has_every_default_and_a_warning() {
    let place = Place::new(&[("j.toml", "")]);
    let Loaded {
        settings, files, ..
    } = place.loaded();
    assert_eq!(
        place.warnings(),
        ["j.toml:1:1: program: there are no programs: for example [program.web] with a command"]
    );
    assert_eq!(files, [place.path("j.toml")]);
    assert_eq!(settings.path, place.path("j.toml"));
    assert_eq!(settings.supervisor.name, "test-host");
    assert_eq!(settings.supervisor.state_dir, place.path(".jikimi"));
    assert_eq!(settings.supervisor.shutdown_timeout, Duration::from_mins(1));
    assert_eq!(settings.control.socket, place.path(".jikimi/jikimi.sock"));
    assert_eq!((settings.notify.workers, settings.notify.queue), (4, 1024));
    assert_eq!(settings.notify.max_age.critical, Duration::from_hours(48));
    assert_eq!(settings.metrics.interval, Duration::from_secs(5));
    assert_eq!(settings.metrics.retention_raw, Duration::from_hours(48));
    assert_eq!(
        (settings.store.pool, settings.store.durability),
        (4, Durability::Normal)
    );
    assert_eq!(settings.checkpoint.batch, 100);
    assert_eq!(
        (settings.log.level, settings.log.format),
        (log::LevelFilter::Info, LogFormat::Text)
    );
}

#[test]
fn a_program_with_a_command_alone_has_every_default() {
    let place = Place::new(&[(
        "j.toml",
        "[program.web]\ncommand = \"nginx -g 'daemon off;' ${PATH}\"\n",
    )]);
    let program = place.loaded().settings.programs[0].clone();
    assert_eq!(
        program.command,
        ["nginx", "-g", "daemon off;", "/usr/bin:/bin"]
    );
    assert_eq!(program.directory, place.folder.path());
    assert_eq!((program.instances, program.autostart), (1, true));
    assert_eq!(program.restart, RestartPolicy::OnFailure);
    assert_eq!(program.success_exit_codes, [0]);
    assert_eq!(program.stop, StopPlan::of(Signal::TERM));
    assert_eq!(program.backoff.initial, Duration::from_millis(500));
    assert!((program.backoff.factor - 2.0).abs() < 1e-9);
    assert_eq!(
        program.restart_limit.then,
        LimitAction::Cooldown(Duration::from_mins(5))
    );
    assert_eq!(program.metrics_interval, Duration::from_secs(5));
}

#[test]
fn a_value_of_a_variable_stays_one_word_of_a_command() {
    let place = Place::new(&[("j.toml", "[program.a]\ncommand = \"x '${V}' $${V}\"\n[program.b]\nshell = true\ncommand = \"echo $V ${V}\"\n")])
        .with(&[("V", "it's two")]);
    let programs = place.loaded().settings.programs;
    assert_eq!(programs[0].command, ["x", "it's two", "${V}"]);
    assert_eq!(programs[1].command, ["/bin/sh", "-c", "echo $V it's two"]);
}

#[test]
fn programs_keep_the_order_of_the_files() {
    let place = Place::new(&[
        (
            "j.toml",
            "include = [\"d/*.toml\", \"d/one.toml\"]\n[program.z]\ncommand = \"x\"\n[program.a]\ncommand = \"x\"\n",
        ),
        (
            "d/one.toml",
            "include = [\"../j.toml\", \"*.toml\"]\n[program.m]\ncommand = \"x\"\n",
        ),
        ("d/.hidden.toml", "nonsense"),
        ("d/two.txt", "nonsense"),
    ]);
    let loaded = place.loaded();
    let names: Vec<&str> = loaded.settings.programs.iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["z", "a", "m"]);
    assert_eq!(
        loaded.files,
        [place.path("j.toml"), place.path("d/one.toml")]
    );
}

#[test]
fn paths_are_relative_to_the_file_they_stand_in() {
    let place = Place::new(&[
        (
            "c/j.toml",
            "include = [\"../d/one.toml\"]\n[supervisor]\nstate_dir = \"../state\"\n",
        ),
        (
            "d/one.toml",
            "[program.m]\ncommand = \"x\"\ndirectory = \"work\"\nenv_file = \"m.env\"\n[program.n]\ncommand = \"x\"\n",
        ),
        ("d/m.env", "A=1\n"),
    ]);
    let loaded = load(Path::new("c/j.toml"), &place.env).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(loaded.settings.supervisor.state_dir, place.path("state"));
    assert_eq!(loaded.settings.programs[0].directory, place.path("d/work"));
    assert_eq!(loaded.settings.programs[1].directory, place.path("d"));
}

#[test]
fn faults_name_an_included_file_and_an_env_file_as_they_are_reached() {
    let place = Place::new(&[
        ("c/j.toml", "include = [\"d/one.toml\"]\n"),
        (
            "c/d/one.toml",
            "[program.m]\ncommand = \"x\"\nenv_file = \"m.env\"\nx_y = 1\n",
        ),
        ("c/d/m.env", "# fine\nhunter2\n"),
    ]);
    let faults = load(Path::new("c/j.toml"), &place.env)
        .expect_err("two things are wrong")
        .to_string();
    let places: Vec<&str> = faults
        .lines()
        .filter_map(|l| l.split(": ").next())
        .collect();
    assert_eq!(places, ["c/d/m.env:2:1", "c/d/one.toml:4:1"]);
}

#[test]
fn rates_are_those_of_the_provider_unless_written() {
    for (kind, keys, burst, per_minute) in [
        ("webhook", "url = \"http://h\"", 10, 300),
        ("discord", "url = \"https://h\"", 5, 30),
        ("slack", "url = \"https://h\"", 3, 60),
        ("telegram", "token = \"1:x\"\nchat_id = \"@c\"", 3, 20),
        ("discord", "url = \"https://h\"\nrate.burst = 9", 9, 30),
    ] {
        let place = Place::new(&[(
            "j.toml",
            &format!("[target.t]\nkind = \"{kind}\"\n{keys}\n"),
        )]);
        let targets = place.loaded().settings.targets;
        assert_eq!(targets[0].rate, RatePolicy { burst, per_minute }, "{kind}");
        assert_eq!(targets[0].provider.kind(), kind);
    }
}

#[test]
fn what_leads_nowhere_is_a_warning() {
    let text = "[program.web]\ncommand = \"x\"\nrestart_limit = { then = \"fatal\", cooldown = \"1m\" }\n[target.a]\nkind = \"slack\"\nurl = \"https://h\"\n\
                [target.b]\nkind = \"slack\"\nurl = \"https://h\"\n[[route]]\ntargets = [\"b\"]\nprograms = [\"wbe\", \"web\", \"w*\", \"tag:x\"]\n";
    assert_eq!(
        Place::new(&[("j.toml", text)]).warnings(),
        [
            "j.toml:3:46: program.web.restart_limit.cooldown: it has no effect with then = \"fatal\": leave it out, or then = \"cooldown\"",
            "j.toml:4:1: target.a: no route leads to it: a [[route]] with targets = [\"a\"]",
            "j.toml:12:13: route.programs: it chooses no program: \"wbe\": did you mean \"web\"?",
            "j.toml:12:33: route.programs: it chooses no program: \"tag:x\": give a program that tag",
        ]
    );
}

#[test]
fn times_of_a_check_beside_a_line_of_output_are_a_warning() {
    let text =
        "[program.web]\ncommand = \"x\"\nreadiness = { log_line = \"ready\", interval = \"1s\" }\n";
    assert_eq!(
        Place::new(&[("j.toml", text)]).warnings(),
        [
            "j.toml:3:46: program.web.readiness.interval: it has no effect with log_line: leave it out"
        ]
    );
}

#[test]
fn a_socket_path_that_no_socket_can_have_is_refused() {
    let long = "x".repeat(100);
    let place = Place::new(&[(
        "j.toml",
        &format!("[supervisor]\nstate_dir = \"/{long}\"\n"),
    )]);
    assert_eq!(
        place.faults(),
        [
            "j.toml:2:13: supervisor.state_dir: the path of the socket has 113 bytes, 107 at the most are possible: choose a shorter path"
        ]
    );
    let fits = format!("[control]\nsocket = \"/{}\"\n", "x".repeat(106));
    assert_eq!(
        Place::new(&[("j.toml", &fits)])
            .loaded()
            .settings
            .control
            .socket
            .as_os_str()
            .len(),
        107
    );
    let too_long = format!("[control]\nsocket = \"/{}\"\n", "x".repeat(107));
    assert!(
        Place::new(&[("j.toml", &too_long)]).faults()[0]
            .contains("control.socket: the path of the socket has 108 bytes")
    );
}

#[test]
fn too_many_instances_are_refused() {
    let text: String = (0..5)
        .map(|i| format!("[program.p{i}]\ncommand = \"x\"\ninstances = 1000"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(
        faults_of(&text),
        [
            "j.toml:13:1: program: with it there are more than 4096 instances: run fewer, or a second supervisor"
        ]
    );
}

#[test]
fn the_configuration_is_looked_for_in_order() {
    let place = Place::new(&[]);
    let home = place.path("home");
    let place = place.with(&[("HOME", home.to_str().expect("the folder's name is text"))]);
    let user = home.join(".config/jikimi/jikimi.toml");
    let names = [
        PathBuf::from("jikimi.toml"),
        PathBuf::from("config/jikimi.toml"),
        user.clone(),
        PathBuf::from("/etc/jikimi/jikimi.toml"),
    ];
    assert_eq!(candidates(None, &place.env), names);
    place.write("home/.config/jikimi/jikimi.toml", b"");
    assert_eq!(find(None, &place.env), Ok(user));
    place.write("config/jikimi.toml", b"");
    assert_eq!(find(None, &place.env), Ok("config/jikimi.toml".into()));
    place.write("jikimi.toml", b"");
    assert_eq!(find(None, &place.env), Ok("jikimi.toml".into()));
    assert_eq!(
        find(Some(Path::new("none.toml")), &place.env),
        Ok("none.toml".into())
    );
    let xdg = Place::new(&[]).with(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]);
    assert_eq!(
        candidates(None, &xdg.env)[2],
        Path::new("/x/jikimi/jikimi.toml")
    );
}

#[test]
fn the_state_directory_is_known_although_other_things_are_wrong() {
    let place = Place::new(&[(
        "j.toml",
        "include = [\"none\"]\n[supervisor]\nstate_dir = \"s\"\n[program.x]\nwhat = 1\n",
    )]);
    let hint = |p: &Place| state_dir_hint(Path::new("j.toml"), &p.env);
    assert_eq!(hint(&place), Some(place.path("s")));
    place.write("j.toml", b"[program.x]\n");
    assert_eq!(hint(&place), Some(place.path(".jikimi")));
    place.write("j.toml", b"[supervisor]\nstate_dir = \"${NONE}\"\n");
    assert_eq!(hint(&place), None);
    place.write("j.toml", b"[supervisor]\nstate_dir = \"s\"\nbroken\n");
    assert_eq!(hint(&place), None);
}
