//! Incidents as people look at them: listed, and one with everything that happened in it and that each target was
//! told. The same from the running supervisor and from its database.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::api::{DeliveryLine, EventLine};
use super::deliveries::{AttemptLine, Unfound, which};
use super::http::Request;
use super::response::Problem;
use super::stored::said;
use crate::clock::Wall;
use crate::ids::{DeliveryId, IncidentId};
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::model::event::Severity;
use crate::model::hold::Hold;
use crate::model::incident::{Condition, Incident, IncidentState};
use crate::model::name::InstanceName;
use crate::store::{AttemptView, DeliveryView, IncidentFilter, Store};

/// Which incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Only those that are not over.
    pub is_open: bool,
    /// Those opened then or later.
    pub since: Option<Wall>,
    /// The newest so many.
    pub limit: usize,
}

impl IncidentQuery {
    pub(super) fn of(request: &Request) -> Result<Self, Problem> {
        let limit = request.param("last").map(str::parse).transpose();
        let limit = limit.map_err(|_| Problem::new(400, "last must be a number"))?;
        let limit: usize = limit.unwrap_or(limits::INCIDENTS_LISTED);
        let since = request.param("since").map(|text| {
            Wall::parse(text).ok_or_else(|| Problem::new(400, "since must be an RFC 3339 time"))
        });
        let is_open = match request.param("open") {
            None | Some("false" | "0") => false,
            Some("true" | "1" | "") => true,
            Some(_) => return Err(Problem::new(400, "open must be true or false")),
        };
        Ok(Self {
            is_open,
            since: since.transpose()?,
            limit: limit.min(limits::CONTROL_PAGE),
        })
    }
}

/// One row of `incidents --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLine {
    /// Its identity.
    pub id: IncidentId,
    /// The program it is about.
    pub program: Option<String>,
    /// The instance it is about.
    pub instance: Option<InstanceName>,
    /// What is wrong.
    pub condition: Condition,
    /// Which rule or target.
    pub subject: Option<String>,
    /// The highest it has had.
    pub severity: Severity,
    /// Open or resolved.
    pub state: IncidentState,
    /// When it opened.
    pub opened_at: Wall,
    /// When it was over.
    pub resolved_at: Option<Wall>,
    /// Why it was over: `recovered`, `stopped`, `removed`.
    pub cause: Option<String>,
    /// How many events belong to it.
    pub events: u64,
    /// How each target stands with it.
    pub targets: Vec<TargetLine>,
}

/// How a target stands with an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// Its name.
    pub name: String,
    /// Of the newest delivery.
    pub state: DeliveryState,
    /// The message it has.
    pub message_id: Option<String>,
}

/// `incidents show --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentDetail {
    /// As in the list.
    #[serde(flatten)]
    pub line: IncidentLine,
    /// How often it failed.
    pub failures: u32,
    /// Above 1 it flaps.
    pub cycle: u32,
    /// What happened, in order; the first one opened it.
    pub timeline: Vec<EventLine>,
    /// What each target was told, in order.
    pub told: Vec<ToldLine>,
}

/// One thing a target was told, or is to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldLine {
    /// The delivery.
    #[serde(flatten)]
    pub line: DeliveryLine,
    /// When it was made.
    pub created_at: Wall,
    /// Why it waits, when it is held back on purpose.
    pub held: Option<String>,
    /// What the target calls the message.
    pub message_id: Option<String>,
    /// Every attempt, oldest first.
    pub tries: Vec<AttemptLine>,
}

/// The incidents.
pub trait Incidents: Send + Sync {
    /// The newest that match, newest first.
    fn incidents(&self, query: &IncidentQuery) -> Result<Vec<IncidentLine>, Unfound>;

    /// The one whose id begins like this.
    fn incident(&self, id: &str) -> Result<IncidentDetail, Unfound>;
}

