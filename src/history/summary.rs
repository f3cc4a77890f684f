//! Figures summed up: extremes, mean and percentiles of a stretch or of a run. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::candle::Candles;
use super::overlap::Span;
use super::series::{Column, Series};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;

/// One figure summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The lowest value.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half of the values are no higher. Where the answer is of candles, these three are of their means.
    pub p50: f64,
    /// Of twenty values one is higher.
    pub p95: f64,
    /// Of a hundred one is.
    pub p99: f64,
    /// The highest: the peak.
    pub max: f64,
    /// The last.
    pub last: f64,
}

/// One run summed up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Which.
    pub run: RunId,
    /// When it was measured first, within the stretch.
    pub from: Wall,
    /// And last.
    pub to: Wall,
    /// By name.
    pub figures: BTreeMap<String, Summary>,
}

/// Every figure of `series` that has a value.
#[must_use]
pub fn of(series: &Series) -> BTreeMap<String, Summary> {
    let one = |column: &Column| Some((column.name.clone(), sum_up(column.values.clone())?));
    series.columns.iter().filter_map(one).collect()
}

/// The latest of `runs`, each by its rows of `series`.
#[must_use]
pub fn of_runs(series: &Series, runs: &BTreeMap<RunId, Span>) -> Vec<RunSummary> {
    let mut runs: Vec<(&RunId, &Span)> = runs.iter().collect();
    runs.sort_by_key(|(_, span)| span.from);
    let skipped = runs.len().saturating_sub(limits::HISTORY_RUNS);
    let one = |(run, span): (&RunId, &Span)| {
        let rows = series.filter(|time| (span.from..=span.to).contains(&time));
        (!rows.is_empty()).then(|| RunSummary {
            run: *run,
            from: Wall::from_millis(span.from),
            to: Wall::from_millis(span.to),
            figures: of(&rows),
        })
    };
    runs.into_iter().skip(skipped).filter_map(one).collect()
}

/// Every figure of `candles`.
#[must_use]
pub fn of_candles(candles: &Candles) -> BTreeMap<String, Summary> {
    let one = |(place, name): (usize, &String)| {
        let bars = || {
            let bars = candles.rows.values();
            bars.filter_map(move |bars| bars.get(place).copied().flatten())
        };
        let summary = sum_up(bars().map(|bar| bar.mean()).collect())?;
        let count: f64 = bars().map(|bar| bar.count).sum();
        let exact = Summary {
            min: bars().map(|bar| bar.low).fold(f64::INFINITY, f64::min),
            max: bars().map(|bar| bar.high).fold(f64::NEG_INFINITY, f64::max),
            mean: bars().map(|bar| bar.sum).sum::<f64>() / count,
            last: bars().next_back()?.close,
            ..summary
        };
        Some((name.clone(), exact))
    };
    candles.names.iter().enumerate().filter_map(one).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a count of values")]
fn sum_up(mut values: Vec<f64>) -> Option<Summary> {
    values.retain(|value| !value.is_nan());
    let last = *values.last()?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.sort_by(f64::total_cmp);
    Some(Summary {
        min: *values.first()?,
        mean,
        p50: percentile(&values, 50)?,
        p95: percentile(&values, 95)?,
        p99: percentile(&values, 99)?,
        max: *values.last()?,
        last,
    })
}

/// The nearest rank: a value that was measured.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let summary = sum_up(values).expect("values");
        let got = [
            summary.min,
            summary.p50,
            summary.p95,
            summary.p99,
            summary.max,
            summary.last,
        ];
        assert_eq!(
            got.map(f64::to_bits),
            [1.0, 100.0, 190.0, 198.0, 200.0, 1.0].map(f64::to_bits)
        );
        assert!((summary.mean - 100.5).abs() < 1e-9);
        assert_eq!(sum_up(vec![f64::NAN]), None);
        let one = sum_up(vec![7.0]).expect("one value");
        assert_eq!(one.p99.to_bits(), 7.0_f64.to_bits());
    }
}
