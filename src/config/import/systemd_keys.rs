//! The keys of `[Service]`, and systemd's times.

use toml::Value;

use super::Faulty;
use super::draft::{Program, duration, literal, literals, signal, umask};
use super::ini::{Entry, Section, bad, switch};
use super::systemd::{environment, specifiers};

/// One key. Commands are not among them.
pub(super) fn service(program: &mut Program, entry: &Entry, all: &Section) -> Result<(), Faulty> {
    let (line, value) = (entry.line, entry.value.as_str());
    if value.is_empty() {
        return Ok(());
    }
    match entry.key.as_str() {
        "ExecStart" | "RestartSteps" => {}
        "Type" => kind(program, entry),
        "Restart" => restart(program, entry)?,
        "RestartSec" => pause(program, entry, all)?,
        "RestartMaxDelaySec" => program.set(line, "backoff.max", time_of(entry)?),
        "User" => program.set(line, "user", literal(value)),
        "Group" => program.set(line, "group", literal(value)),
        "SupplementaryGroups" => {
            program.set(
                line,
                "supplementary_groups",
                literals(value.split_whitespace()),
            );
        }
        "WorkingDirectory" => directory(program, entry),
        "Environment" => environment(program, entry)?,
        "EnvironmentFile" => env_file(program, entry),
        "UMask" => {
            let mask = umask(value).ok_or_else(|| bad(entry, "octal digits as 0022"))?;
            program.set(line, "umask", mask);
        }
        "Nice" => {
            let nice: Option<i64> = value.parse().ok().filter(|n| (-20..=19).contains(n));
            program.set(line, "nice", nice.ok_or_else(|| bad(entry, "-20 to 19"))?);
        }
        _ => ends(program, entry, all)?,
    }
    Ok(())
}

/// How it ends, and how often.
fn ends(program: &mut Program, entry: &Entry, all: &Section) -> Result<(), Faulty> {
    let (line, value) = (entry.line, entry.value.as_str());
    match entry.key.as_str() {
        "KillSignal" => {
            let name = signal(value).ok_or_else(|| bad(entry, "the name of a signal"))?;
            program.set(line, "stop_signal", name);
        }
        "TimeoutStopSec" => set_time(program, entry, "stop_timeout")?,
        "TimeoutStartSec" => start_timeout(program, entry, all)?,
        "TimeoutSec" => {
            set_time(program, entry, "stop_timeout")?;
            start_timeout(program, entry, all)?;
        }
        "RuntimeMaxSec" => set_time(program, entry, "max_runtime")?,
        "WatchdogSec" => watchdog(program, entry)?,
        "SuccessExitStatus" => statuses(program, entry, ["success_exit_codes", "success_signals"]),
        "RestartPreventExitStatus" => {
            statuses(
                program,
                entry,
                ["no_restart_exit_codes", "no_restart_signals"],
            );
        }
        "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" => {
            start_limit(program, entry)?;
        }
        "KillMode" if value == "control-group" => {}
        "KillMode" => program.lose(line, format!("KillMode={value}: the whole tree is ended")),
        "SendSIGKILL" if switch(entry)? => {}
        "MemoryMax" | "MemoryHigh" | "MemoryLimit" => memory(program, entry),
        "StandardOutput" | "StandardError" | "SyslogIdentifier" => {
            if !["journal", "inherit"].contains(&value) {
                let what = "output is in `logs/NAME` of the state directory";
                program.lose(line, format!("{}={value}: {what}", entry.key));
            }
        }
        "NotifyAccess" | "RemainAfterExit" if value == "no" || value == "main" => {}
        key => match key.strip_prefix("Limit") {
            Some(limit) => rlimit(program, entry, limit),
            None => program.lose(line, format!("{key}={value}: {}", advice(key))),
        },
    }
    Ok(())
}

fn advice(key: &str) -> &'static str {
    match key {
        "ExecStartPre" | "ExecStartPost" | "ExecStopPost" | "ExecCondition" => {
            "put it into the command: `shell = true` and `first && exec program`"
        }
        "ExecReload" => "`jikimi signal NAME HUP` does what most of these do",
        "ExecStop" => "a program is asked by `stop_signal` or `stop_stdin`",
        "PIDFile" | "GuessMainPID" | "BusName" => "programs run in the foreground",
        "RemainAfterExit" => "a program that has ended is `exited`",
        _ => "there is nothing like it",
    }
}

