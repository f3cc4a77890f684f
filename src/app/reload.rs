//! Reloading: the thread `config`, which reads the configuration again, and what every room is told of it. The
//! files may be on a disk that hangs, so the main thread never reads them; reloads wait for each other.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::start::{Running, instances};
use super::systemd::Word;
use crate::clock;
use crate::config::plan::{Seen, applicable, plan};
use crate::config::{Counts, Definitions, Faults, Loaded};
use crate::limits;
use crate::model::command::VerbResult;
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::model::reload::{Accepted, Plan, Refusal, ReloadReply, ReloadRequest};
use crate::model::settings::Settings;
use crate::model::status::Desired;
use crate::supervise::Reload;
use crate::supervise::board::Board;
use crate::terminal;

/// What the thread is to do.
enum Order {
    Load,
    /// Something that waits for the database.
    Do(Box<dyn FnOnce() + Send>),
}

/// What was read.
pub(super) struct Outcome {
    result: Result<Loaded, Faults>,
    counts: Counts,
}

/// Those who wait for a reload, and the thread that reads, from the first reload on. Never joined: a disk that hangs
/// may hold it.
pub(super) struct Reloader {
    orders: Sender<Order>,
    loaded: Receiver<Outcome>,
    /// What the thread is to be started with.
    idle: Option<Idle>,
    /// The first one's configuration is being read.
    waiting: VecDeque<ReloadRequest>,
}

/// The thread before its first reload.
struct Idle {
    definitions: Definitions,
    inbox: Receiver<Order>,
    outcomes: Sender<Outcome>,
}

impl Idle {
    fn start(mut self) -> io::Result<()> {
        let thread = crate::thread::spawn_named("config", move || {
            for order in self.inbox {
                match order {
                    Order::Do(work) => work(),
                    Order::Load => {
                        let outcome = Outcome {
                            result: self.definitions.load(),
                            counts: self.definitions.counts(),
                        };
                        // Nobody listens once everything is being stopped.
                        let _ = self.outcomes.send(outcome);
                    }
                }
            }
        });
        thread.map(drop)
    }
}

impl Reloader {
    pub fn new(definitions: Definitions) -> Self {
        let (orders, inbox) = bounded(limits::RELOAD_ORDERS);
        let (outcomes, loaded) = bounded(1);
        Self {
            orders,
            loaded,
            idle: Some(Idle {
                definitions,
                inbox,
                outcomes,
            }),
            waiting: VecDeque::new(),
        }
    }

    /// What comes of the reading.
    pub fn loaded(&self) -> Receiver<Outcome> {
        self.loaded.clone()
    }

    /// Takes a wish in.
    pub fn ask(&mut self, request: ReloadRequest) {
        if self.waiting.len() >= limits::RELOADS_WAITING {
            let why = "too many reloads wait for each other; try again";
            log::warn!("asked by {}: {why}", request.by);
            return answer(request.reply.as_ref(), Err(Refusal::NotNow(why)));
        }
        self.waiting.push_back(request);
        if self.waiting.len() == 1 {
            self.order(Order::Load);
        }
    }

    /// Whose configuration has been read; the next one's is read from here on.
    fn next(&mut self) -> Option<ReloadRequest> {
        let request = self.waiting.pop_front();
        if !self.waiting.is_empty() {
            self.order(Order::Load);
        }
        request
    }

    fn order(&mut self, order: Order) {
        if let Some(idle) = self.idle.take()
            && let Err(error) = idle.start()
        {
            log::error!("no thread to read the configuration again: {error}");
        }
        // There is room: one reading at a time, and one errand of the reload before.
        if self.orders.try_send(order).is_err() {
            log::error!("the configuration is not read again: the thread for that does not answer");
        }
    }
}

/// The asker may have gone; that is no fault.
fn answer(reply: Option<&Sender<ReloadReply>>, with: ReloadReply) {
    if let Some(reply) = reply {
        let _ = reply.try_send(with);
    }
}

/// Takes up what was read, under the settings `current`, and leaves there what counts from now on.
pub(super) fn take_up(
    running: &Running,
    reloader: &mut Reloader,
    current: &mut Settings,
    outcome: Outcome,
) {
    running.identity.scanned(outcome.counts);
    let Some(request) = reloader.next() else {
        return;
    };
    if request.is_plan {
        return take_up_one(running, reloader, current, (request, outcome.result));
    }
    running.systemd.say(Word::Reloading);
    take_up_one(running, reloader, current, (request, outcome.result));
    running.systemd.say(Word::Ready);
}

