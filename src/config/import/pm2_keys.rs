//! The keys of an app of pm2.

use toml::Value;

use super::Faulty;
use super::draft::{Program, duration, exit_codes, literal};
use super::systemd_keys::memory_rule;
use super::tree::{Node, Tree};

/// One key. Those that make the command, and the name, are not among them.
pub(super) fn key(program: &mut Program, key: &str, node: &Node) -> Result<(), Faulty> {
    let line = node.line;
    if matches!(node.value, Tree::Null) {
        return Ok(());
    }
    match key {
        "script" | "exec" | "name" | "namespace" | "args" | "interpreter" | "exec_interpreter"
        | "interpreter_args" | "node_args" => {}
        "cwd" => program.set(line, "directory", literal(&node.word(key)?)),
        "instances" => instances(program, node)?,
        "exec_mode" => {
            if node.word(key)?.starts_with("cluster") {
                let what = "exec_mode: cluster: instances share no port; let each listen with SO_REUSEPORT, or on a port of its own";
                program.lose(line, what);
            }
        }
        "env" => {
            for (name, value) in node.pairs(key)? {
                variable(program, name, value)?;
            }
        }
        "port" => variable(program, "PORT", node)?,
        "autorestart" => program.set(
            line,
            "restart",
            if node.switch(key)? { "always" } else { "never" },
        ),
        "autostart" => program.set(line, "autostart", node.switch(key)?),
        "stop_exit_codes" => {
            let words = node.words(key)?;
            let codes = exit_codes(words.iter().map(String::as_str));
            program.set(
                line,
                "no_restart_exit_codes",
                codes.ok_or_else(|| node.bad(key, "codes from 0 to 255"))?,
            );
        }
        "uid" | "user" => program.set(line, "user", literal(&node.word(key)?)),
        "gid" => program.set(line, "group", literal(&node.word(key)?)),
        _ => times(program, key, node)?,
    }
    Ok(())
}

/// Pauses, limits and times.
fn times(program: &mut Program, key: &str, node: &Node) -> Result<(), Faulty> {
    let line = node.line;
    match key {
        "restart_delay" => {
            let ms = milliseconds(key, node)?;
            if ms > 0 {
                program.set(line, "backoff.initial", duration(ms));
                program.set(line, "backoff.max", duration(ms));
                program.set(line, "backoff.factor", 1.0);
            }
        }
        "exp_backoff_restart_delay" => {
            let ms = milliseconds(key, node)?;
            if ms > 0 {
                program.set(line, "backoff.initial", duration(ms));
                program.set(line, "backoff.max", duration(ms.max(15_000)));
                program.set(line, "backoff.factor", 1.5);
            }
        }
        "min_uptime" => program.set(line, "start_confirm", duration(milliseconds(key, node)?)),
        "max_restarts" => {
            program.set(
                line,
                "restart_limit.count",
                node.count(key)?.clamp(1, 1_000_000),
            );
            program.set(line, "restart_limit.then", "fatal");
        }
        "kill_timeout" => program.set(line, "stop_timeout", duration(milliseconds(key, node)?)),
        "cron_restart" | "cron" => cron(program, node)?,
        "max_memory_restart" => {
            let size = size(&node.word(key)?).ok_or_else(|| node.bad(key, "a size as 300M"))?;
            program.set(line, "rule", memory_rule(&size));
        }
        _ => other(program, key, node),
    }
    Ok(())
}

/// What has no place here. What only tells pm2's own service something is passed over.
fn other(program: &mut Program, key: &str, node: &Node) {
    const OWN: [&str; 14] = [
        "io",
        "pmx",
        "automation",
        "trace",
        "disable_trace",
        "v8",
        "event_loop_inspector",
        "deep_monitoring",
        "vizion",
        "source_map_support",
        "disable_source_map_support",
        "windowsHide",
        "treekill",
        "force",
    ];
    let why = match key {
        key if OWN.contains(&key) => return,
        "watch" | "ignore_watch" | "watch_delay" | "watch_options" => {
            if matches!(node.value, Tree::Switch(false)) {
                return;
            }
            "files are not watched in this version"
        }
        "out_file" | "out" | "output" | "out_log" | "error_file" | "error" | "err" | "err_file"
        | "err_log" | "log_file" | "log" | "log_type" | "log_date_format" | "time"
        | "merge_logs" | "combine_logs" | "disable_logs" => {
            "output is in `logs/NAME` of the state directory, with its times beside"
        }
        "wait_ready" | "listen_timeout" => {
            "say how it is ready in `readiness`: an address, a port, a line of its output"
        }
        "shutdown_with_message" => "a program is asked by `stop_signal` or `stop_stdin`",
        "increment_var" | "instance_var" => "a program finds its number in JIKIMI_INSTANCE",
        key if key.starts_with("env_") => {
            "`--env` is not there; `environment` is the variables of `env`"
        }
        _ => "there is nothing like it",
    };
    program.lose(node.line, format!("{key}: {why}"));
}

fn instances(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    let word = node.word("instances")?;
    match word.parse::<i64>() {
        Ok(count) if (1..=1_000).contains(&count) => {
            if count > 1 {
                program.set(node.line, "instances", count);
                program.lose(
                    node.line,
                    "instances find their number in JIKIMI_INSTANCE, not in NODE_APP_INSTANCE",
                );
            }
        }
        Ok(0 | -1) => program.lose(
            node.line,
            format!("instances: {word}: write how many; one is written"),
        ),
        Err(_) if word == "max" => {
            program.lose(node.line, "instances: max: write how many; one is written");
        }
        Ok(_) | Err(_) => return Err(node.bad("instances", "1 to 1000, or max")),
    }
    Ok(())
}

fn variable(program: &mut Program, name: &str, node: &Node) -> Result<(), Faulty> {
    if !crate::config::env::is_variable_name(name) {
        return Err(node.bad("env", "names of letters, digits and _"));
    }
    match node.text() {
        Some(text) => program.insert("environment", name, literal(&text)),
        None if matches!(node.value, Tree::Null) => {}
        None => return Err(node.bad(name, "one text")),
    }
    Ok(())
}

fn milliseconds(key: &str, node: &Node) -> Result<u64, Faulty> {
    let text = node.word(key)?;
    // pm2 takes "10s" in some places.
    let span = match text.parse::<u64>() {
        Ok(ms) => Some(std::time::Duration::from_millis(ms)),
        Err(_) => crate::text::parse_duration(&text),
    };
    let span = span.filter(|s| *s <= crate::limits::CONFIG_DURATION_MAX);
    let ms = span.and_then(|s| u64::try_from(s.as_millis()).ok());
    ms.ok_or_else(|| node.bad(key, "milliseconds"))
}

fn cron(program: &mut Program, node: &Node) -> Result<(), Faulty> {
    let line = node.word("cron_restart")?;
    match line.split_whitespace().count() {
        5 => program.set(node.line, "restart_at", Value::String(line)),
        1 if line == "0" || line == "false" => {}
        _ => program.lose(
            node.line,
            format!("cron_restart: {line}: `restart_at` takes five fields, from minutes on"),
        ),
    }
    Ok(())
}

/// `300M`; a plain number is bytes.
fn size(text: &str) -> Option<String> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let unit = match text[digits..].trim().to_uppercase().as_str() {
        "" => "B",
        "K" | "KB" => "KiB",
        "M" | "MB" => "MiB",
        "G" | "GB" => "GiB",
        _ => return None,
    };
    (digits > 0).then(|| format!("{}{unit}", &text[..digits]))
}
