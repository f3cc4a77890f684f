//! When records are handed on: fifty, or five seconds, or the end. Pure: `now` comes from outside.

use std::collections::BTreeMap;

use super::segments::Source;
use crate::clock::Mono;
use crate::limits;
use crate::model::log::{LogBatch, LogCursor, LogRecord};

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub inode: u64,
    pub offset: u64,
}

/// Collects records and the cursors that go with them.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    records: Vec<LogRecord>,
    moved: BTreeMap<Source, Place>,
    bytes: u64,
    oldest: Option<Mono>,
}

impl Batcher {
    /// A line that is kept.
    pub(super) fn push(&mut self, record: LogRecord, now: Mono) {
        self.oldest.get_or_insert(now);
        self.records.push(record);
    }

    /// `source` has been read up to `place`, `bytes` more than before.
    pub(super) fn reached(&mut self, source: &Source, place: Place, bytes: u64) {
        self.moved.insert(source.clone(), place);
        self.bytes += bytes;
    }

    /// Whether the batch is to be handed on now. `is_end`: nothing more comes.
    pub(super) fn is_due(&self, now: Mono, is_end: bool) -> bool {
        let is_old = self
            .oldest
            .is_some_and(|at| is_end || now.since(at) >= limits::RECORD_EVERY);
        // A cursor alone is worth a transaction only when it saves reading much again.
        let has_come_far = self.bytes >= limits::CURSOR_BYTES;
        self.records.len() >= limits::RECORD_BATCH || is_old || has_come_far
    }

    /// When [`Batcher::is_due`] will be true with nothing more coming.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.oldest.map(|at| at + limits::RECORD_EVERY)
    }

    /// The batch, and a fresh start.
    pub(super) fn take(&mut self) -> LogBatch {
        let done = std::mem::take(self);
        let cursor = |(source, place): (Source, Place)| LogCursor {
            instance: source.instance,
            stream: source.stream,
            inode: place.inode,
            offset: place.offset,
        };
        LogBatch {
            records: done.records,
            cursors: done.moved.into_iter().map(cursor).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::log::{Level, Stream};
    use crate::model::name::InstanceName;

    fn record() -> LogRecord {
        LogRecord {
            time: Wall::from_millis(0),
            instance: InstanceName::single("a"),
            run: None,
            stream: Stream::Stderr,
            level: Level::Error,
            line: b"x".to_vec(),
        }
    }

    #[test]
    fn fifty_records_or_five_seconds_or_the_end() {
        let start = Mono::from_nanos(1);
        let mut batcher = Batcher::default();
        assert!(!batcher.is_due(start, true), "nothing is no batch");
        batcher.push(record(), start);
        assert!(!batcher.is_due(start, false) && batcher.is_due(start, true));
        assert_eq!(batcher.deadline(), Some(start + limits::RECORD_EVERY));
        assert!(batcher.is_due(start + limits::RECORD_EVERY, false));
        for _ in 1..limits::RECORD_BATCH {
            assert!(!batcher.is_due(start, false));
            batcher.push(record(), start);
        }
        assert!(batcher.is_due(start, false));
        assert_eq!(batcher.take().records.len(), limits::RECORD_BATCH);
        assert!(!batcher.is_due(start, true));
    }

    #[test]
    fn a_cursor_goes_with_its_records_and_alone_only_after_a_long_way() {
        let source = Source {
            instance: InstanceName::single("a"),
            stream: Stream::Stdout,
        };
        let place = |offset| Place { inode: 7, offset };
        let mut batcher = Batcher::default();
        batcher.reached(&source, place(10), 10);
        batcher.reached(&source, place(20), 10);
        assert!(!batcher.is_due(Mono::default(), true));
        batcher.reached(&source, place(2 << 20), limits::CURSOR_BYTES);
        assert!(batcher.is_due(Mono::default(), false));
        let batch = batcher.take();
        assert_eq!((batch.cursors.len(), batch.cursors[0].offset), (1, 2 << 20));
    }
}
