//! What the pump does while the log disk takes nothing: through memory, bounded, and back. Never gives up a
//! program's time for the disk's.

use std::collections::HashMap;
use std::io;

use rustix::io::Errno;

use super::{Notice, Pump, Visit};
use crate::clock::{self, Mono};
use crate::limits;
use crate::logs::segments::Source;
use crate::model::name::InstanceName;

impl Pump {
    /// When [`Pump::tend`] is next needed.
    pub(in crate::logs) fn next_deadline(&self) -> Option<Mono> {
        let retry = self.flows.values().filter_map(|f| f.retry_at).min();
        let told = self.spill.has_dropped().then(|| {
            self.told_at
                .map_or(Mono::default(), |t| t + limits::LOG_DROPS_EVERY)
        });
        [retry, told].into_iter().flatten().min()
    }

    /// Tries disks that failed again, and reports losses.
    pub(in crate::logs) fn tend(&mut self, now: Mono) {
        let due: Vec<Source> = self
            .flows
            .iter()
            .filter(|(_, f)| f.retry_at.is_some_and(|at| at <= now))
            .map(|(s, _)| s.clone())
            .collect();
        for source in &due {
            self.unspill(source, now);
        }
        if !due.is_empty() && self.flows.values().all(|f| f.retry_at.is_none()) {
            self.notices.push(Notice::DiskBack);
        }
        if self
            .told_at
            .is_none_or(|at| now.since(at) >= limits::LOG_DROPS_EVERY)
        {
            self.tell_drops(now);
        }
    }

    pub(super) fn tell_drops(&mut self, now: Mono) {
        let mut by_instance: HashMap<InstanceName, u64> = HashMap::new();
        for (source, bytes) in self.spill.take_dropped() {
            *by_instance.entry(source.instance).or_default() += bytes;
        }
        for (instance, bytes) in by_instance {
            self.told_at = Some(now);
            self.totals.dropped += bytes;
            self.notices.push(Notice::Dropped { instance, bytes });
        }
    }

    /// Through memory: the disk takes nothing, and the program must not wait for it.
    pub(super) fn read_once(&mut self, token: u64) -> Visit {
        let Some(pipe) = self.pipes.get(&token) else {
            return Visit::Empty;
        };
        let mut moved = 0;
        // As much as a splice would take at once: a loud program is not slowed down.
        while moved < limits::PIPE_BYTES_GROWN {
            match rustix::io::read(&pipe.fd, &mut self.buffer[..]) {
                Ok(0) if moved == 0 => return Visit::Ended,
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) => break,
                Ok(n) => {
                    self.spill.push(&pipe.source, &self.buffer[..n]);
                    moved += n;
                }
                Err(e) => {
                    log::error!("cannot read pipe {}: {e}", pipe.id);
                    return Visit::Ended;
                }
            }
        }
        if moved == 0 {
            Visit::Empty
        } else {
            pipe.ear.note(clock::mono());
            Visit::Moved(moved)
        }
    }

    pub(super) fn disk_failed(&mut self, source: &Source, error: &io::Error) {
        let is_first = self.flows.values().all(|f| f.retry_at.is_none());
        if let Some(flow) = self.flows.get_mut(source) {
            flow.retry_at = Some(clock::mono() + limits::LOG_DISK_RETRY);
            if is_first {
                self.notices.push(Notice::DiskFailed {
                    path: flow.segment.path().to_owned(),
                    error: error.to_string(),
                });
            }
        }
    }

    /// Writes what memory holds, in order; when all of it is written, splicing goes on.
    pub(super) fn unspill(&mut self, source: &Source, now: Mono) {
        while !self.spill.is_empty_of(source) {
            let Ok((n, len)) = self.append(source) else {
                if let Some(flow) = self.flows.get_mut(source) {
                    flow.retry_at = Some(now + limits::LOG_DISK_RETRY);
                }
                return;
            };
            self.spill.written(source, n);
            let writer = self.pipes.values().find(|p| p.source == *source);
            let run = writer.map(|p| p.id.run);
            self.grew(source, run, len - n as u64..len);
        }
        if let Some(flow) = self.flows.get_mut(source) {
            flow.retry_at = None;
            if flow.users == 0 {
                self.flows.remove(source);
            }
        }
    }

    pub(super) fn append(&mut self, source: &Source) -> io::Result<(usize, u64)> {
        #[cfg(test)]
        if self.is_disk_full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Errno::NOSPC.into());
        }
        let flow = self.flows.get_mut(source).ok_or(io::ErrorKind::NotFound)?;
        flow.segment.append(self.spill.front(source))
    }
}
