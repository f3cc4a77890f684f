//! What the machine has for us: room on the disk, open files, a clock that is right.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::{Finding, Scene};
use crate::clock::{Wall, wall};
use crate::limits;
use crate::procfs;
use crate::store::EventFilter;
use crate::store::Store;
use crate::text;

/// Room for the history and the output.
pub(super) fn disk(scene: &Scene) -> Option<Finding> {
    const CHECK: &str = "disk";
    let folder = scene.state_dir.as_ref()?;
    let there: &Path = folder.ancestors().find(|path| path.is_dir())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let percent = (stat.f_bavail * 100)
        .checked_div(stat.f_blocks)
        .unwrap_or(100);
    let nodes = (stat.f_favail * 100)
        .checked_div(stat.f_files)
        .unwrap_or(100);
    let what = format!(
        "{} ({percent} %) are free where {} is",
        text::size(free),
        folder.display()
    );
    if free < limits::DOCTOR_DISK_BYTES || percent < limits::DOCTOR_DISK_PERCENT {
        let advice = "make room, or move `supervisor.state_dir`; with a full disk programs run on, but their output is dropped";
        return Some(Finding::wrong(CHECK, what, advice));
    }
    if nodes < limits::DOCTOR_DISK_PERCENT {
        let what = format!("{nodes} % of the files that the disk can have are left");
        return Some(Finding::wrong(CHECK, what, "remove small files there"));
    }
    Some(Finding::well(CHECK, what))
}

/// Whether there may be as many open files as the programs need.
pub(super) fn files(scene: &Scene) -> Option<Finding> {
    const CHECK: &str = "open files";
    let settings = scene.settings.as_ref()?;
    let instances: u64 = settings
        .programs
        .iter()
        .map(|p| u64::from(p.instances))
        .sum();
    let needed = limits::OPEN_FILES_BASE + limits::OPEN_FILES_PER_INSTANCE * instances;
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let what = match most {
        u64::MAX => format!("{needed} may be needed, and there is no limit"),
        most => format!("{needed} may be needed, {most} are allowed"),
    };
    if needed <= most {
        return Some(Finding::well(CHECK, what));
    }
    Some(Finding::wrong(
        CHECK,
        what,
        "raise the hard limit (`ulimit -Hn`, or LimitNOFILE in the unit)",
    ))
}

/// Whether the clock goes on from where the history ends, and somebody sets it.
pub(super) fn clock(scene: &Scene) -> Finding {
    const CHECK: &str = "clock";
    if let (Some(last), now) = (last_event(scene), wall())
        && last.millis() > now.millis().saturating_add(limits::DOCTOR_CLOCK_AHEAD_MS)
    {
        let what = format!("it is {now}, but the last event is of {last}");
        return Finding::wrong(
            CHECK,
            what,
            "set the clock (`timedatectl`); times of events and schedules are wrong meanwhile",
        );
    }
    let names: Vec<Vec<u8>> = procfs::scan()
        .unwrap_or_default()
        .iter()
        .filter_map(|p| std::fs::read(format!("/proc/{}/comm", p.pid)).ok())
        .collect();
    let runs = |wanted: &[&str]| {
        names.iter().any(|name| {
            wanted
                .iter()
                .any(|w| name.strip_suffix(b"\n") == Some(w.as_bytes()))
        })
    };
    if runs(&["chronyd", "ntpd", "openntpd"]) {
        return Finding::well(CHECK, "a time service runs");
    }
    let is_synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    match (runs(&["systemd-timesyn"]), is_synchronised) {
        (true, true) => Finding::well(CHECK, "it is synchronised"),
        (true, false) => {
            let what = "it is not synchronised yet";
            Finding::wrong(CHECK, what, "`timedatectl timesync-status` says why")
        }
        // In a container the machine around it sets the clock.
        (false, _) => Finding::well(
            CHECK,
            "it goes on from the history; nothing that sets it is seen from here",
        ),
    }
}

fn last_event(scene: &Scene) -> Option<Wall> {
    let store = Store::open_read_only(scene.state_dir.as_ref()?).ok()?;
    let filter = EventFilter {
        limit: Some(1),
        is_newest: true,
        ..EventFilter::default()
    };
    let events = store.events(&filter).ok()?;
    events.last().map(|event| event.time)
}
