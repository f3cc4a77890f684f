//! Copies of a database that is written to all the while.

use std::time::Duration;

use super::{bench, options, write};
use crate::model::event::EventKind;
use crate::store::backup::{self, BackupError};
use crate::store::{EventFilter, FILE, Store};

fn go_on(_: Duration) -> bool {
    true
}

#[test]
fn a_copy_is_of_one_moment_however_much_is_written_while_it_is_made() {
    let bench = bench();
    for n in 0..500 {
        bench.store.record(write(EventKind::ProgramStarted, n));
    }
    bench.flush();
    let to = bench.dir.path().join("copy.db.zst");
    let mut steps = 0;
    let made = backup::back_up(&bench.dir.path().join(FILE), &to, &mut |_| {
        // Each step is one in which the writer commits: it is not held, and the copy does not begin anew.
        steps += 1;
        bench.record(write(EventKind::ProgramCrashed, 1_000 + steps));
        true
    })
    .expect("a copy");
    assert!(steps > 0, "it was one step only");
    assert!(made.bytes < made.database_bytes);
    let other = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(backup::restore(&to, other.path()).expect("sound"), None);
    let copy = Store::open(other.path(), options()).expect("it opens");
    let events = copy.events(&EventFilter::default()).expect("read");
    assert_eq!(events.len(), 500, "none of those that came later");
}

#[test]
fn one_that_is_told_to_stop_leaves_nothing_behind() {
    let bench = bench();
    for n in 0..500 {
        bench.store.record(write(EventKind::ProgramStarted, n));
    }
    bench.flush();
    let folder = bench.dir.path().join("copies");
    let to = folder.join("copy.db.zst");
    let made = backup::back_up(&bench.dir.path().join(FILE), &to, &mut |_| false);
    assert!(matches!(made, Err(BackupError::Stopped)), "{made:?}");
    let left = std::fs::read_dir(&folder).expect("the folder").count();
    assert_eq!(left, 0);
}

#[test]
fn a_copy_of_damage_does_not_count() {
    let bench = bench();
    for n in 0..2_000 {
        bench.store.record(write(EventKind::ProgramStarted, n));
    }
    bench.flush();
    bench.store.close(super::LONG);
    let database = bench.dir.path().join(FILE);
    let mut bytes = std::fs::read(&database).expect("there");
    // Past the first page, which says what the file is.
    for byte in bytes.iter_mut().skip(8_192) {
        *byte = 0x5a;
    }
    std::fs::write(&database, bytes).expect("ours");
    let to = bench.dir.path().join("copy.db.zst");
    let made = backup::back_up(&database, &to, &mut go_on);
    assert!(matches!(made, Err(BackupError::Unsound { .. })), "{made:?}");
    assert!(!to.exists());
}
