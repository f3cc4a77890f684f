//! A target tried out by hand: an incident made up for it alone, which opens, goes on and ends. It is in no table of
//! incidents, so nothing of it is left open when nobody ends it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::incident::{Condition, Incident, IncidentState};
use crate::ids::IncidentId;

/// One step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The incident that is made up.
    pub incident: IncidentId,
    /// How far it is.
    pub step: Step,
}

/// How far a made-up incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It opens: a message is made.
    Open,
    /// It goes on: the message is edited, where that can be.
    Update,
    /// It is over: what `on_resolve` says.
    Resolve,
}

impl Step {
    /// In their order.
    pub const ALL: [Self; 3] = [Self::Open, Self::Update, Self::Resolve];

    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Resolve => "resolve",
        }
    }

    /// Counted from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Resolve => 3,
        }
    }
}

impl FromStr for Step {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let found = Self::ALL.into_iter().find(|step| step.as_str() == text);
        found.ok_or(())
    }
}

impl Trial {
    /// The incident as it stands with `event`.
    #[must_use]
    pub fn as_incident(self, event: &Event) -> Incident {
        let is_over = self.step == Step::Resolve;
        Incident {
            id: self.incident,
            instance: None,
            condition: Condition::Target,
            subject: event.facts.target.clone(),
            severity: event.severity,
            state: if is_over {
                IncidentState::Resolved
            } else {
                IncidentState::Open
            },
            opened_at: self.incident.time().min(event.time),
            resolved_at: is_over.then_some(event.time),
            events: self.step.number(),
            seq: self.step.number(),
            failures: 0,
            cycle: 1,
            cause: is_over.then(|| "recovered".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::event::EventKind;

    #[test]
    fn each_step_is_newer_than_the_one_before_and_the_last_one_is_over() {
        let incident = IncidentId::new();
        let event = Event::new(EventKind::NotifyTest, Wall::from_millis(1));
        let steps = Step::ALL.map(|step| Trial { incident, step }.as_incident(&event));
        assert!(steps.is_sorted_by(|a, b| a.seq < b.seq));
        let over = steps.map(|i| (i.state == IncidentState::Resolved, i.resolved_at.is_some()));
        assert_eq!(over, [(false, false), (false, false), (true, true)]);
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(step));
        }
    }
}
