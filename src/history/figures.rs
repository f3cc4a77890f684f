//! Figures over a stretch of time: what was asked, put together from memory, rows, chunks and candles, and how much
//! of it is there. Chooses the resolution that the question needs. Owns nothing.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::candle::{Bar, Candles, Frame};
use super::chunk;
use super::forecast::{Trend, trend};
use super::overlap::{self, Span};
use super::pack::SAMPLER;
use super::series::{FIGURES, Series};
use super::summary::{self, RunSummary, Summary};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::Sample;
use crate::store::{Store, StoreError, StoredHistory};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of which instance.
    pub instance: InstanceName,
    /// From when.
    pub from: Wall,
    /// Until when, included.
    pub to: Wall,
    /// In candles of that length; none: as fine as the stretch allows.
    pub candles: Option<Frame>,
}

/// The answer; an object of `metrics --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The program.
    pub program: String,
    /// `web`, or `web:0`.
    pub instance: InstanceName,
    /// As asked.
    pub from: Wall,
    /// As asked.
    pub to: Wall,
    /// From one row to the next, usually.
    pub resolution_s: f64,
    /// How much of the stretch is known.
    pub coverage: Coverage,
    /// The rows, oldest first.
    pub rows: Vec<Row>,
    /// Each figure summed up over the whole stretch.
    pub summary: BTreeMap<String, Summary>,
    /// Of those that rise or fall steadily, by how much.
    pub trends: BTreeMap<String, Trend>,
    /// And over each run in it, the latest last; none where the answer is of candles.
    pub runs: Vec<RunSummary>,
}

/// How much of a stretch is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The share of it, from 0 to 1.
    pub ratio: f64,
    /// The stretches nobody measured in, oldest first.
    pub missing: Vec<(Wall, Wall)>,
    /// How many chunks, or blocks of candles, it was put together from.
    pub chunks: usize,
    /// `full`, `partial` or `none`: what was found of it.
    pub strategy: &'static str,
}

/// The figures of one moment, or of one candle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// When, or when the candle starts.
    pub time: Wall,
    /// By name; those without a value are null.
    #[serde(flatten)]
    pub figures: BTreeMap<String, Value>,
}

/// A figure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// At that moment; the mean where samples would be too many.
    Number(#[serde(serialize_with = "number")] f64),
    /// In a candle.
    Candle {
        /// The first value.
        #[serde(serialize_with = "number")]
        open: f64,
        /// The highest.
        #[serde(serialize_with = "number")]
        high: f64,
        /// The lowest.
        #[serde(serialize_with = "number")]
        low: f64,
        /// The last.
        #[serde(serialize_with = "number")]
        close: f64,
        /// The mean.
        mean: f64,
        /// How many there were.
        #[serde(serialize_with = "number")]
        count: f64,
    },
}

/// Whole numbers as such; what is none of them as null.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::cast_possible_truncation,
    reason = "serde's form; looked at"
)]
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

impl Value {
    /// The one number that stands for it.
    #[must_use]
    pub const fn middle(self) -> f64 {
        match self {
            Self::Number(value) => value,
            Self::Candle { mean, .. } => mean,
        }
    }
}

impl From<&Bar> for Value {
    fn from(bar: &Bar) -> Self {
        Self::Candle {
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            mean: bar.mean(),
            count: bar.count,
        }
    }
}

/// Answers `question` from `store`, and from `recent`: samples in memory, some of which may be stored.
///
/// # Errors
/// The database does not answer.
pub fn answer(store: &Store, question: &Question, recent: &[Sample]) -> Result<Answer, StoreError> {
    let stretch = (question.from.millis(), question.to.millis());
    let frame = match question.candles {
        Some(frame) => Some(frame),
        None => resolution(store, question)?,
    };
    // Whole candles, or the first and the last would be of a part of their samples.
    let stretch = frame.map_or(stretch, |frame| {
        let end = frame.start(stretch.1) + frame.millis() - 1;
        (frame.start(stretch.0), end)
    });
    let blocks = frame.map(|frame| (frame.seconds(), frame.block(stretch.0)));
    let stored = store.stored_history(&question.instance, stretch, blocks)?;
    Ok(match frame {
        Some(frame) => of_candles(question, frame, &stored, recent),
        None => of_samples(question, &stored, recent),
    })
}

