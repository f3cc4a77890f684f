//! One target's lane: whether something may be sent to it, from its breaker, its rate and the waits it asked
//! for. Pure; at most one message is in flight in it.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::{self, Breaker, Input};
use super::limit::{self, Bucket};
use super::providers;
use crate::clock::{Mono, Wall};
use crate::model::delivery::Pick;
use crate::model::target::{TargetSpec, TargetState};

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// At once.
    Free,
    /// A critical one at once, others not before then.
    Reserved(Mono),
    /// One is in flight.
    Busy,
    /// Not before then.
    Until(Mono),
    /// Not until a person acts.
    Never,
}

/// How a target fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Well.
    #[default]
    None,
    /// It is left alone for a while.
    Failing,
    /// It is gone.
    Dead,
}

/// The lane of one target.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The target as configured.
    pub spec: Arc<TargetSpec>,
    /// Whose limits it shares with other targets: the host.
    pub host: String,
    breaker: Breaker,
    bucket: Bucket,
    held_until: Mono,
    in_flight: bool,
    moved_to: Option<String>,
    /// Since when it has been failing, by the wall clock: a restart does not begin it anew.
    pub failing_since: Option<Wall>,
}

/// What of a lane is worth keeping over a restart, in wall time; for the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneMemory {
    /// Of the provider's settings: what was learnt of others does not count. Not a secret.
    pub fingerprint: String,
    /// The target said it is gone.
    pub is_dead: bool,
    /// The end of the breaker's pause, when it is open, and its length.
    pub open: Option<(Wall, Duration)>,
    /// The end of the wait the target asked for.
    pub held_until: Option<Wall>,
    /// The chat's id since it moved.
    pub moved_to: Option<String>,
    /// Since when it has been failing.
    pub failing_since: Option<Wall>,
}

impl LaneMemory {
    /// The text that is kept in the database.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::json!({
            "fingerprint": self.fingerprint,
            "dead": self.is_dead,
            "open_until": self.open.map(|(until, _)| until.millis()),
            "cooldown_ms": self.open.and_then(|(_, c)| u64::try_from(c.as_millis()).ok()),
            "held_until": self.held_until.map(Wall::millis),
            "moved_to": self.moved_to,
            "failing_since": self.failing_since.map(Wall::millis),
        })
        .to_string()
    }

    /// Reads what [`Self::to_text`] wrote; nothing when it is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let kept: serde_json::Value = serde_json::from_str(text).ok()?;
        let wall = |key: &str| kept.get(key)?.as_i64().map(Wall::from_millis);
        let words = |key: &str| kept.get(key)?.as_str().map(str::to_owned);
        let cooldown = kept.get("cooldown_ms").and_then(serde_json::Value::as_u64);
        Some(Self {
            fingerprint: words("fingerprint")?,
            is_dead: kept.get("dead")?.as_bool()?,
            open: wall("open_until").zip(cooldown.map(Duration::from_millis)),
            held_until: wall("held_until"),
            moved_to: words("moved_to"),
            failing_since: wall("failing_since"),
        })
    }
}

impl Lane {
    /// A lane on which nothing has happened yet.
    #[must_use]
    pub fn new(spec: Arc<TargetSpec>) -> Self {
        Self {
            host: providers::host(&spec.provider),
            spec,
            breaker: Breaker::default(),
            bucket: Bucket::default(),
            held_until: Mono::default(),
            in_flight: false,
            moved_to: None,
            failing_since: None,
        }
    }

    /// The chat's id since it moved.
    #[must_use]
    pub fn moved_to(&self) -> Option<&str> {
        self.moved_to.as_deref()
    }

    /// The chat has moved for good.
    pub fn move_to(&mut self, chat: String) {
        self.moved_to = Some(chat);
    }

