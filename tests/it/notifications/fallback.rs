//! Who is told when a target cannot be: its fallback, once, with whose message it is.

use super::{crashes_once, hook};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// What the fallback was sent of this type.
fn told(receiver: &Receiver, kind: &str) -> Vec<Received> {
    let mut seen = receiver.received();
    seen.retain(|r| r.json()["type"] == kind);
    seen
}

fn wait_told(receiver: &Receiver, kind: &str) -> Received {
    wait_for(kind, || {
        let seen = told(receiver, kind);
        seen.first()
            .cloned()
            .ok_or_else(|| receiver.types().join(" "))
    })
}

#[test]
fn a_target_that_is_gone_is_told_of_and_its_messages_go_to_its_fallback() {
    let gone = Receiver::scripted(|_| Reply::status(410));
    let pager = Receiver::start();
    let config = crashes_once("web")
        + &hook("ops", &gone.url("/"), "fallback = \"pager\"")
        + &format!(
            "[target.pager]\nkind = \"webhook\"\nurl = \"{}\"\n{}\n",
            pager.url("/"),
            super::FAST
        );
    let mut supervisor = Supervisor::running(&config);
    let crash = wait_told(&pager, "program.crashed").json();
    assert_eq!(crash["data"]["instead_of"], "ops");
    let end = wait_told(&pager, "program.recovered").json();
    assert_eq!(
        end["data"]["incident"]["id"],
        crash["data"]["incident"]["id"]
    );
    let failing = wait_told(&pager, "target.failing").json();
    assert_eq!(failing["data"]["target"], "ops", "no route leads there");
    // What waits still waits after a kill, and is not passed on again.
    supervisor.kill();
    supervisor.start();
    supervisor.wait_target("ops", "still dead", |t| t["state"] == "dead");
    assert_eq!(supervisor.stop(), 0);
    for kind in ["program.crashed", "program.recovered", "target.failing"] {
        let ids: std::collections::BTreeSet<String> = told(&pager, kind)
            .iter()
            .map(|r| r.headers["webhook-id"].clone())
            .collect();
        assert_eq!(ids.len(), 1, "{kind}: {:?}", pager.types());
    }
    assert!(told(&pager, "program.started").is_empty(), "info stays");
}

#[test]
fn a_target_that_fails_for_long_is_stood_in_for() {
    let failing = Receiver::scripted(|_| Reply::status(500));
    let pager = Receiver::start();
    let keys = "breaker = { failures = 1, cooldown = \"10m\" }\n\
                fallback = \"pager\"\nfallback_after = \"1s\"";
    let config = crashes_once("web")
        + &hook("ops", &failing.url("/"), keys)
        + &format!(
            "[target.pager]\nkind = \"webhook\"\nurl = \"{}\"\n{}\n",
            pager.url("/"),
            super::FAST
        );
    let mut supervisor = Supervisor::running(&config);
    let crash = wait_told(&pager, "program.crashed").json();
    assert_eq!(crash["data"]["instead_of"], "ops");
    assert_eq!(supervisor.stop(), 0);
}
