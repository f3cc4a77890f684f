//! From the machine's notices to records. Owns nothing.

use std::time::Duration;

use super::machine::{self, Ended, Notice, State};
use super::slot::Slot;
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::model::event::{Event, EventKind, Exit, Facts, Severity};
use crate::model::name::InstanceName;
use crate::model::record::{Record, RunChange, RunStart};
use crate::model::stop::StopAct;
use crate::model::trigger::Demand;

/// The moment of a record, on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub wall: Wall,
    pub mono: Mono,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            wall: clock::wall(),
            mono: clock::mono(),
        }
    }
}

/// The record of `notice` about `slot`; `started` describes the run that has just begun.
pub(super) fn record(slot: &Slot, notice: Notice, started: Option<RunStart>, at: Moment) -> Record {
    let (kind, run, facts) = told(slot, &notice, at);
    let mut event = Event::new(kind, at.wall);
    event.instance = Some(slot.name.clone());
    event.run = run;
    event.facts = Facts {
        restarts: Some(slot.instance.history.restarts),
        ..facts
    };
    let change = match notice {
        Notice::Started(_) | Notice::Adopted(_) => started.map(RunChange::Started),
        Notice::Exited(ended) | Notice::Crashed(ended) => {
            ended
                .run
                .zip(ended.exit)
                .map(|(run, exit)| RunChange::Ended {
                    run,
                    at: at.wall,
                    exit,
                })
        }
        Notice::Stopped(stopped) => stopped.end.map(|(run, exit)| RunChange::Ended {
            run,
            at: at.wall,
            exit,
        }),
        Notice::Ready(_)
        | Notice::Restarting(_)
        | Notice::Fatal(_)
        | Notice::Stopping(..)
        | Notice::Killed(..) => None,
    };
    Record {
        event,
        run: change,
        state: Some(slot.state(at.wall, at.mono)),
    }
}

/// The record of an end that nobody watched, with its own time where that is known.
pub(super) fn ended_before(record: &mut Record, ended: Option<Wall>) {
    let (Some(RunChange::Ended { at, .. }), Some(ended)) = (&mut record.run, ended) else {
        return;
    };
    *at = ended;
    let cause = &mut record.event.facts.cause;
    cause.get_or_insert_with(|| format!("ended at {ended}, while no supervisor ran"));
}

/// What is told, of which run, with which facts.
type Told = (EventKind, Option<RunId>, Facts);

fn told(slot: &Slot, notice: &Notice, at: Moment) -> Told {
    match notice {
        Notice::Started(run) => {
            let asked_by = slot.asked_by.clone();
            let facts = Facts {
                asked_by,
                ..pid(slot)
            };
            (EventKind::ProgramStarted, Some(*run), facts)
        }
        Notice::Adopted(run) => {
            let uptime_s = uptime(slot, at);
            let facts = Facts {
                uptime_s,
                ..pid(slot)
            };
            (EventKind::ProgramAdopted, Some(*run), facts)
        }
        Notice::Ready(run) => (EventKind::ProgramReady, Some(*run), pid(slot)),
        Notice::Exited(ended) => (EventKind::ProgramExited, ended.run, facts_of(slot, ended)),
        Notice::Crashed(ended) => {
            let facts = Facts {
                asked_by: signalled_by(slot, ended, at),
                ..facts_of(slot, ended)
            };
            (EventKind::ProgramCrashed, ended.run, facts)
        }
        Notice::Restarting(pause) => {
            let facts = Facts {
                next_restart_s: Some(pause.as_secs_f64()),
                ..Facts::default()
            };
            (EventKind::ProgramRestarting, None, facts)
        }
        Notice::Fatal(cause) => {
            let facts = Facts {
                cause: Some(cause.clone()),
                ..Facts::default()
            };
            (EventKind::ProgramFatal, slot.instance.run(), facts)
        }
        Notice::Stopping(..) | Notice::Killed(..) | Notice::Stopped(_) => {
            told_of_stop(slot, notice, at)
        }
    }
}

fn told_of_stop(slot: &Slot, notice: &Notice, at: Moment) -> Told {
    let asked_by = slot.asked_by.clone();
    match notice {
        Notice::Stopping(run, demand) => {
            let facts = Facts {
                pid: slot.pid(),
                asked_by,
                uptime_s: uptime(slot, at),
                ..demanded(demand.as_ref())
            };
            (EventKind::ProgramStopping, Some(*run), facts)
        }
        Notice::Killed(run, demand) => {
            let facts = Facts {
                cause: Some(killed_because(slot)),
                trigger: demand.as_ref().map(|demand| demand.trigger),
                asked_by,
                ..pid(slot)
            };
            (EventKind::ProgramKilled, Some(*run), facts)
        }
        Notice::Stopped(stopped) => {
            let run = stopped.end.as_ref().map(|(run, _)| *run);
            let facts = Facts {
                exit: stopped.end.as_ref().map(|(_, exit)| exit.clone()),
                uptime_s: stopped.uptime.map(seconds),
                asked_by,
                ..demanded(stopped.demand.as_ref())
            };
            (EventKind::ProgramStopped, run, facts)
        }
        Notice::Started(_)
        | Notice::Adopted(_)
        | Notice::Ready(_)
        | Notice::Exited(_)
        | Notice::Crashed(_)
        | Notice::Restarting(_)
        | Notice::Fatal(_) => told(slot, notice, at),
    }
}

