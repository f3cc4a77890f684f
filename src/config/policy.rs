//! When a program is started again, besides its backoff and limit: which ends forbid it. Part of
//! [`super::read`] and of [`super::programs`].

use super::fields::Fields;
use super::keys::Key;
use super::read::{Reader, Typed};
use super::syntax::{Node, Value};
use crate::model::ends::EndPolicy;
use crate::model::program::Signal;

/// A list of signals, by name or number.
pub(super) fn signals(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::List(list) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let signals: Vec<Option<Signal>> = list
        .iter()
        .map(|item| reader.one_signal(key, name, item))
        .collect();
    let signals = signals.into_iter().collect::<Option<_>>()?;
    Some(Typed::Signals(signals))
}

/// What the program says of its own ends.
pub(super) fn ends(fields: &Fields) -> EndPolicy {
    EndPolicy {
        success_signals: fields.signals("program.*.success_signals"),
        no_restart_exit_codes: fields.exit_codes_written("program.*.no_restart_exit_codes"),
        no_restart_signals: fields.signals("program.*.no_restart_signals"),
    }
}
