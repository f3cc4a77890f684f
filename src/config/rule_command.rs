//! `exec` and `timeout` of a `[[program.NAME.rule]]`: what it runs. Part of [`super::rule`].

use std::sync::Arc;
use std::time::Duration;

use super::fault::wrong;
use super::keys::Kind;
use super::lists;
use super::read::{Reader, Typed};
use super::timing::Inner;
use crate::limits;
use crate::model::rule::RuleCommand;

const TIMEOUT: Kind = Kind::Duration {
    min: Duration::from_millis(1),
    max: limits::RULE_COMMAND_TIMEOUT_MAX,
};

/// The command of a rule, or none; nothing when it is wrong. `is_run`: whether the
/// rule says that one is run, if it says anything right.
#[expect(clippy::option_option, reason = "wrong is not the same as not there")]
pub(super) fn command(
    reader: &mut Reader<'_>,
    inner: &Inner<'_>,
    is_run: Option<bool>,
) -> Option<Option<RuleCommand>> {
    let timeout = match inner.entry("timeout") {
        Some(_) => inner.read(reader, "timeout", TIMEOUT),
        None => Some(Typed::Duration(limits::RULE_COMMAND_TIMEOUT)),
    };
    let idle = ["exec", "timeout"]
        .into_iter()
        .filter(|_| is_run == Some(false));
    for (name, entry) in idle.filter_map(|name| Some((name, inner.entry(name)?))) {
        let w = wrong("nothing is run", "add \"exec\" to do, or leave it out");
        reader.fault(entry.node.at, &inner.full(name), w);
    }
    let Some(entry) = inner.entry("exec") else {
        if is_run == Some(true) {
            let right = "as exec = [\"/usr/local/bin/dump\", \"web\"]";
            let full = inner.full("exec");
            reader.fault(
                inner.node.at,
                &full,
                wrong("it says not what to run", right),
            );
        }
        return (is_run != Some(true)).then_some(None);
    };
    let full = inner.full("exec");
    let argv = match inner.read(reader, "exec", Kind::Command)? {
        Typed::CommandLine(raw) => lists::split(reader, entry.node.at, &full, &raw)?,
        Typed::Words(words) => words.into_iter().map(|word| word.text).collect(),
        _ => return None,
    };
    let Typed::Duration(timeout) = timeout? else {
        return None;
    };
    let argv: Arc<[String]> = argv.into();
    Some(Some(RuleCommand { argv, timeout }))
}
