//! A `Procfile`: `name: command` a line, run by a shell.

use super::Faulty;
use super::draft::{Draft, literal};

/// All programs of the file. foreman gives each a port of its own, from 5000 on in steps of 100.
pub(super) fn read(text: &str, has_dotenv: bool) -> Result<Draft, Faulty> {
    let mut draft = Draft::default();
    for (n, raw) in text.lines().enumerate() {
        let (line, trimmed) = (n + 1, raw.trim());
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (name, command) = trimmed
            .split_once(':')
            .map(|(name, command)| (name.trim(), command.trim()))
            .filter(|(name, command)| is_name(name) && !command.is_empty())
            .ok_or_else(|| (line, "write name: command".to_owned()))?;
        let mut program = draft.program(name, line);
        if program.name != name && draft.programs.iter().any(|p| p.name == name) {
            return Err((line, format!("{name} is there twice")));
        }
        program.set(line, "command", literal(command));
        program.set(line, "shell", true);
        if has_dotenv {
            program.set(line, "env_file", ".env");
        }
        if mentions_port(command) {
            let port = 5000 + 100 * draft.programs.len();
            program.insert("environment", "PORT", port.to_string());
        }
        draft.programs.push(program);
    }
    if draft.programs.len() > 1 {
        draft.lose(
            0,
            "foreman ends all when one process ends; here each is restarted when it fails, alone",
        );
    }
    Ok(draft)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// `$PORT` or `${PORT…}` is in it.
fn mentions_port(command: &str) -> bool {
    ["$PORT", "${PORT"].iter().any(|mark| {
        command.match_indices(mark).any(|(at, _)| {
            let next = command[at + mark.len()..].chars().next();
            next.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
        })
    })
}
