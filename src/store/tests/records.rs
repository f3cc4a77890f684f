//! Records, samples and logs: what is handed over reads back, batched, in order, whatever the names are.

use std::path::PathBuf;
use std::time::Duration;

use super::{LONG, at, bench, claims, event, incident, state, told, web, write};
use crate::ids::{IncidentId, RunId};
use crate::limits;
use crate::model::event::{EventKind, Exit, Severity};
use crate::model::fingerprint::Fingerprint;
use crate::model::incident::IncidentState;
use crate::model::log::{Level, LogBatch, LogCursor, LogRecord, Stream};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::record::{Record, RunChange, RunStart};
use crate::model::sample::{Figures, HostSample, Sample};
use crate::store::{EventFilter, IncidentFilter, Subject, Write};

fn run_start(instance: InstanceName) -> RunStart {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = std::ffi::OsString::from_vec(vec![b'/', 0xFF, b'\'']);
    RunStart {
        run: RunId::new(),
        instance,
        pid: 4_000_000,
        start_ticks: u64::from(u32::MAX) * 4,
        boot_id: "6f2a".to_owned(),
        at: at(1),
        command: "python3 -m \"http.server\"".to_owned(),
        pipes: vec![PathBuf::from("/run/a.out"), PathBuf::from(odd)],
        made_of: Some(Fingerprint::of(&ProgramSpec::fixture("web"), b"salt")),
    }
}

fn sample(instance: InstanceName, run: RunId, seconds: u32) -> Sample {
    Sample {
        instance,
        run,
        time: at(seconds),
        figures: Figures {
            cpu_percent: 12.5,
            memory_bytes: 1 << 40,
            processes: 3,
            threads: 9,
            open_files: 12,
            read_bytes: 1,
            write_bytes: 2,
        },
    }
}

fn log_record(line: &[u8]) -> LogRecord {
    LogRecord {
        time: at(1),
        instance: web(),
        run: Some(RunId::new()),
        stream: Stream::Stderr,
        level: Level::Error,
        line: line.to_vec(),
    }
}

fn cursor(offset: u64) -> LogCursor {
    LogCursor {
        instance: web(),
        stream: Stream::Stderr,
        inode: u64::MAX,
        offset,
    }
}

#[test]
fn runs_and_states_are_there_after_a_kill_of_the_supervisor() {
    let bench = bench();
    let (ended, running) = (run_start(web()), run_start(web()));
    let started = |start: &RunStart| Record {
        run: Some(RunChange::Started(start.clone())),
        state: Some(state(web())),
        ..Record::from(event(EventKind::ProgramStarted, 1))
    };
    bench.store.record(Write::from(started(&ended)));
    let end = RunChange::Ended {
        run: ended.run,
        at: at(5),
        exit: Exit::Code(3),
    };
    let crashed = Record {
        run: Some(end),
        ..Record::from(event(EventKind::ProgramCrashed, 5))
    };
    bench.record(Write::from(crashed));
    bench.record(Write::from(started(&running)));
    let unfinished = bench.store.unfinished_runs().expect("read");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(
        (&unfinished[0].start, &unfinished[0].ended),
        (&running, &None)
    );
    assert_eq!(bench.store.last_runs().expect("read"), unfinished);
    let states = bench.store.instance_states().expect("read");
    assert_eq!(states.len(), 1);
    assert_eq!(
        (states[0].restarts, &states[0].last_exit),
        (7, &Some(Exit::Code(3)))
    );
    bench.store.forget_instance(&web()).expect("done");
    assert!(bench.store.instance_states().expect("read").is_empty());
}

#[test]
fn events_are_found_by_what_comes_after_since_type_program_and_newest() {
    let bench = bench();
    let kinds = [
        EventKind::ProgramStarted,
        EventKind::ProgramCrashed,
        EventKind::ProgramRestarting,
        EventKind::ProgramStarted,
    ];
    for (n, kind) in (0..).zip(kinds) {
        bench.store.record(write(kind, n));
    }
    let mut other = event(EventKind::ProgramStarted, 4);
    other.instance = Some(InstanceName::indexed("bot", 2));
    bench.record(Write::from(Record::from(other.clone())));
    let seconds = |filter: EventFilter| -> Vec<u64> {
        let events = bench.store.events(&filter).expect("read");
        events
            .iter()
            .map(|e| e.time.since(at(0)).as_secs())
            .collect()
    };
    let all = EventFilter::default();
    assert_eq!(seconds(all.clone()), [0, 1, 2, 3, 4]);
    let second = bench.store.events(&all).expect("read")[1].id;
    let after = EventFilter {
        after: Some(second),
        ..all.clone()
    };
    assert_eq!(seconds(after.clone()), [2, 3, 4]);
    let since = EventFilter {
        since: Some(at(3)),
        ..all.clone()
    };
    assert_eq!(seconds(since.clone()), [3, 4]);
    let both = EventFilter {
        since: Some(at(1)),
        ..after
    };
    assert_eq!(seconds(both), [2, 3, 4]);
    let late = EventFilter {
        since: Some(at(99)),
        ..all.clone()
    };
    assert_eq!(seconds(late), [0_u64; 0]);
    let newest = EventFilter {
        limit: Some(2),
        is_newest: true,
        ..all.clone()
    };
    assert_eq!(seconds(newest.clone()), [3, 4]);
    let started = EventFilter {
        kinds: vec![EventKind::ProgramStarted],
        ..newest
    };
    assert_eq!(seconds(started.clone()), [3, 4]);
    let of_web = EventFilter {
        programs: vec!["web".into()],
        ..started
    };
    assert_eq!(seconds(of_web.clone()), [0, 3]);
    let first_of_web = EventFilter {
        is_newest: false,
        limit: Some(1),
        ..of_web
    };
    assert_eq!(seconds(first_of_web), [0]);
    assert_eq!(bench.store.newest_event().expect("read"), Some(other.id));
}

