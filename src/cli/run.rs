//! `run` and `check`: the configuration with all its faults, then the supervisor.

use std::process::ExitCode;

use super::args::RunArgs;
use super::connect::Place;
use super::output::{Failure, Out, chain, complain_plainly};
use crate::app::{Ended, RunOptions, StartError};
use crate::config::{Definitions, Loaded};
use crate::store::lock::LockError;

/// `jikimi run`.
pub fn run(place: &Place, asked: RunArgs) -> Result<ExitCode, Failure> {
    let how = RunOptions {
        exit_when_done: asked.exit_when_done,
    };
    let (loaded, definitions) = load(place)?;
    match crate::app::run(loaded, definitions, how) {
        Ok(Ended::Well) => Ok(ExitCode::SUCCESS),
        Ok(Ended::Badly) => Ok(ExitCode::FAILURE),
        Ok(Ended::Replaced(with)) => Err(Failure::Failed(format!(
            "the new version cannot be started: {}; the programs go on, and `jikimi run` takes them over",
            with.run()
        ))),
        Err(error) => {
            let text = chain(&error);
            Err(match error {
                StartError::Lock(LockError::Held { .. }) => Failure::AlreadyRunning(text),
                StartError::Lock(_)
                | StartError::Open(_)
                | StartError::Legacy(_)
                | StartError::Backup(_)
                | StartError::Logs(_)
                | StartError::Metrics(_)
                | StartError::System(_) => Failure::Failed(text),
            })
        }
    }
}

/// `jikimi check`.
pub fn check(place: &Place, out: &mut Out) -> Result<(), Failure> {
    let (loaded, _) = load(place)?;
    let settings = &loaded.settings;
    out.line(&format!(
        "{} is valid: {}, {}, {}",
        settings.path.display(),
        count(settings.programs.len(), "program"),
        count(settings.targets.len(), "target"),
        count(settings.routes.len(), "route"),
    ))
}

pub(super) fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

fn load(place: &Place) -> Result<(Loaded, Definitions), Failure> {
    let mut definitions = Definitions::new(place.find_config()?, place.env.clone());
    let loaded = definitions.load().map_err(|faults| {
        complain_plainly(&faults.to_string());
        Failure::Config("the configuration is not valid, so nothing was done".to_owned())
    })?;
    for warning in &loaded.warnings {
        complain_plainly(&format!("{warning} (a warning)"));
    }
    Ok((loaded, definitions))
}
