//! The room with real sockets and real commands.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::clock;
use crate::model::health::Check;
use crate::model::os::OsSettings;
use crate::model::status::Health;
use crate::secret::Secret;

const PATIENCE: Duration = Duration::from_secs(20);

fn probe(check: Check) -> Arc<Probe> {
    Arc::new(Probe {
        check,
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(10),
        initial_delay: Duration::ZERO,
        success_threshold: 1,
        failure_threshold: 1,
    })
}

fn probes() -> (Probes, Receiver<Report>) {
    let (send, reports) = bounded(64);
    let sink = Box::new(move |report| drop(send.try_send(report)));
    (Probes::new(sink), reports)
}

fn begin(probes: &Probes, check: Check) -> RunId {
    let run = RunId::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    probes.begin(Target {
        id: (run, Aspect::Readiness),
        probe: probe(check),
        surroundings: Arc::new(Surroundings {
            directory: "/".into(),
            environment: vec![("PATH".into(), path)],
            os: OsSettings::default(),
        }),
    });
    run
}

fn tcp(port: u16) -> Check {
    Check::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn exec(script: &str) -> Check {
    Check::Exec(["sh", "-c", script].map(str::to_owned).to_vec())
}

#[test]
fn a_port_that_opens_and_closes_is_healthy_and_then_is_not() {
    let (probes, reports) = probes();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let run = begin(&probes, tcp(port));
    let first = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(first.id, (run, Aspect::Readiness));
    assert_eq!(first.change.health, Health::Healthy);
    drop(listener);
    let second = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(second.change.health, Health::Unhealthy);
    let cause = second.change.cause.expect("why");
    assert!(
        cause.starts_with(&format!("tcp 127.0.0.1:{port} failed: cannot connect")),
        "{cause}"
    );
    assert!(probes.finish(PATIENCE));
}

#[test]
fn targets_that_hang_delay_no_one_that_answers() {
    let (probes, reports) = probes();
    // Accepts in the kernel, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let dir = tempfile::tempdir().expect("a folder");
    let flag = dir.path().join("flag");
    std::fs::write(&flag, "").expect("our own folder");
    let good = begin(&probes, exec(&format!("test -e {}", flag.display())));
    let first = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!((first.id.0, first.change.health), (good, Health::Healthy));
    for _ in 0..20 {
        begin(
            &probes,
            Check::Http {
                url: Secret::new(format!("http://127.0.0.1:{port}/")),
                shown: "there".to_owned(),
            },
        );
    }
    let mut connections = Vec::new();
    while connections.len() < limits::PROBE_WORKERS_UNPROVEN {
        connections.push(silent.accept().expect("a client"));
    }
    // As many hang as may, each for ten seconds. The others are checked meanwhile.
    std::fs::remove_file(&flag).expect("it is there");
    let second = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(
        (second.id.0, second.change.health),
        (good, Health::Unhealthy)
    );
    probes.finish(Duration::ZERO);
}

#[test]
fn the_end_waits_for_no_command() {
    let (probes, _reports) = probes();
    let dir = tempfile::tempdir().expect("a folder");
    let flag = dir.path().join("begun");
    begin(
        &probes,
        exec(&format!("touch {}; sleep 1000", flag.display())),
    );
    let began = clock::mono();
    while !flag.exists() {
        assert!(clock::mono().since(began) < PATIENCE, "it was not begun");
        std::thread::yield_now();
    }
    assert!(probes.finish(PATIENCE));
    // Nothing begins after the end, and nothing panics.
    begin(&probes, exec("exit 0"));
}
