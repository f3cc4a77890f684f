//! One target's lane: whether something may be sent to it, from its breaker, its rate and the waits it asked
//! for. Pure; at most one message is in flight in it.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::{self, Breaker, Change, Input};
use super::limit::Bucket;
use super::providers;
use crate::clock::{Mono, Wall};
use crate::model::target::{TargetSpec, TargetState};

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// At once.
    Free,
    /// One is in flight.
    Busy,
    /// Not before then.
    Until(Mono),
    /// Not until a person acts.
    Never,
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
}

/// What of a lane is worth keeping over a restart, in wall time; for the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMemory {
    /// The target said it is gone.
    pub is_dead: bool,
    /// The end of the breaker's pause, when it is open, and its length.
    pub open: Option<(Wall, Duration)>,
    /// The end of the wait the target asked for.
    pub held_until: Option<Wall>,
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
        }
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
        let free_at = breaker
            .max(self.held_until)
            .max(host_until)
            .max(self.bucket.next_at(self.spec.rate));
        if free_at <= now {
            Gate::Free
        } else {
            Gate::Until(free_at)
        }
    }

    /// A message is handed to a worker.
    pub fn begin(&mut self, now: Mono) {
        self.in_flight = true;
        self.bucket = self.bucket.spend(now, self.spec.rate);
        let (breaker, _) = breaker::next(self.breaker, Input::Began, now, &self.spec.breaker);
        self.breaker = breaker;
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

    /// Something happened to the breaker; returns what others are to be told.
    pub fn feed(&mut self, input: Input, now: Mono) -> Option<Change> {
        let (breaker, change) = breaker::next(self.breaker, input, now, &self.spec.breaker);
        self.breaker = breaker;
        if input == Input::Nudged {
            self.held_until = now;
        }
        change
    }

    /// Nothing goes before `until`; an earlier wait is only made longer.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }

    /// The target's configuration changed: its past does not count.
    pub fn change(&mut self, spec: Arc<TargetSpec>, now: Mono) -> Option<Change> {
        self.host = providers::host(&spec.provider);
        self.spec = spec;
        self.held_until = now;
        self.feed(Input::Changed, now)
    }

    /// How it is shown.
    #[must_use]
    pub fn state(&self, now: Mono, host_until: Mono) -> TargetState {
        let is_open = matches!(self.breaker, Breaker::Open { until, .. } if until > now);
        match self.gate(now, host_until) {
            Gate::Busy => TargetState::Busy,
            Gate::Never => TargetState::Dead,
            Gate::Until(_) if is_open => TargetState::Open,
            Gate::Until(_) => TargetState::Waiting,
            Gate::Free => TargetState::Ready,
        }
    }

    /// What is worth keeping.
    #[must_use]
    pub fn memory(&self, now: Mono, wall: Wall) -> LaneMemory {
        let later = |at: Mono| wall + at.since(now);
        LaneMemory {
            is_dead: self.breaker == Breaker::Dead,
            open: match self.breaker {
                Breaker::Open { until, cooldown } => Some((later(until), cooldown)),
                // The probe's fate is unknown after a restart: probe again at once.
                Breaker::HalfOpen { cooldown } => Some((wall, cooldown)),
                Breaker::Closed { .. } | Breaker::Dead => None,
            },
            held_until: (self.held_until > now).then(|| later(self.held_until)),
        }
    }

    /// Takes up what was kept.
    pub fn recall(&mut self, memory: &LaneMemory, now: Mono, wall: Wall) {
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
