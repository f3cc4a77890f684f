//! `fallback` of targets: that the other target is there, and that none leads back to where it began.

use super::depends::circles;
use super::fault::{shown, wrong};
use super::fields::{Block, Fields};
use super::load::known_names;
use super::read::Reader;
use crate::model::target::Fallback;

const KEY: &str = "target.*.fallback";

/// Who is told instead, if anybody.
pub(super) fn fallback(fields: &Fields) -> Option<Fallback> {
    Some(Fallback {
        to: fields.text_written(KEY)?.into(),
        after: fields.duration("target.*.fallback_after"),
    })
}

/// Reports unknown targets, and each circle once, spelled out.
pub(super) fn check(reader: &mut Reader<'_>, targets: &[Block]) {
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(targets.len());
    for block in targets {
        let Some(to) = block.fields.text_written(KEY) else {
            edges.push(Vec::new());
            continue;
        };
        let at = block.fields.place(KEY).unwrap_or(block.at);
        let full = format!("{}.fallback", block.shown);
        let found = targets.iter().position(|b| b.name == to);
        if to == block.name {
            let w = wrong("it is its own fallback", "name another target");
            reader.fault(at, &full, w);
            edges.push(Vec::new());
            continue;
        }
        if found.is_none() && !reader.sources.is_broken() {
            let names = targets.iter().map(|b| b.name.as_str());
            let what = format!("no target is called {}", shown(&to));
            reader.fault(at, &full, wrong(what, known_names(&to, names)));
        }
        edges.push(found.into_iter().collect());
    }
    for circle in circles(&edges) {
        let block = &targets[circle[0]];
        let at = block.fields.place(KEY).unwrap_or(block.at);
        let names: Vec<&str> = circle
            .iter()
            .chain(&circle[..1])
            .map(|i| targets[*i].name.as_str())
            .collect();
        let what = format!("these stand in for each other, {}", names.join(" -> "));
        let full = format!("{}.fallback", block.shown);
        reader.fault(at, &full, wrong(what, "take one of them out"));
    }
}
