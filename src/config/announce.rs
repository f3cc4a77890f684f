//! Lines that are typed before a planned restart and before a run has lasted as long as it may, from their keys. Part of [`super::read`] and of
//! [`super::programs`].

use std::cmp::Reverse;
use std::time::Duration;

use super::fault::wrong;
use super::fields::Fields;
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::source::At;
use super::stops;
use super::syntax::{Node, Value};
use super::timing::{Inner, calendar};
use crate::limits;
use crate::model::calendar::Calendar;
use crate::model::timing::{Announcement, MaxRuntime};

const RESTART_AT: &str = "program.*.restart_at";
const MAX_RUNTIME: &str = "program.*.max_runtime";

/// A calendar, whose table may have `announce = [{ before = "5m", line = "say restart in 5 minutes" }]`.
pub(super) fn restarts(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let calendar = calendar(reader, (key, name), node, &["at", "zone", "announce"]);
    let announce = inner_announce(reader, key, name, node);
    Some(Typed::Restarts(calendar?, announce?))
}

/// The lines in a table that may have `announce`.
pub(super) fn inner_announce(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Vec<Announcement>> {
    let entry = match &node.value {
        Value::Table(table) => table.get("announce"),
        _ => None,
    };
    match entry {
        Some(entry) => announcements(reader, key, &format!("{name}.announce"), &entry.node),
        None => Some(Vec::new()),
    }
}

/// All of them, the longest before it first.
fn announcements(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Vec<Announcement>> {
    let Value::List(list) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    if list.is_empty() || list.len() > limits::ANNOUNCEMENTS_MAX {
        let what = match list.len() {
            0 => "the list is empty".to_owned(),
            many => format!("{many} lines are too many"),
        };
        let right = format!("1 to {} lines", limits::ANNOUNCEMENTS_MAX);
        reader.fault(node.at, name, wrong(what, right));
        return None;
    }
    let all: Vec<Option<Announcement>> = list
        .iter()
        .map(|item| announcement(reader, key, name, item))
        .collect();
    let mut all = all.into_iter().collect::<Option<Vec<Announcement>>>()?;
    all.sort_by_key(|announcement| Reverse(announcement.before));
    Some(all)
}

fn announcement(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Announcement> {
    let inner = Inner::new(reader, (key, name), node, &["before", "line"])?;
    inner.need(reader, "before");
    inner.need(reader, "line");
    let before = Kind::Duration {
        min: Duration::from_millis(1),
        max: limits::ANNOUNCE_BEFORE_MAX,
    };
    let before = inner.read(reader, "before", before);
    let line = &inner.entry("line")?.node;
    let line = stops::console_line(reader, key, &inner.full("line"), line)?;
    match before? {
        Typed::Duration(before) => Some(Announcement { before, line }),
        _ => None,
    }
}

/// When a program is restarted, and what is typed before that.
pub(super) fn planned(fields: &Fields) -> (Option<Calendar>, Vec<Announcement>) {
    match fields.written(RESTART_AT) {
        Some(Typed::Restarts(calendar, announce)) => (Some(calendar.clone()), announce.clone()),
        _ => (None, Vec::new()),
    }
}

/// How long a run may last, and what is typed before that.
pub(super) fn lasting(fields: &Fields) -> (Option<MaxRuntime>, Vec<Announcement>) {
    match fields.written(MAX_RUNTIME) {
        Some(Typed::MaxRuntime(max, announce)) => (Some(*max), announce.clone()),
        _ => (None, Vec::new()),
    }
}

/// Where a program says that something is typed before it is ended, and the key that says so.
pub(super) fn place(fields: &Fields) -> Option<(At, &'static str)> {
    let says =
        |path, announce: Vec<Announcement>| fields.place(path).filter(|_| !announce.is_empty());
    let restarts = says(RESTART_AT, planned(fields).1).map(|at| (at, "restart_at.announce"));
    let lasts = || says(MAX_RUNTIME, lasting(fields).1).map(|at| (at, "max_runtime.announce"));
    restarts.or_else(lasts)
}
