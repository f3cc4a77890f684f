//! Whether a crash looks like a port that is taken, which port that may be, and the words for who has it. Pure: lines
//! and arguments in, guesses out; a guess is only believed when somebody is found on that port.

use crate::limits;
use crate::model::name::InstanceName;
use crate::text;

/// How plainly the output speaks of a port that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Something about binding failed.
    Weak,
    /// It says that the address is in use.
    Strong,
}

/// What the system says when an address is in use, in the words of its libraries.
const IN_USE: [&str; 14] = [
    "address already in use",
    "address in use",
    "eaddrinuse",
    "os error 98",
    "errno 98",
    "error 98",
    "port is already allocated",
    "port already in use",
    "port is already in use",
    "only one usage of each socket address",
    "bindexception",
    "failed to bind to port",
    "is a server already running on that port",
    "another process is listening",
];

const FAILED: [&str; 8] = [
    "fail",
    "cannot",
    "can't",
    "could not",
    "couldn't",
    "unable",
    "error",
    "in use",
];

/// Binding fails for these reasons, too, and then no other process is to blame.
const OTHERWISE: [&str; 7] = [
    "permission denied",
    "eacces",
    "not permitted",
    "cannot assign",
    "can't assign",
    "eaddrnotavail",
    "no such file",
];

/// What `lines` say of a port that is taken; none when nothing does.
#[must_use]
pub fn sign(lines: &[String]) -> Option<Sign> {
    lines.iter().filter_map(|line| sign_of(line)).max()
}

fn sign_of(line: &str) -> Option<Sign> {
    let line = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    // A socket that is a file has no port.
    let is_file = line.contains("unix:") || line.contains(".sock");
    if is_file && ports_in(&line).is_empty() {
        return None;
    }
    let is_numbered = line.contains("port ") && line.contains("already in use");
    if has(&IN_USE) || is_numbered {
        return Some(Sign::Strong);
    }
    let is_bind = line.contains("bind") || line.contains("listen");
    (is_bind && has(&FAILED) && !has(&OTHERWISE)).then_some(Sign::Weak)
}

/// Ports that may be meant, the likeliest first: of the lines with a sign, of the other lines, of the program's
/// variables, of its command.
#[must_use]
pub fn candidates(lines: &[String], hints: &Hints) -> Vec<u16> {
    let (signed, others): (Vec<&String>, Vec<&String>) =
        lines.iter().partition(|line| sign_of(line).is_some());
    let said = signed
        .into_iter()
        .chain(others)
        .flat_map(|line| ports_in(line));
    let given = hints
        .command
        .iter()
        .flat_map(|word| ports_of_argument(word));
    let mut found = Vec::new();
    for port in said.chain(hints.variables.iter().copied()).chain(given) {
        if found.len() == limits::PORT_CANDIDATES {
            break;
        }
        if !found.contains(&port) {
            found.push(port);
        }
    }
    found
}

/// What a program was given that may name its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Its command.
    pub command: Vec<String>,
    /// Of its variables called `PORT` or `…_PORT`.
    pub variables: Vec<u16>,
}

/// The variable `name` with `value`, if it names a port.
#[must_use]
pub fn variable(name: &str, value: &str) -> Option<u16> {
    (name == "PORT" || name.ends_with("_PORT"))
        .then(|| number(value.trim()))
        .flatten()
}

fn number(digits: &str) -> Option<u16> {
    let is_plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

/// Arguments name a port more freely than output does: a number by itself may be one.
fn ports_of_argument(argument: &str) -> Vec<u16> {
    let mut found = ports_in(argument);
    let words = argument.split(|c: char| c.is_whitespace() || "\"'=,;".contains(c));
    found.extend(words.filter_map(number));
    found
}

/// Ports in a line: `port 8080`, `0.0.0.0:8080`, `[::]:8080`, `:::8080`, `host:8080`, `('127.0.0.1', 8080)`.
fn ports_in(line: &str) -> Vec<u16> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = bytes[at..]
            .iter()
            .position(|b| !b.is_ascii_digit())
            .map_or(bytes.len(), |n| at + n);
        if ends_there(&bytes[end..])
            && is_port_after(&line[..at])
            && let Some(port) = number(&line[at..end])
        {
            found.push(port);
        }
        at = end;
    }
    found
}

