//! Samples through the store and back, against a model that only has a list.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;

use super::candle::Frame;
use super::figures::{Answer, Question, Value, answer};
use super::pack::{self, Packer};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::{Figures, Sample};
use crate::model::settings::{CheckpointSettings, Durability, StoreSettings};
use crate::store::{Store, StoreOptions, Wakers};

/// Far in the future, at the start of an hour, so that retention finds nothing old.
const START: i64 = 1_138_889 * 3_600_000;

const LONG: Duration = Duration::from_secs(20);

fn store() -> (Store, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = StoreOptions {
        store: StoreSettings {
            pool: 2,
            durability: Durability::Normal,
            backup: crate::model::backup::BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: Duration::from_hours(1),
            batch: 100,
        },
        retention_raw: Duration::from_hours(48),
        wakers: Wakers::default(),
    };
    let store = Store::open(dir.path(), options).expect("a fresh store opens");
    (store, dir)
}

fn put(store: &Store, samples: Vec<Sample>) {
    store.samples(samples, None);
    assert_eq!(store.flush(LONG).remaining, 0);
}

fn pack_all(store: &Store, now: i64) {
    let now = Wall::from_millis(now);
    for _ in 0..1_000 {
        if pack::turn(store, now).expect("packed") > now {
            return;
        }
    }
    panic!("there is no end to packing");
}

fn sample(instance: &InstanceName, run: RunId, time: i64, rng: &mut fastrand::Rng) -> Sample {
    Sample {
        instance: instance.clone(),
        run,
        time: Wall::from_millis(time),
        figures: Figures {
            cpu_percent: f64::from(rng.u32(..20_000)) / 100.0,
            memory_bytes: rng.u64(..1 << 20) * 4_096,
            processes: rng.u32(1..5),
            threads: 7,
            open_files: rng.u32(..50),
            read_bytes: rng.u64(..9_999_999),
            write_bytes: 0,
        },
    }
}

/// Samples of several runs with gaps between them.
fn life(instance: &InstanceName, rng: &mut fastrand::Rng, count: usize) -> Vec<Sample> {
    let (mut time, mut run) = (START + rng.i64(0..600_000), RunId::new());
    let mut samples = Vec::new();
    for _ in 0..count {
        time += rng.i64(9_990..10_010);
        if rng.u8(..) == 0 {
            time += rng.i64(0..3_000_000);
            run = RunId::new();
        }
        samples.push(sample(instance, run, time, rng));
    }
    samples
}

fn question(instance: &InstanceName, from: i64, to: i64, candles: Option<Frame>) -> Question {
    Question {
        instance: instance.clone(),
        from: Wall::from_millis(from),
        to: Wall::from_millis(to),
        candles,
    }
}

fn check_samples(answer: &Answer, model: &[Sample], (from, to): (i64, i64)) {
    let wanted: BTreeMap<i64, &Sample> = model
        .iter()
        .filter(|s| (from..=to).contains(&s.time.millis()))
        .map(|s| (s.time.millis(), s))
        .collect();
    let times: Vec<i64> = answer.rows.iter().map(|r| r.time.millis()).collect();
    let all: Vec<i64> = wanted.keys().copied().collect();
    assert_eq!(times, all, "sorted, each once, none missing");
    for row in &answer.rows {
        let figures = &wanted[&row.time.millis()].figures;
        let number = |name: &str| row.figures[name].middle().to_bits();
        assert_eq!(number("cpu_percent"), figures.cpu_percent.to_bits());
        assert_eq!(number("processes"), f64::from(figures.processes).to_bits());
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let memory = (figures.memory_bytes as f64).to_bits();
        assert_eq!(number("memory_bytes"), memory);
    }
    check_coverage(answer, &all, (from, to));
}

/// No sample lies in a gap, and everything far from a sample does.
fn check_coverage(answer: &Answer, times: &[i64], (from, to): (i64, i64)) {
    let coverage = &answer.coverage;
    assert!((0.0..=1.0).contains(&coverage.ratio), "{coverage:?}");
    let in_gap = |time: i64| {
        let at = Wall::from_millis(time);
        coverage
            .missing
            .iter()
            .any(|gap| gap.0 <= at && at <= gap.1)
    };
    assert!(times.iter().all(|time| !in_gap(*time)));
    let far = |time: i64| times.iter().all(|t| t.abs_diff(time) > 60_000);
    for time in (from..=to).step_by(30_000).filter(|time| far(*time)) {
        assert!(in_gap(time), "{time} of {from} to {to}: {coverage:?}");
    }
    let strategy = match (times.is_empty(), coverage.missing.is_empty()) {
        (true, _) => "none",
        (false, true) => "full",
        (false, false) => "partial",
    };
    assert_eq!(coverage.strategy, strategy);
}

