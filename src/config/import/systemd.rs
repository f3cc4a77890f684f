//! A systemd unit of a service: its sections, commands and variables. What the other keys mean is in
//! [`super::systemd_keys`].

use std::path::Path;

use toml::Value;

use super::Faulty;
use super::draft::{Draft, Program, literal, literals};
use super::ini::{Dialect, Entry, Section, bad, read as lines};
use super::systemd_keys as keys;

/// The program of the unit in `file`.
pub(super) fn read(text: &str, file: &str) -> Result<Draft, Faulty> {
    let sections = lines(text, Dialect::Systemd)?;
    let mut draft = Draft::default();
    let Some(service) = sections.iter().find(|s| s.name == "Service") else {
        return Err((1, "there is no [Service] in it".to_owned()));
    };
    let stem = Path::new(file).file_stem().and_then(|s| s.to_str());
    // A template is called `name@.service`.
    let name = stem.unwrap_or("program").trim_end_matches('@');
    let mut program = draft.program(name, 0);
    for section in &sections {
        for entry in &section.entries {
            match section.name.as_str() {
                "Unit" => unit(&mut program, entry)?,
                "Service" => keys::service(&mut program, entry, service)?,
                "Install" => {}
                name => program.lose(
                    entry.line,
                    format!("[{name}] {}: no section of a service", entry.key),
                ),
            }
        }
    }
    commands(&mut program, service)?;
    draft.programs.push(program);
    Ok(draft)
}

fn unit(program: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    let (line, value) = (entry.line, &entry.value);
    match entry.key.as_str() {
        "Description" => program.remark = Some(value.clone()),
        "Documentation" => {}
        "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" => {
            keys::start_limit(program, entry)?;
        }
        "After" | "Requires" | "Wants" | "BindsTo" | "Requisite" | "PartOf" | "Before" => {
            let units: Vec<&str> = value
                .split_whitespace()
                .filter(|unit| !unit.ends_with(".target"))
                .collect();
            if !units.is_empty() {
                let what = format!(
                    "{}={}: import them too and name them in `depends_on`",
                    entry.key,
                    units.join(" ")
                );
                program.lose(line, what);
            }
        }
        key => program.lose(line, format!("{key}={value}: there is nothing like it")),
    }
    Ok(())
}

/// `ExecStart`: the last list of them; an empty one clears it.
fn commands(program: &mut Program, service: &Section) -> Result<(), Faulty> {
    let all: Vec<&Entry> = service
        .entries
        .iter()
        .filter(|e| e.key == "ExecStart")
        .collect();
    let begin = all
        .iter()
        .rposition(|e| e.value.is_empty())
        .map_or(0, |at| at + 1);
    let all = &all[begin..];
    let Some(first) = all.first() else {
        return Err((service.line, "[Service] has no ExecStart".to_owned()));
    };
    for more in &all[1..] {
        program.lose(
            more.line,
            format!("ExecStart={}: a program is one command", more.value),
        );
    }
    let (marks, line) = first
        .value
        .split_at(first.value.find(|c| !"@-:+!|".contains(c)).unwrap_or(0));
    if marks.contains('@') {
        program.lose(
            first.line,
            "the @ of ExecStart: a program is called what its file is",
        );
    }
    if marks.contains('-') {
        program.lose(
            first.line,
            "the - of ExecStart: name the codes in `success_exit_codes`",
        );
    }
    let words = split(line).filter(|w| !w.is_empty());
    let words = words.ok_or_else(|| bad(first, "a command whose quotes are closed"))?;
    let mut words: Vec<String> = words
        .iter()
        .map(|w| specifiers(program, first, w))
        .collect();
    if marks.contains('@') && words.len() > 1 {
        words.remove(1);
    }
    if marks.contains(':') || !words.iter().any(|w| w.contains('$')) {
        program.set(first.line, "command", literals(&words));
        return Ok(());
    }
    let script: Option<Vec<String>> = words.iter().map(|w| for_shell(w)).collect();
    let script = script.ok_or_else(|| bad(first, "a command without NUL"))?;
    program.set(first.line, "shell", true);
    program.set(
        first.line,
        "command",
        literal(&format!("exec {}", script.join(" "))),
    );
    Ok(())
}

/// A word for the shell: `$NAME` alone is split there, `${NAME}` is not, `$$` is a plain `$`.
fn for_shell(word: &str) -> Option<String> {
    let name = word.strip_prefix('$');
    if let Some(name) = name.filter(|n| crate::config::env::is_variable_name(n)) {
        return Some(format!("${name}"));
    }
    let mut out = String::new();
    let mut plain = String::new();
    let mut rest = word;
    let put = |plain: &mut String, out: &mut String| -> Option<()> {
        if !plain.is_empty() {
            out.push_str(&shlex::try_quote(plain).ok()?);
            plain.clear();
        }
        Some(())
    };
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        let from = &rest[at + 1..];
        let braced = from.strip_prefix('{').and_then(|f| f.split_once('}'));
        let braced = braced.filter(|(name, _)| crate::config::env::is_variable_name(name));
        if let Some((name, after)) = braced {
            put(&mut plain, &mut out)?;
            out.extend(["\"${", name, "}\""]);
            rest = after;
        } else {
            plain.push('$');
            rest = from.strip_prefix('$').unwrap_or(from);
        }
    }
    plain.push_str(rest);
    put(&mut plain, &mut out)?;
    Some(if out.is_empty() { "''".to_owned() } else { out })
}

/// Words of a line, which may be quoted; a `\` in front of a letter means what it does in C.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    shlex::split(line)
}

/// `%%` is a plain `%`; of the others only what does not change is known.
pub(super) fn specifiers(program: &mut Program, entry: &Entry, word: &str) -> String {
    let mut out = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('%')) => out.push('%'),
            ('%', Some('n')) => out.extend([program.name.as_str(), ".service"]),
            ('%', Some('N' | 'p')) => out.push_str(&program.name.clone()),
            ('%', Some(letter)) => {
                program.lose(
                    entry.line,
                    format!(
                        "{}: write in place of %{letter} what it stands for",
                        entry.key
                    ),
                );
                out.push('%');
                out.push(letter);
            }
            (c, _) => out.push(c),
        }
    }
    out
}

/// `A=1 "B=two words"`.
pub(super) fn environment(program: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    let words = split(&entry.value).ok_or_else(|| bad(entry, "quotes that are closed"))?;
    for word in words {
        let pair = word.split_once('=');
        let (name, value) = pair
            .filter(|(name, _)| crate::config::env::is_variable_name(name))
            .ok_or_else(|| bad(entry, "NAME=value"))?;
        let value = specifiers(program, entry, value);
        let value: Value = literal(&value);
        program.insert("environment", name, value);
    }
    Ok(())
}
