//! Values that are lists or tables: commands, names, exit codes, variables. Part of [`super::read`].

use super::fault::{did_you_mean, shown, wrong};
use super::keys::Key;
use super::read::{Reader, Typed, Word, check_label, filled};
use super::source::At;
use super::syntax::{Node, Value};
use crate::model::needs::Condition;

/// One text, not yet split, or a list of texts.
pub(super) fn command(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    if let Value::Text(raw) = &node.value {
        if raw.trim().is_empty() {
            reader.fault(node.at, name, wrong("it is empty", "name a program to run"));
            return None;
        }
        return Some(Typed::CommandLine(raw.clone()));
    }
    let words = texts(reader, key, name, node)?;
    if words.first().is_some_and(|w| w.text.is_empty()) {
        let w = wrong("its first text is empty", "name a program to run");
        reader.fault(node.at, name, w);
        return None;
    }
    Some(Typed::Words(words))
}

/// A list of texts, at least one.
pub(super) fn texts(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Vec<Word>> {
    let Value::List(list) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    if list.is_empty() {
        let right = format!("for example {} = {}", key.name(), key.example);
        reader.fault(node.at, name, wrong("the list is empty", right));
        return None;
    }
    let words: Vec<Option<Word>> = list.iter().map(|n| reader.word(key, name, n)).collect();
    words.into_iter().collect()
}

/// Labels, which keep to the rule of names.
pub(super) fn tags(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    if matches!(&node.value, Value::List(list) if list.is_empty()) {
        return Some(Typed::Words(Vec::new()));
    }
    let words = texts(reader, key, name, node)?;
    let before = reader.faults.len();
    for word in &words {
        if let Err(wrong) = check_label(&word.text) {
            reader.fault(word.at, name, wrong);
        }
    }
    (reader.faults.len() == before).then_some(Typed::Words(words))
}

/// Whole numbers from 0 to 255.
pub(super) fn exit_codes(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::List(list) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let mut codes = Vec::new();
    for item in list {
        match &item.value {
            Value::Integer(code @ 0..=255) => codes.extend(i32::try_from(*code)),
            Value::Integer(_) => {
                let w = wrong("no program ends with such a code", "0 to 255");
                reader.fault(item.at, name, w);
            }
            _ => return reader.wrong_type(key, name, item),
        }
    }
    (codes.len() == list.len()).then_some(Typed::ExitCodes(codes))
}

/// Environment variables. Their values are never shown.
pub(super) fn variables(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::Table(table) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let mut pairs = Vec::new();
    for (variable, entry) in table {
        let full = format!("{name}.{}", crate::text::printable(variable.as_bytes()));
        if variable.is_empty() || variable.contains(['=', '\0']) {
            let what = format!("{} is no name of a variable", shown(variable));
            reader.fault(entry.at, &full, wrong(what, "a name without = in it"));
            continue;
        }
        let Value::Text(raw) = &entry.node.value else {
            let what = format!("{} cannot stand here", entry.node.value.describe());
            reader.fault(
                entry.node.at,
                &full,
                wrong(what, "put the value in \"quotes\""),
            );
            continue;
        };
        let word = reader.fill_in(entry.node.at, &full, raw);
        pairs.extend(word.map(|w| (variable.clone(), w.text)));
    }
    (pairs.len() == table.len()).then_some(Typed::Pairs(pairs))
}

/// `{ db = "started" }`, or a list of names that says the same.
pub(super) fn depends(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let table = match &node.value {
        Value::List(list) if list.is_empty() => return Some(Typed::Words(Vec::new())),
        Value::List(_) => return texts(reader, key, name, node).map(Typed::Words),
        Value::Table(table) => table,
        _ => return reader.wrong_type(key, name, node),
    };
    let (mut words, mut conditions) = (Vec::new(), Vec::new());
    for (program, entry) in table {
        let full = format!("{name}.{}", crate::text::printable(program.as_bytes()));
        words.push(Word {
            at: entry.at,
            raw: program.clone(),
            text: program.clone(),
        });
        let Value::Text(raw) = &entry.node.value else {
            let what = format!("{} cannot stand here", entry.node.value.describe());
            reader.fault(entry.node.at, &full, wrong(what, "write \"started\""));
            continue;
        };
        if let Some(word) = reader.fill_in(entry.node.at, &full, raw) {
            conditions.extend(condition(reader, &full, &word));
        }
    }
    (conditions.len() == words.len()).then_some(Typed::Depends(words, conditions))
}

fn condition(reader: &mut Reader<'_>, name: &str, word: &Word) -> Option<Condition> {
    let mut all = Condition::ALL.into_iter();
    let found = all.find(|condition| condition.as_str() == word.text);
    if found.is_none() {
        let names = Condition::ALL.map(Condition::as_str);
        let right = did_you_mean(&word.raw, names.into_iter());
        let what = format!("{} is no condition", shown(&word.raw));
        let right = right.unwrap_or_else(|| "\"started\", \"healthy\" or \"completed\"".to_owned());
        reader.fault(word.at, name, wrong(what, right));
    }
    found
}

/// Splits a command as a shell does. Variables are filled in after that, so that a value is always a part
/// of one word, whatever is in it.
pub(super) fn split(reader: &mut Reader<'_>, at: At, name: &str, raw: &str) -> Option<Vec<String>> {
    let Some(words) = shlex::split(raw) else {
        let w = wrong(
            "a quote is not closed",
            "close it, or write a list of texts",
        );
        reader.fault(at, name, w);
        return None;
    };
    let filled_in: Vec<Option<Word>> = words.iter().map(|w| reader.fill_in(at, name, w)).collect();
    let words: Vec<Word> = filled_in.into_iter().collect::<Option<_>>()?;
    if words.first().is_none_or(|w| filled(w).is_err()) {
        reader.fault(at, name, wrong("it is empty", "name a program to run"));
        return None;
    }
    Some(words.into_iter().map(|w| w.text).collect())
}
