//! What the journal adds to the end of a run, joined from those who know it: its last lines, its peak of memory, and
//! what a crash leaves to be found. Owns what programs were given that names their ports.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::changes::{Changes, Earlier};
use crate::ids::RunId;
use crate::journal::Enrich;
use crate::journal::evidence::{Evidence, HintsOf, OutOfMemory, Owner};
use crate::journal::port::{self, Hints};
use crate::limits;
use crate::logs::{Logs, PipeId};
use crate::metrics::Metrics;
use crate::model::clues::Usage;
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::sample::Sample;
use crate::procfs;
use crate::supervise::board::Board;

/// Those who know something of a run that ended.
pub(super) struct Witnesses {
    pub logs: Logs,
    pub metrics: Arc<Metrics>,
    pub memory: OutOfMemory,
    pub board: Arc<Board>,
    pub hints: ProgramHints,
    pub earlier: Earlier,
}

/// Adds to the end of a run what supervision does not know.
pub(super) fn enrich(witnesses: Witnesses, state_dir: PathBuf) -> Enrich {
    let Witnesses {
        logs,
        metrics,
        memory,
        board,
        hints,
        earlier,
    } = witnesses;
    let evidence = Evidence::new(memory, owner(board, state_dir), hints.lookup());
    // One thread calls; the lock is never waited for.
    let changes = Mutex::new(Changes::after(earlier));
    Box::new(move |event: &mut Event| {
        let spec = event
            .instance
            .as_ref()
            .and_then(|i| hints.spec(i.program()));
        changes.lock().note(event, spec);
        let is_by_itself = match event.kind {
            EventKind::ProgramCrashed | EventKind::ProgramExited => true,
            // Of a run whose end nobody saw.
            EventKind::ProgramAdopted => event.facts.exit.is_some(),
            _ => false,
        };
        let is_end = is_by_itself || event.kind == EventKind::ProgramStopped;
        let (Some(instance), Some(run), true) = (&event.instance, event.run, is_end) else {
            return;
        };
        event.facts.peak_memory_bytes = metrics.peak(run);
        // What a stopped one said last can still be read from its files.
        if is_by_itself {
            event.facts.usage = usage(&metrics.ring(instance), run);
            event.facts.log_tail = logs.tail(instance, run, limits::EVENT_TAIL_LINES);
        }
        evidence.add(event);
    })
}

/// The latest samples of `run` among `samples`; none when it was not measured.
fn usage(samples: &[Sample], run: RunId) -> Option<Usage> {
    let of_run: Vec<&Sample> = samples.iter().filter(|sample| sample.run == run).collect();
    let of_run = &of_run[of_run.len().saturating_sub(limits::EVENT_SAMPLES)..];
    let (first, last) = (of_run.first()?, of_run.last()?);
    let millis = last.time.millis().saturating_sub(first.time.millis());
    let over = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let tenths = |percent: f64| (percent * 10.0).round() / 10.0;
    let figures = || of_run.iter().map(|sample| sample.figures);
    Some(Usage {
        over_s: over.as_secs_f64(),
        cpu_percent: figures().map(|f| tenths(f.cpu_percent)).collect(),
        memory_bytes: figures().map(|f| f.memory_bytes).collect(),
    })
}

/// Whose a process is: by its mark, or by descent for one that wrote over its environment.
fn owner(board: Arc<Board>, state_dir: PathBuf) -> Owner {
    Box::new(move |pid| by_mark(pid, &state_dir).or_else(|| by_descent(pid, &board)))
}

fn by_mark(pid: u32, state_dir: &Path) -> Option<InstanceName> {
    let path = PathBuf::from(procfs::environ_mark(pid, procfs::OUTPUT_MARK)?);
    PipeId::of_path(state_dir, &path).map(|pipe| pipe.instance)
}

fn by_descent(pid: u32, board: &Board) -> Option<InstanceName> {
    let snapshot = board.read();
    let of_pid = |pid: u32| {
        let mut views = snapshot.instances.iter();
        views
            .find(|view| view.pid == Some(pid))
            .map(|view| view.name.clone())
    };
    let mut at = pid;
    for _ in 0..limits::DESCENT_STEPS {
        let stat = procfs::read_stat(at).ok().flatten()?;
        if let Some(name) = of_pid(at).or_else(|| of_pid(stat.pgrp)) {
            return Some(name);
        }
        at = stat.ppid;
    }
    None
}

/// Each program as it is configured now, and what of that may name its port; clones share it.
#[derive(Clone, Default)]
pub(super) struct ProgramHints(Arc<RwLock<HashMap<Arc<str>, Given>>>);

struct Given {
    spec: Arc<ProgramSpec>,
    hints: Hints,
}

impl ProgramHints {
    /// What `programs` were given.
    pub fn of(programs: &[Arc<ProgramSpec>]) -> Self {
        let this = Self::default();
        this.set(programs);
        this
    }

    /// Takes up what `programs` were given.
    pub fn set(&self, programs: &[Arc<ProgramSpec>]) {
        let given = programs.iter();
        let given = given
            .map(|program| (Arc::clone(&program.name), given_to(program)))
            .collect();
        *self.0.write() = given;
    }

    fn spec(&self, program: &str) -> Option<Arc<ProgramSpec>> {
        let programs = self.0.read();
        programs.get(program).map(|given| Arc::clone(&given.spec))
    }

    fn lookup(&self) -> HintsOf {
        let this = self.clone();
        Box::new(move |instance| {
            let programs = this.0.read();
            let given = programs.get(instance.program());
            given.map(|given| given.hints.clone()).unwrap_or_default()
        })
    }
}

fn given_to(program: &Arc<ProgramSpec>) -> Given {
    let number = |(name, value): (&OsStr, &OsStr)| port::variable(name.to_str()?, value.to_str()?);
    Given {
        hints: Hints {
            command: program.command.clone(),
            variables: program.environment.iter().filter_map(number).collect(),
        },
        spec: Arc::clone(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::sample::Figures;

    fn sample(run: RunId, second: u32) -> Sample {
        Sample {
            instance: InstanceName::single("web"),
            run,
            time: Wall::from_millis(i64::from(second) * 1_000),
            figures: Figures {
                cpu_percent: f64::from(second) + 0.04,
                memory_bytes: u64::from(second),
                ..Figures::default()
            },
        }
    }

    #[test]
    fn only_the_latest_samples_of_the_run_itself_go_with_its_end() {
        let (before, run) = (RunId::new(), RunId::new());
        let mut samples: Vec<Sample> = (0..5).map(|s| sample(before, s)).collect();
        assert_eq!(usage(&samples, run), None);
        samples.extend((5..60).map(|s| sample(run, s)));
        let found = usage(&samples, run).expect("it was measured");
        assert_eq!(found.memory_bytes, (40..60).collect::<Vec<u64>>());
        assert_eq!(found.cpu_percent.len(), limits::EVENT_SAMPLES);
        assert!((found.cpu_percent[0] - 40.0).abs() < 1e-9 && (found.over_s - 19.0).abs() < 1e-9);
    }
}
