//! The figures of the host, by sysinfo. Owned by one sampling thread; nobody else asks the host.

use sysinfo::System;

use crate::clock::Wall;
use crate::model::sample::HostSample;

/// Measures the host again and again; processor shares are those since the measurement before.
#[derive(Debug)]
pub struct Host {
    system: System,
}

impl Host {
    /// Ready to measure. The first measurement's processor share is zero or since boot.
    pub fn new() -> Result<Self, String> {
        let mut system = System::new().map_err(|e| e.to_string())?;
        system.refresh_cpu_usage();
        Ok(Self { system })
    }

    /// One measurement, dated `time`.
    pub fn sample(&mut self, time: Wall) -> HostSample {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        HostSample {
            time,
            cpu_percent: f64::from(self.system.global_cpu_usage()),
            memory_total_bytes: self.system.total_memory(),
            memory_used_bytes: self.system.used_memory(),
            swap_used_bytes: self.system.used_swap(),
            load_one: System::load_average().map_or(0.0, |load| load.one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_memory_and_uses_some_of_it() {
        let mut host = Host::new().expect("a system sysinfo knows");
        let sample = host.sample(Wall::from_millis(5));
        assert_eq!(sample.time, Wall::from_millis(5));
        assert!(sample.memory_used_bytes > 0, "{sample:?}");
        assert!(sample.memory_used_bytes <= sample.memory_total_bytes);
        assert!((0.0..=100.1).contains(&sample.cpu_percent), "{sample:?}");
        assert!(sample.load_one >= 0.0);
    }
}
