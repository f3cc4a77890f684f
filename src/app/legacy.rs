//! What an earlier supervisor left in the database, and the words for it. Owns nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::Earlier;
use crate::alert::Alert;
use crate::clock::{self, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::logs::{PipeId, RunEnd};
use crate::model::event::{Event, EventKind, Facts};
use crate::model::hold::Hold;
use crate::model::record::RunStart;
use crate::model::settings::Settings;
use crate::model::silence::Silence;
use crate::model::status::{Desired, PhaseName};
use crate::model::write::{Held, OpenIncident, Told};
use crate::procfs::{self, ProcStat};
use crate::store::{DeliveryView, Store, StoreError, StoredRun};
use crate::supervise::{KeptEnd, Legacy};

/// What was left: for supervision, and open incidents with who was told of them.
pub(super) struct Left {
    pub legacy: Legacy,
    pub incidents: Vec<OpenIncident>,
    /// Those in force.
    pub silences: Vec<Silence>,
}

impl Left {
    /// The fold under `settings` that goes on with it; what it takes is not here any more.
    pub fn alert(&mut self, settings: &Settings) -> Alert {
        let (incidents, silences) = (&mut self.incidents, &mut self.silences);
        Alert::new(settings, std::mem::take(incidents)).with_silences(std::mem::take(silences))
    }
}

/// Reads it. After a clean end programs begin anew, so only incidents are taken over.
pub(super) fn read(store: &Store, state_dir: &Path) -> Result<Left, StoreError> {
    let incidents = known_incidents(store)?;
    let silences = store.active_silences()?;
    if store.was_clean() != Some(false) {
        return Ok(Left {
            legacy: Legacy::default(),
            incidents,
            silences,
        });
    }
    let states = store.instance_states()?;
    let unfinished: Vec<RunStart> = store
        .unfinished_runs()?
        .into_iter()
        .map(|run| run.start)
        .collect();
    let mut legacy = Legacy {
        states,
        unfinished,
        ..Legacy::default()
    };
    add_living(&mut legacy, store, state_dir)?;
    legacy.recovered = Some(recovered(store.last_alive(), store.was_left()));
    Ok(Left {
        legacy,
        incidents,
        silences,
    })
}

/// Reads it where the database of the last supervisor was lost: only the processes themselves tell what it left.
pub(super) fn read_lost(store: &Store, state_dir: &Path) -> Result<Left, StoreError> {
    let mut left = read(store, state_dir)?;
    if store.was_clean() == Some(false) {
        return Ok(left);
    }
    add_living(&mut left.legacy, store, state_dir)?;
    if !left.legacy.unfinished.is_empty() {
        left.legacy.recovered = Some(recovered(store.last_alive(), false));
    }
    Ok(left)
}

/// What runs that did well, or may go on, were made of.
pub(super) fn earlier(store: &Store) -> Result<Earlier, StoreError> {
    let starts = |runs: Vec<StoredRun>| runs.into_iter().map(|run| run.start).collect();
    Ok(Earlier {
        good: starts(store.runs_of(limits::RUN_DID_WELL)?),
        unfinished: starts(store.unfinished_runs()?),
    })
}

/// What the holder kept.
pub(super) fn kept(ends: Vec<RunEnd>) -> BTreeMap<RunId, KeptEnd> {
    let kept = |end: RunEnd| {
        let pidfd = Arc::new(end.pidfd);
        (end.run, KeptEnd { pidfd, at: end.at })
    };
    ends.into_iter().map(kept).collect()
}

/// Adds runs that the database does not know of or thinks ended, but of which somebody lives: the killed
/// supervisor did not wait for the database, and a program may leave processes behind when it ends.
fn add_living(legacy: &mut Legacy, store: &Store, state_dir: &Path) -> Result<(), StoreError> {
    let last = store.last_runs()?;
    for start in living(state_dir) {
        if legacy.unfinished.iter().any(|known| known.run == start.run) {
            continue;
        }
        let newest = last.iter().find(|l| l.start.instance == start.instance);
        match newest {
            Some(ended) if ended.start.run == start.run => {
                legacy.leftovers.push(ended.start.clone());
            }
            Some(newer) if newer.start.run > start.run => legacy.leftovers.push(start),
            Some(_) | None => {
                // It began after everything that was written of this instance, so the instance was up.
                let states = legacy.states.iter_mut();
                for state in states.filter(|state| state.instance == start.instance) {
                    state.desired = Desired::Up;
                    state.phase = PhaseName::Running;
                }
                if is_main(&start) {
                    legacy.unfinished.push(start);
                } else {
                    legacy.leftovers.push(start);
                }
            }
        }
    }
    Ok(())
}

/// Whether the oldest living process of an unwritten run is its main process: that one leads its group, and was
/// started when the run got its id.
fn is_main(start: &RunStart) -> bool {
    let leads = matches!(procfs::read_stat(start.pid), Ok(Some(main)) if main.pgrp == main.pid);
    let age = clock::wall().since(start.run.time());
    let lives_for = procfs::age(start.start_ticks);
    leads && age.abs_diff(lives_for) <= limits::ADOPTED_BIRTH_WITHIN
}

/// Runs of this state directory of which somebody lives, each as its oldest process tells it.
fn living(state_dir: &Path) -> Vec<RunStart> {
    let scan = procfs::scan().unwrap_or_else(|error| {
        log::error!("what outlived the last supervisor cannot be looked for: {error}");
        Vec::new()
    });
    let own = std::process::id();
    let mut oldest = BTreeMap::<RunId, (PipeId, ProcStat)>::new();
    for stat in scan
        .iter()
        .filter(|stat| !stat.is_zombie() && stat.pid != own)
    {
        let Some(pipe) = pipe_of(stat.pid, state_dir) else {
            continue;
        };
        let age = |stat: &ProcStat| (stat.start_ticks, stat.pid);
        match oldest.get(&pipe.run) {
            Some((_, known)) if age(known) <= age(stat) => {}
            Some(_) | None => {
                oldest.insert(pipe.run, (pipe, *stat));
            }
        }
    }
    let boot_id = procfs::boot_id().unwrap_or_default();
    let starts = oldest.into_values().map(|(pipe, stat)| RunStart {
        run: pipe.run,
        instance: pipe.instance,
        pid: stat.pid,
        start_ticks: stat.start_ticks,
        boot_id: boot_id.clone(),
        at: pipe.run.time(),
        command: String::new(),
        pipes: Vec::new(),
        made_of: None,
    });
    starts.collect()
}

/// The pipe of a run that a process writes to, or was started to write to: some redirect their output, some
/// overwrite their environment.
fn pipe_of(pid: u32, state_dir: &Path) -> Option<PipeId> {
    let opened = [1, 2]
        .into_iter()
        .filter_map(|fd| procfs::descriptor_path(pid, fd));
    let given = || procfs::environ_mark(pid, procfs::OUTPUT_MARK).map(PathBuf::from);
    opened
        .chain(std::iter::once_with(given).flatten())
        .find_map(|path| PipeId::of_path(state_dir, &path))
}

/// Those that are open, and those that resolved so lately that another one would be a relapse.
fn known_incidents(store: &Store) -> Result<Vec<OpenIncident>, StoreError> {
    let since =
        clock::wall().millis() - i64::try_from(limits::FLAP_WINDOW.as_millis()).unwrap_or(0);
    let mut known = store.resolved_since(Wall::from_millis(since))?;
    // The latest is last: of several of a kind it counts.
    known.reverse();
    known.extend(store.open_incidents()?);
    let ids: Vec<_> = known.iter().map(|incident| incident.id).collect();
    let deliveries = store.deliveries_of(&ids)?;
    Ok(known
        .into_iter()
        .map(|incident| {
            let id = Some(incident.id);
            let of_it = deliveries.iter().filter(|d| d.incident == id);
            let mut stored = OpenIncident {
                incident,
                told: Vec::new(),
                held: Vec::new(),
            };
            of_it.for_each(|delivery| note(&mut stored, delivery));
            stored
        })
        .collect())
}

fn note(stored: &mut OpenIncident, delivery: &DeliveryView) {
    let target: Arc<str> = Arc::from(delivery.target.as_str());
    // What waits for others is as good as told.
    if let Some(by) = delivery.held.filter(|by| *by != Hold::Group) {
        return stored.held.push(Held {
            target,
            row: delivery.id,
            by,
            until: delivery.next_attempt_at.unwrap_or_default(),
        });
    }
    let (at, severity) = (delivery.id.time(), delivery.severity);
    match stored.told.iter_mut().find(|t| t.target == target) {
        Some(told) => {
            told.at = told.at.max(at);
            told.severity = told.severity.max(severity);
            told.times = told.times.saturating_add(1);
        }
        None => stored.told.push(Told {
            target,
            at,
            severity,
            times: 1,
        }),
    }
}

/// Supervision adds what became of the runs.
fn recovered(last_alive: Option<Wall>, was_left: bool) -> Event {
    let now = clock::wall();
    let mut event = Event::new(EventKind::SupervisorRecovered, now);
    let gap = last_alive.map_or_else(
        || "an unknown time".to_owned(),
        |at| crate::text::duration(now.since(at)),
    );
    event.facts = Facts {
        cause: Some(if was_left {
            format!("programs were left running for {gap}")
        } else {
            format!("nobody watched for about {gap} after an end that was not clean")
        }),
        ..Facts::default()
    };
    event
}
