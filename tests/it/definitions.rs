//! Definitions by command: added, changed, removed and brought back, checked before anything is written, and without a
//! comment of anybody lost.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::support::supervisor::Supervisor;

const MAIN: &str = "# A remark of a person.\ninclude = [\"programs.d/*.toml\"]\n\n[program.base]\ncommand = \"sleep 1000\"\nstart_confirm = \"10ms\"\n";

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

fn ok(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// An editor that does `script` to the file `$1`.
fn edit(sup: &Supervisor, script: &str) -> Output {
    sup.write("editor.sh", script);
    let mut command = sup.command(&["edit", "web"]);
    command.env_remove("VISUAL").env("EDITOR", "sh editor.sh");
    command.output().expect("the binary runs")
}

#[test]
fn a_program_is_added_changed_removed_and_brought_back_while_the_supervisor_runs() {
    let mut sup = Supervisor::running(MAIN);
    let base = sup.wait_phase("base", "running");
    ok(&sup.cli(&[
        "add",
        "web",
        "--env",
        "GREETING=hello ${X}",
        "--set",
        "start_confirm=10ms",
        "--tag",
        "game",
        "--",
        "sleep",
        "1000",
    ]));
    sup.wait_phase("web", "running");
    let file = sup.file("programs.d/web.toml");
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&file), 0o600);
    let environment =
        std::fs::read(format!("/proc/{}/environ", sup.program("web")["pid"])).expect("it runs");
    assert!(String::from_utf8_lossy(&environment).contains("GREETING=hello ${X}"));

    let changed = edit(
        &sup,
        "printf '# Mine.\\n' | cat - \"$1\" > new && sed 's/1000/2000/' new > \"$1\"",
    );
    ok(&changed);
    assert!(sup.read("programs.d/web.toml").contains("# Mine."));
    assert!(sup.read("programs.d/web.toml").contains("2000"));
    let before = sup.program("web");
    ok(&sup.cli(&["remove", "web"]));
    assert!(!file.exists());
    assert!(
        sup.read("jikimi.toml") == MAIN,
        "nobody touches the main file"
    );
    assert_eq!(
        sup.cli(&["stop", "web"]).status.code(),
        Some(1),
        "nobody knows it"
    );

    let history = said(&sup.cli(&["history", "web"]));
    assert!(
        history.contains("2  until") && history.contains("removed"),
        "{history}"
    );
    ok(&sup.cli(&["rollback", "web"]));
    assert!(
        sup.read("programs.d/web.toml").contains("# Mine."),
        "as it was"
    );
    let after = sup.wait_phase("web", "running");
    assert_ne!(before["pid"], after["pid"]);
    ok(&sup.cli(&["rollback", "web", "1"]));
    assert!(sup.read("programs.d/web.toml").contains("\"1000\""));
    assert_eq!(
        sup.program("base")["pid"],
        base["pid"],
        "others are not touched"
    );
    assert_eq!(sup.stop(), 0);
}

#[test]
fn what_would_be_wrong_is_refused_with_its_faults_and_nothing_is_written() {
    let sup = Supervisor::configured(MAIN);
    let bad = sup.cli(&["add", "web", "--restart", "sometimes", "--", "sleep", "1"]);
    assert_eq!(bad.status.code(), Some(3), "{}", said(&bad));
    assert!(
        said(&bad).contains("programs.d/web.toml:"),
        "{}",
        said(&bad)
    );
    assert!(!sup.file("programs.d").exists());
    for name in ["../evil", ".hidden", "a/b"] {
        let refused = sup.cli(&["add", name, "--", "sleep", "1"]);
        assert!(!refused.status.success(), "{name}");
    }
    let twice = sup.cli(&["add", "base", "--", "sleep", "1"]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(said(&twice).contains("jikimi.toml:4"), "{}", said(&twice));
    let main = sup.cli(&["remove", "base"]);
    assert!(said(&main).contains("jikimi.toml:4"), "{}", said(&main));

    let added = sup.cli(&["add", "web", "--", "sleep", "1"]);
    ok(&added);
    assert!(
        said(&added).contains("no supervisor runs"),
        "{}",
        said(&added)
    );
    let before = sup.read("programs.d/web.toml");
    let broken = edit(&sup, "echo 'restart = 7' >> \"$1\"");
    assert_eq!(broken.status.code(), Some(3), "{}", said(&broken));
    assert!(said(&broken).contains("restart"), "{}", said(&broken));
    assert_eq!(sup.read("programs.d/web.toml"), before);
    let kept = said(&broken);
    let kept = kept
        .split("is kept as ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .expect("says where");
    std::fs::remove_file(kept).expect("what was written is there");
    let given_up = edit(&sup, "exit 1");
    assert!(said(&given_up).contains("nothing was changed"));
    let same = edit(&sup, "true");
    assert!(said(&same).contains("nothing was changed"));
    assert_eq!(sup.cli(&["rollback", "web", "9"]).status.code(), Some(1));
    assert_eq!(sup.cli(&["edit", "nobody"]).status.code(), Some(1));
}

#[test]
fn a_folder_that_is_not_included_is_said_and_a_file_with_other_things_is_not_removed() {
    let sup = Supervisor::configured("[program.base]\ncommand = \"sleep 1000\"\n");
    let refused = sup.cli(&["add", "web", "--", "sleep", "1"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        said(&refused).contains("include = [\"programs.d/*.toml\"]"),
        "{}",
        said(&refused)
    );
    assert!(!sup.file("programs.d").exists());

    sup.write("jikimi.toml", MAIN);
    sup.write(
        "programs.d/two.toml",
        "[program.one]\ncommand = \"true\"\n# Of a person.\n[program.two]\ncommand = \"true\"\n",
    );
    let shared = sup.cli(&["remove", "two"]);
    assert_eq!(shared.status.code(), Some(1));
    assert!(said(&shared).contains("two.toml:4"), "{}", said(&shared));
    sup.write(
        "programs.d/own-name.toml",
        "# Of a person.\n[program.solo]\ncommand = \"true\"\n",
    );
    ok(&sup.cli(&["remove", "solo"]));
    assert!(!sup.file("programs.d/own-name.toml").exists());
    ok(&sup.cli(&["rollback", "solo"]));
    assert!(
        sup.read("programs.d/own-name.toml")
            .starts_with("# Of a person.")
    );
}
