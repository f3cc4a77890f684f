//! Processes: those that nobody supervises any more, and those that have a port that a program of ours needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Finding, Scene};
use crate::clock;
use crate::limits;
use crate::model::health::{Aspect, Check};
use crate::model::program::ProgramSpec;
use crate::procfs::{self, ports};

/// Processes with our mark that belong to no run of a supervisor.
pub(super) fn orphans(scene: &Scene) -> Vec<Finding> {
    const CHECK: &str = "orphans";
    let Some(state_dir) = &scene.state_dir else {
        return Vec::new();
    };
    let supervised: BTreeSet<String> = scene
        .status
        .iter()
        .flat_map(|s| &s.programs)
        .filter_map(|p| p.run.as_ref().map(ToString::to_string))
        .collect();
    let mut of_runs: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
    // A tick of the kernel's clock more, or a run that was started meanwhile would be nobody's.
    let meanwhile = clock::mono().since(scene.asked_at) + limits::DOCTOR_YOUNG;
    let processes = procfs::scan().unwrap_or_default();
    let is_old =
        |p: &&procfs::ProcStat| scene.status.is_none() || procfs::age(p.start_ticks) > meanwhile;
    for process in processes.iter().filter(is_old) {
        let of = |key: &str| procfs::environ_mark(process.pid, key);
        let Some(run) = of(procfs::RUN_MARK).filter(|run| !supervised.contains(run)) else {
            continue;
        };
        let is_ours =
            of(procfs::OUTPUT_MARK).is_some_and(|output| Path::new(&output).starts_with(state_dir));
        if is_ours {
            let name = of("JIKIMI_PROGRAM").unwrap_or_else(|| "a program".to_owned());
            of_runs.entry((name, run)).or_default().push(process.pid);
        }
    }
    if of_runs.is_empty() {
        return vec![Finding::well(CHECK, "nothing of earlier runs is left")];
    }
    let advice = if scene.status.is_some() {
        "end them with `kill`, if nobody needs them; no supervisor will"
    } else {
        "`jikimi run` takes them over"
    };
    let lines = of_runs.into_iter().map(|((name, _), pids)| {
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        let what = format!("{name} runs without a supervisor (pid {})", pids.join(", "));
        Finding::wrong(CHECK, what, advice)
    });
    lines.collect()
}

/// Ports that probes of programs which do not run ask, and that somebody else has.
pub(super) fn ports(scene: &Scene) -> Vec<Finding> {
    const CHECK: &str = "ports";
    let Some(settings) = &scene.settings else {
        return Vec::new();
    };
    let runs = |spec: &ProgramSpec| {
        let mut views = scene.status.iter().flat_map(|s| &s.programs);
        views.any(|p| p.name.program() == &spec.name && p.pid.is_some())
    };
    let mut found = Vec::new();
    let mut looked = 0;
    for spec in settings.programs.iter().filter(|spec| !runs(spec)) {
        for port in ports_of(spec) {
            looked += 1;
            let Ok(bound) = ports::bound(&[port]) else {
                continue;
            };
            let inodes: Vec<u64> = bound
                .iter()
                .filter(|b| b.is_listening)
                .map(|b| b.inode)
                .collect();
            if inodes.is_empty() {
                continue;
            }
            let until = clock::mono() + limits::DOCTOR_PORT_LOOK;
            let who = ports::holders(&inodes, until)
                .first
                .map_or("another user's process".to_owned(), |h| {
                    format!("{} (pid {})", String::from_utf8_lossy(&h.name), h.pid)
                });
            found.push(Finding::wrong(
                CHECK,
                format!(
                    "port {port}, which {} is asked on, is taken by {who}",
                    spec.name
                ),
                "end that process, or let one of them use another port",
            ));
        }
    }
    if found.is_empty() {
        let looked = super::super::run::count(looked, "port");
        found.push(Finding::well(
            CHECK,
            format!("nobody else has one ({looked} looked at)"),
        ));
    }
    found
}

/// On this machine, by the probes.
fn ports_of(spec: &ProgramSpec) -> BTreeSet<u16> {
    let probes = [Aspect::Readiness, Aspect::Liveness]
        .into_iter()
        .filter_map(|a| spec.health.probe(a));
    probes.filter_map(|probe| port_of(&probe.check)).collect()
}

fn port_of(check: &Check) -> Option<u16> {
    let is_here = |host: &str| {
        matches!(
            host,
            "127.0.0.1" | "localhost" | "::1" | "[::1]" | "0.0.0.0"
        )
    };
    match check {
        Check::Tcp { host, port } => is_here(host).then_some(*port),
        Check::Http { url, .. } => {
            let (_, rest) = url.expose().split_once("://")?;
            let place = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
            let (host, port) = place.rsplit_once(':')?;
            is_here(host).then(|| port.parse().ok())?
        }
        Check::Exec(_) | Check::Notify => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn only_ports_of_this_machine_are_looked_at() {
        let http = |url: &str| Check::Http {
            url: Secret::new(url),
            shown: String::new(),
        };
        assert_eq!(port_of(&http("http://u:p@127.0.0.1:8080/x")), Some(8080));
        assert_eq!(port_of(&http("http://[::1]:81/")), Some(81));
        assert_eq!(port_of(&http("http://elsewhere.example:8080/")), None);
        let tcp = |host: &str| Check::Tcp {
            host: host.to_owned(),
            port: 5,
        };
        assert_eq!(port_of(&tcp("localhost")), Some(5));
        assert_eq!(port_of(&tcp("10.0.0.1")), None);
    }
}
