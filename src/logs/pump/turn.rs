//! Turning to another file when one is full or old: the index and then the file get their numbers, and what comes goes
//! into new ones. Only names change: nothing is copied, and a process killed in between has written each byte once.
//! Never removes or compresses a file.

use super::{Entry, Mark, Pump};
use crate::clock::{self, Mono, Wall};
use crate::ids::RunId;
use crate::limits;
use crate::logs::chain::{self, Rotated};
use crate::logs::index::Index;
use crate::logs::segments::{Source, stem};
use crate::model::rotation::Rotation;
use std::io;
use std::path::Path;

/// What is known of the file that is written.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When its first byte was written, as far as is known.
    since: Option<Wall>,
    /// It could not be put aside, and that is tried again then.
    retry_at: Option<Mono>,
}

impl Turn {
    /// Of the files as they are; a turn that was begun and not ended is ended.
    pub(super) fn begin(state_dir: &Path, source: &Source) -> Self {
        if let Err(e) = end_begun(state_dir, source) {
            log::warn!(
                "{}: a file of its output keeps its name: {e}",
                source.instance
            );
        }
        let first = Index::open(&source.index(state_dir)).ok();
        Self {
            since: first.and_then(|index| index.get(0)).map(|entry| entry.time),
            retry_at: None,
        }
    }

    fn is_due(&mut self, rule: &Rotation, len: u64, now: Wall) -> bool {
        let age = now.since(*self.since.get_or_insert(now));
        let is_old = rule.max_age.is_some_and(|most| age >= most);
        len >= rule.max_size || (is_old && len > 0)
    }
}

/// Only the index got its number: the supervisor was killed in between.
fn end_begun(state_dir: &Path, source: &Source) -> io::Result<()> {
    let rotated = chain::rotated(state_dir, source)?;
    let last = rotated.iter().map(|(said, _)| said.seq()).max();
    let Some(seq) = last else { return Ok(()) };
    let is_alone =
        (rotated.iter()).all(|(said, _)| said.seq() != seq || *said == Rotated::Index(seq));
    let segment = source.segment(state_dir);
    if is_alone && segment.exists() && !source.index(state_dir).exists() {
        let name = Rotated::Plain(seq).name(stem(source.stream));
        std::fs::rename(&segment, segment.with_file_name(name))?;
    }
    Ok(())
}

impl Pump {
    /// Turns to another file if that of `source`, now `len` long, is full or old.
    pub(super) fn turn(&mut self, source: &Source, len: u64) {
        let rule = self.keeping.rule(source.instance.program());
        let (now, wall) = (clock::mono(), clock::wall());
        let Some(flow) = self.flows.get_mut(source) else {
            return;
        };
        let is_early = flow.turn.retry_at.is_some_and(|at| at > now);
        if !flow.turn.is_due(&rule, len, wall) || is_early {
            return;
        }
        let is_near = len < rule.max_size.saturating_add(limits::LOG_TURN_SLACK);
        if is_near && !flow.segment.ends_line(len) {
            return;
        }
        match self.put_aside(source) {
            Ok(()) => {
                self.keeping.was_turned(source);
                // They look whether another file has its name.
                self.tell_readers(source, 0, false);
            }
            Err(e) => {
                log::warn!("{}: a file of its output goes on: {e}", source.instance);
                if let Some(flow) = self.flows.get_mut(source) {
                    flow.turn.retry_at = Some(now + limits::LOG_TURN_RETRY);
                }
            }
        }
    }

    fn put_aside(&mut self, source: &Source) -> io::Result<()> {
        let rotated = chain::rotated(&self.state_dir, source)?;
        let last = rotated.iter().map(|(said, _)| said.seq()).max();
        let seq = last.unwrap_or(0) + 1;
        let segment = source.segment(&self.state_dir);
        let named = |said: Rotated| segment.with_file_name(said.name(stem(source.stream)));
        let runs: Vec<RunId> = (self.pipes.values())
            .filter(|pipe| pipe.source == *source)
            .map(|pipe| pipe.id.run)
            .collect();
        let Some(flow) = self.flows.get_mut(source) else {
            return Ok(());
        };
        flow.index.put_aside(&named(Rotated::Index(seq)))?;
        flow.segment.put_aside(&named(Rotated::Plain(seq)))?;
        flow.turn = Turn::default();
        for run in runs {
            // Whose bytes the next ones are.
            let entry = Entry {
                time: clock::wall(),
                offset: 0,
                mark: Mark::Running,
                run,
            };
            flow.index.note(&entry, clock::mono());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_file_is_followed_by_another_at_its_size_or_its_age_and_a_clock_set_back_makes_none_old() {
        let rule = Rotation {
            max_size: 100,
            max_age: Some(Duration::from_secs(10)),
            ..Rotation::default()
        };
        let at = |seconds: i64| Wall::from_millis(seconds * 1_000);
        let mut turn = Turn::default();
        assert!(!turn.is_due(&rule, 99, at(50)));
        assert!(turn.is_due(&rule, 100, at(50)));
        assert!(!turn.is_due(&rule, 1, at(59)));
        assert!(turn.is_due(&rule, 1, at(60)));
        assert!(!turn.is_due(&rule, 1, at(1)));
    }
}
