//! Samples: one measurement of one instance's whole tree, or of the host.

use serde::Serialize;

use super::name::InstanceName;
use crate::clock::Wall;
use crate::ids::RunId;

/// One measurement of an instance's tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which instance.
    pub instance: InstanceName,
    /// Which run.
    pub run: RunId,
    /// When.
    pub time: Wall,
    /// The figures.
    pub figures: Figures,
}

/// The figures of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Share of one core in percent since the sample before; 100 is one core.
    pub cpu_percent: f64,
    /// Resident set, summed over the tree.
    pub memory_bytes: u64,
    /// Processes in the tree, the main one included.
    pub processes: u32,
    /// Threads of all of them.
    pub threads: u32,
    /// Open file descriptors of all of them.
    pub open_files: u32,
    /// Bytes read from storage per second since the sample before.
    pub read_bytes: u64,
    /// Bytes written to storage per second since the sample before.
    pub write_bytes: u64,
}

/// One measurement of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HostSample {
    /// Milliseconds since the Unix epoch are kept by [`Wall`]; zero before the first measurement.
    #[serde(skip)]
    pub time: Wall,
    /// Share of all cores in percent, 0 to 100.
    pub cpu_percent: f64,
    /// Physical memory.
    pub memory_total_bytes: u64,
    /// Physical memory in use.
    pub memory_used_bytes: u64,
    /// Swap in use.
    pub swap_used_bytes: u64,
    /// Load average over one minute.
    pub load_one: f64,
}