/// The length of candles that a long stretch needs; none where each sample can be given.
fn resolution(store: &Store, question: &Question) -> Result<Option<Frame>, StoreError> {
    let stretch = (question.from.millis(), question.to.millis());
    let long = question.to.since(question.from);
    if long <= limits::HISTORY_FULL_MAX
        && store.packed_rows(&question.instance, stretch)? <= limits::HISTORY_ROWS_MAX
    {
        return Ok(None);
    }
    Ok(Some(coarse(stretch.1.saturating_sub(stretch.0))))
}

fn coarse(millis: i64) -> Frame {
    Frame::ALL
        .into_iter()
        .find(|frame| millis / frame.millis() <= limits::HISTORY_CANDLES_MAX)
        .unwrap_or(Frame::Day)
}

fn of_samples(question: &Question, stored: &StoredHistory, recent: &[Sample]) -> Answer {
    let mut all = Collected::default();
    for chunk in stored.chunks.iter().filter(|c| c.source == SAMPLER) {
        match chunk::decode(&chunk.data, chunk.rows) {
            Ok(series) => all.take(chunk.run, &series),
            Err(error) => log::warn!("a chunk of {} cannot be read: {error}", question.instance),
        }
    }
    for sample in stored.samples.iter().chain(recent) {
        all.take(Some(sample.run), &Series::from_samples([sample]));
    }
    let (from, to) = (question.from.millis(), question.to.millis());
    let mut series = all.series;
    series.settle();
    let series = series.filter(|time| (from..=to).contains(&time));
    let step = usual_step(&series.times);
    let rows: Vec<Row> = (0..series.len()).map(|at| plain_row(&series, at)).collect();
    let covered = reaching(question, spans_of_samples(&series.times, step), step);
    Answer {
        coverage: coverage(question, &covered, stored.chunks.len()),
        trends: trends(&rows),
        rows,
        summary: summary::of(&series),
        runs: summary::of_runs(&series, &all.runs),
        ..empty(question, seconds(step))
    }
}

fn empty(question: &Question, resolution_s: f64) -> Answer {
    Answer {
        program: question.instance.program().to_string(),
        instance: question.instance.clone(),
        from: question.from,
        to: question.to,
        resolution_s,
        coverage: coverage(question, &[], 0),
        rows: Vec::new(),
        summary: BTreeMap::new(),
        trends: BTreeMap::new(),
        runs: Vec::new(),
    }
}

/// Rows from everywhere, and when each run was seen first and last.
struct Collected {
    series: Series,
    runs: BTreeMap<RunId, Span>,
}

impl Default for Collected {
    fn default() -> Self {
        Self {
            series: Series::of(&FIGURES),
            runs: BTreeMap::new(),
        }
    }
}

impl Collected {
    fn take(&mut self, run: Option<RunId>, series: &Series) {
        self.series.append(series);
        let (Some(run), Some(from), Some(to)) =
            (run, series.times.iter().min(), series.times.iter().max())
        else {
            return;
        };
        let span = self.runs.entry(run).or_insert(Span {
            from: *from,
            to: *to,
        });
        span.from = span.from.min(*from);
        span.to = span.to.max(*to);
    }
}

fn plain_row(series: &Series, at: usize) -> Row {
    let value =
        |column: &super::series::Column| (column.name.clone(), Value::Number(column.values[at]));
    Row {
        time: Wall::from_millis(series.times[at]),
        figures: series.columns.iter().map(value).collect(),
    }
}

fn of_candles(
    question: &Question,
    frame: Frame,
    stored: &StoredHistory,
    recent: &[Sample],
) -> Answer {
    let mut candles = Candles::new(frame);
    for block in stored.candles.iter().filter(|b| b.source == SAMPLER) {
        match chunk::decode(&block.data, block.rows) {
            Ok(series) => candles.merge(&Candles::from_series(frame, &series)),
            Err(error) => log::warn!("candles of {} cannot be read: {error}", question.instance),
        }
    }
    let packed_until = last_packed(&candles);
    candles.add(&Series::from_samples(&stored.samples));
    // Of those in memory the older ones are stored, as rows or in candles.
    let newest = stored.samples.last().map(|s| s.time.millis());
    let newest = newest.max(packed_until).unwrap_or(i64::MIN);
    let (from, to) = (question.from.millis(), question.to.millis());
    let end = frame.start(to) + frame.millis() - 1;
    let fresh = |s: &&Sample| s.time.millis() > newest && s.time.millis() <= end;
    candles.add(&Series::from_samples(recent.iter().filter(fresh)));
    candles
        .rows
        .retain(|start, _| *start + frame.millis() > from && *start <= to);
    let covered: Vec<Span> = candles
        .rows
        .keys()
        .map(|start| Span {
            from: *start,
            to: start + frame.millis() - 1,
        })
        .collect();
    let covered = reaching(question, covered, frame.millis());
    let is_asked = question.candles.is_some();
    let rows = candles.rows.iter();
    let rows = rows.map(|(start, bars)| candle_row(&candles.names, (*start, bars), is_asked));
    let rows: Vec<Row> = rows.collect();
    Answer {
        coverage: coverage(question, &covered, stored.candles.len()),
        trends: trends(&rows),
        rows,
        summary: summary::of_candles(&candles),
        ..empty(question, seconds(frame.millis()))
    }
}

