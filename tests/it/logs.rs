//! `jikimi logs`: what programs wrote can be read, searched and followed, with and without a supervisor.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const TWO: &str = r#"
[program.web]
command = ["sh", "-c", "echo web one; echo 'ERROR web two' >&2; printf 'raw \\033[2J\\377 bytes\\n'; sleep 600"]
tags = ["site"]

[program.db]
command = ["sh", "-c", "echo db one; echo '{\"level\":\"warn\",\"msg\":\"db two\"}'; sleep 600"]
"#;

fn text(supervisor: &Supervisor, args: &[&str]) -> String {
    let output = supervisor.cli(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn objects(supervisor: &Supervisor, args: &[&str]) -> Vec<Value> {
    let text = text(supervisor, args);
    let objects = text.lines().map(serde_json::from_str);
    objects.collect::<Result<_, _>>().expect("an object a line")
}

fn wait_lines(supervisor: &Supervisor, count: usize) {
    wait_for("all lines", || {
        let lines = text(supervisor, &["logs", "all"]).lines().count();
        (lines == count)
            .then_some(())
            .ok_or(format!("{lines} lines"))
    });
}

#[test]
fn the_lines_of_programs_are_chosen_by_name_label_stream_level_pattern_and_run() {
    let supervisor = Supervisor::running(TWO);
    wait_lines(&supervisor, 5);
    let lines = text(&supervisor, &["logs", "w*"]);
    assert!(
        lines.contains("web one\n") && !lines.contains("db"),
        "{lines}"
    );
    let raw = supervisor.cli(&["logs", "tag:site", "--grep", "^raw"]);
    assert_eq!(raw.stdout, b"raw \x1b[2J\xff bytes\n", "as it was written");
    let errors = text(&supervisor, &["logs", "web", "--stream", "err"]);
    assert_eq!(errors, "ERROR web two\n");
    let bad = objects(&supervisor, &["logs", "all", "--level", "warn", "--json"]);
    let mut levels: Vec<_> = bad.iter().map(|o| o["level"].as_str()).collect();
    levels.sort_unstable();
    assert_eq!(levels, [Some("error"), Some("warn")]);
    let run = supervisor.program("db")["run"].clone();
    let run = run.as_str().expect("it runs");
    let its = objects(&supervisor, &["logs", "all", "--run", run, "--json"]);
    assert_eq!(its.len(), 2, "{its:?}");
    for object in &its {
        assert_eq!(object["instance"], "db");
        assert_eq!(object["stream"], "stdout");
        assert_eq!(object["run"], run);
    }
    assert_eq!(its[0]["line"], "db one");
    assert_eq!(
        text(&supervisor, &["logs", "db", "-n", "1", "--since", "1h"])
            .lines()
            .count(),
        1
    );
    assert_eq!(text(&supervisor, &["logs", "all", "--until", "1h"]), "");
    assert_eq!(
        text(
            &supervisor,
            &["logs", "all", "--since", "2100-01-01T00:00:00Z"]
        ),
        ""
    );
    let none = supervisor.cli(&["logs", "wep"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("did you mean \"web\""));
    let pattern = supervisor.cli(&["logs", "web", "--grep", "("]);
    assert_eq!(pattern.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&pattern.stderr).contains("unclosed group"));
}

#[test]
fn with_no_supervisor_the_files_are_read_of_removed_programs_too_and_standard_error_says_so() {
    let mut supervisor = Supervisor::running(TWO);
    wait_lines(&supervisor, 5);
    supervisor.stop();
    supervisor.write("jikimi.toml", "[program.web]\ncommand = \"sleep 600\"\n");
    let output = supervisor.cli(&["logs", "db"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("no supervisor answers"), "{errors}");
    assert!(output.stdout.starts_with(b"db one\n"));
    let tagged = supervisor.cli(&["logs", "tag:site"]);
    assert_eq!(tagged.status.code(), Some(1));
    supervisor.start();
    assert!(text(&supervisor, &["logs", "d?"]).starts_with("db one\n"));
}

fn append(path: &std::path::Path, text: &str) {
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path);
    let mut file = file.expect("our own file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
}

/// Rotated by hand, one of them compressed: `out.000001…` to `out.log`, with a line from one into the next.
fn rotated(supervisor: &Supervisor) {
    let folder = ".jikimi/logs/web";
    supervisor.write(&format!("{folder}/out.log"), "5\n6\n");
    supervisor.write(&format!("{folder}/out.000002.log"), "ree\n4\n");
    let packed = zstd::encode_all(&b"1\n2\nth"[..], 1).expect("in memory");
    let path = supervisor.file(&format!("{folder}/out.000001.1.log.zst"));
    std::fs::write(path, packed).expect("our own folder");
}

#[test]
fn rotated_and_compressed_files_are_read_as_one_with_what_is_written_now() {
    let supervisor = Supervisor::configured("[program.web]\ncommand = \"sleep 600\"\n");
    rotated(&supervisor);
    assert_eq!(
        text(&supervisor, &["logs", "web"]),
        "1\n2\nthree\n4\n5\n6\n"
    );
    assert_eq!(
        text(&supervisor, &["logs", "web", "-n", "4"]),
        "three\n4\n5\n6\n"
    );
    assert_eq!(
        text(&supervisor, &["logs", "web", "--grep", "^th", "-n", "1"]),
        "three\n"
    );
}

#[test]
fn what_comes_is_followed_through_a_rotation_and_a_removal_by_hand() {
    let supervisor = Supervisor::configured("[program.web]\ncommand = \"sleep 600\"\n");
    rotated(&supervisor);
    let mut command = supervisor.command(&["logs", "web", "-f", "-n", "2"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("our own binary");
    let mut output = child.stdout.take().expect("piped");
    let mut seen = Vec::new();
    let mut wait = |wanted: &str| {
        while seen != wanted.as_bytes() {
            let mut byte = [0];
            output.read_exact(&mut byte).expect("it goes on");
            seen.push(byte[0]);
            assert!(
                wanted.as_bytes().starts_with(&seen),
                "{}",
                String::from_utf8_lossy(&seen)
            );
        }
    };
    wait("5\n6\n");
    let file = |name: &str| supervisor.file(&format!(".jikimi/logs/web/{name}"));
    append(&file("out.log"), "7\n");
    std::fs::rename(file("out.log"), file("out.000003.log")).expect("rotated");
    append(&file("out.log"), "8\n");
    wait("5\n6\n7\n8\n");
    std::fs::remove_file(file("out.log")).expect("removed");
    append(&file("out.log"), "9\n");
    wait("5\n6\n7\n8\n9\n");
    child.kill().expect("our own process");
    child.wait().expect("our own process");
}
