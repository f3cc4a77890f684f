//! Deliveries a second: rows that wait in a real database, sent by a real supervisor to a server on loopback.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jikimi::clock;
use jikimi::ids::DeliveryId;
use jikimi::model::backup::BackupSettings;
use jikimi::model::delivery::NewDelivery;
use jikimi::model::event::{Event, EventKind, Severity};
use jikimi::model::record::Record;
use jikimi::model::settings::{CheckpointSettings, Durability, StoreSettings};
use jikimi::model::write::Write;
use jikimi::store::{Store, StoreOptions, Wakers};

use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const DELIVERIES: usize = 2_000;

pub fn run() {
    for targets in [1, 4, 16] {
        send(targets);
    }
}

fn send(targets: usize) {
    let arrivals = Arc::new(Mutex::new(Vec::with_capacity(DELIVERIES)));
    let seen = Arc::clone(&arrivals);
    let hook = Receiver::scripted(move |_| {
        seen.lock()
            .expect("nothing panics in it")
            .push(Instant::now());
        Reply::status(204)
    });
    let mut supervisor = Supervisor::configured(&configuration(targets, &hook));
    fill(&supervisor.file("state"), targets);
    supervisor.start();
    wait_for("all deliveries", || {
        let count = arrivals.lock().expect("nothing panics in it").len();
        if count >= DELIVERIES {
            Ok(())
        } else {
            Err(format!("{count} arrived"))
        }
    });
    supervisor.stop();
    let times = arrivals.lock().expect("nothing panics in it");
    let took = times[DELIVERIES - 1].duration_since(times[0]);
    println!(
        "  {DELIVERIES} that waited in the database, sent and settled by `jikimi run` with 4 workers to {targets} \
         target{} on loopback, from the first to arrive to the last: {:.0} a second",
        if targets == 1 { "" } else { "s" },
        DELIVERIES as f64 / took.as_secs_f64(),
    );
}

/// With rates that hold nobody back.
fn configuration(targets: usize, hook: &Receiver) -> String {
    let head = "[supervisor]\nstate_dir = \"state\"\n".to_owned();
    (0..targets).fold(head, |config, number| {
        let url = hook.url(&format!("/{number}"));
        config
            + &format!(
                "[target.hook{number}]\nkind = \"webhook\"\nurl = \"{url}\"\n\
                 rate = {{ burst = 10000, per_minute = 100000 }}\n"
            )
    })
}

fn fill(state_dir: &Path, targets: usize) {
    std::fs::create_dir_all(state_dir).expect("our own folder");
    let options = StoreOptions {
        store: StoreSettings {
            pool: 1,
            durability: Durability::Normal,
            backup: BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: Duration::from_secs(5),
            batch: 100,
        },
        retention_raw: Duration::from_hours(48),
        wakers: Wakers::default(),
    };
    let store = Store::open(state_dir, options).expect("a new database");
    for number in 0..DELIVERIES {
        let now = clock::wall();
        let event = Event::new(EventKind::ProgramStarted, now);
        let delivery = NewDelivery {
            id: DeliveryId::new(),
            event: event.id,
            incident: None,
            target: format!("hook{}", number % targets).into(),
            severity: Severity::Info,
            due: now,
            held: None,
            expires_at: now + Duration::from_hours(1),
            seat: None,
        };
        store.record(Write {
            record: Record::from(event),
            incident: None,
            deliveries: vec![delivery],
            withdrawn: vec![],
            moved: vec![],
            silences: vec![],
        });
    }
    let closed = store.close(Duration::from_secs(30));
    assert_eq!(closed.remaining, 0, "all rows are there");
}
