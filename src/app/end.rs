//! The end: the steps of the shutdown in order, each bounded, and the account of it. Owns the order in which
//! rooms close: those that make work before those that take it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{after, bounded, select};
use parking_lot::Mutex;

use super::door::Door;
use super::ports::HolderKeeper;
use super::relay;
use super::rules::RuleWatch;
use super::start::Running;
use super::systemd::Word;
use super::{Ended, Replacement};
use crate::child;
use crate::clock;
use crate::control::registry::Registration;
use crate::control::server::Server;
use crate::history::pack::Packer;
use crate::journal::Journal;
use crate::limits;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::model::command::Ending;
use crate::model::name::InstanceName;
use crate::model::urgency::Urgency;
use crate::notify::Notify;
use crate::probe::Probes;
use crate::shutdown::{Coordinator, Progress, Report, Step, StepContext, Waiting};
use crate::store::Store;
use crate::supervise::board::{Board, InstanceView};
use crate::supervise::{StopReport, Supervisor};
use crate::text;

/// Ends everything, or everything but the programs, and says how that went.
pub(super) fn end(running: Running, coordinator: Coordinator, by: &str, ending: Ending) -> Ended {
    running.heartbeat.stop();
    running.backups.stop();
    running.systemd.end(match ending {
        // The same process goes on, and says that it is ready.
        Ending::Replace(_) => Word::Reloading,
        Ending::Stop | Ending::Leave => Word::Stopping,
    });
    running.rules.commands().stop();
    let Running {
        settings,
        files,
        terminal,
        logs,
        store,
        backups,
        lock,
        signals,
        failed,
        ..
    } = running;
    drop(backups);
    let within = settings.supervisor.shutdown_timeout;
    let stopped = Arc::new(Mutex::new(None));
    let supervision = Supervision {
        supervisor: running.supervisor,
        thread: running.supervisor_thread,
        board: running.board,
        within,
    };
    let closing = Closing {
        relay: running.relay,
        server: running.server,
        door: running.door,
        registration: running.registration,
        journal: running.journal.clone(),
        thread: running.journal_thread,
        store: store.clone(),
        stopped: Arc::clone(&stopped),
        is_left: ending != Ending::Stop,
    };
    let programs = match ending {
        Ending::Stop => supervision.step(by.to_owned(), Arc::clone(&stopped)),
        Ending::Leave | Ending::Replace(_) => supervision.leave(),
    };
    let steps = vec![
        programs,
        probing(running.probes, running.rules),
        measuring(running.metrics),
        output(logs.clone(), running.holder, ending == Ending::Stop),
        packing(running.packer),
        flushing(running.journal, store),
        delivering(running.notify),
        closing.step(),
    ];
    let report = coordinator.run(steps, within, &mut say);
    // Whatever the steps came to: the holder is sent away, or it would go on after a forced end.
    if ending == Ending::Stop {
        let _ = logs.finish(clock::mono() + limits::STOP_STEP_PRESSED);
    }
    account(&report, &failed);
    let stopped_well = stopped.lock().as_ref().is_some_and(ended_well) && failed.is_empty();
    let _ = terminal.flush(limits::TERMINAL_LAST);
    drop((signals, lock));
    match ending {
        Ending::Replace(file) => Ended::Replaced(Replacement { file, files }),
        Ending::Leave if report.is_clean() => Ended::Well,
        Ending::Stop if stopped_well && report.is_clean() => Ended::Well,
        Ending::Leave | Ending::Stop => Ended::Badly,
    }
}

/// Says what the steps came to.
fn account(report: &Report, failed: &[crate::model::name::InstanceName]) {
    for line in report.to_string().lines() {
        log::info!("{line}");
    }
    if !report.left().is_empty() {
        log::warn!("left undone: {}", report.left());
    }
    for name in failed {
        log::warn!("{name} failed, so the exit code is 1");
    }
}

/// The actor and what it takes to stop everything it has.
struct Supervision {
    supervisor: Supervisor,
    thread: JoinHandle<()>,
    board: Arc<Board>,
    within: Duration,
}

