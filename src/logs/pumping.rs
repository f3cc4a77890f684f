//! The thread "pump": owns the supervisor's pump and its holder, and does as the inbox says. Never opens a
//! file in the place of its callers' threads, and is never waited for by the one that supervises.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{Receiver, Sender, TryRecvError};
use rustix::event::epoll;

use super::index::Mark;
use super::link::{Link, Lost, Mains};
use super::lock::PumpLock;
use super::pipes::PipeId;
use super::pump::{Notice, Pump, Totals};
use super::wire::{self, Message};
use crate::clock;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;

/// What the others ask of the pump.
pub(super) enum Command {
    /// A run begins: its pipes.
    Register(Vec<(PipeId, OwnedFd)>),
    /// The main process of a run, for the holder.
    Watch(RunId, OwnedFd),
    /// A run's tree is gone.
    Over(RunId),
    /// Empty the pipes of an instance now, and say when it is done.
    Drain(InstanceName, Sender<()>),
    /// A holder was started.
    Attach(OwnedFd),
    /// The clean end.
    Finish(Sender<Totals>),
    /// The supervisor ends and the programs do not: the holder takes the pipes.
    Leave(Sender<Totals>),
}

/// Receives what the pump has to tell; must not wait.
pub type NoticeSink = Box<dyn Fn(Notice) + Send>;

const WAKE: u64 = 0;
const LINK: u64 = 1;

/// See the file's head.
pub(super) struct Pumping {
    pub pump: Pump,
    /// Boxed: there is room for thousands, all of it touched at the start.
    pub inbox: Receiver<Box<Command>>,
    /// Written by everybody who puts something into the inbox.
    pub wake: Arc<OwnedFd>,
    /// Set when the inbox was full: the folder of pipes says what was missed.
    pub was_full: Arc<AtomicBool>,
    pub link: Option<Link>,
    /// For the holder, and the one after it.
    pub mains: Mains,
    pub notices: NoticeSink,
    pub lock: PumpLock,
}

enum Next {
    GoOn,
    Finish(Sender<Totals>),
    HandOver(Sender<Totals>),
    /// Everybody dropped their handle without a clean end: the holder goes on.
    Leave,
}

impl Pumping {
    /// Watches the inbox and takes an earlier supervisor's holder on.
    pub(super) fn prepare(&mut self, holder: Option<OwnedFd>) -> io::Result<()> {
        let data = epoll::EventData::new_u64(WAKE);
        epoll::add(self.pump.epoll(), &self.wake, data, epoll::EventFlags::IN)?;
        if let Some(socket) = holder {
            self.attach(socket);
        }
        Ok(())
    }

    pub(super) fn run(mut self) {
        loop {
            let now = clock::mono();
            let timeout = self.pump.next_deadline().map(|at| at.since(now));
            let events = self.pump.wait(timeout);
            let mut is_busy = false;
            for token in events {
                match token {
                    WAKE => self.hush(),
                    LINK => self.link_event(),
                    pipe => {
                        is_busy = true;
                        self.pump.visit(pipe);
                    }
                }
            }
            let next = self.commands();
            self.pump.tend(clock::mono());
            self.tell();
            match next {
                Next::GoOn => {}
                Next::Leave => return,
                Next::Finish(done) => return self.finish(&done),
                Next::HandOver(done) => return self.hand_over(&done),
            }
            if is_busy {
                // Batching is what makes a pump cheap; a command ends the rest.
                wire::wait_readable(&[self.wake.as_fd()], Some(limits::PUMP_NAP));
            }
        }
    }

    fn hush(&self) {
        let mut count = [0; 8];
        // Empty already is as good.
        let _ = rustix::io::read(&self.wake, &mut count[..]);
    }

    fn commands(&mut self) -> Next {
        loop {
            match self.inbox.try_recv().map(|command| *command) {
                Ok(Command::Register(pipes)) => {
                    for (id, fd) in pipes {
                        self.pump.add(id.clone(), fd, Mark::Start);
                        self.have_held(id);
                    }
                }
                Ok(Command::Watch(run, pidfd)) => {
                    self.mains.insert(run, pidfd);
                    self.tell_holder(Message::Watch(run, None));
                }
                Ok(Command::Over(run)) => self.over(run),
                Ok(Command::Drain(instance, done)) => {
                    self.pump.drain_instance(&instance);
                    // The one who asked may have stopped waiting.
                    let _ = done.try_send(());
                }
                Ok(Command::Attach(socket)) => self.attach(socket),
                Ok(Command::Finish(done)) => return Next::Finish(done),
                Ok(Command::Leave(done)) => return Next::HandOver(done),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Next::Leave,
            }
        }
        if self.was_full.swap(false, Ordering::AcqRel) {
            self.look_for_missed();
        }
        Next::GoOn
    }

    fn over(&mut self, run: RunId) {
        self.pump.run_over(run);
        self.mains.remove(&run);
        // Always: it may keep one of an earlier supervisor's.
        self.tell_holder(Message::Forget(run));
    }

    fn look_for_missed(&mut self) {
        match self.pump.add_leftovers() {
            Ok(found) => {
                for id in found {
                    self.have_held(id);
                }
            }
            Err(e) => log::error!("cannot look for pipes: {e}"),
        }
    }

    fn attach(&mut self, socket: OwnedFd) {
        if let Some(old) = self.link.take() {
            old.bye(&self.pump, &self.mains);
        }
        match Link::new(socket, &self.pump, LINK) {
            Ok(mut link) => {
                for id in self.pump.pipes() {
                    link.hold(&self.pump, id.clone());
                }
                for run in self.mains.keys() {
                    link.push(Message::Watch(*run, None));
                }
                self.link = Some(link);
            }
            Err(e) => {
                log::error!("cannot watch the holder: {e}");
                (self.notices)(Notice::HolderLost);
            }
        }
    }

    fn have_held(&mut self, id: PipeId) {
        if let Some(link) = &mut self.link {
            link.hold(&self.pump, id);
        }
    }

    fn tell_holder(&mut self, message: Message) {
        if let Some(link) = &mut self.link {
            link.push(message);
        }
    }

    fn link_event(&mut self) {
        if let Some(link) = &self.link
            && link.check().is_err()
        {
            self.holder_lost();
        }
    }

    fn holder_lost(&mut self) {
        if let Some(link) = self.link.take() {
            link.detach(&self.pump);
            (self.notices)(Notice::HolderLost);
        }
    }

    fn tell(&mut self) {
        for id in self.pump.take_closed() {
            self.tell_holder(Message::Drop(id));
        }
        for notice in self.pump.take_notices() {
            (self.notices)(notice);
        }
        if let Some(link) = &mut self.link
            && let Err(Lost) = link.flush(&self.pump, &self.mains)
        {
            self.holder_lost();
        }
    }

    /// The holder hears of every pipe, and then of nothing more: that is how it knows that it is alone.
    fn hand_over(mut self, done: &Sender<Totals>) {
        self.tell();
        let totals = self.pump.totals();
        if let Some(link) = self.link.take() {
            link.detach(&self.pump);
        }
        drop(self.pump.hand_over(clock::mono()));
        drop(self.lock);
        let _ = done.try_send(totals);
    }

    fn finish(mut self, done: &Sender<Totals>) {
        let totals = self.pump.finish(clock::mono());
        self.tell();
        if let Some(link) = self.link.take() {
            link.bye(&self.pump, &self.mains);
        }
        // The readers of segments end when the pump is gone; before that, nobody hears of the end.
        drop(self.pump);
        drop(self.lock);
        let _ = done.try_send(totals);
    }
}
