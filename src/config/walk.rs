//! The tree of one file against the table of keys: what is unknown, not available, twice or missing. What the
//! values mean together is `check`'s.

use super::fault::{Wrong, did_you_mean, shown, wrong};
use super::fields::{Block, Document, Field, Fields};
use super::keys::{self, Availability, Found, Key, Kind};
use super::read::{Reader, check_name};
use super::source::At;
use super::syntax::{Entry, Node, Table, Value};
use super::table::KEYS;

const NOT_AVAILABLE: &str = "not available in this version";

/// The tables that hold a table for each name.
#[derive(Clone, Copy)]
enum Named {
    Program,
    Target,
}

/// Adds one file to `document`.
pub(super) fn walk(reader: &mut Reader<'_>, file: &Table, document: &mut Document) {
    let mut root = Table::new();
    for (name, entry) in file {
        match name.as_str() {
            "program" => named(reader, entry, Named::Program, &mut document.programs),
            "target" => named(reader, entry, Named::Target, &mut document.targets),
            "route" => routes(reader, entry, &mut document.routes),
            _ => {
                root.insert(name.clone(), entry.clone());
            }
        }
    }
    let here = Section {
        path: String::new(),
        shown: String::new(),
        kind: None,
    };
    section(reader, &here, &root, &mut document.root);
}

/// A table on the way down.
struct Section<'a> {
    /// In the table of keys: `program.*.backoff`.
    path: String,
    /// As faults name it: `program.web.backoff`.
    shown: String,
    /// Of a target.
    kind: Option<&'a str>,
}

impl Section<'_> {
    fn below(&self, name: &str) -> (String, String) {
        let name_shown = quoted(name);
        if self.path.is_empty() {
            return (name.to_owned(), name_shown);
        }
        (
            format!("{}.{name}", self.path),
            format!("{}.{name_shown}", self.shown),
        )
    }

    /// Whether this is a target of a kind nobody knows, of which only the shared keys can be judged.
    fn is_of_unknown_kind(&self) -> bool {
        self.kind.is_none() && self.path.starts_with("target.")
    }
}

/// A name as it stands in a path of TOML, fit for a terminal.
fn quoted(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(plain) {
        name.to_owned()
    } else {
        shown(name)
    }
}

fn section(reader: &mut Reader<'_>, here: &Section<'_>, table: &Table, fields: &mut Fields) {
    for (name, entry) in table {
        let (path, full) = here.below(name);
        match keys::find(&path, here.kind) {
            Found::Key(key) if key.availability == Availability::Later => {
                if !here.is_of_unknown_kind() || key.of.is_empty() {
                    reader.fault(entry.at, &full, wrong(NOT_AVAILABLE, "leave it out"));
                }
            }
            Found::Key(key) if here.is_of_unknown_kind() && !key.of.is_empty() => {}
            Found::Key(key) => field(reader, key, (&full, entry), fields),
            Found::Section => match &entry.node.value {
                Value::Table(inner) => {
                    let below = Section {
                        path,
                        shown: full,
                        kind: here.kind,
                    };
                    if inner.is_empty() {
                        super::probes::empty(reader, &below.path, (entry.at, &below.shown));
                    }
                    section(reader, &below, inner, fields);
                }
                other => {
                    let names = keys::names_in(&path, here.kind).join(", ");
                    let what = format!("{} cannot stand here", other.describe());
                    let right = format!("a table of {names}");
                    reader.fault(entry.node.at, &full, wrong(what, right));
                }
            },
            Found::OtherKind => {
                let kind = here.kind.unwrap_or("such a");
                let what = format!("a {kind} target has no such key");
                let names = keys::names_in(&here.path, here.kind).join(", ");
                reader.fault(entry.at, &full, wrong(what, format!("it has {names}")));
            }
            Found::Unknown => {
                let wrong = unknown(here, name);
                reader.fault(entry.at, &full, wrong);
            }
        }
    }
}

fn field(reader: &mut Reader<'_>, key: &Key, (name, entry): (&str, &Entry), fields: &mut Fields) {
    if let Some(first) = fields.0.get(key.path) {
        twice(reader, entry.at, name, first.at);
        return;
    }
    let value = reader.read(key, name, &entry.node);
    let field = Field {
        at: entry.at,
        value_at: entry.node.at,
        value,
    };
    fields.0.insert(key.path, field);
}

/// The second of two that may stand once. TOML itself refuses two in one file.
fn twice(reader: &mut Reader<'_>, at: At, name: &str, first: At) {
    let place = reader.sources.place(first);
    let what = format!("it stands at {place} too");
    reader.fault(at, name, wrong(what, "keep one of them"));
}

