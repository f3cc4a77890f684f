//! The supervising loop: sleeps in epoll, asks the machine, performs. Owns the slots, epoll and the board's
//! other end. Processes are in `processes`, people's requests in `requests`.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use crossbeam::channel::{Receiver, TryRecvError};
use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::board::{Board, InstanceView, Snapshot};
use super::machine::{self, Action, Context, Input, Notice};
use super::order::Graph;
use super::reload::Reloading;
use super::requests::{Pending, StopUnderWay};
use super::signs::Signs;
use super::slot::Slot;
use super::tell::{self, Moment};
use super::turns::Turns;
use super::wallclock::WallTimer;
use super::{KeptEnd, Message, Ports, Start, tree};
use crate::child;
use crate::clock::{self, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::fingerprint::Fingerprint;
use crate::model::record::{Record, RunStart};
use crate::model::status::Desired;
use crate::procfs;

const WAKE: u64 = 0;
const CHILDREN: u64 = 1;
const FIRST_FREE: u64 = 2;

/// What a token of epoll stands for. Tokens are never used twice: a stale event finds nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The main process of this slot's run.
    Main(usize),
    /// A process left of this slot's run.
    Left(usize),
    /// The word on whether this slot's program has begun.
    Launch(usize),
    /// The notify socket of this slot's run.
    Notify(usize),
    /// The timer of the wall clock.
    WallClock,
    /// The letter box of rules.
    Turns,
}

pub(super) struct Actor {
    pub slots: Vec<Slot>,
    /// The slots of each program.
    pub of_program: Vec<Vec<usize>>,
    pub graph: Graph,
    pub ports: Box<dyn Ports>,
    pub signs: Signs,
    /// Slots that were started in this round.
    pub renewed: Vec<usize>,
    pub file_limit: Option<rustix::process::Rlimit>,
    pub pending: Vec<Pending>,
    pub reloads: Vec<Reloading>,
    /// The slots as others see them: in the order of the configuration, then those that leave it.
    pub order: Vec<usize>,
    pub stop: Option<StopUnderWay>,
    /// The members of all live runs, once somebody asked in this round.
    pub members: Option<tree::Members>,
    pub boot_id: String,
    /// Of runs that are to be taken over, while that goes on.
    pub ends: BTreeMap<RunId, KeptEnd>,
    /// For what is planned by the wall clock.
    pub wall: WallTimer,
    /// Rules that turned.
    pub turns: Turns,
    /// Records of this round, in order.
    pub told: Vec<Record>,
    board: Arc<Board>,
    views: Vec<Arc<InstanceView>>,
    dirty: Vec<usize>,
    seq: u64,
    messages: Receiver<Message>,
    wake: Arc<OwnedFd>,
    children: OwnedFd,
    epoll: OwnedFd,
    sources: HashMap<u64, Source>,
    next_token: u64,
}

