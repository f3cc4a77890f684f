//! TOML as a tree that knows where everything stands, with all its errors: each is stepped over so that
//! it does not hide the next. Knows nothing of keys.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Wrong, wrong};
use super::source::At;
use crate::limits::{CONFIG_REPAIRS_MAX, CONFIG_REPARSED_BYTES_MAX};

/// A table; its entries know where their keys stand.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) at: At,
    /// The value.
    pub(super) node: Node,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it stands; a table's header.
    pub(super) at: At,
    /// The value.
    pub(super) value: Value,
}

/// A value of TOML.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// Clipped at the ends of `i128`, which no key reaches.
    Integer(i128),
    Float(f64),
    Switch(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// The type, with its article.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Switch(_) => "true or false",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A single value, for the defaults of the table of keys.
pub(super) fn parse_value(text: &str) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(&value, 0))
}

/// The tree as that of file `file`.
pub(super) fn renumbered(table: &Table, file: usize) -> Table {
    let entry = |entry: &Entry| Entry {
        at: At { file, ..entry.at },
        node: renumbered_node(&entry.node, file),
    };
    table
        .iter()
        .map(|(key, value)| (key.clone(), entry(value)))
        .collect()
}

fn renumbered_node(node: &Node, file: usize) -> Node {
    let value = match &node.value {
        Value::List(list) => Value::List(list.iter().map(|n| renumbered_node(n, file)).collect()),
        Value::Table(table) => Value::Table(renumbered(table, file)),
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Switch(_) | Value::Date => {
            node.value.clone()
        }
    };
    Node {
        at: At { file, ..node.at },
        value,
    }
}

fn table(from: &DeTable<'_>, file: usize) -> Table {
    from.iter()
        .map(|(key, value)| {
            let at = At {
                file,
                offset: key.span().start,
            };
            let node = node(value, file);
            (key.get_ref().to_string(), Entry { at, node })
        })
        .collect()
}

fn node(from: &Spanned<DeValue<'_>>, file: usize) -> Node {
    let value = match from.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(i) => Value::Integer(integer(i.as_str(), i.radix())),
        DeValue::Float(f) => Value::Float(f.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Value::Switch(*b),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(list) => Value::List(list.iter().map(|n| node(n, file)).collect()),
        DeValue::Table(t) => Value::Table(table(t, file)),
    };
    let at = At {
        file,
        offset: from.span().start,
    };
    Node { at, value }
}

fn integer(digits: &str, radix: u32) -> i128 {
    i128::from_str_radix(digits, radix).unwrap_or(if digits.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    })
}

/// Parses, blanking out what the parser cannot step over and parsing again, so that one error does not hide
/// the next. Blanks keep every offset as it was.
pub(super) fn parse(text: &str, file: usize) -> (Table, Vec<(usize, Wrong)>) {
    let mut text = text.to_owned();
    let steps_max = CONFIG_REPAIRS_MAX.min(CONFIG_REPARSED_BYTES_MAX / text.len().max(1));
    let mut found = Vec::new();
    loop {
        let (doc, errors) = DeTable::parse_recoverable(&text);
        let errors: Vec<(usize, &str)> = errors
            .iter()
            .map(|e| (e.span().map_or(0, |s| s.start), e.message()))
            .collect();
        let repair = (found.len() < steps_max)
            .then(|| repair(&text, doc.get_ref(), &errors))
            .flatten();
        let Some((lost, offset, wrong)) = repair else {
            found.extend(
                errors
                    .into_iter()
                    .map(|(at, message)| (at, sentence(message))),
            );
            found.sort_by_key(|(at, _)| *at);
            return (table(doc.get_ref(), file), found);
        };
        found.push((offset, wrong));
        text = blank(&text, lost);
    }
}

/// What to blank out, and the error that stood there.
fn repair(
    text: &str,
    doc: &DeTable<'_>,
    errors: &[(usize, &str)],
) -> Option<(Range<usize>, usize, Wrong)> {
    // The parser gives up behind a key without a value.
    if let Some((at, message)) = errors
        .iter()
        .find(|(_, m)| m.starts_with("key with no value"))
    {
        return Some((line_around(text, *at), *at, sentence(message)));
    }
    // A bracket that is never closed takes in the rest of the file. Its first error is where the person
    // meant it to be over.
    let unclosed = errors
        .iter()
        .any(|(_, m)| m.starts_with("unclosed array") || m.starts_with("unclosed inline table"));
    let first = errors
        .iter()
        .map(|(at, _)| *at)
        .min()
        .filter(|_| unclosed)?;
    let opened = innermost(doc, first)?;
    let start = line_around(text, opened).start;
    let end = line_around(text, first).start;
    let lost = if end > start {
        start..end
    } else {
        line_around(text, opened)
    };
    let sentence = wrong(
        "a bracket that opens here is not closed",
        "close it with ] or }",
    );
    Some((lost, opened, sentence))
}

