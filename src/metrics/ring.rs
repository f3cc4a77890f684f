//! The latest samples in memory: a ring an instance, the peak of each run, the host. Bounded in number and
//! so in bytes. It measures nothing and writes nothing down.

use std::collections::{HashMap, VecDeque};

use parking_lot::RwLock;

use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::model::name::InstanceName;
use crate::model::sample::{Figures, HostSample, Sample};

/// A sample without the name, which the ring has once.
#[derive(Clone, Copy, Debug)]
struct Point {
    run: RunId,
    time: Wall,
    figures: Figures,
}

// What `limits::SAMPLE_RING` promises.
const _: () = assert!(size_of::<Point>() <= 80);

#[derive(Debug)]
struct Ring {
    /// The run that is watched, or was last; samples of any other come too late.
    run: RunId,
    is_watched: bool,
    points: VecDeque<Point>,
}

#[derive(Debug, Default)]
struct Rings {
    by_instance: HashMap<InstanceName, Ring>,
    /// Instances nobody watches, the oldest first; some may be watched again.
    unwatched: VecDeque<InstanceName>,
    /// Bytes of the tree at its largest.
    peaks: HashMap<RunId, u64>,
    /// Runs that have ended and still have a peak, the oldest first.
    ended: VecDeque<RunId>,
    host: HostSample,
}

/// The samples everybody may look at. One lock, held for copying only.
#[derive(Debug, Default)]
pub struct Memory {
    rings: RwLock<Rings>,
}

/// How much [`Memory`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Instances with a ring.
    pub rings: usize,
    /// Runs with a peak.
    pub peaks: usize,
}

impl Memory {
    /// From now on samples of `instance` are those of `run`.
    pub fn begin(&self, instance: &InstanceName, run: RunId) {
        let mut rings = self.rings.write();
        let ring = rings
            .by_instance
            .entry(instance.clone())
            .or_insert_with(|| Ring {
                run,
                is_watched: true,
                points: VecDeque::new(),
            });
        let before = std::mem::replace(&mut ring.run, run);
        let was_watched = std::mem::replace(&mut ring.is_watched, true);
        if was_watched && before != run {
            rings.end_run(before);
        }
        rings.unwatched.retain(|name| name != instance);
    }

    /// Nobody watches `run` of `instance` any more. Its samples and its peak stay for a while.
    pub fn end(&self, instance: &InstanceName, run: RunId) {
        let mut rings = self.rings.write();
        match rings.by_instance.get_mut(instance) {
            Some(ring) if ring.run == run && ring.is_watched => ring.is_watched = false,
            _ => return,
        }
        rings.end_run(run);
        rings.unwatched.push_back(instance.clone());
        if rings.unwatched.len() > limits::SAMPLE_RINGS_KEPT
            && let Some(oldest) = rings.unwatched.pop_front()
        {
            rings.by_instance.remove(&oldest);
        }
    }

    /// Drops what is kept of an instance that left the configuration. Peaks of its runs stay for a while.
    pub fn forget(&self, instance: &InstanceName) {
        let mut rings = self.rings.write();
        if let Some(ring) = rings.by_instance.remove(instance)
            && ring.is_watched
        {
            rings.end_run(ring.run);
        }
        rings.unwatched.retain(|name| name != instance);
    }

    /// Takes one round of samples in. Samples of a run that was let go of meanwhile are passed over.
    pub fn publish(&self, samples: &[Sample], host: Option<HostSample>) {
        let mut rings = self.rings.write();
        for sample in samples {
            rings.push(sample);
        }
        if let Some(host) = host {
            rings.host = host;
        }
    }

    /// The latest sample of an instance.
    pub fn latest(&self, instance: &InstanceName) -> Option<Sample> {
        let rings = self.rings.read();
        let point = rings.by_instance.get(instance)?.points.back()?;
        Some(point.sample(instance))
    }

    /// The samples kept of an instance, the oldest first.
    pub fn ring(&self, instance: &InstanceName) -> Vec<Sample> {
        let rings = self.rings.read();
        let points = rings.by_instance.get(instance).map(|ring| &ring.points);
        points
            .into_iter()
            .flatten()
            .map(|p| p.sample(instance))
            .collect()
    }

    /// The most memory the tree of `run` had in any sample, in bytes.
    pub fn peak(&self, run: RunId) -> Option<u64> {
        self.rings.read().peaks.get(&run).copied()
    }

