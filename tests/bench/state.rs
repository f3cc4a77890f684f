//! State: saving one definition among many, many keys through the cache, a copy of a large database, and what the
//! indexes are worth at a million rows.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jikimi::cache::{Cache, Key, Policy, Room};
use jikimi::config::{definition, versions};
use jikimi::model::backup::BackupSettings;
use jikimi::model::settings::{CheckpointSettings, Durability, StoreSettings};
use jikimi::store::{FILE, Store, StoreOptions, Wakers, backup};

use crate::measure::{median, time};

pub fn run() {
    definitions();
    cache();
    indexes();
}

fn definitions() {
    const PROGRAMS: usize = 1_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |number: usize| dir.path().join(format!("programs.d/p{number}.toml"));
    let text = |number: usize, word: &str| {
        let command = ["sleep".to_owned(), word.to_owned()];
        definition::text_of(&format!("p{number}"), &command, &[])
    };
    for number in 0..PROGRAMS {
        versions::write(&file(number), &text(number, "1")).expect("room");
    }
    let began = SystemTime::now();
    let saves: Vec<Duration> = (2..52)
        .map(|round: usize| {
            let changed = text(500, &round.to_string());
            time(|| assert!(versions::write(&file(500), &changed).expect("room")))
        })
        .collect();
    let touched = (0..PROGRAMS).filter(|number| {
        let changed = std::fs::metadata(file(*number)).and_then(|m| m.modified());
        changed.is_ok_and(|at| at >= began)
    });
    println!(
        "  one of {PROGRAMS} definitions saved, synced, and the version before it packed: median {:.2} ms; {} file touched",
        median(&saves).as_secs_f64() * 1_000.0,
        touched.count()
    );
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or(0)
}

fn cache() {
    const KEYS: u64 = 10_000_000;
    let cache = Cache::new(Policy {
        room: Room::Entries(10_000),
        ttl: None,
    });
    let put = |number: u64| {
        let key = Key {
            namespace: "bench",
            version: number,
            id: String::new(),
        };
        let got = cache.get(key, || Ok::<_, Infallible>(number));
        assert!(got.is_ok());
    };
    (0..KEYS / 100).for_each(put);
    let before = rss_kib();
    let took = time(|| (KEYS / 100..KEYS).for_each(put));
    let stats = cache.stats();
    println!(
        "  {KEYS} keys through a cache of 10000: {} held, {} KiB resident after the first hundredth, {} KiB at the end; \
         {:.0} keys/s",
        stats.entries,
        before,
        rss_kib(),
        KEYS as f64 * 0.99 / took.as_secs_f64()
    );
}

fn indexes() {
    const ROWS: u64 = 1_000_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    drop(open(dir.path()));
    let database = rusqlite::Connection::open(dir.path().join(FILE)).expect("it is there");
    database
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO events (id, at, kind, severity, program, slot, facts)
               SELECT printf('%026d', i), i * 1000, 'program.crashed', 'warning', 'p' || (i % 500), -1, '{}' FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO log_records (at, program, slot, stream, level, line)
               SELECT i * 1000, 'p' || (i % 500), -1, 'stderr', 'error', x'6c696e65' FROM n;",
        )
        .expect("room");
    let asked = [
        (
            "the last 20 events of a program",
            "events_by_instance",
            "SELECT id FROM events WHERE program = 'p7' AND slot = -1 ORDER BY seq DESC LIMIT 20",
        ),
        (
            "events of a minute",
            "events_by_time",
            "SELECT id FROM events WHERE at >= 500000000 AND at < 500060000",
        ),
        (
            "log records of a program in an hour",
            "log_records_by_instance",
            "SELECT id FROM log_records WHERE program = 'p7' AND slot = -1 AND at >= 500000000 AND at < 503600000",
        ),
    ];
    let query = |sql: &str| {
        let rounds: Vec<Duration> = (0..5)
            .map(|_| {
                time(|| {
                    let mut statement = database.prepare(sql).expect("a statement");
                    let rows = statement.query_map([], |_| Ok(())).expect("rows");
                    assert!(rows.count() > 0, "{sql}");
                })
            })
            .collect();
        median(&rounds).as_secs_f64() * 1e6
    };
    let made = time(|| {
        let to = dir.path().join("copy.db.zst");
        backup::back_up(&dir.path().join(FILE), &to, &mut |_| true).expect("a copy");
    });
    println!(
        "  a copy of {ROWS} events and as many log records, looked through and packed: {:.2} s",
        made.as_secs_f64()
    );
    for (what, index, sql) in asked {
        let with = query(sql);
        database
            .execute_batch(&["DROP INDEX ", index].concat())
            .expect("it is there");
        let without = query(sql);
        println!(
            "  {what} of {ROWS}: {with:.0} µs, without {index} {without:.0} µs: {:.0}x",
            without / with
        );
    }
}

fn open(dir: &Path) -> Store {
    let options = StoreOptions {
        store: StoreSettings {
            pool: 1,
            durability: Durability::Normal,
            backup: BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: Duration::from_mins(10),
            batch: 100,
        },
        retention_raw: Duration::from_hours(48),
        wakers: Wakers::default(),
    };
    Store::open(dir, options).expect("a new database")
}