fn take_up_one(
    running: &Running,
    reloader: &mut Reloader,
    current: &mut Settings,
    (request, result): (ReloadRequest, Result<Loaded, Faults>),
) {
    let loaded = match result {
        Ok(loaded) => loaded,
        Err(faults) => return reject(running, &request, &faults),
    };
    let seen = standing(&running.board);
    let plan = plan(current, &loaded.settings, &|name| seen.get(name).copied());
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let done = if request.is_plan {
        None
    } else {
        for warning in &warnings {
            log::warn!("{warning} (a warning)");
        }
        let has_left = current
            .targets
            .iter()
            .any(|old| !loaded.settings.targets.iter().any(|t| t.name == old.name));
        *current = applicable(current, loaded.settings);
        let done = apply(running, current, (&plan, &request.by));
        if has_left {
            reloader.order(Order::Do(give_up_deliveries(running, current)));
        }
        Some(done)
    };
    let accepted = Accepted {
        plan,
        warnings,
        done,
    };
    answer(request.reply.as_ref(), Ok(accepted));
}

fn reject(running: &Running, request: &ReloadRequest, faults: &Faults) {
    let lines: Vec<String> = faults.to_string().lines().map(str::to_owned).collect();
    if !request.is_plan {
        let mut event = Event::new(EventKind::ConfigRejected, clock::wall());
        event.facts.asked_by = Some(request.by.clone());
        event.facts.count = Some(lines.len() as u64);
        event.facts.cause = Some(counted(&lines));
        running.journal.record(event);
        for line in &lines {
            log::error!("{line}");
        }
        log::error!("the configuration is not valid; everything goes on as it was");
    }
    answer(request.reply.as_ref(), Err(Refusal::Faults(lines)));
}

/// How many faults there are, and the first.
fn counted(lines: &[String]) -> String {
    let first = lines.first().map_or("", String::as_str);
    match lines.len() {
        0 | 1 => first.to_owned(),
        n => format!("{n} faults, the first: {first}"),
    }
}

fn standing(board: &Board) -> HashMap<InstanceName, Seen> {
    let snapshot = board.read();
    let views = snapshot.instances.iter();
    let seen = views.map(|view| {
        let seen = Seen {
            phase: view.phase,
            is_alive: view.pid.is_some(),
            is_wanted: view.desired == Desired::Up,
        };
        (view.name.clone(), seen)
    });
    seen.collect()
}

/// Tells every room. Those that judge events come first, or the first events of a new program would find no rules;
/// what happened is recorded before what follows from it.
fn apply(
    running: &Running,
    settings: &Settings,
    (plan, by): (&Plan, &str),
) -> Receiver<Vec<VerbResult>> {
    running.files.raise_again(instances(settings));
    terminal::set_level(settings.log.level);
    running.journal.configure(settings);
    running.hints.set(&settings.programs);
    let mut event = Event::new(EventKind::ConfigReloaded, clock::wall());
    event.facts.asked_by = Some(by.to_owned());
    event.facts.cause = Some(plan.summary());
    running.journal.record(event);
    let name = settings.supervisor.name.as_str();
    running
        .notify
        .configure(settings.targets.clone(), name.into());
    running.identity.reloaded(name);
    running.door.configure(&settings.control);
    running.heartbeat.configure(settings.heartbeat.as_ref());
    running.backups.configure(settings.store.backup);
    running.logs.keep(super::keeping::rules(&settings.programs));
    running.metrics.watch_host(settings.metrics.interval);
    let raw = settings.metrics.retention_raw.max(limits::RAW_KEPT_MIN);
    running.store.keep_raw_for(raw);
    running.store.keep_packed_for(
        settings.metrics.retention_chunks,
        settings.metrics.retention_candles,
    );
    let (reply, done) = bounded(1);
    running.supervisor.reload(Reload {
        programs: settings.programs.clone(),
        by: by.to_owned(),
        reply: Some(reply),
    });
    done
}

/// Gives up what waits for targets that have left, once everything that was routed to them is stored.
fn give_up_deliveries(running: &Running, settings: &Settings) -> Box<dyn FnOnce() + Send> {
    let (journal, store) = (running.journal.clone(), running.store.clone());
    let targets = settings.targets.iter();
    let names: Vec<Arc<str>> = targets.map(|target| Arc::clone(&target.name)).collect();
    Box::new(move || {
        let _ = journal.flush(limits::JOURNAL_ANSWER);
        drop(journal);
        match store.abandon_unknown_targets(&names, clock::wall()) {
            Ok(0) => {}
            Ok(n) => log::warn!("{n} deliveries waited for targets that have left; given up"),
            Err(error) => log::warn!("what waits for targets that have left stays: {error}"),
        }
    })
}
