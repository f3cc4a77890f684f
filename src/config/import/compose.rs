//! `process-compose.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Value;

use super::Faulty;
use super::draft::{Draft, Program, duration, literal, literals, name_of, signal};
use super::probe::probe;
use super::tree::{Node, Tree, parse};

/// All processes of the file.
pub(super) fn read(text: &str, has_dotenv: bool) -> Result<Draft, Faulty> {
    let root = parse(text)?;
    let mut draft = Draft::default();
    let mut all = Vec::new();
    for (key, value) in root.pairs("the file")? {
        match key.as_str() {
            "processes" => {
                for (name, process) in value.pairs(key)? {
                    let mut program = draft.program(name, process.line);
                    if has_dotenv {
                        program.set(process.line, "env_file", ".env");
                    }
                    read_process(&mut program, process)?;
                    draft.programs.push(program);
                }
            }
            "environment" => all = variables(value)?,
            "name" => draft.supervisor.push(("name", literal(&value.word(key)?))),
            "version" | "ordered_shutdown" | "is_strict" | "is_tui_disabled" | "log_level"
            | "log_length" => {}
            key if key.starts_with("x-") => {}
            key => draft.lose(value.line, format!("{key}: there is nothing like it")),
        }
    }
    for program in &mut draft.programs {
        let own = program.get("environment").cloned();
        let own = own.as_ref().and_then(Value::as_table);
        for (name, value) in &all {
            if !own.is_some_and(|table| table.contains_key(name)) {
                program.insert("environment", name, value.clone());
            }
        }
    }
    only_known_dependencies(&mut draft);
    Ok(draft)
}

/// A dependency that is not in the file would be a fault.
fn only_known_dependencies(draft: &mut Draft) {
    let names: Vec<String> = draft.programs.iter().map(|p| p.name.clone()).collect();
    for program in &mut draft.programs {
        let Some(Value::Table(table)) = program.get("depends_on").cloned() else {
            continue;
        };
        let (known, unknown): (BTreeMap<_, _>, BTreeMap<_, _>) = table
            .into_iter()
            .partition(|(name, _)| names.contains(name));
        for name in unknown.keys() {
            program.lose(0, format!("depends_on {name}: it is not in this file"));
        }
        program.set(0, "depends_on", Value::Table(known.into_iter().collect()));
    }
}

fn read_process(program: &mut Program, process: &Node) -> Result<(), Faulty> {
    if process.get("command").is_none() && process.get("entrypoint").is_none() {
        return Err(process.bad(&program.name, "a command"));
    }
    // Theirs is "no" where nothing is said.
    program.set(process.line, "restart", "never");
    for (key, value) in process.pairs("a process")? {
        key_of(program, key, value)?;
    }
    Ok(())
}

fn key_of(program: &mut Program, key: &str, node: &Node) -> Result<(), Faulty> {
    let line = node.line;
    match key {
        "command" => {
            let script = node.word(key)?;
            if script.contains("{{") {
                program.lose(line, "command: fill in its {{ }} by hand");
            }
            program.set(line, "command", literal(&script.replace("$$", "$")));
            program.set(line, "shell", true);
        }
        "entrypoint" => program.set(line, "command", literals(node.words(key)?)),
        "description" => program.remark = Some(node.word(key)?),
        "disabled" | "is_disabled" => {
            if node.switch(key)? {
                program.set(line, "autostart", false);
            }
        }
        "namespace" => {
            let tags = node
                .words(key)?
                .iter()
                .map(|t| Value::from(name_of(t)))
                .collect::<Vec<_>>();
            program.set(line, "tags", tags);
        }
        "replicas" => program.set(line, "instances", node.count(key)?.clamp(1, 1_000)),
        "working_dir" => program.set(line, "directory", filled(&node.word(key)?)),
        "environment" => {
            for (name, value) in variables(node)? {
                program.insert("environment", &name, value);
            }
        }
        "env_file" => program.set(line, "env_file", filled(&node.word(key)?)),
        "availability" => availability(program, node)?,
        "success_exit_codes" => {
            let codes = node.words(key)?;
            let codes = super::draft::exit_codes(codes.iter().map(String::as_str));
            program.set(
                line,
                "success_exit_codes",
                codes.ok_or_else(|| node.bad(key, "codes from 0 to 255"))?,
            );
        }
        "depends_on" => depends(program, node)?,
        "readiness_probe" => probe(program, "readiness", key, node)?,
        "liveness_probe" => probe(program, "liveness", key, node)?,
        "ready_log_line" => {
            let text = regex_of(&node.word(key)?);
            program.insert("readiness", "log_line", text);
        }
        "shutdown" => shutdown(program, node)?,
        "is_tty" => {
            if node.switch(key)? {
                program.set(line, "terminal", true);
            }
        }
        "schedule" => schedule(program, node)?,
        key if key.starts_with("x-") => {}
        "is_dotenv_disabled" | "is_template_disabled" | "disable_ansi_colors" | "truncate_log" => {}
        key => program.lose(line, format!("{key}: {}", advice(key))),
    }
    Ok(())
}

fn advice(key: &str) -> &'static str {
    match key {
        "is_daemon" | "launch_timeout_seconds" => "let it run in the foreground",
        "is_foreground" | "is_interactive" => "`terminal = true`, and `jikimi attach NAME`",
        "is_elevated" => "start jikimi as root and give each program its `user`",
        "log_location" | "log_configuration" => "output is in `logs/NAME` of the state directory",
        "monitor_for" | "monitor_silence_threshold" => "`log_silence` tells of silence",
        "extends" => "import the other file too",
        _ => "there is nothing like it",
    }
}

