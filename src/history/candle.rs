//! Candles: of each figure the first, highest, lowest, last and mean value of a minute, five, fifteen, an hour, a day.
//! Pure. Rows may come in any order and in any number of portions: the candles are those of all of them together, as
//! long as no row comes twice.

use std::collections::BTreeMap;

use super::series::Series;

/// How long a candle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frame {
    /// A minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// A quarter of an hour.
    Quarter,
    /// An hour.
    Hour,
    /// A day, in UTC.
    Day,
}

impl Frame {
    /// Every one, the shortest first.
    pub const ALL: [Self; 5] = [
        Self::Minute,
        Self::FiveMinutes,
        Self::Quarter,
        Self::Hour,
        Self::Day,
    ];

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Quarter => 900,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.seconds() * 1_000
    }

    /// The one of that length.
    #[must_use]
    pub fn of_seconds(seconds: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|frame| u64::try_from(frame.seconds()) == Ok(seconds))
    }

    /// How long the stretch is whose candles are stored together, in milliseconds.
    #[must_use]
    pub const fn block_millis(self) -> i64 {
        let candles = match self {
            Self::Minute => 360,
            Self::FiveMinutes => 288,
            Self::Quarter | Self::Hour => 384,
            Self::Day => 512,
        };
        self.millis() * candles
    }

    /// The start of the candle that `time` is in.
    #[must_use]
    pub const fn start(self, time: i64) -> i64 {
        time - time.rem_euclid(self.millis())
    }

    /// The start of the block that `time` is in.
    #[must_use]
    pub const fn block(self, time: i64) -> i64 {
        time - time.rem_euclid(self.block_millis())
    }
}

/// One figure of one candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// When the first value was measured.
    pub first_at: i64,
    /// When the last was.
    pub last_at: i64,
    /// The first value.
    pub open: f64,
    /// The highest.
    pub high: f64,
    /// The lowest.
    pub low: f64,
    /// The last.
    pub close: f64,
    /// The sum, for the mean.
    pub sum: f64,
    /// How many there were.
    pub count: f64,
}

impl Bar {
    /// Of one value.
    #[must_use]
    pub const fn one(time: i64, value: f64) -> Self {
        Self {
            first_at: time,
            last_at: time,
            open: value,
            high: value,
            low: value,
            close: value,
            sum: value,
            count: 1.0,
        }
    }

