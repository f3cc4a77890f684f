//! `[program:x]` of supervisord: each key, and `%(…)s` in values.

use std::path::Path;

use toml::Value;

use super::Faulty;
use super::draft::{Draft, Program, duration, exit_codes, literal, seconds, signal, umask};
use super::ini::{Entry, Section, bad, switch};

/// What `%(…)s` stands for.
pub(super) struct Fill<'a> {
    here: &'a Path,
    program: &'a str,
    /// The number of the first instance.
    first: i64,
    count: i64,
}

impl<'a> Fill<'a> {
    /// Outside of a program.
    pub(super) fn plain(here: &'a Path) -> Self {
        Self {
            here,
            program: "",
            first: 0,
            count: 1,
        }
    }
}

/// A piece of a value.
enum Piece {
    Text(String),
    /// `%(ENV_X)s`.
    Variable(String),
    /// `%(process_num)02d`: with so many digits.
    Number(usize),
}

/// One program.
pub(super) fn program(
    draft: &mut Draft,
    section: &Section,
    name: &str,
    here: &Path,
) -> Result<Program, Faulty> {
    let mut made = draft.program(name, section.line);
    let whole = |key: &str, default: i64| match section.get(key) {
        Some(entry) => integer(entry),
        None => Ok(default),
    };
    let fill = Fill {
        here,
        program: name,
        first: whole("numprocs_start", 0)?,
        count: whole("numprocs", 1)?,
    };
    let Some(command) = section.get("command") else {
        return Err((section.line, format!("[program:{name}] has no command")));
    };
    set_command(&mut made, command, &fill)?;
    for entry in &section.entries {
        key(&mut made, entry, &fill)?;
    }
    Ok(made)
}

fn key(made: &mut Program, entry: &Entry, fill: &Fill<'_>) -> Result<(), Faulty> {
    let (line, value) = (entry.line, entry.value.as_str());
    match entry.key.as_str() {
        "command" | "numprocs_start" => {}
        "numprocs" if fill.count == 1 => {}
        "numprocs" => made.set(line, "instances", fill.count),
        "autostart" => made.set(line, "autostart", switch(entry)?),
        "autorestart" => made.set(line, "restart", restart(entry)?),
        "startsecs" => made.set(line, "start_confirm", time(entry)?),
        "startretries" => {
            made.set(line, "restart_limit.count", integer(entry)?.max(1));
            made.set(line, "restart_limit.then", "fatal");
        }
        "exitcodes" => {
            let codes =
                exit_codes(value.split(',')).ok_or_else(|| bad(entry, "codes from 0 to 255"))?;
            made.set(line, "success_exit_codes", codes);
        }
        "stopsignal" => {
            let name = signal(value).ok_or_else(|| bad(entry, "the name of a signal"))?;
            made.set(line, "stop_signal", name);
        }
        "stopwaitsecs" => made.set(line, "stop_timeout", time(entry)?),
        "user" => made.set(line, "user", literal(value)),
        "directory" => {
            let folder = in_config(value, fill, entry)?;
            made.set(line, "directory", folder);
        }
        "umask" => {
            let mask = umask(value).ok_or_else(|| bad(entry, "octal digits as 022"))?;
            made.set(line, "umask", mask);
        }
        "environment" => environment(made, entry, fill)?,
        _ => output(made, entry)?,
    }
    Ok(())
}

