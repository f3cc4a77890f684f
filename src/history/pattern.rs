//! The pattern of a series of moments: periodic, dense, sparse or mixed, how well it fits, and what that suggests.
//! Pure. Made for the ends of runs; gaps in any other series are told apart the same way.
//!
//! In this order: moments are sorted and those of one instant count once; too few of them have no pattern; equal
//! spacing is periodic, single moments that are missing or bursts instead of single moments notwithstanding; else
//! the share of short and of long gaps decides. A gap that is mostly the supervisor's own pause before a restart says
//! nothing of the program: the end after it counts as one that came soon.

use std::time::Duration;

use crate::clock::Wall;
use crate::limits;
use crate::text;

/// One moment of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: Wall,
    /// How long what ended then had lasted, where that is known.
    pub lasted: Option<Duration>,
}

/// What a series looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing can be said yet.
    TooFew,
    /// One after the other at equal distances.
    Periodic,
    /// One soon after the other.
    Dense,
    /// Far apart and in no order.
    Sparse,
    /// Some close together, some far apart.
    Mixed,
}

impl Kind {
    /// `too few`, `periodic`, `dense`, `sparse` or `mixed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooFew => "too few",
            Self::Periodic => "periodic",
            Self::Dense => "dense",
            Self::Sparse => "sparse",
            Self::Mixed => "mixed",
        }
    }
}

/// What was found in a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// What it looks like.
    pub kind: Kind,
    /// How well it fits, from 0 to 1; 0 for too few.
    pub score: f64,
    /// Moments that were looked at.
    pub count: usize,
    /// From one to the next, when periodic.
    pub period: Option<Duration>,
    /// The median distance.
    pub typical_gap: Option<Duration>,
    /// What was seen, a sentence without a full stop.
    pub finding: String,
    /// What that suggests, a sentence without a full stop.
    pub suggestion: String,
}

/// The share of gaps that must be of a kind to name the series after it.
const MOST: f64 = 0.7;

/// Of a periodic series so many gaps are one period, not a multiple of it.
const SINGLE: f64 = 0.6;

/// And so many are near a multiple of it.
const NEAR: f64 = 0.8;

/// The pattern of `points`, which may come in any order. Of more than [`limits::PATTERN_POINTS`] the latest count.
#[must_use]
pub fn classify(points: &[Point]) -> Pattern {
    let points = cleaned(points);
    if points.len() < limits::PATTERN_LEAST {
        return too_few(points.len());
    }
    let gaps = gaps(&points);
    let bursts = bursts(&points);
    let found = periodic(&points, &gaps, false).or_else(|| {
        // Bursts at equal distances, such as three crashes every night.
        let starts = self::gaps(&bursts);
        periodic(&bursts, &starts, true)
    });
    found.unwrap_or_else(|| by_shares(&points, &gaps))
}

/// In order, each instant once. Of several at one instant the one that lasted longest tells most.
fn cleaned(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by_key(|point| (point.at, std::cmp::Reverse(point.lasted)));
    points.dedup_by_key(|point| point.at);
    let excess = points.len().saturating_sub(limits::PATTERN_POINTS);
    points.drain(..excess);
    points
}

/// The distances between neighbours, in seconds.
fn gaps(points: &[Point]) -> Vec<f64> {
    points
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at).as_secs_f64())
        .collect()
}