impl Supervision {
    fn step(self, by: String, stopped: Arc<Mutex<Option<StopReport>>>) -> Step {
        Step::new("programs", self.within, limits::STOP_PRESSED, move |cx| {
            let report = self.stop(by, cx)?;
            let mut text = told(&report);
            *stopped.lock() = Some(report);
            // The last handle: the actor ends.
            drop(self.supervisor);
            let _ = self.thread.join();
            let orphans = child::end_orphans(match cx.urgency() {
                Urgency::Clean => limits::ORPHANS_ASKED,
                Urgency::Now | Urgency::Exit => Duration::ZERO,
            });
            if orphans > 0 {
                text = format!("{text}, and {orphans} processes that had left their programs");
            }
            Ok(text)
        })
    }

    /// The actor ends and stops nothing.
    fn leave(self) -> Step {
        Step::new(
            "programs",
            limits::STOP_STEP,
            limits::STOP_STEP_PRESSED,
            move |_| {
                let snapshot = self.board.read();
                let up = snapshot.instances.iter().filter(|view| view.pid.is_some());
                let text = format!("{} left running", up.count());
                drop(self.supervisor);
                let _ = self.thread.join();
                Ok(text)
            },
        )
    }

    fn stop(&self, by: String, cx: &StepContext) -> Result<StopReport, String> {
        let (reply, report) = bounded(1);
        self.supervisor.stop_all(by, reply);
        if cx.urgency() != Urgency::Clean {
            self.supervisor.kill_all();
        }
        loop {
            cx.waiting_for(waiting(&self.board));
            select! {
                recv(report) -> report => return report.map_err(|_| "supervision ended early".to_owned()),
                recv(cx.presses()) -> press => match press {
                    Ok(_) => self.supervisor.kill_all(),
                    Err(_) => return Err("abandoned".to_owned()),
                },
                // The figures of the waiting line go on; the answer itself does not wait for this.
                recv(after(limits::STOP_LINE)) -> _ => {}
            }
        }
    }
}

fn probing(probes: Arc<Probes>, rules: RuleWatch) -> Step {
    Step::new(
        "probes",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            // What is under way keeps nothing that anybody wants.
            let patience = patience(cx).min(limits::STOP_STEP_PRESSED);
            let has_ended = probes.finish(patience);
            if rules.commands().finish(patience) && has_ended {
                Ok("no check is under way".to_owned())
            } else {
                Ok("a check or a command that hangs is left".to_owned())
            }
        },
    )
}

fn measuring(metrics: Arc<Metrics>) -> Step {
    Step::new(
        "metrics",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            let finished = metrics.finish(patience(cx));
            let text = format!("{} sampling threads ended", finished.joined);
            match finished.left {
                0 => Ok(text),
                left => Err(format!("{text}, {left} left")),
            }
        },
    )
}

fn packing(packer: Packer) -> Step {
    Step::new(
        "packing",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |_| {
            if packer.finish(limits::PACK_END_MAX) {
                Ok("ended".to_owned())
            } else {
                Err("still at work".to_owned())
            }
        },
    )
}

fn output(logs: Logs, holder: Arc<HolderKeeper>, is_last: bool) -> Step {
    Step::new(
        "output",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            let until = clock::mono() + patience(cx);
            let drained = if is_last {
                logs.finish(until)
            } else {
                logs.leave(until)
            };
            holder.reap();
            let mut text = format!(
                "{} written, {} log records handed on, {} lost",
                text::size(drained.bytes),
                drained.records,
                text::size(drained.dropped),
            );
            if drained.is_behind {
                text.push_str("; the next start looks through the rest");
            }
            if drained.is_complete {
                Ok(text)
            } else {
                Err(text)
            }
        },
    )
}

fn flushing(journal: Journal, store: Store) -> Step {
    Step::new(
        "database",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            let patience = patience(cx);
            let is_recorded = journal.flush(patience / 2);
            let flushed = store.flush(patience / 2);
            // The last pass is to tell what waits for others; none will come.
            if let Err(error) = store.release_groups(clock::wall()) {
                log::warn!("what waits to be told together is kept for the next start: {error}");
            }
            let text = format!(
                "{} events, {} samples, {} log records and {} checkpoint values flushed, {} left",
                flushed.records,
                flushed.samples,
                flushed.logs,
                flushed.checkpoints,
                flushed.remaining
            );
            if is_recorded && flushed.remaining == 0 {
                Ok(text)
            } else {
                Err(text)
            }
        },
    )
}

