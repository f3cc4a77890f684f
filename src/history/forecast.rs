//! Where a figure is going: its trend with the uncertainty of it, and when it reaches a limit. Pure. Silent where
//! there is no trend to speak of: on noise, a step, the teeth of a garbage collector, the rise and fall of days.
//!
//! The slope is the median of the slopes between all pairs of points (Theil and Sen), which a third of wild values
//! cannot move; the interval is that of the ranks of those slopes, widened, for samples are not independent.

use serde::Serialize;

use crate::limits;

/// A figure that rises or falls steadily.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// By so much an hour.
    pub per_hour: f64,
    /// Probably by this at the least,
    pub per_hour_low: f64,
    /// and by this at the most.
    pub per_hour_high: f64,
    /// Where it stands at the end, without its noise.
    pub level: f64,
    /// For so long it has been seen.
    pub seen_s: f64,
}

/// When a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reach {
    /// In so many seconds.
    pub in_s: f64,
    /// Probably no sooner than this,
    pub soonest_s: f64,
    /// and no later.
    pub latest_s: f64,
}

impl Trend {
    /// When it reaches `limit`; none when it goes the other way, is there already, or would take much longer than it
    /// has been seen: nobody knows that.
    #[must_use]
    pub fn reaches(&self, limit: f64) -> Option<Reach> {
        let hours = |per_hour: f64| (limit - self.level) / per_hour;
        let within = |per_hour: f64| Some(hours(per_hour) * 3_600.0).filter(|s| *s > 0.0);
        let (one, other) = (within(self.per_hour_low)?, within(self.per_hour_high)?);
        let in_s = within(self.per_hour)?;
        (in_s <= self.seen_s * limits::FORECAST_HORIZON).then_some(Reach {
            in_s,
            soonest_s: one.min(other),
            latest_s: one.max(other),
        })
    }
}

/// The trend of `points`, time in milliseconds and value, in order.
#[must_use]
pub fn trend(points: &[(i64, f64)]) -> Option<Trend> {
    if points.len() < limits::FORECAST_POINTS_MIN {
        return None;
    }
    let points = thinned(points);
    let (first, last) = (points.first()?.0, points.last()?.0);
    let long = last - first;
    let (slope, low, high) = slopes(&points)?;
    let is_steady = low * high > 0.0 && (high / low).max(low / high) <= limits::FORECAST_SPREAD;
    if !is_steady || !rises_everywhere(&points, slope * long) {
        return None;
    }
    let mut bases: Vec<f64> = points.iter().map(|(t, v)| v - slope * (t - last)).collect();
    let level = median(&mut bases)?;
    let mut off: Vec<f64> = points
        .iter()
        .map(|(t, v)| (v - level - slope * (t - last)).abs())
        .collect();
    // What it moved must stand out of how it trembles.
    if (slope * long).abs() < limits::FORECAST_CLEAR * median(&mut off)? {
        return None;
    }
    Some(Trend {
        per_hour: slope * 3_600.0,
        per_hour_low: low * 3_600.0,
        per_hour_high: high * 3_600.0,
        level,
        seen_s: long,
    })
}

/// At most [`limits::FORECAST_POINTS`] points: the median value of each portion at its mean time, in seconds from the
/// first.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans of months in milliseconds"
)]
fn thinned(points: &[(i64, f64)]) -> Vec<(f64, f64)> {
    let start = points.first().map_or(0, |p| p.0);
    let portion = points.len().div_ceil(limits::FORECAST_POINTS);
    let one = |part: &[(i64, f64)]| {
        let sum: f64 = part.iter().map(|p| (p.0 - start) as f64 / 1_000.0).sum();
        let mut values: Vec<f64> = part.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
        Some((sum / part.len() as f64, median(&mut values)?))
    };
    points.chunks(portion.max(1)).filter_map(one).collect()
}

/// The median slope, and the ends of its interval.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a few thousand"
)]
fn slopes(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let mut slopes: Vec<f64> = Vec::new();
    for (n, one) in points.iter().enumerate() {
        for other in &points[n + 1..] {
            if other.0 > one.0 {
                slopes.push((other.1 - one.1) / (other.0 - one.0));
            }
        }
    }
    let slope = median(&mut slopes)?;
    let (n, all) = (points.len() as f64, slopes.len() as f64);
    // Kendall's variance; 1.96 deviations hold 95 of a hundred.
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let reach = 1.96 * deviation * limits::FORECAST_WIDEN;
    let low = ((all - reach) / 2.0).max(0.0) as usize;
    let high = f64::midpoint(all, reach) as usize;
    Some((
        slope,
        *slopes.get(low)?,
        *slopes.get(high.min(slopes.len() - 1))?,
    ))
}

