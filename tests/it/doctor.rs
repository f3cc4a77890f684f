//! `jikimi doctor`: what is wrong is found, each with what to do, with and without a supervisor.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::processes::kill;
use crate::support::supervisor::Supervisor;

fn ask(place: &Supervisor) -> (Option<i32>, Vec<Value>) {
    let out = place.cli(&["doctor", "--json"]);
    let json: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    let checks = json["checks"].as_array().expect("a list").clone();
    let ok = checks.iter().all(|c| c["ok"] == true);
    assert_eq!(json["ok"], ok);
    (out.status.code(), checks)
}

/// What is wrong with one thing.
fn wrong(checks: &[Value], check: &str) -> Vec<String> {
    let of = checks
        .iter()
        .filter(|c| c["check"] == check && c["ok"] == false);
    of.map(|c| {
        assert!(c["do"].as_str().is_some_and(|d| !d.is_empty()), "{c}");
        c["what"].as_str().unwrap_or_default().to_owned()
    })
    .collect()
}

#[test]
fn a_port_that_somebody_else_has_and_a_target_that_is_not_there_are_found() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let gone = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let place = Supervisor::configured(&format!(
        "[program.web]\ncommand = [\"sleep\", \"1d\"]\nreadiness.tcp = \"127.0.0.1:{port}\"\n\
         [target.here]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hidden\"\n\
         [target.gone]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{gone}/hidden\"\n"
    ));
    let (code, checks) = ask(&place);
    assert_eq!(code, Some(1));
    let ports = wrong(&checks, "ports");
    let ours = format!("(pid {})", std::process::id());
    assert!(ports.len() == 1 && ports[0].contains(&ours), "{ports:?}");
    let targets = wrong(&checks, "targets");
    assert!(
        targets.len() == 1 && targets[0].starts_with("gone: "),
        "{targets:?}"
    );
    assert!(!targets[0].contains("hidden"), "{targets:?}");
}

#[test]
fn programs_that_a_killed_supervisor_left_are_orphans_until_the_next_one_has_them() {
    let mut place = Supervisor::running("[program.web]\ncommand = [\"sleep\", \"1d\"]\n");
    let pid = place.pid_in("web", "running");
    let (_, checks) = ask(&place);
    assert_eq!(wrong(&checks, "orphans"), [""; 0]);
    kill(place.pid());
    place.wait();
    let (code, checks) = ask(&place);
    assert_eq!(code, Some(1));
    let orphans = wrong(&checks, "orphans");
    let named = orphans.iter().any(|o| o.contains(&format!("(pid {pid}")));
    assert!(named, "{orphans:?}");
    place.start();
    let (_, checks) = ask(&place);
    assert_eq!(wrong(&checks, "orphans"), [""; 0]);
}

#[test]
fn files_that_others_can_write_and_a_damaged_history_are_found() {
    let mut place = Supervisor::running("[program.web]\ncommand = [\"sleep\", \"1d\"]\n");
    assert_eq!(place.cli(&["shutdown"]).status.code(), Some(0));
    place.wait();
    let (_, checks) = ask(&place);
    assert_eq!(wrong(&checks, "database"), [""; 0]);
    let mode = |name: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.file(name), permissions).expect("ours");
    };
    mode("jikimi.toml", 0o666);
    mode(".jikimi", 0o755);
    let database = place.file(".jikimi/jikimi.db");
    std::fs::write(&database, vec![b'x'; 65_536]).expect("ours");
    let (code, checks) = ask(&place);
    assert_eq!(code, Some(1));
    assert_eq!(wrong(&checks, "permissions").len(), 2, "{checks:?}");
    assert_eq!(wrong(&checks, "database").len(), 1, "{checks:?}");
    place.write("jikimi.toml", "[program.web]\ncommnd = 5\n");
    let (_, checks) = ask(&place);
    assert!(wrong(&checks, "configuration")[0].contains("jikimi.toml:"));
}

#[test]
fn people_are_told_what_to_do() {
    let place = Supervisor::configured("");
    std::fs::remove_file(place.file("jikimi.toml")).expect("it is there");
    let out = place.cli(&["doctor", "--config", "none.toml"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(
        said.contains("!! configuration") && said.contains("-> "),
        "{said}"
    );
}
