//! The probes as supervision asks for them, and their verdicts on the way back. Owns nothing.

use std::sync::Arc;

use crate::logs::{AwaitedLine, Logs};
use crate::model::health::{Aspect, Check};
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
            surroundings: Arc::new(surroundings(of, &probe.check)),
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

/// What a command that probes is given: its program's directory, environment and user.
fn surroundings(of: &Probed, check: &Check) -> Surroundings {
    let (spec, name) = (&of.spec, &of.instance);
    if !matches!(check, Check::Exec(_)) {
        return Surroundings::default();
    }
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
