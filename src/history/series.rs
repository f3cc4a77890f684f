//! Samples as columns: times, and a column of numbers a figure. Pure. What is absent is NaN.

use crate::model::sample::{Figures, Sample};

/// The figures of every measured program, as they are called everywhere.
pub const FIGURES: [&str; 7] = [
    "cpu_percent",
    "memory_bytes",
    "processes",
    "threads",
    "open_files",
    "read_bytes",
    "write_bytes",
];

/// One figure, a value a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What it is called.
    pub name: String,
    /// The values.
    pub values: Vec<f64>,
}

/// Rows in columns. Every column is as long as `times`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Milliseconds since the Unix epoch.
    pub times: Vec<i64>,
    /// The figures.
    pub columns: Vec<Column>,
}

impl Series {
    /// No rows yet of the figures called `names`.
    pub fn of(names: &[&str]) -> Self {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            values: Vec::new(),
        };
        Self {
            times: Vec::new(),
            columns: names.iter().map(column).collect(),
        }
    }

    /// Samples of one instance.
    pub fn from_samples<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut series = Self::of(&FIGURES);
        for sample in samples {
            series.push(sample.time.millis(), &values(&sample.figures));
        }
        series
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a row; `values` in the order of the columns.
    pub fn push(&mut self, time: i64, values: &[f64]) {
        self.times.push(time);
        for (n, column) in self.columns.iter_mut().enumerate() {
            column
                .values
                .push(values.get(n).copied().unwrap_or(f64::NAN));
        }
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Takes in all rows of `other`, whose figures may be others: those it lacks are absent in its rows.
    pub fn append(&mut self, other: &Self) {
        let before = self.len();
        for theirs in &other.columns {
            if self.column(&theirs.name).is_none() {
                self.columns.push(Column {
                    name: theirs.name.clone(),
                    values: vec![f64::NAN; before],
                });
            }
        }
        self.times.extend_from_slice(&other.times);
        for column in &mut self.columns {
            match other.column(&column.name) {
                Some(theirs) => column.values.extend_from_slice(&theirs.values),
                None => column.values.resize(before + other.len(), f64::NAN),
            }
        }
    }

    /// Puts the rows in the order of their times; of two with the same time the one that came first is kept.
    pub fn settle(&mut self) {
        if self.times.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|at| self.times[*at]);
        order.dedup_by_key(|at| self.times[*at]);
        *self = self.pick(&order);
    }

    /// The rows that `wanted` says yes to, by time.
    #[must_use]
    pub fn filter(&self, wanted: impl Fn(i64) -> bool) -> Self {
        let order: Vec<usize> = (0..self.len())
            .filter(|at| wanted(self.times[*at]))
            .collect();
        self.pick(&order)
    }

    /// Those rows, in that order.
    #[must_use]
    pub fn pick(&self, rows: &[usize]) -> Self {
        Self {
            times: rows.iter().map(|at| self.times[*at]).collect(),
            columns: self
                .columns
                .iter()
                .map(|column| Column {
                    name: column.name.clone(),
                    values: rows.iter().map(|at| column.values[*at]).collect(),
                })
                .collect(),
        }
    }
}

/// The figures in the order of [`FIGURES`].
#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn values(f: &Figures) -> [f64; FIGURES.len()] {
    [
        f.cpu_percent,
        f.memory_bytes as f64,
        f64::from(f.processes),
        f64::from(f.threads),
        f64::from(f.open_files),
        f.read_bytes as f64,
        f.write_bytes as f64,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_of_two_at_a_time_the_first_stays() {
        let mut series = Series::of(&["a"]);
        for (time, value) in [(3, 30.0), (1, 10.0), (3, 31.0), (2, 20.0)] {
            series.push(time, &[value]);
        }
        series.settle();
        assert_eq!(series.times, [1, 2, 3]);
        assert_eq!(series.columns[0].values, [10.0, 20.0, 30.0]);
    }

    #[test]
    fn figures_that_one_side_lacks_are_absent_there() {
        let (mut one, mut other) = (Series::of(&["a"]), Series::of(&["b"]));
        one.push(1, &[1.0]);
        other.push(2, &[2.0]);
        one.append(&other);
        assert_eq!(one.times, [1, 2]);
        let column = |name: &str| one.column(name).expect("a column").values.clone();
        assert!(column("a")[1].is_nan() && column("b")[0].is_nan());
        assert_eq!(
            (column("a")[0].to_bits(), column("b")[1].to_bits()),
            (1_f64.to_bits(), 2_f64.to_bits())
        );
    }
}