/// Keys about output, and those that have no place here.
fn output(made: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    let (line, value) = (entry.line, entry.value.as_str());
    let lost = |why: &str| format!("{} = {value}: {why}", entry.key);
    match entry.key.as_str() {
        "redirect_stderr" => {
            if switch(entry)? {
                made.set(line, "logs.merge", true);
            }
        }
        "stdout_logfile_maxbytes" => {
            let bytes = size(entry)?;
            made.set(line, "logs.max_size", bytes);
        }
        "stdout_logfile_backups" => made.set(line, "logs.keep", integer(entry)?),
        "stdout_logfile" | "stderr_logfile" => {
            if !["auto", "none"].contains(&value.to_lowercase().as_str()) {
                made.lose(
                    line,
                    lost("output is in `logs/NAME` of the state directory"),
                );
            }
        }
        "stderr_logfile_maxbytes" | "stderr_logfile_backups" => {
            made.lose(line, lost("both outputs are rotated alike"));
        }
        "killasgroup" => {}
        "stopasgroup" => {
            if switch(entry)? {
                let why = "the stop signal goes to the main process, KILL to its whole tree";
                made.lose(line, lost(why));
            }
        }
        "process_name" => {
            if !value.starts_with("%(program_name)s") {
                made.lose(line, lost("instances are called NAME:0, NAME:1, ..."));
            }
        }
        "priority" => made.lose(line, lost("nothing is started by number; use `depends_on`")),
        "serverurl" => made.lose(line, lost("there is no such server")),
        "stdout_capture_maxbytes"
        | "stderr_capture_maxbytes"
        | "stdout_events_enabled"
        | "stderr_events_enabled"
        | "stdout_syslog"
        | "stderr_syslog" => {
            if !["0", "false", "no", "off"].contains(&value.to_lowercase().as_str()) {
                made.lose(
                    line,
                    lost("output is not taken apart, and goes to no other log"),
                );
            }
        }
        _ => made.lose(line, lost("no key of supervisord's")),
    }
    Ok(())
}

fn restart(entry: &Entry) -> Result<&'static str, Faulty> {
    match entry.value.to_lowercase().as_str() {
        "unexpected" => Ok("on-failure"),
        _ => match switch(entry) {
            Ok(true) => Ok("always"),
            Ok(false) => Ok("never"),
            Err(_) => Err(bad(entry, "true, false or unexpected")),
        },
    }
}

fn integer(entry: &Entry) -> Result<i64, Faulty> {
    let number = entry.value.parse().ok();
    let known = number.filter(|n| (0..=1_000_000).contains(n));
    known.ok_or_else(|| bad(entry, "a whole number"))
}

fn time(entry: &Entry) -> Result<Value, Faulty> {
    let ms = seconds(&entry.value).ok_or_else(|| bad(entry, "seconds"))?;
    Ok(duration(ms))
}

/// `50MB`: supervisord's MB are ours of 1024.
fn size(entry: &Entry) -> Result<String, Faulty> {
    let upper = entry.value.to_uppercase();
    let unit = upper.trim_start_matches(|c: char| c.is_ascii_digit());
    let unit = match unit.trim() {
        "" => "",
        "KB" => "KiB",
        "MB" => "MiB",
        "GB" => "GiB",
        _ => return Err(bad(entry, "a size as 50MB")),
    };
    let digits: String = upper.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err(bad(entry, "a size as 50MB"));
    }
    Ok(format!("{digits}{unit}"))
}

/// `A="1",B="2"`.
pub(super) fn environment(
    made: &mut Program,
    entry: &Entry,
    fill: &Fill<'_>,
) -> Result<(), Faulty> {
    let pairs = pairs(&entry.value).ok_or_else(|| bad(entry, "NAME=\"value\",OTHER=\"value\""))?;
    for (name, value) in pairs {
        if pieces(&value, fill, entry)?
            .iter()
            .any(|p| matches!(p, Piece::Number(_)))
        {
            let why = "it differs between instances; a program finds its number in JIKIMI_INSTANCE";
            made.lose(entry.line, format!("environment {name}: {why}"));
            continue;
        }
        let value = in_config(&value, fill, entry)?;
        made.insert("environment", &name, value);
    }
    Ok(())
}

/// Values may be in quotes, and then have commas in them.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        if !crate::config::env::is_variable_name(name) {
            return None;
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| ['"', '\''].contains(c));
        let (value, more) = if let Some(quote) = quote {
            let (value, more) = after[1..].split_once(quote)?;
            (value, more.trim_start())
        } else {
            let end = after.find([',', '\n']).unwrap_or(after.len());
            (after[..end].trim(), &after[end..])
        };
        pairs.push((name.to_owned(), value.to_owned()));
        rest = more.trim_start_matches([',', '\n', ' ', '\t']);
    }
    Some(pairs)
}