fn unknown(here: &Section<'_>, name: &str) -> Wrong {
    const WHAT: &str = "unknown key";
    if let Some(ours) = keys::alias(&here.path, name) {
        let path = if here.path.is_empty() {
            ours.to_owned()
        } else {
            format!("{}.{ours}", here.path)
        };
        let is_later = matches!(keys::find(&path, here.kind),
            Found::Key(k) if k.availability == Availability::Later);
        let but = if is_later {
            ", which is not available in this version"
        } else {
            ""
        };
        return wrong(WHAT, format!("jikimi calls it \"{ours}\"{but}"));
    }
    let mut names = keys::names_in(&here.path, here.kind);
    if here.path.is_empty() {
        names.extend(
            ["program", "target", "route"]
                .iter()
                .filter(|n| !names.contains(n))
                .copied()
                .collect::<Vec<_>>(),
        );
    }
    // A name that is right in another place was meant, whatever it resembles here.
    if let Some(key) = keys::elsewhere(name) {
        return wrong(WHAT, format!("it is known as {}", key.for_people()));
    }
    if let Some(right) = did_you_mean(name, names.iter().copied()) {
        return wrong(WHAT, right);
    }
    wrong(WHAT, format!("here stand {}", names.join(", ")))
}

/// `[program.*]` or `[target.*]`.
fn named(reader: &mut Reader<'_>, entry: &Entry, what: Named, blocks: &mut Vec<Block>) {
    let word = match what {
        Named::Program => "program",
        Named::Target => "target",
    };
    let Value::Table(table) = &entry.node.value else {
        let right = format!("a table with a name, as [{word}.web]");
        let what = format!("{} cannot stand here", entry.node.value.describe());
        reader.fault(entry.node.at, word, wrong(what, right));
        return;
    };
    let mut found = Vec::new();
    for (name, entry) in table {
        found.extend(one_named(reader, word, name, entry));
    }
    // The tree is sorted by name; people and start order go by the file.
    found.sort_by_key(|b: &Block| b.at);
    for block in found {
        match blocks.iter().find(|b| b.name == block.name) {
            Some(first) => twice(reader, block.at, &block.shown, first.at),
            None => blocks.push(block),
        }
    }
}

fn one_named(reader: &mut Reader<'_>, word: &str, name: &str, entry: &Entry) -> Option<Block> {
    let full = format!("{word}.{}", quoted(name));
    let Value::Table(table) = &entry.node.value else {
        let what = format!("{} cannot stand here", entry.node.value.describe());
        // Somebody left the name out: `[program]` with `command` in it.
        let is_key = !matches!(
            keys::find(&format!("{word}.*.{name}"), None),
            Found::Unknown
        );
        let right = if is_key {
            format!("give the table a name, as [{word}.web]")
        } else {
            format!("a table, as [{word}.web]")
        };
        reader.fault(entry.at, &full, wrong(what, right));
        return None;
    };
    if let Err(wrong) = check_name(name) {
        reader.fault(entry.at, &full, wrong);
    }
    let kind = table.get("kind").and_then(|e| kind_of(reader, &e.node));
    let here = Section {
        path: format!("{word}.*"),
        shown: full.clone(),
        kind: if word == "target" { kind } else { None },
    };
    let mut fields = Fields::default();
    section(reader, &here, table, &mut fields);
    let block = Block {
        name: name.to_owned(),
        shown: full,
        at: entry.node.at,
        fields,
    };
    missing(reader, &block, &here);
    Some(block)
}

/// The kind of a target, if it is one of this version.
fn kind_of(reader: &Reader<'_>, node: &Node) -> Option<&'static str> {
    let Value::Text(raw) = &node.value else {
        return None;
    };
    let text = super::env::expand(raw, reader.env).ok()?.text;
    keys::target_kinds().iter().copied().find(|k| *k == text)
}

/// `[[route]]`.
fn routes(reader: &mut Reader<'_>, entry: &Entry, blocks: &mut Vec<Block>) {
    let Value::List(list) = &entry.node.value else {
        let w = wrong(
            "there can be several routes",
            "write [[route]] with two brackets",
        );
        reader.fault(entry.at, "route", w);
        return;
    };
    for node in list {
        let Value::Table(table) = &node.value else {
            let what = format!("{} cannot stand here", node.value.describe());
            reader.fault(node.at, "route", wrong(what, "write [[route]]"));
            continue;
        };
        let here = Section {
            path: "route".to_owned(),
            shown: "route".to_owned(),
            kind: None,
        };
        let mut fields = Fields::default();
        section(reader, &here, table, &mut fields);
        let block = Block {
            name: String::new(),
            shown: "route".to_owned(),
            at: node.at,
            fields,
        };
        missing(reader, &block, &here);
        blocks.push(block);
    }
}

/// Reports what a table cannot do without, at its header.
fn missing(reader: &mut Reader<'_>, block: &Block, here: &Section<'_>) {
    // What cannot be read may well be there.
    if reader.sources.is_broken_at(block.at) {
        return;
    }
    let prefix = format!("{}.", here.path);
    for key in KEYS
        .iter()
        .filter(|k| k.required && k.path.starts_with(&prefix))
    {
        let known_kind = match here.kind {
            Some(kind) => key.belongs_to(kind),
            None => key.of.is_empty(),
        };
        if known_kind && !block.fields.0.contains_key(key.path) {
            let full = format!("{}.{}", block.shown, key.name());
            let values = match key.kind {
                Kind::Choice { now, .. } => format!("{} = one of {}", key.name(), now.join(", ")),
                _ => format!("for example {} = {}", key.name(), key.example),
            };
            reader.fault(block.at, &full, wrong("it is missing", values));
        }
    }
}