impl Incidents for Store {
    fn incidents(&self, query: &IncidentQuery) -> Result<Vec<IncidentLine>, Unfound> {
        let found = if query.is_open {
            self.newest_open_incidents(limits::CONTROL_PAGE)
        } else {
            Store::incidents(
                self,
                &IncidentFilter {
                    since: query.since,
                    limit: Some(query.limit),
                    ..IncidentFilter::default()
                },
            )
        };
        let found = found.map_err(|e| said(&e))?;
        let since = query.since;
        let found = found
            .into_iter()
            .filter(|i| since.is_none_or(|since| i.opened_at >= since));
        lines(self, found.take(query.limit).collect())
    }

    fn incident(&self, id: &str) -> Result<IncidentDetail, Unfound> {
        let id = id.to_uppercase();
        let found = self.incidents_beginning(&id, limits::IDS_NAMED + 1);
        let found = found.map_err(|e| said(&e))?;
        let ids: Vec<String> = found.iter().map(|i| i.id.to_string()).collect();
        let Ok([incident]) = <[Incident; 1]>::try_from(found) else {
            let newest = IncidentFilter {
                limit: Some(limits::CONTROL_PAGE),
                ..IncidentFilter::default()
            };
            let newest = Store::incidents(self, &newest).map_err(|e| said(&e))?;
            let newest: Vec<String> = newest.iter().map(|i| i.id.to_string()).collect();
            return Err(which("incident", &id, (&ids, &newest)));
        };
        detail(self, incident)
    }
}

fn lines(store: &Store, found: Vec<Incident>) -> Result<Vec<IncidentLine>, Unfound> {
    let ids: Vec<IncidentId> = found.iter().map(|i| i.id).collect();
    let mut targets: HashMap<IncidentId, Vec<TargetLine>> = HashMap::new();
    for target in store.targets_of(&ids).map_err(|e| said(&e))? {
        targets
            .entry(target.incident)
            .or_default()
            .push(TargetLine {
                name: target.target,
                state: target.state,
                message_id: target.message_id,
            });
    }
    let line = |incident: Incident| {
        let targets = targets.remove(&incident.id).unwrap_or_default();
        line(incident, targets)
    };
    Ok(found.into_iter().map(line).collect())
}

fn line(incident: Incident, targets: Vec<TargetLine>) -> IncidentLine {
    IncidentLine {
        id: incident.id,
        program: incident.instance.as_ref().map(|i| i.program().to_string()),
        instance: incident.instance,
        condition: incident.condition,
        subject: incident.subject,
        severity: incident.severity,
        state: incident.state,
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        cause: incident.cause,
        events: incident.events,
        targets,
    }
}

fn detail(store: &Store, incident: Incident) -> Result<IncidentDetail, Unfound> {
    let limit = limits::INCIDENT_SHOWN;
    let events = store.events_of_incident(incident.id, limit);
    let events = events.map_err(|e| said(&e))?;
    let deliveries = store.deliveries_of_incident(incident.id, limit);
    let deliveries = deliveries.map_err(|e| said(&e))?;
    let ids: Vec<DeliveryId> = deliveries.iter().map(|d| d.id).collect();
    let attempts = store.attempts_at(&ids, limit).map_err(|e| said(&e))?;
    let (failures, cycle) = (incident.failures, incident.cycle);
    let line = lines(store, vec![incident])?.pop();
    let line = line.ok_or_else(|| Unfound::Unknown("the incident is gone".to_owned()))?;
    Ok(IncidentDetail {
        line,
        failures,
        cycle,
        timeline: events.iter().map(EventLine::from).collect(),
        told: told(deliveries, attempts),
    })
}

fn told(deliveries: Vec<DeliveryView>, attempts: Vec<(DeliveryId, AttemptView)>) -> Vec<ToldLine> {
    let mut tries: HashMap<DeliveryId, Vec<AttemptLine>> = HashMap::new();
    for (delivery, attempt) in attempts {
        tries.entry(delivery).or_default().push(attempt.into());
    }
    let mut told: Vec<ToldLine> = deliveries
        .into_iter()
        .map(|view| ToldLine {
            created_at: view.id.time(),
            held: view.held.map(Hold::to_text),
            message_id: view.message_id.clone(),
            tries: tries.remove(&view.id).unwrap_or_default(),
            line: view.into(),
        })
        .collect();
    // Stable: in order within each target.
    told.sort_by(|a, b| a.line.target.cmp(&b.line.target));
    told
}
