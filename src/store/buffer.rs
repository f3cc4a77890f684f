//! A bounded queue of rows written behind: due when enough wait or the oldest has waited long enough. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;

/// When a [`Buffer`] is due, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// So many rows are written at once.
    pub(super) batch: usize,
    /// No row waits longer.
    pub(super) wait: Duration,
    /// So many rows wait at most; the oldest are dropped.
    pub(super) max: usize,
    /// A transaction takes items until it has so many rows.
    pub(super) commit: usize,
}

/// Items of one or more rows, in order.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    policy: Policy,
    rows_of: fn(&T) -> usize,
    items: VecDeque<T>,
    rows: usize,
    since: Option<Mono>,
    dropped: usize,
}

impl<T> Buffer<T> {
    pub(super) fn new(policy: Policy, rows_of: fn(&T) -> usize) -> Self {
        Self {
            policy,
            rows_of,
            items: VecDeque::new(),
            rows: 0,
            since: None,
            dropped: 0,
        }
    }

    /// Adds an item, and drops the oldest ones when too many rows wait.
    pub(super) fn push(&mut self, item: T, now: Mono) {
        self.rows += (self.rows_of)(&item);
        self.items.push_back(item);
        self.since.get_or_insert(now);
        self.shed();
    }

    fn shed(&mut self) {
        while self.rows > self.policy.max {
            let Some(oldest) = self.items.pop_front() else {
                return;
            };
            let rows = (self.rows_of)(&oldest);
            self.rows -= rows;
            self.dropped += rows;
        }
    }

    /// Rows that wait.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether nothing waits, not even an item without rows.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Rows dropped since this was asked last.
    pub(super) fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// When to write; `None` while nothing waits.
    pub(super) fn due(&self) -> Option<Mono> {
        let since = self.since?;
        if self.rows >= self.policy.batch {
            return Some(since);
        }
        Some(since + self.policy.wait)
    }

    /// The items for one transaction, oldest first.
    pub(super) fn take(&mut self, now: Mono) -> Vec<T> {
        let mut taken = Vec::new();
        let mut rows = 0;
        while rows < self.policy.commit {
            let Some(item) = self.items.pop_front() else {
                break;
            };
            rows += (self.rows_of)(&item);
            taken.push(item);
        }
        self.rows -= rows;
        self.since = (!self.items.is_empty()).then_some(now);
        taken
    }

    /// Puts back what could not be written, in front.
    pub(super) fn put_back(&mut self, items: Vec<T>, now: Mono) {
        for item in items.into_iter().rev() {
            self.rows += (self.rows_of)(&item);
            self.items.push_front(item);
            self.since.get_or_insert(now);
        }
        self.shed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        batch: 50,
        wait: Duration::from_secs(5),
        max: 100,
        commit: 60,
    };

    fn at(seconds: u32) -> Mono {
        Mono::default() + Duration::from_secs(1) * seconds
    }

    fn buffer(items: &[usize]) -> Buffer<usize> {
        let mut buffer = Buffer::new(POLICY, |n| *n);
        for item in items {
            buffer.push(*item, at(1));
        }
        buffer
    }

    #[test]
    fn rows_are_due_at_fifty_or_after_five_seconds() {
        assert_eq!(buffer(&[]).due(), None);
        assert_eq!(buffer(&[20, 29]).due(), Some(at(6)));
        assert_eq!(buffer(&[20, 30]).due(), Some(at(1)));
    }

    #[test]
    fn a_transaction_takes_whole_items_and_what_fails_goes_back_in_front() {
        let mut buffer = buffer(&[40, 30, 20]);
        assert_eq!(buffer.take(at(2)), [40, 30]);
        assert_eq!((buffer.rows(), buffer.due()), (20, Some(at(7))));
        buffer.put_back(vec![40, 30], at(3));
        assert_eq!(buffer.take(at(4)), [40, 30]);
        assert_eq!(buffer.take(at(4)), [20]);
        assert_eq!((buffer.rows(), buffer.due()), (0, None));
        buffer.put_back(vec![], at(4));
        assert_eq!(buffer.due(), None, "nothing failed, nothing waits");
    }

    #[test]
    fn the_oldest_rows_are_dropped_and_counted_when_too_many_wait() {
        let mut buffer = buffer(&[40, 30, 20, 20]);
        assert_eq!(buffer.rows(), 70);
        assert_eq!(buffer.take_dropped(), 40);
        assert_eq!(buffer.take_dropped(), 0);
        buffer.put_back(vec![40], at(2));
        assert_eq!((buffer.rows(), buffer.take_dropped()), (70, 40));
    }
}
