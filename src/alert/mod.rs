//! Alert: from an event to its incident to the targets that are told. Pure: no clock, no I/O, no log; ids
//! are the one thing it makes up. Never renders and never sends.

pub mod condition;
pub mod damping;
#[cfg(test)]
pub(crate) mod fixture;
pub mod flap;
pub mod group;
pub mod incident;
pub mod maintenance;
pub mod route;
pub mod silence;
pub mod summary;
pub mod telling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use incident::{Fold, Incidents, Input, RecoveryPolicy};
use maintenance::Windows;
pub use route::Router;
use silence::Silences;
pub use summary::{summary, summary_in};
use telling::Telling;

use crate::clock::{Mono, Wall};
use crate::ids::SilenceId;
use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Event;
use crate::model::hold::{Move, Withdrawal};
use crate::model::incident::Incident;
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::settings::Settings;
use crate::model::silence::Silence;
use crate::model::write::OpenIncident;

/// The whole fold: incidents, who was told of each, and the routes.
#[derive(Debug)]
pub struct Alert {
    incidents: Incidents,
    telling: Telling,
    silences: Silences,
    windows: Windows,
    router: Router,
    /// The two clocks when something came in last.
    seen: Option<(Wall, Mono)>,
}

/// An event in its place with what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Consequence {
    /// What happened.
    pub event: Event,
    /// The incident it belongs to, as it stands after it.
    pub incident: Option<Incident>,
    /// One for every target it goes to.
    pub deliveries: Vec<NewDelivery>,
    /// Held ones that are taken back.
    pub withdrawn: Vec<Withdrawal>,
    /// Held ones that wait for something else.
    pub moved: Vec<Move>,
    /// Silences that began, changed or ended with it.
    pub silences: Vec<Silence>,
}

impl Consequence {
    fn of(fold: Fold) -> Self {
        Self {
            event: fold.event,
            incident: fold.incident,
            deliveries: Vec::new(),
            withdrawn: Vec::new(),
            moved: Vec::new(),
            silences: Vec::new(),
        }
    }
}

impl Alert {
    /// The fold under `settings`, with what was `stored` when the supervisor before ended: incidents that were open,
    /// and those that had resolved lately.
    #[must_use]
    pub fn new(settings: &Settings, stored: Vec<OpenIncident>) -> Self {
        let telling = Telling::new(&stored);
        let incidents = stored.into_iter().map(|o| o.incident).collect();
        let mut alert = Self {
            incidents: Incidents::new(BTreeMap::new(), incidents),
            telling,
            silences: Silences::default(),
            windows: Windows::default(),
            router: Router::new(settings),
            seen: None,
        };
        alert.configure(settings);
        alert
    }

    /// From now on `settings` count. Incidents of what they do not name end with the next tick; who was told of
    /// one hears how it goes on.
    pub fn configure(&mut self, settings: &Settings) {
        let targets = settings.targets.iter().map(|t| Arc::clone(&t.name));
        self.incidents
            .configure(policies(&settings.programs), targets);
        self.router = Router::new(settings);
        self.windows.configure(&settings.maintenance);
    }

    /// With the silences that were in force when the supervisor before ended.
    #[must_use]
    pub fn with_silences(mut self, active: Vec<Silence>) -> Self {
        self.silences = Silences::new(active);
        self
    }

    /// The silences in force.
    #[must_use]
    pub fn silences(&self) -> &[Silence] {
        self.silences.active()
    }

    /// Takes `input` at `now` and gives what is to be recorded, in order. An event that came in is always
    /// the last of what it gives.
    #[must_use]
    pub fn next(&mut self, mut input: Input, now: Mono) -> Vec<Consequence> {
        let wall = match &input {
            Input::Event(event) => event.time,
            Input::Tick(wall) => *wall,
        };
        self.seen = Some((wall, now));
        let mut all = Vec::new();
        while let Some(id) = self.silences.over(wall) {
            all.extend(self.end_silence(id, wall, None));
        }
        all.extend(self.maintain(wall));
        if let Input::Event(event) = &mut input {
            // Ids rise with time: what is told first takes the earlier id.
            for earlier in &mut all {
                std::mem::swap(&mut earlier.event.id, &mut event.id);
                earlier.renumber();
            }
        }
        let folds = self.incidents.next(input, now);
        all.extend(folds.into_iter().map(|fold| self.tell(fold)));
        all
    }

