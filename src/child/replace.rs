//! Becoming another program in place: the same process, with the same children, runs another file. Owns no state.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::{FileLimit, orphans};

/// Says to the file that takes our place which process it was, so that it knows its children for ours.
pub const REPLACES: &str = "JIKIMI_REPLACES";

/// Runs `file` with `args` in the place of this process; returns only when that cannot be. Call it on the main
/// thread, when nothing of the others matters any more: they end without a word.
#[must_use]
pub fn replace(file: &Path, args: &[OsString], files: FileLimit) -> io::Error {
    files.give_back();
    let mut command = Command::new(file);
    command.args(args).env_remove(REPLACES);
    if !orphans::has_strangers() {
        command.env(REPLACES, std::process::id().to_string());
    }
    command.exec()
}

/// Whether this process was a supervisor before it became this program.
pub(super) fn was_supervisor() -> bool {
    std::env::var_os(REPLACES).is_some_and(|pid| pid == *std::process::id().to_string())
}