fn pid(slot: &Slot) -> Facts {
    Facts {
        pid: slot.pid(),
        ..Facts::default()
    }
}

/// Why a run is ended that no person stopped.
fn demanded(demand: Option<&Demand>) -> Facts {
    Facts {
        cause: demand.map(|demand| demand.cause.clone()),
        trigger: demand.map(|demand| demand.trigger),
        ..Facts::default()
    }
}

/// The grace was over, or somebody was out of patience before that.
fn killed_because(slot: &Slot) -> String {
    let extended = match &slot.instance.state {
        State::Stopping(stopping) => stopping.sequence.extended(),
        _ => Duration::ZERO,
    };
    let words = crate::text::duration(machine::grace(&slot.spec) + extended);
    let signal = slot.spec.stop.last_signal();
    match &slot.instance.state {
        State::Stopping(stopping) if stopping.sequence.is_hurried() => {
            match stopping.sequence.before_kill() {
                Some(StopAct::Line(line)) => {
                    format!("{line} was typed, and then it was to end at once")
                }
                Some(StopAct::Signal(other)) if *other != signal => {
                    format!("{other} was sent, and then it was to end at once")
                }
                Some(StopAct::Signal(_)) | None => {
                    format!("not given the whole {words} after {signal}: it was to end at once")
                }
            }
        }
        _ => format!("did not end within {words} of {signal}"),
    }
}

fn facts_of(slot: &Slot, ended: &Ended) -> Facts {
    let pid = slot
        .live
        .as_ref()
        .map(|live| live.root.pid)
        .filter(|_| ended.run.is_some());
    Facts {
        pid,
        exit: ended.exit.clone(),
        cause: ended.cause.clone(),
        trigger: ended.trigger,
        uptime_s: ended.run.map(|_| seconds(ended.uptime)),
        next_restart_s: ended.next.map(|pause| pause.as_secs_f64()),
        ..Facts::default()
    }
}

/// The person whose signal ended the run.
fn signalled_by(slot: &Slot, ended: &Ended, at: Moment) -> Option<String> {
    let (run, exit) = (ended.run?, ended.exit.as_ref()?);
    slot.signalled.as_ref()?.blamed(run, exit, at.mono)
}

fn uptime(slot: &Slot, at: Moment) -> Option<f64> {
    slot.live
        .as_ref()
        .map(|live| seconds(at.mono.since(live.since)))
}

/// Seconds with milliseconds: more would only be noise in messages.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// The record of a planned start or restart that was left out.
pub(super) fn skipped(slot: &Slot, run: Option<RunId>, why: String, at: Moment) -> Record {
    let mut event = Event::new(EventKind::ProgramSkipped, at.wall);
    event.instance = Some(slot.name.clone());
    event.run = run;
    event.facts = Facts {
        cause: Some(why),
        count: Some(slot.planned.skipped),
        ..Facts::default()
    };
    Record::from(event)
}

/// The record of a word about the health of the slot's run.
pub(super) fn health(slot: &Slot, kind: EventKind, cause: Option<String>, at: Moment) -> Record {
    let mut event = Event::new(kind, at.wall);
    event.instance = Some(slot.name.clone());
    event.run = slot.instance.run();
    event.facts = Facts {
        pid: slot.pid(),
        cause,
        uptime_s: uptime(slot, at),
        restarts: Some(slot.instance.history.restarts),
        ..Facts::default()
    };
    Record {
        event,
        run: None,
        state: Some(slot.state(at.wall, at.mono)),
    }
}

/// The record of a run that ended while no supervisor ran: nobody knows how.
pub(super) fn missed(instance: &InstanceName, run: RunId, cause: &str, at: Moment) -> Record {
    let mut event = Event::new(EventKind::ProgramAdopted, at.wall);
    event.severity = Severity::Warning;
    event.instance = Some(instance.clone());
    event.run = Some(run);
    event.facts = Facts {
        exit: Some(Exit::Unknown),
        cause: Some(cause.to_owned()),
        ..Facts::default()
    };
    Record {
        event,
        run: Some(RunChange::Ended {
            run,
            at: at.wall,
            exit: Exit::Unknown,
        }),
        state: None,
    }
}
