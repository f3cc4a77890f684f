//! `run` and `check`: the configuration with all its faults, then the supervisor.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::RunArgs;
use super::args_tools::CheckArgs;
use super::connect::Place;
use super::output::{Failure, Out, chain, complain_plainly};
use crate::app::{Ended, RunOptions, StartError};
use crate::config::{Definitions, Fault, Loaded};
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
pub fn check(place: &Place, asked: CheckArgs, out: &mut Out) -> Result<(), Failure> {
    if asked.json {
        return check_for_machines(place, out);
    }
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

/// The same as one object; the exit code is the same too.
fn check_for_machines(place: &Place, out: &mut Out) -> Result<(), Failure> {
    let path = place.find_config()?;
    let answer = match Definitions::new(path.clone(), place.env.clone()).load() {
        Ok(loaded) => json!({
            "valid": true,
            "path": path.display().to_string(),
            "programs": loaded.settings.programs.len(),
            "targets": loaded.settings.targets.len(),
            "routes": loaded.settings.routes.len(),
            "faults": [],
            "warnings": loaded.warnings.iter().map(as_json).collect::<Vec<_>>(),
        }),
        Err(faults) => json!({
            "valid": false,
            "path": path.display().to_string(),
            "faults": faults.list().iter().map(as_json).collect::<Vec<_>>(),
            "warnings": [],
        }),
    };
    out.line(&answer.to_string())?;
    if answer["valid"] == true {
        return Ok(());
    }
    Err(Failure::Config("the configuration is not valid".to_owned()))
}

fn as_json(fault: &Fault) -> Value {
    json!({
        "file": fault.file,
        "line": fault.line,
        "column": fault.column,
        "key": fault.key,
        "what": fault.what,
        "right": fault.right,
    })
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
