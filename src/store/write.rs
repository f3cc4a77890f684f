//! Critical records that wait to be committed: in order, bounded in number and memory. Pure.

use std::collections::VecDeque;

use crate::limits;
use crate::model::delivery::NewDelivery;
use crate::model::event::Severity;
use crate::model::write::Write;

/// Whether losing it loses no more than a line of history.
fn is_info_only(write: &Write) -> bool {
    write.deliveries.is_empty()
        && write.incident.is_none()
        && write.silences.is_empty()
        && write.record.event.severity == Severity::Info
}

/// About what it takes in memory.
fn bytes_of(write: &Write) -> usize {
    let facts = &write.record.event.facts;
    let tail: usize = facts.log_tail.iter().map(|line| line.len() + 24).sum();
    let cause = facts.cause.as_ref().map_or(0, String::len);
    size_of::<Write>() + tail + cause + write.deliveries.len() * size_of::<NewDelivery>()
}

/// Critical records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Writes {
    queue: VecDeque<Write>,
    bytes: usize,
}

impl Writes {
    /// Adds one; says how many were dropped for it.
    pub(super) fn push(&mut self, write: Write) -> usize {
        self.bytes += bytes_of(&write);
        self.queue.push_back(write);
        self.shed()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Drops the oldest that is info only, else the oldest, until the bounds hold; says how many.
    fn shed(&mut self) -> usize {
        let mut dropped = 0;
        while self.queue.len() > limits::STORE_WRITES_MAX || self.bytes > limits::STORE_WRITES_BYTES
        {
            let at = self.queue.iter().position(is_info_only).unwrap_or(0);
            let Some(write) = self.queue.remove(at) else {
                break;
            };
            self.bytes -= bytes_of(&write);
            dropped += 1;
        }
        dropped
    }

    /// At most one commit's worth.
    pub(super) fn take(&mut self) -> VecDeque<Write> {
        let count = self.queue.len().min(limits::STORE_WRITES_PER_COMMIT);
        let taken: VecDeque<Write> = self.queue.drain(..count).collect();
        self.bytes -= taken.iter().map(bytes_of).sum::<usize>();
        taken
    }

    /// Puts back in front what could not be written; says how many were dropped for it.
    pub(super) fn put_back(&mut self, mut writes: VecDeque<Write>) -> usize {
        self.bytes += writes.iter().map(bytes_of).sum::<usize>();
        writes.append(&mut self.queue);
        self.queue = writes;
        self.shed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::event::{Event, EventKind};

    fn write(kind: EventKind) -> Write {
        Write::from(crate::model::record::Record::from(Event::new(
            kind,
            Wall::default(),
        )))
    }

    #[test]
    fn when_too_many_wait_the_oldest_that_are_info_only_go_first() {
        let mut writes = Writes::default();
        writes.push(write(EventKind::ProgramFatal));
        for _ in 1..limits::STORE_WRITES_MAX {
            assert_eq!(writes.push(write(EventKind::ProgramStarted)), 0);
        }
        assert_eq!(writes.push(write(EventKind::ProgramCrashed)), 1);
        let kinds: Vec<EventKind> = writes.take().iter().map(|w| w.record.event.kind).collect();
        assert_eq!(kinds[0], EventKind::ProgramFatal);
        assert_eq!(writes.bytes > 0, !writes.queue.is_empty());
    }

    #[test]
    fn the_memory_of_what_waits_is_bounded_too() {
        let mut writes = Writes::default();
        let mut dropped = 0;
        for _ in 0..80 {
            let mut large = write(EventKind::ProgramCrashed);
            large.record.event.facts.log_tail = vec!["x".repeat(1024 * 1024)];
            dropped += writes.push(large);
        }
        assert!(writes.bytes <= limits::STORE_WRITES_BYTES);
        assert_eq!(writes.queue.len() + dropped, 80);
        let taken = writes.take();
        assert_eq!(writes.bytes, 0);
        assert_eq!(writes.put_back(taken), 0);
    }
}
