//! One look at all trees of one interval: a single scan of `/proc` shared by all, and the few files a scan
//! does not cover. It owns what it remembers between looks and the files it keeps open; it has no thread,
//! waits for nothing and publishes nothing.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use super::proc::{FileBudget, Io, KeptFiles, Machine, ProcReader};
use super::tally::{Counters, Holding, Rise, figures, rise};
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::{HostSample, Sample};
use crate::procfs::tree::{self, OwnIds, Root};
use crate::procfs::{self, ProcStat, Scanner};

/// A run whose tree is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The instance it is a run of.
    pub instance: InstanceName,
    /// The run.
    pub run: RunId,
    /// Its main process, which leads the group of the same number.
    pub pid: u32,
    /// When that started, in ticks since boot.
    pub start_ticks: u64,
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Round {
    /// A sample of every member that has a living process.
    pub samples: Vec<Sample>,
    /// Members of which nobody has been alive for a while.
    pub gone: Vec<Arc<Member>>,
    /// Processes that were alive and whose figures could not all be read: closed to us, or just gone.
    pub unreadable: u64,
}

/// What is remembered of a run between two looks.
#[derive(Debug, Default)]
struct Tracked {
    /// When it was looked at; none before the first time.
    at: Option<Mono>,
    counters: Vec<Counters>,
    /// The same processes, as the family tree wants them.
    known: Vec<(u32, u64)>,
    files: Option<KeptFiles>,
    is_opened: bool,
    empty_rounds: u8,
    /// The number of the latest look it was in.
    round: u64,
}

/// Looks again and again. CPU shares and rates are those since the look before; a run's first are zero.
#[derive(Debug)]
pub struct Sampler {
    scanner: Scanner,
    scan: Vec<ProcStat>,
    reader: ProcReader,
    machine: Machine,
    own: OwnIds,
    tracked: HashMap<RunId, Tracked>,
    /// Orphans that carried no mark of ours, and how often that was seen.
    strangers: HashMap<(u32, u64), u8>,
    /// The start of the youngest process at the look before.
    newest: u64,
    rounds: u64,
    host: Option<Host>,
}

impl Sampler {
    /// A sampler for trees outside the session and group of `own`.
    pub fn new(own: OwnIds, budget: Arc<FileBudget>) -> io::Result<Self> {
        Ok(Self {
            scanner: Scanner::new()?,
            scan: Vec::new(),
            reader: ProcReader::new(budget)?,
            machine: Machine::current(),
            own,
            tracked: HashMap::new(),
            strangers: HashMap::new(),
            newest: 0,
            rounds: 0,
            host: None,
        })
    }

    /// Looks at all `members`; what is remembered of others is dropped.
    pub fn round(&mut self, members: &[Arc<Member>]) -> io::Result<Round> {
        if members.is_empty() {
            self.tracked.clear();
            return Ok(Round::default());
        }
        self.scanner.scan(&mut self.scan)?;
        let look = Look {
            now: clock::mono(),
            time: clock::wall(),
            newest_before: self.newest,
        };
        self.rounds += 1;
        let owned = self.assign(members);
        let mut round = Round::default();
        let mut rest = owned.as_slice();
        for (index, member) in members.iter().enumerate() {
            let (mine, others) = rest.split_at(rest.partition_point(|(root, _)| *root == index));
            rest = others;
            let found = self.look_at(member, mine, look);
            round.unreadable += found.unreadable;
            round.samples.extend(found.sample);
            if found.is_gone {
                round.gone.push(Arc::clone(member));
            }
        }
        self.tracked.retain(|_, t| t.round == self.rounds);
        self.newest = self.scan.iter().map(|p| p.start_ticks).max().unwrap_or(0);
        Ok(round)
    }

    /// Measures the host, dated `time`; none when the system cannot be asked.
    pub fn host(&mut self, time: Wall) -> Option<HostSample> {
        if self.host.is_none() {
            self.host = Host::new()
                .inspect_err(|why| log::debug!("the host cannot be measured: {why}"))
                .ok();
        }
        Some(self.host.as_mut()?.sample(time))
    }

    /// Who belongs to whom: (place in `members`, place in the scan), sorted.
    fn assign(&mut self, members: &[Arc<Member>]) -> Vec<(usize, usize)> {
        let roots: Vec<Root<'_>> = members
            .iter()
            .map(|m| Root {
                pid: m.pid,
                start_ticks: m.start_ticks,
                pgrp: m.pid,
                known: self.tracked.get(&m.run).map_or(&[], |t| &t.known),
            })
            .collect();
        let before = std::mem::take(&mut self.strangers);
        let strangers = &mut self.strangers;
        let mut owned = tree::members(&self.scan, &roots, self.own, |process| {
            let key = (process.pid, process.start_ticks);
            let seen = before.get(&key).copied().unwrap_or(0);
            // Twice, because a process in the midst of its exec has no environment.
            let found = (seen < 2).then(|| marked(process, members)).flatten();
            if found.is_none() {
                strangers.insert(key, seen.saturating_add(1));
            }
            found
        });
        owned.sort_unstable();
        owned
    }

