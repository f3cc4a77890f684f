//! YAML and JSON (which is YAML) as a tree that knows its lines. Bounded: an alias is a copy, and copies of copies
//! are how a small file becomes an endless one.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::Faulty;
use crate::limits::{IMPORT_DEPTH, IMPORT_NODES};

/// A value at a line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Tree,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Null,
    Switch(bool),
    Integer(i64),
    /// Text, and numbers with a fraction as they were written.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Node)>),
}

/// Where a value goes that is complete.
enum Open {
    List(usize, usize, Vec<Node>),
    /// Line, anchor, pairs, and the key that waits for its value.
    Map(usize, usize, Vec<(String, Node)>, Option<String>),
}

/// The first document of `text`.
pub(super) fn parse(text: &str) -> Result<Node, Faulty> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: BTreeMap<usize, (Node, usize)> = BTreeMap::new();
    let mut nodes = 0_usize;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| (e.marker().line(), e.info().to_owned()))?;
        let line = span.start.line();
        let (node, anchor, size) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push(Open::List(line, anchor, Vec::new()));
                deep_enough(&open, line)?;
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open::Map(line, anchor, Vec::new(), None));
                deep_enough(&open, line)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(line, anchor, list)) => (
                    Node {
                        line,
                        value: Tree::List(list),
                    },
                    anchor,
                    1,
                ),
                Some(Open::Map(line, anchor, pairs, _)) => (
                    Node {
                        line,
                        value: Tree::Map(merged(pairs)),
                    },
                    anchor,
                    1,
                ),
                None => return Err((line, "an end without a beginning".to_owned())),
            },
            Event::Scalar(text, style, anchor, _) => (
                Node {
                    line,
                    value: scalar(&text, style),
                },
                anchor,
                1,
            ),
            Event::Alias(of) => match anchors.get(&of) {
                Some((node, size)) => (node.clone(), 0, *size),
                None => return Err((line, "an alias of nothing".to_owned())),
            },
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        nodes += size;
        if nodes > IMPORT_NODES {
            return Err((
                line,
                format!("more than {IMPORT_NODES} values, aliases counted"),
            ));
        }
        if anchor > 0 {
            let size = node.size();
            anchors.insert(anchor, (node.clone(), size));
        }
        match open.last_mut() {
            None => return Ok(node),
            Some(parent) => parent.take(node)?,
        }
    }
    Err((1, "the file is empty".to_owned()))
}

fn deep_enough(open: &[Open], line: usize) -> Result<(), Faulty> {
    if open.len() > IMPORT_DEPTH {
        return Err((
            line,
            format!("values in values more than {IMPORT_DEPTH} deep"),
        ));
    }
    Ok(())
}

impl Open {
    fn take(&mut self, node: Node) -> Result<(), Faulty> {
        match self {
            Self::List(_, _, list) => list.push(node),
            Self::Map(_, _, pairs, key) => {
                let Some(name) = key.take() else {
                    let name = node.text();
                    *key = Some(name.ok_or((node.line, "a key is no text".to_owned()))?);
                    return Ok(());
                };
                if name != MERGE && pairs.iter().any(|(k, _)| *k == name) {
                    return Err((node.line, format!("{name:?} is there twice")));
                }
                pairs.push((name, node));
            }
        }
        Ok(())
    }
}

/// `<<: *other`: what is not written here is taken from there.
const MERGE: &str = "<<";

fn merged(pairs: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let (merges, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(k, _)| k == MERGE);
    for (_, merge) in merges {
        let maps = match merge.value {
            Tree::List(list) => list,
            _ => vec![merge],
        };
        for (name, value) in maps.into_iter().filter_map(Node::into_pairs).flatten() {
            if !own.iter().any(|(k, _)| *k == name) {
                own.push((name, value));
            }
        }
    }
    own
}

/// A plain word may be more than text.
fn scalar(text: &str, style: ScalarStyle) -> Tree {
    if style != ScalarStyle::Plain {
        return Tree::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Tree::Null,
        "true" | "True" | "TRUE" => Tree::Switch(true),
        "false" | "False" | "FALSE" => Tree::Switch(false),
        _ => match text.parse() {
            Ok(number) => Tree::Integer(number),
            Err(_) => Tree::Text(text.to_owned()),
        },
    }
}

impl Node {
    fn size(&self) -> usize {
        match &self.value {
            Tree::List(list) => 1 + list.iter().map(Self::size).sum::<usize>(),
            Tree::Map(pairs) => 1 + pairs.iter().map(|(_, n)| n.size()).sum::<usize>(),
            Tree::Null | Tree::Switch(_) | Tree::Integer(_) | Tree::Text(_) => 1,
        }
    }

    fn into_pairs(self) -> Option<Vec<(String, Self)>> {
        match self.value {
            Tree::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// A single value as text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Tree::Text(text) => Some(text.clone()),
            Tree::Integer(number) => Some(number.to_string()),
            Tree::Switch(on) => Some(on.to_string()),
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// A single value as text, or a fault that names `key`.
    pub(super) fn word(&self, key: &str) -> Result<String, Faulty> {
        self.text().ok_or_else(|| self.bad(key, "one text"))
    }

    /// A list of single values; one alone is a list of one.
    pub(super) fn words(&self, key: &str) -> Result<Vec<String>, Faulty> {
        match &self.value {
            Tree::List(list) => list.iter().map(|n| n.word(key)).collect(),
            _ => Ok(vec![self.word(key)?]),
        }
    }

    /// `true` or `false`.
    pub(super) fn switch(&self, key: &str) -> Result<bool, Faulty> {
        match (&self.value, self.text().as_deref()) {
            (Tree::Switch(on), _) => Ok(*on),
            (_, Some("true" | "yes" | "1")) => Ok(true),
            (_, Some("false" | "no" | "0")) => Ok(false),
            _ => Err(self.bad(key, "true or false")),
        }
    }

    /// A whole number of at least 0.
    pub(super) fn count(&self, key: &str) -> Result<i64, Faulty> {
        let number = self.text().and_then(|t| t.trim().parse().ok());
        let known = number.filter(|n| (0..=1_000_000_000).contains(n));
        known.ok_or_else(|| self.bad(key, "a whole number"))
    }

    /// Keys and values.
    pub(super) fn pairs(&self, key: &str) -> Result<&[(String, Node)], Faulty> {
        match &self.value {
            Tree::Map(pairs) => Ok(pairs),
            _ => Err(self.bad(key, "a table of keys")),
        }
    }

    /// What stands at `key` of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Tree::Map(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// What is wrong with the value of `key`.
    pub(super) fn bad(&self, key: &str, right: &str) -> Faulty {
        (self.line, format!("{key}: write {right}"))
    }
}
