//! Targets that share a host: what one of them finds out counts for all.

use std::time::Duration;

use super::*;
use crate::model::target::BreakerPolicy;
use crate::notify::attempt::Reach;
use crate::notify::testing::{target, webhook_to};
use crate::secret::Secret;

const WALL: Wall = Wall::from_millis(1_700_000_000_000);

fn at(seconds: u64) -> Mono {
    Mono::from_nanos(seconds * 1_000_000_000)
}

fn spec(name: &str, url: &str) -> Arc<TargetSpec> {
    let mut spec = target(name, webhook_to(Secret::new(url)));
    spec.breaker = BreakerPolicy {
        failures: 2,
        cooldown: Duration::from_secs(30),
        cooldown_max: Duration::from_mins(5),
    };
    Arc::new(spec)
}

fn lanes() -> Lanes {
    Lanes::new(vec![
        spec("a", "http://box.test/a"),
        spec("b", "http://box.test/b"),
        spec("c", "http://other.test/"),
    ])
}

/// An attempt at `target` that fails, or is taken.
fn attempt(lanes: &mut Lanes, target: &str, reach: Reach, seconds: u64) -> Learnt {
    lanes.begin(target, at(seconds));
    let mut report = Report::unsent("no");
    report.reach = reach;
    if reach == Reach::Answered {
        report.outcome = Outcome::Delivered { message: None };
    }
    lanes.of(target).expect("configured").lane.end();
    lanes.learn(target, &report, (at(seconds), WALL))
}

fn claimed(lanes: &Lanes, seconds: u64) -> Vec<(String, bool)> {
    let claims = lanes.claims(at(seconds), 10);
    claims
        .iter()
        .map(|c| (c.target.to_string(), c.alone.is_some()))
        .collect()
}

fn told(lanes: &mut Lanes) -> Vec<(String, Change)> {
    let news = lanes.news(WALL);
    news.into_iter().map(|(t, c)| (t.to_string(), c)).collect()
}

fn of(pairs: &[(&str, bool)]) -> Vec<(String, bool)> {
    pairs.iter().map(|(t, a)| ((*t).to_owned(), *a)).collect()
}

#[test]
fn a_host_out_of_reach_is_left_alone_by_all_its_targets_and_found_by_one() {
    let mut lanes = lanes();
    assert!(
        attempt(&mut lanes, "a", Reach::Unreached, 1_000)
            .host
            .is_none()
    );
    assert_eq!(told(&mut lanes), []);
    let learnt = attempt(&mut lanes, "b", Reach::Unreached, 1_000);
    let (host, memory) = learnt.host.expect("to be kept");
    assert_eq!(host, "http://box.test");
    assert_eq!(
        memory.open.map(|(until, _)| until),
        Some(WALL + Duration::from_secs(30))
    );
    let opened = |t: &str| (t.to_owned(), Change::Opened);
    assert_eq!(told(&mut lanes), [opened("a"), opened("b")]);
    assert_eq!(told(&mut lanes), [], "once");
    assert_eq!(claimed(&lanes, 1_001), of(&[("c", false)]));
    let views = lanes.views(at(1_001), WALL);
    assert_eq!(views[1].state, TargetState::Open);
    assert_eq!(
        views[1].detail.unreachable.as_deref(),
        Some("http://box.test")
    );
    assert_eq!(
        views[1].detail.open_until,
        Some(WALL + Duration::from_secs(29))
    );
    // Its pause is over: either may find out, but not both at once.
    assert_eq!(
        claimed(&lanes, 1_030),
        of(&[("a", true), ("b", true), ("c", false)])
    );
    lanes.begin("b", at(1_030));
    assert_eq!(claimed(&lanes, 1_030), of(&[("c", false)]));
    let learnt = attempt(&mut lanes, "b", Reach::Answered, 1_030);
    assert_eq!(learnt.host.expect("to be forgotten").1.to_text(), None);
    assert_eq!(
        claimed(&lanes, 1_030),
        of(&[("a", false), ("b", false), ("c", false)])
    );
    let closed = |t: &str| (t.to_owned(), Change::Closed);
    assert_eq!(told(&mut lanes), [closed("a"), closed("b")]);
}

#[test]
fn an_answer_that_refuses_says_nothing_against_the_host() {
    let mut lanes = lanes();
    for _ in 0..2 {
        attempt(&mut lanes, "a", Reach::Unknown, 1_000);
    }
    assert_eq!(told(&mut lanes), [("a".to_owned(), Change::Opened)]);
    assert_eq!(claimed(&lanes, 1_001), of(&[("b", false), ("c", false)]));
}

#[test]
fn a_host_that_was_lost_is_still_lost_after_a_restart_and_that_is_not_told_again() {
    let mut first = lanes();
    attempt(&mut first, "a", Reach::Unreached, 1_000);
    let host = attempt(&mut first, "b", Reach::Unreached, 1_000).host;
    let mut next = lanes();
    let later = (at(5), WALL + Duration::from_secs(10));
    next.recall(&[], &[host.expect("to be kept")], later);
    assert_eq!(told(&mut next), []);
    assert_eq!(claimed(&next, 5), of(&[("c", false)]));
    assert_eq!(
        claimed(&next, 25),
        of(&[("a", true), ("b", true), ("c", false)])
    );
    next.nudge(Some("a"), at(6));
    assert_eq!(
        claimed(&next, 6),
        of(&[("a", true), ("b", true), ("c", false)])
    );
}