/// A piece of text as a regular expression that means just that.
fn regex_of(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn availability(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    for (key, value) in node.pairs("availability")? {
        match key.as_str() {
            "restart" => {
                let ours = match value.word(key)?.as_str() {
                    // Plain YAML makes a switch of `no` for some, text for others.
                    "no" | "false" => "never",
                    "always" => "always",
                    "on_failure" => "on-failure",
                    "exit_on_failure" => {
                        let what = "restart: exit_on_failure: nothing ends when one program fails; `run --exit-when-done` ends with 1 when all are done";
                        program.lose(value.line, what);
                        "never"
                    }
                    _ => return Err(value.bad(key, "no, always, on_failure or exit_on_failure")),
                };
                program.set(value.line, "restart", ours);
            }
            "backoff_seconds" => {
                let pause = u64::try_from(value.count(key)?.clamp(1, 86_400)).unwrap_or(1);
                program.insert("backoff", "initial", duration(pause * 1_000));
                program.insert("backoff", "max", duration(pause * 1_000));
                program.insert("backoff", "factor", 1.0);
            }
            "max_restarts" => {
                let count = value.count(key)?.min(1_000_000);
                if count > 0 {
                    program.insert("restart_limit", "count", count);
                    program.insert("restart_limit", "then", "fatal");
                }
            }
            _ => program.lose(
                value.line,
                format!("availability.{key}: `run --exit-when-done` ends when all is done"),
            ),
        }
    }
    Ok(())
}

fn depends(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    for (name, how) in node.pairs("depends_on")? {
        let condition = match how.get("condition") {
            Some(condition) => condition.word("condition")?,
            None => "process_completed".to_owned(),
        };
        let ours = match condition.as_str() {
            "process_started" => "started",
            "process_healthy" | "process_log_ready" => "healthy",
            "process_completed_successfully" => "completed",
            "process_completed" => {
                program.lose(
                    how.line,
                    format!("depends_on {name}: process_completed: here it must have ended well"),
                );
                "completed"
            }
            _ => return Err(how.bad("condition", "a condition of process-compose")),
        };
        program.insert("depends_on", &name_of(name), ours);
    }
    Ok(())
}

fn shutdown(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    for (key, value) in node.pairs("shutdown")? {
        match key.as_str() {
            "signal" => {
                let name = signal(&value.word(key)?)
                    .ok_or_else(|| value.bad(key, "the number of a signal"))?;
                program.set(value.line, "stop_signal", name);
            }
            "timeout_seconds" => {
                let wait = u64::try_from(value.count(key)?.min(86_400)).unwrap_or(0);
                program.set(value.line, "stop_timeout", duration(wait * 1_000));
            }
            "parent_only" => {}
            "command" => program.lose(
                value.line,
                "shutdown.command: a program is asked by `stop_signal` or `stop_stdin`",
            ),
            _ => program.lose(
                value.line,
                format!("shutdown.{key}: `stop_stdin` types lines"),
            ),
        }
    }
    Ok(())
}

fn schedule(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    for (key, value) in node.pairs("schedule")? {
        match key.as_str() {
            "cron" => program.insert("schedule", "at", vec![value.word(key)?]),
            "timezone" if node.get("cron").is_some() => {
                program.insert("schedule", "zone", value.word(key)?);
            }
            _ => program.lose(
                value.line,
                format!("schedule.{key}: a `schedule` has times, and one run at a time"),
            ),
        }
    }
    Ok(())
}

/// `A=1` in a list, or a table.
fn variables(node: &Node) -> Result<Vec<(String, Value)>, Faulty> {
    let mut pairs: Vec<(String, String, &Node)> = Vec::new();
    if let Tree::List(list) = &node.value {
        for item in list {
            let word = item.word("environment")?;
            let pair = word.split_once('=');
            let (name, value) = pair.ok_or_else(|| item.bad("environment", "NAME=value"))?;
            pairs.push((name.to_owned(), value.to_owned(), item));
        }
    } else {
        for (name, value) in node.pairs("environment")? {
            pairs.push((name.clone(), value.text().unwrap_or_default(), value));
        }
    }
    pairs
        .into_iter()
        .map(|(name, value, node)| {
            if !crate::config::env::is_variable_name(&name) {
                return Err(node.bad("environment", "names of letters, digits and _"));
            }
            Ok((name, filled(&value)))
        })
        .collect()
}

/// `$X` and `${X}` of theirs, which may be unset, as ours.
fn filled(text: &str) -> Value {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let from = &rest[at + 1..];
        if let Some(after) = from.strip_prefix('$') {
            // A plain $, which begins nothing of ours unless a { follows.
            out.push_str(if after.starts_with('{') { "$$" } else { "$" });
            rest = after;
            continue;
        }
        let braced = from.strip_prefix('{').and_then(|f| f.split_once('}'));
        let (inside, after) = braced.unwrap_or_else(|| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            from.split_at(from.find(|c| !is_name(c)).unwrap_or(from.len()))
        });
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        if crate::config::env::is_variable_name(name) {
            let _ = write!(out, "${{{name}:-{default}}}");
            rest = after;
        } else {
            out.push_str(if from.starts_with('{') { "$$" } else { "$" });
            rest = from;
        }
    }
    out.push_str(rest);
    Value::String(out)
}
