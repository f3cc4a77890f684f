//! `metrics`: figures of programs over time, as curves, JSON or comma-separated values. Reads the state folder,
//! whether or not a supervisor runs.

use std::path::Path;

use super::args::MetricsArgs;
use super::connect::Place;
use super::format::{seconds, when};
use super::output::{Failure, Out, chain};
use super::plot::{Size, plot};
use super::stored;
use super::table::Paint;
use crate::clock::{Wall, wall};
use crate::history::candle::Frame;
use crate::history::figures::{Answer, Question, Row, Value, answer};
use crate::history::series::FIGURES;
use crate::history::summary::{RunSummary, Summary};
use crate::limits;
use crate::model::name::{self, InstanceName};
use crate::store::Store;
use crate::text;

/// `jikimi metrics`.
pub fn metrics(place: &Place, asked: &MetricsArgs, out: &mut Out) -> Result<(), Failure> {
    let found = place.find()?;
    let Some(state_dir) = found.state_dir.as_deref() else {
        return Err(stored::nowhere());
    };
    let store = open(state_dir, found.client.is_alive())?;
    let now = wall();
    let to = asked.until.map_or(now, |until| until.moment(now));
    let from = match asked.since {
        Some(since) => since.moment(now),
        None => before(to, asked.range.unwrap_or(limits::METRICS_RANGE)),
    };
    if from >= to {
        return Err(Failure::Usage(
            "the stretch ends before it begins".to_owned(),
        ));
    }
    for (n, instance) in chosen(&store, &asked.names)?.into_iter().enumerate() {
        let question = Question {
            instance,
            from,
            to,
            candles: asked.candles,
        };
        let found = answer(&store, &question, &[]).map_err(|e| Failure::Failed(chain(&e)))?;
        if asked.json {
            let text = serde_json::to_string(&found);
            out.line(&text.map_err(|e| Failure::Failed(e.to_string()))?)?;
        } else if asked.csv {
            csv(&found, (n == 0, asked.candles), out)?;
        } else {
            if n > 0 {
                out.line("")?;
            }
            show(&found, asked, out)?;
        }
    }
    Ok(())
}

fn open(state_dir: &Path, is_live: bool) -> Result<Store, Failure> {
    if is_live {
        return Store::open_read_only(state_dir).map_err(|e| Failure::Failed(chain(&e)));
    }
    stored::open(state_dir)
}

fn before(to: Wall, span: std::time::Duration) -> Wall {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Wall::from_millis(to.millis().saturating_sub(span))
}

fn chosen(store: &Store, names: &[String]) -> Result<Vec<InstanceName>, Failure> {
    let states = store.instance_states();
    let states = states.map_err(|e| Failure::Failed(chain(&e)))?;
    let known: Vec<(InstanceName, Vec<String>)> = states
        .into_iter()
        .map(|state| (state.instance, Vec::new()))
        .collect();
    name::select(names, &known).map_err(|unknown| Failure::Failed(unknown.to_string()))
}

/// A line of names if it is the first, then a row a line.
fn csv(
    answer: &Answer,
    (is_first, candles): (bool, Option<Frame>),
    out: &mut Out,
) -> Result<(), Failure> {
    const PARTS: [&str; 6] = ["open", "high", "low", "close", "mean", "count"];
    if is_first {
        let mut heading = vec!["instance".to_owned(), "time".to_owned()];
        for figure in FIGURES {
            match candles {
                None => heading.push(figure.to_owned()),
                Some(_) => heading.extend(PARTS.map(|part| format!("{figure}_{part}"))),
            }
        }
        out.line(&heading.join(","))?;
    }
    for row in &answer.rows {
        let mut fields = vec![answer.instance.to_string(), row.time.to_string()];
        for figure in FIGURES {
            fields.extend(fields_of(row, figure, candles.is_some()));
        }
        out.line(&fields.join(","))?;
    }
    Ok(())
}

fn fields_of(row: &Row, figure: &str, in_candles: bool) -> Vec<String> {
    let number = |value: f64| {
        if value.is_nan() {
            String::new()
        } else {
            value.to_string()
        }
    };
    match row.figures.get(figure) {
        Some(Value::Candle {
            open,
            high,
            low,
            close,
            mean,
            count,
        }) => [open, high, low, close, mean, count]
            .map(|value| number(*value))
            .to_vec(),
        Some(Value::Number(value)) if !in_candles => vec![number(*value)],
        _ => vec![String::new(); if in_candles { 6 } else { 1 }],
    }
}

fn show(answer: &Answer, asked: &MetricsArgs, out: &mut Out) -> Result<(), Failure> {
    let now = wall();
    let name = Paint::Good.on(&answer.instance.to_string(), out.style);
    let stretch = format!("{} to {}", when(answer.from, now), when(answer.to, now));
    out.line(&format!("{name}  {stretch}  {}", known(answer)))?;
    if answer.rows.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&str> = match asked.figures.as_slice() {
        [] => FIGURES[..2].to_vec(),
        figures => figures.iter().map(String::as_str).collect(),
    };
    for figure in wanted {
        curve(answer, figure, out)?;
    }
    out.line("")?;
    for line in table(answer) {
        out.line(&line)?;
    }
    for told in forecasts(answer, &asked.reach) {
        out.line("")?;
        out.line(&told)?;
    }
    let earlier = answer.runs.len().saturating_sub(limits::METRICS_RUNS_SHOWN);
    if answer.runs.len() > 1 {
        out.line("")?;
        for run in answer.runs.iter().skip(earlier) {
            out.line(&run_line(run, now))?;
        }
    }
    Ok(())
}