fn check_candles(answer: &Answer, model: &[Sample], frame: Frame) {
    let mut wanted: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    let mut samples: Vec<&Sample> = model.iter().collect();
    samples.sort_by_key(|s| s.time);
    for s in samples {
        let values = wanted.entry(frame.start(s.time.millis())).or_default();
        values.push(s.figures.cpu_percent);
    }
    for row in &answer.rows {
        let values = &wanted[&row.time.millis()];
        let Value::Candle {
            open,
            high,
            low,
            close,
            mean,
            count,
        } = row.figures["cpu_percent"]
        else {
            panic!("a candle");
        };
        let lowest = values.iter().copied().fold(f64::MAX, f64::min);
        let highest = values.iter().copied().fold(f64::MIN, f64::max);
        let got = [open, high, low, close].map(f64::to_bits);
        let naive = [values[0], highest, lowest, values[values.len() - 1]];
        assert_eq!(got, naive.map(f64::to_bits), "{:?}", row.time);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let len = values.len() as f64;
        assert_eq!(count.to_bits(), len.to_bits());
        assert!((mean - values.iter().sum::<f64>() / len).abs() < 1e-6);
    }
}

#[test]
fn every_range_is_answered_as_a_list_of_all_samples_would() {
    let mut rng = fastrand::Rng::with_seed(21);
    let (store, _dir) = store();
    let (web, db) = (InstanceName::single("web"), InstanceName::indexed("db", 1));
    let mut lives = [life(&web, &mut rng, 3_000), life(&db, &mut rng, 500)];
    let model = lives.clone();
    // Some come hours late: their hour is packed already.
    let late: Vec<Sample> = lives[0].extract_if(.., |_| rng.u8(..) < 8).collect();
    let mut now = START;
    for part in lives[0].chunks(500).chain(lives[1].chunks(500)) {
        put(&store, part.to_vec());
        now = now.max(part[part.len() - 1].time.millis());
        pack_all(&store, now);
    }
    put(&store, late);
    pack_all(&store, now);
    for round in 0..60 {
        let (name, model) = if round % 3 == 0 {
            (&db, &model[1])
        } else {
            (&web, &model[0])
        };
        let from = START + rng.i64(-3_600_000..30_000_000);
        let to = from + rng.i64(0..40_000_000);
        // What memory has is the tail, all of it stored.
        let recent = &model[model.len() - 32..];
        let found = answer(&store, &question(name, from, to, None), recent).expect("an answer");
        check_samples(&found, model, (from, to));
        for frame in Frame::ALL {
            let (from, to) = (frame.start(from), frame.start(to) + frame.millis() - 1);
            let asked = question(name, from, to, Some(frame));
            let found = answer(&store, &asked, recent).expect("an answer");
            check_candles(&found, model, frame);
            let within = model.iter().map(|s| s.time.millis());
            let within = within.filter(|t| (from..=to).contains(t)).count();
            let counted: f64 = found
                .rows
                .iter()
                .map(|r| match r.figures["threads"] {
                    Value::Candle { count, .. } => count,
                    Value::Number(_) => panic!("a candle"),
                })
                .sum::<f64>()
                + 0.0;
            assert_eq!(counted.to_string(), within.to_string(), "{frame:?}");
        }
    }
    let packed = store.packed_rows(&web, (START, now)).expect("counted");
    assert!(packed > 2_000, "{packed} rows in chunks");
}

#[test]
fn what_comes_twice_is_stored_once() {
    let mut rng = fastrand::Rng::with_seed(22);
    let (store, _dir) = store();
    let web = InstanceName::single("web");
    let samples = life(&web, &mut rng, 300);
    let until = samples[299].time.millis();
    let later = until + 2 * Frame::Hour.millis();
    for _ in 0..3 {
        put(&store, samples.clone());
        pack_all(&store, later);
    }
    assert_eq!(store.oldest_sample().expect("read"), None, "all are packed");
    assert_eq!(store.packed_rows(&web, (START, until)).expect("read"), 300);
    let asked = question(&web, START, until, Some(Frame::Day));
    let found = answer(&store, &asked, &[]).expect("an answer");
    check_candles(&found, &samples, Frame::Day);
    assert_eq!(found.runs, [], "candles know no runs");
}

#[test]
fn an_hour_is_packed_a_while_after_its_end_and_not_before() {
    let mut rng = fastrand::Rng::with_seed(23);
    let (store, _dir) = store();
    let web = InstanceName::single("web");
    put(
        &store,
        vec![sample(&web, RunId::new(), START + 5, &mut rng)],
    );
    let end = Wall::from_millis(START + Frame::Hour.millis() - 1);
    let next = pack::turn(&store, end).expect("a turn");
    assert_eq!(next, end + limits::PACK_LAG);
    assert!(store.oldest_sample().expect("read").is_some());
    pack_all(&store, next.millis());
    assert_eq!(store.oldest_sample().expect("read"), None);
}

#[test]
fn long_stretches_are_answered_in_candles_of_a_fitting_length() {
    let (store, _dir) = store();
    let web = InstanceName::single("web");
    let day = Frame::Day.millis();
    for (days, resolution) in [(2, 60), (30, 300), (365, 3_600), (4_000, 86_400)] {
        let asked = question(&web, START - days * day, START, None);
        let found = answer(&store, &asked, &[]).expect("an answer");
        assert_eq!(
            found.resolution_s.to_string(),
            resolution.to_string(),
            "{days}"
        );
        assert_eq!(found.coverage.strategy, "none");
    }
}

#[test]
fn the_thread_that_packs_ends_when_it_is_told() {
    let (store, _dir) = store();
    let packer = Packer::start(store).expect("a thread");
    assert!(packer.finish(LONG));
}