/// Whether each of several parts lies beyond the one before, by a fair share of the whole: a step does not, nor do
/// teeth or waves.
fn rises_everywhere(points: &[(f64, f64)], whole: f64) -> bool {
    let parts = usize::from(limits::FORECAST_PARTS);
    let part = points.len() / parts;
    let middles: Vec<f64> = points
        .chunks_exact(part.max(1))
        .take(parts)
        .filter_map(|part| median(&mut part.iter().map(|p| p.1).collect::<Vec<_>>()))
        .collect();
    let fair = whole / f64::from(limits::FORECAST_PARTS) * limits::FORECAST_SHARE;
    let goes_on = |pair: &[f64]| (pair[1] - pair[0]) * whole.signum() >= fair.abs();
    middles.len() == parts && middles.windows(2).all(goes_on)
}

/// The middle one; leaves `values` sorted.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// A day, a value every ten seconds, made of hours and noise from -1 to 1.
    fn day(mut value: impl FnMut(f64, f64) -> f64) -> Vec<(i64, f64)> {
        let mut rng = fastrand::Rng::with_seed(5);
        (0..8_640_i32)
            .map(|n| {
                let noise = rng.f64() * 2.0 - 1.0;
                (i64::from(n) * 10_000, value(f64::from(n) / 360.0, noise))
            })
            .collect()
    }

    #[test]
    fn a_leak_is_told_with_the_time_it_leaves() {
        let leak = day(|hour, noise| (200.0 + 10.0 * hour + 5.0 * noise) * MIB);
        let trend = trend(&leak).expect("a trend");
        assert!((trend.per_hour / MIB - 10.0).abs() < 0.2, "{trend:?}");
        assert!(trend.per_hour_low <= 10.0 * MIB && 10.0 * MIB <= trend.per_hour_high);
        // 440 MiB after the day, 90 more to go: nine hours.
        let reach = trend.reaches(530.0 * MIB).expect("within reach");
        assert!((reach.in_s / 3_600.0 - 9.0).abs() < 0.3, "{reach:?}");
        assert!(reach.soonest_s <= reach.in_s && reach.in_s <= reach.latest_s);
        assert_eq!(trend.reaches(100.0 * MIB), None, "it goes the other way");
        assert_eq!(trend.reaches(1e15), None, "too far to know");
    }

    #[test]
    fn what_shrinks_reaches_what_is_below() {
        let room = day(|hour, noise| 500.0 - 10.0 * hour + noise);
        let reach = trend(&room)
            .and_then(|t| t.reaches(0.0))
            .expect("within reach");
        assert!((reach.in_s / 3_600.0 - 26.0).abs() < 1.0, "{reach:?}");
    }

    #[test]
    fn a_leak_under_the_teeth_of_a_garbage_collector_is_seen() {
        let leak = day(|hour, noise| 100.0 + 20.0 * hour + 60.0 * (hour * 3.0).fract() + noise);
        let found = trend(&leak).expect("a trend");
        assert!((found.per_hour - 20.0).abs() < 2.0, "{found:?}");
    }

    #[test]
    fn there_is_no_trend_in_what_has_none() {
        for (what, points) in [
            ("flat", day(|_, _| 300.0)),
            ("noise", day(|_, noise| 300.0 + 50.0 * noise)),
            (
                "teeth",
                day(|hour, noise| 100.0 + 60.0 * (hour * 3.0).fract() + noise),
            ),
            (
                "a step",
                day(|hour, noise| if hour < 11.0 { 100.0 } else { 300.0 } + noise),
            ),
            (
                "two steps",
                day(|hour, noise| 100.0 * (hour / 9.0).floor() + noise),
            ),
            (
                "days",
                day(|hour, noise| 100.0 * (hour / 3.82).sin() + noise),
            ),
            (
                "two days",
                day(|hour, noise| 100.0 * (hour / 1.91).sin() + noise),
            ),
            (
                "a warm-up",
                day(|hour, noise| 300.0 - 300.0 * (-2.0 * hour).exp() + noise),
            ),
            (
                "one peak",
                day(|hour, _| {
                    if (5.0..6.0).contains(&hour) {
                        900.0
                    } else {
                        1.0
                    }
                }),
            ),
        ] {
            assert_eq!(trend(&points), None, "{what}");
        }
        assert_eq!(trend(&[(0, 1.0), (1, 2.0)]), None, "too few");
        let lost: Vec<(i64, f64)> = (0..99).map(|n| (n, f64::NAN)).collect();
        assert_eq!(trend(&lost), None);
    }

    #[test]
    fn noise_is_taken_for_a_trend_by_nearly_no_chance() {
        let mut rng = fastrand::Rng::with_seed(6);
        let told = (0..200).filter(|_| {
            let points: Vec<(i64, f64)> = (0..400).map(|n| (n * 5_000, rng.f64())).collect();
            trend(&points).is_some()
        });
        assert_eq!(told.count(), 0);
    }
}
