//! `[[program.NAME.rule]]`: conditions about figures, and what is done. Part of [`super::read`].

use std::time::Duration;

use super::fault::{Wrong, did_you_mean, shown, wrong};
use super::keys::{Key, Kind};
use super::read::{Reader, Typed, Word};
use super::rule_command;
use super::syntax::{Node, Value};
use super::timing::Inner;
use crate::limits;
use crate::model::rule::{Comparison, Condition, Figure, Rule, RuleAct};
use crate::text;

const ACTS: [&str; 4] = ["alert", "restart", "stop", "exec"];
/// What other tools call our figures.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("mem", "memory"),
    ("rss", "memory"),
    ("memory_bytes", "memory"),
    ("cpu_percent", "cpu"),
    ("open_files", "fds"),
    ("files", "fds"),
    ("read_bytes", "read"),
    ("write_bytes", "write"),
];

/// All rules of a program.
pub(super) fn rules(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    let Value::List(list) = &node.value else {
        if !matches!(node.value, Value::Table(_)) {
            return reader.wrong_type(key, name, node);
        }
        let w = wrong(
            "there can be several rules",
            format!("write [[{name}]] with two brackets"),
        );
        reader.fault(node.at, name, w);
        return None;
    };
    if list.len() > limits::PROGRAM_RULES {
        let what = format!("there are {} rules", list.len());
        let right = format!("{} at the most", limits::PROGRAM_RULES);
        reader.fault(node.at, name, wrong(what, right));
        return None;
    }
    let rules: Vec<Option<Rule>> = list
        .iter()
        .map(|node| rule(reader, key, name, node))
        .collect();
    let rules = rules.into_iter().collect::<Option<Vec<Rule>>>()?;
    Some(Typed::Rules(rules))
}

fn rule(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Rule> {
    let inner = Inner::new(
        reader,
        (key, name),
        node,
        &["when", "for", "do", "exec", "timeout"],
    )?;
    inner.need(reader, "when");
    let hold = match inner.entry("for") {
        Some(_) => inner.read(
            reader,
            "for",
            Kind::Duration {
                min: Duration::ZERO,
                max: limits::CONFIG_DURATION_MAX,
            },
        ),
        None => Some(Typed::Duration(Duration::ZERO)),
    };
    let done = match inner.entry("do") {
        Some(entry) => acts(reader, key, &inner.full("do"), &entry.node),
        None => Some(Acts::ALERT),
    };
    let command = rule_command::command(reader, &inner, done.as_ref().map(|d| d.runs));
    let when = inner.entry("when")?;
    let when = when_of(reader, key, &inner.full("when"), &when.node);
    let Some(Typed::Duration(hold)) = hold else {
        return None;
    };
    let Acts { alert, act, .. } = done?;
    let rule = Rule {
        when: when?,
        hold,
        alert,
        act,
        command: command?,
    };
    match rule.when.figure {
        Figure::Restarts => of_restarts(reader, &inner, &rule),
        _ => Some(rule),
    }
}

/// What is special about restarts: `for` is the time in which they are counted, and one more is no answer.
fn of_restarts(reader: &mut Reader<'_>, inner: &Inner<'_>, rule: &Rule) -> Option<Rule> {
    if let (Some(RuleAct::Restart), Some(entry)) = (rule.act, inner.entry("do")) {
        let w = wrong(
            "a restart is no answer to restarts",
            "\"alert\", \"exec\" or \"stop\"",
        );
        reader.fault(entry.node.at, &inner.full("do"), w);
        return None;
    }
    if !rule.when.comparison.is_upper() {
        let at = inner.entry("when")?.node.at;
        let w = wrong("few restarts break no rule", "as \"restarts > 3\"");
        reader.fault(at, &inner.full("when"), w);
        return None;
    }
    let hold = if rule.hold.is_zero() {
        limits::RULE_RESTARTS_WITHIN
    } else {
        rule.hold
    };
    Some(Rule {
        hold,
        ..rule.clone()
    })
}

/// What a broken rule does.
struct Acts {
    alert: bool,
    act: Option<RuleAct>,
    runs: bool,
}

impl Acts {
    const ALERT: Self = Self {
        alert: true,
        act: None,
        runs: false,
    };
}

fn acts(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Acts> {
    let words = super::lists::texts(reader, key, name, node)?;
    let (mut alert, mut act, mut runs) = (false, None, false);
    let before = reader.faults.len();
    for word in &words {
        let wanted = match word.text.as_str() {
            "alert" => {
                alert = true;
                continue;
            }
            "exec" => {
                runs = true;
                continue;
            }
            "restart" => RuleAct::Restart,
            "stop" => RuleAct::Stop,
            _ => {
                reader.fault(word.at, name, no_act(word));
                continue;
            }
        };
        if act.is_some_and(|act| act != wanted) {
            let w = wrong("it cannot do both", "\"restart\" or \"stop\"");
            reader.fault(word.at, name, w);
        }
        act = Some(wanted);
    }
    (reader.faults.len() == before).then_some(Acts { alert, act, runs })
}

fn no_act(word: &Word) -> Wrong {
    let raw = shown(&word.raw);
    let all = ACTS.map(shown).join(", ");
    let right = did_you_mean(&word.raw, ACTS.into_iter());
    wrong(
        format!("{raw} is nothing a rule does"),
        right.unwrap_or(all),
    )
}

fn when_of(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Condition> {
    let word = reader.word(key, name, node)?;
    let condition = condition(&word.text);
    condition
        .map_err(|wrong| reader.fault(word.at, name, wrong))
        .ok()
}

/// `memory > 1.5GiB`.
fn condition(text: &str) -> Result<Condition, Wrong> {
    let found = Comparison::ALL
        .iter()
        .filter_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)))
        .min_by_key(|((figure, _), _)| figure.len());
    let Some(((figure, value), comparison)) = found else {
        let what = format!("{} compares nothing", shown(text));
        return Err(wrong(
            what,
            "a figure, > or <, and a value, as \"memory > 1.5GiB\"",
        ));
    };
    let figure = figure_of(figure.trim())?;
    let threshold = threshold(figure, value.trim())?;
    Ok(Condition {
        figure,
        comparison,
        threshold,
    })
}

