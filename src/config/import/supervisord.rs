//! `supervisord.conf`: its sections. What the keys of a program mean is in [`super::supervisord_keys`].

use std::path::Path;

use super::Faulty;
use super::draft::{Draft, literal, name_of};
use super::ini::{Dialect, Section, read as lines};
use super::supervisord_keys::{Fill, environment, program};

/// All programs of the file.
pub(super) fn read(text: &str, here: &Path) -> Result<Draft, Faulty> {
    let sections = lines(text, Dialect::Supervisord)?;
    let mut draft = Draft::default();
    for section in &sections {
        if let Some(name) = section.name.strip_prefix("program:") {
            let made = program(&mut draft, section, name.trim(), here)?;
            draft.programs.push(made);
        }
    }
    for section in &sections {
        let (kind, name) = section.name.split_once(':').unwrap_or((&section.name, ""));
        match kind {
            "program" => {}
            "supervisord" => whole(&mut draft, section, here)?,
            "group" => group(&mut draft, section, name.trim()),
            _ => draft.lose(
                section.line,
                format!("[{}]: {}", section.name, advice(kind)),
            ),
        }
    }
    Ok(draft)
}

fn advice(kind: &str) -> &'static str {
    match kind {
        "include" => "import those files too, and name the results in `include`",
        "unix_http_server" | "inet_http_server" | "supervisorctl" | "rpcinterface" => {
            "commands reach jikimi by its own socket"
        }
        "eventlistener" => "events go to a target; `kind = \"exec\"` runs a command for each",
        "fcgi-program" => "no socket is handed to a program; let it open its own",
        _ => "unknown section",
    }
}

/// `[supervisord]`: what of it means every program.
fn whole(draft: &mut Draft, section: &Section, here: &Path) -> Result<(), Faulty> {
    for entry in &section.entries {
        match entry.key.as_str() {
            "identifier" => draft.supervisor.push(("name", literal(&entry.value))),
            "environment" => {
                let fill = Fill::plain(here);
                for program in &mut draft.programs {
                    let own = program.get("environment").cloned();
                    environment(program, entry, &fill)?;
                    // What a program says itself wins.
                    for (name, value) in own.iter().filter_map(toml::Value::as_table).flatten() {
                        program.insert("environment", name, value.clone());
                    }
                }
            }
            "nodaemon" | "silent" | "nocleanup" | "childlogdir" => {}
            "user" | "umask" | "directory" => draft.lose(
                entry.line,
                format!(
                    "[supervisord] {} = {}: say it in each program, or start jikimi so",
                    entry.key, entry.value
                ),
            ),
            "minfds" | "minprocs" => draft.lose(
                entry.line,
                format!(
                    "[supervisord] {}: the limit is raised by itself; a program has `rlimits`",
                    entry.key
                ),
            ),
            key => draft.lose(
                entry.line,
                format!("[supervisord] {key}: jikimi keeps its own log and lock"),
            ),
        }
    }
    Ok(())
}

/// `[group:x]` becomes a tag.
fn group(draft: &mut Draft, section: &Section, name: &str) {
    for entry in &section.entries {
        if entry.key != "programs" {
            draft.lose(
                entry.line,
                format!(
                    "[{}] {}: nothing is started by number; use `depends_on`",
                    section.name, entry.key
                ),
            );
            continue;
        }
        for member in entry
            .value
            .split([',', '\n'])
            .map(str::trim)
            .filter(|m| !m.is_empty())
        {
            let ours = name_of(member);
            match draft.programs.iter_mut().find(|p| p.name == ours) {
                Some(program) => {
                    let mut tags = match program.get("tags") {
                        Some(toml::Value::Array(tags)) => tags.clone(),
                        _ => Vec::new(),
                    };
                    tags.push(toml::Value::from(name_of(name)));
                    program.set(entry.line, "tags", tags);
                }
                None => draft.lose(
                    entry.line,
                    format!("[{}]: there is no program {member}", section.name),
                ),
            }
        }
    }
}
