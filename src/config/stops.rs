//! How a program is asked to end: console lines, or signals, with pauses between them. Part of [`super::read`].
//! What they mean together with the rest of a program is told here too.

use std::time::Duration;

use super::fault::{Wrong, wrong};
use super::fields::{Block, Fields};
use super::keys::Key;
use super::read::{Reader, Typed, duration_in};
use super::syntax::{Node, Value};
use crate::limits;
use crate::model::console::Console;
use crate::model::stop::{ConsoleLine, StopAct, StopPlan, StopStep};

/// The name of a signal, or a list of such names and pauses.
pub(super) fn signals(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    if !matches!(node.value, Value::List(_)) {
        let act = signal(reader, key, name, node)?;
        return Some(Typed::Stops(vec![StopStep::Act(act)]));
    }
    let steps = steps(reader, key, (name, node), signal)?;
    if let Err(wrong) = ends_are_acts(&steps, "a signal") {
        reader.fault(node.at, name, wrong);
        return None;
    }
    Some(Typed::Stops(steps))
}

/// A list of console lines and pauses.
pub(super) fn lines(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    let steps = steps(reader, key, (name, node), line)?;
    if let Err(wrong) = ends_are_acts(&steps, "a line") {
        reader.fault(node.at, name, wrong);
        return None;
    }
    Some(Typed::Stops(steps))
}

type ReadAct = fn(&mut Reader<'_>, &Key, &str, &Node) -> Option<StopAct>;

/// The acts and pauses of a list.
fn steps(
    reader: &mut Reader<'_>,
    key: &Key,
    (name, node): (&str, &Node),
    act: ReadAct,
) -> Option<Vec<StopStep>> {
    let Value::List(list) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    if list.is_empty() || list.len() > limits::STOP_STEPS_MAX {
        let what = match list.len() {
            0 => "the list is empty".to_owned(),
            many => format!("{many} steps are too many"),
        };
        let right = format!("1 to {} steps", limits::STOP_STEPS_MAX);
        reader.fault(node.at, name, wrong(what, right));
        return None;
    }
    let steps: Vec<Option<StopStep>> = list
        .iter()
        .map(|item| match &item.value {
            Value::Table(_) => pause(reader, key, name, item).map(StopStep::Wait),
            _ => act(reader, key, name, item).map(StopStep::Act),
        })
        .collect();
    steps.into_iter().collect()
}

fn signal(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<StopAct> {
    reader.one_signal(key, name, node).map(StopAct::Signal)
}

fn line(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<StopAct> {
    console_line(reader, key, name, node).map(StopAct::Line)
}

/// What can be typed as one line.
pub(super) fn console_line(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<ConsoleLine> {
    let word = reader.word(key, name, node)?;
    if word.text.contains('\n') || word.text.len() > limits::CONSOLE_LINE_BYTES {
        let most = limits::CONSOLE_LINE_BYTES;
        let right = format!("lines of {most} bytes at the most, without their ends");
        reader.fault(node.at, name, wrong("it is no single line", right));
        return None;
    }
    Some(ConsoleLine {
        text: word.text.into(),
        written: word.raw.into(),
    })
}

/// `{ wait = "10s" }`.
fn pause(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Duration> {
    let right = "a pause is written { wait = \"10s\" }";
    let Value::Table(table) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let Some(entry) = table.get("wait").filter(|_| table.len() == 1) else {
        let w = wrong("such a table cannot stand here", right);
        reader.fault(node.at, name, w);
        return None;
    };
    if !matches!(entry.node.value, Value::Text(_)) {
        let what = format!("{} cannot stand here", entry.node.value.describe());
        reader.fault(entry.node.at, name, wrong(what, right));
        return None;
    }
    let word = reader.word(key, name, &entry.node)?;
    match duration_in(&word, Duration::ZERO, limits::CONFIG_DURATION_MAX) {
        Ok(wait) => Some(wait),
        Err(wrong) => {
            reader.fault(entry.node.at, name, wrong);
            None
        }
    }
}

fn ends_are_acts(steps: &[StopStep], what: &str) -> Result<(), Wrong> {
    let is_wait = |step: Option<&StopStep>| matches!(step, Some(StopStep::Wait(_)));
    if is_wait(steps.last()) {
        return Err(wrong(
            "it ends with a pause",
            format!("end with {what}; stop_timeout is the pause after it"),
        ));
    }
    if is_wait(steps.first()) {
        let right = format!("begin with {what}");
        return Err(wrong("it begins with a pause", right));
    }
    Ok(())
}

const STDIN: &str = "program.*.stdin";
const TERMINAL: &str = "program.*.terminal";
const STOP_STDIN: &str = "program.*.stop_stdin";

/// What a program's standard input is: its terminal, or a pipe where lines are to be typed.
pub(super) fn console(reader: &mut Reader<'_>, block: &Block) -> Console {
    let fields = &block.fields;
    if fields.switch(TERMINAL) {
        if let (Some(_), Some(at)) = (fields.text_written(STDIN), fields.place(STDIN)) {
            let w = wrong(
                "with terminal = true its standard input is the terminal",
                "leave one of the two out",
            );
            reader.fault(at, &format!("{}.stdin", block.shown), w);
        }
        return Console::Terminal;
    }
    let stops = fields.place(STOP_STDIN).map(|at| (at, "stop_stdin"));
    let typed = stops.or_else(|| super::announce::place(fields));
    match (fields.text_written(STDIN).as_deref(), typed) {
        (Some("null"), Some((at, key))) => {
            let w = wrong(
                "with stdin = \"null\" nothing can be typed",
                "leave stdin out, or write stdin = \"pipe\"",
            );
            reader.fault(at, &format!("{}.{key}", block.shown), w);
            Console::Null
        }
        (Some("pipe"), _) | (None, Some(_)) => Console::Pipe,
        (Some(_) | None, _) => Console::Null,
    }
}

/// How a program is asked to end.
pub(super) fn plan(fields: &Fields) -> StopPlan {
    StopPlan {
        lines: fields.stops(STOP_STDIN),
        signals: fields.stops("program.*.stop_signal"),
    }
}
