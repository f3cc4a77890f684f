//! Single definitions of programs: where one stands, what it would look like, and whether all would be right with it.
//! Reads like a load does; writes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::syntax::{self, Value};
use super::{Definitions, Env, Faults, Loaded, load};

/// The folder beside the main file where each program has a file of its own.
pub const FOLDER: &str = "programs.d";

/// Where a program is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    /// The file, absolute.
    pub file: PathBuf,
    /// `file:line`.
    pub place: String,
    /// Nothing else is defined in that file, and it is not the main one.
    pub is_alone: bool,
}

/// The file that a program called `name` has for itself when `main` is the configuration.
#[must_use]
pub fn file_of(main: &Path, env: &Env, name: &str) -> PathBuf {
    let main = env.absolute(main);
    let folder = main.parent().unwrap_or(Path::new("/"));
    folder.join(FOLDER).join([name, ".toml"].concat())
}

/// Where `name` is defined in the configuration `main`, whatever else is wrong with it.
#[must_use]
pub fn find(main: &Path, env: &Env, name: &str) -> Option<Defined> {
    let gathered = load::gather(main, env, &mut Files::default());
    let document = &gathered.document;
    let block = document.programs.iter().find(|b| b.name == name)?;
    let file = block.at.file;
    let others = document
        .programs
        .iter()
        .chain(&document.targets)
        .chain(&document.routes)
        .filter(|other| other.at.file == file);
    let has_root = document.root.0.values().any(|f| f.at.file == file);
    let path = gathered.sources.paths().into_iter().nth(file)?;
    Some(Defined {
        file: path,
        place: gathered.sources.place(block.at),
        is_alone: file != 0 && !has_root && others.count() == 1,
    })
}

/// The configuration `main` as it would be with `text` in `file`, or with that file gone. The file says whether it
/// would be read at all: it is among those of the result then.
///
/// # Errors
/// Everything that would be wrong with it.
pub fn check_with(
    (main, env): (&Path, &Env),
    file: &Path,
    text: Option<&str>,
) -> Result<Loaded, Faults> {
    let mut definitions = Definitions::new(main.to_owned(), env.clone());
    definitions.files.overlay = BTreeMap::from([(file.to_owned(), text.map(str::to_owned))]);
    definitions.load()
}

/// The text of a file that defines `name`: its command, then the other keys, each with its value as TOML.
#[must_use]
pub fn text_of(name: &str, command: &[String], keys: &[(String, String)]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    let mut text = format!("[program.{}]\n", bare_or(name, &quoted(name)));
    let _ = writeln!(text, "command = [{}]", words.join(", "));
    for (key, value) in keys {
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

/// A value as it stands in TOML, when it is one; else as a text.
#[must_use]
pub fn value_of(word: &str) -> String {
    let is_one_line = !word.contains(['\n', '\r', '#']);
    if is_one_line && syntax::parse_value(word).is_some() {
        word.to_owned()
    } else {
        quoted(word)
    }
}

/// `text` as a TOML string on one line.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether `text` defines a program called `name`.
#[must_use]
pub fn defines(text: &str, name: &str) -> bool {
    let (table, _) = syntax::parse(text, 0);
    matches!(
        table.get("program").map(|entry| &entry.node.value),
        Some(Value::Table(programs)) if programs.contains_key(name)
    )
}

fn bare_or<'a>(name: &'a str, quoted: &'a str) -> &'a str {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) {
        name
    } else {
        quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under<'a>(table: &'a syntax::Table, keys: &[&str]) -> &'a Value {
        let value = &table
            .get(keys[0])
            .unwrap_or_else(|| panic!("no {}", keys[0]))
            .node
            .value;
        match (value, &keys[1..]) {
            (value, []) => value,
            (Value::Table(table), rest) => under(table, rest),
            (other, _) => panic!("{} is {}", keys[0], other.describe()),
        }
    }

    #[test]
    fn what_is_written_reads_back_whatever_is_in_the_words() {
        let command = ["sh", "-c", "echo \"a\\b\"\n# no comment\u{7f} ${X}"].map(str::to_owned);
        let keys = [
            ("restart".to_owned(), value_of("always")),
            ("instances".to_owned(), value_of("3")),
            ("tags".to_owned(), value_of("[\"a\", \"b\"]")),
            ("directory".to_owned(), value_of("x = 1\n[evil]")),
            ("stop_timeout".to_owned(), value_of("1 # no")),
        ];
        for name in ["web", "my web", "a.b"] {
            let text = text_of(name, &command, &keys);
            let (table, errors) = syntax::parse(&text, 0);
            assert!(errors.is_empty(), "{text}: {errors:?}");
            assert_eq!(table.len(), 1, "{text}");
            let of = |key: &str| under(&table, &["program", name, key]);
            assert!(matches!(of("command"), Value::List(list)
                if matches!(&list[2].value, Value::Text(word) if *word == command[2])));
            assert!(matches!(of("restart"), Value::Text(word) if word == "always"));
            assert!(matches!(of("instances"), Value::Integer(3)));
            assert!(matches!(of("tags"), Value::List(list) if list.len() == 2));
            assert!(matches!(of("directory"), Value::Text(word) if word == "x = 1\n[evil]"));
            assert!(matches!(of("stop_timeout"), Value::Text(word) if word == "1 # no"));
            assert!(defines(&text, name) && !defines(&text, "other"));
        }
    }
}
