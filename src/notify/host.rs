//! What targets at the same host share: the waits it asked for, and a breaker of its own. Pure. A host that nobody can
//! connect to is out of reach for all of them, so it takes no more than one target's patience to leave it alone, and
//! one attempt of one target to find it back.

use std::time::Duration;

use super::attempt::Reach;
use super::breaker::{self, Breaker, Input};
use crate::clock::{Mono, Wall};
use crate::model::target::BreakerPolicy;

/// One host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    breaker: Breaker,
    held_until: Mono,
}

/// What of a host is worth keeping over a restart, in wall time; for the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// The end of the breaker's pause, when it is open, and its length.
    pub open: Option<(Wall, Duration)>,
    /// The end of the wait that the host asked for.
    pub held_until: Option<Wall>,
}

impl HostMemory {
    /// The text that is kept in the database; none when there is nothing to keep.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let text = serde_json::json!({
            "open_until": self.open.map(|(until, _)| until.millis()),
            "cooldown_ms": self.open.and_then(|(_, c)| u64::try_from(c.as_millis()).ok()),
            "held_until": self.held_until.map(Wall::millis),
        });
        (*self != Self::default()).then(|| text.to_string())
    }

    /// Reads what [`Self::to_text`] wrote; nothing when it is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let kept: serde_json::Value = serde_json::from_str(text).ok()?;
        let wall = |key: &str| kept.get(key)?.as_i64().map(Wall::from_millis);
        let cooldown = kept.get("cooldown_ms")?.as_u64();
        Some(Self {
            open: wall("open_until").zip(cooldown.map(Duration::from_millis)),
            held_until: wall("held_until"),
        })
    }
}

impl Host {
    /// Nothing goes to any of its targets before then.
    #[must_use]
    pub fn closed_until(&self) -> Mono {
        match self.breaker {
            Breaker::Open { until, .. } => until.max(self.held_until),
            Breaker::Closed { .. } | Breaker::HalfOpen { .. } | Breaker::Dead => self.held_until,
        }
    }

    /// Whether it was out of reach, and nobody has found it since: one attempt at a time finds out.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(
            self.breaker,
            Breaker::Open { .. } | Breaker::HalfOpen { .. } | Breaker::Dead
        )
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

    /// Whether there is nothing to know of it.
    #[must_use]
    pub fn is_plain(&self, now: Mono) -> bool {
        self.breaker == Breaker::default() && self.held_until <= now
    }

    /// Nothing goes before `until`.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }

    /// An attempt at one of its targets begins.
    pub fn begin(&mut self, now: Mono, policy: &BreakerPolicy) {
        self.feed(Input::Began, now, policy);
    }

    /// What an attempt found. Whether the host answers is all that counts here, not what it answers.
    pub fn learn(&mut self, reach: Reach, now: Mono, policy: &BreakerPolicy) {
        match reach {
            Reach::Answered => self.feed(Input::Succeeded, now, policy),
            Reach::Unreached => self.feed(Input::Failed, now, policy),
            Reach::Unknown => {}
        }
    }

    /// A person wants one of its targets tried at once.
    pub fn nudge(&mut self, now: Mono, policy: &BreakerPolicy) {
        self.held_until = now;
        self.feed(Input::Nudged, now, policy);
    }

    fn feed(&mut self, input: Input, now: Mono, policy: &BreakerPolicy) {
        let (breaker, _) = breaker::next(self.breaker, input, now, policy);
        self.breaker = breaker;
    }

    /// What is worth keeping.
    #[must_use]
    pub fn memory(&self, now: Mono, wall: Wall) -> HostMemory {
        let later = |at: Mono| wall + at.since(now);
        HostMemory {
            open: match self.breaker {
                Breaker::Open { until, cooldown } => Some((later(until), cooldown)),
                // The probe's fate is unknown after a restart: probe again at once.
                Breaker::HalfOpen { cooldown } => Some((wall, cooldown)),
                Breaker::Closed { .. } | Breaker::Dead => None,
            },
            held_until: (self.held_until > now).then(|| later(self.held_until)),
        }
    }

    /// As it was kept.
    #[must_use]
    pub fn recall(memory: &HostMemory, now: Mono, wall: Wall) -> Self {
        let later = |at: Wall| now + at.since(wall);
        Self {
            breaker: memory
                .open
                .map_or_else(Breaker::default, |(until, cooldown)| {
                    let until = later(until);
                    Breaker::Open { until, cooldown }
                }),
            held_until: memory.held_until.map_or(now, later),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall = Wall::from_millis(1_700_000_000_000);
    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 2,
        cooldown: Duration::from_secs(30),
        cooldown_max: Duration::from_mins(5),
    };

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn lost() -> Host {
        let mut host = Host::default();
        host.learn(Reach::Unreached, at(1_000), &POLICY);
        assert!(!host.is_lost());
        host.learn(Reach::Unreached, at(1_000), &POLICY);
        host
    }

    #[test]
    fn what_cannot_be_reached_opens_it_and_any_answer_closes_it() {
        let mut host = lost();
        assert!(host.is_lost());
        assert_eq!(host.closed_until(), at(1_030));
        assert_eq!(host.open_until(at(1_000)), Some(at(1_030)));
        host.begin(at(1_031), &POLICY);
        assert!(host.is_lost(), "until the probe is back");
        host.learn(Reach::Unknown, at(1_031), &POLICY);
        assert!(host.is_lost());
        host.learn(Reach::Answered, at(1_031), &POLICY);
        assert!(!host.is_lost());
        assert!(host.is_plain(at(1_031)));
    }

    #[test]
    fn it_survives_a_restart_with_the_rest_of_its_pause() {
        let mut host = lost();
        host.hold(at(1_015));
        let text = host.memory(at(1_000), WALL).to_text().expect("kept");
        let memory = HostMemory::parse(&text).expect("our own text");
        let next = Host::recall(&memory, at(5), WALL + Duration::from_secs(10));
        assert_eq!(next.open_until(at(5)), Some(at(25)), "20 of 30 s are left");
        let mut next = Host::recall(&memory, at(5), WALL + Duration::from_mins(10));
        assert_eq!(next.open_until(at(5)), None);
        assert!(next.is_lost(), "its pause is over, and a probe is due");
        next.begin(at(5), &POLICY);
        next.learn(Reach::Unreached, at(5), &POLICY);
        assert_eq!(next.open_until(at(5)), Some(at(65)), "twice as long");
        assert_eq!(Host::default().memory(at(5), WALL).to_text(), None);
        assert_eq!(HostMemory::parse("x"), None);
    }

    #[test]
    fn a_nudge_goes_behind_its_pause_and_its_wait() {
        let mut host = lost();
        host.hold(at(5_000));
        host.nudge(at(1_001), &POLICY);
        assert_eq!(host.closed_until(), at(1_001));
        assert!(host.is_lost());
    }
}