/// The first of each run of points that are close together.
fn bursts(points: &[Point]) -> Vec<Point> {
    let mut starts: Vec<Point> = Vec::new();
    let mut last: Option<Wall> = None;
    for point in points {
        let is_close = last.is_some_and(|last| point.at.since(last) <= limits::PATTERN_SHORT_GAP);
        if !is_close {
            starts.push(*point);
        }
        last = Some(point.at);
    }
    starts
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(values[middle - 1], values[middle]),
        (middle, _) => values[middle],
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn share(count: usize, of: usize) -> f64 {
    if of == 0 {
        0.0
    } else {
        count as f64 / of as f64
    }
}

/// How far a gap is from the nearest multiple of `period`, as a share of it, and which multiple that is.
fn miss(gap: f64, period: f64) -> (f64, f64) {
    let times = (gap / period).round().max(1.0);
    ((gap - times * period).abs() / period, times)
}

fn periodic(points: &[Point], gaps: &[f64], is_of_bursts: bool) -> Option<Pattern> {
    if points.len() < limits::PATTERN_PERIODIC_LEAST || is_pause(points, gaps) {
        return None;
    }
    let period = period(gaps)?;
    // A few gaps are alike by chance more easily than many.
    let tolerance = if gaps.len() < 2 * limits::PATTERN_PERIODIC_LEAST {
        0.1
    } else {
        0.2
    };
    let misses: Vec<(f64, f64)> = gaps.iter().map(|gap| miss(*gap, period)).collect();
    let near: Vec<&(f64, f64)> = misses
        .iter()
        .filter(|(miss, _)| *miss <= tolerance)
        .collect();
    let single = near.iter().filter(|(_, times)| *times < 1.5).count();
    let fit = share(near.len(), gaps.len());
    if fit < NEAR || share(single, gaps.len()) < SINGLE {
        return None;
    }
    let off = near.iter().map(|(miss, _)| miss).sum::<f64>() * share(1, near.len());
    let period = Duration::from_secs_f64(period);
    let what = if is_of_bursts {
        "bursts of ends come"
    } else {
        "ends come"
    };
    Some(Pattern {
        kind: Kind::Periodic,
        score: rounded(fit * (1.0 - off / tolerance / 2.0)),
        count: points.len(),
        period: Some(period),
        typical_gap: Some(period),
        finding: format!(
            "{what} about every {}: {} of {} gaps fit",
            text::duration(period),
            near.len(),
            gaps.len()
        ),
        suggestion: periodic_suggestion(points, period),
    })
}

/// The median, or twice it off when it is no multiple of what most gaps are: gaps of several periods pull it up only
/// when they are the half of all.
fn period(gaps: &[f64]) -> Option<f64> {
    let middle = median(gaps);
    let near: Vec<f64> = gaps
        .iter()
        .copied()
        .filter(|gap| (gap - middle).abs() <= 0.2 * middle)
        .collect();
    let period = median(&near);
    (period >= limits::PATTERN_PERIOD_MIN.as_secs_f64()).then_some(period)
}

/// Whether most of the time between two ends is the pause before the start: the spacing is the supervisor's then.
fn is_pause(points: &[Point], gaps: &[f64]) -> bool {
    let known = points.iter().skip(1).zip(gaps);
    let shares: Vec<f64> = known
        .filter_map(|(point, gap)| Some(point.lasted?.as_secs_f64() / gap.max(0.001)))
        .collect();
    shares.len() * 2 > gaps.len() && median(&shares) < 0.5
}

fn periodic_suggestion(points: &[Point], period: Duration) -> String {
    let day = Duration::from_hours(24);
    let is_daily = period.abs_diff(day) <= Duration::from_hours(1);
    if is_daily {
        let last = points.last().map_or_else(String::new, |point| {
            let time = point.at.to_string();
            let clock = time.split_once('T').and_then(|(_, clock)| clock.get(..5));
            clock.map_or_else(String::new, |clock| format!(", about {clock} UTC"))
        });
        return format!(
            "look for what happens at that time of day{last}: a job, a rotation of logs, a backup, an update"
        );
    }
    let lasted: Vec<f64> = points
        .iter()
        .filter_map(|p| Some(p.lasted?.as_secs_f64()))
        .collect();
    let typical = median(&lasted);
    if !lasted.is_empty() && (typical / period.as_secs_f64() - 1.0).abs() <= 0.2 {
        return format!(
            "each run lasts about {}: look for what fills up or runs out in that time (memory, files, a lease, \
             a time limit of its own)",
            text::duration(Duration::from_secs_f64(typical))
        );
    }
    "look for what else happens at that interval: a job, a timer, a time-out on the other side"
        .to_owned()
}

/// Neither long nor short decides: dense, sparse, or some of both.
fn by_shares(points: &[Point], gaps: &[f64]) -> Pattern {
    let ended_soon = |point: &Point| {
        point
            .lasted
            .is_some_and(|lasted| lasted <= limits::PATTERN_SHORT_RUN)
    };
    let short_gap = limits::PATTERN_SHORT_GAP.as_secs_f64();
    let pairs = points.iter().skip(1).zip(gaps);
    let short = pairs
        .filter(|(point, gap)| **gap <= short_gap || ended_soon(point))
        .count();
    let long_gap = limits::PATTERN_LONG_GAP.as_secs_f64();
    let pairs = points.iter().skip(1).zip(gaps);
    let long = pairs
        .filter(|(point, gap)| **gap >= long_gap && !ended_soon(point))
        .count();
    let (short_share, long_share) = (share(short, gaps.len()), share(long, gaps.len()));
    let typical = Duration::from_secs_f64(median(gaps));
    let between = text::duration(typical);
    let count = points.len();
    let (kind, score, finding, suggestion) = if short_share >= MOST {
        let finding = format!(
            "{count} ends, {short} of them soon after the one before; half of the gaps are {between} or less"
        );
        (Kind::Dense, short_share, finding, dense_suggestion(points))
    } else if long_share >= MOST {
        let finding = format!(
            "{count} ends far apart and in no rhythm; half of the gaps are {between} or more"
        );
        (Kind::Sparse, long_share, finding, SPARSE.to_owned())
    } else {
        let finding = format!(
            "{count} ends, {short} of them soon after the one before and {long} after a long time"
        );
        (
            Kind::Mixed,
            1.0 - short_share.max(long_share),
            finding,
            MIXED.to_owned(),
        )
    };
    Pattern {
        kind,
        score: rounded(score),
        count,
        period: None,
        typical_gap: Some(typical),
        finding,
        suggestion,
    }
}

const SPARSE: &str =
    "these look like single accidents: compare what each run said last, not the times";
const MIXED: &str = "quiet times and bursts take turns: look at what came before the first end of a burst (a new \
                     version, a lost neighbour, a full disk); the ends after it are most likely its echo";

fn dense_suggestion(points: &[Point]) -> String {
    let lasted: Vec<f64> = points
        .iter()
        .filter_map(|p| Some(p.lasted?.as_secs_f64()))
        .collect();
    let is_short = !lasted.is_empty() && median(&lasted) <= limits::PATTERN_SHORT_RUN.as_secs_f64();
    if is_short {
        format!(
            "it ends again soon after each start (most runs last {} or less), so something it needs at the start is \
             wrong or missing: its last lines, its configuration, a port, a file, another service",
            text::duration(Duration::from_secs_f64(median(&lasted)))
        )
    } else {
        "it ends again and again within minutes: look at what it does first after its start, and whether a longer \
         backoff would give what it needs time to come back"
            .to_owned()
    }
}

fn too_few(count: usize) -> Pattern {
    let finding = match count {
        0 => "it has not ended by itself".to_owned(),
        1 => "it has ended by itself once".to_owned(),
        n => format!("it has ended by itself {n} times"),
    };
    let suggestion = match count {
        0 => "nothing to do",
        _ => "too few for a pattern: what it said last is what there is to go by",
    };
    Pattern {
        kind: Kind::TooFew,
        score: 0.0,
        count,
        period: None,
        typical_gap: None,
        finding,
        suggestion: suggestion.to_owned(),
    }
}

fn rounded(score: f64) -> f64 {
    (score.clamp(0.0, 1.0) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_700_000_000_000;

    fn series(seconds: impl IntoIterator<Item = f64>) -> Vec<Point> {
        let at = |s: f64| Wall::from_millis(NOON) + Duration::from_secs_f64(s);
        let points = seconds.into_iter().map(|s| Point {
            at: at(s),
            lasted: None,
        });
        points.collect()
    }

    /// Ends `gap` seconds apart, each of a run of `lasted` seconds.
    fn runs(count: u32, gap: f64, lasted: f64) -> Vec<Point> {
        let mut points = series((0..count).map(|n| f64::from(n) * gap));
        for point in &mut points {
            point.lasted = Some(Duration::from_secs_f64(lasted));
        }
        points
    }

    fn jitter(gap: f64, share: f64, count: u32, seed: u64) -> Vec<Point> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut at = 0.0;
        series((0..count).map(|_| {
            at += gap * (1.0 + share * (2.0 * rng.f64() - 1.0));
            at
        }))
    }

    #[test]
    fn none_one_and_two_have_no_pattern() {
        for count in 0..3_u32 {
            let pattern = classify(&series((0..count).map(f64::from)));
            assert_eq!(
                (pattern.kind, pattern.count),
                (Kind::TooFew, usize::try_from(count).expect("small"))
            );
            assert_eq!((pattern.score, pattern.period), (0.0, None));
            assert!(!pattern.finding.is_empty() && !pattern.suggestion.is_empty());
        }
    }

    #[test]
    fn equal_spacing_is_periodic_with_its_period() {
        let pattern = classify(&series((0..9).map(|n| f64::from(n) * 21_600.0)));
        assert_eq!(pattern.kind, Kind::Periodic);
        assert_eq!(pattern.period, Some(Duration::from_hours(6)));
        assert!((pattern.score - 1.0).abs() < 1e-9, "{pattern:?}");
        assert!(pattern.finding.contains("every 6h"), "{}", pattern.finding);
    }

    #[test]
    fn jitter_and_single_missing_ends_leave_it_periodic_but_less_so() {
        for seed in 0..50 {
            let pattern = classify(&jitter(3_600.0, 0.1, 24, seed));
            assert_eq!(pattern.kind, Kind::Periodic, "{seed}: {pattern:?}");
            let period = pattern.period.expect("periodic").as_secs_f64();
            assert!((period / 3_600.0 - 1.0).abs() < 0.05, "{seed}: {period}");
            assert!((0.5..1.0).contains(&pattern.score), "{seed}: {pattern:?}");
        }
        let missing = series([0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 9.0, 10.0].map(|h| h * 3_600.0));
        let pattern = classify(&missing);
        assert_eq!(pattern.period, Some(Duration::from_hours(1)), "{pattern:?}");
    }

    #[test]
    fn what_comes_by_chance_is_hardly_ever_called_periodic() {
        let mut periodic = 0;
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut at = 0.0;
            let points = series((0..12).map(|_| {
                at += -rng.f64().max(1e-9).ln() * 36_000.0;
                at
            }));
            let pattern = classify(&points);
            periodic += u32::from(pattern.kind == Kind::Periodic);
            assert_ne!(pattern.kind, Kind::TooFew, "{seed}");
        }
        assert!(periodic <= 4, "{periodic} of 200");
    }

    #[test]
    fn a_crash_loop_is_dense_however_regular_its_pauses_are() {
        for points in [
            runs(20, 61.0, 1.0),
            runs(20, 0.5, 0.1),
            runs(8, 301.0, 1.0),
            // A cooldown of two hours between failures.
            runs(8, 7_201.0, 1.0),
        ] {
            let pattern = classify(&points);
            assert_eq!(pattern.kind, Kind::Dense, "{pattern:?}");
            assert!((pattern.score - 1.0).abs() < 1e-9, "{pattern:?}");
            assert!(
                pattern.suggestion.contains("soon after each start"),
                "{pattern:?}"
            );
        }
        let growing = series([0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0]);
        assert_eq!(classify(&growing).kind, Kind::Dense);
    }

    #[test]
    fn runs_that_last_as_long_as_the_period_point_to_what_fills_up() {
        let pattern = classify(&runs(8, 7_210.0, 7_200.0));
        assert_eq!(pattern.kind, Kind::Periodic);
        assert!(
            pattern.suggestion.contains("each run lasts about 2h"),
            "{pattern:?}"
        );
        // Minutes, too, when it is the run that takes them.
        let pattern = classify(&runs(8, 121.0, 120.0));
        assert_eq!(pattern.kind, Kind::Periodic, "{pattern:?}");
    }

    #[test]
    fn bursts_every_night_are_periodic() {
        let nights = (0..6).flat_map(|day| [0.0, 4.0, 11.0].map(|s| f64::from(day) * 86_400.0 + s));
        let mut points = series(nights);
        for (n, point) in points.iter_mut().enumerate() {
            let lasted = if n % 3 == 0 { 86_000 } else { 3 };
            point.lasted = Some(Duration::from_secs(lasted));
        }
        let pattern = classify(&points);
        assert_eq!(pattern.kind, Kind::Periodic, "{pattern:?}");
        assert_eq!(
            pattern.period.map(|p| p.as_secs() / 3_600),
            Some(24),
            "{pattern:?}"
        );
        assert!(pattern.finding.starts_with("bursts"), "{pattern:?}");
        assert!(
            pattern.suggestion.contains("time of day, about 22:13 UTC"),
            "{pattern:?}"
        );
    }

    #[test]
    fn single_accidents_are_sparse_and_bursts_between_quiet_times_are_mixed() {
        let sparse = series([0.0, 30.0, 37.0, 90.0, 160.0, 171.0, 400.0].map(|h| h * 3_600.0));
        let pattern = classify(&sparse);
        assert_eq!(
            (pattern.kind, pattern.score),
            (Kind::Sparse, 1.0),
            "{pattern:?}"
        );
        let mixed = series([
            0.0, 10.0, 20.0, 90_000.0, 90_020.0, 400_000.0, 410_000.0, 410_010.0, 900_000.0,
        ]);
        let pattern = classify(&mixed);
        assert_eq!(pattern.kind, Kind::Mixed, "{pattern:?}");
        assert!(pattern.score > 0.3 && pattern.score <= 0.7, "{pattern:?}");
    }

    #[test]
    fn order_and_duplicates_do_not_matter_and_nothing_hostile_panics() {
        let mut points = jitter(3_600.0, 0.05, 30, 1);
        let wanted = classify(&points);
        points.extend(points.clone());
        fastrand::Rng::with_seed(3).shuffle(&mut points);
        assert_eq!(classify(&points), wanted);
        // The clock stood at 1970 for one of them, and far in the future for another.
        points.push(Point {
            at: Wall::from_millis(0),
            lasted: Some(Duration::MAX),
        });
        points.push(Point {
            at: Wall::from_millis(i64::MAX),
            lasted: Some(Duration::ZERO),
        });
        points.push(Point {
            at: Wall::from_millis(i64::MIN),
            lasted: None,
        });
        let pattern = classify(&points);
        assert_eq!(pattern.kind, Kind::Periodic, "{pattern:?}");
        let same = vec![
            Point {
                at: Wall::from_millis(NOON),
                lasted: None
            };
            100
        ];
        assert_eq!(classify(&same).kind, Kind::TooFew);
        let mut rng = fastrand::Rng::with_seed(9);
        for _ in 0..2_000 {
            let count = rng.usize(0..40);
            let points: Vec<Point> = (0..count)
                .map(|_| Point {
                    at: Wall::from_millis(rng.i64(..)),
                    lasted: rng.bool().then(|| Duration::from_nanos(rng.u64(..))),
                })
                .collect();
            let pattern = classify(&points);
            assert!((0.0..=1.0).contains(&pattern.score), "{pattern:?}");
        }
    }

    #[test]
    fn of_very_many_the_latest_count() {
        let mut points = series((0..10_000).map(f64::from));
        points.extend(series((1..600).map(|n| 1e6 + f64::from(n) * 7_200.0)));
        let pattern = classify(&points);
        assert_eq!(pattern.count, limits::PATTERN_POINTS);
        assert_eq!(pattern.period, Some(Duration::from_hours(2)), "{pattern:?}");
    }
}
