//! A program of the person at the terminal, such as an editor: it has our terminal while it runs, and we wait.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// Runs `command` (split as a shell splits) with `file` as its last argument, to its end.
///
/// # Errors
/// It cannot be started.
pub fn run_on(command: &str, file: &Path) -> io::Result<ExitStatus> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| io::Error::other("its command cannot be split into words"))?;
    Command::new(&words[0]).args(&words[1..]).arg(file).status()
}