    fn look_at(&mut self, member: &Member, owned: &[(usize, usize)], look: Look) -> Found {
        let tracked = self.tracked.entry(member.run).or_default();
        tracked.round = self.rounds;
        let mut tree = TreeLook {
            reader: &self.reader,
            member,
            tracked,
            holding: Holding::default(),
            counters: Vec::with_capacity(owned.len()),
            unreadable: 0,
        };
        for (_, at) in owned {
            tree.add(&self.scan[*at], self.machine.page_size);
        }
        let unreadable = tree.unreadable;
        if tree.holding.processes == 0 {
            tracked.empty_rounds = tracked.empty_rounds.saturating_add(1);
            return Found {
                sample: None,
                is_gone: tracked.empty_rounds >= limits::SAMPLE_EMPTY_ROUNDS,
                unreadable,
            };
        }
        let (holding, counters) = (tree.holding, tree.counters);
        let (risen, elapsed) = tracked.settle(counters, look);
        Found {
            sample: Some(Sample {
                instance: member.instance.clone(),
                run: member.run,
                time: look.time,
                figures: figures(holding, risen, elapsed, self.machine.ticks_per_second),
            }),
            is_gone: false,
            unreadable,
        }
    }
}

/// One moment.
#[derive(Clone, Copy)]
struct Look {
    now: Mono,
    time: Wall,
    newest_before: u64,
}

/// What a look at one tree found.
struct Found {
    /// None when nobody is alive.
    sample: Option<Sample>,
    /// Whether nobody has been alive for a while.
    is_gone: bool,
    unreadable: u64,
}

impl Tracked {
    /// Takes in what was seen; how far it rose since the look before, and how long ago that was.
    fn settle(&mut self, mut counters: Vec<Counters>, look: Look) -> (Rise, Duration) {
        counters.sort_unstable_by_key(|c| c.pid);
        let risen = match self.at {
            None => (Rise::default(), Duration::ZERO),
            Some(at) => (
                rise(&self.counters, &counters, look.newest_before),
                look.now.since(at),
            ),
        };
        self.known.clear();
        self.known
            .extend(counters.iter().map(|c| (c.pid, c.start_ticks)));
        self.counters = counters;
        self.at = Some(look.now);
        self.empty_rounds = 0;
        risen
    }

    /// What was seen of `process` at the look before.
    fn before(&self, process: &ProcStat) -> Option<&Counters> {
        let at = self
            .counters
            .binary_search_by_key(&process.pid, |c| c.pid)
            .ok()?;
        Some(&self.counters[at]).filter(|c| c.start_ticks == process.start_ticks)
    }
}

/// A look at one tree while it is taken.
struct TreeLook<'a> {
    reader: &'a ProcReader,
    member: &'a Member,
    tracked: &'a mut Tracked,
    holding: Holding,
    counters: Vec<Counters>,
    unreadable: u64,
}

impl TreeLook<'_> {
    fn add(&mut self, process: &ProcStat, page_size: u64) {
        let mut io = self
            .tracked
            .before(process)
            .map_or_else(Io::default, |c| Io {
                read_bytes: c.read_bytes,
                write_bytes: c.write_bytes,
            });
        // A zombie holds nothing; its counters stay what they were until its parent inherits them.
        if !process.is_zombie() {
            let files = self.open_figures(process);
            io = files.0.unwrap_or(io);
            let holding = &mut self.holding;
            holding.processes += 1;
            holding.threads = holding.threads.saturating_add(process.threads);
            let bytes = process.rss_pages.saturating_mul(page_size);
            holding.memory_bytes = holding.memory_bytes.saturating_add(bytes);
            holding.open_files = holding.open_files.saturating_add(files.1.unwrap_or(0));
        }
        self.counters.push(Counters {
            pid: process.pid,
            start_ticks: process.start_ticks,
            parent: process.ppid,
            own_ticks: process.cpu_ticks(),
            all_ticks: process.cpu_ticks().saturating_add(process.reaped_ticks),
            read_bytes: io.read_bytes,
            write_bytes: io.write_bytes,
        });
    }

    /// I/O and open files. Those of a main process are read through files kept open; others come and go
    /// too fast to keep theirs.
    fn open_figures(&mut self, process: &ProcStat) -> (Option<Io>, Option<u32>) {
        let main = (self.member.pid, self.member.start_ticks);
        let is_main = (process.pid, process.start_ticks) == main;
        if is_main && !self.tracked.is_opened {
            self.tracked.is_opened = true;
            self.tracked.files = self.reader.keep(process.pid);
        }
        let kept = self.tracked.files.as_ref().filter(|_| is_main);
        let io = self.reader.io(process.pid, kept);
        let open_files = self.reader.open_files(process.pid, kept);
        self.unreadable += u64::from(io.is_none() || open_files.is_none());
        (io, open_files)
    }
}

/// The member whose mark `process` carries.
fn marked(process: &ProcStat, members: &[Arc<Member>]) -> Option<usize> {
    if let Some(mark) = procfs::read_limit_mark(process.pid) {
        let known = members.iter();
        let at = known
            .enumerate()
            .find(|(_, m)| procfs::limit_mark(m.run) == mark);
        if let Some((at, _)) = at {
            return Some(at);
        }
    }
    let mark: RunId = procfs::environ_mark(process.pid, procfs::RUN_MARK)?
        .parse()
        .ok()?;
    members.iter().position(|m| m.run == mark)
}