    /// Begins and ends the silences of the configuration.
    fn maintain(&mut self, wall: Wall) -> Vec<Consequence> {
        let mut all = Vec::new();
        while let Some(id) = self.windows.orphan(self.silences.active()) {
            all.extend(self.end_silence(id, wall, Some("the configuration".to_owned())));
        }
        for silence in self.windows.due(wall, self.silences.active()) {
            all.extend(self.begin_silence(silence));
        }
        all
    }

    /// Begins a silence; none when there are too many.
    pub fn begin_silence(&mut self, silence: Silence) -> Option<Consequence> {
        if !self.silences.has_room() {
            return None;
        }
        let event = self.silences.begin(silence.clone());
        let mut consequence = self.tell(Fold {
            event,
            incident: None,
        });
        consequence.moved = self.telling.hold_longer(&self.router, &silence);
        consequence.silences = vec![silence];
        Some(consequence)
    }

    /// Ends a silence at `at`: what it held back may go, and what happened and is over is told in one line.
    pub fn end_silence(
        &mut self,
        id: SilenceId,
        at: Wall,
        by: Option<String>,
    ) -> Option<Consequence> {
        let (silence, mut event) = self.silences.end(id, at)?;
        self.windows.look_again();
        event.facts.asked_by = by;
        let mut consequence = self.tell(Fold {
            event,
            incident: None,
        });
        let fold = Fold {
            event: consequence.event.clone(),
            incident: None,
        };
        for target in self.router.targets() {
            let is_told = consequence
                .deliveries
                .iter()
                .any(|d| d.target == target.name);
            if silence.past.contains_key(&*target.name) && !is_told {
                let line = self.router.delivery(target, &fold);
                consequence.deliveries.push(line);
            }
        }
        consequence.moved = self.telling.let_go(&silence, &self.silences, &self.router);
        consequence.silences = vec![silence];
        Some(consequence)
    }

    /// When to tick at the latest. The wall clock may be set meanwhile, so that is looked at now and then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let end = self.silences.next_end();
        let end = end.into_iter().chain(self.windows.next()).min();
        let end = end.map(|end| match self.seen {
            Some((wall, now)) => now + end.since(wall).min(limits::SILENCE_LOOK),
            None => Mono::default(),
        });
        self.incidents.next_deadline().into_iter().chain(end).min()
    }

    fn tell(&mut self, mut fold: Fold) -> Consequence {
        let quiet = fold.event.instance.as_ref().and_then(|instance| {
            let silence = self.silences.of(instance, self.router.tags(instance))?;
            Some((silence.id, silence.until, silence.words()))
        });
        let quiet = quiet.map(|(id, until, words)| {
            fold.event.facts.silenced = true;
            fold.event.facts.silence = Some(words);
            (id, until)
        });
        let following = self.telling.follow(&self.router, &fold, quiet);
        let mut consequence = Consequence::of(fold);
        if let Some((id, _)) = quiet {
            let over = consequence.incident.as_ref();
            for target in &following.counted {
                self.silences.count(id, target, (&consequence.event, over));
            }
            if !following.counted.is_empty() {
                let all = self.silences.active().iter();
                consequence.silences = all.filter(|s| s.id == id).cloned().collect();
            }
        }
        consequence.deliveries = following.deliveries;
        consequence.withdrawn = following.withdrawn;
        consequence
    }
}

impl Consequence {
    /// Its event has another id.
    fn renumber(&mut self) {
        for delivery in &mut self.deliveries {
            delivery.event = self.event.id;
        }
    }
}

fn policies(programs: &[Arc<ProgramSpec>]) -> BTreeMap<InstanceName, RecoveryPolicy> {
    programs
        .iter()
        .flat_map(|p| {
            let policy = RecoveryPolicy {
                recover_after: p.recover_after,
                reset_after: p.backoff.reset_after,
            };
            p.instance_names().map(move |name| (name, policy))
        })
        .collect()
}