fn kind(program: &mut Program, entry: &Entry) {
    match entry.value.as_str() {
        "simple" | "exec" => {}
        "notify" | "notify-reload" => program.insert("readiness", "notify", true),
        "oneshot" => program.set(entry.line, "restart", "never"),
        "forking" => program.lose(
            entry.line,
            "Type=forking: let it run in the foreground; most daemons have an option for it",
        ),
        other => program.lose(
            entry.line,
            format!("Type={other}: it counts as started when it runs"),
        ),
    }
}

fn restart(program: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    let ours = match entry.value.as_str() {
        "no" => "never",
        "always" => "always",
        "on-failure" => "on-failure",
        "on-abnormal" | "on-abort" | "on-watchdog" => {
            program.lose(
                entry.line,
                format!("Restart={}: on-failure is nearest", entry.value),
            );
            "on-failure"
        }
        "on-success" => {
            program.lose(
                entry.line,
                "Restart=on-success: nothing is restarted only after it did well",
            );
            "never"
        }
        _ => {
            return Err(bad(
                entry,
                "no, always, on-failure or another of systemd's words",
            ));
        }
    };
    program.set(entry.line, "restart", ours);
    Ok(())
}

/// A pause that is always the same, unless it may grow.
fn pause(program: &mut Program, entry: &Entry, all: &Section) -> Result<(), Faulty> {
    let pause = time_of(entry)?;
    program.set(entry.line, "backoff.initial", pause.clone());
    if all.get("RestartMaxDelaySec").is_none() {
        program.set(entry.line, "backoff.max", pause);
        program.set(entry.line, "backoff.factor", 1.0);
    }
    Ok(())
}

fn directory(program: &mut Program, entry: &Entry) {
    let value = entry.value.trim_start_matches('-');
    if value == "~" {
        program.lose(entry.line, "WorkingDirectory=~: write the user's home");
        return;
    }
    let folder = specifiers(program, entry, value);
    program.set(entry.line, "directory", literal(&folder));
}

fn env_file(program: &mut Program, entry: &Entry) {
    let value = &entry.value;
    if program.get("env_file").is_some() {
        program.lose(
            entry.line,
            format!("EnvironmentFile={value}: there is one `env_file`"),
        );
    } else if let Some(path) = value.strip_prefix('-') {
        let why = "a file that may be missing; say `env_file` if it is there";
        program.lose(entry.line, format!("EnvironmentFile=-{path}: {why}"));
    } else {
        let path = specifiers(program, entry, value);
        program.set(entry.line, "env_file", literal(&path));
    }
}

/// Only what says that it is ready can be late.
fn start_timeout(program: &mut Program, entry: &Entry, all: &Section) -> Result<(), Faulty> {
    let says = all
        .get("Type")
        .is_some_and(|t| t.value.starts_with("notify"));
    if says {
        set_time(program, entry, "start_timeout")
    } else {
        time(entry).map(drop)
    }
}

fn watchdog(program: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    if let Some(ms) = time(entry)?.filter(|ms| *ms > 0) {
        program.insert("liveness", "notify", true);
        program.insert("liveness", "interval", duration(ms));
        program.insert("liveness", "failure_threshold", 1);
    }
    Ok(())
}