/// How much is known, in words.
fn known(answer: &Answer) -> String {
    let every = text::duration(
        std::time::Duration::try_from_secs_f64(answer.resolution_s).unwrap_or_default(),
    );
    match answer.coverage.strategy {
        "none" => "nothing was measured".to_owned(),
        "full" => format!("every {every}"),
        _ => {
            let gaps = answer.coverage.missing.len();
            let gaps = format!("{gaps} {}", if gaps == 1 { "gap" } else { "gaps" });
            let percent = answer.coverage.ratio * 100.0;
            format!("every {every}, {percent:.0}% of it known, {gaps}")
        }
    }
}

fn curve(answer: &Answer, figure: &str, out: &mut Out) -> Result<(), Failure> {
    let points: Vec<(i64, f64)> = answer
        .rows
        .iter()
        .filter_map(|row| Some((row.time.millis(), row.figures.get(figure)?.middle())))
        .collect();
    let values = || points.iter().map(|p| p.1).filter(|v| !v.is_nan());
    let labels = [
        words(figure, values().fold(f64::NEG_INFINITY, f64::max)),
        words(figure, values().fold(f64::INFINITY, f64::min)),
    ];
    let margin = labels.iter().map(String::len).max().unwrap_or(0);
    let width = out.style.width.unwrap_or(limits::METRICS_WIDTH);
    let size = Size {
        width: width.saturating_sub(margin + 2).max(8),
        height: limits::METRICS_HEIGHT,
    };
    out.line("")?;
    out.line(&Paint::Bold.on(figure, out.style))?;
    let lines = plot(&points, (answer.from.millis(), answer.to.millis()), size);
    for (n, line) in lines.iter().enumerate() {
        let label = match n {
            0 => labels[0].as_str(),
            n if n + 1 == size.height => labels[1].as_str(),
            _ => "",
        };
        out.line(&format!("{label:>margin$} ┤{line}"))?;
    }
    Ok(())
}

fn words(figure: &str, value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and no figure is that large"
    )]
    let size = || text::size(value as u64);
    match figure {
        "memory_bytes" => size(),
        "read_bytes" | "write_bytes" => format!("{}/s", size()),
        "cpu_percent" => format!("{value:.1}%"),
        _ => format!("{}", (value * 10.0).round() / 10.0),
    }
}

/// What is to come, a sentence each: `memory_bytes reaches 2 GiB in about 9h (7h to 12h)`.
fn forecasts(answer: &Answer, limits: &[(String, f64)]) -> Vec<String> {
    let mut told = Vec::new();
    for (figure, trend) in &answer.trends {
        let (how, by) = if trend.per_hour < 0.0 {
            ("falls", -trend.per_hour)
        } else {
            ("rises", trend.per_hour)
        };
        told.push(format!(
            "{figure} {how} steadily, by about {} an hour",
            amount(figure, by)
        ));
    }
    for (figure, limit) in limits {
        let reach = answer
            .trends
            .get(figure)
            .and_then(|trend| trend.reaches(*limit));
        let limit = amount(figure, *limit);
        told.push(match reach {
            Some(r) => {
                let [about, soonest, latest] = [r.in_s, r.soonest_s, r.latest_s].map(seconds);
                format!("{figure} reaches {limit} in about {about} ({soonest} to {latest})")
            }
            None => format!("that {figure} reaches {limit} cannot be foretold"),
        });
    }
    told
}

fn amount(figure: &str, value: f64) -> String {
    words(figure, value).trim_end_matches("/s").to_owned()
}

fn table(answer: &Answer) -> Vec<String> {
    let heading = ["", "last", "mean", "p50", "p95", "p99", "peak"];
    let mut lines = vec![line(&heading.map(str::to_owned))];
    for figure in FIGURES {
        if let Some(s) = answer.summary.get(figure) {
            let numbers = [s.last, s.mean, s.p50, s.p95, s.p99, s.max];
            let mut fields = vec![figure.to_owned()];
            fields.extend(numbers.map(|number| words(figure, number)));
            lines.push(line(&fields));
        }
    }
    lines
}

fn line(fields: &[String]) -> String {
    let (first, others) = (&fields[0], &fields[1..]);
    let others: Vec<String> = others.iter().map(|field| format!("{field:>12}")).collect();
    format!("{first:<14}{}", others.concat())
}

fn run_line(run: &RunSummary, now: Wall) -> String {
    let memory = run.figures.get("memory_bytes").copied();
    let cpu = run.figures.get("cpu_percent").copied();
    let part = |figure: &str, s: Summary| {
        let [p50, p95, p99] = [s.p50, s.p95, s.p99].map(|v| words(figure, v));
        let peak = words(figure, s.max);
        format!("{figure} p50 {p50}, p95 {p95}, p99 {p99}, peak {peak}")
    };
    let mut parts = vec![format!("run {} from {}", run.run, when(run.from, now))];
    parts.extend(memory.map(|s| part("memory_bytes", s)));
    parts.extend(cpu.map(|s| part("cpu_percent", s)));
    parts.join("; ")
}
