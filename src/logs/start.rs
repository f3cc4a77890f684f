//! The beginning: taking over what an earlier supervisor left, then the threads. Owns nothing afterwards.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam::channel::bounded;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use super::index::Mark;
use super::keeping::Keeping;
use super::link::Mains;
use super::lookout::Lookout;
use super::pack::Packer;
use super::pipes::{PipeDir, PipeId};
use super::print::Printer;
use super::ptys::Masters;
use super::pump::Pump;
use super::pumping::Pumping;
use super::scan::Scanner;
use super::{Deadline, Inner, Logs, Setup, Started, Threads, link, progress};
use crate::limits;
use crate::thread::spawn_named;

pub(super) fn start(setup: Setup) -> io::Result<(Logs, Started)> {
    let state_dir = setup.state_dir.as_path();
    let pipes = PipeDir::open(state_dir)?;
    let taken = link::take_over(state_dir);
    let lock = link::take_lock(state_dir)?;
    let finish_by = Arc::<Deadline>::default();
    let (progress, watch) = progress::pair();
    let mut readers = vec![progress];
    let mut scanner = Scanner::new(state_dir, watch, setup.records, Arc::clone(&finish_by));
    scanner.resume(setup.cursors)?;
    let printer = setup.terminal.map(|terminal| {
        let (progress, watch) = progress::pair();
        readers.push(progress);
        Printer::new(state_dir, watch, terminal, Arc::clone(&finish_by))
    });
    let (progress, watch) = progress::pair();
    watch.want(false);
    readers.push(progress);
    let lookout = Lookout::new(state_dir, watch);
    let masters = Masters::holding(taken.masters);
    let (turned, to_pack) = bounded(limits::LOG_PACK_QUEUE);
    let keeping = Keeping::telling(turned);
    keeping.set(state_dir, setup.keeping);
    let packer = Packer::new(state_dir, keeping.quiet(), to_pack);
    let quiet = keeping.quiet();
    let pump = Pump::new(state_dir, readers)?.with_terminals(masters.clone());
    let mut pump = pump.with_keeping(keeping);
    let heard = pump.heard.clone();
    let adopted = adopt(&mut pump, taken.pipes)?;
    pipes.sweep_inputs();
    pipes.sweep_notify();
    let started = Started {
        adopted,
        holder: taken.link.as_ref().and_then(link::peer),
        ends: taken.ends,
    };
    let (inbox, orders) = bounded(limits::PUMP_INBOX);
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let was_full = Arc::<AtomicBool>::default();
    let mut pumping = Pumping {
        pump,
        inbox: orders,
        wake: Arc::clone(&wake),
        was_full: Arc::clone(&was_full),
        link: None,
        mains: Mains::new(),
        notices: setup.notices,
        lock,
    };
    pumping.prepare(taken.link)?;
    let threads = spawn((pumping, packer), scanner, printer)?;
    let inner = Inner {
        state_dir: setup.state_dir,
        pipes,
        masters,
        inbox: Some(inbox),
        wake,
        was_full,
        finish_by,
        keeping: quiet,
        lookout,
        heard,
        threads: Mutex::new(Some(threads)),
    };
    Ok((Logs(Arc::new(inner)), started))
}

fn adopt(pump: &mut Pump, handed: Vec<(PipeId, OwnedFd)>) -> io::Result<Vec<PipeId>> {
    for (id, fd) in handed {
        pump.add(id, fd, Mark::Running);
    }
    pump.add_leftovers()?;
    pump.settle();
    let mut adopted: Vec<PipeId> = pump.pipes().cloned().collect();
    adopted.sort();
    Ok(adopted)
}

fn spawn(
    (pumping, packer): (Pumping, Packer),
    scanner: Scanner,
    printer: Option<Printer>,
) -> io::Result<Threads> {
    let pump = spawn_named("pump", move || pumping.run())?;
    let (said, records) = bounded(limits::LOG_ANSWER);
    let scan = spawn_named("log-scan", move || {
        let outcome = scanner.run();
        // Nobody listens after a finish that was too late.
        let _ = said.try_send(outcome);
    })?;
    let (said, ended) = bounded(limits::LOG_ANSWER);
    let pack = spawn_named("log-pack", move || {
        packer.run();
        let _ = said.try_send(());
    })?;
    let print = match printer {
        None => None,
        Some(printer) => {
            let (said, shown) = bounded(limits::LOG_ANSWER);
            let thread = spawn_named("log-print", move || {
                printer.run();
                let _ = said.try_send(());
            })?;
            Some((thread, shown))
        }
    };
    Ok(Threads {
        pump,
        scan: (scan, records),
        pack: (pack, ended),
        print,
    })
}
