//! Bad days: a full disk, a locked database, readers that fail, a writer that panics.

use std::time::Duration;

use rusqlite::Connection;

use super::{Bench, LONG, at, bench, bench_with, claims, options, told, write};
use crate::ids::IncidentId;
use crate::model::event::EventKind;
use crate::model::settings::CheckpointSettings;
use crate::store::{EventFilter, Store, StoreError, StoreHealth};

/// No page more than there are, as on a full disk; `None`: room again.
fn limit_pages(store: &Store, limit: Option<u32>) {
    store.on_writer(move |conn| {
        let pages = limit.unwrap_or(1_000_000);
        if limit.is_some() {
            // Pages that an earlier version of the schema has left free would take records still.
            conn.execute_batch("PRAGMA incremental_vacuum")
                .expect("no page is free");
        }
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .expect("set");
    });
}

impl Bench {
    /// Waits for the next change of health.
    fn news(&self) -> StoreHealth {
        self.health.recv_timeout(LONG).unwrap_or_else(|e| {
            panic!("no change of health ({e}); it is {:?}", self.store.health())
        })
    }

    fn events(&self) -> usize {
        let events = self.store.events(&EventFilter::default());
        events.expect("reading goes on").len()
    }
}

/// A record too large for what free room there may be in the file's last pages.
fn large(seconds: u32) -> crate::model::write::Write {
    let mut write = write(EventKind::ProgramCrashed, seconds);
    write.record.event.facts.log_tail = vec!["x".repeat(10_000)];
    write
}

#[test]
fn on_a_full_disk_records_wait_in_order_and_are_stored_when_there_is_room() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    limit_pages(&bench.store, Some(1));
    for n in 0..200 {
        bench.store.record(large(n));
    }
    let degraded = bench.news().degraded.expect("it fails");
    assert_eq!(degraded.what, "the disk is full");
    // Reading goes on, closed time-outs are not waited for, and what waits is counted.
    assert_eq!(bench.events(), 1);
    let flushed = bench.store.flush(Duration::from_millis(200));
    assert_eq!(flushed.remaining, 200, "{flushed:?}");
    assert_eq!(bench.store.health().queued, 200);
    limit_pages(&bench.store, None);
    assert_eq!(bench.news().degraded, None);
    bench.flush();
    let times: Vec<_> = bench
        .store
        .events(&EventFilter::default())
        .expect("read")
        .iter()
        .skip(1)
        .map(|e| e.time)
        .collect();
    let expected: Vec<_> = (0..200).map(at).collect();
    assert_eq!(times, expected);
    assert_eq!(bench.store.health(), StoreHealth::default());
}

#[test]
fn a_supervisor_can_end_on_a_full_disk_and_says_what_was_left() {
    let bench = bench();
    limit_pages(&bench.store, Some(1));
    for n in 0..100 {
        bench.store.record(large(n));
    }
    let flushed = bench.store.close(Duration::from_millis(300));
    assert_eq!(flushed.remaining, 100);
    bench.store.record(large(0));
    assert_eq!(bench.store.health().dropped, 1, "closed");
    assert_eq!(bench.store.close(LONG), bench.store.close(LONG));
}

#[test]
fn a_locked_database_delays_records_and_loses_none() {
    let bench = bench();
    let other = Connection::open(bench.store.path()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    for n in 0..10 {
        bench.store.record(write(EventKind::ProgramCrashed, n));
    }
    let lease = bench.store.lease_due(&claims(&["ops"]), at(0));
    assert!(matches!(lease, Err(StoreError::Sqlite { .. })), "{lease:?}");
    let degraded = bench.news().degraded.expect("locked for long");
    assert_eq!(degraded.what, "the database is locked by another process");
    other.execute_batch("COMMIT").expect("free");
    assert_eq!(bench.news().degraded, None);
    bench.flush();
    assert_eq!(
        bench.events(),
        10,
        "{:?} {:?}",
        bench.store.stats(),
        bench.store.health()
    );
}

#[test]
fn a_checkpoint_that_fails_loses_nothing_and_the_newest_value_wins() {
    let mut options = options();
    options.checkpoint = CheckpointSettings {
        interval: Duration::from_millis(10),
        batch: 3,
    };
    let bench = bench_with(options);
    limit_pages(&bench.store, Some(1));
    for n in 0..40 {
        bench
            .store
            .checkpoint_put(format!("k{n}"), "x".repeat(5_000));
    }
    assert!(bench.news().degraded.is_some());
    assert!(bench.store.stats().checkpoint_failures > 0);
    bench.store.checkpoint_put("k0", "newer");
    limit_pages(&bench.store, None);
    bench.flush();
    let stored = bench.store.checkpoint().expect("read");
    assert_eq!(stored.len(), 40);
    assert_eq!(stored["k0"], "newer");
    let stats = bench.store.stats();
    assert!(
        stats.checkpoint_transactions >= 14,
        "batches of three: {stats:?}"
    );
}

#[test]
fn readers_come_back_to_the_pool_after_errors_and_panics() {
    let bench = bench();
    bench.record(write(EventKind::ProgramStarted, 1));
    for n in 0..100 {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let reader = bench.store.inner.readers.get().expect("one is free");
            // Left inside a transaction, which r2d2_sqlite would not notice.
            reader.raw().execute_batch("BEGIN").expect("begun");
            let error = reader.raw().execute_batch("SELECT * FROM nothing");
            assert!(error.is_err() && n % 2 == 0, "every other one panics");
        }));
        assert_eq!(failed.is_err(), n % 2 == 1);
        assert_eq!(bench.events(), 1);
    }
    let pool = bench.store.pool_state();
    assert_eq!(pool.size, 2);
    assert!(pool.open <= 2, "{pool:?}");
    let (first, second) = (
        bench.store.inner.readers.get().expect("both are free"),
        bench.store.inner.readers.get().expect("both are free"),
    );
    assert!(first.raw().is_autocommit() && second.raw().is_autocommit());
    assert!(matches!(
        bench.store.instance_states(),
        Err(StoreError::NoConnection(_))
    ));
}

#[test]
fn readers_cannot_write() {
    let bench = bench();
    let reader = bench.store.inner.readers.get().expect("free");
    assert!(reader.raw().execute_batch("DELETE FROM events").is_err());
}

#[test]
fn a_panic_of_the_writer_ends_neither_it_nor_what_waits() {
    let bench = bench();
    let result: Result<(), StoreError> = bench.store.call(|tx| {
        let none: Option<()> = tx.db().first(
            crate::store::tx::Sql::seek("look", "SELECT 1 WHERE 0"),
            [],
            |_| Ok(()),
        )?;
        none.expect("there is nothing, on purpose");
        Ok(())
    });
    assert!(matches!(result, Err(StoreError::Closed)), "{result:?}");
    bench.record(write(EventKind::ProgramStarted, 1));
    assert_eq!((bench.events(), bench.store.stats().panics), (1, 1));
}

#[test]
fn a_record_that_can_never_be_stored_does_not_hold_up_the_others() {
    let bench = bench();
    bench.store.on_writer(|conn| {
        conn.execute_batch(
            "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.events WHEN new.kind = 'program.stalled'
             BEGIN SELECT raise(ABORT, 'never'); END",
        )
        .expect("made");
    });
    for n in 0..30 {
        let kind = if n % 10 == 3 {
            EventKind::ProgramStalled
        } else {
            EventKind::ProgramStarted
        };
        bench.store.record(write(kind, n));
    }
    bench.flush();
    assert_eq!(bench.events(), 27);
    assert_eq!(bench.store.stats().rejected, 3);
    assert_eq!(bench.store.health().degraded, None);
}
