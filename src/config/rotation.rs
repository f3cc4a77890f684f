//! Sizes, and `program.NAME.logs`: how output is kept. Part of [`super::read`] and of [`super::programs`].

use super::fault::{shown, wrong};
use super::fields::Fields;
use super::keys::Key;
use super::read::{Reader, Typed};
use super::syntax::{Node, Value};
use crate::model::rotation::Rotation;
use crate::text;

/// `"10MiB"`.
pub(super) fn size(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    (node, min, max): (&Node, u64, u64),
) -> Option<Typed> {
    if let Value::Integer(i) = node.value {
        let unit = format!("\"{i}MiB\", or B, KiB, GiB");
        return reader.keep(node.at, name, Err(wrong("a size needs a unit", unit)));
    }
    let word = reader.word(key, name, node)?;
    let size = match text::parse_size(&word.text) {
        None => Err(wrong(
            format!("{} is no size", shown(&word.raw)),
            "a number and B, KiB, MiB or GiB, as \"10MiB\"",
        )),
        Some(size) if size < min || size > max => Err(wrong(
            format!("{} is out of range", shown(&word.raw)),
            format!("{} to {}", text::size(min), text::size(max)),
        )),
        Some(size) => Ok(size),
    };
    reader.keep(node.at, name, size).map(Typed::Size)
}

pub(super) fn size_of(fields: &Fields, path: &str) -> Option<u64> {
    match fields.typed(path) {
        Some(Typed::Size(size)) => Some(size),
        _ => None,
    }
}

/// What a program says of it.
pub(super) fn of(fields: &Fields) -> Rotation {
    let usual = Rotation::default();
    let age = match fields.written("program.*.logs.max_age") {
        Some(Typed::Duration(age)) => Some(*age),
        _ => None,
    };
    Rotation {
        max_size: size_of(fields, "program.*.logs.max_size").unwrap_or(usual.max_size),
        max_age: age,
        keep: fields.integer("program.*.logs.keep"),
        is_packed: fields.switch("program.*.logs.compress"),
        max_total: size_of(fields, "program.*.logs.max_total"),
    }
}
