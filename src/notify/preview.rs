//! What a target would be sent, to be looked at: the requests of a first attempt, made as an attempt makes it, with
//! every secret masked. Pure; sends nothing.

use std::time::Duration;

use super::living::{self, Move, Plan, Situation};
use super::masking;
use super::providers::{self, Context, HttpRequest, Task, Tier, Told};
use crate::clock::{self, Wall};
use crate::ids::{DeliveryId, IncidentId, RunId};
use crate::limits;
use crate::model::clues::{Change, Usage};
use crate::model::delivery::{Leased, MessageRef};
use crate::model::event::{Event, EventKind, Exit};
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::living::{Known, Living, Thread};
use crate::model::name::InstanceName;
use crate::model::target::{Audience, ProviderSpec, TargetSpec};

/// A request as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// `POST`, …; `RUN` for a program of one's own.
    pub method: &'static str,
    /// The address, its secret parts masked; of a program the command.
    pub url: String,
    /// Names and values, secret ones masked.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Which request of an incident's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The first that is sent.
    First,
    /// The target has a message of the incident, and there is more to say.
    Update,
    /// The target has a message of the incident, and the incident is over.
    Resolved,
}

/// The requests of a first attempt to tell `event`, which left `incident` so, to the target.
///
/// # Errors
/// Why nothing is sent, or nothing of the kind; a sentence.
pub fn requests(
    spec: &TargetSpec,
    (event, incident): (Event, Option<Incident>),
    (host, tier, moment): (&str, Tier, Moment),
) -> Result<Vec<Preview>, String> {
    let now = clock::wall();
    let mut leased = Leased {
        id: DeliveryId::new(),
        target: spec.name.clone(),
        attempts: 0,
        expires_at: now + limits::DELIVERY_RETRY_VALID,
        event,
        incident,
        frozen_body: None,
        confirmed: 0,
        known: Known::default(),
    };
    if moment != Moment::First {
        go_on(&mut leased, (spec, moment))?;
    }
    let message = leased.known.living.as_ref().and_then(|l| l.message.clone());
    let place = place(spec);
    let shown = |task, tier| {
        let context = Context {
            host,
            now,
            tier,
            moved_to: None,
            task,
        };
        let told = Told::of(&leased).in_voice(&spec.voice);
        shown(spec, providers::of(&spec.provider).request(&told, &context))
    };
    let tasks = tasks(
        &leased,
        (spec, moment),
        (place.as_deref(), message.as_ref()),
    )?;
    Ok(tasks
        .into_iter()
        .map(|(task, line)| shown(task, if line { Tier::Line } else { tier }))
        .collect())
}

/// That of a program is known only where it was made.
fn place(spec: &TargetSpec) -> Option<String> {
    let places = providers::of(&spec.provider).abilities().places;
    match &spec.chat.thread {
        Thread::Fixed(id) if places => Some(id.clone()),
        Thread::Fixed(_) | Thread::None | Thread::PerProgram => None,
    }
}

/// Lets the incident go on or end, and the target have a message of it.
fn go_on(leased: &mut Leased, (spec, moment): (&TargetSpec, Moment)) -> Result<(), String> {
    let Some(incident) = &mut leased.incident else {
        let kind = leased.event.kind;
        return Err(format!(
            "{kind} belongs to no incident: nothing is changed or resolved by it"
        ));
    };
    let before = incident.seq;
    incident.seq += 1;
    incident.events += 1;
    let severity = incident.severity;
    if moment == Moment::Resolved && incident.state == IncidentState::Open {
        incident.state = IncidentState::Resolved;
        incident.resolved_at = Some(leased.event.time);
        incident.cause = Some("recovered".to_owned());
        end(&mut leased.event, incident.condition);
    }
    leased.known.living = Some(Living {
        message: Some(MessageRef {
            id: MESSAGE.to_owned(),
            // At Discord a message is looked for in its thread.
            place: place(spec).filter(|_| matches!(spec.provider, ProviderSpec::Discord(_))),
        }),
        seq: before,
        severity,
        created_at: leased.event.time,
        digest: String::new(),
        settings: providers::fingerprint(&spec.provider),
    });
    Ok(())
}

