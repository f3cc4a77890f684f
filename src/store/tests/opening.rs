//! Opening: versions, damage, modes, reading beside a supervisor, and how the last one ended.

use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use super::{LONG, at, bench, claims, options, told, write};
use crate::ids::IncidentId;
use crate::limits;
use crate::model::event::EventKind;
use crate::store::{EventFilter, FILE, OpenError, Store, StoreError};

/// The text of version 1 as it was shipped: it must not change with `schema_1.sql`.
const VERSION_1: &str = include_str!("version_1.sql");

#[test]
fn a_database_of_version_one_is_brought_up_to_date_with_what_is_in_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let old = Connection::open(dir.path().join(FILE)).expect("made");
    old.execute_batch(VERSION_1).expect("version 1");
    drop(old);
    let store = Store::open(dir.path(), options()).expect("brought up to date");
    let events = store.events(&EventFilter::default()).expect("read");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::ProgramCrashed);
    let counts = store.delivery_counts().expect("read");
    assert_eq!((counts["ops"].pending, counts["ops"].delivered), (1, 1));
    let leased = store.lease_due(&claims(&["ops"]), at(0)).expect("leased");
    assert_eq!(leased[0].event, events[0], "leased before, pending again");
    assert_eq!(store.was_clean(), None);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join(FILE);
    let newer = Connection::open(&path).expect("made");
    newer.pragma_update(None, "user_version", 99).expect("set");
    drop(newer);
    let before = std::fs::read(&path).expect("there");
    let Err(error) = Store::open(dir.path(), options()) else {
        panic!("a newer database was opened");
    };
    let text = error.to_string();
    let known = crate::store::migrate::SCHEMA;
    let wanted = format!("was made by a newer jikimi (schema 99, this one knows {known})");
    assert!(text.contains(&wanted), "{text}");
    assert!(matches!(
        Store::open_read_only(dir.path()),
        Err(OpenError::Newer { .. })
    ));
    assert_eq!(std::fs::read(&path).expect("there"), before);
}

#[test]
fn a_damaged_database_is_refused_with_what_to_do() {
    let bench = bench();
    for n in 0..500 {
        bench.store.record(write(EventKind::ProgramStarted, n));
    }
    assert_eq!(bench.store.close(LONG).remaining, 0);
    let path = bench.store.path().to_path_buf();
    let dir = bench.dir;
    drop(bench.store);
    let whole = std::fs::read(&path).expect("there");
    // Not a database at all, cut short, and (after an unclean end) with nonsense in the middle.
    let mut nonsense = whole.clone();
    nonsense[8_192..28_672].fill(0x5A);
    for bytes in [
        vec![b'x'; 8_192],
        whole[..whole.len() / 2].to_vec(),
        nonsense,
    ] {
        std::fs::write(&path, &bytes).expect("written");
        let Err(error) = Store::open(dir.path(), options()) else {
            panic!("a damaged database of {} bytes was opened", bytes.len());
        };
        let text = error.to_string();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(text.contains("move it aside"), "{text}");
    }
}

#[test]
fn the_database_is_private_and_made_as_planned() {
    let bench = bench();
    bench.record(write(EventKind::ProgramStarted, 1));
    for name in [FILE, "jikimi.db-wal", "jikimi.db-shm"] {
        let meta = std::fs::metadata(bench.dir.path().join(name)).expect("there");
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
    bench.store.on_writer(|conn| {
        let text = |name| -> String {
            conn.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|v| format!("{v:?}"))
                .expect("a pragma")
        };
        assert_eq!(text("journal_mode"), "Text(\"wal\")");
        assert_eq!(text("auto_vacuum"), "Integer(2)", "incremental");
        assert_eq!(text("synchronous"), "Integer(1)", "normal");
    });
    assert_eq!(bench.store.stats().panics, 0);
}

#[test]
fn commands_read_beside_a_supervisor_and_without_one_and_change_nothing() {
    let bench = bench();
    let missing = tempfile::tempdir().expect("a temporary folder");
    assert!(matches!(
        Store::open_read_only(missing.path()),
        Err(OpenError::Missing { .. })
    ));
    assert_eq!(std::fs::read_dir(missing.path()).expect("there").count(), 0);
    bench.record(write(EventKind::ProgramStarted, 1));
    let all = EventFilter::default();
    let beside = Store::open_read_only(bench.dir.path()).expect("beside a live one");
    assert_eq!(beside.events(&all).expect("read").len(), 1);
    bench.record(write(EventKind::ProgramReady, 2));
    assert_eq!(beside.events(&all).expect("read").len(), 2);
    assert!(matches!(
        beside.expire_due(at(0)),
        Err(StoreError::ReadOnly)
    ));
    beside.record(write(EventKind::ProgramReady, 3));
    assert_eq!(beside.health().dropped, 1);
    drop(beside);
    let (dir, path) = (bench.dir, bench.store.path().to_path_buf());
    drop(bench.store);
    let before = std::fs::read(&path).expect("there");
    let alone = Store::open_read_only(dir.path()).expect("after it");
    assert_eq!(alone.events(&all).expect("read").len(), 2);
    assert_eq!(alone.flush(LONG).remaining, 0);
    drop(alone);
    assert_eq!(std::fs::read(&path).expect("there"), before);
}

#[test]
fn the_next_start_knows_how_the_last_one_ended_and_when_it_was_last_alive() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = || Store::open(dir.path(), options()).expect("opens");
    let first = open();
    assert_eq!((first.was_clean(), first.last_alive()), (None, None));
    drop(first);
    let second = open();
    assert_eq!(second.was_clean(), Some(false), "nobody said it was clean");
    second.mark_clean(true).expect("committed");
    second.close(LONG);
    assert!(matches!(second.mark_clean(true), Err(StoreError::Closed)));
    drop(second);
    let third = open();
    assert_eq!(third.was_clean(), Some(true));
    assert!(third.last_alive().is_some());
    drop(third);
    assert_eq!(open().was_clean(), Some(false));
}

#[test]
fn leases_of_a_supervisor_that_is_gone_are_pending_again() {
    let bench = bench();
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let first = bench
        .store
        .lease_due(&claims(&["ops"]), at(2))
        .expect("leased");
    drop(bench.store);
    let store = Store::open(bench.dir.path(), options()).expect("opens");
    let again = store.lease_due(&claims(&["ops"]), at(2)).expect("leased");
    assert!(again[0].known.is_doubtful, "it may have been told");
    assert_eq!(again[0].id, first[0].id);
    assert!(limits::STORE_DROP_WAIT < LONG);
}
