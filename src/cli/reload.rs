//! `reload`: what changes, or would, and what became of the programs it touched.

use serde_json::json;

use super::args::ReloadArgs;
use super::connect::Place;
use super::output::{Failure, Out, complain_plainly};
use super::table::Paint;
use crate::control::api::ReloadAnswer;
use crate::control::client::{ClientError, Patience};
use crate::model::reload::{Plan, Step, StepAction, StepKind};
use crate::text;

/// `jikimi reload`.
pub fn reload(place: &Place, asked: ReloadArgs, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    let path = format!("/api/v1/reload?plan={}&wait={}", asked.plan, !asked.no_wait);
    let answer: ReloadAnswer = match client.post(&path, Patience::Unlimited) {
        Ok(answer) => answer,
        Err(ClientError::Refused { detail, faults, .. }) if !faults.is_empty() => {
            return refused(asked, out, (detail, &faults));
        }
        Err(error) => return Err(error.into()),
    };
    if asked.json {
        let json = serde_json::to_string(&answer).map_err(|e| Failure::Failed(e.to_string()))?;
        out.line(&json)?;
    } else {
        tell(&answer, out)?;
    }
    if answer.ok {
        Ok(())
    } else {
        Err(Failure::Said)
    }
}

/// The faults as `check` lists them.
fn refused(
    asked: ReloadArgs,
    out: &mut Out,
    (detail, faults): (String, &[String]),
) -> Result<(), Failure> {
    if asked.json {
        out.line(&json!({ "ok": false, "faults": faults }).to_string())?;
    } else {
        complain_plainly(&faults.join("\n"));
    }
    Err(Failure::Config(detail))
}

fn tell(answer: &ReloadAnswer, out: &mut Out) -> Result<(), Failure> {
    for warning in &answer.warnings {
        complain_plainly(&format!("{warning} (a warning)"));
    }
    for line in lines(&answer.plan) {
        out.line(&line)?;
    }
    for result in &answer.results {
        let paint = if result.ok { Paint::Good } else { Paint::Bad };
        let message = text::printable(result.message.as_bytes());
        let pid = match result.pid {
            Some(pid) => format!(" (pid {pid})"),
            None => String::new(),
        };
        let name = result.name.to_string();
        out.line(&format!("{}: {message}{pid}", paint.on(&name, out.style)))?;
    }
    Ok(())
}

/// A line for each step, those that stop something first, and one for what is not touched.
fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for action in StepAction::ALL {
        let steps = plan.steps.iter().filter(|step| step.action == action);
        lines.extend(steps.map(line));
    }
    let unchanged = match plan.unchanged {
        1 => "1 instance is not touched".to_owned(),
        n => format!("{n} instances are not touched"),
    };
    lines.push(if plan.is_empty() {
        format!("nothing changed; {unchanged}")
    } else {
        unchanged
    });
    lines
}

fn line(step: &Step) -> String {
    let name = match step.kind {
        StepKind::Target => format!("target {}", step.name),
        StepKind::Program | StepKind::Setting => step.name.clone(),
    };
    let why = match (step.kind, step.action) {
        (StepKind::Setting, _) | (_, StepAction::Restart | StepAction::Retry) => step.why.clone(),
        _ if step.keys.is_empty() => step.why.clone(),
        _ => format!("{}: {}", step.keys.join(", "), step.why),
    };
    let action = match step.action {
        StepAction::NeedsSupervisorRestart => "later",
        other => other.as_str(),
    };
    let line = format!("{action:<10}  {name}  {why}");
    text::printable(line.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_line_a_step_and_says_what_is_left_alone() {
        let step = |action, kind, name: &str, keys: &[&str], why: &str| Step {
            action,
            kind,
            name: name.to_owned(),
            keys: keys.iter().map(|k| (*k).to_owned()).collect(),
            why: why.to_owned(),
        };
        let (live, at_once) = (StepAction::Live, "takes effect at once");
        let plan = Plan {
            steps: vec![
                step(
                    live,
                    StepKind::Setting,
                    "log.level",
                    &["log.level"],
                    at_once,
                ),
                step(live, StepKind::Program, "db", &["tags"], at_once),
                step(
                    StepAction::Restart,
                    StepKind::Program,
                    "web",
                    &["command"],
                    "configuration changed: command",
                ),
                step(StepAction::Stop, StepKind::Program, "old", &[], "it left"),
            ],
            unchanged: 1,
        };
        assert_eq!(
            lines(&plan),
            [
                "stop        old  it left",
                "restart     web  configuration changed: command",
                "live        log.level  takes effect at once",
                "live        db  tags: takes effect at once",
                "1 instance is not touched",
            ]
        );
        assert_eq!(
            lines(&Plan::default()),
            ["nothing changed; 0 instances are not touched"]
        );
    }
}
