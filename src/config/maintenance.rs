//! `[[maintenance]]`: times of quiet that come again. Part of [`super::read`].

use super::fault::wrong;
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::syntax::{Node, Value};
use super::timing::{Inner, calendar};
use crate::limits;
use crate::model::maintenance::MaintenanceSpec;

const NAMES: [&str; 4] = ["programs", "schedule", "duration", "reason"];
const LASTS: Kind = Kind::Duration {
    min: limits::SILENCE_MIN,
    max: limits::SILENCE_MAX,
};

/// All of them.
pub(super) fn windows(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::List(list) = &node.value else {
        if !matches!(node.value, Value::Table(_)) {
            return reader.wrong_type(key, name, node);
        }
        let right = format!("write [[{name}]] with two brackets");
        reader.fault(node.at, name, wrong("there can be several", right));
        return None;
    };
    if list.len() > limits::MAINTENANCE_MAX {
        let what = format!("there are {}", list.len());
        let right = format!("{} at the most", limits::MAINTENANCE_MAX);
        reader.fault(node.at, name, wrong(what, right));
        return None;
    }
    let windows: Vec<Option<MaintenanceSpec>> = list
        .iter()
        .map(|node| window(reader, key, name, node))
        .collect();
    let windows = windows.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Typed::Maintenance(windows))
}

fn window(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<MaintenanceSpec> {
    let inner = Inner::new(reader, (key, name), node, &NAMES)?;
    for needed in ["programs", "schedule", "duration"] {
        inner.need(reader, needed);
    }
    let programs = inner.read(reader, "programs", Kind::Texts);
    let schedule = inner.entry("schedule").and_then(|entry| {
        let full = inner.full("schedule");
        calendar(reader, (key, &full), &entry.node, &["at", "zone"])
    });
    let lasts = inner.read(reader, "duration", LASTS);
    let reason = match inner.entry("reason") {
        None => None,
        Some(_) => Some(inner.read(reader, "reason", Kind::Text)?),
    };
    let (Typed::Words(words), Typed::Duration(lasts)) = (programs?, lasts?) else {
        return None;
    };
    if words.is_empty() || words.len() > limits::SILENCE_NAMES {
        let what = format!("there are {} names", words.len());
        let right = format!("1 to {}, or \"all\"", limits::SILENCE_NAMES);
        reader.fault(node.at, &inner.full("programs"), wrong(what, right));
        return None;
    }
    let reason = match reason {
        Some(Typed::Word(word)) => {
            let text = crate::text::printable(word.text.as_bytes()).into_owned();
            Some(crate::text::cut(&text, limits::SILENCE_REASON_BYTES).into_owned())
        }
        Some(_) | None => None,
    };
    Some(MaintenanceSpec {
        programs: words.into_iter().map(|word| word.text).collect(),
        schedule: schedule?,
        lasts,
        reason,
    })
}
