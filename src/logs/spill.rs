//! Output kept in memory while the log disk takes nothing: bounded, in order, the oldest dropped and counted.
//! Pure: no I/O. A program's own output gives way first: the source that holds most loses its oldest lines.

use std::collections::{BTreeMap, VecDeque};

use super::segments::Source;
use crate::limits;

/// The ring.
#[derive(Debug)]
pub(super) struct Spill {
    max: usize,
    total: usize,
    held: BTreeMap<Source, VecDeque<u8>>,
    dropped: BTreeMap<Source, u64>,
}

impl Spill {
    /// A ring of `max` bytes for all sources together.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            total: 0,
            held: BTreeMap::new(),
            dropped: BTreeMap::new(),
        }
    }

    /// Adds bytes at the end of what `source` has here.
    pub(super) fn push(&mut self, source: &Source, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let queue = self.held.entry(source.clone()).or_default();
        queue.extend(bytes);
        self.total += bytes.len();
        while self.total > self.max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((source, queue)) = self.held.iter_mut().max_by_key(|(_, q)| q.len()) else {
            return;
        };
        let least = (self.total - self.max).min(queue.len());
        // To the end of the line, so that what is kept begins with a whole one. One without an end in sight is
        // cut: looking through all there is at each push would hold the pump, and the program with it.
        let from = least.saturating_sub(1);
        let until = (from + limits::LOG_LINE_BYTES).min(queue.len());
        let rest = queue.range(from..until).position(|b| *b == b'\n');
        let cut = rest.map_or(least, |more| least + more);
        queue.drain(..cut);
        self.total -= cut;
        *self.dropped.entry(source.clone()).or_default() += cut as u64;
        if queue.is_empty() {
            let source = source.clone();
            self.held.remove(&source);
        }
    }

    /// The oldest bytes of `source` in one piece; empty when there are none.
    pub(super) fn front(&self, source: &Source) -> &[u8] {
        self.held.get(source).map_or(&[], |q| {
            let (first, second) = q.as_slices();
            if first.is_empty() { second } else { first }
        })
    }

    /// Takes `count` bytes away that were written at last.
    pub(super) fn written(&mut self, source: &Source, count: usize) {
        let Some(queue) = self.held.get_mut(source) else {
            return;
        };
        let count = count.min(queue.len());
        queue.drain(..count);
        self.total -= count;
        if queue.is_empty() {
            self.held.remove(source);
        }
    }

    /// Whether nothing of `source` is kept here.
    pub(super) fn is_empty_of(&self, source: &Source) -> bool {
        !self.held.contains_key(source)
    }

    /// Everything is given up, and counted.
    pub(super) fn abandon(&mut self) {
        for (source, queue) in std::mem::take(&mut self.held) {
            *self.dropped.entry(source).or_default() += queue.len() as u64;
        }
        self.total = 0;
    }

    /// What was dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> BTreeMap<Source, u64> {
        std::mem::take(&mut self.dropped)
    }

    /// Whether anything was dropped since it was last taken.
    pub(super) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::log::Stream;
    use crate::model::name::InstanceName;

    fn source(name: &str) -> Source {
        Source {
            instance: InstanceName::single(name),
            stream: Stream::Stdout,
        }
    }

    #[test]
    fn the_loudest_loses_its_oldest_whole_lines_and_they_are_counted() {
        let (quiet, loud) = (source("quiet"), source("loud"));
        let mut spill = Spill::new(20);
        spill.push(&quiet, b"hello\n");
        for line in ["aaaa\n", "bbbb\n", "cccc\n"] {
            spill.push(&loud, line.as_bytes());
        }
        assert_eq!(spill.front(&quiet), b"hello\n");
        assert_eq!(spill.front(&loud), b"bbbb\ncccc\n");
        assert_eq!(spill.take_dropped(), BTreeMap::from([(loud.clone(), 5)]));
        assert!(!spill.has_dropped());
        spill.written(&loud, 5);
        assert_eq!(spill.front(&loud), b"cccc\n");
        spill.written(&loud, 5);
        assert!(spill.is_empty_of(&loud) && !spill.is_empty_of(&quiet));
        spill.abandon();
        assert_eq!(spill.take_dropped(), BTreeMap::from([(quiet, 6)]));
    }

    #[test]
    fn one_piece_larger_than_the_ring_keeps_its_end() {
        let only = source("only");
        let mut spill = Spill::new(4);
        spill.push(&only, b"0123456789");
        assert_eq!(spill.front(&only), b"6789");
        assert_eq!(spill.take_dropped()[&only], 6);
    }
}