/// A value in which variables are filled in by us, as supervisord does with its own.
fn in_config(value: &str, fill: &Fill<'_>, entry: &Entry) -> Result<Value, Faulty> {
    let mut text = String::new();
    for piece in pieces(value, fill, entry)? {
        match piece {
            Piece::Text(plain) => text.push_str(&plain.replace("${", "$${")),
            Piece::Variable(name) => text.extend(["${", &name, "}"]),
            Piece::Number(_) => return Err(bad(entry, "no %(process_num)d here")),
        }
    }
    Ok(Value::String(text))
}

/// As a list of words; with the number of an instance in it, as a line for the shell.
fn set_command(made: &mut Program, entry: &Entry, fill: &Fill<'_>) -> Result<(), Faulty> {
    let line = entry.value.replace('\n', " ");
    let words = shlex::split(&line).filter(|w| !w.is_empty());
    let words = words.ok_or_else(|| bad(entry, "a command whose quotes are closed"))?;
    let numbered = words.iter().any(|w| w.contains("%(process_num)"));
    if !numbered {
        let words: Result<Vec<Value>, Faulty> =
            words.iter().map(|w| in_config(w, fill, entry)).collect();
        made.set(entry.line, "command", words?);
        return Ok(());
    }
    let mut script = "exec".to_owned();
    for word in &words {
        script.push(' ');
        for piece in pieces(word, fill, entry)? {
            let word = match piece {
                Piece::Text(text) => quoted(&text, entry)?,
                Piece::Variable(name) => format!("\"$${{{name}}}\""),
                Piece::Number(digits) => {
                    let number = match fill.first {
                        0 => "$JIKIMI_INSTANCE".to_owned(),
                        first => format!("$((JIKIMI_INSTANCE + {first}))"),
                    };
                    match digits {
                        0 => format!("\"{number}\""),
                        _ => format!("\"$(printf %0{digits}d \"{number}\")\""),
                    }
                }
            };
            script.push_str(&word);
        }
    }
    made.set(entry.line, "shell", true);
    made.set(entry.line, "command", script);
    Ok(())
}

fn quoted(text: &str, entry: &Entry) -> Result<String, Faulty> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let quoted = shlex::try_quote(text).map_err(|_| bad(entry, "a command without NUL"))?;
    Ok(quoted.replace("${", "$${"))
}

/// What `%(…)s` in a value stands for.
fn pieces(value: &str, fill: &Fill<'_>, entry: &Entry) -> Result<Vec<Piece>, Faulty> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let from = &rest[at + 1..];
        if let Some(after) = from.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let inside = from.strip_prefix('(').and_then(|f| f.split_once(')'));
        let (name, after) = inside.ok_or_else(|| bad(entry, "%(name)s, or %% for a plain %"))?;
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        let width = after[..digits].parse().unwrap_or(0);
        if !after[digits..].starts_with(['s', 'd']) || width > 20 {
            return Err(bad(entry, "%(name)s or %(name)d"));
        }
        rest = &after[digits + 1..];
        match name {
            "here" => text.push_str(&fill.here.display().to_string()),
            "program_name" | "group_name" => text.push_str(fill.program),
            "numprocs" => text.push_str(&fill.count.to_string()),
            "process_num" => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Number(width));
            }
            "host_node_name" => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Variable("HOSTNAME".to_owned()));
            }
            _ => {
                let variable = name
                    .strip_prefix("ENV_")
                    .filter(|n| crate::config::env::is_variable_name(n));
                let variable =
                    variable.ok_or_else(|| bad(entry, "a name that supervisord fills in"))?;
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Variable(variable.to_owned()));
            }
        }
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}
