//! What makes a command line easier: completion, manual pages, a status that is shown anew.

use std::process::{Command, Stdio};

use crate::support::supervisor::{BINARY, Supervisor};
use crate::support::wait_for;

const ONE: &str = "[program.web]\ncommand = [\"sleep\", \"1d\"]\ninstances = 2\n[program.database]\ncommand = [\"sleep\", \"1d\"]\n";

#[test]
fn bash_completes_commands_and_the_names_of_programs() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let place = Supervisor::running(ONE);
    let script = place.cli(&["completions", "bash"]);
    place.write("complete.bash", &String::from_utf8_lossy(&script.stdout));
    let ask = |words: &str| {
        let folder = std::path::Path::new(BINARY).parent().expect("a folder");
        let count = words.split(' ').count() - 1;
        let shell = format!(
            "PATH={}:$PATH; source complete.bash; COMP_WORDS=({words} ''); COMP_CWORD={}; COMP_WORDS[COMP_CWORD]=\"$LAST\"; _jikimi_named jikimi \"$LAST\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            folder.display(),
            count + 1,
        );
        let mut command = place.shell("exec bash -c \"$SCRIPT\"");
        let out = command
            .env("SCRIPT", shell)
            .env("LAST", "")
            .output()
            .expect("bash runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let names: Vec<String> = ask("jikimi restart").lines().map(str::to_owned).collect();
    for name in ["web:0", "web:1", "database", "all"] {
        assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
    }
    let commands = ask("jikimi");
    assert!(commands.lines().any(|l| l == "restart"), "{commands}");
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let place = Supervisor::configured("");
    let made = place.cli(&["man", "pages/man1"]);
    assert_eq!(made.status.code(), Some(0));
    for name in ["jikimi.1", "jikimi-run.1", "jikimi-import-systemd.1"] {
        let page = place.read(&format!("pages/man1/{name}"));
        assert!(page.contains(".TH"), "{name}: {page}");
        assert!(!page.contains("__holder"), "{name}");
    }
    place.write("file", "");
    assert_eq!(place.cli(&["man", "file/below"]).status.code(), Some(1));
}

#[test]
fn status_is_shown_anew_when_something_changes_and_ends_with_the_supervisor() {
    let mut place = Supervisor::running(ONE);
    let out = std::fs::File::create(place.file("watch.out")).expect("our own folder");
    let mut watching = place
        .command(&["status", "--watch"])
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    wait_for("a first table", || {
        let text = place.read("watch.out");
        if text.contains("database") {
            Ok(())
        } else {
            Err(text)
        }
    });
    assert_eq!(place.cli(&["stop", "database"]).status.code(), Some(0));
    wait_for("the change", || {
        let text = place.read("watch.out");
        let is_told = text
            .lines()
            .any(|l| l.starts_with("database") && l.contains("stopped"));
        if is_told { Ok(()) } else { Err(text) }
    });
    assert_eq!(place.cli(&["shutdown"]).status.code(), Some(0));
    let code = wait_for("the watch to end", || match watching.try_wait() {
        Ok(Some(status)) => Ok(status.code()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(code, Some(5));
    place.wait();
}

#[test]
fn machines_are_told_every_fault_of_a_configuration_apart() {
    let place = Supervisor::configured("[program.web]\ncommnd = 5\n");
    let out = place.cli(&["check", "--json"]);
    assert_eq!(out.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["valid"], false);
    let faults = json["faults"].as_array().expect("a list");
    let of_key = |fault: &&serde_json::Value| fault["key"] == "program.web.commnd";
    let fault = faults.iter().find(of_key).expect("the misspelt key");
    assert_eq!((&fault["line"], &fault["column"]), (&2.into(), &1.into()));
    place.write("jikimi.toml", ONE);
    let out = place.cli(&["check", "--json"]);
    assert_eq!(out.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(
        (&json["valid"], &json["programs"]),
        (&true.into(), &2.into())
    );
}