/// Stands for the id that the target gave the message.
const MESSAGE: &str = "1001";

/// The event by which an incident of this condition is over.
fn end(event: &mut Event, condition: Condition) {
    let kind = match condition {
        Condition::Crash | Condition::Stalled => EventKind::ProgramRecovered,
        Condition::Unhealthy => EventKind::ProgramHealthy,
        Condition::Rule => EventKind::RuleCleared,
        Condition::Target => EventKind::TargetRestored,
        Condition::Storage => EventKind::StorageRestored,
        Condition::Supervisor => EventKind::SupervisorRestored,
    };
    let mut ended = Event::new(kind, event.time);
    ended.severity = event.severity;
    ended.instance.clone_from(&event.instance);
    ended.run = event.run;
    ended.facts.rule.clone_from(&event.facts.rule);
    ended.facts.target.clone_from(&event.facts.target);
    *event = ended;
}

/// What is done, and whether in one line.
type Step<'a> = (Task<'a>, bool);

fn tasks<'a>(
    leased: &Leased,
    (spec, moment): (&TargetSpec, Moment),
    (place, message): (Option<&'a str>, Option<&'a MessageRef>),
) -> Result<Vec<Step<'a>>, String> {
    let create = Task::Create {
        place,
        reply_to: None,
    };
    if moment == Moment::First || spec.provider.audience() != Audience::Chat {
        return Ok(vec![(create, false)]);
    }
    let abilities = providers::of(&spec.provider).abilities();
    let plan = living::plan(&Situation {
        leased,
        abilities,
        policy: &spec.chat,
        settings: &providers::fingerprint(&spec.provider),
        digest: "another one",
    });
    let moves = match plan {
        Plan::Tell { moves, .. } => moves,
        Plan::Nothing(why) => return Err(format!("nothing is sent: {why}")),
    };
    let step = |step| match (step, message) {
        (Move::Open, _) => None,
        (Move::Edit, Some(message)) => Some((Task::Edit(message), false)),
        (Move::Delete, Some(message)) => Some((Task::Delete(message), false)),
        (Move::Answer, message) => Some((
            Task::Create {
                place,
                reply_to: message.filter(|_| abilities.replies),
            },
            true,
        )),
        (Move::Create | Move::Edit | Move::Delete, _) => Some((create, false)),
    };
    Ok(moves.into_iter().filter_map(step).collect())
}

fn shown(spec: &TargetSpec, request: HttpRequest) -> Preview {
    let target = &spec.provider;
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| {
        let shown = masking::header(name, value.expose(), target);
        (name.clone(), shown)
    });
    let (method, url) = match target {
        ProviderSpec::Exec(exec) => ("RUN", masking::body(exec.command.join(" "), target)),
        _ => (
            request.method.as_str(),
            masking::url(request.url.expose(), target),
        ),
    };
    Preview {
        method,
        url,
        headers: headers.collect(),
        body: masking::body(request.body, target),
    }
}

/// A made-up event of `kind`, with the incident it would belong to.
#[must_use]
pub fn sample(kind: EventKind) -> (Event, Option<Incident>) {
    let now = clock::wall();
    let mut event = Event::new(kind, now);
    let is_about_a_program = ["program.", "rule."]
        .iter()
        .any(|p| kind.as_str().starts_with(p));
    if is_about_a_program {
        event.instance = Some(InstanceName::single("web"));
        event.run = Some(RunId::new());
        event.facts.pid = Some(4321);
    }
    details(&mut event);
    let incident = condition(kind).map(|found| incident(&event, found, now));
    (event, incident)
}