#[test]
fn a_follower_misses_no_event_committed_out_of_the_order_of_ids() {
    let bench = bench();
    let early = event(EventKind::TargetFailing, 1);
    let late = event(EventKind::ProgramStarted, 2);
    bench.record(Write::from(Record::from(late.clone())));
    let seen = bench.store.newest_event().expect("read");
    bench.record(Write::from(Record::from(early.clone())));
    let filter = EventFilter {
        after: seen,
        ..EventFilter::default()
    };
    assert_eq!(bench.store.events(&filter).expect("read"), [early]);
}

#[test]
fn a_follower_is_woken_by_a_commit() {
    let bench = bench();
    let seen = bench.store.generation();
    assert_eq!(bench.store.wait_change(seen, Duration::ZERO), seen);
    bench.store.record(write(EventKind::ProgramStarted, 1));
    assert!(bench.store.wait_change(seen, LONG) > seen);
    assert_eq!(
        bench
            .store
            .events(&EventFilter::default())
            .expect("read")
            .len(),
        1
    );
}

#[test]
fn incidents_read_back_and_an_older_state_never_replaces_a_newer_one() {
    let bench = bench();
    let id = IncidentId::new();
    let resolved = crate::model::incident::Incident {
        state: IncidentState::Resolved,
        resolved_at: Some(at(9)),
        severity: Severity::Critical,
        cause: Some("recovered".to_owned()),
        ..incident(id, 3)
    };
    for incident in [incident(id, 1), resolved.clone(), incident(id, 2)] {
        bench.record(Write {
            incident: Some(incident),
            ..write(EventKind::ProgramCrashed, 1)
        });
    }
    let found = bench.store.incidents(&IncidentFilter::default());
    assert_eq!(found.expect("read"), [resolved]);
    assert!(bench.store.open_incidents().expect("read").is_empty());
    let others = IncidentFilter {
        programs: vec!["bot".into()],
        ..IncidentFilter::default()
    };
    assert!(bench.store.incidents(&others).expect("read").is_empty());
}

#[test]
fn hostile_names_are_stored_as_they_are() {
    let bench = bench();
    let names = [
        "'; DROP TABLE events; --",
        "\"quoted\" `name` $x ?1 :id",
        "control\u{1}\u{7f}\n\t",
        "with:colon:7",
        "[\"json\", {\"a\": 1}]",
        "지킴이 \u{202e}",
        "",
    ];
    for name in names {
        let instance = InstanceName::indexed(name, 3);
        let mut event = event(EventKind::ProgramCrashed, 1);
        event.instance = Some(instance.clone());
        event.facts.cause = Some(name.to_owned());
        event.facts.log_tail = vec![name.to_owned()];
        let record = Record {
            run: Some(RunChange::Started(run_start(instance.clone()))),
            state: Some(state(instance)),
            ..Record::from(event.clone())
        };
        let delivery = super::delivery(event.id, None, name, 1);
        bench.record(Write {
            deliveries: vec![delivery],
            ..Write::from(record)
        });
        let filter = EventFilter {
            programs: vec![name.into()],
            ..EventFilter::default()
        };
        assert_eq!(bench.store.events(&filter).expect("read"), [event.clone()]);
        let leased = bench.store.lease_due(&claims(&[name]), at(2));
        assert_eq!(leased.expect("leased")[0].event, event);
        bench.store.remember_target(name, name).expect("kept");
        bench.store.checkpoint_put(name, name);
    }
    bench.flush();
    assert_eq!(
        bench.store.instance_states().expect("read").len(),
        names.len()
    );
    assert_eq!(bench.store.last_runs().expect("read").len(), names.len());
    assert_eq!(bench.store.checkpoint().expect("read").len(), names.len());
    let gone = bench.store.abandon_unknown_targets(&[], at(3));
    assert_eq!(gone.expect("done"), names.len());
}

