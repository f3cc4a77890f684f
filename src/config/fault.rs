//! Faults: what a person got wrong, where, and what would be right. Never shows the value of a secret.

use std::fmt;

use crate::limits::CONFIG_FAULTS_MAX;
use crate::text;

/// One thing wrong in a file. Sorted by file, line and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The key, in full: `program.web.command`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: String,
}

/// `file:line:column: key: what is wrong: what would be right`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}: {}: {}",
            self.file, self.line, self.column, self.key, self.what, self.right
        )
    }
}

/// Everything wrong with a configuration, one fault a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    list: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Sorted, without repetitions, and cut at [`CONFIG_FAULTS_MAX`].
    #[must_use]
    pub(super) fn new(mut list: Vec<Fault>) -> Self {
        list.sort();
        list.dedup();
        let more = list.len().saturating_sub(CONFIG_FAULTS_MAX);
        list.truncate(CONFIG_FAULTS_MAX);
        Self { list, more }
    }

    /// The faults that are shown; never empty.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.list
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// The two halves of a fault's sentence, before it is known where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub(super) what: String,
    /// What would be right.
    pub(super) right: String,
}

/// A [`Wrong`] from its halves.
pub(super) fn wrong(what: impl Into<String>, right: impl Into<String>) -> Wrong {
    Wrong {
        what: what.into(),
        right: right.into(),
    }
}

/// `text` in quotes, fit for a terminal. What is long or looks like an address may be a secret that
/// landed under the wrong key, and is not repeated.
pub(super) fn shown(text: &str) -> String {
    if text.chars().count() > 48 || text.contains("://") {
        return "this text".to_owned();
    }
    format!("\"{}\"", text::printable(text.as_bytes()))
}

/// `; did you mean …` after a name that is not known, or nothing.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let nearest = text::nearest(name, known);
    let first = nearest.first()?;
    Some(format!("did you mean {}?", shown(first)))
}

/// An I/O failure without the jargon of the operating system.
pub(super) fn io_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "there is no such file".to_owned(),
        Kind::PermissionDenied => "it may not be read by this user".to_owned(),
        Kind::IsADirectory => "it is a folder".to_owned(),
        Kind::NotADirectory => "a part of its path is no folder".to_owned(),
        _ => {
            let words = error.to_string();
            let end = words.find(" (os error").unwrap_or(words.len());
            words[..end].to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize) -> Fault {
        Fault {
            file: "a.toml".to_owned(),
            line,
            column: 3,
            key: "program.web.restart".to_owned(),
            what: "it is wrong".to_owned(),
            right: "this is right".to_owned(),
        }
    }

    #[test]
    fn faults_are_one_line_each_in_the_order_of_the_file() {
        let faults = Faults::new(vec![fault(12), fault(2), fault(12)]);
        assert_eq!(
            faults.to_string(),
            "a.toml:2:3: program.web.restart: it is wrong: this is right\n\
             a.toml:12:3: program.web.restart: it is wrong: this is right"
        );
    }

    #[test]
    fn too_many_faults_are_counted() {
        let faults = Faults::new((0..CONFIG_FAULTS_MAX + 7).map(fault).collect());
        assert!(faults.to_string().ends_with("\nand 7 more"));
        assert_eq!(faults.list().len(), CONFIG_FAULTS_MAX);
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        assert_eq!(shown("tem"), "\"tem\"");
        assert_eq!(shown("https://hooks.example/abc"), "this text");
        assert_eq!(shown(&"x".repeat(49)), "this text");
        assert_eq!(shown("\x1b[2J"), "\"\\x1b[2J\"");
    }
}