fn details(event: &mut Event) {
    let facts = &mut event.facts;
    match event.kind {
        EventKind::ProgramCrashed | EventKind::ProgramFatal => {
            facts.exit = Some(Exit::Code(1));
            facts.uptime_s = Some(3_723.0);
            facts.restarts = Some(2);
            facts.next_restart_s = (event.kind == EventKind::ProgramCrashed).then_some(4.0);
            facts.peak_memory_bytes = Some(268_435_456);
            facts.usage = Some(Usage {
                over_s: 15.0,
                cpu_percent: vec![3.0, 12.0, 48.0, 97.0],
                memory_bytes: vec![67_108_864, 100_663_296, 201_326_592, 268_435_456],
            });
            facts.changed = vec![Change::Config("environment.PORT".to_owned())];
            facts.log_tail = vec![
                "listening on port 8080".to_owned(),
                "panic: index out of range".to_owned(),
            ];
        }
        EventKind::ProgramExited | EventKind::ProgramStopped => {
            facts.exit = Some(Exit::Code(0));
            facts.uptime_s = Some(3_723.0);
        }
        EventKind::ProgramUnhealthy | EventKind::ProgramStalled => {
            facts.cause = Some("status 503".to_owned());
        }
        EventKind::RuleFired | EventKind::RuleCleared => {
            facts.rule = Some("memory > 1GiB for 1m".to_owned());
        }
        EventKind::TargetFailing | EventKind::TargetRestored => {
            facts.target = Some("other".to_owned());
            facts.cause = Some("connection refused".to_owned());
        }
        EventKind::StorageDegraded => facts.cause = Some("the disk is full".to_owned()),
        _ => {}
    }
}

/// What is wrong, and whether it is over.
fn condition(kind: EventKind) -> Option<(Condition, IncidentState)> {
    use IncidentState::{Open, Resolved};
    Some(match kind {
        EventKind::ProgramCrashed | EventKind::ProgramFatal => (Condition::Crash, Open),
        EventKind::ProgramRecovered => (Condition::Crash, Resolved),
        EventKind::ProgramUnhealthy => (Condition::Unhealthy, Open),
        EventKind::ProgramHealthy => (Condition::Unhealthy, Resolved),
        EventKind::ProgramStalled => (Condition::Stalled, Open),
        EventKind::RuleFired => (Condition::Rule, Open),
        EventKind::RuleCleared => (Condition::Rule, Resolved),
        EventKind::TargetFailing => (Condition::Target, Open),
        EventKind::TargetRestored => (Condition::Target, Resolved),
        EventKind::StorageDegraded => (Condition::Storage, Open),
        EventKind::StorageRestored => (Condition::Storage, Resolved),
        EventKind::SupervisorDegraded => (Condition::Supervisor, Open),
        EventKind::SupervisorRestored => (Condition::Supervisor, Resolved),
        _ => return None,
    })
}

fn incident(event: &Event, (condition, state): (Condition, IncidentState), now: Wall) -> Incident {
    let is_over = state == IncidentState::Resolved;
    let age = i64::try_from(Duration::from_mins(4).as_millis()).unwrap_or(0);
    let opened_at = if is_over {
        Wall::from_millis(now.millis().saturating_sub(age))
    } else {
        now
    };
    Incident {
        id: IncidentId::new(),
        instance: event.instance.clone(),
        condition,
        subject: event
            .facts
            .rule
            .clone()
            .or_else(|| event.facts.target.clone()),
        severity: event.severity,
        state,
        opened_at,
        resolved_at: is_over.then_some(now),
        events: if is_over { 2 } else { 1 },
        seq: if is_over { 2 } else { 1 },
        failures: 1,
        cycle: 1,
        cause: is_over.then(|| "recovered".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_has_a_sample_and_every_incident_is_open_or_over() {
        for kind in EventKind::ALL {
            let (event, incident) = sample(*kind);
            assert_eq!(event.kind, *kind);
            if let Some(incident) = incident {
                let is_over = incident.state == IncidentState::Resolved;
                assert_eq!(incident.resolved_at.is_some(), is_over, "{kind}");
                assert_eq!(incident.instance, event.instance, "{kind}");
            }
        }
    }
}
