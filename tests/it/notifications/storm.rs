//! A storm of events at a target that is slow: its rate is kept, what waits is bounded, and supervision goes on.

use std::time::Instant;

use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

#[test]
fn a_storm_keeps_the_rate_and_the_bound_of_a_target_and_supervision_goes_on() {
    const INSTANCES: usize = 100;
    let receiver = Receiver::start();
    let config = format!(
        r#"
[program.crasher]
shell = true
command = "exit 7"
instances = {INSTANCES}
start_confirm = "20ms"
backoff = {{ initial = "300ms", max = "500ms" }}
restart_limit = {{ count = 1000, within = "1s" }}
[program.calm]
command = ["sleep", "1000"]
[notify]
queue = 50
[target.ops]
kind = "webhook"
url = "{}"
rate = {{ burst = 5, per_minute = 60 }}
[[route]]
min_severity = "info"
targets = ["ops"]
"#,
        receiver.url("/")
    );
    let start = Instant::now();
    let mut supervisor = Supervisor::running(&config);
    let rss = || supervisor.status()["supervisor"]["rss_bytes"].as_u64();
    let before = rss().expect("a figure");
    let target = supervisor.wait_target("ops", "a storm", |t| {
        t["dropped"].as_u64().is_some_and(|n| n > 300)
    });
    // One may be in flight besides.
    assert!(
        target["pending"].as_u64().is_some_and(|n| n <= 51),
        "{target}"
    );
    let sent = receiver.count();
    let most = 5 + start.elapsed().as_secs() + 1;
    assert!(sent as u64 <= most, "{sent} requests, {most} may be");
    let after = rss().expect("a figure");
    assert!(after < before + (128 << 20), "{before} and then {after}");
    // Supervision takes its turns.
    let old = supervisor.program("calm")["pid"].clone();
    assert!(supervisor.cli(&["restart", "calm"]).status.success());
    assert_ne!(supervisor.program("calm")["pid"], old);
    wait_for("the loss to be told", || {
        let events = supervisor.events();
        let told = events.iter().find(|e| e["type"] == "logs.dropped");
        told.map(|e| assert_eq!(e["data"]["target"], "ops"))
            .ok_or_else(|| format!("{} events", events.len()))
    });
    supervisor.stop();
}