fn last_packed(candles: &Candles) -> Option<i64> {
    let bars = candles.rows.values().next_back()?.iter().flatten();
    bars.map(|bar| bar.last_at).max()
}

fn candle_row(names: &[String], (start, bars): (i64, &Vec<Option<Bar>>), is_asked: bool) -> Row {
    let value = |(place, name): (usize, &String)| {
        let bar = bars.get(place).copied().flatten();
        let value = match &bar {
            Some(bar) if is_asked => Value::from(bar),
            Some(bar) => Value::Number(bar.mean()),
            None => Value::Number(f64::NAN),
        };
        (name.clone(), value)
    };
    Row {
        time: Wall::from_millis(start),
        figures: names.iter().enumerate().map(value).collect(),
    }
}

fn trends(rows: &[Row]) -> BTreeMap<String, Trend> {
    let of = |name: &str| {
        let points: Vec<(i64, f64)> = rows
            .iter()
            .filter_map(|row| Some((row.time.millis(), row.figures.get(name)?.middle())))
            .filter(|(_, value)| value.is_finite())
            .collect();
        Some((name.to_owned(), trend(&points)?))
    };
    FIGURES.into_iter().filter_map(of).collect()
}

/// The median distance of samples, in milliseconds.
fn usual_step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(0)
}

/// What samples cover: each the distance to the one before it and after it, unless that is a gap.
fn spans_of_samples(times: &[i64], step: i64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for time in times {
        match spans.last_mut() {
            Some(span) if !is_gap(time - span.to, step) => span.to = *time,
            _ => spans.push(Span {
                from: *time,
                to: *time,
            }),
        }
    }
    for span in &mut spans {
        span.from -= step;
        span.to += step;
    }
    spans
}

/// What is measured is stored some moments later, and a stretch seldom begins with a sample: that is no gap.
fn reaching(question: &Question, mut covered: Vec<Span>, step: i64) -> Vec<Span> {
    let (from, to) = (question.from.millis(), question.to.millis());
    if let Some(first) = covered.first_mut()
        && !is_gap(first.from - from, step)
    {
        first.from = first.from.min(from);
    }
    if let Some(last) = covered.last_mut()
        && !is_gap(to - last.to, step)
    {
        last.to = last.to.max(to);
    }
    covered
}

#[expect(clippy::cast_precision_loss, reason = "distances of samples")]
fn is_gap(distance: i64, step: i64) -> bool {
    distance as f64 > step as f64 * limits::HISTORY_GAP
}

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
fn coverage(question: &Question, covered: &[Span], chunks: usize) -> Coverage {
    let asked = Span {
        from: question.from.millis(),
        to: question.to.millis().max(question.from.millis()),
    };
    let missing = overlap::missing(asked, covered.iter().copied(), 1);
    let lost: i64 = missing.iter().map(|gap| gap.to - gap.from + 1).sum();
    let ratio = 1.0 - lost as f64 / (asked.to - asked.from + 1) as f64;
    let wall = |gap: &Span| (Wall::from_millis(gap.from), Wall::from_millis(gap.to));
    Coverage {
        ratio: (ratio * 10_000.0).round() / 10_000.0,
        missing: missing
            .iter()
            .take(limits::HISTORY_GAPS_MAX)
            .map(wall)
            .collect(),
        chunks,
        strategy: match (covered.is_empty(), missing.is_empty()) {
            (true, _) => "none",
            (false, true) => "full",
            (false, false) => "partial",
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "distances of samples")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