fn figure_of(name: &str) -> Result<Figure, Wrong> {
    let known = || Figure::ALL.iter().map(|figure| figure.as_str());
    if let Some(figure) = Figure::ALL.iter().find(|figure| figure.as_str() == name) {
        return Ok(*figure);
    }
    let raw = shown(name);
    let ours = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == name);
    let right = ours
        .map(|(_, ours)| format!("jikimi calls it {}", shown(ours)))
        .or_else(|| did_you_mean(name, known()))
        .unwrap_or_else(|| known().collect::<Vec<_>>().join(", "));
    Err(wrong(format!("{raw} is no figure"), right))
}

fn threshold(figure: Figure, value: &str) -> Result<f64, Wrong> {
    let number = |text: &str| {
        let value: f64 = text.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    #[expect(clippy::cast_precision_loss, reason = "people do not write such sizes")]
    let size = |text: &str| text::parse_size(text).map(|bytes| bytes as f64);
    let (found, right) = match figure {
        Figure::Cpu => (
            number(value.strip_suffix('%').unwrap_or(value)),
            "percent of one core, as \"cpu > 80%\"",
        ),
        Figure::Memory => (size(value), "a size, as \"memory > 1.5GiB\""),
        Figure::Read | Figure::Write => (
            size(value.strip_suffix("/s").unwrap_or(value)),
            "bytes a second, as \"write > 20MiB/s\"",
        ),
        Figure::Processes | Figure::Threads | Figure::Fds => {
            let whole = value.parse::<u32>().ok().map(f64::from);
            (whole, "a whole number, as \"fds > 1000\"")
        }
        Figure::Restarts => {
            let is_kept = |count: &u32| (*count as usize) < limits::RULE_RESTARTS_KEPT;
            let whole = value.parse::<u32>().ok().filter(is_kept).map(f64::from);
            (
                whole,
                "a whole number, 1023 at the most, as \"restarts > 3\"",
            )
        }
        Figure::LogSilence => {
            let time = text::parse_duration(value).map(|time| time.as_secs_f64());
            (time, "a duration, as \"log_silence > 5m\"")
        }
    };
    found.ok_or_else(|| {
        let (value, figure) = (shown(value), figure.as_str());
        wrong(format!("{value} is no value of {figure}"), right)
    })
}
