//! Retention: what is old goes in bites, what is young stays, and the file gives the room back.

use std::time::Duration;

use super::{Bench, bench, web, write};
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::event::EventKind;
use crate::model::sample::{Figures, Sample};
use crate::store::EventFilter;
use crate::store::retention::Retention;
use crate::store::series::{Kept, NewChunk, StoredCandles};
use crate::store::tx::WriteConn;

/// Bites until nothing is left to do; says how many rows the largest took.
fn bite_all(bench: &Bench, now: Wall) -> usize {
    let (send, largest) = crossbeam::channel::bounded(1);
    let shared = std::sync::Arc::clone(&bench.store.inner.shared);
    bench.store.on_writer(move |conn| {
        let conn = WriteConn {
            conn,
            counters: &shared.counters,
        };
        let start = Mono::default();
        let mut retention = Retention::new(start);
        let kept = Kept {
            raw: Duration::from_hours(48),
            chunks: Duration::from_hours(30 * 24),
            candles: Duration::from_hours(2 * 365 * 24),
        };
        let mut max = 0;
        for _ in 0..1_000 {
            max = max.max(retention.bite(&conn, (start, now), kept).expect("bitten"));
            if retention.due() > start {
                send.send(max).expect("room");
                return;
            }
        }
    });
    largest.recv().expect("it comes to an end")
}

fn ago(hours: u64) -> Wall {
    let back = Duration::from_hours(hours).as_millis();
    Wall::from_millis(clock::wall().millis() - i64::try_from(back).expect("small"))
}

#[test]
fn old_samples_go_in_bites_and_the_file_shrinks() {
    let bench = bench();
    let run = RunId::new();
    let sample = |time: Wall| Sample {
        instance: web(),
        run,
        time,
        figures: Figures::default(),
    };
    let old = (0..15_000).map(|n| sample(ago(72) + Duration::from_millis(n)));
    bench.store.samples(old.collect(), None);
    bench
        .store
        .samples(vec![sample(ago(47)), sample(ago(1))], None);
    bench.flush();
    let pages = |bench: &Bench| {
        let (send, count) = crossbeam::channel::bounded(1);
        bench.store.on_writer(move |conn| {
            let pages: u32 = conn
                .pragma_query_value(None, "page_count", |r| r.get(0))
                .expect("counted");
            send.send(pages).expect("room");
        });
        count.recv().expect("counted")
    };
    let before = pages(&bench);
    let largest = bite_all(&bench, ago(0));
    assert!((1..=limits::RETENTION_BITE).contains(&largest), "{largest}");
    let left = bench
        .store
        .stored_samples(&web(), ago(100), ago(0))
        .expect("read");
    assert_eq!(left.len(), 2);
    assert_eq!(bench.store.stats().expired_rows, 15_000);
    let after = pages(&bench);
    assert!(
        after <= before / 2 + limits::RETENTION_PAGES,
        "{before} pages became {after}"
    );
}

#[test]
fn events_are_kept_for_ninety_days() {
    let bench = bench();
    for hours in [91 * 24, 89 * 24, 1] {
        let mut write = write(EventKind::ProgramCrashed, 1);
        write.record.event.time = ago(hours);
        bench.store.record(write);
    }
    bench.flush();
    bite_all(&bench, ago(0));
    assert_eq!(
        bench
            .store
            .events(&EventFilter::default())
            .expect("read")
            .len(),
        2
    );
}

#[test]
fn chunks_and_candles_go_when_they_are_old_and_short_candles_sooner() {
    let bench = bench();
    let put = |days: u64| {
        let at = ago(days * 24).millis();
        bench.store.pack(move |packing| {
            packing.put_chunk(&NewChunk {
                instance: web(),
                source: "sampler".to_owned(),
                run: None,
                starts: at,
                ends: at,
                planned: at,
                rows: 1,
                data: vec![],
            })?;
            for frame in limits::CANDLE_FRAMES {
                let block = StoredCandles {
                    source: "sampler".to_owned(),
                    starts: at,
                    rows: 1,
                    data: vec![],
                };
                packing.put_candles((&web(), frame, at), &block)?;
            }
            Ok(())
        })
    };
    for days in [1, 31, 100, 200, 500, 800] {
        put(days).expect("stored");
    }
    bite_all(&bench, clock::wall());
    let (all, now) = ((ago(900 * 24).millis(), clock::wall().millis()), None);
    let chunks = bench.store.stored_history(&web(), all, now);
    // A chunk that long ago is found by its start.
    assert_eq!(chunks.expect("read").chunks.len(), 1);
    let left = limits::CANDLE_FRAMES.map(|frame| {
        let history = bench
            .store
            .stored_history(&web(), all, Some((frame, all.0)));
        history.expect("read").candles.len()
    });
    assert_eq!(left, [2, 3, 4, 5, 5]);
}