    /// The latest measurement of the host.
    pub fn host(&self) -> HostSample {
        self.rings.read().host
    }

    /// How much is held.
    pub fn held(&self) -> Held {
        let rings = self.rings.read();
        Held {
            rings: rings.by_instance.len(),
            peaks: rings.peaks.len(),
        }
    }
}

impl Point {
    fn sample(&self, instance: &InstanceName) -> Sample {
        Sample {
            instance: instance.clone(),
            run: self.run,
            time: self.time,
            figures: self.figures,
        }
    }
}

impl Rings {
    fn push(&mut self, sample: &Sample) {
        let Some(ring) = self.by_instance.get_mut(&sample.instance) else {
            return;
        };
        if ring.run != sample.run {
            return;
        }
        if ring.points.len() == limits::SAMPLE_RING {
            ring.points.pop_front();
        }
        ring.points.push_back(Point {
            run: sample.run,
            time: sample.time,
            figures: sample.figures,
        });
        // A run that was let go of has its peak already, or is too old to get one.
        if ring.is_watched {
            let peak = self.peaks.entry(sample.run).or_default();
            *peak = sample.figures.memory_bytes.max(*peak);
        }
    }

    fn end_run(&mut self, run: RunId) {
        if !self.peaks.contains_key(&run) {
            return;
        }
        self.ended.push_back(run);
        if self.ended.len() > limits::SAMPLE_PEAKS_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.peaks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(instance: &InstanceName, run: RunId, memory_bytes: u64) -> Sample {
        Sample {
            instance: instance.clone(),
            run,
            time: Wall::from_millis(0),
            figures: Figures {
                memory_bytes,
                ..Figures::default()
            },
        }
    }

    #[test]
    fn a_ring_keeps_the_latest_and_the_peak_outlives_the_run() {
        let memory = Memory::default();
        let (web, run) = (InstanceName::single("web"), RunId::new());
        memory.begin(&web, run);
        let count = u64::try_from(limits::SAMPLE_RING).expect("small") + 10;
        for bytes in 0..count {
            memory.publish(&[sample(&web, run, 1_000 - bytes)], None);
        }
        memory.end(&web, run);
        let ring = memory.ring(&web);
        assert_eq!(ring.len(), limits::SAMPLE_RING);
        assert_eq!(ring[0].figures.memory_bytes, 1_000 - 10);
        assert_eq!(memory.latest(&web), ring.last().cloned());
        assert_eq!(memory.peak(run), Some(1_000));
        assert_eq!(memory.peak(RunId::new()), None);
    }

    #[test]
    fn a_late_sample_of_the_run_before_changes_nothing() {
        let memory = Memory::default();
        let (web, first, second) = (InstanceName::single("web"), RunId::new(), RunId::new());
        memory.begin(&web, first);
        memory.publish(&[sample(&web, first, 10)], None);
        memory.begin(&web, second);
        memory.publish(&[sample(&web, first, 99)], None);
        memory.end(&web, first);
        memory.publish(&[sample(&web, second, 20)], None);
        assert_eq!(memory.peak(first), Some(10));
        assert_eq!(memory.peak(second), Some(20));
        assert_eq!(memory.ring(&web).len(), 2, "the run before is part of it");
    }

    #[test]
    fn what_has_ended_is_bounded_and_the_oldest_goes_first() {
        let memory = Memory::default();
        let runs: Vec<RunId> = (0..2_000).map(|_| RunId::new()).collect();
        for (i, run) in runs.iter().enumerate() {
            let name = InstanceName::single(format!("p{i}"));
            memory.begin(&name, *run);
            memory.publish(&[sample(&name, *run, 1)], None);
            memory.end(&name, *run);
        }
        let wanted = Held {
            rings: limits::SAMPLE_RINGS_KEPT,
            peaks: limits::SAMPLE_PEAKS_KEPT,
        };
        assert_eq!(memory.held(), wanted);
        assert_eq!(memory.peak(runs[0]), None);
        assert_eq!(memory.peak(runs[1_999]), Some(1));
        memory.forget(&InstanceName::single("p1999"));
        assert_eq!(memory.held().rings, limits::SAMPLE_RINGS_KEPT - 1);
        assert_eq!(memory.peak(runs[1_999]), Some(1));
    }
}