    /// The mean value.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// Takes other values of the same candle in.
    pub fn merge(&mut self, other: &Self) {
        if other.first_at < self.first_at {
            (self.first_at, self.open) = (other.first_at, other.open);
        }
        if other.last_at >= self.last_at {
            (self.last_at, self.close) = (other.last_at, other.close);
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// The candles of one length, by their starts; in each a bar for every figure that has values there.
#[derive(Clone, Debug, PartialEq)]
pub struct Candles {
    /// How long they are.
    pub frame: Frame,
    /// What the figures are called, in the order of the bars.
    pub names: Vec<String>,
    /// The candles.
    pub rows: BTreeMap<i64, Vec<Option<Bar>>>,
}

/// The columns of a bar, in the order of their writing.
const PARTS: [&str; 8] = [
    "first", "last", "open", "high", "low", "close", "sum", "count",
];

impl Candles {
    /// None yet.
    #[must_use]
    pub const fn new(frame: Frame) -> Self {
        Self {
            frame,
            names: Vec::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Takes rows in.
    pub fn add(&mut self, series: &Series) {
        for column in &series.columns {
            let place = self.place(&column.name);
            for (time, value) in series.times.iter().zip(&column.values) {
                if !value.is_nan() {
                    self.put(self.frame.start(*time), place, &Bar::one(*time, *value));
                }
            }
        }
    }

    /// Takes other candles of the same length in.
    pub fn merge(&mut self, other: &Self) {
        for (place, name) in other.names.iter().enumerate() {
            let ours = self.place(name);
            for (start, bars) in &other.rows {
                if let Some(Some(bar)) = bars.get(place) {
                    self.put(*start, ours, bar);
                }
            }
        }
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.names.iter().position(|n| n == name) {
            return place;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    fn put(&mut self, start: i64, place: usize, bar: &Bar) {
        let bars = self.rows.entry(start).or_default();
        if bars.len() <= place {
            bars.resize(place + 1, None);
        }
        match &mut bars[place] {
            Some(before) => before.merge(bar),
            empty => *empty = Some(*bar),
        }
    }

    /// Cuts into the blocks that are stored together, by the starts of those.
    #[must_use]
    pub fn blocks(self) -> BTreeMap<i64, Self> {
        let mut blocks = BTreeMap::new();
        for (start, bars) in self.rows {
            let block = blocks
                .entry(self.frame.block(start))
                .or_insert_with(|| Self {
                    names: self.names.clone(),
                    ..Self::new(self.frame)
                });
            block.rows.insert(start, bars);
        }
        blocks
    }

    /// In columns, to be stored. Sums of hundredths are written as such: the last bits of their addition are noise.
    #[must_use]
    pub fn to_series(&self) -> Series {
        let names: Vec<String> = self
            .names
            .iter()
            .flat_map(|name| PARTS.iter().map(move |part| format!("{name}.{part}")))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut series = Series::of(&names);
        for (start, bars) in &self.rows {
            let mut values = Vec::with_capacity(names.len());
            for place in 0..self.names.len() {
                let bar = bars.get(place).copied().flatten();
                values.extend(bar.map_or([f64::NAN; PARTS.len()], |bar| parts(&bar, *start)));
            }
            series.push(*start, &values);
        }
        series
    }

    /// From columns that were stored.
    #[must_use]
    pub fn from_series(frame: Frame, series: &Series) -> Self {
        let mut candles = Self::new(frame);
        for first in series.columns.iter().step_by(PARTS.len()) {
            let Some(name) = first.name.strip_suffix(".first") else {
                continue;
            };
            let columns: Vec<&[f64]> = PARTS
                .iter()
                .filter_map(|part| series.column(&format!("{name}.{part}")))
                .map(|column| column.values.as_slice())
                .collect();
            let place = candles.place(name);
            for (row, start) in series.times.iter().enumerate() {
                let values: Vec<f64> = columns.iter().map(|c| c[row]).collect();
                if let Some(bar) = bar(&values, *start) {
                    candles.put(*start, place, &bar);
                }
            }
        }
        candles
    }
}

#[expect(clippy::cast_precision_loss, reason = "offsets within a day")]
fn parts(bar: &Bar, start: i64) -> [f64; PARTS.len()] {
    let offset = |time: i64| (time - start) as f64;
    [
        offset(bar.first_at),
        offset(bar.last_at),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        snapped(bar.sum),
        bar.count,
    ]
}

fn snapped(sum: f64) -> f64 {
    let near = (sum * 100.0).round() / 100.0;
    if (near - sum).abs() <= 1e-12 * sum.abs().max(1.0) {
        near
    } else {
        sum
    }
}

#[expect(clippy::cast_possible_truncation, reason = "offsets within a day")]
fn bar(values: &[f64], start: i64) -> Option<Bar> {
    let &[first, last, open, high, low, close, sum, count] = values else {
        return None;
    };
    let time = |offset: f64| start.saturating_add(offset as i64);
    (count > 0.0).then_some(Bar {
        first_at: time(first),
        last_at: time(last),
        open,
        high,
        low,
        close,
        sum,
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rng: &mut fastrand::Rng) -> Series {
        let mut series = Series::of(&["a", "b"]);
        let mut time = 1_700_000_000_000;
        for _ in 0..rng.usize(1..2_000) {
            time += rng.i64(1..20_000);
            let b = if rng.bool() {
                f64::NAN
            } else {
                rng.f64() * 1e9
            };
            series.push(time, &[f64::from(rng.u32(..9_999)) / 100.0, b]);
        }
        series
    }

    /// The candle of a figure from its values, without any of the above.
    fn naive(series: &Series, name: &str, frame: Frame, start: i64) -> Option<Bar> {
        let column = series.column(name)?;
        let within: Vec<(i64, f64)> = series
            .times
            .iter()
            .copied()
            .zip(column.values.iter().copied())
            .filter(|(t, v)| (start..start + frame.millis()).contains(t) && !v.is_nan())
            .collect();
        let (first, last) = (within.first()?, within.last()?);
        Some(Bar {
            first_at: first.0,
            last_at: last.0,
            open: first.1,
            high: within.iter().map(|v| v.1).fold(f64::MIN, f64::max),
            low: within.iter().map(|v| v.1).fold(f64::MAX, f64::min),
            close: last.1,
            sum: within.iter().map(|v| v.1).sum(),
            count: f64::from(u32::try_from(within.len()).expect("small")),
        })
    }

    fn close_to(got: &Bar, wanted: &Bar) -> bool {
        let exact = Bar { sum: 0.0, ..*got }
            == Bar {
                sum: 0.0,
                ..*wanted
            };
        exact && (got.sum - wanted.sum).abs() <= 1e-9 * wanted.sum.abs().max(1.0)
    }

    #[test]
    fn candles_made_in_portions_in_any_order_and_stored_between_are_those_of_all_rows() {
        let mut rng = fastrand::Rng::with_seed(11);
        for round in 0..40 {
            let all = series(&mut rng);
            let frame = Frame::ALL[round % Frame::ALL.len()];
            let mut portions: Vec<Series> = Vec::new();
            let mut rows: Vec<usize> = (0..all.len()).collect();
            if rng.bool() {
                rng.shuffle(&mut rows);
            }
            for part in rows.chunks(rng.usize(1..500)) {
                portions.push(all.pick(part));
            }
            let mut candles = Candles::new(frame);
            for portion in &portions {
                let mut next = Candles::new(frame);
                next.add(portion);
                candles.merge(&next);
                candles = Candles::from_series(frame, &candles.to_series());
            }
            for (place, name) in candles.names.iter().enumerate() {
                for (start, bars) in &candles.rows {
                    let got = bars.get(place).copied().flatten();
                    let wanted = naive(&all, name, frame, *start);
                    match (got, wanted) {
                        (Some(got), Some(wanted)) => {
                            assert!(close_to(&got, &wanted), "{got:?} {wanted:?}");
                        }
                        (got, wanted) => assert_eq!(got, wanted),
                    }
                }
            }
            let counted: f64 = candles
                .rows
                .values()
                .flatten()
                .flatten()
                .map(|b| b.count)
                .sum();
            let values = all.columns.iter().flat_map(|c| &c.values);
            let there = values.filter(|v| !v.is_nan()).count();
            assert_eq!(
                counted.to_string(),
                there.to_string(),
                "none lost, none twice"
            );
        }
    }

    #[test]
    fn blocks_hold_whole_candles_and_together_all_of_them() {
        let mut rng = fastrand::Rng::with_seed(12);
        let all = series(&mut rng);
        for frame in Frame::ALL {
            assert_eq!(frame.block_millis() % frame.millis(), 0);
            let mut candles = Candles::new(frame);
            candles.add(&all);
            let mut again = Candles::new(frame);
            for (start, block) in candles.clone().blocks() {
                assert!(block.rows.keys().all(|at| frame.block(*at) == start));
                again.merge(&block);
            }
            assert_eq!(again, candles);
        }
    }

    #[test]
    fn times_before_1970_are_in_the_candle_that_holds_them() {
        assert_eq!(Frame::Minute.start(-1), -60_000);
        assert_eq!(Frame::of_seconds(300), Some(Frame::FiveMinutes));
        assert_eq!(Frame::of_seconds(7), None);
    }
}
