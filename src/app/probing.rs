//! The probes as supervision asks for them, and their verdicts on the way back. Owns nothing.

use std::sync::Arc;

use crate::logs::{AwaitedLine, Logs};
use crate::model::health::{Aspect, Check};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::status::Health;
use crate::probe::{self, Probes, Surroundings};
use crate::supervise::Probed;
use crate::supervise::signs::{Sign, Signs};

/// The probes, whose verdicts go to supervision.
pub(super) fn probes(signs: Signs) -> Probes {
    Probes::new(Box::new(move |report: probe::Report| {
        let probe::Change { health, cause } = report.change;
        signs.put(report.id, Sign::Verdict { health, cause });
    }))
}

/// Begins the probe that supervision asks for.
pub(super) fn begin(probes: &Probes, of: &Probed) {
    if let Some(probe) = of.spec.health.probe(of.aspect) {
        probes.begin(probe::Target {
            id: (of.run, of.aspect),
            probe: Arc::clone(probe),
            surroundings: Arc::new(match probe.check {
                Check::Exec(_) => surroundings(&of.instance, &of.spec),
                Check::Http { .. } | Check::Tcp { .. } | Check::Notify => Surroundings::default(),
            }),
        });
    }
}

/// Waits for the line that says that the run is ready, if there is to be one.
pub(super) fn await_line(logs: &Logs, signs: &Signs, of: &Probed) {
    let (Aspect::Readiness, Some(pattern)) = (of.aspect, &of.spec.health.ready_line) else {
        return;
    };
    let (signs, run) = (signs.clone(), of.run);
    let passed = Sign::Verdict {
        health: Health::Healthy,
        cause: None,
    };
    logs.await_line(AwaitedLine {
        instance: of.instance.clone(),
        run,
        pattern: pattern.clone(),
        found: Box::new(move || signs.put((run, Aspect::Readiness), passed)),
    });
}

/// What a command that probes, or that a rule runs, is given: its program's directory, environment and user.
pub(super) fn surroundings(name: &InstanceName, spec: &ProgramSpec) -> Surroundings {
    let own = [
        ("JIKIMI_PROGRAM", name.program().to_string()),
        ("JIKIMI_INSTANCE", name.index().unwrap_or(0).to_string()),
    ];
    let inherited = spec
        .environment
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Surroundings {
        directory: spec.directory.clone(),
        os: spec.os.clone(),
        environment: inherited
            .chain(own.map(|(name, value)| (name.into(), value.into())))
            .collect(),
    }
}
