//! Incidents: which event opens, continues or resolves one. Pure: no clock, no I/O; `now` is an argument.
//! Never decides who is told.
//!
//! One instance has at most one open incident of one condition. Those of a crash are decided here, the others in
//! `condition`. One of a crash opens with the first failure
//! (`program.crashed`, or a `program.fatal` that comes alone), and resolves
//! - as `program.recovered`, an event made here, when a run has lasted the recovery wait: `recover_after`,
//!   doubled for each further failure, up to `reset_after` and never less than `recover_after`;
//! - with `program.stopped` or `program.killed`: a person (or the shutdown) stopped the instance. A killed
//!   program ends the incident as a stopped one does, because KILL follows only a stop that was asked for;
//!   and where none is open it opens none: a program that ignores TERM is a warning, not a failure;
//! - when its program is no longer configured, with a `program.stopped` that says so.
//!
//! A run that ended well does not resolve: nothing has been seen to run again. Nor does one that the supervisor
//! ended to start the program anew: nobody said that it is to be down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::condition::{Conditions, Known};
use super::flap::{Flaps, Key, RECOVERED};
use crate::clock::{Mono, Wall};
use crate::ids::{IncidentId, RunId};
use crate::model::event::{Event, EventKind, Severity};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::name::InstanceName;

/// What the rules need to know of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryPolicy {
    /// Running this long ends an incident of one failure.
    pub recover_after: Duration,
    /// The wait is never doubled beyond it.
    pub reset_after: Duration,
}

impl RecoveryPolicy {
    /// How long a run must last to end an incident of `failures` failures.
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let doubled = self.recover_after.saturating_mul(1_u32 << doublings);
        doubled.min(self.reset_after.max(self.recover_after))
    }
}

/// What the incidents are told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing did: look whether a wait is over. Only when no event waits to be told, or a run that has
    /// already ended would count as running.
    Tick(Wall),
}

/// An event in its place: the one that came in, or one that follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// What happened.
    pub event: Event,
    /// The incident it belongs to, as it stands after it.
    pub incident: Option<Incident>,
}

/// All open incidents.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    policies: BTreeMap<InstanceName, RecoveryPolicy>,
    open: BTreeMap<InstanceName, Open>,
    conditions: Conditions,
    flaps: Flaps,
}

#[derive(Clone, Debug)]
struct Open {
    incident: Incident,
    /// The run that may end it, and when it was spawned.
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    run: Option<RunId>,
    since: Mono,
}

/// What a kind of event means for the incident of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// A failure: opens or counts up; the run has ended.
    Fails,
    /// Given up: opens, or makes the open one critical; nothing runs.
    GivesUp,
    /// A run began.
    Runs,
    /// The run ended well.
    Ends,
    /// A person wanted it down.
    Stops,
    /// Belongs to the incident and changes nothing else.
    Notes,
    /// Does not belong to it.
    None,
}

fn effect(event: &Event) -> Effect {
    match event.kind {
        // Ended to be started anew: nobody said that it is to be down.
        EventKind::ProgramStopped if event.facts.trigger.is_some() => Effect::Ends,
        EventKind::ProgramKilled if event.facts.trigger.is_some() => Effect::Notes,
        EventKind::ProgramCrashed => Effect::Fails,
        EventKind::ProgramFatal => Effect::GivesUp,
        EventKind::ProgramStarted | EventKind::ProgramAdopted => Effect::Runs,
        EventKind::ProgramExited => Effect::Ends,
        EventKind::ProgramStopped | EventKind::ProgramKilled => Effect::Stops,
        EventKind::ProgramReady | EventKind::ProgramRestarting | EventKind::ProgramStopping => {
            Effect::Notes
        }
        // Recovery is decided here alone; one that comes from elsewhere resolves nothing.
        EventKind::ProgramRecovered
        | EventKind::ProgramUnhealthy
        | EventKind::ProgramHealthy
        | EventKind::ProgramStalled
        | EventKind::ProgramLogMatched
        | EventKind::ProgramSkipped
        | EventKind::RuleFired
        | EventKind::RuleCleared
        | EventKind::SupervisorStarted
        | EventKind::SupervisorStopping
        | EventKind::SupervisorRecovered
        | EventKind::SupervisorDegraded
        | EventKind::SupervisorRestored
        | EventKind::TargetFailing
        | EventKind::TargetRestored
        | EventKind::ConfigReloaded
        | EventKind::ConfigRejected
        | EventKind::StorageDegraded
        | EventKind::StorageRestored
        | EventKind::LogsDropped
        | EventKind::SilenceStarted
        | EventKind::SilenceEnded
        | EventKind::NotifyTest => Effect::None,
    }
}