/// Codes and signals in one list.
fn statuses(program: &mut Program, entry: &Entry, [codes, signals]: [&'static str; 2]) {
    let mut numbers = if codes == "success_exit_codes" {
        vec![Value::Integer(0)]
    } else {
        vec![]
    };
    let mut names = Vec::new();
    for word in entry.value.split_whitespace() {
        match (word.parse::<u8>(), signal(word)) {
            (Ok(code), _) if !numbers.contains(&Value::from(i64::from(code))) => {
                numbers.push(Value::from(i64::from(code)));
            }
            (Ok(_), _) => {}
            (Err(_), Some(name)) => names.push(Value::from(name)),
            (Err(_), None) => {
                program.lose(
                    entry.line,
                    format!("{}={word}: write the code as a number", entry.key),
                );
            }
        }
    }
    if numbers.len() > usize::from(codes == "success_exit_codes") {
        program.set(entry.line, codes, numbers);
    }
    if !names.is_empty() {
        program.set(entry.line, signals, names);
    }
}

/// How many starts within which time; then it is given up.
pub(super) fn start_limit(program: &mut Program, entry: &Entry) -> Result<(), Faulty> {
    if entry.key == "StartLimitBurst" {
        let count: Option<i64> = entry
            .value
            .parse()
            .ok()
            .filter(|n| (0..=1_000_000).contains(n));
        let count = count.ok_or_else(|| bad(entry, "a whole number"))?;
        if count > 0 {
            program.set(entry.line, "restart_limit.count", count);
            program.set(entry.line, "restart_limit.then", "fatal");
        }
        return Ok(());
    }
    match time(entry)? {
        Some(0) | None => program.lose(
            entry.line,
            "no limit of restarts: there is always one; raise `restart_limit.count`",
        ),
        Some(ms) => program.set(entry.line, "restart_limit.within", duration(ms)),
    }
    Ok(())
}

fn memory(program: &mut Program, entry: &Entry) {
    let digits: String = entry
        .value
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let unit = match entry.value[digits.len()..].trim() {
        "" => "B",
        "K" => "KiB",
        "M" => "MiB",
        "G" => "GiB",
        "T" => "TiB",
        _ => "",
    };
    if digits.is_empty() || unit.is_empty() || entry.key == "MemoryHigh" {
        let what = "say `rule = [{ when = \"memory > …\", do = [\"restart\"] }]`";
        return program.lose(entry.line, format!("{}={}: {what}", entry.key, entry.value));
    }
    program.set(entry.line, "rule", memory_rule(&format!("{digits}{unit}")));
    program.lose(entry.line, format!("{}: memory is measured, and a program that uses more is restarted; nothing holds it back", entry.key));
}

/// Restarted when its tree uses more than `size`.
pub(super) fn memory_rule(size: &str) -> Value {
    let rule = [
        ("when".to_owned(), Value::String(format!("memory > {size}"))),
        ("do".to_owned(), Value::from(vec!["alert", "restart"])),
    ];
    Value::Array(vec![Value::Table(rule.into_iter().collect())])
}

/// `LimitNOFILE=1024:65536`.
fn rlimit(program: &mut Program, entry: &Entry, limit: &str) {
    const OURS: [&str; 13] = [
        "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc",
        "rss", "rtprio", "stack",
    ];
    let name = limit.to_lowercase();
    let plain = entry.value.replace("infinity", "unlimited");
    let is_plain = plain.split(':').all(|side| {
        side == "unlimited" || (!side.is_empty() && side.chars().all(|c| c.is_ascii_digit()))
    });
    let sides = plain.split(':').count();
    if !OURS.contains(&name.as_str())
        || !is_plain
        || sides > 2
        || (name == "cpu" && plain != "unlimited")
    {
        return program.lose(
            entry.line,
            format!("{}={}: say it in `rlimits`", entry.key, entry.value),
        );
    }
    let value = plain
        .parse::<i64>()
        .map_or(Value::String(plain), Value::Integer);
    program.insert("rlimits", &name, value);
}

fn set_time(program: &mut Program, entry: &Entry, key: &'static str) -> Result<(), Faulty> {
    match time(entry)? {
        Some(ms) if ms > 0 => program.set(entry.line, key, duration(ms)),
        Some(_) | None => program.lose(
            entry.line,
            format!("{}={}: every wait has an end here", entry.key, entry.value),
        ),
    }
    Ok(())
}

fn time_of(entry: &Entry) -> Result<Value, Faulty> {
    let ms = time(entry)?.ok_or_else(|| bad(entry, "a time that ends"))?;
    Ok(duration(ms))
}

/// `90`, `5min 20s`, `infinity` (none): milliseconds.
fn time(entry: &Entry) -> Result<Option<u64>, Faulty> {
    if entry.value == "infinity" {
        return Ok(None);
    }
    let wrong = || bad(entry, "a time as 90, 30s or 5min 20s");
    let mut total = 0_u64;
    let mut rest = entry.value.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = rest[digits..].trim_start();
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" | "msec" => 1,
            "" | "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return Err(wrong()),
        };
        let ms = number
            .checked_mul(unit)
            .and_then(|ms| total.checked_add(ms));
        total = ms.ok_or_else(wrong)?;
        rest = after[letters..].trim_start();
    }
    let most = u64::try_from(crate::limits::CONFIG_DURATION_MAX.as_millis()).unwrap_or(u64::MAX);
    if total > most {
        Err(wrong())
    } else {
        Ok(Some(total))
    }
}