impl Actor {
    pub fn new(start: Start, messages: Receiver<Message>, wake: Arc<OwnedFd>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &*wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN,
        )?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (children, bell) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The library's handler writes a byte for each SIGCHLD; bytes lost to a full socket do not matter.
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, bell)?;
        epoll::add(
            &epoll,
            &children,
            epoll::EventData::new_u64(CHILDREN),
            epoll::EventFlags::IN,
        )?;
        let mut slots = Vec::new();
        let mut of_program: Vec<Vec<usize>> = Vec::new();
        for (program, spec) in start.programs.iter().enumerate() {
            let first = slots.len();
            slots.extend(
                spec.instance_names()
                    .map(|name| Slot::new(name, program, Arc::clone(spec))),
            );
            of_program.push((first..slots.len()).collect());
        }
        let mut actor = Self {
            views: slots.iter().map(|slot| Arc::new(slot.view())).collect(),
            slots,
            order: of_program.concat(),
            of_program,
            graph: Graph::new(&start.programs),
            ports: start.ports,
            signs: start.signs,
            renewed: Vec::new(),
            file_limit: start.file_limit,
            pending: Vec::new(),
            reloads: Vec::new(),
            stop: None,
            members: None,
            ends: BTreeMap::new(),
            wall: WallTimer::default(),
            turns: start.turns,
            told: Vec::new(),
            boot_id: procfs::boot_id().unwrap_or_default(),
            board: start.board,
            dirty: Vec::new(),
            seq: 0,
            messages,
            wake,
            children,
            epoll,
            sources: HashMap::new(),
            next_token: FIRST_FREE,
        };
        actor.hear_turns()?;
        actor.inherit(start.legacy, start.programs);
        actor.dirty.extend(0..actor.slots.len());
        actor.publish();
        Ok(actor)
    }

    pub fn run(mut self) {
        self.autostart();
        self.look_at_the_clock();
        let mut events = Vec::with_capacity(limits::EPOLL_EVENTS);
        loop {
            self.settle();
            self.publish();
            events.clear();
            let timeout = self.timeout();
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, room, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => log::error!("waiting for processes failed: {error}"),
            }
            self.members = None;
            for event in &events {
                let data = event.data;
                self.dispatch(data.u64());
            }
            if !self.take_messages() {
                self.hand_over();
                return;
            }
            self.take_signs();
            self.tick();
        }
    }

    fn dispatch(&mut self, token: u64) {
        match token {
            WAKE => {
                let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
            }
            CHILDREN => {
                while matches!(rustix::io::read(&self.children, &mut [0_u8; 512]), Ok(1..)) {}
                child::reap_orphans();
                self.take_pauses();
            }
            _ => match self.sources.get(&token).copied() {
                Some(Source::Main(slot)) => self.main_ended(slot),
                Some(Source::Left(slot)) => self.left_ended(slot, token),
                Some(Source::Launch(slot)) => self.launch_settled(slot),
                Some(Source::Notify(slot)) => self.notified(slot),
                Some(Source::WallClock) => self.timer_rang(),
                Some(Source::Turns) => self.take_turns(),
                // Settled earlier in this round.
                None => {}
            },
        }
    }

    /// False when nobody is left who could send: the end.
    fn take_messages(&mut self) -> bool {
        loop {
            match self.messages.try_recv() {
                Ok(Message::Verb(request)) => self.verb(request),
                Ok(Message::Poke(request)) => self.poke(request),
                Ok(Message::Reload(reload)) => self.reload(reload),
                Ok(Message::StopAll { by, reply }) => self.stop_all(&by, reply),
                Ok(Message::KillAll) => self.kill_all(),
                // Whoever asked may have lost patience.
                Ok(Message::Ask(reply)) => drop(reply.try_send(())),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn tick(&mut self) {
        // First, or the end of a pause would start what is to stop.
        self.go_on_stopping();
        let now = clock::mono();
        for slot in 0..self.slots.len() {
            if self.slots[slot].launch_until().is_some_and(|at| at <= now) {
                self.launch_settled(slot);
            }
            let look_at = self.slots[slot].live.as_ref().and_then(|live| live.look_at);
            if look_at.is_some_and(|at| at <= now) {
                self.look_again(slot);
            }
            if self.slots[slot].deadline().is_some_and(|at| at <= now) {
                self.await_needs_again(slot);
                self.feed(slot, Input::Tick);
            }
            self.expire(slot, now);
            self.tick_vitals(slot, now);
            self.tick_silence(slot, now);
            self.tick_notify(slot, now);
            self.tick_halt(slot, now);
        }
        self.look_at_the_clock();
    }

    fn timeout(&self) -> Option<Timespec> {
        let deadlines = self.slots.iter().filter_map(Slot::deadline);
        let at = deadlines.chain(self.next_expiry()).min()?;
        let wait = at.since(clock::mono());
        let tv_sec = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        Some(Timespec {
            tv_sec,
            tv_nsec: i64::from(wait.subsec_nanos()),
        })
    }

    /// One input for one slot, and everything that follows from it.
    pub fn feed(&mut self, slot: usize, input: Input) {
        if !self.slots[slot].hears(&input) {
            return;
        }
        let mut inputs: Vec<Input> = self.hold_back(slot, input).into_iter().collect();
        while let Some(input) = inputs.pop() {
            let spec = Arc::clone(&self.slots[slot].spec);
            let cx = Context {
                spec: &spec,
                now: clock::mono(),
                random: fastrand::f64(),
            };
            let instance = std::mem::take(&mut self.slots[slot].instance);
            let (instance, actions) = machine::next(instance, input, &cx);
            self.slots[slot].instance = instance;
            self.dirty.push(slot);
            for action in actions {
                match action {
                    // Answered when the round is settled and the others' states are known.
                    Action::AwaitNeeds => {}
                    Action::Spawn => inputs.extend(self.spawn(slot)),
                    Action::Signal(run, signal) => self.signal(slot, run, signal),
                    Action::Type(run, line) => {
                        let is_typed = self.type_line(slot, run, &line);
                        inputs.extend((!is_typed).then_some(Input::Untyped(run)));
                    }
                    Action::Tell(notice) => self.tell(slot, notice),
                }
            }
        }
    }

    fn tell(&mut self, slot: usize, notice: Notice) {
        let Some(notice) = self.attend(slot, notice) else {
            return;
        };
        let at = Moment::now();
        let started = match &notice {
            Notice::Started(run) | Notice::Adopted(run) => self.run_start(slot, *run, at),
            _ => None,
        };
        self.slots[slot].was_killed |= matches!(notice, Notice::Killed(..));
        let is_down = self.slots[slot].instance.desired == Desired::Down;
        let is_done = matches!(notice, Notice::Started(_))
            || (is_down && matches!(notice, Notice::Stopped(_)));
        let mut record = tell::record(&self.slots[slot], notice, started, at);
        let event = &mut record.event;
        self.slots[slot].tell_leaving(event.kind, &mut event.facts);
        self.told.push(record);
        if is_done {
            // What follows by itself was asked by nobody.
            self.slots[slot].asked_by = None;
        }
    }

    fn run_start(&self, slot: usize, run: RunId, at: Moment) -> Option<RunStart> {
        let slot = &self.slots[slot];
        let live = slot.live.as_ref()?;
        let up = at.mono.since(live.since).as_millis();
        let up = i64::try_from(up).unwrap_or(i64::MAX);
        Some(RunStart {
            run,
            instance: slot.name.clone(),
            pid: live.root.pid,
            start_ticks: live.root.start_ticks,
            boot_id: self.boot_id.clone(),
            at: Wall::from_millis(at.wall.millis().saturating_sub(up)),
            command: slot.spec.command.join(" "),
            pipes: live.pipes.clone(),
            made_of: Some(Fingerprint::of(&slot.spec, RunStart::salt(run).as_bytes())),
        })
    }

    pub(super) fn publish(&mut self) {
        if self.dirty.is_empty() {
            return;
        }
        for slot in std::mem::take(&mut self.dirty) {
            let view = self.slots[slot].view();
            if *self.views[slot] != view {
                self.views[slot] = Arc::new(view);
            }
        }
        self.seq += 1;
        self.board.publish(Snapshot {
            seq: self.seq,
            instances: self
                .order
                .iter()
                .map(|slot| Arc::clone(&self.views[*slot]))
                .collect(),
        });
    }

    /// Has epoll tell when `fd` becomes readable; the token is its name until [`Actor::forget`].
    pub fn listen(&mut self, fd: BorrowedFd, source: Source) -> io::Result<u64> {
        let token = self.next_token;
        self.next_token += 1;
        epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Takes `fd` out of epoll before it is closed: a descriptor that a half-spawned child still holds would
    /// go on giving events.
    pub fn forget(&mut self, fd: BorrowedFd, token: u64) {
        self.sources.remove(&token);
        if let Err(error) = epoll::delete(&self.epoll, fd) {
            log::error!("a process cannot be taken out of the waiting set: {error}");
        }
    }

    /// Records what the round told. At its end: those who record it would wake up in the middle of a restart
    /// and compete with the spawn for the machine.
    pub fn hand_over(&mut self) {
        for record in self.told.drain(..) {
            self.ports.record(record);
        }
    }

    /// Has the board show a slot that came.
    pub fn show_new(&mut self, slot: usize) {
        let view = Arc::new(self.slots[slot].view());
        match self.views.get_mut(slot) {
            Some(place) => *place = view,
            None => self.views.push(view),
        }
        self.touch(slot);
    }

    /// Marks a slot as changed, for the board.
    pub fn touch(&mut self, slot: usize) {
        self.dirty.push(slot);
    }
}
