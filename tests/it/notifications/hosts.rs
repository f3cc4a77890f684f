//! Targets at one host that cannot be reached: left alone together, also over a kill, and found back together.

use std::net::TcpListener;

use super::{crashes_once, database, hook};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn attempts(supervisor: &Supervisor) -> i64 {
    let count = "SELECT count(*) FROM attempts";
    let found = database(supervisor).query_row(count, [], |row| row.get(0));
    found.expect("our own table")
}

#[test]
fn targets_at_a_host_that_cannot_be_reached_are_left_alone_also_after_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let keys = "breaker = { failures = 3, cooldown = \"10m\" }";
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let config =
        crashes_once("web") + &hook("one", &url("one"), keys) + &hook("two", &url("two"), keys);
    let mut supervisor = Supervisor::running(&config);
    let is_open = |t: &serde_json::Value| {
        t["state"] == "open" && t["open_until"].is_string() && t["unreachable"].is_string()
    };
    let all_open = |supervisor: &Supervisor| {
        for name in ["one", "two"] {
            supervisor.wait_target(name, "left alone with its host", is_open);
        }
    };
    all_open(&supervisor);
    let shown = supervisor.cli(&["targets"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains(&format!(
            "at http://127.0.0.1:{port}, which cannot be reached"
        )),
        "{shown}"
    );
    supervisor.wait_program("web", "its second run", |p| p["restarts"] == 1);
    supervisor.kill();
    let before = attempts(&supervisor);
    supervisor.start();
    all_open(&supervisor);
    assert_eq!(attempts(&supervisor), before, "none was tried again");
    let receiver = Receiver::on_port(port, |_| Reply::status(204));
    let done = supervisor.cli(&["deliveries", "retry", "all"]);
    assert!(done.status.success());
    for path in ["/one", "/two"] {
        wait_for("the crash", || {
            let seen = receiver.received();
            let is_it = |r: &&crate::support::receiver::Received| {
                r.path == path && r.json()["type"] == "program.crashed"
            };
            let count = seen.iter().filter(is_it).count();
            (count == 1).then_some(()).ok_or(format!("{count}"))
        });
    }
    assert_eq!(supervisor.stop(), 0);
}
