//! Copies of the database: made while it is used, restored by one command, and in the place of a damaged one.
//! Supervision begins whatever the database is like.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const DATABASE: &str = ".jikimi/jikimi.db";

const WEB: &str = r#"
[program.web]
command = "sleep 1000"
start_confirm = "10ms"
"#;

/// Overwrites all of a file.
fn damage(path: &std::path::Path) {
    let len = std::fs::metadata(path).expect("there").len();
    std::fs::write(path, vec![0x5a; usize::try_from(len).expect("small")]).expect("room");
}

fn copies(sup: &Supervisor) -> Vec<PathBuf> {
    let list = sup.cli(&["restore", "--list", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&list.stdout).unwrap_or_default();
    let path = |row: &Value| row["path"].as_str().map(PathBuf::from);
    rows.iter().filter_map(path).collect()
}

fn files(sup: &Supervisor, beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sup.file(".jikimi")).expect("there");
    let names = entries.flatten().map(|e| e.path());
    names
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(beginning))
        })
        .collect()
}

/// Databases that were set aside, without what belongs to them.
fn aside(sup: &Supervisor, beginning: &str) -> Vec<PathBuf> {
    let mut found = files(sup, beginning);
    found.retain(|path| path.to_string_lossy().ends_with('Z'));
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_copy_made_beside_the_supervisor_brings_history_back_after_damage() {
    let mut sup = Supervisor::running(WEB);
    sup.wait_phase("web", "running");
    wait_for("a run in the history", || {
        let found = sup.events_of("program.started", "web");
        if found.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(())
        }
    });
    let copied = sup.cli(&["backup"]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    let named = sup.cli(&["backup", "--to", "mine.db.zst", "--json"]);
    let named: Value = serde_json::from_slice(&named.stdout).expect("JSON");
    assert!(named["bytes"].as_u64() < named["database_bytes"].as_u64());
    assert_eq!(copies(&sup).len(), 1, "the other one lies elsewhere");
    for path in [&copies(&sup)[0], &sup.file("mine.db.zst")] {
        let mode = std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let over = sup.cli(&["backup", "--to", "mine.db.zst"]);
    assert_eq!(over.status.code(), Some(1), "never over another file");
    let refused = sup.cli(&["restore"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    let pid = sup.pid().to_string();
    assert!(text(&refused.stderr).contains(&pid), "says who has it");
    assert_eq!(sup.stop(), 0);

    damage(&sup.file(DATABASE));
    let damaged = std::fs::read(sup.file(DATABASE)).expect("there");
    let restored = sup.cli(&["restore"]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let aside = aside(&sup, "jikimi.db.replaced-");
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(damaged == std::fs::read(&aside[0]).expect("kept"));
    let started = sup.events_of("program.started", "web");
    assert_eq!(started.len(), 1, "the history of the copy: {started:?}");
    sup.start();
    sup.wait_phase("web", "running");
    assert_eq!(sup.stop(), 0);
}

#[test]
fn what_is_no_sound_copy_is_refused_and_nothing_is_changed() {
    let mut sup = Supervisor::running(WEB);
    sup.wait_phase("web", "running");
    assert!(sup.cli(&["backup", "--to", "good.zst"]).status.success());
    assert_eq!(sup.stop(), 0);
    let good = std::fs::read(sup.file("good.zst")).expect("there");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for (name, bytes) in [
        ("cut.zst", &good[..middle]),
        ("flipped.zst", &flipped[..]),
        ("notes.txt", b"no database at all"),
        ("empty", b""),
    ] {
        std::fs::write(sup.file(name), bytes).expect("our own folder");
        let before = std::fs::read(sup.file(DATABASE)).expect("there");
        let refused = sup.cli(&["restore", name]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("nothing was changed"), "{name}: {said}");
        let after = std::fs::read(sup.file(DATABASE)).expect("there");
        assert!(before == after, "{name}");
        assert_eq!(
            files(&sup, "jikimi.db.").len(),
            0,
            "{name}: nothing left over"
        );
    }
    let missing = sup.cli(&["restore", "nowhere.zst"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn a_damaged_database_is_set_aside_and_supervision_begins_without_a_second_copy_of_anything() {
    let mut sup = Supervisor::running(WEB);
    let before = sup.wait_phase("web", "running");
    sup.kill();
    damage(&sup.file(DATABASE));
    // It would make up for everything.
    damage(&sup.file(".jikimi/jikimi.db-wal"));
    sup.start();
    let after = sup.wait_phase("web", "running");
    assert_eq!(before["pid"], after["pid"], "adopted, not started twice");
    let (_, log) = sup.output();
    assert!(
        log.contains("the database was damaged and is kept as"),
        "{log}"
    );
    assert!(log.contains("a new one is begun"), "{log}");
    assert_eq!(aside(&sup, "jikimi.db.damaged-").len(), 1);
    wait_for("word of it", || {
        let told = sup.events();
        let of = |kind: &str| told.iter().filter(|e| e["type"] == kind).count();
        match (of("storage.degraded"), of("storage.restored")) {
            (1, 1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(sup.stop(), 0);
}

#[test]
fn copies_are_made_when_due_the_newest_stay_and_the_newest_good_one_takes_a_damaged_ones_place() {
    let config = [
        WEB,
        "[store]\nwhen_damaged = \"restore\"\nbackup = { every = \"1s\", keep = 2 }\n",
    ]
    .concat();
    let mut sup = Supervisor::running(&config);
    sup.wait_phase("web", "running");
    wait_for("the run in the database", || {
        let found = sup.events_of("program.started", "web");
        if found.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(())
        }
    });
    let first = wait_for("two copies", || match copies(&sup).as_slice() {
        [_, oldest] => Ok(oldest.clone()),
        other => Err(format!("{other:?}")),
    });
    wait_for(
        "two others in the place of the first ones",
        || match copies(&sup).as_slice() {
            [newest, older] if *older > first => Ok(newest.clone()),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(sup.stop(), 0);
    let left = copies(&sup);
    assert_eq!(left.len(), 2, "{left:?}");
    damage(&left[0]);
    damage(&sup.file(DATABASE));
    sup.start();
    sup.wait_phase("web", "running");
    let (_, log) = sup.output();
    assert!(log.contains("is passed over"), "{log}");
    assert!(log.contains("takes its place"), "{log}");
    wait_for("the old run and the new one", || {
        match sup.events_of("program.started", "web").len() {
            2.. => Ok(()),
            other => Err(format!("{other} runs")),
        }
    });
    assert_eq!(sup.stop(), 0);
}

#[test]
fn a_backup_that_cannot_be_made_is_said_and_ends_nothing() {
    let mut sup =
        Supervisor::configured(&[WEB, "[store]\nbackup = { every = \"1s\", keep = 2 }\n"].concat());
    sup.write(".jikimi/backups", "a file in the place of the folder");
    sup.start();
    wait_for("an issue that names the backup", || {
        let issues = sup.try_status()?["supervisor"]["issues"].to_string();
        if issues.contains("backup: cannot use") {
            Ok(())
        } else {
            Err(issues)
        }
    });
    sup.wait_phase("web", "running");
    std::fs::remove_file(sup.file(".jikimi/backups")).expect("ours");
    wait_for("no issue any more", || {
        let issues = sup.try_status()?["supervisor"]["issues"].to_string();
        if issues.contains("backup") {
            Err(issues)
        } else {
            Ok(())
        }
    });
    assert_eq!(sup.stop(), 0);
}
