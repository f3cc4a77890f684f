//! The store: rows in batches against one by one, and what log records and checkpoint updates cost in writes.

use std::time::Duration;

use jikimi::clock;
use jikimi::ids::RunId;
use jikimi::limits::STORE_LOGS_BATCH;
use jikimi::model::backup::BackupSettings;
use jikimi::model::log::{Level, LogBatch, LogRecord, Stream};
use jikimi::model::name::InstanceName;
use jikimi::model::sample::{Figures, Sample};
use jikimi::model::settings::{CheckpointSettings, Durability, StoreSettings};
use jikimi::store::{Store, StoreOptions, Wakers};

use crate::measure::{median, micros, time};
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_mins(1);

pub fn run() {
    for durability in [Durability::Normal, Durability::Full] {
        samples(durability);
    }
    log_records();
    checkpoints("1,000 updates of 50 values", 50);
    checkpoints("1,000 values updated once", 1_000);
}

/// An empty store; its beat is longer than any measurement.
fn store(durability: Durability) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = StoreOptions {
        store: StoreSettings {
            pool: 4,
            durability,
            backup: BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: Duration::from_mins(10),
            batch: 100,
        },
        retention_raw: Duration::from_hours(48),
        wakers: Wakers::default(),
    };
    let store = Store::open(dir.path(), options).expect("a new database");
    (dir, store)
}

fn flush(store: &Store) {
    assert_eq!(store.flush(PATIENCE).remaining, 0, "the disk takes it");
}

fn sample(number: usize) -> Sample {
    Sample {
        instance: InstanceName::single(format!("p{}", number % 500)),
        run: RunId::new(),
        time: clock::wall() + Duration::from_millis(number as u64),
        figures: Figures::default(),
    }
}

fn samples(durability: Durability) {
    const BATCHED: usize = 50_000;
    const SINGLE: usize = 2_000;
    let (_dir, store) = store(durability);
    let rows: Vec<Sample> = (0..BATCHED).map(sample).collect();
    let batched = time(|| {
        for tick in rows.chunks(500) {
            store.samples(tick.to_vec(), None);
            if store.stats().dropped_samples > 0 {
                break;
            }
            flush(&store);
        }
    });
    let stats = store.stats();
    assert_eq!(stats.samples, BATCHED as u64, "all are written");
    let before = stats.sample_transactions;
    let single = time(|| {
        for number in 0..SINGLE {
            store.samples(vec![sample(BATCHED + number)], None);
            flush(&store);
        }
    });
    let transactions = store.stats().sample_transactions - before;
    let rate = |rows: usize, took: Duration| rows as f64 / took.as_secs_f64();
    let (many, one) = (rate(BATCHED, batched), rate(SINGLE, single));
    println!(
        "  samples through the store, durability {durability:?}: {many:.0} rows/s in ticks of 500 ({before} transactions \
         for {BATCHED}), {one:.0} rows/s one by one ({transactions} for {SINGLE}): {:.1}x",
        many / one
    );
}

fn log_records() {
    const RECORDS: usize = 1_000;
    let (_dir, store) = store(Durability::Normal);
    for number in 0..RECORDS {
        let record = LogRecord {
            time: clock::wall(),
            instance: InstanceName::single("web"),
            run: None,
            stream: Stream::Stderr,
            level: Level::Error,
            line: format!("ERROR {number}: a line of the usual length, about a hundred bytes with all that it says")
                .into_bytes(),
        };
        store.logs(LogBatch {
            records: vec![record],
            cursors: Vec::new(),
        });
        // The worst case: no batch ever finds a second one waiting.
        if (number + 1) % STORE_LOGS_BATCH == 0 {
            wait_for("the batch to be written", || {
                let written = store.stats().log_records;
                if written == number as u64 + 1 {
                    Ok(())
                } else {
                    Err(format!("{written} records"))
                }
            });
        }
    }
    let stats = store.stats();
    println!(
        "  {} log records handed over one at a time, slowly enough for the writer to keep up: {} transactions (at most \
         20 are allowed)",
        stats.log_records, stats.log_transactions
    );
}

fn checkpoints(what: &str, keys: usize) {
    const UPDATES: usize = 1_000;
    let put = |store: &Store, number: usize| {
        store.checkpoint_put(format!("uptime/p{}", number % keys), number.to_string());
    };
    let (_dir, direct) = store(Durability::Normal);
    let waits: Vec<Duration> = (0..UPDATES)
        .map(|number| {
            time(|| {
                put(&direct, number);
                flush(&direct);
            })
        })
        .collect();
    let (_dir, behind) = store(Durability::Normal);
    let mut calls = Vec::new();
    let total = time(|| {
        for number in 0..UPDATES {
            calls.push(time(|| put(&behind, number)));
        }
        flush(&behind);
    });
    let (old, new) = (direct.stats(), behind.stats());
    let saved = |old: u64, new: u64| 100.0 * (1.0 - new as f64 / old as f64);
    let (slow, fast) = (waits.iter().sum::<Duration>(), total);
    println!(
        "  {what}: written at once {} transactions with {} values, behind {} with {}: {:.1} % fewer transactions, \
         {:.1} % fewer values; a caller waits {:.1} us against {:.2} us (medians); until all is committed {:.1} % less time",
        old.checkpoint_transactions,
        old.checkpoint_values,
        new.checkpoint_transactions,
        new.checkpoint_values,
        saved(old.checkpoint_transactions, new.checkpoint_transactions),
        saved(old.checkpoint_values, new.checkpoint_values),
        micros(median(&waits)),
        micros(median(&calls)),
        100.0 * (1.0 - fast.as_secs_f64() / slow.as_secs_f64()),
    );
}
