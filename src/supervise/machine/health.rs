//! The health of one run as a pure machine beside the one of its instance: signs of life to what follows from
//! them. No I/O, no clock, no log. Whether the run goes on is the other machine's to decide: this one demands.

use std::time::Duration;

use crate::clock::Mono;
use crate::ids::RunId;
use crate::model::health::{Aspect, HealthSettings};
use crate::model::status::Health;
use crate::model::trigger::{Demand, Trigger};
use crate::text;

/// What is known of the health of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Vitals {
    run: RunId,
    /// It has been alive for long enough.
    is_confirmed: bool,
    readiness: Readiness,
    liveness: Health,
    /// Then it must have become ready, and how long it was given.
    ready_by: Option<(Mono, Duration)>,
    /// Its end has been demanded or has begun: nothing follows from anything any more.
    is_over: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Readiness {
    /// There is nothing to wait for but the confirmation.
    Unprobed,
    /// It has not passed yet; and why not, when that is known.
    Awaited(Option<String>),
    /// It passed.
    Passed,
    /// It passed once, and does no more: why.
    Lost(String),
}

/// What happens to a run's health.
#[derive(Clone, Debug, PartialEq)]
pub enum Sign {
    /// The start is confirmed.
    Confirmed,
    /// A probe's verdict.
    Verdict {
        /// Which probe's.
        aspect: Aspect,
        /// What it says.
        health: Health,
        /// Why it is unhealthy.
        cause: Option<String>,
    },
    /// Time has passed.
    Tick(Mono),
    /// The run ends, or is to end.
    Over,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction {
    /// It is ready: to be told, once in a run.
    Ready,
    /// Ask its probe from here on.
    Probe(Aspect),
    /// It is unhealthy, for this reason: to be told.
    Unhealthy(String),
    /// It is healthy again: to be told.
    Healthy,
    /// The run is to be ended.
    Demand(Demand),
}

impl Vitals {
    /// Those of a run that was just spawned.
    #[must_use]
    pub fn new(run: RunId, settings: &HealthSettings, now: Mono) -> (Self, Vec<Reaction>) {
        let is_probed = settings.has_readiness();
        let vitals = Self {
            run,
            is_confirmed: false,
            readiness: if is_probed {
                Readiness::Awaited(None)
            } else {
                Readiness::Unprobed
            },
            liveness: Health::Unknown,
            ready_by: settings
                .start_timeout
                .filter(|_| is_probed)
                .map(|within| (now + within, within)),
            is_over: false,
        };
        let reaction = is_probed.then_some(Reaction::Probe(Aspect::Readiness));
        (vitals, reaction.into_iter().collect())
    }

    /// Those of a run that an earlier supervisor began. One that was ready then is so until its probe says
    /// otherwise: what depends on it goes on.
    #[must_use]
    pub fn adopted(
        (run, was_ready): (RunId, bool),
        settings: &HealthSettings,
        now: Mono,
    ) -> (Self, Vec<Reaction>) {
        let (mut vitals, mut reactions) = Self::new(run, settings, now);
        if was_ready && vitals.readiness == Readiness::Awaited(None) {
            vitals.readiness = Readiness::Passed;
            vitals.ready_by = None;
            // A line that was written stays written.
            reactions.retain(|_| settings.ready_line.is_none());
        }
        (vitals, reactions)
    }

    /// Whose they are.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Whether it can be used, as far as is known.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_confirmed
            && match self.readiness {
                Readiness::Unprobed | Readiness::Passed => true,
                Readiness::Awaited(_) | Readiness::Lost(_) => false,
            }
    }

