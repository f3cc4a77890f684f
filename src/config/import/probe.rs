//! The probes of process-compose, which are those of Kubernetes.

use toml::Value;

use super::Faulty;
use super::draft::{Program, duration, literals};
use super::tree::Node;

/// `readiness_probe` or `liveness_probe` as the table `ours`.
pub(super) fn probe(
    program: &mut Program,
    ours: &'static str,
    theirs: &str,
    node: &Node,
) -> Result<(), Faulty> {
    // What they assume where nothing is said.
    let mut times = [("interval", 10), ("timeout", 1)];
    for (key, value) in node.pairs(theirs)? {
        match key.as_str() {
            "exec" => exec(program, ours, value)?,
            "http_get" => http(program, ours, value)?,
            "period_seconds" => times[0].1 = value.count(key)?.max(1),
            "timeout_seconds" => times[1].1 = value.count(key)?.clamp(1, 60),
            "initial_delay_seconds" => {
                program.insert(ours, "initial_delay", seconds(value.count(key)?));
            }
            "success_threshold" => {
                program.insert(ours, "success_threshold", value.count(key)?.clamp(1, 1_000));
            }
            "failure_threshold" => {
                program.insert(ours, "failure_threshold", value.count(key)?.clamp(1, 1_000));
            }
            _ => program.lose(
                value.line,
                format!("{theirs}.{key}: there is nothing like it"),
            ),
        }
    }
    let checks = program.get(ours).and_then(Value::as_table);
    if !checks.is_some_and(|t| t.contains_key("exec") || t.contains_key("http")) {
        return Err(node.bad(theirs, "exec or http_get"));
    }
    for (key, count) in times {
        program.insert(ours, key, seconds(count));
    }
    Ok(())
}

fn seconds(count: i64) -> Value {
    duration(u64::try_from(count).unwrap_or(0).min(86_400 * 7) * 1_000)
}

fn exec(program: &mut Program, ours: &'static str, node: &Node) -> Result<(), Faulty> {
    for (key, value) in node.pairs("exec")? {
        match key.as_str() {
            "command" => {
                let script = value.word("exec.command")?;
                program.insert(ours, "exec", literals(["/bin/sh", "-c", &script]));
            }
            _ => program.lose(
                value.line,
                format!("exec.{key}: it runs in the program's `directory`"),
            ),
        }
    }
    Ok(())
}

fn http(program: &mut Program, ours: &'static str, node: &Node) -> Result<(), Faulty> {
    let word = |key: &str, usual: &str| match node.get(key) {
        Some(value) => value.word(key),
        None => Ok(usual.to_owned()),
    };
    let (scheme, host) = (
        word("scheme", "http")?.to_lowercase(),
        word("host", "127.0.0.1")?,
    );
    let path = word("path", "/")?;
    let port = match (node.get("num_port"), node.get("port")) {
        (Some(port), _) | (None, Some(port)) => format!(":{}", port.word("port")?),
        (None, None) => String::new(),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{host}{port}{slash}{path}");
    program.insert(ours, "http", super::draft::literal(&url));
    for (key, value) in node.pairs("http_get")? {
        match key.as_str() {
            "scheme" | "host" | "path" | "port" | "num_port" => {}
            "status_code" => program.lose(value.line, "http_get.status_code: 200 to 399 will do"),
            _ => program.lose(value.line, format!("http_get.{key}: a plain GET is sent")),
        }
    }
    Ok(())
}
