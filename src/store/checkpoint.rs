//! The checkpoint's batching, pure: which values wait, when they are written, in what batches, and what a
//! failed write puts back. Never writes anything itself.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Mono;
use crate::limits;

/// Values for one transaction, in the order they came.
pub(super) type Batch = Vec<(String, String)>;

/// Values that wait for the next checkpoint. A value put again replaces the one that waits, in its place.
#[derive(Debug)]
pub(super) struct CheckpointBuffer {
    interval: Duration,
    batch: usize,
    order: VecDeque<String>,
    values: HashMap<String, String>,
    last: Mono,
    dropped: usize,
}

impl CheckpointBuffer {
    /// Writes every `interval` in batches of `batch`; the first time an interval after `now`.
    pub(super) fn new(interval: Duration, batch: usize, now: Mono) -> Self {
        Self {
            interval,
            batch: batch.max(1),
            order: VecDeque::new(),
            values: HashMap::new(),
            last: now,
            dropped: 0,
        }
    }

    /// Adds a value; the newest of a key wins.
    pub(super) fn put(&mut self, key: String, value: String) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        self.shed();
    }

    fn shed(&mut self) {
        while self.order.len() > limits::CHECKPOINT_KEYS_MAX {
            if let Some(key) = self.order.pop_front() {
                self.values.remove(&key);
                self.dropped += 1;
            }
        }
    }

    /// Values that wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Values dropped since this was asked last.
    pub(super) fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// When to write: at once when ten batches wait, else at the end of the interval, which also notes that
    /// the supervisor lives when nothing waits.
    pub(super) fn due(&self) -> Mono {
        if self.len() >= self.batch.saturating_mul(limits::CHECKPOINT_BATCHES) {
            return Mono::default();
        }
        self.last + self.interval
    }

    /// At most ten batches, oldest first. Empty when only the sign of life is due.
    pub(super) fn take(&mut self, now: Mono) -> VecDeque<Batch> {
        self.last = now;
        let mut batches = VecDeque::new();
        while batches.len() < limits::CHECKPOINT_BATCHES && !self.order.is_empty() {
            let size = self.batch.min(self.order.len());
            let batch = self
                .order
                .drain(..size)
                .filter_map(|key| self.values.remove_entry(&key))
                .collect();
            batches.push_back(batch);
        }
        batches
    }

    /// Puts what could not be written back in front, in order. A value put since then is newer and stays.
    pub(super) fn put_back(&mut self, batches: VecDeque<Batch>) {
        let mut front = VecDeque::new();
        let mut newer = HashMap::new();
        for (key, value) in batches.into_iter().flatten() {
            match self.values.remove(&key) {
                Some(value) => newer.insert(key.clone(), value),
                None => newer.insert(key.clone(), value),
            };
            front.push_back(key);
        }
        self.order.retain(|key| !newer.contains_key(key));
        front.append(&mut self.order);
        self.order = front;
        self.values.extend(newer);
        self.shed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Mono {
        Mono::default() + SECOND * seconds
    }

    fn buffer() -> CheckpointBuffer {
        CheckpointBuffer::new(5 * SECOND, 3, at(100))
    }

    fn put(buffer: &mut CheckpointBuffer, keys: std::ops::Range<u32>, value: &str) {
        for key in keys {
            buffer.put(key.to_string(), value.to_owned());
        }
    }

    fn flat(batches: VecDeque<Batch>) -> Vec<String> {
        batches
            .into_iter()
            .flatten()
            .map(|(k, v)| k + "=" + &v)
            .collect()
    }

    #[test]
    fn values_are_written_every_interval_and_at_once_when_ten_batches_wait() {
        let mut buffer = buffer();
        put(&mut buffer, 0..29, "a");
        assert_eq!(buffer.due(), at(105));
        put(&mut buffer, 29..30, "a");
        assert!(buffer.due() <= at(100), "ten batches of three wait");
        put(&mut buffer, 30..35, "a");
        let batches = buffer.take(at(101));
        assert_eq!(batches.len(), 10, "at most ten a time");
        assert!(batches.iter().all(|b| b.len() == 3));
        assert_eq!(buffer.len(), 5);
        assert_eq!(buffer.due(), at(106));
    }

    #[test]
    fn a_key_put_twice_waits_once_with_its_newest_value() {
        let mut buffer = buffer();
        put(&mut buffer, 0..2, "old");
        put(&mut buffer, 0..1, "new");
        assert_eq!(flat(buffer.take(at(101))), ["0=new", "1=old"]);
    }

    #[test]
    fn what_failed_goes_back_in_front_in_order_and_newer_values_win() {
        let mut buffer = buffer();
        put(&mut buffer, 0..6, "old");
        let mut batches = buffer.take(at(101));
        batches.pop_front();
        put(&mut buffer, 8..9, "later");
        put(&mut buffer, 4..5, "newer");
        put(&mut buffer, 0..1, "again");
        buffer.put_back(batches);
        assert_eq!(
            flat(buffer.take(at(102))),
            ["3=old", "4=newer", "5=old", "8=later", "0=again"]
        );
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn every_history_of_puts_takes_and_failures_keeps_the_newest_value_of_every_key() {
        // Four steps of: put key 0..2, take and lose nothing, take and fail: every sequence.
        for code in 0..4_usize.pow(7) {
            let mut buffer = CheckpointBuffer::new(SECOND, 1, at(0));
            let (mut written, mut wanted) = (HashMap::new(), HashMap::new());
            for step in 0..7_u32 {
                match code / 4_usize.pow(step) % 4 {
                    key @ 0..=1 => {
                        buffer.put(key.to_string(), step.to_string());
                        wanted.insert(key.to_string(), step.to_string());
                    }
                    2 => written.extend(buffer.take(at(step)).into_iter().flatten()),
                    _ => {
                        let mut taken = buffer.take(at(step));
                        written.extend(taken.pop_front().into_iter().flatten());
                        buffer.put_back(taken);
                    }
                }
            }
            written.extend(buffer.take(at(9)).into_iter().flatten());
            assert_eq!(written, wanted, "history {code}");
        }
    }

    #[test]
    fn too_many_keys_drop_the_oldest_and_are_counted() {
        let mut buffer = buffer();
        let limit = u32::try_from(limits::CHECKPOINT_KEYS_MAX).expect("it fits");
        put(&mut buffer, 0..limit + 2, "a");
        assert_eq!(buffer.len(), limits::CHECKPOINT_KEYS_MAX);
        assert_eq!(buffer.take_dropped(), 2);
        assert_eq!(buffer.take_dropped(), 0);
    }
}
