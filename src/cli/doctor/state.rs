//! The files that a supervisor keeps and reads: whose they are, whether they are whole, how large they have become.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Finding, Scene};
use crate::limits;
use crate::store::{OpenError, Store};
use crate::text;

/// Who else can write what decides which programs run, or read what they wrote.
pub(super) fn permissions(scene: &Scene) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|m| m.permissions().mode() & 0o777)
    };
    let mut found = Vec::new();
    for file in &scene.files {
        if mode(file).is_some_and(|mode| mode & 0o022 != 0) {
            let what = format!(
                "others can write {}, and so choose what runs",
                file.display()
            );
            found.push(Finding::wrong(
                CHECK,
                what,
                format!("chmod go-w {}", file.display()),
            ));
        }
    }
    if let Some(folder) = &scene.state_dir
        && mode(folder).is_some_and(|mode| mode & 0o077 != 0)
    {
        let what = format!("others can look into {}", folder.display());
        found.push(Finding::wrong(
            CHECK,
            what,
            format!("chmod 700 {}", folder.display()),
        ));
    }
    if found.is_empty() {
        let files = super::super::run::count(scene.files.len(), "file");
        found.push(Finding::well(
            CHECK,
            format!("nobody else writes the configuration ({files}) or the state"),
        ));
    }
    found
}

/// Whether the history can be read to its last page.
pub(super) fn database(scene: &Scene) -> Option<Finding> {
    const CHECK: &str = "database";
    let folder = scene.state_dir.as_ref()?;
    Some(match Store::verify(folder) {
        Ok(()) => Finding::well(CHECK, "it is whole"),
        Err(OpenError::Missing { .. }) => Finding::well(CHECK, "there is no history yet"),
        Err(error @ OpenError::Older { .. }) => Finding::well(CHECK, error.to_string()),
        Err(error) => {
            let what = super::super::output::chain(&error);
            Finding::wrong(
                CHECK,
                what,
                "stop the supervisor, move the file aside or put a backup in its place, and start it",
            )
        }
    })
}

/// What the output of programs takes.
pub(super) fn logs(scene: &Scene) -> Option<Finding> {
    const CHECK: &str = "logs";
    let folder = scene.state_dir.as_ref()?.join("logs");
    let entries = std::fs::read_dir(&folder).ok()?;
    let mut sizes: Vec<(u64, String)> = entries
        .flatten()
        .map(|e| {
            (
                size_of(&e.path()),
                e.file_name().to_string_lossy().into_owned(),
            )
        })
        .collect();
    sizes.sort();
    let total: u64 = sizes.iter().map(|(size, _)| size).sum();
    let (largest, name) = sizes.last()?;
    let what = format!(
        "the output of programs takes {}, that of {name} {}",
        text::size(total),
        text::size(*largest)
    );
    if total < limits::DOCTOR_LOG_BYTES {
        return Some(Finding::well(CHECK, what));
    }
    let advice = format!("let {name} write less, or bound it with its `logs` keys");
    Some(Finding::wrong(CHECK, what, advice))
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}