fn delivering(notify: Notify) -> Step {
    Step::new(
        "deliveries",
        limits::STOP_DELIVERIES,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            let most = match cx.urgency() {
                Urgency::Clean => limits::STOP_LAST_PASS,
                Urgency::Now | Urgency::Exit => Duration::ZERO,
            };
            let pass = notify.last_pass(most);
            let kept = pass
                .kept
                .map_or_else(|| "an unknown number".to_owned(), |kept| kept.to_string());
            Ok(format!(
                "{} delivered, {kept} kept for the next start",
                pass.delivered
            ))
        },
    )
}

/// What is closed last, when nobody makes work any more.
struct Closing {
    relay: relay::Running,
    server: Option<Server>,
    door: Door,
    registration: Option<Registration>,
    journal: Journal,
    thread: JoinHandle<()>,
    store: Store,
    stopped: Arc<Mutex<Option<StopReport>>>,
    /// The programs go on.
    is_left: bool,
}

impl Closing {
    fn step(self) -> Step {
        Step::new(
            "close",
            limits::STOP_STEP,
            limits::STOP_STEP_PRESSED,
            move |cx| {
                let patience = patience(cx);
                self.relay.stop();
                drop(self.journal);
                let _ = self.thread.join();
                self.door.close();
                drop((self.registration, self.server));
                let flushed = self.store.flush(patience / 2);
                // Said before the writer ends. A program that could not be stopped is the next supervisor's: no
                // clean end.
                let is_clean = flushed.remaining == 0 && self.stopped.lock().is_some();
                let marked = if self.is_left {
                    self.store.mark_left()
                } else {
                    self.store.mark_clean(is_clean)
                };
                let flushed = self.store.close(patience / 2);
                match marked {
                    Ok(()) if flushed.remaining == 0 => Ok("database closed".to_owned()),
                    Ok(()) => Err(format!("{} writes left", flushed.remaining)),
                    Err(error) => Err(error.to_string()),
                }
            },
        )
    }
}

fn patience(cx: &StepContext) -> Duration {
    match cx.urgency() {
        Urgency::Clean => limits::STOP_PATIENCE,
        Urgency::Now | Urgency::Exit => limits::STOP_STEP_PRESSED,
    }
}

fn waiting(board: &Board) -> Vec<Waiting> {
    let snapshot = board.read();
    let views = snapshot
        .instances
        .iter()
        .filter(|view| view.pid.is_some() || view.stopping.is_some());
    views.map(|view| wait_of(view)).collect()
}

fn wait_of(view: &InstanceView) -> Waiting {
    Waiting {
        name: view.name.to_string(),
        stands: view.stopping.clone(),
    }
}

/// Whether no program had to be killed and none was `fatal`; says what is not so, for the exit code tells.
fn ended_well(stop: &StopReport) -> bool {
    for (names, what) in [
        (&stop.killed, "had to be killed"),
        (&stop.fatal, "was fatal"),
    ] {
        for name in names {
            log::warn!("{name} {what}, so the exit code is 1");
        }
    }
    stop.killed.is_empty() && stop.fatal.is_empty()
}

fn told(report: &StopReport) -> String {
    let names = |of: &[InstanceName]| {
        let names: Vec<String> = of.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let mut text = format!("{} stopped", report.stopped.len());
    if !report.killed.is_empty() {
        text = format!("{text}, of them killed: {}", names(&report.killed));
    }
    if !report.fatal.is_empty() {
        text = format!("{text}; were fatal: {}", names(&report.fatal));
    }
    text
}

fn say(progress: Progress<'_>) {
    match progress {
        Progress::Began(step) => log::debug!("{step}: begun"),
        Progress::Waits(line) => log::info!("{line}"),
        Progress::Pressed(step, urgency) => log::warn!("{step}: {urgency:?}"),
        Progress::Ended(report) => log::debug!("{report}"),
    }
}