    /// Whether it was ready at any time.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        self.is_confirmed && !matches!(self.readiness, Readiness::Awaited(_))
    }

    /// What probes say of it.
    #[must_use]
    pub fn health(&self) -> Health {
        match (&self.readiness, self.liveness) {
            (_, Health::Unhealthy) | (Readiness::Lost(_) | Readiness::Awaited(Some(_)), _) => {
                Health::Unhealthy
            }
            (Readiness::Passed, _) | (_, Health::Healthy) => Health::Healthy,
            (Readiness::Unprobed | Readiness::Awaited(None), Health::Unknown) => Health::Unknown,
        }
    }

    /// Why it is not ready, in words, when there is something to say.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match &self.readiness {
            Readiness::Unprobed | Readiness::Passed => None,
            Readiness::Awaited(None) => Some("not ready yet".to_owned()),
            Readiness::Awaited(Some(cause)) => Some(format!("not ready yet: {cause}")),
            Readiness::Lost(cause) => Some(format!("not ready: {cause}")),
        }
    }

    /// When [`Sign::Tick`] is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.ready_by.filter(|_| !self.is_over).map(|(at, _)| at)
    }

    /// Its start may last until then, when that is later than it may now.
    pub fn extend(&mut self, until: Mono) {
        if let Some((at, within)) = self.ready_by.as_mut().filter(|(at, _)| *at < until) {
            *within += until.since(*at);
            *at = until;
        }
    }

    /// Takes a sign; what follows from it.
    pub fn take(&mut self, sign: Sign, settings: &HealthSettings) -> Vec<Reaction> {
        if self.is_over {
            return Vec::new();
        }
        match sign {
            Sign::Confirmed if self.is_confirmed => Vec::new(),
            Sign::Confirmed => {
                self.is_confirmed = true;
                self.if_ready(settings)
            }
            Sign::Verdict {
                aspect: Aspect::Readiness,
                health,
                cause,
            } => self.readiness(health, cause, settings),
            Sign::Verdict {
                aspect: Aspect::Liveness,
                health,
                cause,
            } => self.liveness(health, cause, settings),
            Sign::Tick(now) => self.tick(now),
            Sign::Over => {
                self.is_over = true;
                Vec::new()
            }
        }
    }

    fn tick(&mut self, now: Mono) -> Vec<Reaction> {
        let Some((_, within)) = self.ready_by.filter(|(at, _)| *at <= now) else {
            return Vec::new();
        };
        let mut cause = format!("not ready within {}", text::duration(within));
        if let Readiness::Awaited(Some(why)) = &self.readiness {
            cause = format!("{cause}: {why}");
        }
        self.is_over = true;
        vec![Reaction::Demand(Demand {
            trigger: Trigger::StartTimeout,
            cause,
            is_failure: true,
        })]
    }

    /// It has just become ready, for the first time: its liveness counts from here on.
    fn if_ready(&mut self, settings: &HealthSettings) -> Vec<Reaction> {
        if !self.is_ready() {
            return Vec::new();
        }
        self.ready_by = None;
        let mut reactions = vec![Reaction::Ready];
        if settings.liveness.is_some() {
            reactions.push(Reaction::Probe(Aspect::Liveness));
        }
        reactions
    }

    fn readiness(
        &mut self,
        health: Health,
        cause: Option<String>,
        settings: &HealthSettings,
    ) -> Vec<Reaction> {
        match (&self.readiness, health) {
            (Readiness::Awaited(_), Health::Healthy) => {
                self.readiness = Readiness::Passed;
                self.if_ready(settings)
            }
            (Readiness::Awaited(_), Health::Unhealthy) => {
                // A program that takes its time to start is no news; `start_timeout` says how much it may take.
                self.readiness = Readiness::Awaited(cause);
                Vec::new()
            }
            (Readiness::Passed, Health::Unhealthy) => {
                let cause = cause.unwrap_or_default();
                self.readiness = Readiness::Lost(cause.clone());
                vec![Reaction::Unhealthy(cause)]
            }
            (Readiness::Lost(_), Health::Healthy) => {
                self.readiness = Readiness::Passed;
                vec![Reaction::Healthy]
            }
            (Readiness::Unprobed, _)
            | (Readiness::Passed, Health::Healthy | Health::Unknown)
            | (Readiness::Lost(_), Health::Unhealthy | Health::Unknown)
            | (Readiness::Awaited(_), Health::Unknown) => Vec::new(),
        }
    }

    fn liveness(
        &mut self,
        health: Health,
        cause: Option<String>,
        settings: &HealthSettings,
    ) -> Vec<Reaction> {
        let trigger = if settings.is_notified(Aspect::Liveness) {
            Trigger::Watchdog
        } else {
            Trigger::Liveness
        };
        self.liveness = health;
        match health {
            Health::Unknown | Health::Healthy => Vec::new(),
            Health::Unhealthy => self.fail(trigger, cause.unwrap_or_default()),
        }
    }

    fn fail(&mut self, trigger: Trigger, cause: String) -> Vec<Reaction> {
        self.is_over = true;
        let demand = Demand {
            trigger,
            cause: cause.clone(),
            is_failure: true,
        };
        vec![Reaction::Unhealthy(cause), Reaction::Demand(demand)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::health::{Check, Probe};

    fn settings(readiness: bool, liveness: bool) -> HealthSettings {
        let probe = Arc::new(Probe {
            check: Check::Exec(vec!["true".to_owned()]),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            initial_delay: Duration::ZERO,
            success_threshold: 1,
            failure_threshold: 1,
        });
        HealthSettings {
            readiness: readiness.then(|| Arc::clone(&probe)),
            ready_line: None,
            liveness: liveness.then_some(probe),
            start_timeout: Some(Duration::from_secs(30)),
        }
    }

    fn sign(c: char) -> Sign {
        let verdict = |aspect, health| Sign::Verdict {
            aspect,
            health,
            cause: (health == Health::Unhealthy).then(|| "no".to_owned()),
        };
        match c {
            'c' => Sign::Confirmed,
            'R' => verdict(Aspect::Readiness, Health::Healthy),
            'r' => verdict(Aspect::Readiness, Health::Unhealthy),
            'L' => verdict(Aspect::Liveness, Health::Healthy),
            'l' => verdict(Aspect::Liveness, Health::Unhealthy),
            'o' => Sign::Over,
            't' => Sign::Tick(Mono::from_nanos(29_999_999_999)),
            'T' => Sign::Tick(Mono::from_nanos(30_000_000_000)),
            other => unreachable!("{other}"),
        }
    }

    fn word(reaction: &Reaction) -> &'static str {
        match reaction {
            Reaction::Ready => "ready",
            Reaction::Probe(Aspect::Readiness) => "probe-readiness",
            Reaction::Probe(Aspect::Liveness) => "probe-liveness",
            Reaction::Unhealthy(_) => "unhealthy",
            Reaction::Healthy => "healthy",
            Reaction::Demand(demand) => demand.trigger.as_str(),
        }
    }

    /// What followed from each sign, and what is seen at the end.
    fn walk(settings: &HealthSettings, signs: &str) -> (String, bool, Health) {
        let (mut vitals, first) = Vitals::new(RunId::new(), settings, Mono::default());
        let mut words: Vec<&str> = first.iter().map(word).collect();
        for c in signs.chars() {
            words.extend(vitals.take(sign(c), settings).iter().map(word));
        }
        (words.join(" "), vitals.is_ready(), vitals.health())
    }

    /// Which probes there are, signs, what follows, whether it is ready then, and how it does.
    type Walk = (&'static str, &'static str, &'static str, bool, Health);

    const WALKS: &[Walk] = {
        use Health::{Healthy, Unhealthy, Unknown};
        &[
            ("", "", "", false, Unknown),
            ("", "c", "ready", true, Unknown),
            ("r", "c", "probe-readiness", false, Unknown),
            ("r", "R", "probe-readiness", false, Healthy),
            ("r", "Rc", "probe-readiness ready", true, Healthy),
            ("r", "cR", "probe-readiness ready", true, Healthy),
            ("r", "cr", "probe-readiness", false, Unhealthy),
            ("r", "crR", "probe-readiness ready", true, Healthy),
            (
                "r",
                "cRr",
                "probe-readiness ready unhealthy",
                false,
                Unhealthy,
            ),
            (
                "r",
                "cRrR",
                "probe-readiness ready unhealthy healthy",
                true,
                Healthy,
            ),
            ("r", "coR", "probe-readiness", false, Unknown),
            ("r", "ctT", "probe-readiness start_timeout", false, Unknown),
            (
                "r",
                "rTTRc",
                "probe-readiness start_timeout",
                false,
                Unhealthy,
            ),
            ("r", "RtT", "probe-readiness start_timeout", false, Healthy),
            (
                "r",
                "cRTr",
                "probe-readiness ready unhealthy",
                false,
                Unhealthy,
            ),
            ("", "tTcT", "ready", true, Unknown),
            ("l", "c", "ready probe-liveness", true, Unknown),
            ("l", "cL", "ready probe-liveness", true, Healthy),
            (
                "l",
                "cLl",
                "ready probe-liveness unhealthy liveness",
                true,
                Unhealthy,
            ),
            (
                "l",
                "clll",
                "ready probe-liveness unhealthy liveness",
                true,
                Unhealthy,
            ),
            ("l", "col", "ready probe-liveness", true, Unknown),
            (
                "rl",
                "cR",
                "probe-readiness ready probe-liveness",
                true,
                Healthy,
            ),
            (
                "rl",
                "cRL",
                "probe-readiness ready probe-liveness",
                true,
                Healthy,
            ),
            (
                "rl",
                "cRrRl",
                "probe-readiness ready probe-liveness unhealthy healthy unhealthy liveness",
                true,
                Unhealthy,
            ),
        ]
    };

    #[test]
    fn what_follows_from_which_signs() {
        for (probes, signs, words, is_ready, health) in WALKS {
            let settings = settings(probes.contains('r'), probes.contains('l'));
            let expected = ((*words).to_owned(), *is_ready, *health);
            assert_eq!(walk(&settings, signs), expected, "{probes:?} {signs}");
        }
    }

    #[test]
    fn in_every_short_history_ready_is_told_once_at_most_and_nothing_follows_an_end() {
        let mut histories = vec![String::new()];
        for _ in 0..5 {
            histories = histories
                .iter()
                .flat_map(|h| "cRrLloT".chars().map(move |c| format!("{h}{c}")))
                .collect();
        }
        for probes in 0..4 {
            let settings = settings(probes & 1 != 0, probes & 2 != 0);
            for signs in &histories {
                let (words, _, _) = walk(&settings, signs);
                let count = |word: &str| words.split(' ').filter(|w| *w == word).count();
                assert!(count("ready") <= 1, "{signs}: {words}");
                assert!(count("liveness") <= 1, "{signs}: {words}");
                assert!(count("healthy") <= count("unhealthy"), "{signs}: {words}");
                assert!(count("start_timeout") <= 1, "{signs}: {words}");
                if let Some(at) = signs.find(['o', 'l']) {
                    let (before, _, _) = walk(&settings, &signs[..=at]);
                    assert_eq!(before, words, "{signs}");
                }
            }
        }
    }
}