/// Nothing follows that would make the number another thing: a part of a word, an address or a time of day.
fn ends_there(rest: &[u8]) -> bool {
    match rest {
        [b':' | b'.', next, ..] => !next.is_ascii_digit(),
        [next, ..] => !(next.is_ascii_alphanumeric() || *next == b'_' || *next == b'-'),
        [] => true,
    }
}

/// Whether a number behind `before` is a port.
fn is_port_after(before: &str) -> bool {
    let lower = before.to_ascii_lowercase();
    let words = lower.trim_end_matches([' ', ':', '=', '"', '\'', '`', '#', '(', '[']);
    let has_gap = words.len() < lower.len();
    if has_gap && words.ends_with("port") {
        return true;
    }
    if let Some(host) = before.strip_suffix(':') {
        return is_host(host);
    }
    // Python's way: `('127.0.0.1', 8080)`.
    let tuple = lower.trim_end().strip_suffix(',').map(str::trim_end);
    tuple.is_some_and(|t| t.ends_with('\'') || t.ends_with('"'))
}

/// Whether the end of `text` is a host, and no time of day or place in a source file.
fn is_host(text: &str) -> bool {
    let is_break = |c: char| c.is_whitespace() || "\"'`(=,;/@<{".contains(c);
    let host = text.rsplit(is_break).next().unwrap_or(text);
    if host.is_empty() || host == "*" || host.ends_with(']') || host.contains("::") || host == ":" {
        return true;
    }
    let is_name = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    is_name && (host.contains('.') || host.bytes().any(|b| b.is_ascii_alphabetic()))
}

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Another program of ours, the process's name and its pid.
    Program(InstanceName, String, u32),
    /// What is left of an earlier run of the same instance.
    Itself(String, u32),
    /// Somebody else.
    Stranger(String, u32),
    /// Somebody who may not be looked into, by user.
    Hidden(u32),
    /// Nobody was found within the time there is.
    Unfound,
    /// Nobody; so many ended connections keep it for a while.
    Lingering(usize),
    /// Nobody any more.
    Free,
}

