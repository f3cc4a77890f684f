//! `program.NAME.log_silence`: how long a program may write nothing, and what then. Part of [`super::read`] and of
//! [`super::programs`].

use super::fields::Fields;
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::syntax::{Node, Value};
use super::timing::{Inner, LASTING};
use crate::model::log_silence::{LogSilence, SilenceAct};

/// `"5m"`, or `{ after = "5m", then = "restart" }`.
pub(super) fn log_silence(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    if matches!(node.value, Value::Text(_) | Value::Integer(_)) {
        let plain = Key {
            kind: LASTING,
            ..*key
        };
        let Typed::Duration(after) = reader.read(&plain, name, node)? else {
            return None;
        };
        let then = SilenceAct::Alert;
        return Some(Typed::LogSilence(LogSilence { after, then }));
    }
    let inner = Inner::new(reader, (key, name), node, &["after", "then"])?;
    inner.need(reader, "after");
    let acts = Kind::Choice {
        now: &["alert", "restart"],
        later: &[],
    };
    let then = match inner.entry("then") {
        None => Some(SilenceAct::Alert),
        Some(_) => match inner.read(reader, "then", acts) {
            Some(Typed::Word(word)) if word.text == "restart" => Some(SilenceAct::Restart),
            Some(_) => Some(SilenceAct::Alert),
            None => None,
        },
    };
    match (inner.read(reader, "after", LASTING)?, then?) {
        (Typed::Duration(after), then) => Some(Typed::LogSilence(LogSilence { after, then })),
        _ => None,
    }
}

/// What a program says of it.
pub(super) fn of(fields: &Fields) -> Option<LogSilence> {
    match fields.written("program.*.log_silence") {
        Some(Typed::LogSilence(silence)) => Some(*silence),
        _ => None,
    }
}