impl Incidents {
    /// The incidents `stored` of the supervisor before, under the configuration of this one: those that are open,
    /// and those that resolved lately. Of programs it does not name they are resolved by the first tick.
    #[must_use]
    pub fn new(policies: BTreeMap<InstanceName, RecoveryPolicy>, stored: Vec<Incident>) -> Self {
        let mut flaps = Flaps::default();
        let (open, ended): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|i| i.state == IncidentState::Open);
        for incident in &ended {
            flaps.resolved(incident);
        }
        let (crashes, others): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|i| i.condition == Condition::Crash);
        let open = crashes
            .into_iter()
            .filter_map(|incident| {
                let running = None;
                let name = incident.instance.clone()?;
                Some((name, Open { incident, running }))
            })
            .collect();
        let mut incidents = Self {
            policies: BTreeMap::new(),
            open,
            conditions: Conditions::new(others),
            flaps,
        };
        incidents.configure(policies, []);
        incidents
    }

    /// Takes up a changed configuration. Incidents of what it does not name are resolved by the next tick.
    pub fn configure(
        &mut self,
        policies: BTreeMap<InstanceName, RecoveryPolicy>,
        targets: impl IntoIterator<Item = Arc<str>>,
    ) {
        self.conditions.configure(Known {
            instances: policies.keys().cloned().collect(),
            targets: targets.into_iter().collect(),
        });
        self.policies = policies;
    }

    /// The incidents that are open: crashes in the order of their instances' names, then the others.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        let crashes = self.open.values().map(|o| &o.incident);
        crashes.chain(self.conditions.open())
    }

    /// Takes `input` at `now` and gives the events to record, in their order.
    #[must_use]
    pub fn next(&mut self, input: Input, now: Mono) -> Vec<Fold> {
        match input {
            Input::Event(event) => {
                let folds = self.on_event(*event, now);
                let on = |fold| self.conditions.next(fold, &mut self.flaps);
                folds.into_iter().flat_map(on).collect()
            }
            Input::Tick(wall) => {
                let mut folds = self.on_tick(wall, now);
                folds.extend(self.conditions.tick((wall, now), &mut self.flaps));
                folds
            }
        }
    }

    /// When to tick at the latest; `None` when there is nothing to wait for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.open
            .iter()
            .filter_map(|(name, open)| self.due(name, open))
            .chain(self.conditions.next_deadline())
            .min()
    }

    fn due(&self, name: &InstanceName, open: &Open) -> Option<Mono> {
        match self.policies.get(name) {
            None => Some(Mono::default()),
            Some(policy) => open
                .running
                .map(|r| r.since + policy.wait(open.incident.failures)),
        }
    }

    fn on_event(&mut self, mut event: Event, now: Mono) -> Vec<Fold> {
        let Some(name) = event.instance.clone() else {
            return vec![alone(event)];
        };
        let mut folds: Vec<Fold> = self
            .recovered_before(&mut event, &name)
            .into_iter()
            .collect();
        let effect = effect(&event);
        let incident = match effect {
            Effect::Fails | Effect::GivesUp => Some(self.fail(&event, &name, effect)),
            Effect::Stops => self.resolve(&event, &name, "stopped"),
            Effect::Runs | Effect::Ends | Effect::Notes => self.continue_with(&event, &name, now),
            Effect::None => None,
        };
        folds.push(Fold { event, incident });
        folds
    }

    /// The end of a run that lasted the wait, told before the tick that would have noticed: the recovery
    /// comes first. By the run's own uptime, never by `now`: the journal may be behind.
    fn recovered_before(&mut self, event: &mut Event, name: &InstanceName) -> Option<Fold> {
        match effect(event) {
            Effect::Fails | Effect::Ends | Effect::Stops | Effect::GivesUp => {}
            Effect::Runs | Effect::Notes | Effect::None => return None,
        }
        let open = self.open.get(name)?;
        let running = open.running?;
        let wait = self.policies.get(name)?.wait(open.incident.failures);
        let uptime = event
            .facts
            .uptime_s
            .and_then(|s| Duration::try_from_secs_f64(s).ok())?;
        if running.run != event.run {
            return None;
        }
        let past = uptime.checked_sub(wait)?.as_millis();
        let past = i64::try_from(past).unwrap_or(i64::MAX);
        let at = Wall::from_millis(event.time.millis().saturating_sub(past));
        let mut fold = self.recover(name, at)?;
        // Ids rise with time: the earlier of the two takes the earlier id.
        std::mem::swap(&mut fold.event.id, &mut event.id);
        Some(fold)
    }

    fn fail(&mut self, event: &Event, name: &InstanceName, effect: Effect) -> Incident {
        if let Some(open) = self.open.get_mut(name) {
            touch(&mut open.incident, event);
            if effect == Effect::Fails {
                open.incident.failures = open.incident.failures.saturating_add(1);
            }
            stop_running(open, event);
            return open.incident.clone();
        }
        let key = Key {
            instance: Some(name.clone()),
            condition: Condition::Crash,
            subject: None,
        };
        let incident = Incident {
            id: IncidentId::new(),
            instance: Some(name.clone()),
            condition: Condition::Crash,
            subject: None,
            severity: event.severity.max(Severity::Warning),
            state: IncidentState::Open,
            opened_at: event.time,
            resolved_at: None,
            events: 1,
            seq: 1,
            failures: 1,
            cycle: self.flaps.cycle(&key, event.time),
            cause: None,
        };
        self.open.insert(
            name.clone(),
            Open {
                incident: incident.clone(),
                running: None,
            },
        );
        incident
    }

    fn continue_with(&mut self, event: &Event, name: &InstanceName, now: Mono) -> Option<Incident> {
        let open = self.open.get_mut(name)?;
        touch(&mut open.incident, event);
        match effect(event) {
            Effect::Runs => open.running = running_since(event, now),
            Effect::Ends => stop_running(open, event),
            Effect::Fails | Effect::GivesUp | Effect::Stops | Effect::Notes | Effect::None => {}
        }
        Some(open.incident.clone())
    }

    fn resolve(&mut self, event: &Event, name: &InstanceName, cause: &str) -> Option<Incident> {
        let mut incident = self.open.remove(name)?.incident;
        touch(&mut incident, event);
        incident.state = IncidentState::Resolved;
        incident.resolved_at = Some(event.time);
        incident.cause = Some(cause.to_owned());
        self.flaps.resolved(&incident);
        Some(incident)
    }

    fn on_tick(&mut self, wall: Wall, now: Mono) -> Vec<Fold> {
        let due: Vec<InstanceName> = self
            .open
            .iter()
            .filter(|(name, open)| self.due(name, open).is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        due.iter()
            .filter_map(|name| {
                if self.policies.contains_key(name) {
                    self.recover(name, wall)
                } else {
                    self.remove(name, wall)
                }
            })
            .collect()
    }

    /// The run of `name` has lasted the wait.
    fn recover(&mut self, name: &InstanceName, at: Wall) -> Option<Fold> {
        let open = self.open.get(name)?;
        let wait = self.policies.get(name)?.wait(open.incident.failures);
        let mut event = Event::new(EventKind::ProgramRecovered, at);
        event.severity = open.incident.severity;
        event.instance = Some(name.clone());
        event.run = open.running.and_then(|r| r.run);
        event.facts.uptime_s = Some(wait.as_secs_f64());
        let incident = self.resolve(&event, name, RECOVERED);
        Some(Fold { event, incident })
    }

    /// `name` has left the configuration.
    fn remove(&mut self, name: &InstanceName, at: Wall) -> Option<Fold> {
        let mut event = Event::new(EventKind::ProgramStopped, at);
        event.instance = Some(name.clone());
        event.facts.cause = Some("removed from the configuration".to_owned());
        let incident = self.resolve(&event, name, "removed")?;
        Some(Fold {
            event,
            incident: Some(incident),
        })
    }
}

fn alone(event: Event) -> Fold {
    Fold {
        event,
        incident: None,
    }
}

/// `event` belongs to `incident`.
pub(super) fn touch(incident: &mut Incident, event: &Event) {
    incident.events = incident.events.saturating_add(1);
    incident.seq = incident.seq.saturating_add(1);
    incident.severity = incident.severity.max(event.severity);
}

/// An adopted run has been up for as long as it says; one whose exit was missed (a warning) is not up.
fn running_since(event: &Event, now: Mono) -> Option<Running> {
    if event.kind == EventKind::ProgramAdopted && event.severity != Severity::Info {
        return None;
    }
    let up = event
        .facts
        .uptime_s
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .unwrap_or_default();
    let up = u64::try_from(up.as_nanos()).unwrap_or(u64::MAX);
    Some(Running {
        run: event.run,
        since: Mono::from_nanos(now.nanos().saturating_sub(up)),
    })
}

/// A late report of an earlier run does not end the present one.
fn stop_running(open: &mut Open, event: &Event) {
    let is_other = match (open.running.and_then(|r| r.run), event.run) {
        (Some(running), Some(ended)) => running != ended,
        (Some(_) | None, None) | (None, Some(_)) => false,
    };
    if !is_other {
        open.running = None;
    }
}