#[test]
fn the_state_of_a_thousand_programs_is_one_statement() {
    let bench = bench();
    for n in 0..1_000 {
        let name = InstanceName::single(format!("p{n}"));
        bench.store.record(Write::from(Record {
            state: Some(state(name)),
            ..Record::from(event(EventKind::ProgramStarted, 1))
        }));
    }
    bench.flush();
    let before = bench.store.stats().statements_read;
    assert_eq!(bench.store.instance_states().expect("read").len(), 1_000);
    assert_eq!(bench.store.stats().statements_read - before, 1);
    let transactions = bench.store.stats().record_transactions;
    assert!(transactions < 1_000, "no grouping: {transactions}");
}

#[test]
fn a_thousand_log_records_cost_at_most_twenty_transactions() {
    let bench = bench();
    for n in 0..1_000_u64 {
        bench.store.logs(LogBatch {
            records: vec![log_record(n.to_string().as_bytes())],
            cursors: vec![cursor(n)],
        });
    }
    bench.flush();
    let stats = bench.store.stats();
    assert_eq!(stats.log_records, 1_000);
    assert!((1..=20).contains(&stats.log_transactions), "{stats:?}");
    let stored = bench.store.log_records(&web(), at(0), at(9)).expect("read");
    assert_eq!(stored.len(), 1_000);
    assert_eq!(stored[7].line, b"7");
    assert_eq!(bench.store.log_cursors().expect("read"), [cursor(999)]);
}

#[test]
fn lines_are_bytes_and_a_cursor_may_move_alone() {
    let bench = bench();
    let record = log_record(b"\xff\0\x1b[31m");
    bench.store.logs(LogBatch {
        records: vec![record.clone()],
        cursors: vec![],
    });
    bench.store.logs(LogBatch {
        records: vec![],
        cursors: vec![cursor(17)],
    });
    bench.flush();
    assert_eq!(
        bench.store.log_records(&web(), at(1), at(1)).expect("read"),
        [record]
    );
    assert_eq!(bench.store.log_cursors().expect("read"), [cursor(17)]);
}

#[test]
fn samples_are_written_behind_in_batches_and_found_by_instance_and_time() {
    let bench = bench();
    let run = RunId::new();
    let other = InstanceName::indexed("web", 1);
    for n in 0..600 {
        let samples = vec![
            sample(web(), run, n),
            sample(other.clone(), RunId::new(), n),
        ];
        let host = HostSample {
            time: at(n),
            cpu_percent: f64::NAN,
            memory_total_bytes: 8,
            ..HostSample::default()
        };
        bench.store.samples(samples, Some(host));
    }
    bench.flush();
    let stats = bench.store.stats();
    assert_eq!(stats.samples, 1_800);
    assert!(stats.sample_transactions <= 6, "{stats:?}");
    let found = bench
        .store
        .stored_samples(&web(), at(10), at(11))
        .expect("read");
    assert_eq!(found, [sample(web(), run, 10), sample(web(), run, 11)]);
    let host = bench
        .store
        .stored_host_samples(at(599), at(700))
        .expect("read");
    assert_eq!((host.len(), host[0].memory_total_bytes), (1, 8));
}

#[test]
fn what_waits_is_bounded_and_what_is_dropped_is_counted() {
    let bench = bench();
    let (started, held) = crossbeam::channel::bounded::<()>(1);
    let (go, release) = crossbeam::channel::bounded::<()>(1);
    let store = bench.store.clone();
    let holder = crate::thread::spawn_named("test-holder", move || {
        store.on_writer(move |_| {
            drop(started);
            assert!(release.recv_timeout(LONG).is_err());
        });
    })
    .expect("a thread");
    assert!(held.recv_timeout(LONG).is_err());
    for n in 0..limits::STORE_SAMPLES_MAX + 10 {
        let seconds = u32::try_from(n).expect("small");
        bench
            .store
            .samples(vec![sample(web(), RunId::new(), seconds)], None);
    }
    let health = bench.store.health();
    assert_eq!((health.queued, health.dropped), (20_000, 10));
    drop(go);
    holder.join().expect("it ended");
}

#[test]
fn a_commit_raises_the_version_of_what_it_changed_and_of_nothing_else() {
    let bench = bench();
    let versions = || Subject::ALL.map(|subject| bench.store.version(subject));
    let before = versions();
    bench.record(write(EventKind::ProgramStarted, 1));
    let after_event = versions();
    assert_eq!(after_event, [before[0] + 1, before[1], before[2]]);
    bench.record(told(IncidentId::new(), 1, &["ops"]));
    let after_delivery = versions();
    assert!(
        after_delivery
            .iter()
            .zip(&after_event)
            .all(|(after, before)| after > before)
    );
    let leased = bench
        .store
        .lease_due(&claims(&["ops"]), at(100))
        .expect("a lease");
    assert_eq!(leased.len(), 1);
    assert!(
        bench.store.version(Subject::Deliveries) > after_delivery[2],
        "a lease changes a delivery"
    );
}