/// `port 8080 is held by nginx (pid 123)`.
#[must_use]
pub fn words(port: u16, who: &Who) -> String {
    let name = |name: &str| text::printable(name.as_bytes()).into_owned();
    match who {
        Who::Program(instance, process, pid) => format!(
            "port {port} is held by the program {instance} ({}, pid {pid})",
            name(process)
        ),
        Who::Itself(process, pid) => format!(
            "port {port} is held by what is left of an earlier run of it ({}, pid {pid})",
            name(process)
        ),
        Who::Stranger(process, pid) => {
            format!("port {port} is held by {} (pid {pid})", name(process))
        }
        Who::Hidden(uid) => {
            format!("port {port} is held by a process of user {uid}, which may not be looked into")
        }
        Who::Unfound => format!("port {port} is in use; by whom was not found in time"),
        Who::Lingering(1) => format!(
            "port {port} is held by nobody, but an ended connection keeps it for about a minute"
        ),
        Who::Lingering(count) => format!(
            "port {port} is held by nobody, but {count} ended connections keep it for about a minute"
        ),
        Who::Free => format!("port {port} was in use and is free again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    /// Lines, what they say, and the ports in them.
    const SAID: &[(&str, Option<Sign>, &[u16])] = &[
        (
            "OSError: [Errno 98] Address already in use",
            Some(Sign::Strong),
            &[],
        ),
        (
            "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use",
            Some(Sign::Strong),
            &[8080],
        ),
        (
            "Error: listen EADDRINUSE: address already in use :::3000",
            Some(Sign::Strong),
            &[3000],
        ),
        (
            "Error: listen EADDRINUSE: address already in use 0.0.0.0:3000",
            Some(Sign::Strong),
            &[3000],
        ),
        (
            "2026/11/24 10:22:05 listen tcp :8080: bind: address already in use",
            Some(Sign::Strong),
            &[8080],
        ),
        (
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            Some(Sign::Strong),
            &[80],
        ),
        (
            "nginx: [emerg] bind() to [::]:443 failed (98: Address already in use)",
            Some(Sign::Strong),
            &[443],
        ),
        (
            "docker: Bind for 0.0.0.0:8080 failed: port is already allocated.",
            Some(Sign::Strong),
            &[8080],
        ),
        (
            "Error: Address already in use (os error 98)",
            Some(Sign::Strong),
            &[],
        ),
        (
            "[12:22:05] [Server thread/WARN]: **** FAILED TO BIND TO PORT!",
            Some(Sign::Strong),
            &[],
        ),
        (
            "Port 5432 is already in use by another process",
            Some(Sign::Strong),
            &[5432],
        ),
        (
            "java.net.BindException: Address already in use",
            Some(Sign::Strong),
            &[],
        ),
        ("could not bind to port: 25565", Some(Sign::Weak), &[25565]),
        ("bind: permission denied", None, &[]),
        (
            "bind 10.0.0.9:80: cannot assign requested address",
            None,
            &[80],
        ),
        (
            "bind() to unix:/run/app.sock failed (98: Address already in use)",
            None,
            &[],
        ),
        ("at Server.listen (node:net:1318:16)", None, &[]),
        ("2026-11-24T10:22:05.123Z listening", None, &[]),
        ("File \"server.py\", line 22, in main", None, &[]),
        ("version 1.2.3:4", None, &[4]),
    ];

    #[test]
    fn what_servers_say_is_understood_with_its_port() {
        for (line, sign_wanted, ports) in SAID {
            assert_eq!(sign(&lines(&[line])), *sign_wanted, "{line}");
            assert_eq!(ports_in(line), *ports, "{line}");
        }
    }

    #[test]
    fn the_likeliest_port_comes_first_and_each_once() {
        let said = lines(&[
            "serving on port 9000",
            "listen tcp :8080: bind: address already in use",
        ]);
        let hints = Hints {
            command: lines(&["server", "--port=8080", "-b", "127.0.0.1:7000", "run 6000"]),
            variables: vec![5000],
        };
        assert_eq!(candidates(&said, &hints), [8080, 9000, 5000, 7000, 6000]);
        let many = Hints {
            command: (1..100).map(|n| n.to_string()).collect(),
            variables: vec![],
        };
        assert_eq!(candidates(&[], &many).len(), limits::PORT_CANDIDATES);
    }

    #[test]
    fn variables_name_ports_by_their_name() {
        assert_eq!(variable("PORT", " 8080 "), Some(8080));
        assert_eq!(variable("HTTP_PORT", "80"), Some(80));
        for (name, value) in [
            ("REPORT", "80"),
            ("PORT", "x"),
            ("PORT", "70000"),
            ("PORT", "0"),
            ("PORT", ""),
        ] {
            assert_eq!(variable(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn any_output_is_read_without_a_panic() {
        let mut rng = fastrand::Rng::with_seed(11);
        let parts = [
            ":", "8080", "port", " ", "::", "]", "é", "bind", "fail", "('", "',", "0", ".",
            "\u{0}", "98",
        ];
        for _ in 0..20_000 {
            let line: String = (0..rng.usize(0..9))
                .map(|_| parts[rng.usize(..parts.len())])
                .collect();
            let lines = vec![line];
            let _ = sign(&lines);
            assert!(
                candidates(&lines, &Hints::default())
                    .iter()
                    .all(|port| *port > 0)
            );
        }
    }

    #[test]
    fn who_has_it_is_said_plainly_and_harmlessly() {
        let web = InstanceName::single("web");
        let odd = "ng\x1b[2Jinx".to_owned();
        assert_eq!(
            words(80, &Who::Stranger(odd, 7)),
            "port 80 is held by ng\\x1b[2Jinx (pid 7)"
        );
        assert_eq!(
            words(80, &Who::Program(web, "python3".to_owned(), 7)),
            "port 80 is held by the program web (python3, pid 7)"
        );
        for who in [
            Who::Itself("sh".to_owned(), 7),
            Who::Hidden(33),
            Who::Unfound,
            Who::Lingering(1),
            Who::Lingering(4),
            Who::Free,
        ] {
            assert!(words(80, &who).starts_with("port 80 "), "{who:?}");
        }
    }
}
