//! `doctor`: what is wrong or soon will be, here and now, each with what to do. Looks and changes nothing; works with
//! and without a running supervisor, and whatever of the configuration can be read.

mod machine;
mod programs;
mod state;
mod targets;

use std::path::PathBuf;

use serde_json::json;

use super::args_tools::DoctorArgs;
use super::connect::Place;
use super::output::{Failure, Out};
use super::table::Paint;
use crate::clock::{self, Mono};
use crate::config::Definitions;
use crate::control::api::Status;
use crate::model::settings::Settings;
use crate::text;

/// What a look at one thing showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Which look.
    check: &'static str,
    /// What there is.
    what: String,
    /// What to do; none: all is well.
    advice: Option<String>,
}

impl Finding {
    fn well(check: &'static str, what: impl Into<String>) -> Self {
        Self {
            check,
            what: what.into(),
            advice: None,
        }
    }

    fn wrong(check: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            what: what.into(),
            advice: Some(advice.into()),
        }
    }
}

/// What is known before anything is looked at.
struct Scene {
    settings: Option<Settings>,
    files: Vec<PathBuf>,
    state_dir: Option<PathBuf>,
    status: Option<Status>,
    /// When the status was asked for; what was started since is not in it.
    asked_at: Mono,
}

/// `jikimi doctor`: 0 when nothing was found, 1 when something was.
pub fn doctor(place: &Place, asked: DoctorArgs, out: &mut Out) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let scene = look_around(place, &mut findings);
    findings.extend(state::permissions(&scene));
    findings.extend(state::database(&scene));
    findings.extend(state::logs(&scene));
    findings.extend(machine::disk(&scene));
    findings.extend(machine::files(&scene));
    findings.push(machine::clock(&scene));
    findings.extend(programs::orphans(&scene));
    findings.extend(programs::ports(&scene));
    findings.extend(targets::reachable(&scene));
    let found = findings.iter().filter(|f| f.advice.is_some()).count();
    print(&findings, asked.json, out)?;
    if found == 0 {
        Ok(())
    } else {
        Err(Failure::Said)
    }
}

fn look_around(place: &Place, findings: &mut Vec<Finding>) -> Scene {
    let found = place.find().ok();
    let asked_at = clock::mono();
    let status: Option<Status> = found
        .as_ref()
        .and_then(|f| f.client.get("/api/v1/status").ok());
    findings.push(match &status {
        Some(status) => Finding::well(
            "supervisor",
            format!("it runs, pid {}", status.supervisor.pid),
        ),
        None => Finding::well("supervisor", "none runs"),
    });
    let issues = status.iter().flat_map(|s| &s.supervisor.issues);
    findings.extend(issues.map(|issue| {
        Finding::wrong(
            "supervisor",
            issue,
            "`jikimi status` and `jikimi events` tell more",
        )
    }));
    let loaded = place
        .find_config()
        .map(|path| Definitions::new(path, place.env.clone()).load());
    let (settings, files) = match loaded {
        Ok(Ok(loaded)) => {
            let programs = super::run::count(loaded.settings.programs.len(), "program");
            findings.push(Finding::well(
                "configuration",
                format!("it is valid, with {programs}"),
            ));
            (Some(loaded.settings), loaded.files)
        }
        Ok(Err(faults)) => {
            let first = faults
                .list()
                .first()
                .map_or(String::new(), ToString::to_string);
            findings.push(Finding::wrong(
                "configuration",
                first,
                "`jikimi check` names every fault",
            ));
            (None, Vec::new())
        }
        Err(_) => {
            let what = "there is none here";
            findings.push(Finding::wrong(
                "configuration",
                what,
                "say --config FILE, or write a jikimi.toml",
            ));
            (None, Vec::new())
        }
    };
    let state_dir = settings
        .as_ref()
        .map(|s| s.supervisor.state_dir.clone())
        .or_else(|| found.and_then(|f| f.state_dir));
    Scene {
        settings,
        files,
        state_dir,
        status,
        asked_at,
    }
}

fn print(findings: &[Finding], as_json: bool, out: &mut Out) -> Result<(), Failure> {
    if as_json {
        let checks: Vec<serde_json::Value> = findings
            .iter()
            .map(|f| json!({"check": f.check, "ok": f.advice.is_none(), "what": f.what, "do": f.advice}))
            .collect();
        let ok = findings.iter().all(|f| f.advice.is_none());
        return out.line(&json!({"ok": ok, "checks": checks}).to_string());
    }
    for finding in findings {
        let (mark, paint) = match finding.advice {
            None => ("ok", Paint::Good),
            Some(_) => ("!!", Paint::Bad),
        };
        let what = text::printable(finding.what.as_bytes());
        out.line(&format!(
            "{} {:<14} {what}",
            paint.on(mark, out.style),
            finding.check
        ))?;
        if let Some(advice) = &finding.advice {
            out.line(&format!(
                "   {:<14} -> {}",
                "",
                text::printable(advice.as_bytes())
            ))?;
        }
    }
    Ok(())
}
