//! A configuration in the making: programs with their keys, and what was lost, to TOML with remarks.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use toml::{Table, Value};

use super::{Imported, Lost};
use crate::config::keys::{self, Availability, Found};
use crate::text;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Keys of `[supervisor]`.
    pub(super) supervisor: Vec<(&'static str, Value)>,
    pub(super) programs: Vec<Program>,
    lost: Vec<Lost>,
}

/// One program.
#[derive(Debug)]
pub(super) struct Program {
    /// As we call it.
    pub(super) name: String,
    /// A sentence above it.
    pub(super) remark: Option<String>,
    keys: Vec<(&'static str, Value)>,
    lost: Vec<Lost>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Something about no one program.
    pub(super) fn lose(&mut self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.lost.push(Lost {
            line,
            program: None,
            what,
        });
    }

    /// A program called `theirs`, or as near as our rules for names let it, each name once.
    pub(super) fn program(&mut self, theirs: &str, line: usize) -> Program {
        let taken: BTreeSet<&str> = self.programs.iter().map(|p| p.name.as_str()).collect();
        let plain = name_of(theirs);
        let mut name = plain.clone();
        for n in 2.. {
            if !taken.contains(name.as_str()) {
                break;
            }
            let end = format!("-{n}");
            name = format!("{}{end}", &plain[..plain.len().min(64 - end.len())]);
        }
        let mut program = Program {
            name,
            remark: None,
            keys: Vec::new(),
            lost: Vec::new(),
        };
        if program.name != theirs {
            let what = format!("it was called {theirs:?}, and is {:?} here", program.name);
            program.lose(line, what);
        }
        program
    }

    /// The text, with a remark for each thing that was lost.
    pub(super) fn finish(self, format: &str, file: &str) -> Imported {
        let mut toml = format!(
            "# From {} by `jikimi import {format}`. Save it beside that file: relative paths are relative to it.\n",
            text::printable(file.as_bytes())
        );
        for lost in &self.lost {
            remark(&mut toml, lost);
        }
        if !self.supervisor.is_empty() {
            toml.push_str("\n[supervisor]\n");
            for (key, value) in &self.supervisor {
                let _ = writeln!(toml, "{key} = {value}");
            }
        }
        let programs = self.programs.len();
        let mut lost = self.lost;
        for program in self.programs {
            program.write(&mut toml);
            lost.extend(program.lost);
        }
        lost.sort();
        Imported {
            toml,
            lost,
            programs,
        }
    }
}

impl Program {
    /// Something that has no place here.
    pub(super) fn lose(&mut self, line: usize, what: impl Into<String>) {
        self.lost.push(Lost {
            line,
            program: Some(self.name.clone()),
            what: what.into(),
        });
    }

    /// Sets a key; the last one counts. One that this version does not take is lost.
    pub(super) fn set(&mut self, line: usize, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if !is_known(key) {
            return self.lose(
                line,
                format!("`{key} = {value}` is not available in this version"),
            );
        }
        self.keys.retain(|(k, _)| *k != key);
        self.keys.push((key, value));
    }

    /// Adds a pair to a key that is a table.
    pub(super) fn insert(&mut self, key: &'static str, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if let Some((_, Value::Table(table))) = self.keys.iter_mut().find(|(k, _)| *k == key) {
            table.insert(name.to_owned(), value);
        } else {
            let table = Table::from_iter([(name.to_owned(), value)]);
            self.keys.push((key, Value::Table(table)));
        }
    }

    /// What a key was set to.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.keys.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    fn write(&self, toml: &mut String) {
        toml.push('\n');
        if let Some(text) = &self.remark {
            let _ = writeln!(toml, "# {}", text::printable(text.as_bytes()));
        }
        let name = if self.name.contains('.') {
            Value::from(self.name.as_str()).to_string()
        } else {
            self.name.clone()
        };
        let _ = writeln!(toml, "[program.{name}]");
        for (key, value) in &self.keys {
            let _ = writeln!(toml, "{key} = {value}");
        }
        for lost in &self.lost {
            remark(toml, lost);
        }
    }
}

fn remark(toml: &mut String, lost: &Lost) {
    let what = text::printable(lost.what.as_bytes());
    let _ = match lost.line {
        0 => writeln!(toml, "# Not carried over: {what}"),
        line => writeln!(toml, "# Not carried over: line {line}: {what}"),
    };
}

fn is_known(key: &str) -> bool {
    let found = keys::find(&format!("program.*.{key}"), None);
    matches!(found, Found::Key(row) if row.availability == Availability::Now)
}

/// A name by our rules (`[A-Za-z0-9][A-Za-z0-9_.-]{0,63}`, not `all`) that looks like `theirs`.
pub(super) fn name_of(theirs: &str) -> String {
    let plain: String = theirs
        .chars()
        .map(|c| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '-' => c,
            _ => '-',
        })
        .take(64)
        .collect();
    let plain = plain.trim_start_matches(['-', '_', '.']);
    match plain {
        "" => "program".to_owned(),
        "all" => "all-1".to_owned(),
        _ => plain.to_owned(),
    }
}

/// Text that means itself: no variable of ours is in it.
pub(super) fn literal(text: &str) -> Value {
    Value::String(text.replace("${", "$${"))
}

/// The same for a list.
pub(super) fn literals<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Value {
    Value::Array(words.into_iter().map(|w| literal(w.as_ref())).collect())
}

/// Milliseconds as a duration in the largest unit that says it in whole numbers.
pub(super) fn duration(ms: u64) -> Value {
    let text = match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    };
    Value::String(text)
}

/// Seconds with a fraction as milliseconds; none when they are no time, or longer than a configuration may say.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().parse().ok()?;
    let span = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    let span = (span <= crate::limits::CONFIG_DURATION_MAX).then_some(span)?;
    u64::try_from(span.as_millis()).ok()
}

/// A signal by its name or number, without `SIG`; none when there is no such signal.
pub(super) fn signal(word: &str) -> Option<String> {
    let word = word.trim();
    let known = if let Ok(number) = word.parse::<i32>() {
        nix::sys::signal::Signal::try_from(number).ok()?
    } else {
        let upper = word.to_ascii_uppercase();
        let full = format!("SIG{}", upper.strip_prefix("SIG").unwrap_or(&upper));
        full.parse().ok()?
    };
    Some(known.as_str().trim_start_matches("SIG").to_owned())
}

/// Octal digits as `umask` takes them.
pub(super) fn umask(word: &str) -> Option<Value> {
    let digits = word.trim().trim_start_matches("0o");
    let mask = u32::from_str_radix(digits, 8).ok()?;
    (mask <= 0o777).then(|| Value::String(format!("{mask:03o}")))
}

/// Whole codes from 0 to 255.
pub(super) fn exit_codes<'a>(words: impl Iterator<Item = &'a str>) -> Option<Value> {
    let codes: Option<Vec<Value>> = words
        .map(|w| Some(Value::Integer(i64::from(w.trim().parse::<u8>().ok()?))))
        .collect();
    Some(Value::Array(codes?))
}