/// The start of the last list or inline table that begins at or before `offset` and ends behind it.
fn innermost(doc: &DeTable<'_>, offset: usize) -> Option<usize> {
    let mut best = None;
    for value in doc.values() {
        let span = value.span();
        let deeper = match value.get_ref() {
            DeValue::Table(t) => innermost(t, offset),
            DeValue::Array(list) => list
                .iter()
                .filter_map(|n| n.get_ref().as_table())
                .filter_map(|t| innermost(t, offset))
                .max(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        let own = (span.start <= offset && offset <= span.end).then_some(span.start);
        best = best.max(deeper).max(own);
    }
    best
}

/// The line `offset` is on, without its end.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let offset = offset.min(text.len());
    let bytes = text.as_bytes();
    let start = bytes[..offset]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |i| i + 1);
    let end = bytes[offset..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |i| offset + i);
    start..end
}

fn blank(text: &str, lost: Range<usize>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in &mut bytes[lost] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    String::from_utf8(bytes).expect("whole lines were blanked, so no character was cut")
}

/// The parser's message in the words of this program. None of them repeats what stands in the file.
fn sentence(message: &str) -> Wrong {
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    let (what, right) = match what {
        "key with no value" => ("a key has no value", "write key = value"),
        "string values must be quoted" => (
            "the value is missing, or is a text without quotes",
            "put a text in \"quotes\"",
        ),
        "duplicate key" => ("this stands twice", "keep one of them"),
        "unclosed table" => ("the header of a table is not closed", "end it with ]"),
        "invalid basic string" | "invalid literal string" => (
            "the text is not closed",
            "end it with the quote it begins with",
        ),
        other => {
            let right = match expected {
                None | Some("nothing") => "see https://toml.io".to_owned(),
                Some(expected) => format!("expected is {expected}"),
            };
            return wrong(other, right);
        }
    };
    wrong(what, right)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::source::Sources;
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        let parsed = crate::config::files::Parsed::new(text, sources.next_number()).into();
        let faults = sources.add(Path::new("a.toml"), "/a.toml".into(), &parsed);
        faults.iter().map(ToString::to_string).collect()
    }

    fn keys(text: &str) -> Vec<String> {
        parse(text, 0).0.into_keys().collect()
    }

    #[test]
    fn every_syntax_error_is_found_and_none_hides_what_follows() {
        let text = "a = 1\nb\nc = 10s\n[t\nx = 1\n[u]\ny = \"abc\nz =\nd : 3\ny = 1\n";
        assert_eq!(
            faults(text),
            [
                "a.toml:2:2: syntax: a key has no value: write key = value",
                "a.toml:3:5: syntax: the value is missing, or is a text without quotes: put a text in \"quotes\"",
                "a.toml:4:3: syntax: the header of a table is not closed: end it with ]",
                "a.toml:7:9: syntax: the text is not closed: end it with the quote it begins with",
                "a.toml:8:4: syntax: the value is missing, or is a text without quotes: put a text in \"quotes\"",
                "a.toml:9:3: syntax: a key has no value: write key = value",
                "a.toml:10:1: syntax: this stands twice: keep one of them",
            ]
        );
        assert_eq!(keys(text), ["a", "c", "u"]);
    }

    #[test]
    fn a_bracket_that_is_not_closed_is_one_fault_and_the_rest_is_still_read() {
        for text in [
            "a = [1, 2\nb = 2\n[t]\nx = 1\n",
            "a = [1,\n  2,\nb = 2\n[t]\nx = 1\n",
            "a = { x = 1\nb = 2\n[t]\nx = 1\n",
        ] {
            assert_eq!(
                faults(text),
                [
                    "a.toml:1:5: syntax: a bracket that opens here is not closed: close it with ] or }"
                ],
                "{text}"
            );
            assert_eq!(keys(text), ["b", "t"], "{text}");
        }
        let inside = "[t]\nx = 1\ny = [1\nz = 2\n[u]\n";
        assert_eq!(
            faults(inside),
            ["a.toml:3:5: syntax: a bracket that opens here is not closed: close it with ] or }"]
        );
        assert_eq!(keys(inside), ["t", "u"]);
    }

    #[test]
    fn columns_count_characters_and_not_bytes() {
        assert_eq!(
            faults("\"지킴이\" = yes\n"),
            [
                "a.toml:1:9: syntax: the value is missing, or is a text without quotes: put a text in \"quotes\""
            ]
        );
    }
}