    /// Whether a message may go at `now`, when its host is held until `host_until`.
    #[must_use]
    pub fn gate(&self, now: Mono, host_until: Mono) -> Gate {
        if self.in_flight {
            return Gate::Busy;
        }
        let breaker = match self.breaker {
            Breaker::Closed { .. } | Breaker::HalfOpen { .. } => Mono::default(),
            Breaker::Open { until, .. } => until,
            Breaker::Dead => return Gate::Never,
        };
        let open_at = breaker.max(self.held_until).max(host_until);
        let free_at = open_at.max(self.bucket.next_at(self.spec.rate));
        let critical_at = open_at.max(self.bucket.next_critical_at(self.spec.rate));
        if free_at <= now {
            Gate::Free
        } else if critical_at <= now {
            Gate::Reserved(free_at)
        } else {
            Gate::Until(critical_at)
        }
    }

    /// What may be taken for it behind `gate`, if anything.
    #[must_use]
    pub fn pick(&self, gate: Gate) -> Option<Pick> {
        match gate {
            Gate::Free if limit::reserved(self.spec.rate) == 0 => Some(Pick::CriticalFirst),
            Gate::Free => Some(Pick::Oldest),
            Gate::Reserved(_) => Some(Pick::CriticalOnly),
            Gate::Busy | Gate::Until(_) | Gate::Never => None,
        }
    }

    /// A message is handed to a worker.
    pub fn begin(&mut self, now: Mono) {
        self.in_flight = true;
        self.bucket = self.bucket.spend(now, self.spec.rate);
        let (breaker, _) = breaker::next(self.breaker, Input::Began, now, &self.spec.breaker);
        self.breaker = breaker;
    }

    /// The message took so many requests more than the one it was counted as.
    pub fn spend_more(&mut self, requests: u32, now: Mono) {
        for _ in 0..requests {
            self.bucket = self.bucket.spend(now, self.spec.rate);
        }
    }

    /// The message is settled.
    pub fn end(&mut self) {
        self.in_flight = false;
    }

