//! The end: the steps of the shutdown in order, each bounded, and the account of it. Owns the order in which
//! rooms close: those that make work before those that take it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{after, bounded, select};
use parking_lot::Mutex;

use super::Ended;
use super::start::Running;
use crate::clock;
use crate::limits;
use crate::model::status::PhaseName;
use crate::model::urgency::Urgency;
use crate::shutdown::{Coordinator, Progress, Step, StepContext, Waiting};
use crate::supervise::board::{Board, InstanceView};
use crate::supervise::{StopReport, Supervisor};
use crate::text;

/// Ends everything and says how that went.
pub(super) fn end(running: Running, coordinator: Coordinator, by: String) -> Ended {
    let within = running.settings.supervisor.shutdown_timeout;
    let stopped = Arc::new(Mutex::new(None));
    let terminal = running.terminal.clone();
    let logs = running.logs.clone();
    let (holder, metrics) = (Arc::clone(&running.holder), Arc::clone(&running.metrics));
    let lock = running.lock;
    let signals = running.signals;
    let store = running.store.clone();
    let board = Arc::clone(&running.board);

    let programs = {
        let (stopped, supervisor) = (Arc::clone(&stopped), running.supervisor);
        let (thread, board) = (running.supervisor_thread, Arc::clone(&board));
        Step::new("programs", within, limits::STOP_PRESSED, move |cx| {
            let report = stop_programs(&supervisor, &board, by, cx)?;
            let text = told(&report);
            *stopped.lock() = Some(report);
            drop(supervisor);
            let _ = thread.join();
            Ok(text)
        })
    };
    let samples = Step::new(
        "metrics",
        limits::STOP_STEP,
        limits::STOP_STEP_PRESSED,
        move |cx| {
            let finished = metrics.finish(patience(cx));
            Ok(format!("{} sampling threads ended", finished.joined))
        },
    );
    let output = {
        let logs = logs.clone();
        Step::new(
            "output",
            limits::STOP_STEP,
            limits::STOP_STEP_PRESSED,
            move |cx| {
                let drained = logs.finish(clock::mono() + patience(cx));
                holder.reap();
                let text = format!(
                    "{} written, {} log records handed on, {} lost",
                    text::size(drained.bytes),
                    drained.records,
                    text::size(drained.dropped),
                );
                if drained.is_complete {
                    Ok(text)
                } else {
                    Err(text)
                }
            },
        )
    };
    let flushed = {
        let (journal, store) = (running.journal.clone(), running.store.clone());
        Step::new(
            "database",
            limits::STOP_STEP,
            limits::STOP_STEP_PRESSED,
            move |cx| {
                let patience = patience(cx);
                let is_recorded = journal.flush(patience);
                let flushed = store.flush(patience);
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
    };
    let deliveries = {
        let notify = running.notify;
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
    };
    let closed = {
        let (relay, server, registration) = (running.relay, running.server, running.registration);
        let (journal, thread, store) = (running.journal, running.journal_thread, store.clone());
        Step::new(
            "close",
            limits::STOP_STEP,
            limits::STOP_STEP_PRESSED,
            move |cx| {
                let patience = patience(cx);
                relay.stop();
                drop(journal);
                let _ = thread.join();
                drop(registration);
                drop(server);
                let flushed = store.flush(patience / 2);
                let marked = store.mark_clean(flushed.remaining == 0);
                let flushed = store.close(patience / 2);
                match marked {
                    Ok(()) if flushed.remaining == 0 => Ok("database closed".to_owned()),
                    Ok(()) => Err(format!("{} writes left", flushed.remaining)),
                    Err(error) => Err(error.to_string()),
                }
            },
        )
    };
    let steps = vec![programs, samples, output, flushed, deliveries, closed];
    let report = coordinator.run(steps, within, &mut say);
    // Whatever the steps came to: the holder is sent away, or it would go on after a forced end.
    let _ = logs.finish(clock::mono() + limits::STOP_STEP_PRESSED);
    for line in report.to_string().lines() {
        log::info!("{line}");
    }
    if !report.left().is_empty() {
        log::warn!("left undone: {}", report.left());
    }
    let ended_well = stopped
        .lock()
        .as_ref()
        .is_some_and(|stop: &StopReport| stop.killed.is_empty() && stop.fatal.is_empty());
    let _ = terminal.flush(limits::TERMINAL_LAST);
    drop(signals);
    drop(lock);
    if ended_well && report.is_clean() {
        Ended::Well
    } else {
        Ended::Badly
    }
}

fn patience(cx: &StepContext) -> Duration {
    match cx.urgency() {
        Urgency::Clean => limits::STOP_PATIENCE,
        Urgency::Now | Urgency::Exit => limits::STOP_STEP_PRESSED,
    }
}

fn stop_programs(
    supervisor: &Supervisor,
    board: &Board,
    by: String,
    cx: &StepContext,
) -> Result<StopReport, String> {
    let (reply, report) = bounded(1);
    supervisor.stop_all(by, reply);
    if cx.urgency() != Urgency::Clean {
        supervisor.kill_all();
    }
    loop {
        cx.waiting_for(waiting(board));
        select! {
            recv(report) -> report => return report.map_err(|_| "supervision ended early".to_owned()),
            recv(cx.presses()) -> press => match press {
                Ok(_) => supervisor.kill_all(),
                Err(_) => return Err("abandoned".to_owned()),
            },
            // The figures of the waiting line go on; the answer itself does not wait for this.
            recv(after(limits::STOP_LINE)) -> _ => {}
        }
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
    let waiting = Waiting::new(view.name.to_string());
    match (&view.stopping, view.phase) {
        (Some(stopping), _) => {
            let signal = if stopping.killed { "KILL" } else { "a signal" };
            waiting
                .asked(signal, stopping.since)
                .killed_at(stopping.kill_at)
        }
        (
            None,
            PhaseName::Stopped | PhaseName::Starting | PhaseName::Running | PhaseName::Backoff,
        )
        | (None, PhaseName::Stopping | PhaseName::Exited | PhaseName::Fatal) => waiting,
    }
}

fn told(report: &StopReport) -> String {
    let mut text = format!("{} stopped", report.stopped.len());
    if !report.killed.is_empty() {
        let names: Vec<String> = report.killed.iter().map(ToString::to_string).collect();
        text = format!("{text}, of them killed: {}", names.join(", "));
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