    /// Whether a message is in flight.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.in_flight
    }

    /// Something happened to the breaker.
    pub fn feed(&mut self, input: Input, now: Mono) {
        let (breaker, _) = breaker::next(self.breaker, input, now, &self.spec.breaker);
        self.breaker = breaker;
        if input == Input::Nudged {
            self.held_until = now;
        }
    }

    /// Nothing goes before `until`; an earlier wait is only made longer.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }

    /// The target's configuration changed: its past does not count.
    pub fn change(&mut self, spec: Arc<TargetSpec>, now: Mono) {
        self.host = providers::host(&spec.provider);
        self.spec = spec;
        self.held_until = now;
        self.moved_to = None;
        self.feed(Input::Changed, now);
    }

    /// How it fares by itself.
    #[must_use]
    pub const fn trouble(&self) -> Trouble {
        match self.breaker {
            Breaker::Closed { .. } => Trouble::None,
            Breaker::Open { .. } | Breaker::HalfOpen { .. } => Trouble::Failing,
            Breaker::Dead => Trouble::Dead,
        }
    }

    /// The end of the breaker's pause, while that lasts.
    #[must_use]
    pub fn open_until(&self, now: Mono) -> Option<Mono> {
        match self.breaker {
            Breaker::Open { until, .. } if until > now => Some(until),
            Breaker::Open { .. }
            | Breaker::Closed { .. }
            | Breaker::HalfOpen { .. }
            | Breaker::Dead => None,
        }
    }

    /// How it is shown.
    #[must_use]
    pub fn state(&self, now: Mono, host_until: Mono) -> TargetState {
        let is_open = self.open_until(now).is_some();
        match self.gate(now, host_until) {
            Gate::Busy => TargetState::Busy,
            Gate::Never => TargetState::Dead,
            Gate::Until(_) if is_open => TargetState::Open,
            Gate::Until(_) | Gate::Reserved(_) => TargetState::Waiting,
            Gate::Free => TargetState::Ready,
        }
    }

    /// What is worth keeping.
    #[must_use]
    pub fn memory(&self, now: Mono, wall: Wall) -> LaneMemory {
        let later = |at: Mono| wall + at.since(now);
        LaneMemory {
            fingerprint: providers::fingerprint(&self.spec.provider),
            is_dead: self.breaker == Breaker::Dead,
            open: match self.breaker {
                Breaker::Open { until, cooldown } => Some((later(until), cooldown)),
                // The probe's fate is unknown after a restart: probe again at once.
                Breaker::HalfOpen { cooldown } => Some((wall, cooldown)),
                Breaker::Closed { .. } | Breaker::Dead => None,
            },
            held_until: (self.held_until > now).then(|| later(self.held_until)),
            moved_to: self.moved_to.clone(),
            failing_since: self.failing_since,
        }
    }

    /// Takes up what was kept.
    pub fn recall(&mut self, memory: &LaneMemory, now: Mono, wall: Wall) {
        if memory.fingerprint != providers::fingerprint(&self.spec.provider) {
            return;
        }
        self.moved_to.clone_from(&memory.moved_to);
        self.failing_since = memory.failing_since;
        if memory.is_dead {
            self.breaker = Breaker::Dead;
        } else if let Some((until, cooldown)) = memory.open {
            self.breaker = Breaker::Open {
                until: now + until.since(wall),
                cooldown,
            };
        }
        if let Some(until) = memory.held_until {
            self.hold(now + until.since(wall));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::BreakerPolicy;
    use crate::notify::testing::{target, webhook_to};
    use crate::secret::Secret;

    const WALL: Wall = Wall::from_millis(1_700_000_000_000);

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn lane(url: &str) -> Lane {
        let mut spec = target("ops", webhook_to(Secret::new(url)));
        spec.breaker = BreakerPolicy {
            failures: 1,
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_mins(5),
        };
        Lane::new(Arc::new(spec))
    }

    /// The lane of the next start, ten seconds later on both clocks, whose monotonic one began anew.
    fn restarted(lane: &Lane, url: &str) -> Lane {
        let text = lane.memory(at(1_000), WALL).to_text();
        let memory = LaneMemory::parse(&text).expect("our own text");
        assert_eq!(memory, lane.memory(at(1_000), WALL));
        let mut next = self::lane(url);
        next.recall(&memory, at(5), WALL + Duration::from_secs(10));
        next
    }

    #[test]
    fn one_message_at_a_time_and_the_latest_wait_counts() {
        let mut lane = lane("http://a.test/");
        assert_eq!(lane.gate(at(1_000), at(0)), Gate::Free);
        lane.begin(at(1_000));
        assert_eq!(lane.gate(at(1_000), at(0)), Gate::Busy);
        lane.end();
        lane.hold(at(1_010));
        lane.hold(at(1_005));
        assert_eq!(lane.gate(at(1_000), at(0)), Gate::Until(at(1_010)));
        assert_eq!(lane.gate(at(1_000), at(1_020)), Gate::Until(at(1_020)));
        assert_eq!(lane.state(at(1_000), at(0)), TargetState::Waiting);
        assert_eq!(lane.gate(at(1_010), at(1_010)), Gate::Free);
    }

    #[test]
    fn an_open_breaker_and_a_stated_wait_survive_a_restart() {
        let mut lane = lane("http://a.test/");
        lane.feed(Input::Failed, at(1_000));
        lane.hold(at(1_015));
        lane.move_to("-7".to_owned());
        let next = restarted(&lane, "http://a.test/");
        assert_eq!(
            next.gate(at(5), at(0)),
            Gate::Until(at(25)),
            "20 of 30 s are left"
        );
        assert_eq!(next.state(at(5), at(0)), TargetState::Open);
        assert_eq!(next.moved_to(), Some("-7"));
    }

    #[test]
    fn a_dead_target_stays_dead_over_a_restart_unless_its_address_changed() {
        let mut lane = lane("http://a.test/SECRET");
        lane.feed(Input::Gone, at(1_000));
        assert_eq!(
            restarted(&lane, "http://a.test/SECRET").gate(at(5), at(0)),
            Gate::Never
        );
        assert_eq!(
            restarted(&lane, "http://a.test/OTHER").gate(at(5), at(0)),
            Gate::Free
        );
        assert!(!lane.memory(at(1_000), WALL).to_text().contains("SECRET"));
        assert_eq!(LaneMemory::parse("{}"), None);
    }
}
